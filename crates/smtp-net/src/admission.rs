//! How many connections a listener takes, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::address_group::AddressGroup;
use crate::metrics;

/// The limits of one listener, and what is in use.
pub(crate) struct Admission {
    max_connections: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_group: HashMap<AddressGroup, usize>,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The listener has as many as it takes.
    Full,
    /// The address has as many as one address may.
    TooManyFromAddress,
}

impl Admission {
    pub(crate) fn new(max_connections: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max_connections,
            max_per_address,
            open: Mutex::default(),
        })
    }

    /// Counts a connection in, until the returned value is dropped.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Refusal> {
        let group = AddressGroup::of(address);
        let mut open = self.open();
        if open.total >= self.max_connections {
            return Err(Refusal::Full);
        }
        let of_group = open.by_group.get(&group).copied().unwrap_or(0);
        if of_group >= self.max_per_address {
            return Err(Refusal::TooManyFromAddress);
        }
        open.by_group.insert(group, of_group + 1);
        open.total += 1;
        metrics::taken();
        Ok(Admitted {
            admission: Arc::clone(self),
            group,
        })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted connection.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    group: AddressGroup,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total -= 1;
        metrics::left();
        if let Some(of_group) = open.by_group.get_mut(&self.group) {
            *of_group -= 1;
            if *of_group == 0 {
                open.by_group.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn an_address_has_its_limit_and_the_listener_another() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(address(1)).ok().unwrap();
        let _second = admission.admit(address(1)).ok().unwrap();
        assert_eq!(
            admission.admit(address(1)).err(),
            Some(Refusal::TooManyFromAddress)
        );
        let _third = admission.admit(address(2)).ok().unwrap();
        assert_eq!(admission.admit(address(3)).err(), Some(Refusal::Full));
        drop(first);
        assert!(admission.admit(address(1)).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let admission = Admission::new(10, 0);
        assert!(admission.admit(address(1)).is_err());
        let admission = Admission::new(10, 1);
        drop(admission.admit(address(1)));
        let open = admission.open();
        assert_eq!((open.total, open.by_group.len()), (0, 0));
    }
}
