//! Leases: what keeps files that became garbage on disk while someone still reads them.
//!
//! A reader takes a shared lock on `leases/<generation>`, then its snapshot, and tries again if the snapshot names
//! another generation. A writer unlinks what became garbage in generation `g` (files that readers of `g` and before may
//! hold) only when it can have the locks of all generations up to `g` exclusively. Locks die with their process.

use crate::catalog::LEASES_FOLDER;
use crate::error::Result;
use crate::storage::{LockGuard, LockKind, Storage};

/// Beside the leases, where readers may write: which state of a copied catalog was found to hold together.
pub(in crate::catalog) const VERIFIED_FILE: &str = "leases/verified";

/// Makes the folder of leases, if it is not there.
pub(in crate::catalog) fn make_folder(storage: &dyn Storage) -> Result<()> {
    storage.create_dir(LEASES_FOLDER)
}

/// A generation that is being read: its files stay until this is dropped.
#[derive(Debug)]
pub struct Lease {
    generation: u64,
    _lock: Box<dyn LockGuard>,
}

impl Lease {
    /// The generation this lease protects.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

fn path(generation: u64) -> String {
    format!("{LEASES_FOLDER}/{generation}")
}

/// Takes a shared lease on `generation`; `None` while a writer is collecting it.
///
/// # Errors
/// `Io` when the lease's file can neither be made nor locked (a reader without write permission, for one).
pub fn take(storage: &dyn Storage, generation: u64) -> Result<Option<Lease>> {
    storage.create_dir(LEASES_FOLDER)?;
    let lock = storage.try_lock(&path(generation), LockKind::Shared)?;
    Ok(lock.map(|lock| Lease { generation, _lock: lock }))
}

/// Takes the exclusive lock of `generation`, which says that nobody reads it; `None` while somebody does.
///
/// # Errors
/// `Io` when the lease's file can neither be made nor locked.
pub fn claim(storage: &dyn Storage, generation: u64) -> Result<Option<Lease>> {
    storage.create_dir(LEASES_FOLDER)?;
    let lock = storage.try_lock(&path(generation), LockKind::Exclusive)?;
    Ok(lock.map(|lock| Lease { generation, _lock: lock }))
}

/// Generations somebody has ever leased and whose lease files are still there, ascending.
///
/// # Errors
/// `Io` when the folder cannot be listed.
pub fn generations(storage: &dyn Storage) -> Result<Vec<u64>> {
    let mut found: Vec<u64> = storage.list(LEASES_FOLDER)?.iter().filter_map(|name| name.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// The oldest generation below `current` that is still being read; lease files that nobody needs are removed.
///
/// Garbage of generations before the answer (all of it, for `None`) may be unlinked. The lease file of `current`
/// stays: a reader may be about to lock it.
///
/// # Errors
/// `Io` when leases cannot be listed, locked or removed.
pub fn oldest_in_use(storage: &dyn Storage, current: u64) -> Result<Option<u64>> {
    for generation in generations(storage)? {
        if generation >= current {
            break;
        }
        match claim(storage, generation)? {
            None => return Ok(Some(generation)),
            // A reader that locks the unlinked file afterwards finds that its snapshot names a later generation.
            Some(_claimed) => storage.remove(&path(generation))?,
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    #[test]
    fn a_generation_is_kept_while_it_is_leased() {
        let storage = MemoryStorage::new();
        let first = take(&storage, 1).unwrap().unwrap();
        let _second = take(&storage, 2).unwrap().unwrap();
        let _again = take(&storage, 2).unwrap().unwrap();
        assert_eq!(oldest_in_use(&storage, 3).unwrap(), Some(1));
        assert!(claim(&storage, 1).unwrap().is_none());
        drop(first);
        assert_eq!(oldest_in_use(&storage, 3).unwrap(), Some(2));
        assert_eq!(generations(&storage).unwrap(), [2], "the lease file of 1 is gone");
        assert_eq!(oldest_in_use(&storage, 2).unwrap(), None, "the current generation is not asked about");
    }
}
