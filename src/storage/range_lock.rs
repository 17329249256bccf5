//! Byte-range locks in memory, with the meaning of the operating system's open-file-description locks.
//!
//! A lock belongs to one opening of a file: openings conflict with each other, also within one thread, and never with
//! themselves. Nobody waits in here: who finds a lock taken tries again.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The locks of one file, shared by all its openings.
#[derive(Debug, Default)]
pub struct LockTable {
    state: Mutex<TableState>,
}

#[derive(Debug, Default)]
struct TableState {
    held: Vec<HeldLock>,
    next_owner: u64,
}

#[derive(Debug)]
struct HeldLock {
    owner: u64,
    range: Range<u64>,
    exclusive: bool,
}

/// The locks that one opening of a file holds in the file's table. Dropping it releases them.
#[derive(Debug)]
pub struct MemoryLocks {
    table: Arc<LockTable>,
    owner: u64,
    /// Asked before each operation.
    turn: Option<Arc<dyn Turn>>,
}

/// Lets others go on.
pub trait Turn: Send + Sync + std::fmt::Debug {
    /// Returns when it is this process's turn again.
    fn pass(&self);
}

impl MemoryLocks {
    /// A new owner without locks.
    pub fn new(table: Arc<LockTable>) -> MemoryLocks {
        let owner = {
            let mut state = table.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.next_owner += 1;
            state.next_owner
        };
        MemoryLocks { table, owner, turn: None }
    }

    /// The same, asking `turn` before each operation.
    #[cfg(test)]
    pub fn with_turn(mut self, turn: Arc<dyn Turn>) -> MemoryLocks {
        self.turn = Some(turn);
        self
    }

    fn pass(&self) {
        if let Some(turn) = &self.turn {
            turn.pass();
        }
    }

    /// Takes a lock on the bytes of `range` if no other owner's stands against it.
    pub fn try_lock(&self, range: Range<u64>, exclusive: bool) -> bool {
        self.pass();
        let mut state = self.table.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.conflict(self.owner, &range, exclusive) {
            return false;
        }
        state.held.push(HeldLock { owner: self.owner, range, exclusive });
        true
    }

    /// Whether each operation waits for its turn.
    pub fn are_by_turns(&self) -> bool {
        self.turn.is_some()
    }

    /// Releases the lock that was taken on exactly `range`; true if there was one.
    pub fn unlock(&self, range: &Range<u64>) -> bool {
        self.pass();
        let mut state = self.table.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.held.iter().position(|lock| lock.owner == self.owner && lock.range == *range);
        if let Some(lock_idx) = found {
            state.held.swap_remove(lock_idx);
        }
        found.is_some()
    }

    /// Whether an exclusive lock on the bytes of `range` would meet another owner's lock.
    pub fn is_locked_elsewhere(&self, range: &Range<u64>) -> bool {
        let state = self.table.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.conflict(self.owner, range, true)
    }

    /// Releases every lock of this owner.
    pub fn unlock_all(&self) {
        let mut state = self.table.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held.retain(|lock| lock.owner != self.owner);
    }
}

impl Drop for MemoryLocks {
    fn drop(&mut self) {
        self.unlock_all();
    }
}

impl TableState {
    fn conflict(&self, owner: u64, range: &Range<u64>, exclusive: bool) -> bool {
        self.held.iter().any(|lock| {
            let overlap = lock.range.start < range.end && range.start < lock.range.end;
            lock.owner != owner && overlap && (exclusive || lock.exclusive)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_conflict_with_each_other_and_not_with_themselves() {
        let table = Arc::new(LockTable::default());
        let (a, b) = (MemoryLocks::new(table.clone()), MemoryLocks::new(table));
        assert!(a.try_lock(0..10, false) && b.try_lock(5..15, false));
        assert!(!b.try_lock(0..1, true), "a holds it shared");
        assert!(a.try_lock(0..1, true), "its own lock does not stand against it");
        assert!(b.is_locked_elsewhere(&(9..10)) && !b.is_locked_elsewhere(&(10..20)));
        assert!(a.unlock(&(0..1)) && a.unlock(&(0..10)) && !a.unlock(&(0..10)));
        assert!(b.try_lock(0..1, true));
        drop(b);
        assert!(a.try_lock(0..100, true), "dropping an opening releases its locks");
    }
}
