//! What is derived from a view under faults, damage and readers: whatever fails, it fits what it comes from or is gone.

use crate::error::{ErrorKind, Result};
use crate::lens::RowSource;
use crate::segment::{self, header::HEADER_BYTES};
use crate::storage::fault::{Fault, Plan};
use crate::storage::{FaultStorage, MemoryStorage, OpenMode, Storage};
use crate::store::care::recover;
use crate::store::handle::Store;
use crate::store::options::{CollectionSpec, Options, ViewSpec};
use crate::types::{
    CommitNumber, DerivedKind, ElementType, LensDef, Metric, ProjectionDef, ProjectionRef, Record, Step,
};
use std::sync::Arc;

const DIMENSION: usize = 40;
/// Two segments of the view, and of all that is derived from it.
const ROWS: u32 = 1_300;

fn open(memory: &MemoryStorage) -> Store {
    Store::open_storage(Arc::new(memory.clone()), Options::new()).unwrap()
}

fn vector(seed: u32) -> Vec<f32> {
    (0..DIMENSION as u32).map(|i| ((seed * 31 + i * 17) % 101) as f32 / 50.0 - 1.0).collect()
}

/// A collection whose every tenth record has no vector, with a lens that is materialized.
fn filled(element: ElementType) -> MemoryStorage {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    recover::format_new(&storage, &Options::new()).unwrap();
    let store = open(&memory);
    let mut batch = store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    let mut c = batch.collection("c").unwrap();
    for n in 0..ROWS {
        let record = Record::new(n.to_string(), "t");
        c.insert(if n % 10 == 3 { record } else { record.vector("v", vector(n)) }).unwrap();
    }
    let (rows, columns) = (6, DIMENSION as u32);
    let query = (0..6).flat_map(|n| vector(10_000 + n)).collect();
    let def =
        ProjectionDef { name: "m".into(), rows, columns, query, record: None, origin: String::new(), fitted_on: None };
    batch.put_projection(def).unwrap();
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    let steps = vec![Step::Normalize, Step::Project(ProjectionRef::One("m".into()))];
    batch.put_lens("l", LensDef { view: "v".into(), steps, metric: Metric::Cosine, csls: None }, Vec::new()).unwrap();
    batch.materialize("l", element).unwrap();
    batch.commit().unwrap();
    memory
}

/// Appends enough that scalars follow, fills rows, replaces vectors (one by zeros), updates and removes.
fn change(store: &Store, rows: u32) -> Result<CommitNumber> {
    let mut batch = store.begin()?;
    let mut c = batch.existing_collection("c")?;
    for n in 0..rows {
        c.insert(Record::new(format!("new{n}"), "t").vector("v", vector(n + 5_000)))?;
    }
    c.set_vector("3", "v", vector(77))?;
    c.replace_vector("5", "v", vec![0.0; DIMENSION])?;
    c.replace_vector("1200", "v", vector(78))?;
    c.upsert(Record::new("6", "other").vector("v", vector(79)))?;
    c.remove("7")?;
    batch.commit()
}

/// Live rows that have a derived one, by kind.
fn kept(store: &Store) -> Vec<(DerivedKind, u64)> {
    let info = store.info().unwrap();
    info.lenses[0].derived.iter().map(|derived| (derived.kind, derived.rows)).collect()
}

#[test]
fn a_commit_takes_derived_rows_along_or_has_not_happened() {
    let base = filled(ElementType::F32);
    let before = kept(&open(&base));
    assert_eq!(before, [(DerivedKind::Scalars, 1_170), (DerivedKind::Rows, 1_170)]);
    let done = base.copy();
    change(&open(&done), 300).unwrap();
    let after = kept(&open(&done));
    assert_eq!(after, [(DerivedKind::Scalars, 1_470), (DerivedKind::Rows, 1_469)], "zeros are not kept");
    let mut failures = 0;
    for fault in [Plan::Once, Plan::From] {
        for operations in 0.. {
            let inner = base.copy();
            let storage = FaultStorage::new(inner.clone());
            let store = Store::open_storage(Arc::new(storage.clone()), Options::new()).unwrap();
            let fault = fault(storage.clock().operations() + operations, Fault::DiskFull);
            storage.clock().set(fault);
            let result = change(&store, 300);
            let struck = storage.clock().has_fired();
            storage.clock().set(Plan::Nothing);
            drop(store);
            let store = open(&inner);
            let report = store.check().unwrap();
            assert!(report.is_ok(), "{fault:?} at {operations}: {:?}", report.findings);
            let found = kept(&store);
            assert!(found == before || found == after, "{fault:?} at {operations}: {found:?}");
            assert_eq!(found == after, store.snapshot().unwrap().commit().0 == 3, "{fault:?} at {operations}");
            if !struck {
                assert!(result.is_ok());
                break;
            }
            failures += u32::from(result.is_err());
            // The store goes on from whichever it was.
            let mut batch = store.begin().unwrap();
            batch.collection("c").unwrap().insert(Record::new("last", "t").vector("v", vector(1))).unwrap();
            batch.commit().unwrap();
            assert!(store.check().unwrap().is_ok());
        }
    }
    crate::storage::counted(failures as usize, "failed operations");
    assert!(failures > 20, "{failures}");
}

