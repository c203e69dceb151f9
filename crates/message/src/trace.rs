//! Trace fields: how a message came here (RFC 5321 §4.4).

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use smtp::{MailDomain, Mailbox, ReversePath};
use time::OffsetDateTime;

use crate::date::date_time;
use crate::header::Header;
use crate::text::word;

/// Longest foreign word in a trace field: as a domain (RFC 5321 §4.5.3.1.2).
const MAX_WORD: usize = 255;

/// The protocol of a `with` clause (RFC 3848).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP opened with HELO.
    Smtp,
    /// SMTP opened with EHLO.
    Esmtp,
    /// ESMTP after STARTTLS, or in implicit TLS.
    Esmtps,
    /// ESMTP after AUTH.
    Esmtpa,
    /// ESMTP in TLS after AUTH.
    Esmtpsa,
    /// LMTP (RFC 2033).
    Lmtp,
    /// LMTP in TLS.
    Lmtps,
    /// LMTP after AUTH.
    Lmtpa,
    /// LMTP in TLS after AUTH.
    Lmtpsa,
}

impl Protocol {
    /// The protocol of an SMTP session that was opened with EHLO.
    #[must_use]
    pub const fn esmtp(tls: bool, authenticated: bool) -> Self {
        match (tls, authenticated) {
            (false, false) => Self::Esmtp,
            (true, false) => Self::Esmtps,
            (false, true) => Self::Esmtpa,
            (true, true) => Self::Esmtpsa,
        }
    }

    /// The protocol of an LMTP session.
    #[must_use]
    pub const fn lmtp(tls: bool, authenticated: bool) -> Self {
        match (tls, authenticated) {
            (false, false) => Self::Lmtp,
            (true, false) => Self::Lmtps,
            (false, true) => Self::Lmtpa,
            (true, true) => Self::Lmtpsa,
        }
    }

    /// The name in IANA's registry of mail transmission types.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Esmtp => "ESMTP",
            Self::Esmtps => "ESMTPS",
            Self::Esmtpa => "ESMTPA",
            Self::Esmtpsa => "ESMTPSA",
            Self::Lmtp => "LMTP",
            Self::Lmtps => "LMTPS",
            Self::Lmtpa => "LMTPA",
            Self::Lmtpsa => "LMTPSA",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The TLS of the session that a message came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsDetails<'a> {
    /// The version, such as `TLSv1.3`.
    pub version: &'a str,
    /// The name of the cipher suite.
    pub cipher: &'a str,
}

/// What a `Received` field tells (RFC 5321 §4.4 `Time-stamp-line`).
///
/// What the client itself claimed (`from_hello`) is written only as far as it is harmless; what
/// we found out (`client_ip`, `client_name`) stands in parentheses after it.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedFields<'a> {
    /// The argument of the client's HELO, EHLO or LHLO; `None` when it gave none.
    pub from_hello: Option<&'a str>,
    /// The client's address.
    pub client_ip: IpAddr,
    /// The client's name by reverse lookup, if there was one.
    pub client_name: Option<&'a str>,
    /// This host's name.
    pub by: &'a str,
    /// The protocol of the session.
    pub with: Protocol,
    /// The session's TLS; written as the `tls` clause (RFC 8314 §4.3).
    pub tls: Option<TlsDetails<'a>>,
    /// The queue id.
    pub id: &'a str,
    /// The recipient, only when the transaction has exactly one: a list would tell each
    /// recipient about the others (RFC 5321 §7.2).
    pub for_recipient: Option<&'a Mailbox>,
    /// When the content arrived.
    pub at: OffsetDateTime,
}

/// A `Received` field, folded, ended by CRLF (RFC 5321 §4.4).
#[must_use]
pub fn received(fields: &ReceivedFields<'_>) -> String {
    let mut line = String::with_capacity(320);
    // Writing to a String cannot fail.
    let _ = write_received(&mut line, fields);
    line
}

fn write_received(line: &mut String, fields: &ReceivedFields<'_>) -> fmt::Result {
    let hello = word(fields.from_hello.unwrap_or_default(), MAX_WORD);
    let hello = if hello.is_empty() { "unknown" } else { &hello };
    let address = MailDomain::Literal(fields.client_ip.to_canonical());
    write!(line, "Received: from {hello} (")?;
    if let Some(name) = fields.client_name {
        write!(line, "{} ", word(name, MAX_WORD))?;
    }
    let by = word(fields.by, MAX_WORD);
    let id = word(fields.id, MAX_WORD);
    write!(line, "{address})\r\n\tby {by} with {} id {id}", fields.with)?;
    if let Some(recipient) = fields.for_recipient {
        write!(line, "\r\n\tfor <{recipient}>")?;
    }
    if let Some(tls) = fields.tls {
        let (cipher, version) = (word(tls.cipher, MAX_WORD), word(tls.version, MAX_WORD));
        write!(line, "\r\n\ttls {cipher} ({version})")?;
    }
    write!(line, ";\r\n\t{}\r\n", date_time(fields.at))
}

