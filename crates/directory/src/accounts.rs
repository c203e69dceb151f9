//! Accounts: mailboxes, most of which someone can log in to.

use secrecy::SecretString;
use smtp::{Domain, Mailbox};
use time::OffsetDateTime;

use crate::Directory;
use crate::database::from_row;
use crate::domains::stored_name;
use crate::error::{ChangeError, DirectoryError};
use crate::name::AccountName;

const ADD: &str = "
INSERT INTO directory.account (domain, tenant, local_part, password_hash)
SELECT name, tenant, $2, $3 FROM directory.domain WHERE name = $1
ON CONFLICT DO NOTHING";
const SET_PASSWORD: &str = "
UPDATE directory.account
   SET password_hash = $3, credential_version = credential_version + 1
 WHERE domain = $1 AND local_part = $2";
const SET_DISABLED: &str = "
UPDATE directory.account
   SET disabled = $3, credential_version = credential_version + 1
 WHERE domain = $1 AND local_part = $2";
const LIST: &str = "
SELECT local_part, domain, tenant, password_hash IS NOT NULL AS has_password, disabled, created_at
  FROM directory.account
 WHERE ($1::text IS NULL OR domain = $1)
   AND (domain, local_part) > (coalesce($2, ''), coalesce($3, ''))
 ORDER BY domain, local_part
 LIMIT $4";

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its address, which is also the name to log in with.
    pub name: AccountName,
    /// Whose it is: its domain's tenant.
    pub tenant: i64,
    /// Whether anyone can log in.
    pub has_password: bool,
    /// Disabled accounts neither log in nor receive.
    pub disabled: bool,
    /// When it was added.
    pub created_at: OffsetDateTime,
}

from_row! {
    struct AccountRow {
        local_part: String,
        domain: String,
        tenant: i64,
        has_password: bool,
        disabled: bool,
        created_at: OffsetDateTime,
    }
}

impl TryFrom<AccountRow> for Account {
    type Error = DirectoryError;

    fn try_from(row: AccountRow) -> Result<Self, Self::Error> {
        Ok(Self {
            name: stored_name(&row.local_part, &row.domain)?,
            tenant: row.tenant,
            has_password: row.has_password,
            disabled: row.disabled,
            created_at: row.created_at,
        })
    }
}

impl Directory {
    /// Adds an account at a local domain.
    ///
    /// # Errors
    /// [`ChangeError::Name`], [`ChangeError::PasswordLength`], [`ChangeError::NoSuchDomain`],
    /// [`ChangeError::AccountExists`], [`ChangeError::AliasExists`] or
    /// [`ChangeError::Unavailable`].
    pub async fn add_account(
        &self,
        mailbox: &Mailbox,
        password: SecretString,
    ) -> Result<AccountName, ChangeError> {
        let name = AccountName::from_mailbox(mailbox)?;
        if !self.is_local(name.domain()).await? {
            return Err(ChangeError::NoSuchDomain(name.domain().clone()));
        }
        if self.is_alias(&name).await? {
            return Err(ChangeError::AliasExists(name));
        }
        let hash = self.hashing.hash(password).await?;
        let adding = sqlx::query(ADD)
            .bind(name.domain().as_str())
            .bind(name.local_part())
            .bind(hash);
        if self.database.execute(adding).await? == 0 {
            return Err(ChangeError::AccountExists(name));
        }
        self.entries.forget_all();
        Ok(name)
    }

    /// Gives an account a new password.
    ///
    /// # Errors
    /// [`ChangeError::Name`], [`ChangeError::PasswordLength`], [`ChangeError::NoSuchAccount`] or
    /// [`ChangeError::Unavailable`].
    pub async fn set_password(
        &self,
        mailbox: &Mailbox,
        password: SecretString,
    ) -> Result<(), ChangeError> {
        let name = AccountName::from_mailbox(mailbox)?;
        let hash = self.hashing.hash(password).await?;
        let change = sqlx::query(SET_PASSWORD)
            .bind(name.domain().as_str())
            .bind(name.local_part())
            .bind(hash);
        must_have_changed(self.database.execute(change).await?, name)
    }

    /// Disables an account, or enables it again. A disabled account neither logs in nor receives.
    ///
    /// # Errors
    /// [`ChangeError::Name`], [`ChangeError::NoSuchAccount`] or [`ChangeError::Unavailable`].
    pub async fn set_disabled(&self, mailbox: &Mailbox, disabled: bool) -> Result<(), ChangeError> {
        let name = AccountName::from_mailbox(mailbox)?;
        let change = sqlx::query(SET_DISABLED)
            .bind(name.domain().as_str())
            .bind(name.local_part())
            .bind(disabled);
        let changed = self.database.execute(change).await?;
        self.entries.forget_all();
        must_have_changed(changed, name)
    }

    /// A page of accounts in the order of domain and local part: at most `limit` of those that
    /// come after `after`, of one domain or of all.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn list_accounts(
        &self,
        domain: Option<&Domain>,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Vec<Account>, DirectoryError> {
        let list = sqlx::query(LIST)
            .bind(domain.map(Domain::as_str))
            .bind(after.map(|name| name.domain().as_str()))
            .bind(after.map(AccountName::local_part))
            .bind(i64::from(limit));
        let rows: Vec<AccountRow> = self.database.fetch_all(list).await?;
        rows.into_iter().map(Account::try_from).collect()
    }
}

fn must_have_changed(rows: u64, name: AccountName) -> Result<(), ChangeError> {
    if rows == 0 {
        return Err(ChangeError::NoSuchAccount(name));
    }
    Ok(())
}
