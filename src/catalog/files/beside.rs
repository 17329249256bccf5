//! Files beside the catalog that its next sync makes safe, too.
//!
//! redb syncs twice for each commit: the pages, then the header that makes them count. Segments have to be safe at the
//! same moment as the pages, so they are synced together with them, all at once. Invariant: what was set is synced by
//! the first sync of the catalog after it, or an error; whoever commits asks afterwards whether that sync has come.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Storage, StorageFile, Unsynced};
use std::io;
use std::sync::{Mutex, PoisonError};

/// What the next sync of the catalog takes along.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Beside(Mutex<Vec<Unsynced>>);

impl Beside {
    /// From the next sync on, these are safe.
    pub(in crate::catalog) fn set(&self, files: Vec<Unsynced>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Syncs `own`, `sums` (if given) and what was set, all at once.
    pub(in crate::catalog) fn sync_with(
        &self,
        own: &dyn StorageFile,
        sums: Option<&dyn StorageFile>,
    ) -> io::Result<()> {
        let files = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let others: Vec<&dyn StorageFile> = files.iter().map(Unsynced::file).chain(sums).collect();
        if others.is_empty() {
            return own.sync();
        }
        own.sync_with(&others).map_err(|source| match files.as_slice() {
            [] => source,
            files => {
                let names: Vec<String> = files.iter().map(|file| file.path().display().to_string()).collect();
                io::Error::new(source.kind(), format!("syncing it and {}: {source}", names.join(", ")))
            }
        })
    }

    /// Refuses a commit that was made without a sync: it would count on bytes that a power loss takes.
    pub(in crate::catalog) fn check_synced(&self, storage: &dyn Storage) -> Result<()> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Ok(());
        }
        let message = format!("the commit to {} was not synced; open the store again", storage.root().display());
        Err(Error::new(ErrorKind::Io, message).with_path(storage.root()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fault::Plan;
    use crate::storage::{FaultStorage, MemoryStorage, OpenMode};

    #[test]
    fn a_commit_without_a_sync_is_refused() {
        let storage = FaultStorage::new(MemoryStorage::new());
        let [own, sums, segment] =
            ["own", "sums", "segment"].map(|name| storage.open(name, OpenMode::CreateNew).unwrap());
        let beside = Beside::default();
        beside.set(vec![Unsynced::new("segments/1/1.seg".into(), segment.clone())]);
        assert_eq!(beside.check_synced(&storage).unwrap_err().kind(), ErrorKind::Io);
        beside.sync_with(&*own, Some(&*sums)).unwrap();
        beside.check_synced(&storage).unwrap();
        beside.set(vec![Unsynced::new("segments/1/1.seg".into(), segment)]);
        storage.clock().set(Plan::SyncsUnder("segment"));
        let error = beside.sync_with(&*own, None).unwrap_err();
        assert!(error.to_string().contains("segments/1/1.seg: the device does not answer"), "{error}");
        beside.sync_with(&*own, Some(&*sums)).unwrap();
    }
}
