//! The relay's bookkeeping of credits: pure, no I/O.
//!
//! Whatever is free, granted or held adds up to the capacity at all times, so that the sum of all
//! credits and of all mail at hand never exceeds it.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Notify;

use super::INLINE_LIMIT;
use super::load::Load;

/// A new producer starts with this part of the capacity, and gets more as it uses it up: one that
/// has nothing to send doesn't sit on credits that others need.
const FIRST_WINDOW_PART: u64 = 32;
/// New credit is told in lumps of at least this part of the window: few frames.
const LUMP_PART: u64 = 8;
/// A tenant that fills the hand-off may use all but this part of it: the next one finds room.
const RESERVE_PART: u64 = 4;

/// A producer sent more than it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("more was sent than credit was granted for")]
pub(super) struct Overdrawn;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AccountId(u64);

/// One producer.
struct Account {
    /// Promised to the producer, and not used yet.
    granted: Load,
    /// Mail at hand, not finished yet.
    held: Load,
    /// What granted and held should come to.
    window: Load,
    /// Whether it was granted anything before.
    is_known: bool,
    /// Got less than it could have used, for there was no more.
    is_starved: bool,
    /// Its stream has ended; what is held is still to come back.
    is_closed: bool,
    wake: Arc<Notify>,
}

impl Account {
    fn in_use(&self) -> Load {
        self.granted + self.held
    }

    /// Whether that much is worth a frame.
    fn is_lump(&self, load: Load) -> bool {
        let lump = self.window.scaled(1, LUMP_PART);
        load.units >= lump.units.max(1) || load.bytes >= lump.bytes.max(1)
    }
}

/// Who may send how much.
pub(super) struct Books {
    total: Load,
    free: Load,
    accounts: HashMap<AccountId, Account>,
    open: u64,
    next_id: u64,
    /// Whether any account is starved: spares a look at all of them.
    any_starved: bool,
}

impl Books {
    pub(super) fn new(total: Load) -> Self {
        Self {
            total,
            free: total,
            accounts: HashMap::new(),
            open: 0,
            next_id: 0,
            any_starved: false,
        }
    }

    /// Lets a producer in. `wake` is told when it can be granted more.
    pub(super) fn open(&mut self, wake: Arc<Notify>) -> AccountId {
        let id = AccountId(self.next_id);
        self.next_id += 1;
        self.open += 1;
        let account = Account {
            granted: Load::ZERO,
            held: Load::ZERO,
            window: self.first_window(),
            is_known: false,
            is_starved: false,
            is_closed: false,
            wake,
        };
        self.accounts.insert(id, account);
        id
    }

    /// Takes back what was granted and not used. What is held comes back by [`Books::release`].
    pub(super) fn close(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        if account.is_closed {
            return;
        }
        account.is_closed = true;
        self.open -= 1;
        self.free += std::mem::take(&mut account.granted);
        if account.held.is_zero() {
            self.accounts.remove(&id);
        }
        self.wake_starved();
    }

    /// Credit to be told to the producer now; zero if it is not worth a frame.
    pub(super) fn grant(&mut self, id: AccountId) -> Load {
        let (share, free) = (self.share(), self.free);
        let Some(account) = self.open_account(id) else {
            return Load::ZERO;
        };
        let half = account.window.scaled(1, 2);
        if account.is_known && !half.fits_in(account.granted) {
            account.window = account.window.scaled(2, 1);
        }
        account.window = account.window.min(share);
        let wanted = account.window.saturating_sub(account.in_use());
        let granted = wanted.min(free);
        account.is_starved = granted != wanted;
        let is_starved = account.is_starved;
        let granted = if account.is_lump(granted) {
            granted
        } else {
            Load::ZERO
        };
        account.is_known |= !granted.is_zero();
        account.granted += granted;
        self.any_starved |= is_starved;
        self.free = self.free.saturating_sub(granted);
        granted
    }

    /// Mail has arrived that credit was granted for.
    pub(super) fn receive(&mut self, id: AccountId, load: Load) -> Result<(), Overdrawn> {
        let account = self.open_account(id).ok_or(Overdrawn)?;
        account.granted = account.granted.checked_sub(load).ok_or(Overdrawn)?;
        account.held += load;
        Ok(())
    }

