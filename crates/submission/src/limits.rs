//! How much one account may send, and how often one client may guess passwords.
//!
//! Counts are kept by each process for itself: of several instances behind one name, each grants
//! as much.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use smtp::Mailbox;
use smtp_net::AddressGroup;

/// Most clients whose failed logins are remembered; a new one then takes the place of another.
const MAX_CLIENTS: u64 = 100_000;

/// Messages per account and hour.
#[derive(Debug)]
pub(crate) struct MessageAllowance(DefaultKeyedRateLimiter<Mailbox>);

impl MessageAllowance {
    /// So many at once; what was used comes back evenly over an hour.
    pub(crate) fn per_hour(messages: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_hour(messages)))
    }

    /// Takes one message off the allowance, if there is any left.
    pub(crate) fn take(&self, account: &Mailbox) -> bool {
        self.0.check_key(account).is_ok()
    }

    /// Forgets the accounts whose allowance is whole again. To be called every now and then:
    /// nothing else makes the table smaller.
    pub(crate) fn forget_idle(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// Failed logins per client, whatever the accounts, so that passwords cannot be guessed over many
/// connections.
#[derive(Debug)]
pub(crate) struct FailedLogins {
    limit: u32,
    counts: Cache<AddressGroup, Arc<AtomicU32>>,
}

impl FailedLogins {
    /// At most `limit` from one client within `window`, which starts at its first.
    pub(crate) fn new(limit: NonZeroU32, window: Duration) -> Self {
        Self {
            limit: limit.get(),
            counts: Cache::builder()
                .max_capacity(MAX_CLIENTS)
                .time_to_live(window)
                .build(),
        }
    }

    /// Whether the client has used up its failures. Asked before a password is looked at, else a
    /// lucky guess would still be told from an unlucky one.
    pub(crate) fn is_exhausted(&self, client: IpAddr) -> bool {
        self.counts
            .get(&AddressGroup::of(client))
            .is_some_and(|count| count.load(Ordering::Relaxed) >= self.limit)
    }

    /// Counts one.
    pub(crate) fn add(&self, client: IpAddr) {
        self.counts
            .get_with(AddressGroup::of(client), Arc::default)
            .fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_account_has_its_own_allowance() {
        let allowance = MessageAllowance::per_hour(NonZeroU32::new(2).unwrap());
        let jo = "jo@example.org".parse().unwrap();
        let al = "al@example.org".parse().unwrap();
        assert!(allowance.take(&jo) && allowance.take(&jo));
        assert!(!allowance.take(&jo));
        assert!(allowance.take(&al));
        allowance.forget_idle();
        assert!(!allowance.take(&jo), "an account in use is not forgotten");
    }

    #[test]
    fn each_client_has_its_own_failures() {
        let failures = FailedLogins::new(NonZeroU32::new(2).unwrap(), Duration::from_secs(900));
        let client = "2001:db8::1".parse().unwrap();
        let same_network = "2001:db8::2".parse().unwrap();
        let other = "2001:db8:0:1::1".parse().unwrap();
        failures.add(client);
        assert!(!failures.is_exhausted(client));
        failures.add(same_network);
        assert!(failures.is_exhausted(client));
        assert!(!failures.is_exhausted(other));
    }
}
