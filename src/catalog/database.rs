//! The catalog of one store, opened for reading or as the one writer.
//!
//! Owns opening, repair, and the exchange of a broken redb handle for a fresh one. Invariant: a snapshot handed out is
//! never older than what HEAD said before it was taken.

use super::backend::{OnDamage, PageBackend};
use super::guard::Health;
use super::head::{self, HeadState};
use super::transaction::{self, ReadTransaction, WriteTransaction};
use super::{CATALOG_FILE, holder};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::{OpenMode, Storage};
use crate::types::{CommitNumber, StoreMeta};
use redb::{Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How a catalog is opened.
#[derive(Debug, Clone, Copy)]
pub struct CatalogOptions {
    /// Memory redb may use for pages, in bytes.
    pub cache_bytes: usize,
    /// How long to wait for another writer before reporting it.
    pub busy_timeout: Duration,
}

impl Default for CatalogOptions {
    /// 64 MiB, and no waiting.
    fn default() -> Self {
        CatalogOptions { cache_bytes: 64 << 20, busy_timeout: Duration::ZERO }
    }
}

/// A repair of another process is waited for at least this long.
const REPAIR_PATIENCE: Duration = Duration::from_secs(10);
/// How often a taken lock is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    storage: Arc<dyn Storage>,
    options: CatalogOptions,
    writer: bool,
    /// The handle in use; a broken one is exchanged by whoever asks next.
    handle: Mutex<Arc<Handle>>,
}

/// One open redb database. Transactions keep it open.
#[derive(Debug)]
pub(super) struct Handle {
    /// Empty once closed.
    database: RwLock<Option<RedbDatabase>>,
    pub(super) health: Arc<Health>,
    pub(super) storage: Arc<dyn Storage>,
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
    fn create(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
        let health = Arc::new(Health::new(storage.root()));
        let backend = PageBackend::create(&*storage, health.clone())?;
        let database = health.run("create", || Ok(builder(options).create_with_backend(backend)?))?;
        Ok(Handle { database: RwLock::new(Some(RedbDatabase::Write(database))), health, storage })
    }

    pub(super) fn open(
        storage: &Arc<dyn Storage>,
        options: CatalogOptions,
        mode: OpenMode,
        on_damage: OnDamage,
    ) -> Result<Handle, OpenFailure> {
        let health = Arc::new(Health::new(storage.root()));
        let backend = PageBackend::open(&**storage, health.clone(), mode, on_damage).map_err(OpenFailure::Failed)?;
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
        Ok(Handle { database: RwLock::new(Some(database)), health, storage: storage.clone() })
    }

    /// Closes the database and releases its locks; snapshots still on it can read no more.
    fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        if matches!(database, Some(RedbDatabase::Write(_))) {
            holder::withdraw(&*self.storage);
        }
        // Closing writes; after damage it may also panic. The store is sound without it: the next writer repairs.
        let _ = self.health.run("close", || {
            drop(database);
            Ok(())
        });
    }

    fn begin_redb_read(&self) -> Result<redb::ReadTransaction> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        self.health.run("read", || match &*database {
            Some(RedbDatabase::Read(database)) => Ok(database.begin_read()?),
            Some(RedbDatabase::Write(database)) => Ok(database.begin_read()?),
            None => Err(redb::Error::DatabaseClosed),
        })
    }

    fn begin_read(self: &Arc<Self>) -> Result<ReadTransaction> {
        ReadTransaction::new(self.begin_redb_read()?, self.clone())
    }

    /// A snapshot that is not asked for the store's own record, which may be damaged.
    pub(super) fn begin_read_raw(self: &Arc<Self>) -> Result<ReadTransaction> {
        Ok(ReadTransaction::without_meta(self.begin_redb_read()?, self.clone()))
    }

    /// redb's own check of every page it reaches; `None` while it cannot run because somebody reads or writes.
    pub(super) fn check_integrity(&self) -> Result<Option<bool>> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.health.run("check", || match &mut *database {
            Some(RedbDatabase::Write(database)) => match database.check_integrity() {
                Ok(sound) => Ok(Some(sound)),
                Err(DatabaseError::TransactionInProgress) => Ok(None),
                Err(error) => Err(error.into()),
            },
            _ => Ok(None),
        })
    }

    fn begin_write(self: &Arc<Self>) -> Result<WriteTransaction> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = self.health.run("write", || match &*database {
            Some(RedbDatabase::Write(database)) => {
                let mut transaction = database.begin_write()?;
                // Two-phase, with the allocator's state: a kill at any moment needs no walk of the whole file.
                transaction.set_quick_repair(true);
                Ok(transaction)
            }
            _ => Err(redb::Error::DatabaseClosed),
        })?;
        Ok(WriteTransaction::new(transaction, self.clone()))
    }
}

