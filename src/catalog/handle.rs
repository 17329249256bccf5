//! One open redb database: opening, waiting for locks, repair, closing.
//!
//! After an error or a panic a redb handle is of no more use: [`Health`] knows, and the catalog opens another one.

use super::backend::{OnDamage, PageBackend, Parts};
use super::files::beside::Beside;
use super::files::header::HeaderLock;
use super::files::holder::{self, Holder};
use super::guard::Health;
use super::options::CatalogOptions;
use super::{CATALOG_FILE, HEAD_FILE, SUMS_FILE};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::{FileIdentity, OpenMode, Storage};
use redb::{
    Builder, CompactionError, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase,
    StorageError,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A repair of another process is waited for at least this long.
const REPAIR_PATIENCE: Duration = Duration::from_secs(10);
/// A writer's lock that is held only for a repair is free again after this.
const WRITER_PATIENCE: Duration = Duration::from_millis(300);
/// What is said of a catalog that repairs do not help.
const REPAIRED_IN_VAIN: &str = "the catalog was not closed and cannot be repaired";
/// How often a taken lock is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// One open redb database. Transactions keep it open.
#[derive(Debug)]
pub(super) struct Handle {
    /// Empty once closed. Shared, so that nobody waits for a transaction while holding this lock.
    database: Mutex<Option<Arc<RedbDatabase>>>,
    pub(super) health: Arc<Health>,
    pub(super) storage: Arc<dyn Storage>,
    /// The catalog's file; segments and HEAD are found by name beside it.
    identity: Option<FileIdentity>,
    /// What the next sync takes along.
    pub(super) beside: Arc<Beside>,
    header: Arc<HeaderLock>,
    /// This opening in LOCK, if it writes.
    holder: Arc<Holder>,
    /// Set while the file shrinks: who reads meanwhile opens it as another process would.
    shrinking: AtomicBool,
}

enum RedbDatabase {
    Read(ReadOnlyDatabase),
    Write(Database),
}

impl std::fmt::Debug for RedbDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RedbDatabase::Read(_) => "Read",
            RedbDatabase::Write(_) => "Write",
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why a redb database could not be opened.
pub(super) enum OpenFailure {
    /// Another process (or handle) writes.
    Busy,
    /// It was not closed cleanly, and this opening may not repair it.
    NeedsRepair,
    Failed(Error),
}

fn builder(options: CatalogOptions) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

impl Handle {
    /// Makes both files of a new catalog.
    pub(super) fn create(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
        let parts = Parts::new(&storage, options.busy_timeout);
        let backend = PageBackend::create(&*storage, parts.clone())?;
        let Parts { health, header, holder } = parts;
        let (identity, beside) = (backend.identity(), backend.beside());
        let database = health.run("create", || Ok(builder(options).create_with_backend(backend)?))?;
        let database = Mutex::new(Some(Arc::new(RedbDatabase::Write(database))));
        Ok(Handle { database, health, storage, identity, beside, header, holder, shrinking: AtomicBool::new(false) })
    }

    /// Writes into LOCK that this process writes.
    pub(super) fn announce(&self) {
        self.holder.announce();
    }

    /// Whether LOCK still named the writer before when this one came.
    pub(super) fn was_left_open(&self) -> bool {
        self.holder.was_left_open()
    }

    /// Opens the catalog once, without waiting or repairing (but that opening as a writer repairs).
    pub(super) fn open(
        storage: &Arc<dyn Storage>,
        options: CatalogOptions,
        mode: OpenMode,
        on_damage: OnDamage,
    ) -> Result<Handle, OpenFailure> {
        let parts = Parts::new(storage, options.busy_timeout);
        let backend = PageBackend::open(&**storage, parts.clone(), mode, on_damage).map_err(OpenFailure::Failed)?;
        let Parts { health, header, holder } = parts;
        let (identity, beside) = (backend.identity(), backend.beside());
        let opened = health.run("open", || {
            let opened = match mode {
                OpenMode::Read => builder(options).open_read_only_with_backend(backend).map(RedbDatabase::Read),
                _ => builder(options).create_with_backend(backend).map(RedbDatabase::Write),
            };
            match opened {
                Err(DatabaseError::DatabaseAlreadyOpen) => Ok(Err(OpenFailure::Busy)),
                Err(DatabaseError::RepairAborted) => Ok(Err(OpenFailure::NeedsRepair)),
                Err(error) => Err(error.into()),
                Ok(database) => Ok(Ok(database)),
            }
        });
        let database = opened.map_err(OpenFailure::Failed)??;
        let database = Mutex::new(Some(Arc::new(database)));
        let storage = storage.clone();
        Ok(Handle { database, health, storage, identity, beside, header, holder, shrinking: AtomicBool::new(false) })
    }

    /// Refuses to go on where the folder was moved, or replaced by another store, while it was open: segments and HEAD
    /// are found by name, and would be those of the other one.
    pub(super) fn check_in_place(&self) -> Result<()> {
        let now = self.storage.identity(CATALOG_FILE);
        let is_gone = matches!(&now, Err(error) if error.kind() == ErrorKind::NotFound);
        let is_another = matches!(now, Ok(Some(now)) if self.identity.is_some_and(|opened| opened != now));
        if is_gone || is_another { Err(moved(&*self.storage)) } else { Ok(()) }
    }

    /// Refuses to write on where another writer has taken the store over, which locks should have kept away.
    pub(super) fn check_held(&self) -> Result<()> {
        self.holder.hold().inspect_err(|_| self.health.note_write_failed())
    }

    /// Whether both have the same file open.
    pub(super) fn is_same_store(&self, other: &Handle) -> bool {
        self.identity == other.identity
    }

    /// Closes the database and releases its locks; snapshots still on it can read no more.
    pub(super) fn close(&self) {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_writer = matches!(database.as_deref(), Some(RedbDatabase::Write(_)));
        // Closing writes; after damage it may also panic. The store is sound without it: the next writer repairs.
        let _ = self.health.run("close", || {
            drop(database);
            Ok(())
        });
        if is_writer {
            self.holder.withdraw();
        }
    }

    fn database(&self) -> Result<Arc<RedbDatabase>, redb::Error> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        database.clone().ok_or(redb::Error::DatabaseClosed)
    }

    fn begin_redb_read(&self, database: Option<Arc<RedbDatabase>>) -> Result<redb::ReadTransaction> {
        self.health.run("read", || match &*database.ok_or(redb::Error::DatabaseClosed)? {
            RedbDatabase::Read(database) => Ok(database.begin_read()?),
            RedbDatabase::Write(database) => Ok(database.begin_read()?),
        })
    }

    /// A snapshot of redb's; `None` while the file shrinks.
    pub(super) fn redb_read(&self) -> Result<Option<redb::ReadTransaction>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if database.is_none() && self.is_shrinking() {
            return Ok(None);
        }
        self.begin_redb_read(database).map(Some)
    }

    /// A snapshot of redb's, whatever else goes on.
    pub(super) fn redb_read_raw(&self) -> Result<redb::ReadTransaction> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.begin_redb_read(database)
    }

    /// redb's own check of every page it reaches; `None` while it cannot run because somebody reads or writes.
    pub(super) fn check_integrity(&self) -> Result<Option<bool>> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.run("check", || match database.as_mut().and_then(Arc::get_mut) {
            Some(RedbDatabase::Write(database)) => match database.check_integrity() {
                Ok(sound) => Ok(Some(sound)),
                Err(DatabaseError::TransactionInProgress) => Ok(None),
                Err(error) => Err(error.into()),
            },
            _ => Ok(None),
        })
    }

    /// Whether the file shrinks just now: the handle is of no use to anybody else meanwhile.
    pub(super) fn is_shrinking(&self) -> bool {
        self.shrinking.load(Ordering::Acquire)
    }

    /// Lets redb shrink its file; false where it cannot, because somebody reads or writes, or was let in on the way and
    /// stays. What it has given back by then stays given back.
    pub(super) fn shrink(&self) -> Result<bool> {
        let taken = {
            let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
            let is_mine = database.as_mut().is_some_and(|database| Arc::get_mut(database).is_some());
            self.shrinking.store(is_mine, Ordering::Release);
            if is_mine { database.take() } else { None }
        };
        let Some(mut taken) = taken else { return Ok(false) };
        self.header.begin_shrinking();
        let mut gave_way = false;
        let shrunk = self.health.run("shrink", || match Arc::get_mut(&mut taken) {
            Some(RedbDatabase::Write(database)) => match database.compact() {
                Ok(_) => Ok(true),
                Err(CompactionError::Storage(StorageError::Io(error)))
                    if error.kind() == io::ErrorKind::Interrupted =>
                {
                    gave_way = true;
                    Ok(false)
                }
                Err(CompactionError::Storage(error)) => Err(error.into()),
                Err(_) => Ok(false),
            },
            _ => Ok(false),
        });
        self.header.end_shrinking();
        *self.database.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        self.shrinking.store(false, Ordering::Release);
        if gave_way {
            // redb has stopped between two commits and knows no more which pages are free: opening it anew finds out.
            self.health.note_broken();
        }
        if shrunk.is_err() {
            self.health.note_write_failed();
        }
        shrunk
    }

    /// redb's next write transaction, once the one before has ended.
    pub(super) fn redb_write(&self) -> Result<redb::WriteTransaction> {
        self.health.run("write", || match &*self.database()? {
            RedbDatabase::Write(database) => {
                let mut transaction = database.begin_write()?;
                // Two-phase, with the allocator's state: a kill at any moment needs no walk of the whole file.
                transaction.set_quick_repair(true);
                Ok(transaction)
            }
            RedbDatabase::Read(_) => Err(redb::Error::DatabaseClosed),
        })
    }
}

