//! Who may log in.

use secrecy::SecretString;
use smtp::Mailbox;

use crate::Directory;
use crate::database::from_row;
use crate::error::DirectoryError;
use crate::name::AccountName;

const CREDENTIALS: &str = "
SELECT tenant, password_hash, disabled, credential_version
  FROM directory.account
 WHERE domain = $1 AND local_part = $2";

/// The verdict on a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The password is right.
    Accepted(Login),
    /// Unknown, disabled, without a password, or a wrong password: never told which.
    Rejected,
}

/// An account that has shown its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub account: AccountName,
    /// Whose it is.
    pub tenant: i64,
    /// Grows with every change of the credentials.
    pub credential_version: i64,
}

from_row! {
    struct Credentials {
        tenant: i64,
        password_hash: Option<String>,
        disabled: bool,
        credential_version: i64,
    }
}

impl Directory {
    /// Checks a password. The login is the account's whole address, in any case; aliases and tags
    /// do not log in. Unknown accounts take as long as wrong passwords. A right password is
    /// remembered for a minute, or until the account changes.
    ///
    /// # Errors
    /// [`DirectoryError`], all of them passing.
    pub async fn authenticate(
        &self,
        login: &str,
        password: SecretString,
    ) -> Result<Authentication, DirectoryError> {
        let name = Mailbox::parse(login)
            .ok()
            .and_then(|mailbox| AccountName::from_mailbox(&mailbox).ok());
        let stored = match &name {
            Some(name) => self.credentials(name).await?,
            None => None,
        };
        let (Some(account), Some(stored)) = (name, stored) else {
            self.hashing.verify(&password, None).await?;
            return Ok(Authentication::Rejected);
        };
        if !self.is_right(&account, &stored, password).await? || stored.disabled {
            return Ok(Authentication::Rejected);
        }
        Ok(Authentication::Accepted(Login {
            account,
            tenant: stored.tenant,
            credential_version: stored.credential_version,
        }))
    }

    async fn is_right(
        &self,
        account: &AccountName,
        stored: &Credentials,
        password: SecretString,
    ) -> Result<bool, DirectoryError> {
        let version = stored.credential_version;
        if self.logins.knows(account, version, &password) {
            return Ok(true);
        }
        let hash = stored.password_hash.clone();
        let is_right = self.hashing.verify(&password, hash).await?;
        if is_right {
            self.logins.remember(account, version, &password);
        }
        Ok(is_right)
    }

    async fn credentials(&self, name: &AccountName) -> Result<Option<Credentials>, DirectoryError> {
        let credentials = sqlx::query(CREDENTIALS)
            .bind(name.domain().as_str())
            .bind(name.local_part());
        Ok(self.database.fetch_optional(credentials).await?)
    }
}
