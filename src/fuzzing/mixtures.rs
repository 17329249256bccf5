//! Copies of a store that a program makes file by file, piece by piece, while the store is written to.
//!
//! Owns [`Film`]: the files as they stood after every single operation of a writer. A copy takes each piece of each
//! file from a later moment than the one before. Whatever comes of it shows exactly what some commit has shown, or is
//! refused.

use super::accounts;
use super::crash;
use super::ops::{self, Change, Model};
use crate::catalog::{CATALOG_FILE, HEAD_FILE};
use crate::error::ErrorKind;
use crate::storage::disk::{Dice, Loss};
use crate::storage::{FaultStorage, MemoryStorage, Storage, counted};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The files at one moment.
type Frame = BTreeMap<String, Arc<Vec<u8>>>;

struct Film {
    frames: Vec<Frame>,
    folders: BTreeSet<String>,
    /// What each commit showed.
    states: BTreeSet<String>,
}

fn shown(store: &Store) -> crate::Result<String> {
    accounts::shown(&store.snapshot()?)
}

impl Film {
    fn new() -> Film {
        let faulty = FaultStorage::new(crash::empty().copy().born(1));
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let mut model = Model::new();
        let mut store = Store::open_storage(Arc::clone(&storage), ops::options()).unwrap();
        let mut states = BTreeSet::from([shown(&store).unwrap()]);
        let put = |id, number| Change::Put { collection: 0, id, text: number, vector: 3 * number, embed: true };
        for round in 0..14_u8 {
            let mut changes: Vec<Change> = (0..6).map(|id| put(id * 3 + round % 3, round + id)).collect();
            match round % 4 {
                0 => changes.push(Change::PutMany { collection: 0, count: 60 + u16::from(round) * 10 }),
                1 => changes.push(Change::RemoveMany { collection: 0, every: 3 }),
                2 => changes.push(Change::Lens(round % 3)),
                _ => changes.push(Change::Label { collection: 0, question: round % 3, id: round, grade: 1 }),
            }
            ops::run_batch(&store, &changes, true, &mut model).unwrap();
            states.insert(shown(&store).unwrap());
            if round % 5 == 4 {
                store.compact().unwrap();
                states.insert(shown(&store).unwrap());
            }
            if round == 8 {
                drop(store);
                store = Store::open_storage(Arc::clone(&storage), ops::options()).unwrap();
            }
        }
        drop(store);
        let (mut disk, mut frames) = (faulty.disk(), Vec::<Frame>::new());
        let mut folders = BTreeSet::new();
        for operation in faulty.clock().trace() {
            disk.apply(&operation);
            let (files, now) = disk.after(Loss::Nothing, &mut Dice::new(1)).parts();
            folders.extend(now);
            let frame = files.into_iter().map(|(path, bytes)| {
                let before = frames.last().and_then(|frame| frame.get(&path)).filter(|before| ***before == bytes);
                let bytes = before.cloned().unwrap_or_else(|| Arc::new(bytes));
                (path, bytes)
            });
            let frame = frame.collect();
            frames.push(frame);
        }
        Film { frames, folders, states }
    }

    /// A copy that begins at `moment` and whose pieces are up to `spread` operations apart.
    fn copy(&self, mut moment: usize, spread: u64, piece: usize, dice: &mut Dice) -> BTreeMap<String, Vec<u8>> {
        let mut names: Vec<&String> = self.frames[moment].keys().collect();
        for idx in (1..names.len()).rev() {
            names.swap(idx, dice.below(idx as u64 + 1) as usize);
        }
        let mut copy = BTreeMap::new();
        for name in names {
            let mut copied = Vec::new();
            let is_there = loop {
                let Some(bytes) = self.frames[moment].get(name) else { break !copied.is_empty() };
                let end = bytes.len().min(copied.len() + piece);
                if copied.len() >= end {
                    break true;
                }
                copied.extend_from_slice(&bytes[copied.len()..end]);
                moment = (moment + dice.below(spread + 1) as usize).min(self.frames.len() - 1);
            };
            if is_there {
                copy.insert(name.clone(), copied);
            }
        }
        copy
    }
}