/// When a wait of so long from now on is over; what is longer than clocks count is over in a century.
fn deadline(timeout: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(timeout.min(CENTURY)).unwrap_or(now)
}

/// Opens as the one writer, waiting as long as the options say.
pub(super) fn open_writer(storage: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
    let deadline = deadline(options.busy_timeout.max(WRITER_PATIENCE));
    loop {
        match Handle::open(storage, options, OpenMode::Write, OnDamage::Fail) {
            Ok(handle) => {
                handle.announce();
                return Ok(handle);
            }
            // A process that was killed has let go of its locks a moment before it is gone.
            Err(OpenFailure::Failed(error)) if error.kind() == ErrorKind::Locked && Instant::now() < deadline => {
                std::thread::sleep(RETRY_INTERVAL);
            }
            Err(OpenFailure::Failed(error)) => return Err(no_store(&**storage, error)),
            Err(OpenFailure::NeedsRepair) => {
                let words = "redb gave up repairing";
                return Err(stale_or_damaged(&**storage, "the catalog cannot be repaired", "a repair", words));
            }
            Err(OpenFailure::Busy) if Instant::now() < deadline => std::thread::sleep(RETRY_INTERVAL),
            Err(OpenFailure::Busy) => return Err(holder::locked(&**storage)),
        }
    }
}

