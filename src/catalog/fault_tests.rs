//! A storage that fails: whatever operation of a commit fails, the state is the one before or the one after.

use super::tables::IDS;
use super::tests::meta;
use super::*;
use crate::error::{ErrorKind, Result};
use crate::storage::{LockGuard, LockKind, Mapping, MemoryStorage, OpenMode, RangeLocks, Storage, StorageFile};
use crate::types::{CollectionId, CommitNumber};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens when the clock has run down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One operation fails; a write may have written half. Later ones work.
    Once,
    /// That operation and all later ones fail, as on a disk that is gone or a process that has stopped.
    Forever,
}

/// Counts writes, cuts and syncs down, and then fails.
#[derive(Debug)]
pub(crate) struct Clock {
    left: AtomicU64,
    fault: Fault,
}

impl Clock {
    pub(crate) fn new(operations: u64, fault: Fault) -> Arc<Clock> {
        Arc::new(Clock { left: AtomicU64::new(operations), fault })
    }

    /// Winds it up again.
    pub(crate) fn set(&self, operations: u64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// Operations left; more than there were once it has struck.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    /// Whether this operation fails.
    fn tick(&self) -> bool {
        let left = self.left.load(Ordering::SeqCst);
        match (left, self.fault) {
            (0, Fault::Forever) => true,
            (0, Fault::Once) => {
                self.left.store(u64::MAX, Ordering::SeqCst);
                true
            }
            _ => {
                self.left.store(left - 1, Ordering::SeqCst);
                false
            }
        }
    }
}

fn disk_full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

#[derive(Debug)]
pub(crate) struct Failing {
    pub(crate) inner: MemoryStorage,
    pub(crate) clock: Arc<Clock>,
}

#[derive(Debug)]
struct FailingFile {
    inner: Arc<dyn StorageFile>,
    clock: Arc<Clock>,
}

impl StorageFile for FailingFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.clock.tick() {
            self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(disk_full());
        }
        self.inner.write_all_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.clock.tick() { Err(disk_full()) } else { self.inner.set_len(len) }
    }
    fn sync(&self) -> io::Result<()> {
        if self.clock.tick() { Err(disk_full()) } else { self.inner.sync() }
    }
    fn range_locks(&self) -> io::Result<RangeLocks> {
        self.inner.range_locks()
    }
}

impl Storage for Failing {
    fn root(&self) -> &Path {
        self.inner.root()
    }
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(FailingFile { inner: self.inner.open(path, mode)?, clock: self.clock.clone() }))
    }
    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }
    fn len(&self, path: &str) -> Result<u64> {
        self.inner.len(path)
    }
    fn create_dir(&self, path: &str) -> Result<()> {
        self.inner.create_dir(path)
    }
    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.inner.list(path)
    }
    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)
    }
    fn remove_dir(&self, path: &str) -> Result<()> {
        self.inner.remove_dir(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }
    fn sync_dir(&self, path: &str) -> Result<()> {
        self.inner.sync_dir(path)
    }
    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        self.inner.map(path, len)
    }
    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        self.inner.try_lock(path, kind)
    }
}

fn key(row: u32) -> (CollectionId, String) {
    (CollectionId(1), format!("id {row} {}", "x".repeat(row as usize % 50)))
}

/// A change that makes the file grow, frees pages and reuses them.
fn change(catalog: &Catalog, number: u64) -> Result<()> {
    let write = catalog.begin_write()?;
    for row in 0..300 {
        write.put(&IDS, &key(row), &(number as u32))?;
    }
    write.remove(&IDS, &key(number as u32 % 300))?;
    write.put_meta(&meta(number))?;
    write.commit()
}

fn check(catalog: &Catalog) -> u64 {
    let read = catalog.begin_read().unwrap();
    let number = read.meta().commit.0;
    let ids = read.range(&IDS, ..).unwrap();
    assert_eq!(ids.len(), 299);
    assert!(ids.iter().all(|(_, found)| u64::from(*found) == number), "a mixture of commits");
    number
}

/// Runs two commits on a store that fails after `operations`; false once nothing failed any more.
fn run(made: &MemoryStorage, operations: u64, fault: Fault) -> bool {
    let inner = made.copy();
    let clock = Clock::new(operations, fault);
    let failing: Arc<dyn Storage> = Arc::new(Failing { inner: inner.clone(), clock: clock.clone() });
    let options = CatalogOptions { cache_bytes: 100_000, ..CatalogOptions::default() };
    let mut acknowledged = 2;
    let what = format!("operation {operations}, {fault:?}");
    let opened = Catalog::open_write(failing, options);
    if let Ok(catalog) = &opened {
        for number in 3..5 {
            match change(catalog, number) {
                Ok(()) => acknowledged = number,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::ReadOnly), "{what}: {error}");
                    let again = change(catalog, number).unwrap_err();
                    assert_eq!(again.kind(), ErrorKind::ReadOnly, "{what}: the writer is poisoned: {again}");
                    break;
                }
            }
        }
    }
    drop(opened);
    let storage: Arc<dyn Storage> = Arc::new(inner);
    let found = check(&Catalog::open_read(storage.clone(), options).unwrap());
    assert!(found == acknowledged || found == acknowledged + 1, "{what}: {found} after {acknowledged}");
    let catalog = Catalog::open_write(storage, options).unwrap();
    assert_eq!(check(&catalog), found, "{what}");
    change(&catalog, found + 1).unwrap();
    assert_eq!(catalog.integrity().unwrap(), [], "{what}");
    clock.left.load(Ordering::SeqCst) == 0 || clock.left.load(Ordering::SeqCst) > u64::MAX / 2
}

#[test]
fn any_failed_write_or_sync_leaves_the_commit_before_or_after() {
    let made = MemoryStorage::new();
    let catalog = Catalog::create(Arc::new(made.clone()), CatalogOptions::default(), &meta(1)).unwrap();
    change(&catalog, 2).unwrap();
    drop(catalog);
    for fault in [Fault::Once, Fault::Forever] {
        let operations = (0..).take_while(|&operations| run(&made, operations, fault)).count();
        assert!(operations > 50, "{operations} operations are too few to tell");
    }
}

#[test]
fn a_creation_that_fails_is_no_store_or_a_whole_one() {
    let mut operations = 0;
    loop {
        let inner = MemoryStorage::new();
        let clock = Clock::new(operations, Fault::Forever);
        let failing = Failing { inner: inner.clone(), clock };
        let created = Catalog::create(Arc::new(failing), CatalogOptions::default(), &meta(1));
        let whole = created.is_ok();
        drop(created);
        match Catalog::open_read(Arc::new(inner), CatalogOptions::default()) {
            Ok(catalog) => assert_eq!(catalog.begin_read().unwrap().meta().commit, CommitNumber(1)),
            Err(error) => {
                assert!(!whole, "operation {operations}: {error}");
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{operations}: {error}");
            }
        }
        if whole {
            break;
        }
        operations += 1;
    }
    assert!(operations > 10, "{operations}");
}
