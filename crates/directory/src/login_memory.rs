//! Logins remembered for a minute, so that a busy mail client does not cost a password hash each
//! time.
//!
//! What is remembered is no password but a keyed hash of it, under a key that exists in this
//! process only; it counts only with the credential version that the database has now, so a new
//! password and a disabled account take effect at once. Wrong passwords are never remembered: each
//! costs a full hash.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use subtle::ConstantTimeEq;

use crate::name::AccountName;

/// How long a login is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// Most logins remembered.
const MEMORY_ENTRIES: u64 = 50_000;
/// The least that Argon2 takes, 8 KiB in one pass: the key makes it strong, not the work.
const PARAMETERS: (u32, u32, u32) = (8, 1, 1);
/// Before the account's name in the salt: says what the hash is for, and makes any salt long enough.
const PURPOSE: &str = "remembered login of ";

const OCTETS: usize = 32;
type KeyedHash = [u8; OCTETS];

/// Right passwords that were shown of late. Clones share it.
#[derive(Clone)]
pub(crate) struct LoginMemory {
    key: Arc<SecretBox<[u8; OCTETS]>>,
    logins: Cache<AccountName, Remembered>,
}

#[derive(Clone, Copy)]
struct Remembered {
    credential_version: i64,
    password: KeyedHash,
}

impl LoginMemory {
    pub(crate) fn new() -> Self {
        Self {
            key: Arc::new(SecretBox::init_with(rand::random)),
            logins: Cache::builder()
                .max_capacity(MEMORY_ENTRIES)
                .time_to_live(MEMORY)
                .build(),
        }
    }

    /// Whether this password was right for this version of the credentials within the last minute.
    pub(crate) fn knows(
        &self,
        account: &AccountName,
        credential_version: i64,
        password: &SecretString,
    ) -> bool {
        let Some(remembered) = self.logins.get(account) else {
            return false;
        };
        remembered.credential_version == credential_version
            && self
                .keyed_hash(account, password)
                .is_some_and(|shown| shown.ct_eq(&remembered.password).into())
    }

    /// Remembers a password that was right.
    pub(crate) fn remember(
        &self,
        account: &AccountName,
        credential_version: i64,
        password: &SecretString,
    ) {
        if let Some(password) = self.keyed_hash(account, password) {
            let remembered = Remembered {
                credential_version,
                password,
            };
            self.logins.insert(account.clone(), remembered);
        }
    }

    /// None when it cannot be computed: then nothing is remembered.
    fn keyed_hash(&self, account: &AccountName, password: &SecretString) -> Option<KeyedHash> {
        let (memory, passes, lanes) = PARAMETERS;
        let parameters = Params::new(memory, passes, lanes, Some(OCTETS)).ok()?;
        let key = self.key.expose_secret();
        let hasher =
            Argon2::new_with_secret(key, Algorithm::Argon2id, Version::V0x13, parameters).ok()?;
        let salt = format!("{PURPOSE}{account}");
        let mut hash = KeyedHash::default();
        hasher
            .hash_password_into(
                password.expose_secret().as_bytes(),
                salt.as_bytes(),
                &mut hash,
            )
            .ok()?;
        Some(hash)
    }
}

impl fmt::Debug for LoginMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginMemory")
            .field("logins", &self.logins.entry_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use smtp::Mailbox;

    use super::*;

    fn account(address: &str) -> AccountName {
        AccountName::from_mailbox(&Mailbox::parse(address).unwrap()).unwrap()
    }

    #[test]
    fn only_the_same_password_of_the_same_account_and_version_is_known() {
        let memory = LoginMemory::new();
        let (alice, bob) = (account("a@b.example"), account("bob@example.org"));
        let password = SecretString::from("correct horse");
        memory.remember(&alice, 3, &password);
        assert!(memory.knows(&alice, 3, &password));
        assert!(!memory.knows(&alice, 3, &"Correct horse".into()));
        assert!(!memory.knows(&alice, 3, &"".into()));
        assert!(!memory.knows(&alice, 4, &password));
        assert!(!memory.knows(&bob, 3, &password));
    }

    #[test]
    fn the_same_password_is_remembered_differently_by_each_account_and_process() {
        let (here, there) = (LoginMemory::new(), LoginMemory::new());
        let (alice, bob) = (account("alice@example.org"), account("bob@example.org"));
        let password = SecretString::from("correct horse");
        let hash = here.keyed_hash(&alice, &password).unwrap();
        assert_ne!(hash, here.keyed_hash(&bob, &password).unwrap());
        assert_ne!(hash, there.keyed_hash(&alice, &password).unwrap());
        assert_eq!(hash, here.keyed_hash(&alice, &password).unwrap());
    }
}
