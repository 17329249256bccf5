//! What all clones of a store's handle share, and its snapshots and batches with them.
//!
//! Owns [`Shared`]: the open catalog, the caches, the line of writers. Invariant: after the first failed write or sync
//! nothing is written any more, because what then lies on disk is known only after the store has been opened anew.

pub(in crate::store) mod cache;
pub(in crate::store) mod open;
pub(in crate::store) mod readers;
pub(in crate::store) mod recent;
pub(in crate::store) mod record_data;
pub(in crate::store) mod turn;

use crate::catalog::Catalog;
use crate::catalog::lease::{self, Lease};
use crate::error::{Error, ErrorKind, Result};
use crate::linalg::team::{self, Team};
use crate::storage::{FsStorage, Storage};
use crate::store::options::Options;
use crate::store::shared::cache::LensCache;
use crate::store::shared::open::OpenSnapshots;
use crate::store::shared::readers::SegmentReaders;
use crate::store::shared::recent::RecentRecords;
use crate::store::shared::turn::{Line, Turn};
use crate::text::embed::{self, Embedder};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Threads for the searches of all stores that were not given a number of their own: one for each core.
static MACHINE: LazyLock<Team> = LazyLock::new(|| Team::new(machine_threads()));

/// One thread for each core.
pub(in crate::store) fn machine_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What all clones of a handle share.
pub(in crate::store) struct Shared {
    pub(in crate::store) path: PathBuf,
    /// The same from the root of the file system on, wherever the process goes meanwhile.
    pub(in crate::store) place: PathBuf,
    pub(in crate::store) storage: Arc<dyn Storage>,
    pub(in crate::store) catalog: Catalog,
    pub(in crate::store) readers: SegmentReaders,
    pub(in crate::store) cache: LensCache,
    /// Records that were shown lately.
    pub(in crate::store) recent: RecentRecords,
    pub(in crate::store) options: Options,
    pool: Option<rayon::ThreadPool>,
    team: Option<Team>,
    line: Arc<Line>,
    poison: Mutex<Option<String>>,
    leases: Mutex<Weak<Lease>>,
    pub(in crate::store) open_snapshots: OpenSnapshots,
}

/// Whether a generation's files stay where they are.
pub(in crate::store) enum Leased {
    /// As long as this lives.
    Held(Arc<Lease>),
    /// No: its files are being collected, or its lease can neither be made nor locked here.
    Not,
}

pub(in crate::store) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is replaced as a whole, so a panic elsewhere cannot leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What all clones of a handle on the store in `storage` share.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where no thread can be started.
    pub(in crate::store) fn new(storage: Arc<dyn Storage>, catalog: Catalog, options: Options) -> Result<Shared> {
        if let Err(words) = team::settle_threads(false) {
            return Err(Error::new(ErrorKind::Io, format!("cannot start any thread for searches: {words}")));
        }
        let pool = match options.threads {
            Some(threads) => Some(build_pool(threads)?),
            None => None,
        };
        Ok(Shared {
            path: storage.root().to_path_buf(),
            place: FsStorage::absolute(storage.root()),
            storage,
            catalog,
            readers: SegmentReaders::default(),
            cache: LensCache::new(options.lens_cache_bytes),
            recent: RecentRecords::new(options.cache_bytes / 4),
            team: options.threads.map(Team::new),
            options,
            pool,
            line: Arc::default(),
            poison: Mutex::default(),
            leases: Mutex::default(),
            open_snapshots: OpenSnapshots::default(),
        })
    }

    pub(in crate::store) fn embedder(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        let own = self.options.embedders.iter().find(|embedder| embedder.name() == name).cloned();
        own.or_else(|| embed::by_name(name)).ok_or_else(|| {
            let message =
                format!("this build has no embedder {name:?}; vectors it made can be searched by id or vector");
            Error::new(ErrorKind::Unsupported, message)
        })
    }

    pub(in crate::store) fn cache_bytes(&self) -> usize {
        self.options.cache_bytes
    }

    pub(in crate::store) fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    pub(in crate::store) fn beside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.team.as_ref().unwrap_or(&MACHINE).with(work)
    }

    /// A lease on `generation`, shared by this handle's snapshots.
    pub(in crate::store) fn lease(&self, generation: u64) -> Leased {
        let mut held = lock(&self.leases);
        if let Some(lease) = held.upgrade().filter(|lease| lease.generation() == generation) {
            return Leased::Held(lease);
        }
        match lease::take(&*self.storage, generation) {
            Ok(Some(lease)) => {
                let lease = Arc::new(lease);
                *held = Arc::downgrade(&lease);
                Leased::Held(lease)
            }
            // A writer is collecting this generation: the catalog names a later one by now.
            Ok(None) => {
                std::thread::sleep(Duration::from_millis(1));
                Leased::Not
            }
            Err(_) => Leased::Not,
        }
    }

    /// Remembers the first failed write or sync: nothing is written after it.
    pub(in crate::store) fn poison(&self, error: &Error) {
        if error.kind() == ErrorKind::Io {
            lock(&self.poison).get_or_insert_with(|| error.message().to_string());
        }
    }

    pub(in crate::store) fn check_poison(&self) -> Result<()> {
        match lock(&self.poison).as_deref() {
            None => Ok(()),
            Some(reason) => {
                let message = format!("an earlier write failed ({reason}); open the store again before writing");
                Err(Error::new(ErrorKind::ReadOnly, message).with_path(&self.path))
            }
        }
    }

    /// The line in which writers stand.
    #[cfg(test)]
    pub(in crate::store) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// The turn to write, waiting as long as the options say.
    pub(in crate::store) fn take_turn(&self) -> Result<Turn> {
        self.wait_for_turn(|waited| self.options.busy_timeout.saturating_sub(waited))
    }

    pub(in crate::store) fn wait_for_turn(&self, patience: impl Fn(Duration) -> Duration) -> Result<Turn> {
        self.line.wait(patience).ok_or_else(|| {
            let message = format!("another batch of this process is writing to {}", self.path.display());
            Error::new(ErrorKind::Locked, message).with_path(&self.path)
        })
    }
}

fn build_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|idx| format!("simile-{idx}"))
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot start {threads} threads: {error}")))
}
