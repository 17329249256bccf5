//! What a power loss leaves of a store folder: what was synced, and any part of the rest.
//!
//! Owns [`Disk`], a folder as a medium may hold it: synced bytes and names, and the changes since, each of which may be
//! there or not when the power comes back. A file's bytes are safe after a sync of the file, its name after a sync of
//! its folder. It replays [`Operation`]s that [`super::fault`] has recorded.

use super::memory::MemoryStorage;
use super::{OpenMode, Storage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One thing done to a store folder. Files are numbered, because a name may come to mean another file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the arguments of the storage's methods of these names")]
pub enum Operation {
    Make { path: String, file: usize },
    MakeFolder { path: String },
    Remove { path: String },
    RemoveFolder { path: String },
    Rename { from: String, to: String },
    SyncFolder { path: String },
    Write { file: usize, offset: u64, bytes: Arc<[u8]> },
    SetLen { file: usize, len: u64 },
    Sync { file: usize },
}

/// What becomes of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All are there: the process was killed, the machine went on.
    Nothing,
    /// None is there.
    Everything,
    /// Each is there or not.
    Some,
    /// Each is there or not, and writes may be cut at any byte or have landed in part of their sectors.
    Torn,
}

/// All kinds of loss.
pub const LOSSES: [Loss; 4] = [Loss::Nothing, Loss::Everything, Loss::Some, Loss::Torn];

/// What a device writes at once; a torn write may have landed in any of them.
const SECTOR_BYTES: usize = 512;

/// A small generator (xorshift64*), so that what was found can be found again.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A generator that always goes the same way from the same seed.
    pub fn new(seed: u64) -> Dice {
        // Seeds that differ little must not begin alike.
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        dice.below(2);
        dice
    }

    /// A number below `bound`, which is positive.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetLen(u64),
}

#[derive(Debug, Clone, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

/// A folder on a medium.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: BTreeMap<usize, File>,
    names: Names,
    /// Changes of names since the last sync of their folder, with that folder.
    since: Vec<(String, Operation)>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

impl Disk {
    /// A medium on which everything in `storage` is safe, and the numbers of its files.
    pub(super) fn of(storage: &MemoryStorage) -> (Disk, BTreeMap<String, usize>) {
        let (files, folders) = storage.parts();
        let mut disk = Disk { names: Names { folders, ..Names::default() }, ..Disk::default() };
        for (number, (path, synced)) in files.into_iter().enumerate() {
            disk.files.insert(number, File { synced, since: Vec::new() });
            disk.names.files.insert(path, number);
        }
        let numbers = disk.names.files.clone();
        (disk, numbers)
    }

