//! Service extensions, as listed in the reply to EHLO (RFC 5321 §4.1.1.1).

use std::fmt;

use crate::reply::Reply;

/// A SASL mechanism that both sides of Chasqui speak (RFC 4954 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `LOGIN`: never standardised, needed by old clients (draft-murchison-sasl-login).
    Login,
}

impl Mechanism {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Looks a mechanism up by name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login]
            .into_iter()
            .find(|mechanism| name.eq_ignore_ascii_case(mechanism.as_str()))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of the reply to EHLO. `Display` gives its wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH`, with the mechanisms of the list that are known here (RFC 4954).
    Auth(Vec<Mechanism>),
    /// `PIPELINING` (RFC 2920).
    Pipelining,
    /// `SIZE`, with the largest content in octets if there is such a limit (RFC 1870).
    Size(Option<u64>),
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    EnhancedStatusCodes,
    /// `HELP` (RFC 5321 §4.1.1.8).
    Help,
    /// Any other line, verbatim.
    Other(String),
}

impl Extension {
    /// Parses one line of a reply to EHLO, without the reply code.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let line = line.trim();
        // `AUTH=PLAIN` comes from servers that please clients older than RFC 2554.
        let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((line, ""));
        match keyword.to_ascii_uppercase().as_str() {
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(
                parameters
                    .split_ascii_whitespace()
                    .filter_map(Mechanism::parse)
                    .collect(),
            ),
            "PIPELINING" => Self::Pipelining,
            // RFC 1870 §4: zero says that there is no fixed limit.
            "SIZE" => Self::Size(parameters.trim().parse().ok().filter(|size| *size > 0)),
            "8BITMIME" => Self::EightBitMime,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "HELP" => Self::Help,
            _ => Self::Other(line.to_owned()),
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth(mechanisms) => {
                f.write_str("AUTH")?;
                mechanisms.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Pipelining => f.write_str("PIPELINING"),
            Self::Size(None) => f.write_str("SIZE"),
            Self::Size(Some(limit)) => write!(f, "SIZE {limit}"),
            Self::EightBitMime => f.write_str("8BITMIME"),
            Self::EnhancedStatusCodes => f.write_str("ENHANCEDSTATUSCODES"),
            Self::Help => f.write_str("HELP"),
            Self::Other(line) => f.write_str(line),
        }
    }
}

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<Extension>);

impl Extensions {
    /// Reads the reply to EHLO, whose first line is the greeting and bears no extension.
    #[must_use]
    pub fn from_reply(reply: &Reply) -> Self {
        reply
            .lines
            .iter()
            .skip(1)
            .map(|line| Extension::parse(line))
            .collect()
    }

    /// The extensions, in the order of the reply.
    pub fn iter(&self) -> impl Iterator<Item = &Extension> {
        self.0.iter()
    }

    /// Whether STARTTLS is offered.
    #[must_use]
    pub fn start_tls(&self) -> bool {
        self.0.contains(&Extension::StartTls)
    }

    /// Whether commands may be pipelined.
    #[must_use]
    pub fn pipelining(&self) -> bool {
        self.0.contains(&Extension::Pipelining)
    }

    /// Whether content may have octets above 127.
    #[must_use]
    pub fn eight_bit_mime(&self) -> bool {
        self.0.contains(&Extension::EightBitMime)
    }

    /// Whether replies bear enhanced status codes.
    #[must_use]
    pub fn enhanced_status_codes(&self) -> bool {
        self.0.contains(&Extension::EnhancedStatusCodes)
    }

    /// Whether `MAIL FROM:` may bear `SIZE=`.
    #[must_use]
    pub fn size(&self) -> bool {
        self.0.iter().any(|e| matches!(e, Extension::Size(_)))
    }

    /// The largest content that the server takes, in octets, if it names a limit.
    #[must_use]
    pub fn max_message_size(&self) -> Option<u64> {
        self.0.iter().find_map(|extension| match extension {
            Extension::Size(limit) => *limit,
            _ => None,
        })
    }

    /// Whether AUTH is offered, with whatever mechanism.
    #[must_use]
    pub fn auth(&self) -> bool {
        self.0.iter().any(|e| matches!(e, Extension::Auth(_)))
    }

    /// Whether a mechanism is offered.
    #[must_use]
    pub fn mechanism(&self, wanted: Mechanism) -> bool {
        self.0.iter().any(
            |extension| matches!(extension, Extension::Auth(offered) if offered.contains(&wanted)),
        )
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<T: IntoIterator<Item = Extension>>(extensions: T) -> Self {
        Self(extensions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_from_the_reply_to_ehlo() {
        let reply = Reply::new(250, None, "mx.example.org SIZE")
            .with_line("size 1000")
            .with_line("8BITMIME")
            .with_line("AUTH GSSAPI plain")
            .with_line("XCLIENT NAME");
        let extensions = Extensions::from_reply(&reply);
        assert!(extensions.size() && extensions.eight_bit_mime() && extensions.auth());
        assert_eq!(extensions.max_message_size(), Some(1_000));
        assert!(extensions.mechanism(Mechanism::Plain));
        assert!(!extensions.mechanism(Mechanism::Login));
        assert!(!extensions.start_tls() && !extensions.pipelining());
        assert_eq!(extensions.iter().count(), 4);
    }

    #[test]
    fn oddities_of_servers_are_understood() {
        assert_eq!(Extension::parse("SIZE 0"), Extension::Size(None));
        assert_eq!(Extension::parse("SIZE"), Extension::Size(None));
        assert_eq!(
            Extension::parse("AUTH=LOGIN PLAIN "),
            Extension::Auth(vec![Mechanism::Login, Mechanism::Plain])
        );
    }

    #[test]
    fn what_is_displayed_is_parsed_to_the_same() {
        for line in [
            "STARTTLS",
            "AUTH PLAIN LOGIN",
            "PIPELINING",
            "SIZE 5",
            "HELP",
            "DSN",
        ] {
            assert_eq!(Extension::parse(line).to_string(), line);
        }
    }
}
