//! A record as the catalog keeps it, and the catalog tables whose values belong to this level.
//!
//! Owns [`StoredRecord`] and [`StoredValue`]: the truth about a record's text and metadata, of which columns are
//! copies. A change here is a change of the disk format. It imports no file access.

use crate::catalog::tables::{COLUMNS_NAME, RECORDS_NAME};
use crate::catalog::{Table, WriteTransaction};
use crate::error::Result;
use crate::store::read::column::{ColumnChunk, LONG_VALUES};
use crate::types::{CollectionId, FieldType, Record, RecordKey, StoreMeta, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records by (collection, row); dead rows keep theirs until `compact`.
pub(in crate::store) const RECORDS: Table<(CollectionId, u32), StoredRecord> = Table::new(RECORDS_NAME);
/// Column chunks by (collection, field, chunk): see [`crate::store::read::column::CHUNK_ROWS`].
pub(in crate::store) const COLUMNS: Table<(CollectionId, String, u32), ColumnChunk> = Table::new(COLUMNS_NAME);

/// Stores a field's full chunk; a store says so once a chunk leaves values to the records.
pub(in crate::store) fn put_chunk(
    tx: &WriteTransaction,
    meta: &mut StoreMeta,
    collection: CollectionId,
    field: &str,
    chunk: u32,
    values: Option<ColumnChunk>,
) -> Result<()> {
    let Some(values) = values else { return Ok(()) };
    if values.leaves_long() {
        meta.required_features |= LONG_VALUES;
    }
    tx.put(&COLUMNS, &(collection, field.to_string(), chunk), &values)
}

/// A metadata value on disk; null is not stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum StoredValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite float, bit for bit.
    Float(f64),
    /// Text.
    Text(String),
    /// A list of text.
    TextList(Vec<String>),
    /// Compact JSON.
    Json(String),
}

/// A record without its views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredRecord {
    /// The stable key.
    pub(in crate::store) key: RecordKey,
    /// The id.
    pub(in crate::store) id: String,
    /// The raw text.
    pub(in crate::store) text: String,
    /// Metadata that is not null, by ascending name.
    pub(in crate::store) fields: Vec<(String, StoredValue)>,
}

impl StoredRecord {
    /// The stored form of `record`.
    pub(in crate::store) fn new(key: RecordKey, record: &Record) -> Self {
        let fields = record.fields.iter().filter_map(|(name, value)| Some((name.clone(), StoredValue::new(value)?)));
        StoredRecord { key, id: record.id.clone(), text: record.text.clone(), fields: fields.collect() }
    }

    /// Whether text and metadata are those of `record`; nulls count as missing.
    pub(in crate::store) fn is_same(&self, record: &Record, types: &BTreeMap<String, FieldType>) -> bool {
        if self.text != record.text {
            return false;
        }
        let given = record.fields.iter().filter(|(_, value)| **value != Value::Null);
        let mut count = 0;
        for (name, value) in given {
            count += 1;
            let Ok(found) = self.fields.binary_search_by(|(other, _)| other.cmp(name)) else { return false };
            let widens = types.get(name) == Some(&FieldType::Float);
            if !self.fields.get(found).is_some_and(|(_, stored)| stored.is_same(value, widens)) {
                return false;
            }
        }
        count == self.fields.len()
    }

    /// The metadata as it was given: an integer of a field that has widened since is an integer still.
    pub(in crate::store) fn into_fields(self) -> BTreeMap<String, Value> {
        self.fields.into_iter().map(|(name, value)| (name, value.into_value(None))).collect()
    }

    /// As [`StoredRecord::into_fields`], of a record that is needed further.
    pub(in crate::store) fn fields(&self) -> BTreeMap<String, Value> {
        self.fields.iter().map(|(name, value)| (name.clone(), value.clone().into_value(None))).collect()
    }

    /// About how many bytes of text and metadata it holds.
    pub(in crate::store) fn bytes(&self) -> usize {
        let value = |value: &StoredValue| match value {
            StoredValue::Text(text) | StoredValue::Json(text) => text.len(),
            StoredValue::TextList(items) => items.iter().map(|text| text.len() + size_of::<String>()).sum(),
            _ => 0,
        };
        self.text.len() + self.fields.iter().map(|(name, field)| name.len() + value(field) + 32).sum::<usize>()
    }

    /// Whether the field is missing here, or holds a list of nothing.
    pub(in crate::store) fn has_no_item(&self, name: &str) -> bool {
        let found = self.fields.binary_search_by(|(other, _)| other.as_str().cmp(name));
        found.ok().and_then(|idx| self.fields.get(idx)).is_none_or(|(_, value)| value.is_empty_list())
    }

    /// One field's value, taken out.
    pub(in crate::store) fn take_field(&mut self, name: &str, field_type: FieldType) -> Option<Value> {
        let idx = self.fields.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(self.fields.swap_remove(idx).1.into_value(Some(field_type)))
    }
}

