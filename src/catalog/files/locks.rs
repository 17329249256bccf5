//! Byte-range locks of the catalog's file, by which redb's processes take turns.
//!
//! On a real file they are the operating system's, taken through redb's own file backend, which knows each platform's;
//! it is used for nothing else. In memory they are the storage's.

use crate::storage::range_lock::MemoryLocks;
use crate::storage::{RangeLocks, StorageFile};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::{Bound, Range};

/// The locks that one opening of the file holds.
#[derive(Debug)]
pub(in crate::catalog) enum Locks {
    /// On a duplicate of the file's handle: such locks belong to the opening, which duplicates share.
    System(FileBackend),
    /// In the in-memory storage.
    #[cfg_attr(not(test), allow(dead_code, reason = "stores in memory are for tests and the fault clock"))]
    Memory(MemoryLocks),
}

impl Locks {
    /// The locks of an open file.
    pub(in crate::catalog) fn of(file: &dyn StorageFile) -> io::Result<Locks> {
        match file.range_locks()? {
            RangeLocks::Memory(locks) => Ok(Locks::Memory(locks)),
            RangeLocks::System(file) => FileBackend::new(file).map(Locks::System).map_err(io::Error::other),
        }
    }

    pub(in crate::catalog) fn try_lock(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
        exclusive: bool,
    ) -> Result<bool, BackendError> {
        match self {
            Locks::System(backend) if exclusive => backend.try_lock_range(start, end),
            Locks::System(backend) => backend.try_lock_shared_range(start, end),
            Locks::Memory(locks) => Ok(locks.try_lock(range(start, end), exclusive)),
        }
    }

    /// Whether somebody else decides who goes on; then nobody has to sleep.
    pub(in crate::catalog) fn are_by_turns(&self) -> bool {
        matches!(self, Locks::Memory(locks) if locks.are_by_turns())
    }

    pub(in crate::catalog) fn unlock(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        match self {
            Locks::System(backend) => backend.unlock_range(start, end),
            Locks::Memory(locks) => {
                locks.unlock(&range(start, end));
                Ok(())
            }
        }
    }

    pub(in crate::catalog) fn is_locked_elsewhere(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        match self {
            Locks::System(backend) => backend.query_lock_range(start, end),
            Locks::Memory(locks) => Ok(locks.is_locked_elsewhere(&range(start, end))),
        }
    }

    pub(in crate::catalog) fn unlock_all(&self) -> io::Result<()> {
        match self {
            Locks::System(backend) => backend.close(),
            Locks::Memory(locks) => {
                locks.unlock_all();
                Ok(())
            }
        }
    }
}

/// The bytes between two bounds, an open end being the last byte a lock can name.
fn range(start: Bound<u64>, end: Bound<u64>) -> Range<u64> {
    let start = match start {
        Bound::Unbounded => 0,
        Bound::Included(start) => start,
        Bound::Excluded(start) => start.saturating_add(1),
    };
    let end = match end {
        Bound::Unbounded => u64::MAX,
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => end,
    };
    start..end
}