/// The first page of the catalog is what is copied first, and names where everything else is: from here on, pages are
/// those of later moments, each with the checksum of its own that it had then.
#[test]
fn a_header_with_pages_of_later_commits_is_some_commit_or_refused() {
    let film = Film::new();
    let (mut right, mut refused, mut mixed) = (0, 0, 0);
    for (number, from) in (0..film.frames.len()).step_by(7).enumerate() {
        for ahead in [3, 9, 27, 60, 110] {
            let Some(later) = film.frames.get(from + ahead) else { continue };
            let mut files: BTreeMap<String, Vec<u8>> =
                later.iter().map(|(path, bytes)| (path.clone(), bytes.to_vec())).collect();
            for (path, most) in [(CATALOG_FILE, 4_096), (HEAD_FILE, usize::MAX)] {
                let (Some(early), Some(copied)) = (film.frames[from].get(path), files.get_mut(path)) else { continue };
                let end = most.min(early.len()).min(copied.len());
                copied[..end].copy_from_slice(&early[..end]);
            }
            let left = MemoryStorage::of_parts(files, film.folders.clone()).born(2 + number as u64);
            let what = || format!("the header of operation {from}, and what it was {ahead} later");
            let options = ops::options().read_only(number % 2 == 0);
            match Store::open_storage(Arc::new(left), options).and_then(|store| shown(&store)) {
                Ok(shown) => {
                    assert!(film.states.contains(&shown), "{}: the state of no commit:\n{shown}", what());
                    right += 1;
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{}: {error}", what());
                    refused += 1;
                    mixed += usize::from(error.to_string().contains("different moments"));
                }
            }
        }
    }
    assert!(right > 10 && mixed > 10, "{right} right, {refused} refused, {mixed} as mixtures: too few to tell");
    counted(right, "headers with pages of their commit");
    counted(refused, "headers with others");
}

#[test]
fn a_copy_made_while_the_store_was_written_to_is_some_commit_or_refused() {
    let film = Film::new();
    let count = std::env::var("SIMILE_COPIES").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let (mut right, mut refused, mut mixed) = (0, 0, 0);
    for seed in 1..=count {
        let mut dice = Dice::new(seed);
        let moment = dice.below(film.frames.len() as u64) as usize;
        let spread = [0, 1, 2, 4, 12, 60][dice.below(6) as usize];
        let piece = [1 << 30, 64 << 10, 16 << 10, 4 << 10][dice.below(4) as usize];
        let files = film.copy(moment, spread, piece, &mut dice);
        let left = MemoryStorage::of_parts(files, film.folders.clone()).born(1 + seed);
        let what = || format!("seed {seed}: from operation {moment}, {spread} apart, pieces of {piece}");
        let storage: Arc<dyn Storage> = Arc::new(left.clone());
        let read_only = dice.below(2) == 0;
        let opened = Store::open_storage(storage, ops::options().read_only(read_only));
        match opened.and_then(|store| shown(&store).map(|shown| (store, shown))) {
            Ok((store, shown)) => {
                assert!(film.states.contains(&shown), "{}: the state of no commit:\n{shown}", what());
                right += 1;
                if !read_only {
                    let mut model = accounts::records(&store.snapshot().unwrap()).unwrap();
                    let next = [Change::Put { collection: 0, id: 99, text: 1, vector: 3, embed: true }];
                    let whole = store.check().unwrap().is_ok();
                    let written = ops::run_batch(&store, &next, true, &mut model);
                    assert!(!whole || written.is_ok(), "{}: {written:?}", what());
                    assert!(!whole || store.check().unwrap().is_ok(), "{}: after a commit", what());
                }
            }
            Err(error) => {
                let is_told = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound);
                assert!(is_told, "{}: {:?}: {error}", what(), error.kind());
                refused += 1;
                mixed += usize::from(error.to_string().contains("different moments"));
            }
        }
    }
    assert!(right > count / 20 && refused > count / 20, "{right} right, {refused} refused: too few to tell");
    counted(right as usize, "copies of one commit");
    counted(refused as usize, "copies that were refused");
    counted(mixed, "of them by the pages above and below");
}
