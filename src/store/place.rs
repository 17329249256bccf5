//! Where a new store comes to be: made whole beside its place, then renamed.
//!
//! A crash or a failure on the way leaves nothing under the name that was asked for. A command that is killed leaves a
//! folder beside it, and in it [`MAKER`], which says whose it was: the next one that makes something of that name
//! removes what is proven to be nobody's any more, and nothing else is ever removed. `check` and `info` list what lies
//! about.

use crate::catalog::CATALOG_FILE;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::SEGMENTS_FOLDER;
use crate::storage::process::{Fate, ProcessMark};
use crate::storage::{FsStorage, OpenMode, Storage};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the longest name that file systems take.
const LONGEST_NAME: usize = 255;
/// In the folder of a store that is being made: who makes it. It goes before the folder gets its name.
const MAKER: &str = "MAKER";
/// What the names of such folders end with, before the process's number.
const SUFFIX: &str = ".new-";
/// Names that are tried while others of the same process number lie about.
const MOST_NAMES: u32 = 100;

/// Makes a store at `path`, where nothing may be, by `make` in an empty folder.
///
/// # Errors
/// `Exists` when there is something at `path`; else what `make` or the operating system answers.
pub(in crate::store) fn make_at<T>(path: &Path, make: impl FnOnce(&Arc<dyn Storage>) -> Result<T>) -> Result<T> {
    if FsStorage::is_taken(path) {
        let message = format!("{} exists already", path.display());
        return Err(Error::new(ErrorKind::Exists, message).with_path(path));
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !FsStorage::is_taken(above)) {
        let message = format!("cannot make {}: there is no folder {}; make it first", path.display(), above.display());
        return Err(Error::not_found(message).with_path(above));
    }
    // Whoever hears of progress may change the process's folder.
    let path = &FsStorage::absolute(path);
    if let Some(store) = path.ancestors().skip(1).find(|above| FsStorage::is_taken(&above.join(CATALOG_FILE))) {
        let message = format!("{} lies inside the store {}", path.display(), store.display());
        return Err(Error::invalid(message).with_path(path));
    }
    let stem = stem(path);
    for left in leftovers(path).into_iter().filter(|left| left.is_gone && left.stem() == stem) {
        FsStorage::remove_root(&left.path);
    }
    // Goes after the storage does: open files cannot be removed everywhere.
    let mut unfinished = Unfinished(None);
    let (beside, storage) = make_beside(path, &stem)?;
    unfinished.0 = Some(beside.clone());
    let storage: Arc<dyn Storage> = Arc::new(storage);
    write_mark(&*storage)?;
    let made = make(&storage)?;
    storage.remove(MAKER)?;
    drop(storage);
    FsStorage::open(&beside)?.rename_root(path)?;
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

/// What the folder's name begins with while it is made.
fn stem(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default();
    let longest_end = SUFFIX.len() + u32::MAX.to_string().len() + "-00".len();
    let name = if name.len() + longest_end > LONGEST_NAME { ".simile".into() } else { name.to_os_string() };
    [name, SUFFIX.into()].into_iter().collect()
}

/// A new folder beside `path` that bears this process's number.
fn make_beside(path: &Path, stem: &OsString) -> Result<(PathBuf, FsStorage)> {
    let mut tried = 0;
    loop {
        let mut name = stem.clone();
        name.push(std::process::id().to_string());
        if tried > 0 {
            name.push(format!("-{tried}"));
        }
        let beside = path.with_file_name(name);
        match FsStorage::create(&beside) {
            Err(error) if error.kind() == ErrorKind::Exists && tried + 1 < MOST_NAMES => tried += 1,
            made => return Ok((beside, made?)),
        }
    }
}

fn write_mark(storage: &dyn Storage) -> Result<()> {
    let failed = |source| Error::io("write", &storage.root().join(MAKER), source);
    let text = ProcessMark::own().to_lines();
    storage.open(MAKER, OpenMode::CreateNew)?.write_all_at(text.as_bytes(), 0).map_err(failed)
}

/// A folder that a command which made a store has left, or makes just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Leftover {
    pub(in crate::store) path: PathBuf,
    /// Who made it, for messages; empty where that is not known.
    pub(in crate::store) maker: String,
    /// Whether that process is proven to be gone.
    pub(in crate::store) is_gone: bool,
    /// Whether that process runs.
    pub(in crate::store) runs: bool,
}

impl Leftover {
    fn stem(&self) -> OsString {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.rfind(SUFFIX).map_or(OsString::new(), |end| name[..end + SUFFIX.len()].into())
    }

    /// The leftover as a note: what it is, and what becomes of it.
    pub(in crate::store) fn note(&self) -> String {
        let path = self.path.display();
        match (self.is_gone, self.maker.is_empty()) {
            (true, _) => format!(
                "{path} was left by {}, which is gone; the next command that makes a store of that name removes it",
                self.maker
            ),
            (false, false) => format!(
                "{path} was begun by {}, of which it is not known whether it runs; where it does not, remove the \
                 folder",
                self.maker
            ),
            (false, true) => format!("{path} looks like what a killed command has left; if it is, remove the folder"),
        }
    }
}

