//! Columns of stores whose records are large: whatever a record holds, it is taken, found and copied.

use super::{CHUNK_BYTES, CHUNK_ROWS, ColumnChunk, LONG_VALUES, ValueRef};
use crate::catalog::{Catalog, CatalogOptions};
use crate::error::ErrorKind;
use crate::storage::{MemoryStorage, Storage};
use crate::store::read::record::COLUMNS;
use crate::store::{CollectionSpec, Options, Store};
use crate::types::{CancelToken, CollectionId, Control, FieldType, Record, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields `blob`, `tags` and `n` of a record.
type Values = (Option<String>, Option<Vec<String>>, i64);
/// What a store must hold, by id.
type Model = BTreeMap<String, Values>;

fn storage() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

/// A record whose values are long or short, or null, as `n` and `version` have it.
fn record(n: u32, version: u32) -> (Record, Values) {
    let mixed = n.wrapping_mul(2_654_435_761).wrapping_add(version.wrapping_mul(40_503)) >> 7;
    let length = [0, 3, 16, 17, 40, 900][mixed as usize % 6];
    let blob = (!mixed.is_multiple_of(7)).then(|| format!("{n}-{version}-{}", "x".repeat(length)));
    let tags =
        (!mixed.is_multiple_of(5)).then(|| (0..mixed % 9).map(|tag| format!("tag {} of {n}", tag % 4)).collect());
    let mut record = Record::new(format!("id{n}"), "t").field("n", i64::from(n));
    record.fields.insert("blob".to_string(), blob.clone().map_or(Value::Null, Value::Text));
    record.fields.insert("tags".to_string(), tags.clone().map_or(Value::Null, Value::TextList));
    (record, (blob, tags, i64::from(n)))
}

/// Holds the columns to the model, `check` to its word, and filters to what they ask.
fn assert_holds(store: &Store, model: &Model) {
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings.first());
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    assert_eq!(collection.live().len(), model.len() as u64);
    let [blob, tags, n] = ["blob", "tags", "n"].map(|field| collection.column(field).unwrap().unwrap());
    for (id, (wanted_blob, wanted_tags, wanted_n)) in model {
        let row = collection.row_of(id).unwrap().unwrap().0;
        let found = blob.with(row, |value| match value {
            Some(ValueRef::Text(text)) => Some(text.to_string()),
            other => other.map(|other| format!("{other:?}")),
        });
        assert_eq!(found.unwrap(), *wanted_blob, "{id}");
        let found = tags.with(row, |value| match value {
            Some(ValueRef::TextList(items)) => Some(items.iter().map(str::to_string).collect::<Vec<_>>()),
            _ => None,
        });
        assert_eq!(found.unwrap(), *wanted_tags, "{id}");
        assert!(n.with(row, |value| value == Some(ValueRef::Integer(*wanted_n))).unwrap());
    }
    let rows = |column: &super::Column, keep: &(dyn Fn(ValueRef<'_>) -> bool + Sync)| {
        column.select(keep).unwrap().and(collection.live()).len() as usize
    };
    let long = rows(&blob, &|value| matches!(value, ValueRef::Text(text) if text.ends_with("xxxxxxxxxx")));
    assert_eq!(long, model.values().filter(|of| of.0.as_ref().is_some_and(|of| of.ends_with("xxxxxxxxxx"))).count());
    let third = rows(&tags, &|value| matches!(value, ValueRef::TextList(list) if list.contains("tag 3 of 77")));
    assert_eq!(third, model.values().filter(|of| of.1.iter().flatten().any(|tag| tag == "tag 3 of 77")).count());
    assert_eq!(
        blob.present().unwrap().and(collection.live()).len() as usize,
        model.values().filter(|of| of.0.is_some()).count()
    );
}

#[test]
fn records_of_any_size_are_taken_at_any_row_and_found_everywhere() {
    let place = storage();
    let store = Store::create_storage(&place, Options::new()).unwrap();
    let mut model = Model::new();
    let rows = CHUNK_ROWS + 300;
    // Batches of uneven sizes, so that chunks are put together from rows of several commits.
    let mut n = 0;
    for size in [4_000, 90, 7, rows - 4_097] {
        let mut batch = store.begin().unwrap();
        let mut c = batch.collection("c").unwrap().no_embed(true);
        for _ in 0..size {
            let (record, values) = record(n, 0);
            model.insert(record.id.clone(), values);
            c.insert(record).unwrap();
            n += 1;
        }
        batch.commit().unwrap();
    }
    assert_holds(&store, &model);
    assert_eq!(store.snapshot().unwrap().meta().required_features, LONG_VALUES);
    // Updates run into the next chunks, in another order than the records came.
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    for n in (0..rows).rev().filter(|n| n % 4 != 1) {
        let (record, values) = record(n, 1);
        model.insert(record.id.clone(), values);
        c.update(record).unwrap();
    }
    for n in (0..rows).filter(|n| n % 11 == 3) {
        assert!(c.remove(&format!("id{n}")).unwrap());
        model.remove(&format!("id{n}"));
    }
    batch.commit().unwrap();
    assert_holds(&store, &model);
    let copy = storage();
    store.backup_storage(&copy).unwrap();
    assert_holds(&Store::open_storage(copy, Options::new()).unwrap(), &model);
    assert!(store.compact().unwrap().rows_removed > 0);
    assert_holds(&store, &model);
    drop(store);
    let saved = storage();
    let salvaged = Store::salvage_storage(&place, &saved, Options::new(), &Control::new()).unwrap();
    assert_eq!((salvaged.records, salvaged.records_lost), (model.len() as u64, 0));
    let store = Store::open_storage(saved, Options::new()).unwrap();
    assert_holds(&store, &model);
}

/// A store of one full chunk of short or of long texts.
fn full(length: usize) -> Arc<dyn Storage> {
    let place = storage();
    let store = Store::create_storage(&place, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    for n in 0..CHUNK_ROWS {
        c.insert(Record::new(n.to_string(), "t").field("f", format!("{n:0length$}"))).unwrap();
    }
    batch.commit().unwrap();
    place
}

/// The stored chunk of field `f`, changed.
fn with_chunk(place: &Arc<dyn Storage>, change: impl FnOnce(&mut Vec<String>, &mut Vec<u16>)) {
    use crate::catalog::CatalogRead;
    let catalog = Catalog::open_write(Arc::clone(place), CatalogOptions::default()).unwrap();
    let tx = catalog.begin_write().unwrap();
    let key = (CollectionId(1), "f".to_string(), 0);
    let mut chunk = tx.get(&COLUMNS, &key).unwrap().unwrap();
    let ColumnChunk::Text { dictionary, codes } = &mut chunk else { panic!("{chunk:?}") };
    change(dictionary, codes);
    tx.put(&COLUMNS, &key, &chunk).unwrap();
    tx.commit().unwrap();
}

#[test]
fn a_store_says_what_reads_it_only_where_a_chunk_leaves_values_to_the_records() {
    let features = |place: &Arc<dyn Storage>| {
        let store = Store::open_storage(Arc::clone(place), Options::new()).unwrap();
        store.snapshot().unwrap().meta().required_features
    };
    assert_eq!(features(&full(4)), 0);
    assert_eq!(features(&full(40)), LONG_VALUES);
}

#[test]
fn a_large_chunk_of_an_earlier_simile_is_read_as_it_is() {
    let place = full(40);
    with_chunk(&place, |dictionary, codes| {
        *dictionary = (0..CHUNK_ROWS).map(|n| format!("{n:040}")).collect();
        *codes = (0..CHUNK_ROWS as u16).collect();
    });
    let store = Store::open_storage(Arc::clone(&place), Options::new()).unwrap();
    assert!(store.check().unwrap().is_ok());
    let column = store.snapshot().unwrap().collection("c").unwrap().column("f").unwrap().unwrap();
    let wanted = format!("{:040}", 4_000);
    let found = column.select(|value| value == ValueRef::Text(&wanted)).unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), [4_000]);
    drop((column, store));
    // What it says must be what the records say, long or short.
    with_chunk(&place, |dictionary, _| dictionary[4_000].push('x'));
    let store = Store::open_storage(place, Options::new()).unwrap();
    let findings = store.check().unwrap().findings;
    assert!(findings.len() == 1 && findings[0].expected.contains("in row 4000"), "{findings:?}");
}

