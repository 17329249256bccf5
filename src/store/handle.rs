//! The store's handle: create, open, take snapshots, begin batches.
//!
//! Owns [`Store`], and which formats it opens. One handle of one process writes; within it one batch is open at a time.

use crate::catalog::tables::COLLECTIONS;
use crate::catalog::{Catalog, CatalogOptions, CatalogRead, newer_format};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{FsStorage, Storage};
use crate::store::care::check::CheckReport;
use crate::store::care::recover;
use crate::store::options::Options;
use crate::store::place;
use crate::store::read::core::Core;
use crate::store::read::info::StoreInfo;
use crate::store::read::snapshot::{Inner, Snapshot};
use crate::store::shared::{Shared, lock, machine_threads};
use crate::store::write::batch::Batch;
use crate::text::embed::Embedder;
use crate::types::{CommitNumber, Control, FORMAT, StoreMeta};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How long [`Store::write`] waits for its turn where nothing is said.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// Features of the format that this build knows, as the bits of `StoreMeta::required_features`.
const KNOWN_FEATURES: u64 = crate::store::read::column::LONG_VALUES | crate::store::kept::learned::NEW_CLASSES;

/// A store on disk. Clones share one handle; it can be used from any thread.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// # let path = dir.join("notes.simile");
/// use simile::{Record, store::Store};
/// let store = Store::create(&path)?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
/// batch.commit()?;
/// drop(store);
///
/// let store = Store::open_read_only(&path)?;
/// assert_eq!(store.info()?.collections[0].records, 1);
/// assert!(store.begin().is_err());
/// # drop(store);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// What was made last, as long as somebody has it.
    latest: Arc<Mutex<Weak<Inner>>>,
}

impl Store {
    /// Makes an empty store: a new folder at `path`, whose parent must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when there is something at `path`.
    pub fn create(path: impl AsRef<Path>) -> Result<Store> {
        Store::create_with(path.as_ref(), Options::new())
    }

