//! From an address to accounts.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use smtp::Mailbox;

use crate::Directory;
use crate::database::from_row;
use crate::domains::stored_name;
use crate::error::DirectoryError;
use crate::name::AccountName;

/// How long a found address is remembered: as long as another process's change may go unseen.
const MEMORY: Duration = Duration::from_secs(5);
/// Most addresses remembered.
const MEMORY_ENTRIES: u64 = 50_000;

/// All accounts that any of the candidate names ($2, best first) at a domain ($1) leads to.
const FIND: &str = "
SELECT candidate.rank, true AS by_alias, account.local_part, account.domain, account.disabled
  FROM unnest($2::text[]) WITH ORDINALITY AS candidate (local_part, rank)
  JOIN directory.alias ON alias.domain = $1 AND alias.local_part = candidate.local_part
  JOIN directory.account ON account.id = alias.target
UNION ALL
SELECT candidate.rank, false, account.local_part, account.domain, account.disabled
  FROM unnest($2::text[]) WITH ORDINALITY AS candidate (local_part, rank)
  JOIN directory.account
    ON account.domain = $1 AND account.local_part = candidate.local_part
 ORDER BY 1, 4, 3";

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its domain is not ours.
    NotLocal,
    /// Nobody by this name at a domain of ours.
    Unknown,
    /// All accounts behind it are disabled.
    Disabled,
    /// Mail for it lands in at least one mailbox.
    Mailbox,
}

/// Where mail for an address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Its domain is not ours.
    NotLocal,
    /// Nobody by this name at a domain of ours.
    Unknown,
    /// All accounts behind it are disabled.
    Disabled,
    /// The enabled accounts behind it, at least one; aliases are expanded.
    Accounts(Vec<AccountName>),
}

/// All that the directory has under one address.
#[derive(Debug)]
struct Entry {
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    account: AccountName,
    by_alias: bool,
    disabled: bool,
}

from_row! {
    struct TargetRow {
        rank: i64,
        by_alias: bool,
        local_part: String,
        domain: String,
        disabled: bool,
    }
}

/// Found addresses by their candidate names. What is not found is asked for every time: callers
/// remember refusals themselves, and a new account works at once.
#[derive(Clone, Debug)]
pub(crate) struct EntryCache(Cache<Vec<AccountName>, Arc<Entry>>);

impl EntryCache {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MEMORY_ENTRIES)
                .time_to_live(MEMORY)
                .build(),
        )
    }

    fn get(&self, candidates: &[AccountName]) -> Option<Arc<Entry>> {
        self.0.get(candidates)
    }

    fn remember(&self, candidates: Vec<AccountName>, entry: &Arc<Entry>) {
        self.0.insert(candidates, Arc::clone(entry));
    }

    /// After a change of our own.
    pub(crate) fn forget_all(&self) {
        self.0.invalidate_all();
    }
}

impl Directory {
    /// What `mailbox` is to us.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn lookup(&self, mailbox: &Mailbox) -> Result<Lookup, DirectoryError> {
        Ok(match self.resolve(mailbox).await? {
            Resolution::NotLocal => Lookup::NotLocal,
            Resolution::Unknown => Lookup::Unknown,
            Resolution::Disabled => Lookup::Disabled,
            Resolution::Accounts(_) => Lookup::Mailbox,
        })
    }

    /// The accounts in which mail for `mailbox` lands. The answer may be up to 5 s old.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        match self.entry(mailbox).await? {
            Some(entry) => Ok(entry.resolution()),
            None => self.resolve_missing(mailbox).await,
        }
    }

    /// Whether `account` may use `address` as its sender: its own address, with or without a tag,
    /// and the aliases that lead to it.
    ///
    /// # Errors
    /// [`DirectoryError::Database`].
    pub async fn may_send_as(
        &self,
        account: &Mailbox,
        address: &Mailbox,
    ) -> Result<bool, DirectoryError> {
        let Ok(account) = AccountName::from_mailbox(account) else {
            return Ok(false);
        };
        let entry = self.entry(address).await?;
        Ok(entry.is_some_and(|entry| entry.leads_to(&account)))
    }

    async fn entry(&self, mailbox: &Mailbox) -> Result<Option<Arc<Entry>>, DirectoryError> {
        let candidates = AccountName::candidates(mailbox);
        if candidates.is_empty() {
            return Ok(None);
        }
        if let Some(entry) = self.entries.get(&candidates) {
            return Ok(Some(entry));
        }
        let Some(entry) = self.find(&candidates).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.entries.remember(candidates, &entry);
        Ok(Some(entry))
    }

    async fn find(&self, candidates: &[AccountName]) -> Result<Option<Entry>, DirectoryError> {
        let domain = candidates.first().map(|name| name.domain().as_str());
        let local_parts: Vec<&str> = candidates.iter().map(AccountName::local_part).collect();
        let find = sqlx::query(FIND).bind(domain).bind(local_parts);
        let rows: Vec<TargetRow> = self.database.fetch_all(find).await?;
        let Some(best) = rows.first().map(|row| row.rank) else {
            return Ok(None);
        };
        let targets = rows
            .into_iter()
            .take_while(|row| row.rank == best)
            .map(Target::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Some(Entry { targets }))
    }

    async fn resolve_missing(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        match mailbox.domain().name() {
            Some(domain) if self.is_local(domain).await? => Ok(Resolution::Unknown),
            _ => Ok(Resolution::NotLocal),
        }
    }
}

impl TryFrom<TargetRow> for Target {
    type Error = DirectoryError;

    fn try_from(row: TargetRow) -> Result<Self, Self::Error> {
        Ok(Self {
            account: stored_name(&row.local_part, &row.domain)?,
            by_alias: row.by_alias,
            disabled: row.disabled,
        })
    }
}

impl Entry {
    /// An alias wins over the account of the same name.
    fn resolution(&self) -> Resolution {
        let is_alias = self.targets.iter().any(|target| target.by_alias);
        let accounts: Vec<AccountName> = self
            .targets
            .iter()
            .filter(|target| target.by_alias == is_alias && !target.disabled)
            .map(|target| target.account.clone())
            .collect();
        if accounts.is_empty() {
            return Resolution::Disabled;
        }
        Resolution::Accounts(accounts)
    }

    /// An account keeps the right to its own address when an alias redirects its mail.
    fn leads_to(&self, account: &AccountName) -> bool {
        self.targets
            .iter()
            .any(|target| target.account == *account && !target.disabled)
    }
}
