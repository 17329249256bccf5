//! A file of the user's that is written beside its place and takes it when it is whole.
//!
//! Owns [`NewFile`]: what stood under the name stays until every byte of the new file is safe, so neither a failure nor
//! a signal costs an earlier good file. Links are followed, so the file that a link names is replaced and the link
//! stays. What is no file (a pipe, a device, a stream of this process) is written to directly: there is nothing to put
//! in its place. The file beside is locked while it is written; what a killed process left is removed by whoever next
//! writes the same file.
#![expect(clippy::disallowed_methods, reason = "this module is the seam to the operating system's files")]

use crate::error::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Links that are followed before they count as a circle.
const MOST_LINKS: usize = 40;

/// Bytes of the longest name that file systems take.
const LONGEST_NAME: usize = 255;

/// Names that are tried for the file beside.
const MOST_TRIES: u32 = 1_000;

/// What lies at the end of a path that somebody wants written.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file, or a name that is free: the folder without links, and the name in it.
    File(PathBuf),
    /// A pipe, a device, or one of this process's own streams.
    Stream(PathBuf),
}

impl Target {
    /// Follows `path` to what it names.
    ///
    /// # Errors
    /// `Invalid` when that is a folder, `NotFound` when the folder above does not exist, `Io` otherwise.
    pub(crate) fn of(path: &Path) -> Result<Target> {
        let mut place = path.to_path_buf();
        for _ in 0..MOST_LINKS {
            let found = match std::fs::symlink_metadata(&place) {
                Ok(found) => found,
                Err(source) if source.kind() == io::ErrorKind::NotFound => return free_place(path, &place),
                Err(source) => return Err(Error::io("open", path, source)),
            };
            if is_stream_of_ours(&place) {
                return Ok(Target::Stream(place));
            }
            if found.is_dir() {
                return Err(Error::invalid(format!("{} is a folder, not a file", path.display())).with_path(path));
            }
            if !found.file_type().is_symlink() {
                let is_file = found.is_file();
                return if is_file { free_place(path, &place) } else { Ok(Target::Stream(place)) };
            }
            let leads_to = std::fs::read_link(&place).map_err(|source| Error::io("open", path, source))?;
            place = folder_of(&place).join(leads_to);
        }
        Err(Error::invalid(format!("{} is a circle of links", path.display())).with_path(path))
    }
}

/// A file, or a free name, with the folder above it freed of links.
fn free_place(asked: &Path, place: &Path) -> Result<Target> {
    let Some(name) = place.file_name() else {
        return Err(Error::invalid(format!("{} names no file", asked.display())).with_path(asked));
    };
    let folder = folder_of(place);
    match std::fs::canonicalize(folder) {
        Ok(folder) => Ok(Target::File(folder.join(name))),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            let message = format!("cannot write {}: there is no folder {}", asked.display(), folder.display());
            Err(Error::not_found(message).with_path(asked))
        }
        Err(source) => Err(Error::io("create", asked, source)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder at `path`, or the lowest one above it that exists, freed of links.
pub(crate) fn existing_folder(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .find_map(|above| std::fs::canonicalize(if above.as_os_str().is_empty() { Path::new(".") } else { above }).ok())
}

/// Whether anything has this name in this folder.
pub(crate) fn is_there(folder: &Path, name: &str) -> bool {
    std::fs::symlink_metadata(folder.join(name)).is_ok()
}

/// Whether the path is the name of a stream that this process has open (`/dev/stdout` is a link to one): renaming
/// another file into its place would leave whoever opened it with the old one.
fn is_stream_of_ours(path: &Path) -> bool {
    let folder = std::fs::canonicalize(folder_of(path));
    cfg!(unix)
        && folder.is_ok_and(|folder| {
            folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.file_name() == Some("fd".as_ref()))
        })
}

/// A file that appears under its name whole, or not at all.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// As the user wrote it.
    path: PathBuf,
    file: File,
    /// The file beside and the place it takes; `None` where the place is written to directly.
    beside: Option<(PathBuf, PathBuf)>,
}