/// Opens for reading, repairing first what a killed writer left.
pub(super) fn open_reader(storage: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
    let deadline = deadline(options.busy_timeout.max(REPAIR_PATIENCE));
    loop {
        // Whether a lock is in the way; else a repair was made that did not help.
        let is_busy = match Handle::open(storage, options, OpenMode::Read, OnDamage::Fail) {
            Ok(handle) => return Ok(handle),
            Err(OpenFailure::Failed(error)) => return Err(no_store(&**storage, error)),
            Err(OpenFailure::NeedsRepair) => match Handle::open(storage, options, OpenMode::Write, OnDamage::Fail) {
                // Opening it as a writer has repaired it; closing it leaves it clean, where closing can write.
                Ok(repaired) => {
                    repaired.close();
                    if let Some(error) = repaired.health.failure("repair") {
                        return Err(needs_repair(&**storage, error));
                    }
                    false
                }
                Err(OpenFailure::Failed(error)) if error.kind() == ErrorKind::Locked => {
                    if Instant::now() >= deadline {
                        return Err(error);
                    }
                    pause()
                }
                Err(OpenFailure::Failed(error)) => return Err(needs_repair(&**storage, error)),
                // Somebody else repairs it or writes to it by now.
                Err(OpenFailure::Busy) => pause(),
                Err(OpenFailure::NeedsRepair) => !pause(),
            },
            Err(OpenFailure::Busy) => pause(),
        };
        if Instant::now() >= deadline {
            return Err(match is_busy {
                true => holder::locked(&**storage),
                false => stale_or_damaged(&**storage, REPAIRED_IN_VAIN, "a repair", "it still needs one"),
            });
        }
    }
}

/// Waits before a lock is tried again; true.
fn pause() -> bool {
    std::thread::sleep(RETRY_INTERVAL);
    true
}

/// A missing file: no store is here at all, or one that has lost a file.
fn no_store(storage: &dyn Storage, error: Error) -> Error {
    let root = storage.root();
    let there = |file: &str| !matches!(storage.exists(file), Ok(false));
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let Some(missing) = [CATALOG_FILE, SUMS_FILE].into_iter().find(|file| !there(file)) else { return error };
    if ![CATALOG_FILE, SUMS_FILE, HEAD_FILE].into_iter().any(there) {
        return Error::not_found(format!("there is no store at {}", root.display())).with_path(root);
    }
    let (what, expected) = ("a file of the store is missing".to_string(), "a file".to_string());
    let damage = Damage { file: missing.into(), offset: 0, what, expected, found: "nothing".to_string() };
    Error::corrupt(damage).with_path(&root.join(missing))
}

/// The error for a store that is no longer where it was opened.
pub(super) fn moved(storage: &dyn Storage) -> Error {
    let root = storage.root();
    let message =
        format!("{} was moved, removed or replaced while it was open; open it again where it is now", root.display());
    Error::not_found(message).with_path(root)
}

fn needs_repair(storage: &dyn Storage, error: Error) -> Error {
    let root = storage.root();
    let io_error = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    if io_error.is_some_and(|source| denied.contains(&source.kind())) {
        let message = format!(
            "{} needs a repair after its writer was killed, and this process may not write to it; \
             open it once with write permission (`simile check` does), or copy what is in it into a new store \
             (`simile check {0} --salvage DEST`)",
            root.display()
        );
        return Error::new(ErrorKind::ReadOnly, message).with_path(root).with_source(error);
    }
    if let Some(source) = io_error {
        let message = format!(
            "{} was not closed (its writer was killed, or the disk was full) and the repair that it needs failed: \
             {source}",
            root.display()
        );
        return Error::new(ErrorKind::Io, message).with_path(root).with_source(error);
    }
    error
}

/// Damage of the catalog as a whole.
pub(super) fn stale_or_damaged(storage: &dyn Storage, what: &str, expected: &str, found: &str) -> Error {
    Error::corrupt(Damage {
        file: CATALOG_FILE.into(),
        offset: 0,
        what: what.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
    .with_path(&storage.root().join(CATALOG_FILE))
}
