//! Stores on devices that fail: what is read again, what is counted as lost, and what is said of what cannot be opened.

use super::*;
use crate::storage::fault::{Fault, Plan};
use crate::storage::mmap::Mapping;
use crate::storage::{FaultStorage, LockGuard, LockKind, OpenMode, RangeLocks, StorageFile};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A folder whose readings fail: those with numbers from `first` on, `failing` of them, of files under `under`.
#[derive(Debug, Clone)]
struct Worn {
    inner: MemoryStorage,
    plan: Arc<WornPlan>,
}

#[derive(Debug)]
struct WornPlan {
    done: AtomicU64,
    first: u64,
    failing: u64,
    under: &'static str,
    /// Whether writing is refused, too.
    read_only: bool,
}

#[derive(Debug)]
struct WornFile {
    inner: Arc<dyn StorageFile>,
    path: String,
    plan: Arc<WornPlan>,
}

impl WornPlan {
    fn tick(&self, path: &str) -> io::Result<()> {
        if !path.starts_with(self.under) {
            return Ok(());
        }
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        let fails = number >= self.first && number - self.first < self.failing;
        if fails { Err(io::Error::other("the device does not answer")) } else { Ok(()) }
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

impl Worn {
    fn new(inner: &MemoryStorage, under: &'static str, first: u64, failing: u64) -> Worn {
        let plan = WornPlan { done: AtomicU64::new(0), first, failing, under, read_only: false };
        Worn { inner: inner.clone(), plan: Arc::new(plan) }
    }

    fn look(&self, path: &str) -> Result<()> {
        self.plan.tick(path).map_err(|source| Error::io("read", &self.inner.root().join(path), source))
    }

    fn change(&self, path: &str) -> Result<()> {
        self.plan.writable().map_err(|source| Error::io("change", &self.inner.root().join(path), source))
    }
}

impl Storage for Worn {
    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        self.look(path)?;
        if mode != OpenMode::Read {
            self.change(path)?;
        }
        let (inner, plan) = (self.inner.open(path, mode)?, Arc::clone(&self.plan));
        Ok(Arc::new(WornFile { inner, path: path.to_string(), plan }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }

    fn len(&self, path: &str) -> Result<u64> {
        self.look(path)?;
        self.inner.len(path)
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        self.change(path)?;
        self.inner.create_dir(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.inner.list(path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.change(path)?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.change(path)?;
        self.inner.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.change(from)?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.inner.sync_dir(path)
    }

    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        self.look(path)?;
        self.inner.map(path, len)
    }

    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        self.change(path)?;
        self.inner.try_lock(path, kind)
    }
}

impl StorageFile for WornFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.plan.tick(&self.path)?;
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.plan.writable()?;
        self.inner.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.plan.tick(&self.path)?;
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.writable()?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn range_locks(&self) -> io::Result<RangeLocks> {
        self.inner.range_locks()
    }
}

/// A store with two collections, each of 40 records with vectors.
fn fill(storage: &Arc<dyn Storage>) {
    let store = Store::create_storage(storage, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    for name in ["notes", "letters"] {
        let mut writer = batch.create_collection(name, CollectionSpec::new().supplied_vectors()).unwrap();
        for number in 0..40 {
            let record = Record::new(format!("{name}-{number}"), "a text");
            writer.insert(record.vector("raw", vec![number as f32, 1.0, 2.0])).unwrap();
        }
    }
    batch.commit().unwrap();
}

fn sound() -> MemoryStorage {
    let memory = MemoryStorage::new();
    fill(&(Arc::new(memory.clone()) as Arc<dyn Storage>));
    memory
}

fn salvage(from: Worn) -> (Salvaged, Vec<(String, u32)>) {
    let (from, to): (Arc<dyn Storage>, Arc<dyn Storage>) = (Arc::new(from), Arc::new(MemoryStorage::new()));
    let saved = Store::salvage_storage(&from, &to, Options::new(), &Control::new()).unwrap();
    let store = Store::open_storage(to, Options::new()).unwrap();
    let names = store.snapshot().unwrap().collections().iter().map(|def| (def.name.clone(), def.live)).collect();
    (saved, names)
}

#[test]
fn one_reading_that_fails_costs_nothing() {
    let memory = sound();
    let counting = Worn::new(&memory, "", u64::MAX, 0);
    salvage(counting.clone());
    let readings = counting.plan.done.load(Ordering::Relaxed);
    assert!(readings > 20, "{readings}");
    for first in 0..readings {
        let (saved, names) = salvage(Worn::new(&memory, "", first, 1));
        assert!(saved.is_complete(), "reading {first}: {saved:?}");
        assert_eq!((saved.records, saved.vectors), (80, 80), "reading {first}");
        assert_eq!(names, [("letters".to_string(), 40), ("notes".to_string(), 40)], "reading {first}");
    }
    crate::storage::counted(readings as usize, "failed readings");
}

#[test]
fn what_stays_unread_is_counted_and_named() {
    let (saved, _) = salvage(Worn::new(&sound(), "segments/", 0, u64::MAX));
    assert_eq!((saved.records, saved.records_lost, saved.vectors_lost), (80, 0, 80));
    assert!(!saved.is_complete() && saved.lost_count >= 2, "{saved:?}");
    let named = |lost: &Damage| lost.what.contains("segment") && lost.found.contains("the device does not answer");
    assert!(saved.lost.iter().any(named), "{:?}", saved.lost);
}

/// What a writer leaves that was killed: redb's file says that it was not closed.
fn unclean() -> MemoryStorage {
    let storage = FaultStorage::new(sound());
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let store = Store::open_storage(shared, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("notes").unwrap().remove("notes-0").unwrap();
    batch.commit().unwrap();
    storage.clock().set(Plan::From(0, Fault::DiskFull));
    drop(store);
    storage.memory().clone()
}

#[test]
fn a_store_that_may_not_be_written_is_salvaged_all_the_same() {
    let mut worn = Worn::new(&unclean(), "", u64::MAX, 0);
    Arc::get_mut(&mut worn.plan).unwrap().read_only = true;
    let opened = Store::open_storage(Arc::new(worn.clone()), Options::new().read_only(true));
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::ReadOnly, "it needs a repair");
    let (saved, names) = salvage(worn);
    assert!(saved.is_complete(), "{saved:?}");
    assert_eq!(names, [("letters".to_string(), 40), ("notes".to_string(), 39)]);
}

#[test]
fn a_store_that_cannot_be_repaired_says_why_and_at_once() {
    let full = FaultStorage::new(unclean());
    full.clock().set(Plan::From(0, Fault::DiskFull));
    let begun = Instant::now();
    let error = Store::open_storage(Arc::new(full), Options::new().read_only(true)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_ne!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(!error.message().contains("being written"), "{error}");
    assert!(error.message().contains("repair"), "{error}");
}

#[test]
fn a_backup_that_succeeds_can_be_opened_on_the_disk_as_it_is() {
    let store = Store::open_storage(Arc::new(sound()), Options::new()).unwrap();
    let counting = FaultStorage::new(MemoryStorage::new());
    store.backup_storage(&(Arc::new(counting.clone()) as Arc<dyn Storage>)).unwrap();
    let mut copies = 0;
    for operation in 0..counting.clock().operations() {
        let to = FaultStorage::new(MemoryStorage::new());
        to.clock().set(Plan::From(operation, Fault::DiskFull));
        let to: Arc<dyn Storage> = Arc::new(to);
        if store.backup_storage(&to).is_ok() {
            copies += 1;
            let copy = Store::open_storage(to, Options::new().read_only(true));
            let copy = copy.unwrap_or_else(|error| panic!("full from operation {operation} on: {error}"));
            assert_eq!(copy.snapshot().unwrap().collections().len(), 2);
        }
    }
    assert!(copies > 0, "LOCK and leases are not worth an error");
}