impl NewFile {
    /// Begins the file that is to stand at `target`, which `path` led to.
    ///
    /// # Errors
    /// `Invalid` when this process is writing there already, `Io` when the operating system refuses.
    pub(crate) fn create(path: &Path, target: Target) -> Result<NewFile> {
        let path = path.to_path_buf();
        match target {
            Target::Stream(place) => {
                let file = open_stream(&place).map_err(|source| Error::io("open", &path, source))?;
                Ok(NewFile { path, file, beside: None })
            }
            Target::File(place) => {
                let earlier = earlier_file(&path, &place)?;
                let (file, beside) = make_beside(&path, &place)?;
                let new = NewFile { path, file, beside: Some((beside, place)) };
                if let Some(earlier) = earlier {
                    new.resemble(&earlier);
                }
                Ok(new)
            }
        }
    }

    /// As the user wrote it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the bytes safe.
    ///
    /// # Errors
    /// `Io` when the operating system refuses.
    pub(crate) fn sync(&self) -> Result<()> {
        match self.beside {
            Some(_) => self.file.sync_all().map_err(|source| Error::io("write", &self.path, source)),
            None => Ok(()),
        }
    }

    /// Puts the file, whose bytes are safe, into its place.
    ///
    /// # Errors
    /// `Io` when the operating system refuses.
    pub(crate) fn publish(mut self) -> Result<()> {
        if let Some((beside, place)) = &self.beside {
            std::fs::rename(beside, place).map_err(|source| Error::io("replace", &self.path, source))?;
            let folder = folder_of(place).to_path_buf();
            self.beside = None;
            sync_folder(&folder).map_err(|source| Error::io("sync", &folder, source))?;
        }
        Ok(())
    }

    /// Takes over the earlier file's mode and owner, as far as the operating system lets it.
    #[cfg(unix)]
    fn resemble(&self, earlier: &Metadata) {
        use std::os::unix::fs::{MetadataExt, fchown};
        if self.file.metadata().is_ok_and(|own| (own.uid(), own.gid()) != (earlier.uid(), earlier.gid())) {
            let _ = fchown(&self.file, Some(earlier.uid()), Some(earlier.gid()));
        }
        let _ = self.file.set_permissions(earlier.permissions());
    }

    #[cfg(not(unix))]
    fn resemble(&self, _earlier: &Metadata) {}
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.beside {
            let _ = std::fs::remove_file(beside);
        }
    }
}

/// Opens a pipe or a device; a stream of this process is written to where it stands.
fn open_stream(place: &Path) -> io::Result<File> {
    #[cfg(unix)]
    if is_stream_of_ours(place) {
        use std::os::fd::AsFd;
        let name = place.file_name().and_then(OsStr::to_str);
        return match name {
            Some("1") => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            Some("2") => io::stderr().as_fd().try_clone_to_owned().map(File::from),
            // Others cannot be told from their number without trusting that it is open: what is opened anew adds at the
            // end.
            _ => OpenOptions::new().append(true).open(place),
        };
    }
    OpenOptions::new().write(true).open(place)
}

/// What stands at `place`; a file that may not be written is not replaced either.
fn earlier_file(path: &Path, place: &Path) -> Result<Option<Metadata>> {
    match OpenOptions::new().write(true).open(place) {
        Ok(file) => Ok(file.metadata().ok()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("write", path, source)),
    }
}

/// A new file beside `place` that this process has locked.
fn make_beside(path: &Path, place: &Path) -> Result<(File, PathBuf)> {
    let folder = folder_of(place);
    let prefix = prefix_beside(place.file_name().unwrap_or_default());
    if remove_leftovers(folder, &prefix) {
        let message = format!("{} is being written already, by this command or by another process", path.display());
        return Err(Error::new(ErrorKind::Locked, message).with_path(path));
    }
    let refused = |source: io::Error| {
        let message = format!(
            "cannot write {}: it is written beside its place and renamed when it is whole, and no file can be made in \
             {}: {source}",
            path.display(),
            folder.display()
        );
        Error::new(ErrorKind::Io, message).with_path(path).with_source(source)
    };
    for number in 0..MOST_TRIES {
        let mut name = prefix.clone();
        name.push(format!("{}-{number}", std::process::id()));
        let beside = folder.join(name);
        let file = match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(source) => return Err(refused(source)),
        };
        match file.try_lock() {
            // Somebody who took it for a leftover may have removed it before the lock.
            Ok(()) if is_same(&file, &beside) => return Ok((file, beside)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // Where files cannot be locked, a leftover stays.
            Err(TryLockError::Error(_)) => return Ok((file, beside)),
        }
    }
    Err(refused(io::ErrorKind::AlreadyExists.into()))
}

