//! Tests that reach below the public interface: catalogs that cannot be, and storage that fails.

use crate::catalog::{CATALOG_FILE, Catalog, CatalogOptions, CatalogRead, WriteTransaction, tables};
use crate::error::{ErrorKind, Result};
use crate::lens::RowSource;
use crate::segment;
use crate::storage::fault::Plan;
use crate::storage::{FaultStorage, MemoryStorage, OpenMode, Storage};
use crate::store::care::recover;
use crate::store::handle::Store;
use crate::store::options::{Options, ViewSpec};
use crate::store::read::record::{COLUMNS, RECORDS};
use crate::types::{CollectionId, Record, RecordKey, RowSet, SegmentId, ViewId};
use std::sync::Arc;

fn new_store(storage: &Arc<dyn Storage>) -> Store {
    recover::format_new(storage, &Options::new()).unwrap();
    Store::open_storage(Arc::clone(storage), Options::new()).unwrap()
}

/// 5,000 records in a collection with a supplied view and a rewrite view; ids are row numbers.
fn filled() -> MemoryStorage {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let store = new_store(&storage);
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    batch.add_view("c", ViewSpec::text_from("r", "rewritten")).unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    for n in 0..5_000_u16 {
        let record = Record::new(n.to_string(), "t").field("n", i64::from(n)).view_text("r", "rewrite");
        let record = if n == 7 { record } else { record.vector("v", vec![f32::from(n), 1.0, 2.0]) };
        c.insert(record).unwrap();
    }
    batch.commit().unwrap();
    memory
}

/// The store with its catalog changed behind its back.
fn tampered(memory: &MemoryStorage, change: impl FnOnce(&WriteTransaction) -> Result<()>) -> Arc<dyn Storage> {
    let storage: Arc<dyn Storage> = Arc::new(memory.copy());
    let catalog = Catalog::open_write(Arc::clone(&storage), CatalogOptions::default()).unwrap();
    let tx = catalog.begin_write().unwrap();
    change(&tx).unwrap();
    tx.commit().unwrap();
    storage
}

