//! What waits for one next hop, in fair order: tenants take turns, and each tenant's units go first
//! in, first out. So a tenant with a million messages is overtaken by another's first.

use std::collections::{HashMap, VecDeque};

use queue::Tenant;

/// A queue that serves tenants in turn.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    waiting: HashMap<Tenant, VecDeque<T>>,
    turns: VecDeque<Tenant>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts one behind those of its tenant.
    pub(crate) fn push(&mut self, tenant: Tenant, item: T) {
        let line = self.waiting.entry(tenant).or_default();
        if line.is_empty() {
            self.turns.push_back(tenant);
        }
        line.push_back(item);
        self.len += 1;
    }

    /// Takes the first of the tenant whose turn it is, and with it those that follow it directly
    /// and that `joins` says belong to it, `most` in all.
    pub(crate) fn pop_group(&mut self, most: usize, joins: impl Fn(&T, &T) -> bool) -> Vec<T> {
        let Some(tenant) = self.turns.pop_front() else {
            return Vec::new();
        };
        let Some(line) = self.waiting.get_mut(&tenant) else {
            return Vec::new();
        };
        let mut group: Vec<T> = line.pop_front().into_iter().collect();
        while group.len() < most
            && let Some(next) = line.front()
            && group.first().is_some_and(|first| joins(first, next))
        {
            group.extend(line.pop_front());
        }
        self.len -= group.len();
        if line.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        group
    }

    /// Takes everything.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.len = 0;
        self.waiting.drain().flat_map(|(_, line)| line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone<T>(_: &T, _: &T) -> bool {
        false
    }

    #[test]
    fn a_tenant_with_many_is_overtaken_by_anothers_first() {
        let mut queue = FairQueue::default();
        for n in 0..1000 {
            queue.push(Tenant(1), n);
        }
        queue.push(Tenant(2), 5000);
        assert_eq!(queue.pop_group(1, alone), [0]);
        assert_eq!(queue.pop_group(1, alone), [5000]);
        assert_eq!(queue.pop_group(1, alone), [1]);
        assert_eq!(queue.len(), 998);
    }

    #[test]
    fn a_group_takes_what_follows_directly() {
        let mut queue = FairQueue::default();
        for item in ["a1", "a2", "b1", "a3"] {
            queue.push(Tenant(1), item);
        }
        let same = |x: &&str, y: &&str| x[..1] == y[..1];
        assert_eq!(queue.pop_group(10, same), ["a1", "a2"]);
        assert_eq!(queue.pop_group(10, same), ["b1"]);
        assert_eq!(queue.pop_group(10, same), ["a3"]);
        assert!(queue.is_empty());
        assert!(queue.pop_group(10, same).is_empty());
    }

    #[test]
    fn drained_queues_are_empty() {
        let mut queue = FairQueue::default();
        queue.push(Tenant(1), 1);
        queue.push(Tenant(2), 2);
        assert_eq!(queue.drain().len(), 2);
        assert!(queue.is_empty());
        assert!(queue.pop_group(1, alone).is_empty());
    }
}