    /// Opens a store for reading and writing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without a store there, [`ErrorKind::Locked`] when another writer has it (see
    /// [`Options::busy_timeout`]), [`ErrorKind::Version`] for a newer format, [`ErrorKind::Corrupt`] for damage.
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        Store::open_with(path.as_ref(), Options::new())
    }

    /// Opens a store for reading only; its snapshots follow the commits of whoever writes.
    ///
    /// # Errors
    /// As [`Store::open`]; `Locked` only where a killed writer's catalog needs a repair that is under way elsewhere, or
    /// a writer was stopped in the midst of publishing a commit (see [`Options::busy_timeout`]).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Store> {
        Store::open_with(path.as_ref(), Options::new().read_only(true))
    }

    /// Opens the store at `path` for reading and writing, or makes an empty one where there is nothing.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Store::create`]; of two who make it at a time, both get it.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Store> {
        Options::new().open_or_create(path)
    }

    /// Closes this handle. The store is closed with the last of its clones, snapshots and batches; what was committed
    /// is durable without this. It tells what dropping keeps to itself: that a write had failed.
    ///
    /// # Errors
    /// The failed write after which this handle wrote no more.
    pub fn close(self) -> Result<()> {
        self.shared.check_poison()
    }

    pub(in crate::store) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes an empty store in the empty folder `storage`: the seam that tests use.
    pub(crate) fn create_storage(storage: &Arc<dyn Storage>, options: Options) -> Result<Store> {
        recover::format_new(storage, &options)?;
        Store::open_storage(Arc::clone(storage), options)
    }

    pub(in crate::store) fn create_with(path: &Path, options: Options) -> Result<Store> {
        options.check()?;
        place::make_at(path, |storage| {
            recover::format_new(storage, &options)?;
            Store::verify_made(storage, &Control::new())
        })?;
        Store::open_with(path, options)
    }

    /// Opens what was just made, as any reader will, and checks it: what was written is a store once it reads back.
    pub(in crate::store) fn verify_made(storage: &Arc<dyn Storage>, control: &Control) -> Result<()> {
        let opened = Store::open_storage(Arc::clone(storage), Options::new().read_only(true));
        // redb's own check opens for writing, and what could go wrong in that has gone right by now.
        let report = opened.and_then(|store| crate::store::care::check::run(&store.shared, control, false));
        let checked = report
            .and_then(|report| report.findings.into_iter().next().map_or(Ok(()), |damage| Err(Error::corrupt(damage))));
        checked.map_err(|error| match error.kind() {
            ErrorKind::Cancelled => error,
            _ => error.context("the new store does not read back as it was written, and is removed"),
        })
    }

    pub(in crate::store) fn open_with(path: &Path, options: Options) -> Result<Store> {
        options.check()?;
        let storage: Arc<dyn Storage> = Arc::new(FsStorage::open(path)?);
        Store::open_storage(storage, options)
    }

    /// Opens the store in `storage`: the seam that tests use.
    pub(crate) fn open_storage(storage: Arc<dyn Storage>, options: Options) -> Result<Store> {
        let opened = open_catalog(&storage, &options).and_then(|catalog| {
            check_format(catalog.begin_read()?.meta(), storage.root())?;
            Ok(catalog)
        });
        let is_newer = |error: &Error| error.kind() == ErrorKind::Version && error.path().is_none();
        let catalog = opened.map_err(|error| match is_newer(&error) {
            true => error.context(storage.root().display()).with_path(storage.root()),
            false => error,
        })?;
        let shared = Arc::new(Shared::new(storage, catalog, options)?);
        if !shared.options.read_only {
            recover::tidy(&shared)?;
        }
        Ok(Store { shared, latest: Arc::default() })
    }

    /// The store's folder, as it was given; a relative one is meant from the folder that was the process's when it was
    /// opened.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Threads that work for this store at a time, see [`Options::threads`].
    pub fn threads(&self) -> usize {
        self.shared.options.threads.unwrap_or_else(machine_threads)
    }

    /// Whether this handle only reads.
    pub fn is_read_only(&self) -> bool {
        self.shared.options.read_only
    }

    /// An immutable view of what is committed now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the catalog is damaged or older than HEAD.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let core = Core::take(&self.shared)?;
        let mut latest = lock(&self.latest);
        if let Some(snapshot) = latest.upgrade().map(Snapshot::from_inner)
            && snapshot.commit() == core.meta.commit
            && snapshot.has_whole_files()
        {
            // Nothing has changed since somebody's snapshot that is still in use: what it has loaded serves again.
            return Ok(snapshot);
        }
        self.shared.readers.forget_gone(&core.read)?;
        let defs = core.read.range(&COLLECTIONS, ..)?.into_iter().map(|(_, def)| def).collect();
        let snapshot = Snapshot::new(Arc::new(core), defs);
        *latest = snapshot.downgrade();
        Ok(snapshot)
    }

    /// Begins an all-or-nothing change, waiting for the open batch and those who came before as long as
    /// [`Options::busy_timeout`] says. [`Store::write`] does all of it in one call.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`] for a read-only handle or after a failed write, [`ErrorKind::Locked`] when another
    /// batch of this process stays open.
    pub fn begin(&self) -> Result<Batch> {
        self.begin_with(Control::new())
    }

    /// As [`Store::begin`], with somebody to hear of its progress and to stop it.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub fn begin_with(&self, control: Control) -> Result<Batch> {
        self.check_writable()?;
        let turn = self.shared.take_turn()?;
        Batch::begin(Arc::clone(&self.shared), turn, control)
    }

    /// Changes the store by `work`, whose result comes back with the number of the commit. Writers of this handle stand
    /// in line, first come, first served; this one waits as long as [`Options::busy_timeout`] says, or a minute where
    /// nothing is said. Where `work` fails, nothing is changed.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// use simile::{Record, Store};
    /// let store = Store::create(folder.path().join("notes.simile"))?;
    /// std::thread::scope(|scope| {
    ///     for writer in 0..4 {
    ///         let store = &store;
    ///         scope.spawn(move || {
    ///             store.write(|batch| batch.collection("notes")?.insert(Record::new(format!("n{writer}"), "a note")))
    ///         });
    ///     }
    /// });
    /// assert_eq!(store.snapshot()?.collection("notes")?.live().len(), 4);
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::begin`] and [`Batch::commit`], and what `work` answers.
    pub fn write<T>(&self, work: impl FnOnce(&mut Batch) -> Result<T>) -> Result<(T, CommitNumber)> {
        self.check_writable()?;
        let patience = Some(self.shared.options.busy_timeout).filter(|timeout| !timeout.is_zero());
        let turn = self.shared.wait_for_turn(|waited| patience.unwrap_or(WRITE_PATIENCE).saturating_sub(waited))?;
        let mut batch = Batch::begin(Arc::clone(&self.shared), turn, Control::new())?;
        let result = work(&mut batch)?;
        Ok((result, batch.commit()?))
    }

    /// Fails where a batch could not be begun by now: asked before long work that ends in one.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub(crate) fn expect_turn(&self) -> Result<()> {
        self.check_writable()?;
        self.shared.take_turn().map(drop)
    }

    /// As [`Store::begin`], for work that would be lost: it waits as long as it takes. Once `control` is cancelled it
    /// waits as long as any other; what has been done by then is still stored.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub(crate) fn begin_after_work(&self, control: &Control) -> Result<Batch> {
        self.check_writable()?;
        let own = self.shared.options.busy_timeout;
        let turn = self.shared.wait_for_turn(|waited| match control.checkpoint() {
            Ok(()) => Duration::MAX,
            Err(_) => own.saturating_sub(waited),
        })?;
        Batch::begin(Arc::clone(&self.shared), turn, Control::new())
    }

    fn check_writable(&self) -> Result<()> {
        if self.shared.options.read_only {
            let message = format!("{} is open for reading only", self.shared.path.display());
            return Err(Error::new(ErrorKind::ReadOnly, message).with_path(&self.shared.path));
        }
        self.shared.check_poison()
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the catalog is damaged.
    pub fn info(&self) -> Result<StoreInfo> {
        StoreInfo::gather(&self.snapshot()?)
    }

    /// Verifies every checksum and invariant, going on after the first finding.
    ///
    /// # Errors
    /// Only where the check itself cannot be made; damage is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        self.check_with(&Control::new())
    }

    /// As [`Store::check`], with somebody to hear of its progress (in bytes) and to stop it.
    ///
    /// # Errors
    /// As [`Store::check`], and [`ErrorKind::Cancelled`].
    pub fn check_with(&self, control: &Control) -> Result<CheckReport> {
        crate::store::care::check::run(&self.shared, control, true)
    }

    /// The embedder of that name: one of the app's own ([`Options::embedder`]) or one of this build.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when there is none.
    pub fn embedder(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        self.shared.embedder(name)
    }
}

fn open_catalog(storage: &Arc<dyn Storage>, options: &Options) -> Result<Catalog> {
    let catalog_options = CatalogOptions { cache_bytes: options.cache_bytes, busy_timeout: options.busy_timeout };
    match options.read_only {
        true => Catalog::open_read(Arc::clone(storage), catalog_options),
        false => Catalog::open_write(Arc::clone(storage), catalog_options),
    }
}

/// Refuses what this build does not know, by name.
pub(in crate::store) fn check_format(meta: &StoreMeta, path: &Path) -> Result<()> {
    if meta.format > FORMAT {
        return Err(newer_format(meta.format, &meta.needs).context(path.display()).with_path(path));
    }
    check_features(meta, KNOWN_FEATURES, path)
}

/// Refuses a store that a simile which knows `known` cannot read.
pub(in crate::store) fn check_features(meta: &StoreMeta, known: u64, path: &Path) -> Result<()> {
    let unknown = meta.required_features & !known;
    if unknown != 0 {
        let message = format!("{} needs features {unknown:#x} that this build does not know", path.display());
        return Err(Error::new(ErrorKind::Version, message).with_path(path));
    }
    Ok(())
}

impl Options {
    /// Opens the store at `path`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store> {
        Store::open_with(path.as_ref(), self)
    }

    /// Opens the store at `path`, or makes an empty one where there is nothing.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Store::create`]; nothing is made for reading only.
    pub fn open_or_create(self, path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let opened = self.clone().open(path);
        let is_missing = matches!(&opened, Err(error) if error.kind() == ErrorKind::NotFound);
        if !is_missing || self.read_only {
            return opened;
        }
        match self.clone().create(path) {
            // Somebody else was quicker.
            Err(error) if error.kind() == ErrorKind::Exists => self.open(path),
            made => made,
        }
    }

    /// Makes a new store at `path`.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(self, path: impl AsRef<Path>) -> Result<Store> {
        Store::create_with(path.as_ref(), self)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.shared.path)
            .field("read_only", &self.is_read_only())
            .finish_non_exhaustive()
    }
}