#[test]
fn check_sees_every_broken_invariant() {
    let memory = filled();
    let c = CollectionId(1);
    let view = ViewId(2);
    type Change = Box<dyn FnOnce(&WriteTransaction) -> Result<()>>;
    let def_with = |change: fn(&mut crate::types::CollectionDef)| -> Change {
        Box::new(move |tx| {
            let mut def = tx.get(&tables::COLLECTIONS, &"c".to_string())?.unwrap();
            change(&mut def);
            tx.put(&tables::COLLECTIONS, &"c".to_string(), &def)
        })
    };
    let record_with = |change: fn(&mut crate::store::read::record::StoredRecord)| -> Change {
        Box::new(move |tx| {
            let mut record = tx.get(&RECORDS, &(CollectionId(1), 9))?.unwrap();
            change(&mut record);
            tx.put(&RECORDS, &(CollectionId(1), 9), &record)
        })
    };
    let cases: Vec<(&str, Change)> = vec![
        ("an id is missing", Box::new(move |tx| tx.remove(&tables::IDS, &(c, "9".to_string())).map(|_| ()))),
        ("an id names another row", Box::new(move |tx| tx.put(&tables::IDS, &(c, "9".to_string()), &10))),
        ("an id too many", Box::new(move |tx| tx.put(&tables::IDS, &(c, "nobody".to_string()), &10))),
        ("a record is missing", Box::new(move |tx| tx.remove(&RECORDS, &(c, 9)).map(|_| ()))),
        (
            "a record changed its field",
            record_with(|record| record.fields[0].1 = crate::store::read::record::StoredValue::Integer(-1)),
        ),
        (
            "a record's field has another type",
            record_with(|record| {
                record.fields[0].1 = crate::store::read::record::StoredValue::Bool(true);
            }),
        ),
        ("a record's key is another's", record_with(|record| record.key = RecordKey(10))),
        ("a record's key was never given", record_with(|record| record.key = RecordKey(9_999))),
        ("the live count is wrong", def_with(|def| def.live += 1)),
        ("a row nobody has", def_with(|def| def.rows += 1)),
        ("a view claims rows it does not have", def_with(|def| def.views[1].rows -= 1)),
        (
            "a live row is lost",
            Box::new(move |tx| {
                let mut rows = RowSet::decode(&tx.get(&tables::LIVE, &(c, 0))?.unwrap()).unwrap();
                rows.remove(9);
                tx.put(&tables::LIVE, &(c, 0), &rows.encode())
            }),
        ),
        (
            "rows live beyond the end",
            Box::new(move |tx| tx.put(&tables::LIVE, &(c, 1), &RowSet::from_rows([70_000]).encode())),
        ),
        (
            "a present row is called absent",
            Box::new(move |tx| tx.put(&tables::ABSENT, &(view, 0), &RowSet::from_rows([7, 8]).encode())),
        ),
        (
            "absent rows of no view",
            Box::new(move |tx| tx.put(&tables::ABSENT, &(ViewId(9), 0), &RowSet::from_rows([7]).encode())),
        ),
        ("a column is missing", Box::new(move |tx| tx.remove(&COLUMNS, &(c, "n".to_string(), 0)).map(|_| ()))),
        (
            "a column too many",
            Box::new(move |tx| {
                let chunk = tx.get(&COLUMNS, &(c, "n".to_string(), 0))?.unwrap();
                tx.put(&COLUMNS, &(c, "n".to_string(), 1), &chunk)
            }),
        ),
        ("a segment is missing", Box::new(move |tx| tx.remove(&tables::SEGMENTS, &(view, SegmentId(1))).map(|_| ()))),
        (
            "a segment of no view",
            Box::new(move |tx| {
                let entry = tx.get(&tables::SEGMENTS, &(view, SegmentId(1)))?.unwrap();
                tx.put(&tables::SEGMENTS, &(ViewId(9), SegmentId(1)), &entry)
            }),
        ),
        ("a text of no view", Box::new(move |tx| tx.put(&tables::VIEW_TEXTS, &(ViewId(9), 1), &"x".to_string()))),
        (
            "the tail's checksum is wrong",
            Box::new(move |tx| {
                let mut entry = tx.get(&tables::SEGMENTS, &(view, SegmentId(5)))?.unwrap();
                entry.tail_sum ^= 1;
                tx.put(&tables::SEGMENTS, &(view, SegmentId(5)), &entry)
            }),
        ),
    ];
    let sound = tampered(&memory, |_| Ok(()));
    let report = Store::open_storage(sound, Options::new()).unwrap().check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    assert_eq!((report.records, report.segments), (5_000, 5));
    for (what, change) in cases {
        let storage = tampered(&memory, change);
        let report = Store::open_storage(storage, Options::new().read_only(true)).unwrap().check().unwrap();
        assert!(!report.is_ok(), "not seen: {what}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let memory = filled();
    let with_meta = |change: fn(&mut crate::types::StoreMeta)| {
        tampered(&memory, |tx| {
            let mut meta = tx.meta()?;
            change(&mut meta);
            tx.put_meta(&meta)
        })
    };
    let newer = with_meta(|meta| (meta.format, meta.needs) = (2, "0.7.1".to_string()));
    // A record with fields that nobody here knows.
    let longer: Arc<dyn Storage> = Arc::new(memory.copy());
    let tx = Catalog::open_write(Arc::clone(&longer), CatalogOptions::default()).unwrap().begin_write().unwrap();
    let other: crate::catalog::Table<String, (u32, String, Vec<u64>)> = crate::catalog::Table::new("meta");
    tx.put(&other, &tables::META_KEY.to_string(), &(2, "0.7.1".to_string(), vec![300; 20])).unwrap();
    tx.commit_without_head().unwrap();
    for storage in [newer, longer] {
        for read_only in [true, false] {
            let error = Store::open_storage(Arc::clone(&storage), Options::new().read_only(read_only)).unwrap_err();
            let said = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Version, "{said}");
            assert!(said.contains("format 2") && said.contains("needs simile 0.7.1 or later"), "{said}");
            assert!(said.contains("memory.simile") && said.contains("formats up to 1"), "{said}");
        }
    }
    let strange = with_meta(|meta| (meta.format, meta.needs) = (3, "\u{1b}[31m\n".to_string()));
    let error = Store::open_storage(strange, Options::new()).unwrap_err();
    assert!(error.to_string().contains("needs a later simile"), "{error}");
    let unknown = with_meta(|meta| meta.required_features = 4);
    let error = Store::open_storage(unknown, Options::new().read_only(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version);
    assert!(error.to_string().contains("0x4"), "{error}");
}

#[test]
fn what_a_crash_leaves_in_a_store_of_many_views_is_removed() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = new_store(&storage);
    let mut batch = store.begin().unwrap();
    for n in 0..100 {
        batch.collection(&format!("c{n}")).unwrap();
    }
    batch.commit().unwrap();
    drop(store);
    let left = segment::path(ViewId(90), SegmentId(77));
    let leave = || {
        storage.create_dir(&segment::folder(ViewId(90))).unwrap();
        storage.open(&left, OpenMode::CreateNew).unwrap().write_all_at(b"half a header", 0).unwrap();
    };
    // A writer that was killed has not withdrawn its name.
    leave();
    storage.open("LOCK", OpenMode::CreateOrOpen).unwrap().write_all_at(b"pid=1\n", 0).unwrap();
    drop(Store::open_storage(Arc::clone(&storage), Options::new().read_only(true)).unwrap());
    assert!(storage.exists(&left).unwrap(), "a reader removes nothing");
    drop(Store::open_storage(Arc::clone(&storage), Options::new()).unwrap());
    assert!(!storage.exists(&left).unwrap());
    // What somebody else left is found by one of the next writers, of which each looks at some folders.
    leave();
    for n in 0..3_i64 {
        let store = Store::open_storage(Arc::clone(&storage), Options::new()).unwrap();
        let mut batch = store.begin().unwrap();
        batch.collection("c0").unwrap().no_embed(true).insert(Record::new(n.to_string(), "")).unwrap();
        batch.commit().unwrap();
    }
    assert!(!storage.exists(&left).unwrap());
}

#[test]
fn blocks_cover_the_rows_and_hold_them() {
    let store = Store::open_storage(Arc::new(filled().copy()), Options::new()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    let view = collection.view("v").unwrap();
    assert!(!view.present().contains(7) && view.present().len() == 4_999);
    let mut next = 0;
    for block in 0..view.block_count() {
        let range = view.block_range(block);
        assert_eq!(range.start, next);
        next = range.end;
        let rows = view.block(block).unwrap();
        assert_eq!(rows.len(), range.len());
        for row in range.clone() {
            let mut found = Vec::new();
            rows.row_f32((row - range.start) as usize, &mut found);
            let expected = if row == 7 { vec![0.0; 3] } else { vec![row as f32, 1.0, 2.0] };
            assert_eq!(found, expected);
        }
    }
    assert_eq!(next, view.row_count());
    assert!(view.block(view.block_count()).is_err());
    assert_eq!(view.identity(), (view.def().id, snapshot.commit()));
}

#[test]
fn only_the_segment_of_a_row_that_is_filled_is_written_anew() {
    let storage: Arc<dyn Storage> = Arc::new(filled());
    let store = Store::open_storage(Arc::clone(&storage), Options::new()).unwrap();
    let segments = |store: &Store| {
        let collection = store.snapshot().unwrap().collection("c").unwrap();
        collection
            .view("v")
            .unwrap()
            .segments()
            .map(|entry| (entry.id.0, entry.first_row, entry.rows))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        segments(&store),
        [(1, 0, 1_024), (2, 1_024, 1_024), (3, 2_048, 1_024), (4, 3_072, 1_024), (5, 4_096, 904)]
    );
    let before = store.snapshot().unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    c.set_vector("7", "v", vec![-7.0, 0.0, -0.0]).unwrap();
    c.replace_vector("2047", "v", vec![0.5; 3]).unwrap();
    // Updates copy the vectors that do not change, wherever they are by now.
    for id in ["7", "1024", "2047", "3000", "4999", "4999"] {
        let changed = Record::new(id, "t").field("n", -1).view_text("r", "rewrite");
        c.upsert(changed).unwrap();
    }
    batch.commit().unwrap();
    let now = segments(&store);
    assert_eq!(now, [(6, 0, 1_024), (7, 1_024, 1_024), (3, 2_048, 1_024), (4, 3_072, 1_024), (5, 4_096, 909)]);
    let vector = |snapshot: &super::Snapshot, id: &str| snapshot.get("c", id).unwrap().unwrap().views[1].vector.clone();
    let after = store.snapshot().unwrap();
    for (id, expected) in
        [("7", [-7.0, 0.0, -0.0]), ("1024", [1_024.0, 1.0, 2.0]), ("2047", [0.5; 3]), ("4999", [4_999.0, 1.0, 2.0])]
    {
        assert_eq!(vector(&after, id), Some(expected.to_vec()), "{id}");
    }
    assert_eq!(vector(&before, "7"), None);
    assert_eq!(vector(&before, "2047"), Some(vec![2_047.0, 1.0, 2.0]), "older snapshots see what they saw");
    assert_eq!(after.get("c", "7").unwrap().unwrap().fields["n"], crate::types::Value::Integer(-1));
    drop((before, after));
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    assert_eq!(crate::store::place::segment_files(&*storage).unwrap().len(), 7);
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().remove("8").unwrap();
    batch.commit().unwrap();
    assert_eq!(
        crate::store::place::segment_files(&*storage).unwrap().len(),
        5,
        "replaced files went with their last reader"
    );
    assert!(store.check().unwrap().notes.is_empty());
}

#[test]
fn a_compaction_leaves_the_catalog_no_larger_than_it_was() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = new_store(&storage);
    // Ids in no order that rows have.
    let id = |n: u32| format!("{:08x}", n.wrapping_mul(2_654_435_761));
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    for n in 0..20_000 {
        c.insert(Record::new(id(n), "a text of some length").field("n", i64::from(n))).unwrap();
    }
    batch.commit().unwrap();
    store.compact().unwrap();
    let size = || storage.len(CATALOG_FILE).unwrap();
    let full = size();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    (0..20_000).step_by(10).for_each(|n| assert!(c.remove(&id(n)).unwrap()));
    batch.commit().unwrap();
    assert_eq!(store.compact().unwrap().rows_removed, 2_000);
    let less = size();
    assert!(less < full, "{full} -> {less}");
    store.compact().unwrap();
    assert!(size() <= less, "{less} -> {}", size());
}

#[test]
fn the_first_failed_sync_poisons_the_writer() {
    let failing = FaultStorage::new(MemoryStorage::new());
    let storage: Arc<dyn Storage> = Arc::new(failing.clone());
    let store = new_store(&storage);
    let insert = |store: &Store, id: &str| {
        let mut batch = store.begin()?;
        batch.collection("c")?.insert(Record::new(id, "t").vector("raw", vec![1.0]))?;
        batch.commit()
    };
    insert(&store, "a").unwrap();
    failing.clock().set(Plan::SyncsUnder("segments/"));
    let error = insert(&store, "b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("does not answer"), "{error}");
    failing.clock().set(Plan::Nothing);
    let error = insert(&store, "b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("open the store again"), "{error}");
    assert_eq!(store.snapshot().unwrap().collection("c").unwrap().live().len(), 1, "reading goes on");
    drop(store);
    let store = Store::open_storage(storage, Options::new()).unwrap();
    assert_eq!(insert(&store, "b").unwrap().0, 2);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_batch_that_failed_half_way_cannot_commit() {
    #[derive(Debug)]
    struct Broken;
    impl crate::text::embed::Embedder for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn dimension(&self) -> usize {
            2
        }
        fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()> {
            out.extend(texts.iter().flat_map(|_| [f32::NAN, 1.0]));
            Ok(())
        }
    }
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let options = Options::new().embedder(Arc::new(Broken)).default_embedder("broken");
    recover::format_new(&storage, &options).unwrap();
    let store = Store::open_storage(storage, options).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().insert(Record::new("a", "t")).unwrap();
    assert_eq!(batch.embed("c", None).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(batch.collection("c").unwrap_err().kind(), ErrorKind::Broken);
    assert_eq!(batch.commit().unwrap_err().kind(), ErrorKind::Broken);
    assert!(store.begin().is_ok(), "the store itself is unharmed");
    assert_eq!(store.snapshot().unwrap().commit().0, 0);
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Store>();
    shared::<super::Snapshot>();
    shared::<super::CollectionSnapshot>();
    shared::<super::ViewSnapshot>();
    sent::<super::Batch>();
}

#[test]
fn a_snapshot_without_a_lease_keeps_its_files() {
    let memory = filled();
    let writer = Store::open_storage(Arc::new(memory.clone()), Options::new()).unwrap();
    // Where lease files cannot be made: a full disk, or a folder that may not be written to.
    for read_only in [true, false] {
        let faulty = FaultStorage::new(if read_only { memory.clone() } else { filled() });
        faulty.clock().set(Plan::LocksUnder("leases/"));
        let store = Store::open_storage(Arc::new(faulty.clone()), Options::new().read_only(read_only)).unwrap();
        let snapshot = store.snapshot().unwrap();
        let writer = if read_only { &writer } else { &store };
        let before = faulty.memory().parts().0;
        let mut batch = writer.begin().unwrap();
        (0..100).for_each(|n| assert!(batch.collection("c").unwrap().remove(&n.to_string()).unwrap()));
        batch.commit().unwrap();
        if read_only {
            writer.compact().unwrap();
            let after = faulty.memory().parts().0;
            let gone = before.keys().filter(|path| path.starts_with("segments/") && !after.contains_key(*path)).count();
            assert!(gone > 0, "nobody holds a lease on them");
        }
        let view = snapshot.collection("c").unwrap();
        let view = view.view("v").unwrap();
        for row in (0..5_000).step_by(99) {
            assert_eq!(view.vector(row).unwrap(), Some(vec![row as f32, 1.0, 2.0]), "row {row}");
        }
        assert_eq!(store.snapshot().unwrap().collection("c").unwrap().live().len(), 4_900);
    }
}

#[test]
fn a_segment_that_was_cut_while_it_was_mapped_ended_the_reader() {
    let memory = filled();
    let store = Store::open_storage(Arc::new(memory.clone()), Options::new().read_only(true)).unwrap();
    let vector = |snapshot: &super::Snapshot| snapshot.collection("c").unwrap().view("v").unwrap().vector(4_999);
    let before = store.snapshot().unwrap();
    assert_eq!(vector(&before).unwrap(), Some(vec![4_999.0, 1.0, 2.0]));
    // In memory a mapping is a copy: of a real file, reading on would raise SIGBUS.
    let (path, bytes) = memory.parts().0.into_iter().rfind(|(path, _)| path.starts_with("segments/2/")).unwrap();
    let file = memory.open(&path, OpenMode::Write).unwrap();
    file.set_len(bytes.len() as u64 - 1).unwrap();
    // The snapshot before is still there, and would be handed out again.
    let error = vector(&store.snapshot().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("shortened while it was in use"), "{error}");
    assert_eq!(error.damage().unwrap().file.to_str(), Some(path.as_str()));
    let raw = store.snapshot().unwrap().get("c", "4999").unwrap_err();
    assert_eq!(raw.kind(), ErrorKind::Corrupt, "{raw}");
    file.write_all_at(&bytes, 0).unwrap();
    assert_eq!(vector(&store.snapshot().unwrap()).unwrap(), Some(vec![4_999.0, 1.0, 2.0]), "it is whole again");
}