/// What lies beside `path` of stores that were being made, but for what a running process makes.
pub(in crate::store) fn leftovers(path: &Path) -> Vec<Leftover> {
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let Ok(folder) = FsStorage::open(&above) else { return Vec::new() };
    let names = folder.list("").unwrap_or_default().into_iter().filter(|name| {
        let end = name.rsplit_once(SUFFIX).map(|(_, end)| end);
        end.is_some_and(|end| {
            end.starts_with(|c: char| c.is_ascii_digit()) && end.chars().all(|c| c.is_ascii_digit() || c == '-')
        })
    });
    let found = names.filter_map(|name| look_at(above.join(name)));
    found.filter(|left| !left.runs).collect()
}

/// What a folder of such a name is, if it is one.
fn look_at(path: PathBuf) -> Option<Leftover> {
    // A link of that name is somebody's, and not looked into.
    if FsStorage::is_link(&path) {
        return None;
    }
    let folder = FsStorage::open(&path).ok()?;
    let Some(mark) = read_mark(&folder) else {
        let is_store = [crate::catalog::CATALOG_FILE, crate::catalog::SUMS_FILE, crate::segment::SEGMENTS_FOLDER]
            .into_iter()
            .any(|part| folder.exists(part).unwrap_or(false));
        return is_store.then(|| Leftover { path, maker: String::new(), is_gone: false, runs: false });
    };
    let fate = mark.fate();
    Some(Leftover { path, maker: mark.shown(), is_gone: fate == Fate::Gone, runs: fate == Fate::Runs })
}

fn read_mark(folder: &FsStorage) -> Option<ProcessMark> {
    let file = folder.open(MAKER, OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?.min(2_048)];
    file.read_exact_at(&mut bytes, 0).ok()?;
    ProcessMark::of_lines(&String::from_utf8_lossy(&bytes))
}

/// Paths of all segment files, whether a commit names them or not.
pub(in crate::store) fn segment_files(storage: &dyn Storage) -> Result<Vec<String>> {
    let mut files = Vec::new();
    // Anything else in there is not ours to remove, be it a file that some program leaves in every folder.
    for view in storage.list(SEGMENTS_FOLDER)?.into_iter().filter(|view| view.parse::<u32>().is_ok()) {
        files.extend(files_of(storage, &format!("{SEGMENTS_FOLDER}/{view}"))?);
    }
    Ok(files)
}

/// Paths of the segment files in one view's folder; none where there is no such folder.
pub(in crate::store) fn files_of(storage: &dyn Storage, folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in storage.list(folder)? {
        // Nor a folder or a link of such a name.
        let is_segment = name.strip_suffix(".seg").is_some_and(|number| number.parse::<u32>().is_ok());
        let path = format!("{folder}/{name}");
        if is_segment && !matches!(storage.len(&path), Err(error) if error.kind() == ErrorKind::Corrupt) {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a killed command leaves: a folder with its mark.
    fn leave(path: &Path, mark: Option<&ProcessMark>) {
        let folder = FsStorage::create(path).unwrap();
        folder.open("catalog.redb", OpenMode::CreateNew).unwrap();
        if let Some(mark) = mark {
            let file = folder.open(MAKER, OpenMode::CreateNew).unwrap();
            file.write_all_at(mark.to_lines().as_bytes(), 0).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_what_a_dead_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let own = ProcessMark::own();
        let dead = ProcessMark { pid: own.pid, began: own.began + 1, ..own.clone() };
        leave(&place(&format!("s.new-{}", own.pid)), Some(&dead));
        leave(&place("s.new-7"), Some(&dead));
        leave(&place("s.new-8"), Some(&ProcessMark { namespace: "pid:[1]".to_string(), ..own.clone() }));
        leave(&place("s.new-9"), None);
        leave(&place("s.new-10"), Some(&own));
        leave(&place("other.new-7"), Some(&dead));
        leave(&place("s.new-mine"), Some(&dead));
        leave(&place("xs.new-7"), Some(&dead));
        std::os::unix::fs::symlink(place("s.new-mine"), place("s.new-11")).unwrap();
        let notes: Vec<String> = leftovers(&place("s")).iter().map(Leftover::note).collect();
        let told = |name: &str, words: &str| notes.iter().any(|note| note.contains(name) && note.contains(words));
        assert!(
            told("/s.new-7 ", "is gone") && told("/s.new-8 ", "not known") && told("/s.new-9 ", "looks like"),
            "{notes:?}"
        );
        assert!(!told("s.new-10 ", "") && !told("s.new-mine", "") && !told("s.new-11 ", ""), "{notes:?}");
        make_at(&place("s"), |storage| storage.create_dir("leases")).unwrap();
        assert!(FsStorage::is_taken(&place("s")) && !FsStorage::is_taken(&place("s").join(MAKER)));
        for (name, stays) in [
            (format!("s.new-{}", own.pid).as_str(), false),
            ("s.new-7", false),
            ("s.new-8", true),
            ("s.new-9", true),
            ("s.new-10", true),
            ("s.new-11", true),
            ("s.new-mine", true),
            ("other.new-7", true),
            ("xs.new-7", true),
        ] {
            assert_eq!(FsStorage::is_taken(&place(name)), stays, "{name}");
        }
    }

    #[test]
    fn a_folder_of_the_same_process_number_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join(format!("s.new-{}", std::process::id()));
        leave(&mine, None);
        make_at(&folder.path().join("s"), |storage| storage.create_dir("leases")).unwrap();
        assert!(FsStorage::is_taken(&mine) && FsStorage::is_taken(&folder.path().join("s")));
        assert!(make_at(&folder.path().join("t"), |_| Err::<(), _>(Error::invalid("no"))).is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
