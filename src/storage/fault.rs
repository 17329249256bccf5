//! The one fault clock: a store folder that fails, stops, and forgets what was not synced.
//!
//! Owns [`FaultStorage`], which stands in for the operating system under both the catalog and the segment files, the
//! [`FaultClock`] that counts their operations together, and [`Disk`], which replays what was done up to any operation
//! and shows what a power loss may leave there. It knows no file format. What it takes for granted about media is what
//! ARCHITECTURE says: what a sync returned for stays; of the rest any part may be there, in any order.

use super::disk::{Disk, Operation};
use super::memory::MemoryStorage;
use super::mmap::Mapping;
use super::{LockGuard, LockKind, OpenMode, RangeLocks, Storage, StorageFile};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With an error of the device; nothing of it happens.
    Error,
    /// With a full disk after half of what was to be written; what writes nothing does not happen.
    DiskFull,
}

/// Which operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// None.
    Nothing,
    /// The one with this number; those after it work.
    Once(u64, Fault),
    /// The one with this number and all after it, as on a disk that is gone or in a process that was stopped.
    From(u64, Fault),
    /// Syncs of files whose path begins like this.
    SyncsUnder(&'static str),
    /// Locks of files whose path begins like this, as where they cannot be made.
    LocksUnder(&'static str),
    /// None, but syncs of files and folders whose path begins like this do nothing: to see a crash test fail.
    FalseSyncs(&'static str),
    /// None, but each sync, and each other operation, takes so long.
    Slow {
        /// A sync.
        sync: Duration,
        /// A write, a cut, a new or removed name.
        other: Duration,
    },
}

/// Counts the operations that change something (writes, cuts, syncs, new and removed names) and fails as planned.
#[derive(Debug)]
pub struct FaultClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    fired: bool,
    done: u64,
    trace: Vec<Operation>,
    /// Numbers of files by path, as the running processes see them.
    numbers: BTreeMap<String, usize>,
    next_number: usize,
}

impl FaultClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, fails as `plan` says.
    pub fn set(&self, plan: Plan) {
        self.state().plan = plan;
    }

    /// Operations counted so far, failed ones included.
    pub fn operations(&self) -> u64 {
        self.state().done
    }

    /// Whether an operation has failed.
    pub fn has_fired(&self) -> bool {
        self.state().fired
    }

    /// What has been done so far, in order. An operation that failed is in it only as far as it happened.
    pub fn trace(&self) -> Vec<Operation> {
        self.state().trace.clone()
    }

    /// Counts an operation and says how it fails, if it does.
    fn tick(&self, synced: Option<&str>) -> Option<Fault> {
        let plan = self.state().plan;
        if let Plan::Slow { sync, other } = plan {
            std::thread::sleep(if synced.is_some() { sync } else { other });
        }
        let mut state = self.state();
        let number = state.done;
        state.done += 1;
        let fault = match state.plan {
            Plan::Once(at, fault) if number == at => Some(fault),
            Plan::From(at, fault) if number >= at => Some(fault),
            Plan::SyncsUnder(prefix) if synced.is_some_and(|path| path.starts_with(prefix)) => Some(Fault::Error),
            _ => None,
        };
        state.fired |= fault.is_some();
        fault
    }

    /// Whether a sync of `path` is none.
    fn is_false(&self, path: &str) -> bool {
        matches!(self.state().plan, Plan::FalseSyncs(prefix) if path.starts_with(prefix))
    }

    fn did(&self, operation: Operation) {
        self.state().trace.push(operation);
    }
}

fn failure(fault: Fault) -> io::Error {
    match fault {
        Fault::Error => io::Error::other("the device does not answer"),
        Fault::DiskFull => io::ErrorKind::StorageFull.into(),
    }
}

/// A store folder in memory behind a clock. Clones see the same files and count on the same clock.
#[derive(Debug, Clone)]
pub struct FaultStorage {
    inner: MemoryStorage,
    clock: Arc<FaultClock>,
    /// What was there, and safe, before the clock began.
    before: Arc<Disk>,
}

impl FaultStorage {
    /// A folder with the files of `inner`, which count as synced.
    pub fn new(inner: MemoryStorage) -> FaultStorage {
        let (before, numbers) = Disk::of(&inner);
        let next_number = numbers.len();
        let state = State { plan: Plan::Nothing, fired: false, done: 0, trace: Vec::new(), numbers, next_number };
        FaultStorage { inner, clock: Arc::new(FaultClock { state: Mutex::new(state) }), before: Arc::new(before) }
    }

