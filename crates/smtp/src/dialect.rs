//! SMTP and its local sibling.

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SMTP (RFC 5321): HELO and EHLO, one reply per message.
    Smtp,
    /// LMTP (RFC 2033): LHLO, one reply per accepted recipient.
    Lmtp,
}
