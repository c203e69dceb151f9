//! Aliases: addresses that lead to accounts.
//!
//! A target is an account, never another alias, so that no loop can be written down. At the
//! address of an account, the alias wins: name the account among the targets to keep a copy.

use smtp::{Domain, Mailbox};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::Directory;
use crate::database::{Answer, Statement};
use crate::domains::stored_name;
use crate::error::{ChangeError, DirectoryError};
use crate::name::AccountName;

/// Holds the domain against removal, and orders changes of one alias.
const LOCK_DOMAIN: &str = "SELECT true FROM directory.domain WHERE name = $1 FOR NO KEY UPDATE";
const ADD_TARGET: &str = "
INSERT INTO directory.alias (domain, local_part, target)
SELECT $1, $2, id FROM directory.account WHERE domain = $3 AND local_part = $4
ON CONFLICT (domain, local_part, target) DO UPDATE SET target = excluded.target";
const REMOVE: &str = "DELETE FROM directory.alias WHERE domain = $1 AND local_part = $2";
const EXISTS: &str =
    "SELECT EXISTS (SELECT FROM directory.alias WHERE domain = $1 AND local_part = $2)";
const LIST: &str = "
SELECT alias.domain, alias.local_part,
       array_agg(account.local_part ORDER BY account.domain, account.local_part),
       array_agg(account.domain ORDER BY account.domain, account.local_part)
  FROM directory.alias
  JOIN directory.account ON account.id = alias.target
 WHERE $1::text IS NULL OR alias.domain = $1
 GROUP BY alias.domain, alias.local_part
 ORDER BY alias.domain, alias.local_part";

/// An address that leads to accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The address.
    pub name: AccountName,
    /// The accounts, by name.
    pub targets: Vec<AccountName>,
}

/// What becomes of the targets that an alias has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Present {
    Keep,
    Replace,
}

impl Directory {
    /// Makes `address` lead to `targets`, besides those it has.
    ///
    /// # Errors
    /// [`ChangeError::Name`], [`ChangeError::NoSuchDomain`], [`ChangeError::NoTarget`],
    /// [`ChangeError::TargetNotAccount`] or [`ChangeError::Unavailable`].
    pub async fn add_alias(
        &self,
        address: &Mailbox,
        targets: &[Mailbox],
    ) -> Result<(), ChangeError> {
        self.write_alias(address, targets, Present::Keep).await
    }

    /// Makes `address` lead to `targets` and nowhere else.
    ///
    /// # Errors
    /// Those of [`add_alias`](Self::add_alias).
    pub async fn set_alias(
        &self,
        address: &Mailbox,
        targets: &[Mailbox],
    ) -> Result<(), ChangeError> {
        self.write_alias(address, targets, Present::Replace).await
    }

    /// Removes an alias; answers whether there was one.
    ///
    /// # Errors
    /// [`ChangeError::Name`] or [`ChangeError::Unavailable`].
    pub async fn remove_alias(&self, address: &Mailbox) -> Result<bool, ChangeError> {
        let name = AccountName::from_mailbox(address)?;
        let removed = self.database.execute(removal(&name)).await?;
        self.entries.forget_all();
        Ok(removed > 0)
    }

    /// All aliases, of one domain or of all, by name.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn list_aliases(
        &self,
        domain: Option<&Domain>,
    ) -> Result<Vec<Alias>, DirectoryError> {
        let list = sqlx::query(LIST).bind(domain.map(Domain::as_str));
        let rows: Vec<(String, String, Vec<String>, Vec<String>)> =
            self.database.fetch_all(list).await?;
        rows.into_iter()
            .map(|(domain, local_part, target_local_parts, target_domains)| {
                let targets = target_local_parts.iter().zip(&target_domains);
                Ok(Alias {
                    name: stored_name(&local_part, &domain)?,
                    targets: targets
                        .map(|(local_part, domain)| stored_name(local_part, domain))
                        .collect::<Result<_, _>>()?,
                })
            })
            .collect()
    }

    pub(crate) async fn is_alias(&self, name: &AccountName) -> Result<bool, DirectoryError> {
        let exists = sqlx::query(EXISTS)
            .bind(name.domain().as_str())
            .bind(name.local_part());
        let (exists,) = self.database.fetch_one(exists).await?;
        Ok(exists)
    }

    fn write_alias<'a>(
        &'a self,
        address: &'a Mailbox,
        targets: &'a [Mailbox],
        present: Present,
    ) -> Answer<'a, (), ChangeError> {
        Box::pin(async move {
            let name = AccountName::from_mailbox(address)?;
            if targets.is_empty() {
                return Err(ChangeError::NoTarget);
            }
            let mut transaction = self.database.begin().await?;
            lock_domain(&mut transaction, name.domain()).await?;
            if present == Present::Replace {
                removal(&name).execute(&mut *transaction).await?;
            }
            for target in targets {
                add_target(&mut transaction, &name, target).await?;
            }
            transaction.commit().await?;
            self.entries.forget_all();
            Ok(())
        })
    }
}

async fn lock_domain(
    transaction: &mut Transaction<'_, Postgres>,
    domain: &Domain,
) -> Result<(), ChangeError> {
    let found: Option<bool> = sqlx::query_scalar(LOCK_DOMAIN)
        .bind(domain.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(ChangeError::NoSuchDomain(domain.clone())),
    }
}

async fn add_target(
    connection: &mut PgConnection,
    name: &AccountName,
    target: &Mailbox,
) -> Result<(), ChangeError> {
    let not_account = || ChangeError::TargetNotAccount(target.clone());
    let account = AccountName::from_mailbox(target).map_err(|_outside_the_rule| not_account())?;
    let added = sqlx::query(ADD_TARGET)
        .bind(name.domain().as_str())
        .bind(name.local_part())
        .bind(account.domain().as_str())
        .bind(account.local_part())
        .execute(connection)
        .await?;
    if added.rows_affected() == 0 {
        return Err(not_account());
    }
    Ok(())
}

fn removal(name: &AccountName) -> Statement<'_> {
    sqlx::query(REMOVE)
        .bind(name.domain().as_str())
        .bind(name.local_part())
}