    /// The clock.
    pub fn clock(&self) -> &FaultClock {
        &self.clock
    }

    /// What was safe before the clock began, for a replay of [`FaultClock::trace`].
    pub fn disk(&self) -> Disk {
        Disk::clone(&self.before)
    }

    /// The folder as running processes see it, without the clock.
    pub fn memory(&self) -> &MemoryStorage {
        &self.inner
    }

    /// Does something to names in the folder, unless it is planned to fail.
    fn change(&self, path: &str, change: impl FnOnce() -> Result<()>, operation: Operation) -> Result<()> {
        if let Some(fault) = self.clock.tick(None) {
            return Err(Error::io("change", &self.inner.root().join(path), failure(fault)));
        }
        change()?;
        self.clock.did(operation);
        Ok(())
    }

    /// Makes the name of a new file known, before anything is done with the file.
    fn make(&self, path: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
        let number = {
            let mut state = self.clock.state();
            state.next_number += 1;
            state.next_number - 1
        };
        self.change(path, make, Operation::Make { path: path.to_string(), file: number })?;
        self.clock.state().numbers.insert(path.to_string(), number);
        Ok(())
    }
}

impl Storage for FaultStorage {
    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        let makes = matches!(mode, OpenMode::CreateNew | OpenMode::CreateOrOpen) && !self.inner.exists(path)?;
        if makes {
            self.make(path, || self.inner.open(path, mode).map(drop))?;
        }
        let inner = self.inner.open(path, if makes { OpenMode::Write } else { mode })?;
        let file = self.clock.state().numbers.get(path).copied().unwrap_or(usize::MAX);
        Ok(Arc::new(FaultFile { inner, path: path.to_string(), file, clock: Arc::clone(&self.clock) }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }

    fn birth(&self, path: &str) -> Result<Option<u64>> {
        self.inner.birth(path)
    }

    fn len(&self, path: &str) -> Result<u64> {
        self.inner.len(path)
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        if self.inner.exists(path)? {
            return Ok(());
        }
        self.change(path, || self.inner.create_dir(path), Operation::MakeFolder { path: path.to_string() })
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.inner.list(path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.change(path, || self.inner.remove(path), Operation::Remove { path: path.to_string() })?;
        self.clock.state().numbers.remove(path);
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.change(path, || self.inner.remove_dir(path), Operation::RemoveFolder { path: path.to_string() })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let operation = Operation::Rename { from: from.to_string(), to: to.to_string() };
        self.change(from, || self.inner.rename(from, to), operation)?;
        let mut state = self.clock.state();
        if let Some(number) = state.numbers.remove(from) {
            state.numbers.insert(to.to_string(), number);
        }
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        if self.clock.is_false(path) {
            return Ok(());
        }
        self.change(path, || self.inner.sync_dir(path), Operation::SyncFolder { path: path.to_string() })
    }

    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        self.inner.map(path, len)
    }

    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        if matches!(self.clock.state().plan, Plan::LocksUnder(prefix) if path.starts_with(prefix)) {
            return Err(Error::io("create", &self.inner.root().join(path), failure(Fault::DiskFull)));
        }
        if !self.inner.exists(path)? {
            self.make(path, || self.inner.open(path, OpenMode::CreateOrOpen).map(drop))?;
        }
        self.inner.try_lock(path, kind)
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Arc<dyn StorageFile>,
    path: String,
    file: usize,
    clock: Arc<FaultClock>,
}

impl FaultFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)?;
        self.clock.did(Operation::Write { file: self.file, offset, bytes: bytes.into() });
        Ok(())
    }
}

impl StorageFile for FaultFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.clock.tick(None);
        match fault {
            None => self.write(bytes, offset),
            Some(Fault::Error) => Err(failure(Fault::Error)),
            Some(Fault::DiskFull) => {
                self.write(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset)?;
                Err(failure(Fault::DiskFull))
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if let Some(fault) = self.clock.tick(None) {
            return Err(failure(fault));
        }
        self.inner.set_len(len)?;
        self.clock.did(Operation::SetLen { file: self.file, len });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(fault) = self.clock.tick(Some(&self.path)) {
            return Err(failure(fault));
        }
        self.inner.sync()?;
        if !self.clock.is_false(&self.path) {
            self.clock.did(Operation::Sync { file: self.file });
        }
        Ok(())
    }

    fn range_locks(&self) -> io::Result<RangeLocks> {
        self.inner.range_locks()
    }
}
