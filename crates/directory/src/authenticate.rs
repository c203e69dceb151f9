//! Who may log in.

use secrecy::SecretString;
use smtp::Mailbox;

use crate::Directory;
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

#[derive(sqlx::FromRow)]
struct Credentials {
    tenant: i64,
    password_hash: Option<String>,
    disabled: bool,
    credential_version: i64,
}

impl Directory {
    /// Checks a password. The login is the account's whole address, in any case; aliases and tags
    /// do not log in. Unknown and disabled accounts take as long as wrong passwords.
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
        let hash = stored
            .as_ref()
            .and_then(|stored| stored.password_hash.clone());
        let is_right = self.hashing.verify(password, hash).await?;
        Ok(match (name, stored) {
            (Some(account), Some(stored)) if is_right && !stored.disabled => {
                Authentication::Accepted(Login {
                    account,
                    tenant: stored.tenant,
                    credential_version: stored.credential_version,
                })
            }
            _ => Authentication::Rejected,
        })
    }

    async fn credentials(&self, name: &AccountName) -> Result<Option<Credentials>, DirectoryError> {
        Ok(sqlx::query_as(CREDENTIALS)
            .bind(name.domain().as_str())
            .bind(name.local_part())
            .fetch_optional(&self.pool)
            .await?)
    }
}
