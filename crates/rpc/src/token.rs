//! The shared token that clients show and servers demand.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// Shortest token, in octets: 128 bits in hexadecimal.
const MIN_LENGTH: usize = 32;
/// The metadata key, as in HTTP (RFC 6750 §2.1).
const KEY: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// Why a text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Short tokens can be guessed.
    #[error("the token is shorter than {MIN_LENGTH} characters")]
    TooShort,
    /// It would not survive the journey in a header.
    #[error("the token has characters other than printable ASCII without blanks")]
    Unprintable,
}

/// A secret that both ends of a channel know. Neither `Debug` nor HTTP/2 header tables keep it.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Token {
    /// Checks the text and keeps it ready to be sent.
    ///
    /// # Errors
    /// Either [`TokenError`].
    pub fn new(secret: &SecretString) -> Result<Self, TokenError> {
        let secret = secret.expose_secret();
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unprintable);
        }
        if secret.len() < MIN_LENGTH {
            return Err(TokenError::TooShort);
        }
        let mut value = MetadataValue::try_from(format!("{SCHEME}{secret}"))
            .map_err(|_| TokenError::Unprintable)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn show(&self, metadata: &mut MetadataMap) {
        metadata.insert(KEY, self.0.clone());
    }

    /// Whether the other side showed this token. The time it takes tells the length at most.
    pub(crate) fn is_shown(&self, metadata: &MetadataMap) -> bool {
        metadata.get(KEY).is_some_and(|shown| {
            self.0
                .as_encoded_bytes()
                .ct_eq(shown.as_encoded_bytes())
                .into()
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn token(secret: &str) -> Result<Token, TokenError> {
        Token::new(&SecretString::from(secret))
    }

    #[test]
    fn only_the_same_token_opens() {
        let ours = token("0123456789abcdef0123456789abcdef").unwrap();
        let other = token("0123456789abcdef0123456789abcdeg").unwrap();
        let mut metadata = MetadataMap::new();
        assert!(!ours.is_shown(&metadata));
        other.show(&mut metadata);
        assert!(!ours.is_shown(&metadata));
        ours.show(&mut metadata);
        assert!(ours.is_shown(&metadata));
    }

    #[test]
    fn short_and_unprintable_tokens_are_refused() {
        assert_eq!(token("secret").unwrap_err(), TokenError::TooShort);
        assert_eq!(
            token("0123456789abcdef 0123456789abcdef").unwrap_err(),
            TokenError::Unprintable
        );
    }

    #[test]
    fn debug_tells_nothing() {
        let token = token("0123456789abcdef0123456789abcdef").unwrap();
        assert!(!format!("{token:?}").contains("0123"));
    }
}
