//! What a service decides: one method a verb.

use std::future::{Future, ready};
use std::net::SocketAddr;

use smtp::server::{Credentials, Hello, Mail};
use smtp::{EnhancedStatus, Envelope, Recipient, Reply, ReplyCode};

use crate::content::Content;
use crate::tls::TlsInfo;

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The client's address; an IPv4 address is one even on a dual-stack socket.
    pub peer: SocketAddr,
    /// Our address, as the client knows it.
    pub local: SocketAddr,
    /// What TLS settled; none in plaintext.
    pub tls: Option<TlsInfo>,
    /// How the client named itself, since the last STARTTLS.
    pub hello: Option<Hello>,
    /// As whom the client authenticated, in its own words.
    pub login: Option<String>,
}

/// The policy of a service, one value per connection. Syntax and sequence are checked before a
/// method is called, and methods are called one at a time, in the order of the commands.
///
/// No method is ever cancelled: not when the client goes away, nor by a shutdown, which waits. So
/// each has to bound its own waits. While it runs, nothing is read from the client.
///
/// A reply with code 421 ends the session.
pub trait Handler: Send + 'static {
    /// A client has connected: 220 welcomes it, and our host name is put in front; 421 closes; after
    /// any other refusal it can only QUIT (RFC 5321 §3.1).
    fn greet(&mut self, session: &SessionInfo) -> impl Future<Output = Reply> + Send;

    /// EHLO, HELO or LHLO. After a 250 the list of extensions is added.
    fn hello(
        &mut self,
        hello: &Hello,
        session: &SessionInfo,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (hello, session);
        ready(Reply::new(ReplyCode::OK, None, ""))
    }

    /// AUTH: 235, 535 or 454 (RFC 4954 §6). Only called if the session's configuration offers it.
    fn auth(
        &mut self,
        credentials: Credentials,
        session: &SessionInfo,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (credentials, session);
        ready(Reply::new(
            ReplyCode::BAD_CREDENTIALS,
            EnhancedStatus::new(5, 7, 8),
            "Authentication credentials invalid",
        ))
    }

    /// MAIL: may this transaction start?
    fn mail(&mut self, mail: &Mail, session: &SessionInfo) -> impl Future<Output = Reply> + Send;

    /// RCPT: is this recipient welcome? `envelope` has those accepted before.
    fn rcpt(
        &mut self,
        recipient: &Recipient,
        envelope: &Envelope,
        session: &SessionInfo,
    ) -> impl Future<Output = Reply> + Send;

    /// VRFY. By default nothing is given away (RFC 5321 §7.3).
    fn vrfy(
        &mut self,
        argument: &str,
        session: &SessionInfo,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (argument, session);
        ready(Reply::new(
            ReplyCode::CANNOT_VERIFY,
            EnhancedStatus::new(2, 5, 0),
            "Cannot VRFY user, but will accept message and attempt delivery",
        ))
    }

    /// DATA: may the content come? 354 by default.
    fn data(
        &mut self,
        envelope: &Envelope,
        session: &SessionInfo,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (envelope, session);
        ready(Reply::start_mail_input())
    }

    /// The whole message is here. A positive reply takes responsibility for it (RFC 5321 §6.1):
    /// in SMTP one reply for all, in LMTP one a recipient, in their order (RFC 2033 §4.2). If the
    /// client is gone by then, the reply is lost and the message is not.
    fn accept(
        &mut self,
        envelope: Envelope,
        content: Content,
        session: &SessionInfo,
    ) -> impl Future<Output = Vec<Reply>> + Send;

    /// The transaction is dropped, or its content refused by the session: forget about it.
    fn reset(&mut self) {}

    /// The connection is gone. The last call.
    fn closed(&mut self, session: &SessionInfo) {
        let _ = session;
    }
}
