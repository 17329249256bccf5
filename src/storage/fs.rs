//! A store folder on a real file system.
//!
//! Files are made with mode 0600 and folders with 0700 where the platform has modes. Nothing in a store leads out of
//! it: a link in place of a file or folder is damage, and so is a pipe, which would never answer. This file and its
//! siblings `mmap` and `input` are the only places where the operating system's file calls may stand.
#![expect(clippy::disallowed_methods, reason = "this module is the seam to the operating system's files")]

use super::checksum::checksum;
use super::mmap::Mapping;
use super::{FileIdentity, LockGuard, LockKind, OpenMode, RangeLocks, Storage, StorageFile};
use crate::error::{Damage, Error, ErrorKind, Result};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A store folder on disk.
#[derive(Debug)]
pub struct FsStorage {
    /// As it was given; what users read.
    root: PathBuf,
    /// The same folder, wherever the process goes: its current folder may change while the store is open.
    place: PathBuf,
}

impl FsStorage {
    /// Makes the folder of a new store; the folder above it must exist.
    ///
    /// # Errors
    /// `Exists` when there is something at `root` already.
    pub fn create(root: &Path) -> Result<FsStorage> {
        match private_dir().create(root) {
            Ok(()) => Ok(FsStorage::at(root)),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                let message = format!("{} exists already", root.display());
                Err(Error::new(ErrorKind::Exists, message).with_path(root).with_source(source))
            }
            Err(source) => Err(Error::io("create", root, source)),
        }
    }

    /// Opens the folder of a store.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    pub fn open(root: &Path) -> Result<FsStorage> {
        match std::fs::metadata(root) {
            Ok(found) if found.is_dir() => Ok(FsStorage::at(root)),
            Ok(_) => Err(Error::invalid(format!("{} is not a folder", root.display())).with_path(root)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(Error::not_found(format!("there is no store at {}", root.display())).with_path(root))
            }
            Err(source) => Err(Error::io("open", root, source)),
        }
    }

    fn at(root: &Path) -> FsStorage {
        FsStorage { root: root.to_path_buf(), place: FsStorage::absolute(root) }
    }

    /// `path` from the root of the file system on, links not followed; as it is where the process has no current
    /// folder.
    pub fn absolute(path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
    }

    /// Whether there is anything at `path`, a link to nowhere included.
    pub fn is_taken(path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok()
    }

    /// Whether a link stands at `path`.
    pub fn is_link(path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
    }

    /// Removes a folder of a store that was never finished, as far as the operating system lets it.
    pub fn remove_root(root: &Path) {
        let _ = std::fs::remove_dir_all(root);
    }

    /// Makes the folder's own name survive a power loss.
    ///
    /// # Errors
    /// `Io` when the folder above cannot be synced.
    pub fn sync_parent(&self) -> Result<()> {
        let parent = match self.place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        sync_folder(parent)
    }

    /// Renames the whole store folder to `to`, which must not exist, and syncs the folder above.
    ///
    /// # Errors
    /// `Exists` when there is something at `to`; `Io` otherwise.
    pub fn rename_root(&mut self, to: &Path) -> Result<()> {
        if std::fs::symlink_metadata(to).is_ok() {
            return Err(Error::new(ErrorKind::Exists, format!("{} exists already", to.display())).with_path(to));
        }
        std::fs::rename(&self.place, to).map_err(|source| Error::io("rename", &self.root, source))?;
        *self = FsStorage::at(to);
        self.sync_parent()
    }

    /// Where `path` lies. What may stand there already is not looked at, the folders on the way are.
    fn path(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::invalid(format!("{path:?} is not a path inside a store")));
        }
        let mut above = relative.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
        above.try_for_each(|folder| self.check_kind(folder, "a folder", Metadata::is_dir))?;
        Ok(self.place.join(relative))
    }

    /// The path of a file, if anything is there.
    fn file_path(&self, path: &str) -> Result<PathBuf> {
        let place = self.path(path)?;
        self.check_kind(Path::new(path), "a file", Metadata::is_file)?;
        Ok(place)
    }

    /// The path of a folder, if anything is there.
    fn folder_path(&self, path: &str) -> Result<PathBuf> {
        let place = self.path(path)?;
        if !path.is_empty() {
            self.check_kind(Path::new(path), "a folder", Metadata::is_dir)?;
        }
        Ok(place)
    }

    /// Refuses what is there and is not `expected`, without following links.
    fn check_kind(&self, path: &Path, expected: &str, is_expected: impl Fn(&Metadata) -> bool) -> Result<()> {
        let place = self.place.join(path);
        // What is missing, or may not be looked at, is told by whoever uses it.
        let Ok(found) = std::fs::symlink_metadata(&place) else { return Ok(()) };
        if is_expected(&found) {
            return Ok(());
        }
        let found = match found.file_type() {
            kind if kind.is_symlink() => "a symbolic link",
            kind if kind.is_dir() => "a folder",
            kind if kind.is_file() => "a file",
            _ => "a pipe, socket or device",
        };
        let damage = Damage {
            file: path.to_path_buf(),
            offset: 0,
            what: "something else stands in the place of a part of the store".to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        };
        Err(Error::corrupt(damage).with_path(&place))
    }
}

