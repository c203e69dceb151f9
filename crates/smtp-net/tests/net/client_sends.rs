//! Our client and our server, with each other.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use smtp::client::NotAuthenticated;
use smtp::{Body, Mailbox, ReversePath};
use smtp_net::{AuthFailure, ClientConnection, OutboundTransaction};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{self, HOST};
use crate::client_failures::options;
use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

async fn send(connection: &mut ClientConnection, recipients: &[&str], content: &[Bytes]) -> String {
    let recipients: Vec<Mailbox> = recipients
        .iter()
        .map(|text| Mailbox::parse(text).unwrap())
        .collect();
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::Mailbox(Mailbox::parse("x@example.net").unwrap()),
        recipients: &recipients,
        body: Body::SevenBit,
        content,
    };
    let results = soon(connection.send(&transaction, &|| true)).await.unwrap();
    let replies = results
        .iter()
        .map(|result| result.reply().unwrap().to_string());
    replies.collect::<Vec<_>>().join(", ")
}

async fn sends_everything(server: Options, expects_tls: bool) {
    let mut service = Service::start(server);
    let options = options();
    let connecting = ClientConnection::connect(service.address, HOST, &options);
    let mut connection = soon(connecting).await.unwrap();
    assert_eq!(connection.tls().is_some(), expects_tls);
    assert_eq!(connection.peer(), service.address);
    let prefix = Bytes::from_static(b"Received: from a by b\r\n");
    for lines in [0, 1, 200, 100_000] {
        let message = Bytes::from(".dot\r\ntext\r\n".repeat(lines));
        let content = [prefix.clone(), message.clone()];
        let replies = send(
            &mut connection,
            &["a@example.org", "unknown@example.org"],
            &content,
        );
        assert_eq!(replies.await, "250 2.0.0 Taken, 550 No such user");
        let taken = service.taken().await;
        assert!(taken.content == content.concat(), "{lines} lines");
        assert_eq!(taken.envelope.recipients.len(), 1);
        assert_eq!(taken.session.peer, connection.local());
        assert_eq!(taken.session.tls.as_ref(), connection.tls());
        assert!(connection.is_reusable());
    }
    assert_eq!(connection.transactions(), 4);
    soon(connection.quit()).await;
    service.shut_down();
    service.ended().await;
}

#[tokio::test]
async fn in_plaintext() {
    sends_everything(Options::plain(), false).await;
}

#[tokio::test]
async fn in_tls_whatever_the_certificate() {
    let (tls, _) = certificates::fresh();
    sends_everything(Options::start_tls(&tls), true).await;
}

#[tokio::test]
async fn a_host_without_a_name_is_spoken_to_in_tls_too() {
    let (tls, _) = certificates::fresh();
    let service = Service::start(Options::start_tls(&tls));
    let options = options();
    let connecting = ClientConnection::connect(service.address, "no name", &options);
    let connection = soon(connecting).await.unwrap();
    assert_eq!(connection.tls().unwrap().sni, None);
}

#[tokio::test]
async fn as_someone_who_has_logged_in() {
    let (tls, _) = certificates::fresh();
    let mut service = Service::start(Options::start_tls(&tls));
    let options = options();
    let connecting = ClientConnection::connect(service.address, HOST, &options);
    let mut connection = soon(connecting).await.unwrap();
    let refused = soon(connection.authenticate("mallory", "secret")).await;
    assert!(
        matches!(&refused, Err(AuthFailure::Refused(reply)) if reply.code.as_u16() == 535),
        "{refused:?}"
    );
    soon(connection.authenticate("alice", "secret"))
        .await
        .unwrap();
    let content = [Bytes::from_static(b"one\r\n")];
    send(&mut connection, &["a@example.org"], &content).await;
    let login = service.taken().await.session.login;
    assert_eq!(login.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_password_never_goes_out_in_plaintext() {
    let service = Service::start(Options::plain());
    let options = options();
    let connecting = ClientConnection::connect(service.address, HOST, &options);
    let mut connection = soon(connecting).await.unwrap();
    let login = soon(connection.authenticate("alice", "secret")).await;
    let in_plaintext = AuthFailure::NotTried(NotAuthenticated::InPlaintext);
    assert_eq!(login, Err(in_plaintext));
    assert!(connection.is_reusable());
}

#[tokio::test]
async fn plaintext_injected_behind_starttls_is_never_believed() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = soon(listener.accept()).await.unwrap();
        let mut plain = Told::over(stream);
        plain.say("220 mx\r\n").await;
        plain.expect("EHLO").await;
        plain.say("250-mx\r\n250 STARTTLS\r\n").await;
        plain.expect("STARTTLS").await;
        plain.say("220 Go on\r\n250-evil\r\n250 SIZE 1\r\n").await;
        let acceptor = TlsAcceptor::from(certificates::server_config());
        let mut client = Told::over(soon(acceptor.accept(plain.stream)).await.unwrap());
        client.expect("EHLO").await;
        client.say("250-mx\r\n250 SIZE 2\r\n").await;
        client.expect("QUIT").await;
    });
    let options = options();
    let connecting = ClientConnection::connect(address, HOST, &options);
    let connection = soon(connecting).await.unwrap();
    assert_eq!(connection.extensions().max_message_size(), Some(2));
    soon(connection.quit()).await;
    soon(server).await.unwrap();
}

#[tokio::test]
async fn from_the_address_that_is_asked_for() {
    let mut service = Service::start(Options::plain());
    let source = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let mut from = options();
    from.source_address = Some(source);
    let connecting = ClientConnection::connect(service.address, HOST, &from);
    let mut connection = soon(connecting).await.unwrap();
    send(
        &mut connection,
        &["a@example.org"],
        &[Bytes::from_static(b"one\r\n")],
    )
    .await;
    assert_eq!(connection.local().ip(), source);
    assert_eq!(service.taken().await.session.peer.ip(), source);
}
