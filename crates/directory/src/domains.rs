//! Local domains.

use smtp::Domain;
use time::OffsetDateTime;

use crate::Directory;
use crate::error::{ChangeError, DirectoryError};
use crate::name::AccountName;

/// A domain comes with its `postmaster` account and `abuse` as an alias for it, all or nothing.
const ADD: &str = "
WITH added AS (
    INSERT INTO directory.domain (name, tenant)
    VALUES ($1, coalesce($2, nextval('directory.tenant')))
    ON CONFLICT DO NOTHING
    RETURNING name, tenant
), postmaster AS (
    INSERT INTO directory.account (domain, tenant, local_part)
    SELECT name, tenant, 'postmaster' FROM added
    RETURNING id, domain
), abuse AS (
    INSERT INTO directory.alias (domain, local_part, target)
    SELECT domain, 'abuse', id FROM postmaster
)
SELECT tenant FROM added";
const LIST: &str = "SELECT name, tenant, created_at FROM directory.domain ORDER BY name";
const EXISTS: &str = "SELECT EXISTS (SELECT FROM directory.domain WHERE name = $1)";
const OLDEST: &str = "SELECT name FROM directory.domain ORDER BY created_at, name LIMIT 1";

/// The local part that every domain must have (RFC 5321 §4.5.1).
const POSTMASTER: &str = "postmaster";

/// A local domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainEntry {
    /// The name, in lower case.
    pub name: Domain,
    /// Whose it is; the queue is fair between tenants.
    pub tenant: i64,
    /// When it was added.
    pub created_at: OffsetDateTime,
}

impl Directory {
    /// Adds a domain and answers its tenant: the one given, or a new one.
    ///
    /// With it come the account `postmaster` and the alias `abuse` that leads there (RFC 5321
    /// §4.5.1, RFC 2142 §4), so that both land in a mailbox from the first moment. Nobody can log
    /// in as `postmaster` until a password is set; aliases can send both elsewhere.
    ///
    /// # Errors
    /// [`ChangeError::DomainExists`] or [`ChangeError::Unavailable`].
    pub async fn add_domain(
        &self,
        domain: &Domain,
        tenant: Option<i64>,
    ) -> Result<i64, ChangeError> {
        let adding = sqlx::query(ADD).bind(domain.as_str()).bind(tenant);
        let added: Option<(i64,)> = self.database.fetch_optional(adding).await?;
        let (tenant,) = added.ok_or_else(|| ChangeError::DomainExists(domain.clone()))?;
        Ok(tenant)
    }

    /// All local domains, by name.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn list_domains(&self) -> Result<Vec<DomainEntry>, DirectoryError> {
        let rows: Vec<(String, i64, OffsetDateTime)> =
            self.database.fetch_all(sqlx::query(LIST)).await?;
        rows.into_iter()
            .map(|(name, tenant, created_at)| {
                Ok(DomainEntry {
                    name: stored_domain(&name)?,
                    tenant,
                    created_at,
                })
            })
            .collect()
    }

    /// Whether mail for `domain` is ours.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        let exists = sqlx::query(EXISTS).bind(domain.as_str());
        let (exists,) = self.database.fetch_one(exists).await?;
        Ok(exists)
    }

    /// Whom `<postmaster>` without a domain means: the postmaster of the oldest domain. None
    /// while there is no domain.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn postmaster(&self) -> Result<Option<AccountName>, DirectoryError> {
        let oldest: Option<(String,)> = self.database.fetch_optional(sqlx::query(OLDEST)).await?;
        oldest
            .map(|(domain,)| stored_name(POSTMASTER, &domain))
            .transpose()
    }
}

pub(crate) fn stored_domain(name: &str) -> Result<Domain, DirectoryError> {
    Domain::parse(name).map_err(undecodable)
}

pub(crate) fn stored_name(local_part: &str, domain: &str) -> Result<AccountName, DirectoryError> {
    AccountName::new(local_part, stored_domain(domain)?).map_err(undecodable)
}

/// Rows are checked on their way in; one that cannot be read is a fault of the database.
fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> DirectoryError {
    DirectoryError::Database(sqlx::Error::Decode(Box::new(error)))
}
