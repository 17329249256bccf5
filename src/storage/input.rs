//! Files of the user's own, outside any store: what import reads, and folders that export makes.
//!
//! Other modules may not call the operating system's file functions themselves; these helpers give them
//! readers whose errors name the path. What is written is `replace`'s.
#![expect(clippy::disallowed_methods, reason = "this module is the seam to the operating system's files")]

use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file of the user's for reading; a folder is refused by name.
///
/// # Errors
/// `NotFound` when it does not exist, `Invalid` when it is a folder, `Io` otherwise.
pub fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("no file {}", path.display())).with_path(path),
        _ => Error::io("open", path, source),
    })?;
    let found = file.metadata().map_err(|source| Error::io("read", path, source))?;
    if found.is_dir() {
        return Err(Error::invalid(format!("{} is a folder, not a file", path.display())).with_path(path));
    }
    Ok(file)
}

/// Whether there is a folder at `path`.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Makes a folder, and those above it.
///
/// # Errors
/// `Io` when the operating system refuses.
pub fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::io("create", path, source))
}

/// This machine's name, for messages; empty where it cannot be told.
pub fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = from_kernel.or_else(|| std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME")).ok());
    named.unwrap_or_default().trim().chars().take(64).collect()
}
