//! A store folder in memory, for tests: same meaning as a folder on disk, locks included.
//!
//! Several handles on one folder stand for several processes. An unlinked file lives on for those who have it open,
//! as on Unix. The fault clock wraps it.

use super::mmap::Mapping;
use super::range_lock::{LockTable, MemoryLocks};
use super::{LockGuard, LockKind, OpenMode, RangeLocks, Storage, StorageFile};
use crate::error::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The whole range of a file, for whole-file locks. They are kept apart from byte-range locks, as `flock` is.
const WHOLE_FILE: std::ops::Range<u64> = 0..u64::MAX;

/// A store folder in memory. Clones see the same files.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    root: PathBuf,
    /// What files are born with, if anything.
    birth: Option<u64>,
    /// Whether locks reach others.
    is_reached: bool,
    folder: Arc<Mutex<Folder>>,
}

#[derive(Debug, Default)]
struct Folder {
    files: BTreeMap<String, Arc<MemoryData>>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct MemoryData {
    bytes: RwLock<Vec<u8>>,
    ranges: Arc<LockTable>,
    whole: Arc<LockTable>,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        MemoryStorage { root: PathBuf::from("memory.simile"), birth: None, is_reached: true, folder: Arc::default() }
    }
}

impl MemoryStorage {
    /// An empty folder.
    pub fn new() -> MemoryStorage {
        MemoryStorage::default()
    }

    /// A folder with the same bytes in files of its own, none of them locked: what a copy of the folder would be.
    #[must_use]
    pub fn copy(&self) -> MemoryStorage {
        let (files, folders) = self.parts();
        MemoryStorage { root: self.root.clone(), ..MemoryStorage::of_parts(files, folders) }
    }

    /// The same folder by another way, on which none of the locks are seen that others take, nor its own by them.
    #[cfg(test)]
    #[must_use]
    pub fn out_of_reach(self) -> MemoryStorage {
        MemoryStorage { is_reached: false, ..self }
    }

    /// The same folder, whose files can be told from those of copies that bear another number.
    #[cfg(test)]
    #[must_use]
    pub fn born(self, birth: u64) -> MemoryStorage {
        MemoryStorage { birth: Some(birth), ..self }
    }

    /// A folder of these files and folders.
    pub fn of_parts(files: BTreeMap<String, Vec<u8>>, folders: BTreeSet<String>) -> MemoryStorage {
        let data = |bytes| Arc::new(MemoryData { bytes: RwLock::new(bytes), ..MemoryData::default() });
        let files = files.into_iter().map(|(path, bytes)| (path, data(bytes))).collect();
        MemoryStorage { folder: Arc::new(Mutex::new(Folder { files, folders })), ..MemoryStorage::default() }
    }

    /// The bytes of all files by path, and all folders.
    pub fn parts(&self) -> (BTreeMap<String, Vec<u8>>, BTreeSet<String>) {
        let folder = self.folder();
        let bytes = |data: &MemoryData| data.bytes.read().unwrap_or_else(PoisonError::into_inner).clone();
        (folder.files.iter().map(|(path, data)| (path.clone(), bytes(data))).collect(), folder.folders.clone())
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self, path: &str) -> Error {
        let path = self.root.join(path);
        Error::not_found(format!("{} does not exist", path.display())).with_path(&path)
    }