/// Changes one byte of what is derived: of its first row, or of its last.
fn damage(memory: &MemoryStorage, store: &Store, kind: DerivedKind, at_tail: bool) {
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    let lens = snapshot.lens("l").unwrap().unwrap();
    let view = match kind {
        DerivedKind::Rows => collection.materialized(&lens).unwrap().unwrap(),
        DerivedKind::Scalars => collection.scalars(&lens).unwrap().unwrap(),
    };
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let entries: Vec<_> = view.segments().collect();
    let entry = if at_tail { entries[entries.len() - 1] } else { entries[0] };
    let file = storage.open(&segment::path(view.def().id, entry.id), OpenMode::Write).unwrap();
    let last_row = u64::from(entry.rows - 1) * view.row_bytes();
    let offset = HEADER_BYTES as u64 + if at_tail { last_row } else { 0 };
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

#[test]
fn damaged_derived_rows_are_found_and_cost_no_commit() {
    for kind in [DerivedKind::Rows, DerivedKind::Scalars] {
        let memory = filled(ElementType::F16);
        let store = open(&memory);
        damage(&memory, &store, kind, false);
        drop(store);
        let store = open(&memory);
        let report = store.check().unwrap();
        assert!(report.findings.iter().any(|finding| finding.what.contains("checksum")), "{:?}", report.findings);
        let snapshot = store.snapshot().unwrap();
        let (collection, lens) = (snapshot.collection("c").unwrap(), snapshot.lens("l").unwrap().unwrap());
        let view = match kind {
            DerivedKind::Rows => collection.materialized(&lens).unwrap().unwrap(),
            DerivedKind::Scalars => collection.scalars(&lens).unwrap().unwrap(),
        };
        assert_eq!(view.block(0).unwrap_err().kind(), ErrorKind::Corrupt);
        // A commit that only appends does not read what is damaged; one that would append to it finds out.
        drop((snapshot, collection));
        let memory = filled(ElementType::F16);
        let store = open(&memory);
        damage(&memory, &store, kind, true);
        drop(store);
        let store = open(&memory);
        change(&store, 300).unwrap();
        assert!(kept(&store).iter().all(|(found, _)| *found != kind), "{kind:?} is gone");
        assert_eq!(kept(&store).len(), 1);
        drop(store);
        let store = open(&memory);
        let report = store.check().unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
        let mut batch = store.begin().unwrap();
        batch.materialize("l", ElementType::F32).unwrap();
        batch.commit().unwrap();
        assert!(store.check().unwrap().is_ok());
    }
}

#[test]
fn readers_keep_what_they_see_and_dropped_files_go_after_them() {
    let memory = filled(ElementType::F32);
    let store = open(&memory);
    let reader = Store::open_storage(Arc::new(memory.clone()), Options::new().read_only(true)).unwrap();
    let lens = reader.snapshot().unwrap().lens("l").unwrap().unwrap();
    let old = reader.snapshot().unwrap().collection("c").unwrap();
    let files = || crate::store::place::segment_files(&memory).unwrap().len();
    assert_eq!(files(), 6, "two of the view, of rows, and of scalars");
    let mut batch = store.begin().unwrap();
    assert!(batch.drop_materialized("l").unwrap());
    assert!(!batch.drop_materialized("l").unwrap());
    batch.commit().unwrap();
    let now = reader.snapshot().unwrap().collection("c").unwrap();
    assert!(now.materialized(&lens).unwrap().is_none());
    let commit_something = |id: &str| {
        let mut batch = store.begin().unwrap();
        batch.collection("c").unwrap().remove(id).unwrap();
        batch.commit().unwrap();
    };
    commit_something("10");
    assert_eq!(files(), 6, "a reader is still there");
    let rows = old.materialized(&lens).unwrap().unwrap();
    assert!((0..rows.block_count()).all(|block| rows.block(block).is_ok()));
    drop((old, now, reader));
    commit_something("11");
    assert_eq!(files(), 4);
    assert!(store.check().unwrap().is_ok());
}
