//! Level 1: the seam to the operating system.
//!
//! Owns the traits [`Storage`] (one store folder) and [`StorageFile`] (one open file of it), and their three
//! implementations: [`FsStorage`] on a real folder, [`MemoryStorage`], and [`FaultStorage`], which fails and forgets as
//! told. All other code of the store reaches files through them, so that one fault clock runs for both the catalog and
//! the segments. It knows no file format. Paths are relative to the store's folder, use `/`, and are made by us from
//! fixed names and numbers only.

pub mod checksum;
#[cfg(test)]
pub mod counted;
#[cfg(feature = "testing")]
#[cfg_attr(not(test), allow(dead_code, reason = "the fault clock is for tests and fuzzing"))]
pub mod disk;
#[cfg(feature = "testing")]
#[cfg_attr(not(test), allow(dead_code, reason = "the fault clock is for tests and fuzzing"))]
pub mod fault;
pub mod fs;
pub mod input;
#[cfg_attr(not(test), allow(dead_code, reason = "stores in memory are for tests and the fault clock"))]
pub mod memory;
pub mod mmap;
pub mod process;
#[cfg_attr(not(test), allow(dead_code, reason = "stores in memory are for tests and the fault clock"))]
pub mod range_lock;
pub(crate) mod replace;
pub mod resident;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod turns;

#[cfg(feature = "testing")]
pub use fault::FaultStorage;
pub use fs::FsStorage;
pub use memory::MemoryStorage;
pub use mmap::{Advice, Mapping};

use crate::error::{Error, Result};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file that must not exist yet, for reading and writing.
    CreateNew,
    /// A file for reading and writing that is made when it does not exist.
    CreateOrOpen,
}

/// Whether others may hold the same lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Nobody else may hold the lock.
    Exclusive,
    /// Others may hold it shared.
    Shared,
}

/// A held lock on a whole file: released when dropped, and by the operating system when the process dies.
pub trait LockGuard: Send + Sync + Debug {}

/// One store folder.
///
/// Every method takes a path relative to [`Storage::root`]. Implementations refuse absolute paths and `..`.
pub trait Storage: Send + Sync + Debug {
    /// The folder, for messages.
    fn root(&self) -> &Path;

    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` when a file that should exist does not, `Exists` when one that should not does, `Io` otherwise.
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>>;

    /// Whether a file or folder of this name exists.
    fn exists(&self, path: &str) -> Result<bool>;

    /// Which file this name means now; `None` where nobody can tell.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    fn identity(&self, _path: &str) -> Result<Option<FileIdentity>> {
        Ok(None)
    }

    /// Whether processes of other machines may have the folder, too, as far as the platform says.
    fn is_remote(&self) -> bool {
        false
    }

    /// A number that tells the file of this name from every copy of it, for as long as it exists and wherever it is
    /// moved; `None` where nobody can tell.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    fn birth(&self, _path: &str) -> Result<Option<u64>> {
        Ok(None)
    }

    /// A file's length in bytes.
    fn len(&self, path: &str) -> Result<u64>;

    /// Makes a folder, and those above it; nothing happens if it is there.
    fn create_dir(&self, path: &str) -> Result<()>;

    /// Names (not paths) of a folder's entries, sorted; empty when the folder does not exist.
    fn list(&self, path: &str) -> Result<Vec<String>>;

    /// Removes a file.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes an empty folder.
    #[allow(dead_code, reason = "the seam is whole from the start: backup and compaction need this")]
    fn remove_dir(&self, path: &str) -> Result<()>;

    /// Renames a file, replacing what has the new name.
    #[allow(dead_code, reason = "the seam is whole from the start: backup and compaction need this")]
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes names created, renamed or removed in a folder (`""`: the store's own) survive a power loss.
    fn sync_dir(&self, path: &str) -> Result<()>;

    /// Maps the first `len` bytes of a file for reading.
    ///
    /// # Errors
    /// `Corrupt` when the file is shorter than `len`.
    fn map(&self, path: &str, len: u64) -> Result<Mapping>;

    /// Takes a whole-file lock without waiting, making the file when it is not there; `None` when it is taken.
    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>>;
}

/// One open file. Positions are explicit, so any number of threads may use it at once.
#[allow(clippy::len_without_is_empty, reason = "the length is asked of the operating system and may fail")]
pub trait StorageFile: Send + Sync + Debug {
    /// Reads exactly `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before that.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;

    /// Writes all of `bytes` at `offset`, extending the file with zeros up to there when it is shorter.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> std::io::Result<u64>;

    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> std::io::Result<()>;

    /// Makes the file's data and length survive a power loss.
    fn sync(&self) -> std::io::Result<()>;

    /// Syncs this file and all of `others`, in any order; answers with the first error and when all have ended.
    ///
    /// # Errors
    /// What syncing one of them answers.
    fn sync_with(&self, others: &[&dyn StorageFile]) -> std::io::Result<()> {
        let mut synced = Ok(());
        for other in others {
            synced = synced.and(other.sync());
        }
        synced.and(self.sync())
    }

    /// Which file this is, whatever its name means by now; `None` where nobody can tell.
    ///
    /// # Errors
    /// What the operating system answers.
    fn identity(&self) -> std::io::Result<Option<FileIdentity>> {
        Ok(None)
    }

    /// The byte-range locks of this open file; they belong to this opening of it, not to the process.
    ///
    /// # Errors
    /// `Io` when the handle cannot be duplicated.
    fn range_locks(&self) -> std::io::Result<RangeLocks>;
}

/// A file whose bytes are written and not yet safe: whoever holds it syncs it before anything counts on them.
#[derive(Debug)]
#[must_use = "its bytes are not safe before it is synced"]
pub struct Unsynced {
    path: PathBuf,
    file: Arc<dyn StorageFile>,
}

impl Unsynced {
    /// The file at `path`, which is for messages.
    pub fn new(path: PathBuf, file: Arc<dyn StorageFile>) -> Unsynced {
        Unsynced { path, file }
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &dyn StorageFile {
        &*self.file
    }

    /// Makes the bytes safe now.
    ///
    /// # Errors
    /// `Io` when the operating system refuses.
    pub fn sync(self) -> Result<()> {
        self.file.sync().map_err(|source| Error::io("sync", &self.path, source))
    }
}

/// What tells a file from all others on the machine while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity(pub u64, pub u64);

/// Where a file's byte-range locks live.
#[derive(Debug)]
pub enum RangeLocks {
    /// The operating system's, on a duplicate of the file's handle.
    System(std::fs::File),
    /// The in-memory storage's.
    #[cfg_attr(not(test), allow(dead_code, reason = "stores in memory are for tests and the fault clock"))]
    Memory(range_lock::MemoryLocks),
}

/// Says how many faults of a kind a test has been through: `cargo test -- --nocapture 2>&1 | grep -o 'counted: .*'`
/// lists them, to be added up.
#[cfg(test)]
pub(crate) fn counted(count: usize, what: &str) {
    eprintln!("counted: {count} {what}");
}