    /// Does what was done.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Write { file, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: Arc::clone(bytes) };
                self.files.entry(*file).or_default().since.push(change);
            }
            Operation::SetLen { file, len } => self.files.entry(*file).or_default().since.push(Change::SetLen(*len)),
            Operation::Sync { file } => {
                let file = self.files.entry(*file).or_default();
                for change in std::mem::take(&mut file.since) {
                    apply(&mut file.synced, &change);
                }
            }
            Operation::SyncFolder { path } => {
                for (folder, operation) in std::mem::take(&mut self.since) {
                    if folder == *path {
                        self.names.apply(&operation);
                    } else {
                        self.since.push((folder, operation));
                    }
                }
            }
            Operation::Make { path, .. }
            | Operation::MakeFolder { path }
            | Operation::Remove { path }
            | Operation::RemoveFolder { path }
            | Operation::Rename { to: path, .. } => {
                self.since.push((above(path).to_string(), operation.clone()));
            }
        }
    }

    /// Whether anything is not safe yet.
    pub fn is_clean(&self) -> bool {
        self.since.is_empty() && self.files.values().all(|file| file.since.is_empty())
    }

    /// The folder when the power comes back.
    pub fn after(&self, loss: Loss, dice: &mut Dice) -> MemoryStorage {
        let stays = |dice: &mut Dice| match loss {
            Loss::Nothing => true,
            Loss::Everything => false,
            Loss::Some | Loss::Torn => dice.below(2) == 0,
        };
        let mut names = self.names.clone();
        for (_, operation) in &self.since {
            if stays(dice) {
                names.apply(operation);
            }
        }
        let reachable = |path: &str| {
            let folder = above(path);
            folder.is_empty()
                || folder
                    .match_indices('/')
                    .map(|(end, _)| &folder[..end])
                    .chain([folder])
                    .all(|folder| names.folders.contains(folder))
        };
        let mut files = BTreeMap::new();
        for (path, number) in names.files.iter().filter(|(path, _)| reachable(path)) {
            let Some(file) = self.files.get(number) else {
                files.insert(path.clone(), Vec::new());
                continue;
            };
            let mut bytes = file.synced.clone();
            for change in &file.since {
                if !stays(dice) {
                    continue;
                }
                match change {
                    Change::Write { offset, bytes: written } if loss == Loss::Torn && dice.below(3) == 0 => {
                        tear(&mut bytes, *offset, written, dice);
                    }
                    change => apply(&mut bytes, change),
                }
            }
            files.insert(path.clone(), bytes);
        }
        let folders = names.folders.iter().filter(|path| reachable(path)).cloned().collect();
        MemoryStorage::of_parts(files, folders)
    }
}

impl Names {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Make { path, file } => {
                self.files.insert(path.clone(), *file);
            }
            Operation::MakeFolder { path } => {
                let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
                self.folders.extend(ends.map(|end| path[..end].to_string()));
            }
            Operation::Remove { path } => {
                self.files.remove(path);
            }
            Operation::RemoveFolder { path } => {
                self.folders.remove(path);
            }
            Operation::Rename { from, to } => {
                if let Some(number) = self.files.remove(from) {
                    self.files.insert(to.clone(), number);
                }
            }
            _ => {}
        }
    }
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => bytes.resize(*len as usize, 0),
        Change::Write { offset, bytes: written } => put(bytes, *offset as usize, written),
    }
}

fn put(bytes: &mut Vec<u8>, start: usize, written: &[u8]) {
    let end = start + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(written);
}

/// A part of a write: the bytes up to some place, or some of its sectors.
fn tear(bytes: &mut Vec<u8>, offset: u64, written: &[u8], dice: &mut Dice) {
    let start = offset as usize;
    if dice.below(2) == 0 {
        let cut = dice.below(written.len() as u64 + 1) as usize;
        return put(bytes, start, &written[..cut]);
    }
    let mut at = 0;
    while at < written.len() {
        let end = written.len().min(at + SECTOR_BYTES - (start + at) % SECTOR_BYTES);
        if dice.below(2) == 0 {
            put(bytes, start + at, &written[at..end]);
        }
        at = end;
    }
}

/// A file's bytes, for tests that look at what is left.
pub fn bytes_of(storage: &dyn Storage, path: &str) -> crate::Result<Vec<u8>> {
    let file = storage.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; storage.len(path)? as usize];
    let read = file.read_exact_at(&mut bytes, 0);
    read.map(|()| bytes).map_err(|source| crate::Error::io("read", &storage.root().join(path), source))
}

#[cfg(test)]
mod tests {
    use super::super::fault::{Fault, FaultStorage, Plan};
    use super::*;
    use std::collections::HashSet;

    /// Two files, one of them new, and what each kind of loss can leave after the last sync.
    fn recorded() -> Disk {
        let memory = MemoryStorage::new();
        memory.open("old", OpenMode::CreateNew).unwrap().write_all_at(b"old!", 0).unwrap();
        let storage = FaultStorage::new(memory);
        let old = storage.open("old", OpenMode::Write).unwrap();
        old.write_all_at(b"new", 0).unwrap();
        old.sync().unwrap();
        old.write_all_at(b"X", 0).unwrap();
        old.write_all_at(b"Y", 9).unwrap();
        storage.create_dir("a").unwrap();
        storage.sync_dir("").unwrap();
        let new = storage.open("a/b", OpenMode::CreateNew).unwrap();
        new.write_all_at(&[7; 2_000], 0).unwrap();
        new.sync().unwrap();
        let mut disk = storage.disk();
        storage.clock().trace().iter().for_each(|operation| disk.apply(operation));
        assert_eq!(storage.clock().operations(), 9);
        disk
    }