    /// Opens the file, lets `between` happen (the operating system has no single call for both), and takes the lock.
    ///
    /// # Errors
    /// As [`Storage::try_lock`], and what `between` answers.
    pub fn try_lock_after(
        &self,
        path: &str,
        kind: LockKind,
        between: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Box<dyn LockGuard>>> {
        let data = self.folder().open(path).ok_or_else(|| self.missing(path))?;
        between()?;
        let locks = MemoryLocks::new(if self.is_reached { data.whole.clone() } else { Arc::default() });
        if locks.try_lock(WHOLE_FILE, kind == LockKind::Exclusive) {
            Ok(Some(Box::new(MemoryLock { _locks: locks })))
        } else {
            Ok(None)
        }
    }

    fn file(&self, path: &str) -> Result<Arc<MemoryData>> {
        self.folder().files.get(path).cloned().ok_or_else(|| self.missing(path))
    }
}

impl Folder {
    fn open(&mut self, path: &str) -> Option<Arc<MemoryData>> {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        if !above.is_empty() && !self.folders.contains(above) {
            return None;
        }
        Some(self.files.entry(path.to_string()).or_default().clone())
    }
}

impl Storage for MemoryStorage {
    fn root(&self) -> &Path {
        &self.root
    }

    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        #[cfg(test)]
        super::counted::looked();
        let mut folder = self.folder();
        let found = folder.files.get(path).cloned();
        let data = match (mode, found) {
            (OpenMode::CreateNew, Some(_)) => {
                let path = self.root.join(path);
                return Err(Error::new(ErrorKind::Exists, format!("{} exists already", path.display())));
            }
            (_, Some(data)) => data,
            (OpenMode::CreateNew | OpenMode::CreateOrOpen, None) => {
                folder.open(path).ok_or_else(|| self.missing(path))?
            }
            (OpenMode::Read | OpenMode::Write, None) => return Err(self.missing(path)),
        };
        Ok(Arc::new(MemoryFile { data, writable: mode != OpenMode::Read, is_reached: self.is_reached }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        #[cfg(test)]
        super::counted::looked();
        let folder = self.folder();
        Ok(folder.files.contains_key(path) || folder.folders.contains(path))
    }

    fn is_remote(&self) -> bool {
        !self.is_reached
    }

    fn birth(&self, path: &str) -> Result<Option<u64>> {
        self.file(path).map(|_| self.birth)
    }

    fn len(&self, path: &str) -> Result<u64> {
        #[cfg(test)]
        super::counted::looked();
        Ok(self.file(path)?.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        let mut folder = self.folder();
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        folder.folders.extend(ends.map(|end| path[..end].to_string()));
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        #[cfg(test)]
        super::counted::looked();
        let folder = self.folder();
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let entries = folder.files.keys().chain(&folder.folders);
        let names = entries.filter_map(|entry| entry.strip_prefix(prefix.as_str()));
        let names: BTreeSet<_> = names.filter(|name| !name.contains('/')).map(str::to_string).collect();
        Ok(names.into_iter().collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.folder().files.remove(path).map(|_| ()).ok_or_else(|| self.missing(path))
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        if !self.list(path)?.is_empty() {
            let source = io::Error::from(io::ErrorKind::DirectoryNotEmpty);
            return Err(Error::io("remove", &self.root.join(path), source));
        }
        if self.folder().folders.remove(path) { Ok(()) } else { Err(self.missing(path)) }
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut folder = self.folder();
        let data = folder.files.remove(from).ok_or_else(|| self.missing(from))?;
        folder.files.insert(to.to_string(), data);
        Ok(())
    }

    fn sync_dir(&self, _path: &str) -> Result<()> {
        Ok(())
    }

    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        let data = self.file(path)?;
        let bytes = data.bytes.read().unwrap_or_else(PoisonError::into_inner);
        Mapping::of_bytes(&bytes, len, &self.root.join(path))
    }

    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        self.try_lock_after(path, kind, || Ok(()))
    }
}

/// Dropping the owner releases its lock.
#[derive(Debug)]
struct MemoryLock {
    _locks: MemoryLocks,
}

impl LockGuard for MemoryLock {}

#[derive(Debug)]
struct MemoryFile {
    data: Arc<MemoryData>,
    writable: bool,
    is_reached: bool,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageFile for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.data.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let start = position(offset)?;
        let found = start.checked_add(buffer.len()).and_then(|end| bytes.get(start..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut bytes = self.data.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let start = position(offset)?;
        let end = start.checked_add(written.len()).ok_or(io::ErrorKind::InvalidInput)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(written);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.data.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let len = position(len)?;
        self.data.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn range_locks(&self) -> io::Result<RangeLocks> {
        let table = if self.is_reached { self.data.ranges.clone() } else { Arc::default() };
        Ok(RangeLocks::Memory(MemoryLocks::new(table)))
    }
}