/// Whether the file system below `path` is one that other machines may have mounted, too.
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    let Ok(path) = std::fs::canonicalize(path) else { return false };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_remote_among(&mounts, &path)
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_path: &Path) -> bool {
    false
}

/// The same, by the system's list of what is mounted where: the fifth field is the place, the kind comes after a dash.
#[cfg(any(target_os = "linux", test))]
fn is_remote_among(mounts: &str, path: &Path) -> bool {
    const KINDS: [&str; 13] =
        ["nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs", "afs", "lustre", "gfs", "ocfs", "virtiofs", "coda"];
    let kinds = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let place = before.split(' ').nth(4)?.replace("\\040", " ");
        path.starts_with(&place).then_some((place.len(), after.split(' ').next()?))
    });
    // Of several at one place the last one is seen.
    let kind = kinds.max_by_key(|(length, _)| *length).map(|(_, kind)| kind);
    kind.is_some_and(|kind| KINDS.iter().any(|remote| kind.starts_with(remote)))
}

/// What stands at `path`, links not followed.
fn look_at(path: &Path) -> Result<Metadata> {
    std::fs::symlink_metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("{} does not exist", path.display())).with_path(path),
        _ => Error::io("inspect", path, source),
    })
}

/// Device and number of a file; elsewhere open files cannot be renamed, so that nobody needs to ask.
#[cfg(unix)]
fn identity_of(found: &Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    Some(FileIdentity(found.dev(), found.ino()))
}

/// The file's number and when it was made, which no copy has; `None` where the file system does not say when.
#[cfg(unix)]
fn birth_of(found: &Metadata) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let made = found.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos();
    Some(checksum(found.ino(), &made.to_le_bytes()))
}

#[cfg(not(unix))]
fn birth_of(_found: &Metadata) -> Option<u64> {
    None
}

#[cfg(not(unix))]
fn identity_of(_found: &Metadata) -> Option<FileIdentity> {
    None
}

fn private_dir() -> std::fs::DirBuilder {
    #[allow(unused_mut, reason = "only platforms with modes change it")]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
}

fn options(mode: OpenMode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(mode != OpenMode::Read);
    options.create_new(mode == OpenMode::CreateNew).create(mode == OpenMode::CreateOrOpen);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

fn open_file(path: &Path, mode: OpenMode) -> Result<File> {
    options(mode).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found(format!("{} does not exist", path.display())).with_path(path).with_source(source)
        }
        io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Exists, format!("{} exists already", path.display())).with_path(path)
        }
        _ => Error::io("open", path, source),
    })
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<()> {
    let folder = File::open(path).map_err(|source| Error::io("open", path, source))?;
    folder.sync_all().map_err(|source| Error::io("sync", path, source))
}