#[test]
fn check_sees_a_value_that_is_null_in_the_column_and_long_in_the_record() {
    let place = full(40);
    with_chunk(&place, |_, codes| codes[77] = u16::MAX);
    let store = Store::open_storage(place, Options::new()).unwrap();
    let findings = store.check().unwrap().findings;
    assert!(findings.len() == 1 && findings[0].expected.contains("in row 77"), "{findings:?}");
}

#[test]
fn a_chunk_is_built_for_many_fields_a_few_at_a_time() {
    let place = storage();
    let store = Store::create_storage(&place, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    let fields: Vec<String> = (0..24).map(|field| format!("f{field:02}")).collect();
    for n in 0..CHUNK_ROWS {
        let mut record = Record::new(n.to_string(), "t");
        for field in &fields {
            record.fields.insert(field.clone(), Value::Text(format!("{field}{n:05}")));
        }
        c.insert(record).unwrap();
    }
    batch.commit().unwrap();
    assert!(fields.len() * 8 * CHUNK_ROWS as usize > 8 * CHUNK_BYTES);
    assert!(store.check().unwrap().is_ok());
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    for field in &fields {
        assert_eq!(collection.def().fields[field], FieldType::Text);
        let column = collection.column(field).unwrap().unwrap();
        let wanted = format!("{field}{:05}", 4_095);
        assert!(column.with(4_095, |value| value == Some(ValueRef::Text(&wanted))).unwrap(), "{field}");
    }
}

#[test]
fn whoever_stops_is_heard_between_the_chunks_of_a_column() {
    let store = Store::create_storage(&storage(), Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    let mut c = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    (0..=CHUNK_ROWS).try_for_each(|n| c.insert(Record::new(n.to_string(), "").field("n", i64::from(n)))).unwrap();
    batch.commit().unwrap();
    let token = CancelToken::new();
    token.cancel();
    let (go, stop) = (Control::new(), Control::new().cancelled_by(token));
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    assert_eq!(collection.column_until("n", &stop).unwrap_err().kind(), ErrorKind::Cancelled);
    // Who was stopped leaves nothing half done to those who come after.
    let column = collection.column_until("n", &go).unwrap().unwrap();
    assert_eq!(column.present_until(&stop).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(column.select_until(|_| true, &stop).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(column.select_until(|_| true, &go).unwrap().len(), u64::from(CHUNK_ROWS) + 1);
}
