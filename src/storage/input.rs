//! Files of the user's own: what import reads and export writes, outside any store.
//!
//! Other modules may not call the operating system's file functions themselves; these helpers give them readers and
//! writers whose errors name the path.
#![expect(clippy::disallowed_methods, reason = "this module is the seam to the operating system's files")]

use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a file of the user's for reading.
///
/// # Errors
/// `NotFound` when it does not exist, `Io` otherwise.
pub fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("there is no file {}", path.display())).with_path(path),
        _ => Error::io("open", path, source),
    })
}

/// Length in bytes of a file of the user's; `None` for pipes and the like.
pub fn len(file: &File) -> Option<u64> {
    file.metadata().ok().filter(std::fs::Metadata::is_file).map(|found| found.len())
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// `NotFound`, `Io`, or `Limit` when it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", path, source))?;
    if bytes.len() as u64 > limit {
        let message = format!("{} is larger than {limit} bytes", path.display());
        return Err(Error::new(ErrorKind::Limit, message).with_path(path));
    }
    Ok(bytes)
}

/// Makes (or empties) a file of the user's for writing.
///
/// # Errors
/// `Io` when the operating system refuses.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|source| Error::io("create", path, source))
}

/// Makes a folder, and those above it.
///
/// # Errors
/// `Io` when the operating system refuses.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::io("create", path, source))
}

/// Whether there is anything at `path`.
pub fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// This machine's name, for messages; empty where it cannot be told.
pub fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = from_kernel.or_else(|| std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME")).ok());
    named.unwrap_or_default().trim().chars().take(64).collect()
}