fn open_writer(storage: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
    let deadline = Instant::now() + options.busy_timeout;
    loop {
        match Handle::open(storage, options, OpenMode::Write, OnDamage::Fail) {
            Ok(handle) => {
                holder::announce(&**storage);
                return Ok(handle);
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

fn open_reader(storage: &Arc<dyn Storage>, options: CatalogOptions) -> Result<Handle> {
    let deadline = Instant::now() + options.busy_timeout.max(REPAIR_PATIENCE);
    loop {
        match Handle::open(storage, options, OpenMode::Read, OnDamage::Fail) {
            Ok(handle) => return Ok(handle),
            Err(OpenFailure::Failed(error)) => return Err(no_store(&**storage, error)),
            Err(OpenFailure::NeedsRepair) => match Handle::open(storage, options, OpenMode::Write, OnDamage::Fail) {
                // Opening it as a writer has repaired it; closing it leaves it clean.
                Ok(repaired) => drop(repaired),
                Err(OpenFailure::Failed(error)) => return Err(needs_repair(&**storage, error)),
                // Somebody else repairs it or writes to it by now.
                Err(OpenFailure::Busy | OpenFailure::NeedsRepair) => std::thread::sleep(RETRY_INTERVAL),
            },
            Err(OpenFailure::Busy) => std::thread::sleep(RETRY_INTERVAL),
        }
        if Instant::now() >= deadline {
            return Err(holder::locked(&**storage));
        }
    }
}

/// A missing catalog means that there is no store here.
fn no_store(storage: &dyn Storage, error: Error) -> Error {
    let root = storage.root();
    if error.kind() == ErrorKind::NotFound && matches!(storage.exists(CATALOG_FILE), Ok(false)) {
        return Error::not_found(format!("there is no store at {}", root.display())).with_path(root);
    }
    error
}

fn needs_repair(storage: &dyn Storage, error: Error) -> Error {
    let io_error = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    if io_error.is_some_and(|source| denied.contains(&source.kind())) {
        let root = storage.root();
        let message = format!(
            "{} needs a repair after its writer was killed, and this process may not write to it; \
             open it once with write permission (`simile check` does)",
            root.display()
        );
        return Error::new(ErrorKind::ReadOnly, message).with_path(root).with_source(error);
    }
    error
}

fn stale_or_damaged(storage: &dyn Storage, what: &str, expected: &str, found: &str) -> Error {
    Error::corrupt(Damage {
        file: CATALOG_FILE.into(),
        offset: 0,
        what: what.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
    .with_path(&storage.root().join(CATALOG_FILE))
}

/// A snapshot older than what HEAD said before it was taken is damage.
fn check_not_stale(storage: &dyn Storage, head: HeadState, found: CommitNumber) -> Result<()> {
    match head {
        HeadState::Valid(head) if found < head => {
            let (expected, found) = (format!("commit {head} or later, as HEAD says"), format!("commit {found}"));
            Err(stale_or_damaged(storage, "the catalog is older than the last commit", &expected, &found))
        }
        _ => Ok(()),
    }
}

impl Catalog {
    /// Makes the catalog of a new store, whose first commit holds `meta`, and HEAD after it.
    ///
    /// # Errors
    /// `Exists` when there is a catalog already, `Io` when the operating system refuses.
    pub fn create(storage: Arc<dyn Storage>, options: CatalogOptions, meta: &StoreMeta) -> Result<Catalog> {
        let handle = Arc::new(Handle::create(storage.clone(), options)?);
        holder::announce(&*storage);
        let transaction = handle.begin_write()?;
        transaction.create_tables()?;
        transaction.put_meta(meta)?;
        transaction.commit_without_head()?;
        head::create(&*storage, meta.commit)?;
        Ok(Catalog { storage, options, writer: true, handle: Mutex::new(handle) })
    }

    /// Opens the catalog as the one writer, repairing what a killed writer left.
    ///
    /// # Errors
    /// `NotFound` without a store, `Locked` (naming the store and, where it can be told, the holder) while another
    /// writer has it for longer than the busy timeout, `Corrupt` for damage, `Io` otherwise.
    pub fn open_write(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Catalog> {
        let handle = Arc::new(open_writer(&storage, options)?);
        let catalog = Catalog { storage, options, writer: true, handle: Mutex::new(handle) };
        drop(catalog.begin_read()?);
        Ok(catalog)
    }

    /// Opens the catalog for reading beside a writer, repairing it first if a killed writer left it unclean.
    ///
    /// # Errors
    /// `NotFound` without a store, `ReadOnly` when it needs a repair that this process may not make, `Corrupt` for
    /// damage, `Io` otherwise.
    pub fn open_read(storage: Arc<dyn Storage>, options: CatalogOptions) -> Result<Catalog> {
        let handle = Arc::new(open_reader(&storage, options)?);
        let catalog = Catalog { storage, options, writer: false, handle: Mutex::new(handle) };
        drop(catalog.begin_read()?);
        Ok(catalog)
    }

    /// Whether this handle may write.
    pub fn is_writer(&self) -> bool {
        self.writer
    }

    /// The store's folder.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(super) fn options(&self) -> CatalogOptions {
        self.options
    }

    /// The handle in use, or a fresh one in place of a broken one.
    pub(super) fn handle(&self) -> Result<Arc<Handle>> {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.health.has_write_failed() {
            let root = self.storage.root();
            let message = format!("an earlier write to {} failed; open the store again", root.display());
            return Err(Error::new(ErrorKind::ReadOnly, message).with_path(root));
        }
        if handle.health.is_broken() {
            *handle = Arc::new(self.reopen(&handle)?);
        }
        Ok(handle.clone())
    }

    fn reopen(&self, broken: &Arc<Handle>) -> Result<Handle> {
        if !self.writer {
            return open_reader(&self.storage, self.options);
        }
        broken.close();
        open_writer(&self.storage, self.options)
    }

    /// A snapshot of the last commit.
    ///
    /// # Errors
    /// `Corrupt` for damage, or a snapshot older than HEAD; `ReadOnly` after a failed write; `Io` otherwise.
    pub fn begin_read(&self) -> Result<ReadTransaction> {
        let handle = self.handle()?;
        let head = head::read(&*self.storage)?;
        let transaction = handle.begin_read()?;
        check_not_stale(&*self.storage, head, transaction.meta().commit)?;
        Ok(transaction)
    }

    /// Begins a write transaction, waiting for the one of another thread to end.
    ///
    /// # Errors
    /// `ReadOnly` when the catalog was opened for reading or an earlier write failed; `Corrupt` or `Io` otherwise.
    pub fn begin_write(&self) -> Result<WriteTransaction> {
        if !self.writer {
            let root = self.storage.root();
            let message = format!("{} was opened for reading only", root.display());
            return Err(Error::new(ErrorKind::ReadOnly, message).with_path(root));
        }
        let handle = self.handle()?;
        let head = head::read(&*self.storage)?;
        let transaction = handle.begin_write()?;
        check_not_stale(&*self.storage, head, transaction::meta(&transaction)?.commit)?;
        Ok(transaction)
    }
}