/// A `Return-Path` field, ended by CRLF: the reverse-path as it was at final delivery
/// (RFC 5321 §4.4).
#[must_use]
pub fn return_path(reverse_path: &ReversePath) -> String {
    format!("Return-Path: {reverse_path}\r\n")
}

/// A `Delivered-To` field, ended by CRLF (RFC 9228 §4): the address that was delivered to.
#[must_use]
pub fn delivered_to(recipient: &Mailbox) -> String {
    format!("Delivered-To: {recipient}\r\n")
}

/// How many hosts a message has passed: its `Received` fields. A count over some limit (100 at
/// least, RFC 5321 §6.3) means a loop.
#[must_use]
pub fn received_hops(content: &[u8]) -> usize {
    Header::of(content).named("Received").count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const FIELDS: ReceivedFields<'static> = ReceivedFields {
        from_hello: Some("client.example"),
        client_ip: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        client_name: None,
        by: "mx.example.org",
        with: Protocol::Esmtp,
        tls: None,
        id: "0193-ab",
        for_recipient: None,
        at: datetime!(2026-11-23 10:20:30 UTC),
    };

    #[test]
    fn a_plain_session_is_told_in_three_lines() {
        assert_eq!(
            received(&FIELDS),
            "Received: from client.example ([192.0.2.1])\r\n\
             \tby mx.example.org with ESMTP id 0193-ab;\r\n\
             \tMon, 23 Nov 2026 10:20:30 +0000\r\n"
        );
    }

    #[test]
    fn everything_known_is_told() {
        let recipient = "jo@example.net".parse().unwrap();
        let line = received(&ReceivedFields {
            client_ip: "::ffff:192.0.2.7".parse().unwrap(),
            client_name: Some("host.example"),
            with: Protocol::esmtp(true, true),
            tls: Some(TlsDetails {
                version: "TLSv1.3",
                cipher: "TLS_AES_256_GCM_SHA384",
            }),
            for_recipient: Some(&recipient),
            ..FIELDS
        });
        assert_eq!(
            line,
            "Received: from client.example (host.example [192.0.2.7])\r\n\
             \tby mx.example.org with ESMTPSA id 0193-ab\r\n\
             \tfor <jo@example.net>\r\n\
             \ttls TLS_AES_256_GCM_SHA384 (TLSv1.3);\r\n\
             \tMon, 23 Nov 2026 10:20:30 +0000\r\n"
        );
    }

    #[test]
    fn an_ipv6_client_is_a_tagged_literal() {
        let line = received(&ReceivedFields {
            client_ip: "2001:db8::1".parse().unwrap(),
            from_hello: None,
            ..FIELDS
        });
        assert!(line.starts_with("Received: from unknown ([IPv6:2001:db8::1])\r\n"));
    }

    #[test]
    fn delivery_fields_are_single_lines() {
        let mailbox: Mailbox = "\"j o\"@example.net".parse().unwrap();
        assert_eq!(
            delivered_to(&mailbox),
            "Delivered-To: \"j o\"@example.net\r\n"
        );
        assert_eq!(return_path(&ReversePath::Null), "Return-Path: <>\r\n");
        assert_eq!(
            return_path(&mailbox.into()),
            "Return-Path: <\"j o\"@example.net>\r\n"
        );
    }

    #[test]
    fn hops_are_counted_in_the_header_only() {
        let content =
            b"Received: a\r\nreceived: b\r\n\tReceived: c\r\nX-Received: d\r\n\r\nReceived: e\r\n";
        assert_eq!(received_hops(content), 2);
    }

    proptest! {
        #[test]
        fn no_hello_forges_a_field(hello in any::<String>(), name in any::<String>()) {
            let line = received(&ReceivedFields {
                from_hello: Some(&hello),
                client_name: Some(&name),
                ..FIELDS
            });
            prop_assert!(line.is_ascii());
            prop_assert_eq!(line.matches('\n').count(), 3);
            prop_assert_eq!(line.matches("\r\n\t").count(), 2);
            prop_assert_eq!(line.matches(['(', ';']).count(), 2);
            prop_assert!(line.lines().all(|line| line.len() <= 998));
        }

        #[test]
        fn hops_never_panic_and_grow_by_one(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let joined = [received(&FIELDS).as_bytes(), &content].concat();
            let continues = content.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
            prop_assume!(!continues);
            prop_assert_eq!(received_hops(&joined), received_hops(&content) + 1);
        }
    }
}