/// `.NAME.new-`: hidden, and of a kind that is not read by `*.jsonl`.
fn prefix_beside(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    // What follows is at most a process's number and a count.
    prefix.push(if name.len() + 32 > LONGEST_NAME { OsStr::new("simile") } else { name });
    prefix.push(".new-");
    prefix
}

/// Removes what processes left that are gone; whether one is there that somebody is writing.
fn remove_leftovers(folder: &Path, prefix: &OsStr) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut is_written = false;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let is_ours =
            rest.is_some_and(|rest| !rest.is_empty() && rest.iter().all(|b| b.is_ascii_digit() || *b == b'-'));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = OpenOptions::new().write(true).open(&path) else { continue };
        match file.try_lock() {
            Ok(()) if is_same(&file, &path) => _ = std::fs::remove_file(&path),
            Err(TryLockError::WouldBlock) => is_written = true,
            _ => {}
        }
    }
    is_written
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let numbers = |found: io::Result<Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
    numbers(file.metadata()).is_some_and(|own| numbers(std::fs::symlink_metadata(path)) == Some(own))
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn is_same(_file: &File, _path: &Path) -> bool {
    true
}

/// Makes the names in a folder safe, where its file system can.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    let unable = [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // A folder that may be written but not read, and network file systems that do not sync folders.
        Err(source) if unable.contains(&source.kind()) => Ok(()),
        other => other,
    }
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = NewFile::create(path, Target::of(path)?)?;
        file.write_all(bytes).map_err(|source| Error::io("write", path, source))?;
        file.sync()?;
        file.publish()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_earlier_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "earlier").unwrap();
        let mut file = NewFile::create(&path, Target::of(&path).unwrap()).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"earlier");
        let twice = NewFile::create(&path, Target::of(&path).unwrap()).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Locked, "{twice}");
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"earlier");
        assert_eq!(names(folder.path()), ["a.txt"]);
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".a.txt.new-17-0", ".a.txt.new-mine", ".b.txt.new-17-0", "a.txt.new-17"] {
            std::fs::write(folder.path().join(name), "left").unwrap();
        }
        write(&folder.path().join("a.txt"), b"whole").unwrap();
        assert_eq!(names(folder.path()), [".a.txt.new-mine", ".b.txt.new-17-0", "a.txt", "a.txt.new-17"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_modes_too() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("inner")).unwrap();
        std::fs::write(at("inner/file"), "earlier").unwrap();
        std::fs::set_permissions(at("inner/file"), std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("inner/file", at("link")).unwrap();
        symlink("link", at("further")).unwrap();
        symlink("inner/new", at("dangling")).unwrap();
        symlink("round", at("round")).unwrap();
        write(&at("further"), b"whole").unwrap();
        write(&at("dangling"), b"new").unwrap();
        assert_eq!(std::fs::read(at("inner/file")).unwrap(), b"whole");
        assert_eq!(std::fs::read(at("inner/new")).unwrap(), b"new");
        assert_eq!(std::fs::metadata(at("inner/file")).unwrap().permissions().mode() & 0o777, 0o640);
        for link in ["link", "further", "dangling"] {
            assert!(std::fs::symlink_metadata(at(link)).unwrap().file_type().is_symlink(), "{link}");
        }
        assert!(write(&at("round"), b"").unwrap_err().message().contains("circle"));
        assert!(write(&at("inner"), b"").unwrap_err().message().contains("is a folder"));
        assert_eq!(write(&at("none/file"), b"").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
