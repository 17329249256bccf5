//! Stores with damaged files: the same answers as before, or an error that says what is wrong.
//!
//! Owns [`judge`], which opens a folder that was a sound store until somebody changed bytes of it, and [`Sound`], such
//! a store. It knows no file format.

use super::accounts;
use super::crash;
use super::ops::{self, Change, Step};
use crate::catalog::{Catalog, CatalogOptions, CatalogRead, tables};
use crate::error::{Error, ErrorKind};
use crate::storage::{MemoryStorage, Storage};
use crate::store::{Salvaged, Store};
use crate::types::Control;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// A store as bytes, and what it shows.
pub(super) struct Sound {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) folders: BTreeSet<String>,
    pub(super) shown: String,
    pub(super) records: ops::Model,
    /// Folders of the segments that are computed from others.
    derived: Vec<String>,
}

impl Sound {
    /// The store in `memory`.
    pub(super) fn of_storage(memory: &MemoryStorage) -> Sound {
        let storage: Arc<dyn Storage> = Arc::new(memory.clone());
        let store = Store::open_storage(Arc::clone(&storage), ops::options()).expect("a sound store");
        let snapshot = store.snapshot().expect("a snapshot");
        let shown = accounts::shown(&snapshot).expect("a snapshot that can be read");
        let records = accounts::records(&snapshot).expect("records");
        let catalog = Catalog::open_read(storage, CatalogOptions::default()).expect("a catalog");
        let listed = catalog.begin_read().and_then(|read| read.range(&tables::DERIVED, ..)).expect("derived rows");
        let derived = listed.into_iter().map(|(id, _)| format!("segments/{id}/")).collect();
        drop((snapshot, store));
        let (files, folders) = memory.parts();
        Sound { files, folders, shown, records, derived }
    }

    /// Whether this is a file of rows that are computed from others.
    pub(super) fn is_derived(&self, path: &str) -> bool {
        self.derived.iter().any(|folder| path.starts_with(folder))
    }

    /// A store with a bit of everything: several views, segments and blocks, columns, lenses, removed records.
    pub(super) fn get() -> &'static Sound {
        static SOUND: OnceLock<Sound> = OnceLock::new();
        SOUND.get_or_init(|| {
            let memory = crash::empty();
            let put = |id| Change::Put { collection: 0, id, text: id, vector: 3 * id, embed: true };
            let views = (0..4).map(|kind| Change::AddView { collection: 0, kind });
            let mut changes: Vec<Change> = [put(1), put(2)].into_iter().chain(views).collect();
            changes.extend([Change::PutMany { collection: 0, count: 1_100 }, Change::Embed { collection: 0 }]);
            changes.extend([Change::Projection(1), Change::Lens(1), Change::Calibration(1), Change::Sample(1)]);
            changes.push(Change::Wide { count: 90 });
            let label = |question, id, grade| Change::Label { collection: 0, question, id, grade };
            changes.extend([label(0, 1, 1), label(1, 2, 2), label(2, 2, 0), label(2, 2, 1)]);
            changes.push(Change::Classes { collection: 0, drop: false });
            let learn = |number, seed, accepted| Change::Learn { number, seed, accepted };
            changes.extend([learn(0, 5, true), learn(1, 6, false), Change::Background(1), Change::Background(3)]);
            let mut later = vec![
                put(3),
                learn(0, 7, false),
                learn(1, 8, true),
                Change::Promote(0),
                Change::WideLens(0),
                Change::WideLens(1),
            ];
            later.extend([Change::Remove { collection: 0, id: 1 }, Change::RemoveMany { collection: 0, every: 3 }]);
            crash::carry_out(&memory, &[Step::Batch(changes, true), Step::Batch(later, true)]);
            Sound::of_storage(&memory)
        })
    }

    /// A copy of its files.
    pub(super) fn storage(&self) -> MemoryStorage {
        MemoryStorage::of_parts(self.files.clone(), self.folders.clone())
    }

    /// The store with one file replaced, or taken away.
    pub(super) fn with(&self, path: &str, bytes: Option<Vec<u8>>) -> MemoryStorage {
        let mut files = self.files.clone();
        match bytes {
            Some(bytes) => files.insert(path.to_string(), bytes),
            None => files.remove(path),
        };
        MemoryStorage::of_parts(files, self.folders.clone())
    }
}

/// What became of a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers as before.
    Same,
    /// It answers as before, and a check says what is wrong.
    Listed,
    /// It says what is wrong.
    Refused,
}

fn refused(error: &Error, what: &dyn Fn() -> String) -> Verdict {
    let damage = error.damage();
    assert!(error.kind() == ErrorKind::Corrupt && damage.is_some(), "{}: {:?}: {error}", what(), error.kind());
    let told = damage.is_some_and(|damage| !damage.expected.is_empty() && !damage.found.is_empty());
    assert!(told, "{}: {error}", what());
    Verdict::Refused
}

/// Opens what is left of `sound`: everything it shows is what it showed before, or it is refused as damage.
pub(super) fn judge(left: &MemoryStorage, sound: &Sound, read_only: bool, what: &dyn Fn() -> String) -> Verdict {
    let storage: Arc<dyn Storage> = Arc::new(left.clone());
    let opened = Store::open_storage(storage, ops::options().read_only(read_only));
    let store = match opened {
        Ok(store) => store,
        Err(error) => return refused(&error, what),
    };
    let shown = store.snapshot().and_then(|snapshot| accounts::shown(&snapshot));
    let verdict = match shown {
        Ok(shown) => {
            assert!(shown == sound.shown, "{}: a wrong answer", what());
            Verdict::Same
        }
        Err(error) => refused(&error, what),
    };
    if verdict == Verdict::Same && !read_only {
        return verdict;
    }
    let report = store.check().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(verdict == Verdict::Same || !report.is_ok(), "{}: the check has seen nothing", what());
    if verdict == Verdict::Same && !report.is_ok() { Verdict::Listed } else { verdict }
}

/// Salvages a damaged store: what comes out is whole, and every record in it is one that was there.
pub(super) fn salvage(left: &MemoryStorage, sound: &Sound, what: &dyn Fn() -> String) -> Option<Salvaged> {
    let (from, to): (Arc<dyn Storage>, Arc<dyn Storage>) = (Arc::new(left.clone()), Arc::new(MemoryStorage::new()));
    let saved = match Store::salvage_storage(&from, &to, ops::options(), &Control::new()) {
        Ok(saved) => saved,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{}: {error}", what());
            return None;
        }
    };
    let store = Store::open_storage(to, ops::options()).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let report = store.check().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(report.is_ok(), "{}: {:?}", what(), report.findings);
    assert_eq!(report.records, saved.records, "{}", what());
    let records = accounts::records(&store.snapshot().expect("a snapshot")).expect("records");
    for (key, (text, vector)) in &records {
        // A collection whose definition is lost comes under its number.
        let (name, id) = key;
        let name = match name.as_str() {
            "recovered_1" => "c0",
            "recovered_2" => "wide",
            name => name,
        };
        let before = sound.records.get(&(name.to_string(), id.clone()));
        let fits = before.is_some_and(|(old, old_vector)| old == text && (vector.is_none() || vector == old_vector));
        assert!(fits, "{}: {key:?} was never there like this: {text:?} {vector:?}, {before:?}", what());
    }
    Some(saved)
}