    #[test]
    fn what_is_synced_stays_and_the_rest_may_go_in_any_order() {
        let disk = recorded();
        assert!(!disk.is_clean());
        let mut seen = HashSet::new();
        for seed in 0..200 {
            for loss in LOSSES {
                let left = disk.after(loss, &mut Dice::new(seed));
                let old = bytes_of(&left, "old").unwrap();
                let new = left.exists("a/b").unwrap().then(|| bytes_of(&left, "a/b").unwrap());
                assert!(left.exists("a").unwrap(), "the folder's name was synced");
                assert!(new.is_none_or(|new| new == [7; 2_000]), "its bytes were synced, its name was not");
                match loss {
                    Loss::Nothing => assert_eq!(old, b"Xew!\0\0\0\0\0Y"),
                    Loss::Everything => assert_eq!(old, b"new!"),
                    _ => assert!(old.ends_with(b"ew!") || old.ends_with(b"ew!\0\0\0\0\0Y") || old.ends_with(b"\0")),
                }
                seen.insert((loss == Loss::Some, old, left.exists("a/b").unwrap()));
            }
        }
        for old in [&b"new!"[..], b"Xew!", b"new!\0\0\0\0\0Y", b"Xew!\0\0\0\0\0Y"] {
            for name in [false, true] {
                assert!(seen.contains(&(true, old.to_vec(), name)), "{:?} never came", String::from_utf8_lossy(old));
            }
        }
    }

    #[test]
    fn writes_are_torn_at_bytes_and_sectors() {
        let storage = FaultStorage::new(MemoryStorage::new());
        let file = storage.open("f", OpenMode::CreateNew).unwrap();
        storage.sync_dir("").unwrap();
        file.write_all_at(&[1; 3_000], 100).unwrap();
        let mut disk = storage.disk();
        storage.clock().trace().iter().for_each(|operation| disk.apply(operation));
        let lens: HashSet<usize> = (0..100)
            .map(|seed| bytes_of(&disk.after(Loss::Torn, &mut Dice::new(seed)), "f").unwrap())
            .map(|bytes| bytes.iter().filter(|&&byte| byte == 1).count())
            .collect();
        assert!(lens.len() > 8 && lens.contains(&3_000) && lens.contains(&0), "{lens:?}");
        assert!(lens.iter().any(|len| len % 512 != 3_000 % 512 && len % 512 != 0), "cut at a byte: {lens:?}");
    }

    #[test]
    fn operations_fail_as_planned() {
        for plan in [Plan::Once(2, Fault::DiskFull), Plan::From(2, Fault::DiskFull)] {
            let storage = FaultStorage::new(MemoryStorage::new());
            storage.clock().set(plan);
            let file = storage.open("f", OpenMode::CreateNew).unwrap();
            file.write_all_at(b"abcd", 0).unwrap();
            assert_eq!(file.write_all_at(b"efgh", 4).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
            assert_eq!(bytes_of(storage.memory(), "f").unwrap(), b"abcdef", "a full disk takes a part");
            assert_eq!(file.sync().is_ok(), plan == Plan::Once(2, Fault::DiskFull));
            assert!(storage.clock().has_fired());
        }
        let storage = FaultStorage::new(MemoryStorage::new());
        storage.clock().set(Plan::SyncsUnder("a/"));
        storage.create_dir("a").unwrap();
        assert!(storage.open("a/f", OpenMode::CreateNew).unwrap().sync().is_err());
        assert!(storage.open("f", OpenMode::CreateNew).unwrap().sync().is_ok());
    }
}
