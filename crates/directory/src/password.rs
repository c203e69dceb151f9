//! Password hashes: argon2id, off the async threads, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{ChangeError, DirectoryError};

/// Fewest characters of a new password (NIST SP 800-63B-3 §5.1.1.1).
pub const MIN_PASSWORD: usize = 8;
/// Most characters of a password; what is longer is an attack, not a password.
pub const MAX_PASSWORD: usize = 1024;

/// How long a login waits for its turn. The submission service answers `454 4.7.0` after that.
const TURN_DEADLINE: Duration = Duration::from_secs(5);

/// 19 MiB, two passes, one lane: the second of the equivalent choices in the OWASP Password
/// Storage Cheat Sheet.
const PARAMETERS: Params = Params::DEFAULT;

/// Hashes and checks passwords.
///
/// Every check takes 19 MiB and some 20 ms of a processor, so no more of them run at a time than
/// there are processors; that bounds memory too.
#[derive(Clone, Debug)]
pub(crate) struct PasswordHashing {
    turns: Arc<Semaphore>,
}

impl PasswordHashing {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new(processors)),
        }
    }

    /// The PHC string of a new password.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, ChangeError> {
        let length = password.expose_secret().chars().count();
        if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&length) {
            return Err(ChangeError::PasswordLength);
        }
        Ok(self
            .take_turn(move || hash_now(password.expose_secret()))
            .await?)
    }

    /// Whether the password is the one that `hash` was made of. Without a hash the answer is no,
    /// after the same amount of work.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<String>,
    ) -> Result<bool, DirectoryError> {
        if password.expose_secret().len() > MAX_PASSWORD * char::MAX.len_utf8() {
            return Ok(false);
        }
        let password = password.clone();
        self.take_turn(move || match hash {
            Some(hash) => verify_now(password.expose_secret(), &hash),
            None => hash_now(password.expose_secret()).map(|_discarded| false),
        })
        .await
    }

    /// The turn is held by the work, not by the caller: a caller that gives up frees no processor.
    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let turn = tokio::time::timeout(TURN_DEADLINE, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_elapsed| DirectoryError::Busy)?
            .map_err(|_closed| DirectoryError::Stopped)?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(|_cancelled| DirectoryError::Stopped)?
    }
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS)
}

fn hash_now(password: &str) -> Result<String, DirectoryError> {
    argon2id()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(DirectoryError::Hash)
}

/// The parameters are those of the stored hash, so that older hashes stay good.
fn verify_now(password: &str, hash: &str) -> Result<bool, DirectoryError> {
    let hash = PasswordHash::new(hash).map_err(|error| DirectoryError::Hash(error.into()))?;
    match argon2id().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(DirectoryError::Hash(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_as_recommended_and_fits_only_its_password() {
        let hashing = PasswordHashing::new();
        let hash = hashing.hash(secret("correct horse")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            hashing
                .verify(&secret("correct horse"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hashing
                .verify(&secret("Correct horse"), Some(hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn without_a_hash_no_password_fits() {
        let hashing = PasswordHashing::new();
        assert!(!hashing.verify(&secret(""), None).await.unwrap());
        assert!(!hashing.verify(&secret("whatever"), None).await.unwrap());
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        let hashing = PasswordHashing::new();
        for password in ["", "1234567", &"x".repeat(MAX_PASSWORD + 1)] {
            let refused = hashing.hash(secret(password)).await;
            assert!(matches!(refused, Err(ChangeError::PasswordLength)));
        }
        assert!(hashing.hash(secret("pässwörd")).await.is_ok());
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let hashing = PasswordHashing::new();
        let damaged = hashing
            .verify(&secret("whatever"), Some("$argon2id$".into()))
            .await;
        assert!(matches!(damaged, Err(DirectoryError::Hash(_))));
    }
}