    /// Takes room without a grant, for a producer in this very process. One that fills the
    /// hand-off finds less room.
    pub(super) fn take(&mut self, id: AccountId, load: Load, is_filling: bool) -> bool {
        let mut limit = self.share();
        if is_filling {
            limit = limit.saturating_sub(limit.scaled(1, RESERVE_PART));
        }
        let Some(free) = self.free.checked_sub(load) else {
            return false;
        };
        let Some(account) = self.open_account(id) else {
            return false;
        };
        if !(account.in_use() + load).fits_in(limit) {
            return false;
        }
        account.held += load;
        self.free = free;
        true
    }

    /// Held mail is finished.
    pub(super) fn release(&mut self, id: AccountId, load: Load) {
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        account.held = account.held.saturating_sub(load);
        self.free += load;
        if account.is_closed {
            if account.held.is_zero() {
                self.accounts.remove(&id);
            }
        } else {
            let room = account.window.saturating_sub(account.in_use());
            if account.is_lump(room) {
                account.wake.notify_one();
            }
        }
        self.wake_starved();
    }

    /// Room that nobody was granted.
    pub(super) fn free(&self) -> Load {
        self.free
    }

    /// Mail at hand, of all producers.
    pub(super) fn held(&self) -> Load {
        self.accounts
            .values()
            .fold(Load::ZERO, |sum, account| sum + account.held)
    }

    fn open_account(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts
            .get_mut(&id)
            .filter(|account| !account.is_closed)
    }

    /// Most that one producer may have: something is left for the next one to come.
    fn share(&self) -> Load {
        self.total
            .scaled(1, self.open + 1)
            .max(least_window())
            .min(self.total)
    }

    fn first_window(&self) -> Load {
        self.total
            .scaled(1, FIRST_WINDOW_PART)
            .max(least_window())
            .min(self.total)
    }

    /// Tells those who got too little, as soon as there is something to be had.
    fn wake_starved(&mut self) {
        let enough = self.first_window();
        if !self.any_starved || !enough.fits_in(self.free) {
            return;
        }
        self.any_starved = false;
        for account in self.accounts.values_mut() {
            if std::mem::take(&mut account.is_starved) {
                account.wake.notify_one();
            }
        }
    }
}

