//! Several processes on one store folder in memory, one operation at a time, in an order that a seed decides.
//!
//! Owns [`Turns`], who may go on, and [`TurnStorage`], which asks for its turn before each operation. Processes are
//! threads with handles of their own; one of them runs at a time, so that a seed that fails fails again. A process may
//! be stopped at an operation: from there on none of its operations happens, as after a kill.

use super::disk::Dice;
use super::memory::MemoryStorage;
use super::mmap::Mapping;
use super::{LockGuard, LockKind, OpenMode, RangeLocks, Storage, StorageFile, range_lock};
use crate::error::{Error, Result};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Who runs.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    passed: Condvar,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    /// Processes that have not ended.
    present: Vec<usize>,
    running: usize,
    /// A turn lasts about so many operations.
    length: u64,
    operations: u64,
}

impl State {
    fn choose(&mut self) {
        let next = self.dice.below(self.present.len() as u64) as usize;
        self.running = self.present[next];
    }
}

impl Turns {
    /// Turns of `count` processes, numbered from 0.
    pub fn new(seed: u64, count: usize) -> Arc<Turns> {
        let mut dice = Dice::new(seed);
        let length = 1 << dice.below(6);
        let running = dice.below(count as u64) as usize;
        let state = State { dice, present: (0..count).collect(), running, length, operations: 0 };
        Arc::new(Turns { state: Mutex::new(state), passed: Condvar::new() })
    }

    /// Operations of all processes so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).operations
    }

    /// Waits until `process` may do its next operation.
    fn wait(&self, process: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.operations += 1;
        let length = state.length;
        if state.running == process && state.dice.below(length) == 0 {
            state.choose();
            self.passed.notify_all();
        }
        while state.running != process {
            state = self.passed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// `process` has ended.
    fn leave(&self, process: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.present.retain(|present| *present != process);
        if state.running == process && !state.present.is_empty() {
            state.choose();
        }
        self.passed.notify_all();
    }
}

/// Ends a process when it is dropped, however that comes.
#[derive(Debug)]
pub struct Present {
    turns: Arc<Turns>,
    process: usize,
}

impl Present {
    /// `process` begins.
    pub fn new(turns: &Arc<Turns>, process: usize) -> Present {
        Present { turns: Arc::clone(turns), process }
    }

    /// The folder as this process sees it, until it is stopped after `operations`.
    pub fn storage(&self, folder: &MemoryStorage, operations: u64) -> Arc<dyn Storage> {
        let turn = Turn { turns: Arc::clone(&self.turns), process: self.process, left: AtomicU64::new(operations) };
        Arc::new(TurnStorage { folder: folder.clone(), turn: Arc::new(turn) })
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.turns.leave(self.process);
    }
}

#[derive(Debug)]
struct Turn {
    turns: Arc<Turns>,
    process: usize,
    /// Operations until it is stopped.
    left: AtomicU64,
}

impl Turn {
    fn wait(&self) -> io::Result<()> {
        self.turns.wait(self.process);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        before.map(drop).map_err(|_| io::Error::other("the process was stopped"))
    }
}

impl range_lock::Turn for Turn {
    fn pass(&self) {
        // Locks go on working for a process that was stopped, so that they can be let go of.
        self.turns.wait(self.process);
    }
}

/// A store folder as one of several processes sees it.
#[derive(Debug)]
struct TurnStorage {
    folder: MemoryStorage,
    turn: Arc<Turn>,
}

impl TurnStorage {
    fn wait(&self, path: &str) -> Result<()> {
        self.turn.wait().map_err(|source| Error::io("use", &self.folder.root().join(path), source))
    }
}

impl Storage for TurnStorage {
    fn root(&self) -> &Path {
        self.folder.root()
    }

    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        self.wait(path)?;
        let inner = self.folder.open(path, mode)?;
        Ok(Arc::new(TurnFile { inner, turn: Arc::clone(&self.turn) }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.wait(path)?;
        self.folder.exists(path)
    }

    fn len(&self, path: &str) -> Result<u64> {
        self.wait(path)?;
        self.folder.len(path)
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        self.wait(path)?;
        self.folder.create_dir(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.wait(path)?;
        self.folder.list(path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.wait(path)?;
        self.folder.remove(path)
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.wait(path)?;
        self.folder.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.wait(from)?;
        self.folder.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.wait(path)?;
        self.folder.sync_dir(path)
    }

    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        self.wait(path)?;
        self.folder.map(path, len)
    }

    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        self.wait(path)?;
        self.folder.try_lock_after(path, kind, || self.wait(path))
    }
}

#[derive(Debug)]
struct TurnFile {
    inner: Arc<dyn StorageFile>,
    turn: Arc<Turn>,
}

impl StorageFile for TurnFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.turn.wait()?;
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.turn.wait()?;
        self.inner.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.turn.wait()?;
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.turn.wait()?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.turn.wait()?;
        self.inner.sync()
    }

    fn range_locks(&self) -> io::Result<RangeLocks> {
        Ok(match self.inner.range_locks()? {
            RangeLocks::Memory(locks) => {
                RangeLocks::Memory(locks.with_turn(Arc::clone(&self.turn) as Arc<dyn range_lock::Turn>))
            }
            other => other,
        })
    }
}
