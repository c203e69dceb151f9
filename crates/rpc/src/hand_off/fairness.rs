//! Which tenant fills the hand-off just now.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use queue::Tenant;

/// After so many units all counts are halved, so that only the recent past weighs.
const HORIZON: u64 = 1_024;

/// Counts what each tenant has handed off of late. Bounded: a tenant is forgotten when its count
/// is halved to nothing.
#[derive(Default)]
pub(super) struct Usage {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    by_tenant: HashMap<Tenant, u64>,
    total: u64,
}

impl Usage {
    /// Whether more than half of the recent units were this tenant's. Such a tenant leaves a
    /// reserve to the others, who so overtake it (DESIGN §3, promise 9).
    pub(super) fn is_filling(&self, tenant: Tenant) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.by_tenant.get(&tenant).copied().unwrap_or_default();
        own * 2 > counts.total
    }

    /// Notes units that a tenant has got credit for.
    pub(super) fn note(&self, tenant: Tenant, units: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total += units;
        *counts.by_tenant.entry(tenant).or_default() += units;
        if counts.total >= HORIZON {
            counts.by_tenant.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
            counts.total = counts.by_tenant.values().sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tenant_with_most_of_the_units_is_filling() {
        let usage = Usage::default();
        assert!(!usage.is_filling(Tenant(1)));
        usage.note(Tenant(1), 2);
        usage.note(Tenant(2), 1);
        assert!(usage.is_filling(Tenant(1)));
        assert!(!usage.is_filling(Tenant(2)));
        assert!(!usage.is_filling(Tenant(3)));
    }

    #[test]
    fn the_past_is_forgotten() {
        let usage = Usage::default();
        usage.note(Tenant(1), HORIZON);
        for _ in 0..8 * HORIZON {
            usage.note(Tenant(2), 1);
            usage.note(Tenant(3), 1);
        }
        assert!(!usage.is_filling(Tenant(1)));
        assert!(
            usage
                .counts
                .lock()
                .is_ok_and(|counts| counts.by_tenant.len() <= 2)
        );
    }
}
