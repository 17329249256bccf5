//! What the store promises through its public interface: all or nothing, bit for bit, one writer and many readers.

use simile::store::{CollectionSpec, Options, Outcome, Store, ValueRef, ViewSpec};
use simile::text::embed::Embedder;
use simile::types::{ElementType, FieldType, ProjectionDef, Value};
use simile::{ErrorKind, Record, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An embedder whose vectors can be foretold: length, words, and the first two bytes of the text.
#[derive(Debug)]
pub struct Counting;

impl Counting {
    pub fn of(text: &str) -> Vec<f32> {
        let byte = |idx: usize| text.as_bytes().get(idx).copied().map_or(0.0, f32::from);
        vec![text.len() as f32, text.split_whitespace().count() as f32, byte(0), byte(1)]
    }
}

impl Embedder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn dimension(&self) -> usize {
        4
    }

    fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()> {
        out.extend(texts.iter().flat_map(|text| Counting::of(text)));
        Ok(())
    }
}

pub fn options() -> Options {
    Options::new().embedder(Arc::new(Counting)).default_embedder("counting")
}

/// A folder that is removed at the end, and the place of a store in it.
pub fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.simile");
    (dir, path)
}

pub fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|value| value.to_bits()).collect()
}

fn vector_of(store: &Store, id: &str, view: &str) -> Option<Vec<f32>> {
    let record = store.snapshot().unwrap().get("c", id).unwrap().unwrap();
    record.views.into_iter().find(|part| part.name == view).unwrap().vector
}

