//! AUTH: the SASL exchanges PLAIN and LOGIN (RFC 4954, RFC 4616).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::replies;
use crate::extension::Mechanism;
use crate::reply::{Reply, ReplyCode};

/// Longest line of an exchange, in octets with its CR LF (RFC 4954 §4).
pub(super) const MAX_LINE: usize = 12_288;

/// `Username:` in base64, as clients of LOGIN expect it.
const ASK_NAME: &str = "VXNlcm5hbWU6";
/// `Password:` in base64.
const ASK_PASSWORD: &str = "UGFzc3dvcmQ6";

/// What a client authenticates with. The password is wiped from memory on drop.
pub struct Credentials {
    /// Whom the client wants to act as, if not as its login (RFC 4616 §2 `authzid`).
    pub authorization_id: Option<String>,
    /// The name that the password belongs to (RFC 4616 §2 `authcid`).
    pub login: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorization_id", &self.authorization_id)
            .field("login", &self.login)
            .field("password", &"[redacted]")
            .finish()
    }
}

/// An exchange that waits for the client's next line.
#[derive(Debug)]
pub(super) enum Exchange {
    /// PLAIN: the whole message.
    Plain,
    /// LOGIN: the name.
    LoginName,
    /// LOGIN: the password that goes with this name.
    LoginPassword(String),
}

/// What comes after a line from the client.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this challenge and wait for a line.
    Challenge(Exchange, Reply),
    /// The exchange is complete; the credentials are to be checked.
    Complete(Credentials),
}

impl Exchange {
    /// Starts an exchange, perhaps with an initial response (RFC 4954 §4), where `=` stands for
    /// an empty one.
    ///
    /// # Errors
    /// The reply that ends the exchange.
    pub(super) fn start(mechanism: Mechanism, initial: Option<&str>) -> Result<Step, Reply> {
        let (exchange, challenge) = match mechanism {
            Mechanism::Plain => (Self::Plain, ""),
            Mechanism::Login => (Self::LoginName, ASK_NAME),
        };
        match initial {
            None => Ok(Step::Challenge(exchange, ask(challenge))),
            Some("=") => exchange.respond(b""),
            Some(response) => exchange.respond(response.as_bytes()),
        }
    }

    /// Takes the client's line, without CR LF.
    ///
    /// # Errors
    /// The reply that ends the exchange.
    pub(super) fn respond(self, line: &[u8]) -> Result<Step, Reply> {
        if line == b"*" {
            return Err(replies::auth_cancelled());
        }
        let response = decode(line)?;
        match self {
            Self::Plain => parse_plain(&response).map(Step::Complete),
            Self::LoginName => Ok(Step::Challenge(
                Self::LoginPassword(response.to_string()),
                ask(ASK_PASSWORD),
            )),
            Self::LoginPassword(login) => Ok(Step::Complete(Credentials {
                authorization_id: None,
                login,
                password: response,
            })),
        }
        .and_then(require_both)
    }
}

fn ask(challenge: &str) -> Reply {
    Reply::new(ReplyCode::CHALLENGE, None, challenge)
}

fn decode(line: &[u8]) -> Result<Zeroizing<String>, Reply> {
    let octets = STANDARD
        .decode(line)
        .map(Zeroizing::new)
        .map_err(|_| replies::bad_auth_response("Not valid base64"))?;
    std::str::from_utf8(&octets)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| replies::bad_auth_response("Not valid UTF-8"))
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn parse_plain(message: &str) -> Result<Credentials, Reply> {
    let mut fields = message.split('\0');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(authorization_id), Some(login), Some(password), None) => Ok(Credentials {
            authorization_id: Some(authorization_id)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        }),
        _ => Err(replies::bad_auth_response("Malformed PLAIN message")),
    }
}

/// Neither name nor password may be empty (RFC 4616 §2); nor can a name have control characters,
/// which would go into logs.
fn require_both(step: Step) -> Result<Step, Reply> {
    let Step::Complete(credentials) = &step else {
        return Ok(step);
    };
    let empty = credentials.login.is_empty() || credentials.password.is_empty();
    let authorization_id = credentials.authorization_id.as_deref().unwrap_or_default();
    let control = |text: &str| text.contains(char::is_control);
    if empty || control(&credentials.login) || control(authorization_id) {
        return Err(replies::bad_auth_response("Empty or malformed credentials"));
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(step: Result<Step, Reply>) -> Credentials {
        match step.unwrap() {
            Step::Complete(credentials) => credentials,
            Step::Challenge(..) => panic!("a challenge"),
        }
    }

    fn fault(step: Result<Step, Reply>) -> String {
        step.unwrap_err().to_string().chars().take(9).collect()
    }

    fn plain(message: &str) -> Result<Step, Reply> {
        Exchange::Plain.respond(STANDARD.encode(message).as_bytes())
    }

    #[test]
    fn plain_has_three_fields() {
        let credentials = complete(plain("\0tim\0tanstaaftanstaaf"));
        assert_eq!(credentials.login, "tim");
        assert_eq!(credentials.password.as_str(), "tanstaaftanstaaf");
        assert_eq!(credentials.authorization_id, None);
        let credentials = complete(plain("Ursel\0Kurt\0xipj3plmq"));
        assert_eq!(credentials.authorization_id.as_deref(), Some("Ursel"));
    }

    #[test]
    fn faults_have_their_codes() {
        assert_eq!(fault(plain("tim")), "501 5.5.2");
        assert_eq!(fault(plain("\0tim\0")), "501 5.5.2");
        assert_eq!(fault(plain("\0\0x")), "501 5.5.2");
        assert_eq!(fault(plain("\0a\r\nb\0x")), "501 5.5.2");
        assert_eq!(fault(plain("a\0b\0c\0d")), "501 5.5.2");
        assert_eq!(fault(Exchange::Plain.respond(b"?")), "501 5.5.2");
        assert_eq!(fault(Exchange::Plain.respond(b"*")), "501 5.7.0");
        assert_eq!(
            fault(Exchange::start(Mechanism::Plain, Some("="))),
            "501 5.5.2"
        );
    }

    #[test]
    fn login_asks_for_name_and_password() {
        let Step::Challenge(exchange, _) = Exchange::start(Mechanism::Login, None).unwrap() else {
            panic!("no challenge");
        };
        let Step::Challenge(exchange, _) = exchange.respond(b"dGlt").unwrap() else {
            panic!("no challenge");
        };
        let credentials = complete(exchange.respond(b"c2VjcmV0"));
        assert_eq!(
            (credentials.login.as_str(), credentials.password.as_str()),
            ("tim", "secret")
        );
    }

    #[test]
    fn the_password_stays_out_of_debug_output() {
        let shown = format!("{:?}", complete(plain("\0tim\0geheim")));
        assert!(shown.contains("tim") && !shown.contains("geheim"));
    }
}