/// Whether both are the same number: a large integer is not the float nearest to it.
fn is_exactly(integer: i64, float: f64) -> bool {
    integer as f64 == float && (float as i128) == i128::from(integer)
}

impl StoredValue {
    fn new(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(v) => StoredValue::Bool(*v),
            Value::Integer(v) => StoredValue::Integer(*v),
            Value::Float(v) => StoredValue::Float(*v),
            Value::Text(v) => StoredValue::Text(v.clone()),
            Value::TextList(v) => StoredValue::TextList(v.clone()),
            Value::Json(v) => StoredValue::Json(v.clone()),
        })
    }

    fn is_same(&self, value: &Value, widens: bool) -> bool {
        match (self, value) {
            (StoredValue::Bool(a), Value::Bool(b)) => a == b,
            (StoredValue::Integer(a), Value::Integer(b)) => a == b,
            (StoredValue::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (StoredValue::Integer(a), Value::Float(b)) if widens => is_exactly(*a, *b),
            (StoredValue::Float(a), Value::Integer(b)) if widens => is_exactly(*b, *a),
            (StoredValue::Text(a), Value::Text(b)) | (StoredValue::Json(a), Value::Json(b)) => a == b,
            (StoredValue::TextList(a), Value::TextList(b)) => a == b,
            _ => false,
        }
    }

    /// Whether a field of this type may hold the value.
    pub(in crate::store) fn fits(&self, field_type: FieldType) -> bool {
        match self {
            StoredValue::Bool(_) => field_type == FieldType::Bool,
            StoredValue::Integer(_) => matches!(field_type, FieldType::Integer | FieldType::Float),
            StoredValue::Float(_) => field_type == FieldType::Float,
            StoredValue::Text(_) => field_type == FieldType::Text,
            StoredValue::TextList(items) => {
                field_type == FieldType::TextList || field_type == FieldType::Json && items.is_empty()
            }
            StoredValue::Json(_) => {
                field_type == FieldType::Json || field_type == FieldType::TextList && self.is_empty_list()
            }
        }
    }

    /// As [`Value::is_empty_list`].
    pub(in crate::store) fn is_empty_list(&self) -> bool {
        match self {
            StoredValue::TextList(items) => items.is_empty(),
            StoredValue::Json(_) => self.clone().into_value(None).is_empty_list(),
            _ => false,
        }
    }

    fn into_value(self, field_type: Option<FieldType>) -> Value {
        match self {
            StoredValue::Bool(v) => Value::Bool(v),
            StoredValue::Integer(v) if field_type == Some(FieldType::Float) => Value::Float(v as f64),
            StoredValue::Integer(v) => Value::Integer(v),
            StoredValue::Float(v) => Value::Float(v),
            StoredValue::Text(v) => Value::Text(v),
            StoredValue::TextList(v) => Value::TextList(v),
            StoredValue::Json(v) => Value::Json(v),
        }
    }
}

/// Puts `text` where the template says `{text}`.
pub(in crate::store) fn fill_template(template: &str, text: &str) -> String {
    template.replace("{text}", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_records() {
        let values = [
            StoredValue::Bool(true),
            StoredValue::Integer(-300),
            StoredValue::Float(-2.0),
            StoredValue::Text("t".to_string()),
            StoredValue::TextList(vec!["a".to_string()]),
            StoredValue::Json("{}".to_string()),
        ];
        let fields = values.into_iter().enumerate().map(|(idx, value)| (format!("f{idx}"), value)).collect();
        let record = StoredRecord { key: RecordKey(300), id: "n1".to_string(), text: "keys?".to_string(), fields };
        crate::catalog::golden_tests::golden(
            record,
            "fb2c01026e31056b6579733f06026630000102663101fb57020266320200000000000000c00266330301740266340401\
         016102663505027b7d",
        );
    }

    #[test]
    fn nulls_are_missing_and_widened_integers_are_equal() {
        let record = Record::new("a", "t").field("n", 2_i64).field("gone", Value::Null).field("x", "y");
        let stored = StoredRecord::new(RecordKey(1), &record);
        assert_eq!(stored.fields.len(), 2);
        let mut types = BTreeMap::from([("n".to_string(), FieldType::Integer), ("x".to_string(), FieldType::Text)]);
        assert!(stored.is_same(&record, &types));
        assert!(!stored.is_same(&Record::new("a", "t").field("n", 2_i64), &types));
        let float = Record::new("a", "t").field("n", 2.0).field("x", "y");
        assert!(!stored.is_same(&float, &types));
        types.insert("n".to_string(), FieldType::Float);
        assert!(stored.is_same(&float, &types));
        assert!(is_exactly(9_007_199_254_740_992, 9_007_199_254_740_992.0));
        assert!(!is_exactly(9_007_199_254_740_993, 9_007_199_254_740_992.0));
        assert!(!is_exactly(i64::MAX, 9_223_372_036_854_775_808.0));
    }
}