/// Elsewhere folders cannot be opened for syncing; their entries are journaled by the file system.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> Result<()> {
    Ok(())
}

impl Storage for FsStorage {
    fn root(&self) -> &Path {
        &self.root
    }

    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(FsFile { file: open_file(&self.file_path(path)?, mode)? }))
    }

    fn exists(&self, path: &str) -> Result<bool> {
        let path = self.path(path)?;
        match std::fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::io("inspect", &path, source)),
        }
    }

    fn identity(&self, path: &str) -> Result<Option<FileIdentity>> {
        let path = self.path(path)?;
        Ok(identity_of(&look_at(&path)?))
    }

    fn is_remote(&self) -> bool {
        is_remote(&self.place)
    }

    fn birth(&self, path: &str) -> Result<Option<u64>> {
        Ok(birth_of(&look_at(&self.file_path(path)?)?))
    }

    fn len(&self, path: &str) -> Result<u64> {
        Ok(look_at(&self.file_path(path)?)?.len())
    }

    fn create_dir(&self, path: &str) -> Result<()> {
        let path = self.folder_path(path)?;
        private_dir().recursive(true).create(&path).map_err(|source| Error::io("create", &path, source))
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let path = self.folder_path(path)?;
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("list", &path, source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| Error::io("list", &path, source))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        std::fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        let path = self.path(path)?;
        std::fs::remove_dir(&path).map_err(|source| Error::io("remove", &path, source))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        std::fs::rename(&from, &to).map_err(|source| Error::io("rename", &from, source))
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        sync_folder(&self.folder_path(path)?)
    }

    fn map(&self, path: &str, len: u64) -> Result<Mapping> {
        let path = self.file_path(path)?;
        Mapping::of_file(&open_file(&path, OpenMode::Read)?, len, &path)
    }

    fn try_lock(&self, path: &str, kind: LockKind) -> Result<Option<Box<dyn LockGuard>>> {
        let path = self.file_path(path)?;
        let file = open_file(&path, OpenMode::CreateOrOpen)?;
        let locked = match kind {
            LockKind::Exclusive => file.try_lock(),
            LockKind::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Some(Box::new(FsLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", &path, source)),
        }
    }
}

/// Closing the file releases the lock.
#[derive(Debug)]
struct FsLock {
    _file: File,
}

impl LockGuard for FsLock {}

#[derive(Debug)]
struct FsFile {
    file: File,
}

impl StorageFile for FsFile {
    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer = &mut buffer[read..];
            offset += read as u64;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// All at once: a device and a journal take several syncs for little more than the price of one.
    fn sync_with(&self, others: &[&dyn StorageFile]) -> io::Result<()> {
        std::thread::scope(|scope| {
            let threads = std::thread::Builder::new;
            let begun = others.iter().map(|&other| (other, threads().spawn_scoped(scope, move || other.sync())));
            let begun: Vec<_> = begun.collect();
            let own = self.sync();
            let ended = begun.into_iter().map(|(other, begun)| match begun {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("a sync panicked"))),
                Err(_) => other.sync(),
            });
            ended.fold(own, io::Result::and)
        })
    }

    fn identity(&self) -> io::Result<Option<FileIdentity>> {
        Ok(identity_of(&self.file.metadata()?))
    }

    fn range_locks(&self) -> io::Result<RangeLocks> {
        Ok(RangeLocks::System(self.file.try_clone()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_other_machines_may_reach() {
        let mounts = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                      30 22 0:40 / /mnt/my\\040share rw - nfs4 server:/x rw\n\
                      31 22 0:41 / /mnt/here rw shared:1 - fuse.sshfs a@b: rw\n\
                      32 31 0:42 / /mnt/here/local rw - tmpfs tmpfs rw\n";
        let remote = |path: &str| is_remote_among(mounts, Path::new(path));
        assert!(remote("/mnt/my share/s.simile") && remote("/mnt/here/s"));
        assert!(!remote("/mnt/here/local/s") && !remote("/home/s") && !remote("/mnt/hereabouts"));
    }
}
