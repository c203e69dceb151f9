//! The relay's capacity, shared by all who hand mail off to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::books::{AccountId, Books, Overdrawn};
use super::load::Load;

/// The [`Books`], for many hands.
#[derive(Clone)]
pub(super) struct Pool {
    books: Arc<Mutex<Books>>,
}

impl Pool {
    pub(super) fn new(capacity: Load) -> Self {
        Self {
            books: Arc::new(Mutex::new(Books::new(capacity))),
        }
    }

    /// Opens an account that closes when it is dropped.
    pub(super) fn open(&self) -> PoolAccount {
        let wake = Arc::new(Notify::new());
        let id = self.books().open(Arc::clone(&wake));
        PoolAccount {
            pool: self.clone(),
            id,
            wake,
        }
    }

    /// Mail at hand.
    pub(super) fn held(&self) -> Load {
        self.books().held()
    }

    /// Room that nobody was granted.
    pub(super) fn free(&self) -> Load {
        self.books().free()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one producer may send.
pub(super) struct PoolAccount {
    pool: Pool,
    id: AccountId,
    wake: Arc<Notify>,
}

impl PoolAccount {
    /// Credit to be told to the producer now.
    pub(super) fn grant(&self) -> Load {
        self.pool.books().grant(self.id)
    }

    /// Returns when it is worth asking for credit again.
    pub(super) async fn room(&self) {
        self.wake.notified().await;
    }

    /// Mail has arrived that credit was granted for.
    pub(super) fn receive(&self, load: Load) -> Result<Hold, Overdrawn> {
        self.pool.books().receive(self.id, load)?;
        Ok(self.hold(load))
    }

    /// Takes room without a grant, if there is any.
    pub(super) fn take(&self, load: Load, is_filling: bool) -> Option<Hold> {
        self.pool
            .books()
            .take(self.id, load, is_filling)
            .then(|| self.hold(load))
    }

    fn hold(&self, load: Load) -> Hold {
        Hold {
            pool: self.pool.clone(),
            account: self.id,
            load,
        }
    }
}

impl Drop for PoolAccount {
    fn drop(&mut self) {
        self.pool.books().close(self.id);
    }
}

/// Room that mail at hand takes, until this is dropped.
pub(super) struct Hold {
    pool: Pool,
    account: AccountId,
    load: Load,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.pool.books().release(self.account, self.load);
    }
}

/// The room that a unit takes at the relay. Keep it for as long as the unit, or its content, is
/// at hand: dropping it lets a producer send more. Units of one message share their room.
#[derive(Clone)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Arc<Hold>);

impl Permit {
    pub(super) fn new(hold: Hold) -> Self {
        Self(Arc::new(hold))
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