fn segment_files(path: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for view in std::fs::read_dir(path.join("segments")).unwrap().map(|entry| entry.unwrap().path()) {
        files.extend(std::fs::read_dir(view).unwrap().map(|entry| entry.unwrap().path().display().to_string()));
    }
    files.sort();
    files
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut notes = batch.collection("c").unwrap();
    let list = Value::TextList(vec!["x".to_string(), "y".to_string()]);
    let record =
        Record::new("n1", "one two").field("year", 2024).field("tags", list.clone()).field("none", Value::Null);
    notes.insert(record.field("deep", Value::Json("{\"a\":[1,null]}".to_string()))).unwrap();
    notes.insert(Record::new("ümläut id", "")).unwrap();
    assert_eq!(batch.commit().unwrap().0, 1);
    drop(store);

    let store = options().open(&path).unwrap();
    let snapshot = store.snapshot().unwrap();
    let record = snapshot.get("c", "n1").unwrap().unwrap();
    assert_eq!(record.text, "one two");
    assert_eq!(record.fields["year"], Value::Integer(2024));
    assert_eq!(record.fields["tags"], list);
    assert_eq!(record.fields["deep"], Value::Json("{\"a\":[1,null]}".to_string()));
    assert!(!record.fields.contains_key("none"), "null is as if the field were missing");
    assert_eq!(record.views[0].vector, Some(Counting::of("one two")));
    // A row of zeros from an embedder says that it knows nothing of the text.
    assert_eq!(Counting::of(""), [0.0; 4]);
    assert_eq!(snapshot.get("c", "ümläut id").unwrap().unwrap().views[0].vector, None);
    assert!(snapshot.get("c", "n3").unwrap().is_none());
    let info = store.info().unwrap();
    assert_eq!((info.format, info.commit.0, info.collections[0].records), (1, 1, 2));
    assert_eq!(info.collections[0].views[0].dimension, Some(4));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn creating_refuses_an_existing_path_and_opening_a_missing_one() {
    let (dir, path) = place();
    drop(Store::create(&path).unwrap());
    assert_eq!(Store::create(&path).unwrap_err().kind(), ErrorKind::Exists);
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    assert_eq!(Store::create(&file).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(Store::open(dir.path().join("nowhere")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Store::open(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing else is left behind: {left:?}");
}

#[test]
fn a_name_may_be_as_long_as_the_file_system_takes() {
    let (dir, _) = place();
    for length in [236, 255] {
        let path = dir.path().join("n".repeat(length));
        drop(Store::create(&path).unwrap());
        assert!(Store::open(&path).unwrap().check().unwrap().is_ok());
    }
    let error = Store::create(dir.path().join("n".repeat(256))).unwrap_err();
    assert!(error.to_string().contains("name too long"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left of it");
}

#[test]
fn supplied_vectors_come_back_bit_for_bit() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let odd = vec![1.0e-45, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, -f32::EPSILON, 0.1];
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    c.insert(Record::new("a", "text").vector("raw", odd.clone())).unwrap();
    assert_eq!(c.def().views[0].embedder, None, "raw vectors are supplied: there is no embedder for text");
    c.insert(Record::new("b", "no vector")).unwrap();
    c.insert(Record::new("c", "text").vector("raw", vec![0.0; 6])).unwrap();
    batch.commit().unwrap();
    drop(store);
    let store = options().read_only(true).open(&path).unwrap();
    assert_eq!(bits(&vector_of(&store, "a", "raw").unwrap()), bits(&odd));
    assert_eq!(vector_of(&store, "b", "raw"), None);
    assert_eq!(bits(&vector_of(&store, "c", "raw").unwrap()), [0; 6]);
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    assert_eq!(collection.view("raw").unwrap().present().iter().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn halves_round_once_and_come_back_widened() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let spec = CollectionSpec::new().supplied_vectors().element(ElementType::F16);
    let mut c = batch.create_collection("c", spec).unwrap();
    c.insert(Record::new("a", "").vector("raw", vec![1.0, 0.1, -0.0])).unwrap();
    let error = c.insert(Record::new("b", "").vector("raw", vec![1.0, 70_000.0, 0.0])).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("raw")));
    assert_eq!(c.insert_or_skip(Record::new("a", "").vector("raw", vec![1.0, 0.1, -0.0])).unwrap(), Outcome::Unchanged);
    batch.commit().unwrap();
    assert_eq!(bits(&vector_of(&store, "a", "raw").unwrap()), bits(&[1.0, 0.099_975_586, -0.0]));
}

#[test]
fn a_dropped_batch_changes_nothing() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().insert(Record::new("a", "kept")).unwrap();
    batch.commit().unwrap();
    let files = segment_files(&path);
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    for n in 0..20_000 {
        c.insert(Record::new(format!("x{n}"), "lost")).unwrap();
    }
    c.remove("a").unwrap();
    batch.add_view("c", ViewSpec::template("t", "T {text}")).unwrap();
    batch.embed("c", None).unwrap();
    drop(batch);
    assert_eq!(store.snapshot().unwrap().collection("c").unwrap().live().len(), 1);
    assert_eq!(segment_files(&path), files);
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().insert(Record::new("b", "later")).unwrap();
    assert_eq!(batch.commit().unwrap().0, 2);
    assert_eq!(vector_of(&store, "b", "raw"), Some(Counting::of("later")));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_refused_record_names_its_field_and_leaves_the_batch_usable() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    c.insert(Record::new("a", "t").field("n", 1).vector("raw", vec![1.0, 2.0])).unwrap();
    let long = "x".repeat(513);
    let cases: Vec<(Record, ErrorKind, &str)> = vec![
        (Record::new("a", "again"), ErrorKind::Exists, "id"),
        (Record::new("", "t"), ErrorKind::Invalid, "id"),
        (Record::new(long, "t"), ErrorKind::Limit, "id"),
        (Record::new("b", "x".repeat((16 << 20) + 1)), ErrorKind::Limit, "text"),
        (Record::new("b", "t").field("n", "text"), ErrorKind::Invalid, "n"),
        (Record::new("b", "t").field("m", f64::NAN), ErrorKind::Invalid, "m"),
        (Record::new("b", "t").vector("raw", vec![1.0]), ErrorKind::Invalid, "raw"),
        (Record::new("b", "t").vector("raw", vec![1.0, f32::NAN]), ErrorKind::Invalid, "raw"),
        (Record::new("b", "t").vector("raw", vec![f32::INFINITY, 1.0]), ErrorKind::Invalid, "raw"),
        (Record::new("b", "t").vector("raw", vec![]), ErrorKind::Invalid, "raw"),
        (Record::new("b", "t").vector("rwa", vec![1.0, 2.0]), ErrorKind::NotFound, "rwa"),
        (Record::new("b", "t").view_text("raw", "other"), ErrorKind::Invalid, "raw"),
    ];
    for (record, kind, field) in cases {
        let error = c.insert(record).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, Some(field)), "{error}");
    }
    let error = c.insert(Record::new("b", "t").field("n", "x")).unwrap_err();
    assert_eq!(error.to_string(), "field n holds integer values, not text");
    c.insert(Record::new("b", "t").field("n", 2.5).vector("raw", vec![3.0, 4.0])).unwrap();
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    assert_eq!(collection.live().len(), 2);
    assert_eq!(collection.def().fields["n"], FieldType::Float, "an integer field widens");
    assert!(!collection.def().fields.contains_key("m"), "a refused record sets no type");
    let kept = &snapshot.get("c", "a").unwrap().unwrap().fields["n"];
    assert_eq!(kept, &Value::Integer(1), "the value itself stays as it was given");
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn columns_agree_with_records_across_chunks_and_commits() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let value = |n: u32| (!n.is_multiple_of(3)).then(|| i64::from(n % 7));
    let mut n = 0;
    for rows in [10, 4_000, 200, 9_000, 1] {
        let mut batch = store.begin().unwrap();
        let mut c = batch.collection("c").unwrap().no_embed(true);
        for _ in 0..rows {
            let mut record = Record::new(format!("{n}"), "");
            if let Some(value) = value(n) {
                record = record.field("n", value);
            }
            c.insert(record.field("word", format!("w{}", n % 11))).unwrap();
            n += 1;
        }
        batch.commit().unwrap();
    }
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().no_embed(true).insert(Record::new("last", "").field("n", 0.5)).unwrap();
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    let column = collection.column("n").unwrap().unwrap();
    for row in 0..n {
        let expected = value(row).map(|value| ValueRef::Float(value as f64));
        column.with(row, |found| assert_eq!(found, expected, "row {row}")).unwrap();
    }
    column.with(n, |found| assert_eq!(found, Some(ValueRef::Float(0.5)))).unwrap();
    let words = collection.column("word").unwrap().unwrap();
    let rows = words.select(|value| value == ValueRef::Text("w4")).unwrap();
    assert_eq!(rows.iter().collect::<Vec<_>>(), (0..n).filter(|row| row % 11 == 4).collect::<Vec<_>>());
    assert!(collection.column("nothing").unwrap().is_none());
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn fields_of_any_size_fill_a_chunk_of_rows() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let value = |n: u32| format!("{n:0>40000}");
    // 4,096 rows of 40 kB are more than one value of the catalog may hold.
    let mut n = 0;
    for size in [4_000, 100] {
        let mut batch = store.begin().unwrap();
        let mut c = batch.collection("c").unwrap().no_embed(true);
        for _ in 0..size {
            c.insert(Record::new(n.to_string(), "").field("blob", value(n)).field("n", i64::from(n))).unwrap();
            n += 1;
        }
        batch.commit().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let column = snapshot.collection("c").unwrap().column("blob").unwrap().unwrap();
    let wanted = [value(7), value(4_099)];
    let rows = column.select(|found| wanted.iter().any(|wanted| found == ValueRef::Text(wanted))).unwrap();
    assert_eq!(rows.iter().collect::<Vec<_>>(), [7, 4_099]);
    assert_eq!(column.present().unwrap().len(), 4_100);
    // What the values take stays with the records, once: redb gives each 64 KiB, so that twice would be 537 MB and
    // more.
    assert!(store.info().unwrap().bytes < 500 << 20, "{}", store.info().unwrap().bytes);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn an_update_keeps_vectors_whose_text_did_not_change() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap();
    batch.add_view("c", ViewSpec::template("t", "T {text}")).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    batch.add_view("c", ViewSpec::text_from("r", "rewritten")).unwrap();
    let mut c = batch.collection("c").unwrap();
    let record = Record::new("a", "old").vector("v", vec![7.0, 8.0]).view_text("r", "rewrite");
    c.insert(record.clone()).unwrap();
    c.insert(Record::new("b", "other").vector("v", vec![1.0, 2.0])).unwrap();
    batch.commit().unwrap();
    assert_eq!(vector_of(&store, "a", "t"), Some(Counting::of("T old")));
    assert_eq!(vector_of(&store, "a", "r"), Some(Counting::of("rewrite")));
    assert_eq!(vector_of(&store, "b", "r"), None, "no rewritten text, no vector");

    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    assert_eq!(c.upsert(record).unwrap(), Outcome::Unchanged);
    assert_eq!(c.update(Record::new("a", "old").field("year", 1)).unwrap(), Outcome::Updated);
    assert_eq!(c.update(Record::new("nobody", "x")).unwrap_err().kind(), ErrorKind::NotFound);
    batch.commit().unwrap();
    assert_eq!(vector_of(&store, "a", "v"), Some(vec![7.0, 8.0]));
    assert_eq!(vector_of(&store, "a", "r"), Some(Counting::of("rewrite")));

    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().keep_vectors(true);
    assert_eq!(c.update(Record::new("a", "new")).unwrap(), Outcome::Updated);
    batch.commit().unwrap();
    assert_eq!(vector_of(&store, "a", "raw"), Some(Counting::of("new")));
    assert_eq!(vector_of(&store, "a", "t"), Some(Counting::of("T new")));
    assert_eq!(vector_of(&store, "a", "v"), Some(vec![7.0, 8.0]), "keep_vectors keeps supplied ones");

    let mut batch = store.begin().unwrap();
    assert_eq!(batch.collection("c").unwrap().upsert(Record::new("a", "newer")).unwrap(), Outcome::Updated);
    batch.commit().unwrap();
    let record = store.snapshot().unwrap().get("c", "a").unwrap().unwrap();
    assert_eq!(record.views[2].vector, None, "a supplied vector of another text is absent");
    assert_eq!((&record.views[3].text, &record.views[3].vector), (&None, &None), "so is a rewrite of another text");
    assert_eq!(record.key.0, 0, "the key stays through all updates");
    let info = store.info().unwrap();
    assert_eq!((info.collections[0].records, info.collections[0].removed), (2, 3));
    assert!((info.dead_share - 0.6).abs() < 1e-12);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn removed_records_are_gone_and_their_ids_free() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    c.insert(Record::new("a", "first")).unwrap();
    assert!(c.remove("a").unwrap());
    assert!(!c.remove("a").unwrap());
    c.insert(Record::new("a", "second")).unwrap();
    c.upsert(Record::new("a", "third")).unwrap();
    batch.commit().unwrap();
    let record = store.snapshot().unwrap().get("c", "a").unwrap().unwrap();
    assert_eq!((record.text.as_str(), record.row.0, record.key.0), ("third", 2, 1));
    assert_eq!(record.views[0].vector, Some(Counting::of("third")));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_view_filled_later_never_writes_in_place() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    for n in 0..10 {
        c.insert(Record::new(format!("{n}"), format!("text {n}"))).unwrap();
    }
    batch.commit().unwrap();
    // Row 10 brings a vector: rows 0 to 9 lie below the view's end from now on, without one.
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().insert(Record::new("10", "text 10")).unwrap();
    batch.commit().unwrap();
    let before = store.snapshot().unwrap();
    let files = segment_files(&path);
    assert_eq!(files.len(), 1);
    assert_eq!(store.info().unwrap().collections[0].views[0].absent, 10);

    let mut batch = store.begin().unwrap();
    assert_eq!(batch.embed("c", Some("raw")).unwrap(), 10);
    batch.commit().unwrap();
    for n in 0..=10 {
        assert_eq!(vector_of(&store, &n.to_string(), "raw"), Some(Counting::of(&format!("text {n}"))));
    }
    assert_eq!(before.collection("c").unwrap().view("raw").unwrap().present().len(), 1);
    assert_eq!(segment_files(&path).len(), 2, "the old file stays while a snapshot reads it");
    assert_eq!(before.get("c", "10").unwrap().unwrap().views[0].vector, Some(Counting::of("text 10")));
    drop(before);
    drop(store);
    let store = options().open(&path).unwrap();
    let left = segment_files(&path);
    assert_eq!(left.len(), 1);
    assert_ne!(left, files, "the old file went with its last reader");
    let mut batch = store.begin().unwrap();
    assert_eq!(batch.embed("c", None).unwrap(), 0);
    batch.commit().unwrap();
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn vectors_can_be_added_to_records_by_id_in_any_order() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    for n in 0..6 {
        c.insert(Record::new(format!("{n}"), "t")).unwrap();
    }
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    let mut c = batch.collection("c").unwrap();
    let vector = |n: u32| vec![n as f32, 0.5];
    for n in [4, 1, 0] {
        assert_eq!(c.set_vector(&n.to_string(), "v", vector(n)).unwrap(), Outcome::Inserted);
    }
    assert_eq!(c.set_vector("4", "v", vector(4)).unwrap(), Outcome::Unchanged);
    assert_eq!(c.set_vector("4", "v", vector(5)).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(c.set_vector("9", "v", vector(5)).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(c.set_vector("2", "v", vec![1.0]).unwrap_err().kind(), ErrorKind::Invalid);
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    assert_eq!(c.set_vector("5", "v", vector(5)).unwrap(), Outcome::Inserted);
    assert_eq!(c.set_vector("3", "v", vector(3)).unwrap(), Outcome::Inserted);
    assert_eq!(c.replace_vector("4", "v", vector(44)).unwrap(), Outcome::Updated);
    assert_eq!(c.update(Record::new("4", "t").field("x", 1)).unwrap(), Outcome::Updated);
    batch.commit().unwrap();
    let found: Vec<Option<Vec<f32>>> = (0..6).map(|n| vector_of(&store, &n.to_string(), "v")).collect();
    let expected = [Some(vector(0)), Some(vector(1)), None, Some(vector(3)), Some(vector(44)), Some(vector(5))];
    assert_eq!(found, expected);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn small_commits_share_one_segment() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    for n in 0..30 {
        let mut batch = store.begin().unwrap();
        batch.collection("c").unwrap().insert(Record::new(format!("{n}"), format!("text {n}"))).unwrap();
        batch.commit().unwrap();
    }
    assert_eq!(segment_files(&path).len(), 1);
    assert_eq!(vector_of(&store, "17", "raw"), Some(Counting::of("text 17")));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn one_batch_at_a_time_and_one_writer() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let batch = store.begin().unwrap();
    assert_eq!(store.begin().unwrap_err().kind(), ErrorKind::Locked);
    drop(batch);
    drop(store.begin().unwrap());
    let error = options().open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    let reader = options().read_only(true).open(&path).unwrap();
    assert_eq!(reader.begin().unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn waiting_for_the_other_batch() {
    let (_dir, path) = place();
    let store = options().busy_timeout(Duration::from_secs(20)).create(&path).unwrap();
    let batch = store.begin().unwrap();
    let other = store.clone();
    let waiting = std::thread::spawn(move || other.begin().map(drop).map_err(|error| error.kind()));
    std::thread::sleep(Duration::from_millis(30));
    assert!(!waiting.is_finished());
    drop(batch);
    assert_eq!(waiting.join().unwrap(), Ok(()));
}

#[test]
fn projections_and_lenses_are_kept() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    let good = ProjectionDef {
        name: "m".to_string(),
        rows: 1,
        columns: 2,
        query: vec![1.0, -0.5],
        record: None,
        origin: "test".to_string(),
        fitted_on: None,
    };
    batch.put_projection(good.clone()).unwrap();
    let bad = ProjectionDef { query: vec![1.0], ..good.clone() };
    assert_eq!(batch.put_projection(bad).unwrap_err().kind(), ErrorKind::Invalid);
    let bad = ProjectionDef { record: Some(vec![f32::NAN, 0.0]), ..good.clone() };
    assert_eq!(batch.put_projection(bad).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(batch.put_lens("l", Default::default(), Vec::new()).unwrap().version, 1);
    assert_eq!(batch.put_lens("l", Default::default(), Vec::new()).unwrap().version, 2);
    assert_eq!(batch.put_lens("top", Default::default(), Vec::new()).unwrap_err().kind(), ErrorKind::Invalid);
    batch.put_lens("gone", Default::default(), Vec::new()).unwrap();
    assert!(batch.drop_lens("gone").unwrap() && !batch.drop_lens("gone").unwrap());
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.projection("m").unwrap().as_deref(), Some(&good));
    assert_eq!(snapshot.lens("l").unwrap().unwrap().commit.0, 1);
    assert!(snapshot.lens("gone").unwrap().is_none() && snapshot.projection("x").unwrap().is_none());
}

#[test]
fn an_unknown_collection_is_answered_with_the_nearest_name() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let error = store.snapshot().unwrap().collection("notes").unwrap_err();
    assert_eq!(error.to_string(), "there is no collection \"notes\"; the store is empty");
    let mut batch = store.begin().unwrap();
    batch.collection("notes").unwrap();
    batch.collection("people").unwrap();
    assert_eq!(batch.existing_collection("poeple").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(batch.collection("a b").unwrap_err().kind(), ErrorKind::Invalid);
    batch.commit().unwrap();
    let error = store.snapshot().unwrap().collection("ntoes").unwrap_err();
    let expected = "there is no collection \"ntoes\"; did you mean \"notes\"? (collections: notes, people)";
    assert_eq!(error.to_string(), expected);
}

const CHILD: &str = "SIMILE_TEST_CHILD_STORE";

/// The other process of the next test: it follows the commits of its parent.
#[test]
#[ignore = "started by a_reader_in_another_process_follows_the_commits"]
fn child_reader() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = options().read_only(true).open(&path).unwrap();
    let error = options().open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(
        error.to_string().contains(&format!("process {}", std::env::var("SIMILE_TEST_PARENT").unwrap())),
        "{error}"
    );
    let mut seen = 0;
    for _ in 0..20_000 {
        let snapshot = store.snapshot().unwrap();
        assert!(snapshot.commit().0 >= seen, "commits only go forward");
        seen = snapshot.commit().0;
        let Ok(collection) = snapshot.collection("c") else { continue };
        // Every commit adds three records: a snapshot shows all of a commit or none of it.
        assert_eq!(collection.live().len(), seen * 3);
        let last = snapshot.get("c", &format!("{}", seen * 3 - 1)).unwrap().unwrap();
        assert_eq!(last.views[0].vector, Some(Counting::of(&last.text)));
        if seen == 40 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the last commit was never seen");
}

#[test]
fn a_reader_in_another_process_follows_the_commits() {
    let (_dir, path) = place();
    let store = options().create(&path).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["store::child_reader", "--exact", "--ignored", "--nocapture"])
        .env(CHILD, &path)
        .env("SIMILE_TEST_PARENT", std::process::id().to_string())
        .spawn()
        .unwrap();
    for commit in 0..40 {
        let mut batch = store.begin().unwrap();
        let mut c = batch.collection("c").unwrap();
        for n in commit * 3..commit * 3 + 3 {
            c.insert(Record::new(format!("{n}"), format!("text {n}"))).unwrap();
        }
        batch.commit().unwrap();
        std::thread::sleep(Duration::from_millis(3));
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_store_is_opened_or_made_by_whoever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.simile");
    let refused = Options::new().read_only(true).open_or_create(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    assert!(!path.exists(), "nothing is made for reading only");

    let store = Store::open_or_create(&path).unwrap();
    store.write(|batch| batch.collection("notes")?.insert(Record::new("n1", "keys"))).unwrap();
    store.close().unwrap();
    let store = Store::open_or_create(&path).unwrap();
    assert!(store.snapshot().unwrap().get("notes", "n1").unwrap().is_some());
    store.close().unwrap();

    // A folder that is something else stays what it is.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("letter.txt"), "dear").unwrap();
    assert_eq!(Store::open_or_create(&other).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);

    // Of several who make it at a time, one makes it, and the others open what it made, one after the other.
    let path = folder.path().join("together.simile");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let options = Options::new().busy_timeout(std::time::Duration::from_secs(60));
                let store = options.open_or_create(path).unwrap();
                let record = Record::new(format!("n{n}"), "keys");
                store.write(|batch| batch.collection("notes")?.insert(record)).unwrap();
            });
        }
    });
    let store = Store::open_read_only(&path).unwrap();
    let names: Vec<bool> =
        (0..4).map(|n| store.snapshot().unwrap().get("notes", &format!("n{n}")).unwrap().is_some()).collect();
    assert_eq!(names, [true; 4]);
}