/// The largest message that is handed over with its content must fit.
fn least_window() -> Load {
    Load::new(1, INLINE_LIMIT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const TOTAL: Load = Load::new(1_024, 128 * MIB);

    fn books() -> Books {
        Books::new(TOTAL)
    }

    fn open(books: &mut Books) -> AccountId {
        books.open(Arc::new(Notify::new()))
    }

    fn total(books: &Books) -> Load {
        books
            .accounts
            .values()
            .fold(books.free, |sum, account| sum + account.in_use())
    }

    #[test]
    fn a_new_producer_gets_a_small_window() {
        let mut books = books();
        let id = open(&mut books);
        assert_eq!(books.grant(id), Load::new(32, 4 * MIB));
        assert_eq!(books.grant(id), Load::ZERO);
    }

    #[test]
    fn a_window_grows_with_use_up_to_the_share() {
        let mut books = books();
        let id = open(&mut books);
        let mut credit = books.grant(id);
        for _ in 0..20 {
            let load = Load::new(credit.units, 0);
            books.receive(id, load).unwrap();
            books.release(id, load);
            credit = books.grant(id);
        }
        assert_eq!(books.accounts[&id].in_use(), TOTAL.scaled(1, 2));
    }

    #[test]
    fn more_than_granted_is_overdrawn() {
        let mut books = books();
        let id = open(&mut books);
        let credit = books.grant(id);
        assert_eq!(books.receive(id, credit + Load::new(1, 0)), Err(Overdrawn));
        assert_eq!(books.receive(id, credit + Load::new(0, 1)), Err(Overdrawn));
        assert_eq!(books.receive(id, credit), Ok(()));
        assert_eq!(books.receive(id, Load::new(1, 0)), Err(Overdrawn));
    }

    #[test]
    fn credits_die_with_their_account_and_held_mail_comes_back_later() {
        let mut books = books();
        let id = open(&mut books);
        books.grant(id);
        let held = Load::new(5, 500);
        books.receive(id, held).unwrap();
        books.close(id);
        assert_eq!(books.free, TOTAL.saturating_sub(held));
        assert_eq!(books.receive(id, Load::new(1, 1)), Err(Overdrawn));
        books.release(id, held);
        assert_eq!(books.free, TOTAL);
        assert!(books.accounts.is_empty());
    }

    #[test]
    fn who_fills_the_hand_off_leaves_a_reserve() {
        let mut books = books();
        let id = open(&mut books);
        let one = Load::new(1, 0);
        while books.take(id, one, true) {}
        assert_eq!(books.held().units, 384);
        assert!(books.take(id, one, false));
    }

    #[tokio::test]
    async fn a_starved_producer_is_woken_when_there_is_room() {
        let mut books = books();
        let (greedy, late) = (open(&mut books), Arc::new(Notify::new()));
        let other = open(&mut books);
        let third = open(&mut books);
        // Three shares of a quarter, and what is left, taken before the last one comes.
        let quarter = TOTAL.scaled(1, 4);
        for id in [greedy, other, third] {
            assert!(books.take(id, quarter, false));
        }
        books.total = TOTAL.scaled(3, 4);
        books.free = Load::ZERO;
        let id = books.open(Arc::clone(&late));
        assert_eq!(books.grant(id), Load::ZERO);
        books.release(greedy, quarter);
        late.notified().await;
        assert!(!books.grant(id).is_zero());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Open,
        Close(usize),
        Grant(usize),
        Send(usize, u64, u64),
        Take(usize, u64, u64),
        Finish(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => Just(Step::Open),
            1 => any::<usize>().prop_map(Step::Close),
            6 => any::<usize>().prop_map(Step::Grant),
            8 => (any::<usize>(), 1..40_u64, 0..MIB).prop_map(|(id, u, b)| Step::Send(id, u, b)),
            4 => (any::<usize>(), 1..40_u64, 0..MIB).prop_map(|(id, u, b)| Step::Take(id, u, b)),
            8 => any::<usize>().prop_map(Step::Finish),
        ]
    }

    proptest! {
        /// Whatever producers do: nothing is granted twice, and all of it comes back.
        #[test]
        fn the_capacity_is_never_exceeded(steps in prop::collection::vec(step(), 1..300)) {
            let mut books = books();
            let mut credits: Vec<(AccountId, Load)> = Vec::new();
            let mut held: Vec<(AccountId, Load)> = Vec::new();
            for step in steps {
                let chosen = |index: usize, length: usize| index.checked_rem(length);
                match step {
                    Step::Open => credits.push((open(&mut books), Load::ZERO)),
                    Step::Close(index) => if let Some(index) = chosen(index, credits.len()) {
                        books.close(credits.swap_remove(index).0);
                    },
                    Step::Grant(index) => if let Some(index) = chosen(index, credits.len()) {
                        let (id, credit) = &mut credits[index];
                        *credit += books.grant(*id);
                    },
                    Step::Send(index, units, bytes) => if let Some(index) = chosen(index, credits.len()) {
                        let (id, credit) = &mut credits[index];
                        let load = Load::new(units, bytes);
                        let rest = credit.checked_sub(load);
                        prop_assert_eq!(books.receive(*id, load).is_ok(), rest.is_some());
                        if let Some(rest) = rest {
                            *credit = rest;
                            held.push((*id, load));
                        }
                    },
                    Step::Take(index, units, bytes) => if let Some(index) = chosen(index, credits.len()) {
                        let load = Load::new(units, bytes);
                        if books.take(credits[index].0, load, index % 2 == 0) {
                            held.push((credits[index].0, load));
                        }
                    },
                    Step::Finish(index) => if let Some(index) = chosen(index, held.len()) {
                        let (id, load) = held.swap_remove(index);
                        books.release(id, load);
                    },
                }
                prop_assert_eq!(total(&books), TOTAL);
            }
            for (id, _) in credits {
                books.close(id);
            }
            for (id, load) in held {
                books.release(id, load);
            }
            prop_assert_eq!(books.free, TOTAL);
            prop_assert!(books.accounts.is_empty());
        }
    }
}
