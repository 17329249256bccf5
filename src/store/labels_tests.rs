//! Labels: what was said stays in order, outlives compaction, and fits the records that are there.

use super::{Labels, LabelsStored};
use crate::catalog::{Catalog, CatalogOptions, CatalogRead, WriteTransaction, tables};
use crate::error::{ErrorKind, Result};
use crate::storage::{MemoryStorage, Storage};
use crate::store::care::recover;
use crate::store::handle::Store;
use crate::store::kept::question::{NewLabels, Question};
use crate::store::options::{CollectionSpec, Options};
use crate::types::{Control, Record, RecordKey, RowId};
use std::sync::Arc;

const R: &str = "answers the question";

fn store() -> (MemoryStorage, Store) {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    recover::format_new(&storage, &Options::new()).unwrap();
    let store = Store::open_storage(storage, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    for n in 0..6_u8 {
        let tags = vec!["all".to_string(), format!("mod {}", n % 2), "all".to_string()];
        let record = Record::new(format!("r{n}"), "t").vector("raw", vec![f32::from(n), 1.0]);
        c.insert(record.field("tags", tags).field("size", i64::from(n / 3))).unwrap();
    }
    batch.commit().unwrap();
    (memory, store)
}

fn say(store: &Store, source: &str, question: Question, said: &[(&str, i64)]) -> Result<LabelsStored> {
    let mut labels = NewLabels::from_source(source).at(100);
    let idx = labels.question(question);
    for (record, grade) in said {
        labels.say(idx, *record, *grade);
    }
    let mut batch = store.begin()?;
    let stored = batch.put_labels("c", R, &labels)?;
    batch.commit()?;
    Ok(stored)
}

fn read(store: &Store) -> Labels {
    store.snapshot().unwrap().labels("c", R).unwrap()
}

/// `question/record: grades said, in order`, and the row.
fn told(labels: &Labels) -> Vec<String> {
    let pair = |pair: &super::LabelledPair| {
        let said: Vec<i64> = pair.said.iter().map(|verdict| verdict.grade).collect();
        format!("{}/{} @{} {said:?}", labels.queries[pair.query_idx].query.id, pair.record.id, pair.row)
    };
    labels.pairs.iter().map(pair).collect()
}

#[test]
fn the_last_word_counts_and_what_was_said_before_stays() {
    let (_, store) = store();
    let keys = || Question::text("keys?");
    let stored = say(&store, "a", keys(), &[("r1", 1), ("r2", 0)]).unwrap();
    assert_eq!((stored.labels, stored.new_pairs, stored.new_queries, stored.contradicting), (2, 2, 1, 0));
    // The same word of the same source says nothing new, and commits nothing.
    let commit = store.snapshot().unwrap().commit();
    let again = say(&store, "a", keys(), &[("r1", 1)]).unwrap();
    assert_eq!(again, LabelsStored { unchanged: 1, ..LabelsStored::default() });
    assert_eq!(store.snapshot().unwrap().commit(), commit);
    let other = say(&store, "b", keys(), &[("r1", 0), ("r2", 0)]).unwrap();
    assert_eq!((other.labels, other.new_pairs, other.contradicting), (2, 0, 1));
    let labels = read(&store);
    assert_eq!(told(&labels), ["keys?/r1 @1 [1, 0]", "keys?/r2 @2 [0, 0]"]);
    assert_eq!((labels.pairs[0].grade(), labels.pairs[0].contradicts_itself()), (0, true));
    assert!(!labels.pairs[1].contradicts_itself());
    let verdict = &labels.pairs[0].said[1];
    assert_eq!((verdict.source.as_str(), verdict.time, verdict.commit.0), ("b", 100, commit.0 + 1));
    assert_eq!((labels.respect.pairs, labels.respect.next_query, labels.respect.revision), (2, 1, 2));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn taking_back_ends_with_nothing() {
    let (memory, store) = store();
    say(&store, "a", Question::text("keys?"), &[("r1", 1), ("r2", 1)]).unwrap();
    say(&store, "b", Question::text("keys?"), &[("r1", 0)]).unwrap();
    let take = |question: &str, record: &str| {
        let mut batch = store.begin().unwrap();
        let taken = batch.take_back_label("c", R, question, record).unwrap();
        batch.commit().unwrap();
        taken.map(|verdict| verdict.grade)
    };
    assert_eq!(take("keys?", "r1"), Some(0));
    assert_eq!(told(&read(&store)), ["keys?/r1 @1 [1]", "keys?/r2 @2 [1]"]);
    assert_eq!(take("keys?", "r3"), None);
    assert_eq!(take("wallet?", "r1"), None);
    assert_eq!(take("keys?", "r1"), Some(1));
    assert_eq!(take("keys?", "r1"), None);
    assert_eq!(take("keys?", "r2"), Some(1));
    let labels = read(&store);
    assert_eq!((labels.pairs.len(), labels.queries.len(), labels.respect.pairs), (0, 0, 0));
    assert!(store.check().unwrap().is_ok());
    drop(store);
    let storage: Arc<dyn Storage> = Arc::new(memory);
    let read = Catalog::open_write(storage, CatalogOptions::default()).unwrap().begin_write().unwrap();
    assert_eq!(read.count(&tables::LABEL_QUERIES).unwrap() + read.count(&tables::LABEL_QUERY_IDS).unwrap(), 0);
}

#[test]
fn labels_follow_their_records() {
    let (_, store) = store();
    say(&store, "a", Question::text("keys?"), &[("r1", 1), ("r3", 1), ("r4", 1)]).unwrap();
    say(&store, "a", Question::record("r5"), &[("r4", 1)]).unwrap();
    say(&store, "a", Question::record("r0"), &[("r4", 0)]).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    // An update keeps the key; removed and inserted again is another record.
    c.upsert(Record::new("r1", "other").vector("raw", vec![1.0, 1.0])).unwrap();
    c.remove("r3").unwrap();
    c.insert(Record::new("r3", "t").vector("raw", vec![3.0, 1.0])).unwrap();
    c.remove("r0").unwrap();
    batch.commit().unwrap();
    let labels = read(&store);
    assert_eq!(told(&labels), ["keys?/r1 @6 [1]", "keys?/r4 @4 [1]", "#r5/r4 @4 [1]"]);
    assert_eq!((labels.orphans, labels.queries[1].row), (2, Some(RowId(5))));
    store.compact().unwrap();
    let labels = read(&store);
    assert_eq!(told(&labels), ["keys?/r1 @3 [1]", "keys?/r4 @1 [1]", "#r5/r4 @1 [1]"]);
    assert_eq!((labels.orphans, labels.queries[1].row), (2, Some(RowId(2))));
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_field_makes_classes() {
    let (_, store) = store();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().remove("r2").unwrap();
    batch.put_class_respect("c", "tag", "tags").unwrap();
    batch.put_class_respect("c", "size", "size").unwrap();
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let classes = |respect: &str| -> Vec<(String, Vec<u32>)> {
        let labels = snapshot.labels("c", respect).unwrap();
        assert!(labels.pairs.is_empty() && labels.queries.is_empty());
        labels.classes.into_iter().map(|class| (class.value, class.rows.iter().map(|row| row.0).collect())).collect()
    };
    let all = ("all".to_string(), vec![0, 1, 3, 4, 5]);
    assert_eq!(classes("tag"), [all, ("mod 0".to_string(), vec![0, 4]), ("mod 1".to_string(), vec![1, 3, 5])]);
    assert_eq!(classes("size"), [("0".to_string(), vec![0, 1]), ("1".to_string(), vec![3, 4, 5])]);
    let mut batch = store.begin().unwrap();
    assert_eq!(batch.put_class_respect("c", "tag", "size").unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(batch.put_class_respect("c", "other", "siez").unwrap_err().kind(), ErrorKind::NotFound);
    let mut labels = NewLabels::from_source("a");
    let idx = labels.question(Question::text("keys?"));
    labels.say(idx, "r1", 1);
    assert!(batch.put_labels("c", "tag", &labels).unwrap_err().message().contains("field tags"));
    // Saying it again changes nothing.
    batch.put_class_respect("c", "tag", "tags").unwrap();
    assert_eq!(batch.commit().unwrap(), snapshot.commit());
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn what_is_no_label_changes_nothing() {
    let (_, store) = store();
    let q = || Question::new("q").with_text("keys?");
    type Refused<'a> = (Question, &'a [(&'a str, i64)], ErrorKind, &'a str);
    let refused: [Refused<'_>; 9] = [
        (q(), &[("r1", 1), ("r9", 1)], ErrorKind::NotFound, "no record \"r9\""),
        (Question::new("q"), &[("r1", 1)], ErrorKind::Invalid, "no text, no vector and no record"),
        (Question::new("q").with_text(" "), &[("r1", 1)], ErrorKind::Invalid, "no text"),
        (Question::new(""), &[("r1", 1)], ErrorKind::Invalid, "id"),
        (Question::record("r9"), &[("r1", 1)], ErrorKind::NotFound, "no record \"r9\""),
        (q().with_vector("raw", vec![1.0]), &[("r1", 1)], ErrorKind::Invalid, "1 dimensions, the view has 2"),
        (q().with_vector("raw", vec![1.0, f32::NAN]), &[("r1", 1)], ErrorKind::Invalid, "NaN at position 1"),
        (q().with_vector("row", vec![1.0, 2.0]), &[("r1", 1)], ErrorKind::NotFound, "did you mean \"raw\"?"),
        (Question::new("q".repeat(2_000)).with_text("t"), &[("r1", 1)], ErrorKind::Limit, "1024 bytes"),
    ];
    for (question, said, kind, part) in refused {
        let error = say(&store, "a", question, said).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(store.snapshot().unwrap().respects("c").unwrap(), []);
    say(&store, "a", q(), &[("r1", 1)]).unwrap();
    let other = say(&store, "a", Question::new("q").with_text("wallet?"), &[("r1", 1)]).unwrap_err();
    assert!(other.message().contains("another text"), "{other}");
    // A vector may come later.
    say(&store, "a", Question::new("q").with_vector("raw", vec![0.5, 2.0]), &[("r2", 1)]).unwrap();
    let labels = read(&store);
    let query = &labels.queries[0].query;
    assert_eq!((query.text.as_deref(), query.vector.as_ref().map(|v| v.data.len())), (Some("keys?"), Some(2)));
    let missing = store.snapshot().unwrap().labels("c", "answers the questoin").unwrap_err();
    assert!(missing.message().contains("did you mean \"answers the question\"?"), "{missing}");
    let mut batch = store.begin().unwrap();
    for name in ["", " r", "a\tb", &"r".repeat(200)] {
        assert_eq!(batch.put_labels("c", name, &NewLabels::from_source("a")).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_dropped_respect_leaves_the_others() {
    let (_, store) = store();
    say(&store, "a", Question::text("keys?"), &[("r1", 1)]).unwrap();
    let mut labels = NewLabels::from_source("a");
    let idx = labels.question(Question::text("keys?"));
    labels.say(idx, "r2", 1);
    let mut batch = store.begin().unwrap();
    batch.put_labels("c", "other", &labels).unwrap();
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    assert!(batch.drop_respect("c", R).unwrap());
    assert!(!batch.drop_respect("c", R).unwrap());
    batch.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let names: Vec<String> = snapshot.respects("c").unwrap().into_iter().map(|respect| respect.name).collect();
    assert_eq!(names, ["other"]);
    assert_eq!(snapshot.labels("c", "other").unwrap().pairs.len(), 1);
    assert_eq!(snapshot.respect_infos("c").unwrap()[0].queries, 1);
    assert!(store.check().unwrap().is_ok());
}

#[test]
fn a_copy_and_what_is_salvaged_have_the_labels() {
    let (memory, store) = store();
    say(&store, "a", Question::text("keys?"), &[("r1", 1), ("r3", 0)]).unwrap();
    say(&store, "b", Question::record("r5").with_vector("raw", vec![1.0, 2.0]), &[("r1", 2)]).unwrap();
    say(&store, "b", Question::text("keys?"), &[("r1", 0)]).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().remove("r0").unwrap();
    batch.put_class_respect("c", "tag", "tags").unwrap();
    batch.commit().unwrap();
    let expected = read(&store);
    let copy: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    store.backup_storage(&copy).unwrap();
    let copy = Store::open_storage(copy, Options::new()).unwrap();
    assert_eq!(read(&copy), expected);
    drop(store);
    let from: Arc<dyn Storage> = Arc::new(memory);
    let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let salvaged = Store::salvage_storage(&from, &to, Options::new(), &Control::new()).unwrap();
    assert_eq!((salvaged.records, salvaged.lost), (5, Vec::new()));
    let new = Store::open_storage(to, Options::new()).unwrap();
    assert!(new.check().unwrap().is_ok());
    let found = read(&new);
    // The rows moved down over the removed record; everything else is as it was.
    assert_eq!(told(&found), ["keys?/r1 @0 [1, 0]", "keys?/r3 @2 [0]", "#r5/r1 @0 [2]"]);
    let said = |labels: &Labels| labels.pairs.iter().map(|pair| pair.said.clone()).collect::<Vec<_>>();
    assert_eq!((said(&found), &found.respect), (said(&expected), &expected.respect));
    assert_eq!(new.snapshot().unwrap().labels("c", "tag").unwrap().classes.len(), 3);
}

#[test]
fn check_sees_every_broken_invariant_of_labels() {
    let (memory, store) = store();
    say(&store, "a", Question::text("keys?"), &[("r1", 1)]).unwrap();
    drop(store);
    type Change = Box<dyn FnOnce(&WriteTransaction) -> Result<()>>;
    let respect_with = |change: fn(&mut crate::types::RespectDef)| -> Change {
        Box::new(move |tx| {
            let (key, mut def) = tx.range(&tables::RESPECTS, ..)?.remove(0);
            change(&mut def);
            tx.put(&tables::RESPECTS, &key, &def)
        })
    };
    let pair_with = |change: fn(&mut crate::types::PairLabels)| -> Change {
        Box::new(move |tx| {
            let (key, mut pair) = tx.range(&tables::LABELS, ..)?.remove(0);
            change(&mut pair);
            tx.put(&tables::LABELS, &key, &pair)
        })
    };
    let query_with = |change: fn(&mut crate::types::LabelQuery)| -> Change {
        Box::new(move |tx| {
            let (key, mut query) = tx.range(&tables::LABEL_QUERIES, ..)?.remove(0);
            change(&mut query);
            tx.put(&tables::LABEL_QUERIES, &key, &query)
        })
    };
    let changes: Vec<(Change, &str)> = vec![
        (respect_with(|def| def.pairs = 2), "respect \"answers the question\" of collection 1"),
        (respect_with(|def| def.next_query = 0), "question 0 of respect 1"),
        (respect_with(|def| def.name.push('x')), "respect \"answers the question\" of collection 1"),
        (respect_with(|def| def.field = Some("tags".into())), "respect \"answers the questio"),
        (respect_with(|def| def.id = 9), "question 0 of respect 1"),
        (pair_with(|pair| pair.said.clear()), "label 1 of respect 1, question 0"),
        (pair_with(|pair| pair.record.key = RecordKey(3)), "label 1 of respect 1, question 0"),
        // A key that no record of the collection was ever given.
        (
            Box::new(|tx| {
                let (key, mut pair) = tx.range(&tables::LABELS, ..)?.remove(0);
                tx.remove(&tables::LABELS, &key)?;
                pair.record.key = RecordKey(77);
                tx.put(&tables::LABELS, &(key.0, key.1, RecordKey(77)), &pair)
            }),
            "label 77 of respect 1, question 0",
        ),
        (query_with(|query| query.text = None), "question 0 of respect 1"),
        (query_with(|query| query.id.push('x')), "question 0 of respect 1"),
        (Box::new(|tx| tx.remove(&tables::LABELS, &(1, 0, RecordKey(1))).map(|_| ())), "respect \"answers"),
        (Box::new(|tx| tx.remove(&tables::LABEL_QUERIES, &(1, 0)).map(|_| ())), "label 1 of respect 1"),
        (Box::new(|tx| tx.put(&tables::LABEL_QUERY_IDS, &(1, "x".into()), &0)), "table label_query_ids"),
    ];
    for (idx, (change, place)) in changes.into_iter().enumerate() {
        let storage: Arc<dyn Storage> = Arc::new(memory.copy());
        let catalog = Catalog::open_write(Arc::clone(&storage), CatalogOptions::default()).unwrap();
        let tx = catalog.begin_write().unwrap();
        change(&tx).unwrap();
        tx.commit().unwrap();
        drop(catalog);
        let report = Store::open_storage(storage, Options::new()).unwrap().check().unwrap();
        let found: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
        assert!(found.iter().any(|what| what.starts_with(place)), "change {idx}: {found:?}");
    }
}

#[test]
fn thousands_of_labels_are_one_commit() {
    let (_, store) = store();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap();
    for n in 0..1_000_u16 {
        c.insert(Record::new(format!("x{n}"), "t").vector("raw", vec![f32::from(n), 1.0])).unwrap();
    }
    batch.commit().unwrap();
    let mut labels = NewLabels::from_source("a");
    for n in 0..3_000_u16 {
        let idx = labels.question(Question::new(n.to_string()).with_vector("raw", vec![1.0, f32::from(n)]));
        labels.say(idx, format!("x{}", n % 1_000), 1);
    }
    // A question that nothing is said with is not stored, and not looked at either.
    labels.question(Question::new("silent"));
    let mut batch = store.begin().unwrap();
    let stored = batch.put_labels("c", R, &labels).unwrap();
    batch.commit().unwrap();
    assert_eq!((stored.labels, stored.new_queries), (3_000, 3_000));
    let labels = read(&store);
    assert_eq!((labels.queries.len(), labels.pairs.len(), labels.orphans), (3_000, 3_000, 0));
    let sum: f32 = labels.queries.iter().map(|query| query.query.vector.as_ref().unwrap().data[1]).sum();
    assert_eq!(sum, 2_999.0 * 3_000.0 / 2.0);
}
