//! Where a new store comes to be: made whole beside its place, then renamed.
//!
//! A crash or a failure on the way leaves nothing under the name that was asked for.

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{FsStorage, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the longest name that file systems take.
const LONGEST_NAME: usize = 255;

/// Makes a store at `path`, where nothing may be, by `make` in an empty folder.
///
/// # Errors
/// `Exists` when there is something at `path`; else what `make` or the operating system answers.
pub(super) fn make_at<T>(path: &Path, make: impl FnOnce(&Arc<dyn Storage>) -> Result<T>) -> Result<T> {
    if FsStorage::is_taken(path) {
        let message = format!("{} exists already", path.display());
        return Err(Error::new(ErrorKind::Exists, message).with_path(path));
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !FsStorage::is_taken(above)) {
        let message = format!("cannot make {}: there is no folder {}; make it first", path.display(), above.display());
        return Err(Error::not_found(message).with_path(above));
    }
    let suffix = format!(".new-{}", std::process::id());
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    if name.len() + suffix.len() > LONGEST_NAME {
        name = ".simile".into();
    }
    name.push(suffix);
    let beside = path.with_file_name(name);
    let storage: Arc<dyn Storage> = Arc::new(FsStorage::create(&beside)?);
    let mut unfinished = Unfinished(Some(beside));
    let made = make(&storage)?;
    drop(storage);
    if let Some(beside) = &unfinished.0 {
        FsStorage::open(beside)?.rename_root(path)?;
    }
    unfinished.0 = None;
    Ok(made)
}

/// A folder that is removed unless it got its name: after a panic of whoever hears of progress, too.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(beside) = &self.0 {
            FsStorage::remove_root(beside);
        }
    }
}
