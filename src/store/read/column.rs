//! Metadata as typed columns over row numbers: what filters read.
//!
//! Owns the chunk format ([`ColumnChunk`], [`CHUNK_ROWS`] rows each). A column is a copy: the catalog's records are the
//! truth, chunks are built from them once all their rows are used (`build`, `fill`), and never change after that,
//! because an update gets a new row. Of values that would make a chunk large only where they are is kept: they are read
//! from their records when a filter asks for them (`whole`), so that neither a chunk nor what holds it grows with them.

mod build;
mod fill;
mod whole;

use serde::{Deserialize, Serialize};

pub(in crate::store) use fill::ColumnFiller;
pub use whole::Column;
pub(in crate::store) use whole::ColumnSource;

/// Rows of one column chunk.
pub const CHUNK_ROWS: u32 = 4_096;

/// About how many bytes of texts a chunk holds before its long values are left to the records.
/// In this crate's own tests it is small, so that they have such chunks.
const CHUNK_BYTES: usize = if cfg!(test) { 64 << 10 } else { 4 << 20 };

/// Of a chunk that would be larger, values of more bytes than this are read from the records: what stays fits.
const LONG_BYTES: usize = CHUNK_BYTES / CHUNK_ROWS as usize;

/// Bit of `StoreMeta::required_features` that a store has from the first chunk on that leaves values to the records.
pub(in crate::store) const LONG_VALUES: u64 = 1;

/// Marks a row without a value among the codes of a text chunk.
const NULL_CODE: u16 = u16::MAX;
/// Marks a row whose text is read from its record.
const LONG_CODE: u16 = u16::MAX - 1;
/// As the only code of a row: its list is read from its record.
const LONG_LIST: u32 = u32::MAX;

/// One value of a column, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list of text: codes into the chunk's dictionary.
    TextList(TextListRef<'a>),
    /// A nested value; only its presence is kept in the column.
    Json,
}

/// A borrowed list of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextListRef<'a> {
    dictionary: &'a [String],
    codes: &'a [u32],
}

impl<'a> TextListRef<'a> {
    /// The items in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.codes.iter().filter_map(move |&code| self.dictionary.get(code as usize).map(String::as_str))
    }

    /// Whether the list has `item`.
    pub fn contains(self, item: &str) -> bool {
        self.iter().any(|text| text == item)
    }
}

/// The values of one field in [`CHUNK_ROWS`] consecutive rows (fewer at the end of a collection).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ColumnChunk {
    /// Texts as codes into a dictionary.
    Text {
        /// Distinct texts in order of appearance.
        dictionary: Vec<String>,
        /// One code for each row.
        codes: Vec<u16>,
    },
    /// Whole numbers; 0 where there is none.
    Integer {
        /// One bit for each row that has a value.
        present: Vec<u64>,
        /// One value for each row.
        values: Vec<i64>,
    },
    /// Floats; 0 where there is none.
    Float {
        /// One bit for each row that has a value.
        present: Vec<u64>,
        /// One value for each row.
        values: Vec<f64>,
    },
    /// Booleans.
    Bool {
        /// One bit for each row that has a value.
        present: Vec<u64>,
        /// One bit for each row that is true.
        values: Vec<u64>,
        /// Rows of the chunk.
        rows: u32,
    },
    /// Lists of text as codes into a dictionary.
    TextList {
        /// One bit for each row that has a value.
        present: Vec<u64>,
        /// Distinct texts in order of appearance.
        dictionary: Vec<String>,
        /// Row `i` has the codes from `ends[i - 1]` (0 for the first) to `ends[i]`.
        ends: Vec<u32>,
        /// Codes of all rows.
        codes: Vec<u32>,
    },
    /// Nested values: which rows have one.
    Json {
        /// One bit for each row that has a value.
        present: Vec<u64>,
        /// Rows of the chunk.
        rows: u32,
    },
}

fn bit(words: &[u64], idx: usize) -> bool {
    words.get(idx / 64).is_some_and(|word| word >> (idx % 64) & 1 == 1)
}

fn set_bit(words: &mut [u64], idx: usize) {
    if let Some(word) = words.get_mut(idx / 64) {
        *word |= 1 << (idx % 64);
    }
}

impl ColumnChunk {
    /// Whether some of its values are left to the records.
    pub(in crate::store) fn leaves_long(&self) -> bool {
        !self.long_rows().is_empty()
    }

    /// Whether all parts agree on their lengths and no code points outside its dictionary: asked of every chunk
    /// that comes from disk.
    pub fn is_well_formed(&self, expected_rows: u32) -> bool {
        let rows = expected_rows as usize;
        let words = rows.div_ceil(64);
        match self {
            ColumnChunk::Text { dictionary, codes } => {
                codes.len() == rows
                    && codes.iter().all(|&code| code >= LONG_CODE || usize::from(code) < dictionary.len())
            }
            ColumnChunk::Integer { present, values } => present.len() == words && values.len() == rows,
            ColumnChunk::Float { present, values } => present.len() == words && values.len() == rows,
            ColumnChunk::Bool { present, values, rows: own } => {
                present.len() == words && values.len() == words && *own == expected_rows
            }
            ColumnChunk::TextList { present, dictionary, ends, codes } => {
                present.len() == words
                    && ends.len() == rows
                    && ends.windows(2).all(|pair| pair.first() <= pair.last())
                    && ends.last().map_or(0, |&end| end as usize) == codes.len()
                    && (0..rows).all(|idx| {
                        let codes = list_codes(ends, codes, idx).unwrap_or_default();
                        codes == [LONG_LIST] || codes.iter().all(|&code| (code as usize) < dictionary.len())
                    })
            }
            ColumnChunk::Json { present, rows: own } => present.len() == words && *own == expected_rows,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        match self {
            ColumnChunk::Text { codes, .. } => codes.len() as u32,
            ColumnChunk::Integer { values, .. } => values.len() as u32,
            ColumnChunk::Float { values, .. } => values.len() as u32,
            ColumnChunk::TextList { ends, .. } => ends.len() as u32,
            ColumnChunk::Bool { rows, .. } | ColumnChunk::Json { rows, .. } => *rows,
        }
    }

    /// Whether row `idx` of the chunk has a value.
    pub fn is_present(&self, idx: usize) -> bool {
        match self {
            ColumnChunk::Text { codes, .. } => codes.get(idx).is_some_and(|&code| code != NULL_CODE),
            ColumnChunk::Integer { present, .. }
            | ColumnChunk::Float { present, .. }
            | ColumnChunk::Bool { present, .. }
            | ColumnChunk::TextList { present, .. }
            | ColumnChunk::Json { present, .. } => bit(present, idx),
        }
    }

    /// Whether row `idx` of the chunk has a value that is read from its record.
    pub fn is_long(&self, idx: usize) -> bool {
        match self {
            ColumnChunk::Text { codes, .. } => codes.get(idx) == Some(&LONG_CODE),
            ColumnChunk::TextList { ends, codes, .. } => list_codes(ends, codes, idx) == Some(&[LONG_LIST]),
            _ => false,
        }
    }

    /// The rows of the chunk whose values are read from their records.
    pub(in crate::store) fn long_rows(&self) -> Vec<usize> {
        let has_long = match self {
            ColumnChunk::Text { codes, .. } => codes.contains(&LONG_CODE),
            ColumnChunk::TextList { codes, .. } => codes.contains(&LONG_LIST),
            _ => false,
        };
        if !has_long {
            return Vec::new();
        }
        (0..self.rows() as usize).filter(|&idx| self.is_long(idx)).collect()
    }

    /// The value of row `idx` of the chunk; `None` is null, or a value that [is long](ColumnChunk::is_long).
    pub fn get(&self, idx: usize) -> Option<ValueRef<'_>> {
        if !self.is_present(idx) {
            return None;
        }
        match self {
            ColumnChunk::Text { dictionary, codes } => {
                dictionary.get(usize::from(*codes.get(idx)?)).map(|text| ValueRef::Text(text))
            }
            ColumnChunk::Integer { values, .. } => values.get(idx).map(|value| ValueRef::Integer(*value)),
            ColumnChunk::Float { values, .. } => values.get(idx).map(|value| ValueRef::Float(*value)),
            ColumnChunk::Bool { values, .. } => Some(ValueRef::Bool(bit(values, idx))),
            ColumnChunk::TextList { dictionary, ends, codes, .. } => {
                let codes = list_codes(ends, codes, idx).filter(|codes| *codes != [LONG_LIST])?;
                Some(ValueRef::TextList(TextListRef { dictionary, codes }))
            }
            ColumnChunk::Json { .. } => Some(ValueRef::Json),
        }
    }

    /// Approximate size in memory.
    pub fn size_bytes(&self) -> usize {
        // A text's own place, and what the allocator adds to its bytes.
        let texts = |dictionary: &[String]| dictionary.iter().map(|text| text.len() + 40).sum::<usize>();
        match self {
            ColumnChunk::Text { dictionary, codes } => texts(dictionary) + codes.len() * 2,
            ColumnChunk::Integer { values, .. } => values.len() * 8,
            ColumnChunk::Float { values, .. } => values.len() * 8,
            ColumnChunk::TextList { dictionary, ends, codes, .. } => {
                texts(dictionary) + ends.len() * 4 + codes.len() * 4
            }
            ColumnChunk::Bool { present, .. } | ColumnChunk::Json { present, .. } => present.len() * 16,
        }
    }

    /// One bit for each row whose value is here and passes `keep`. A text is asked for once, however many rows have it.
    fn select(&self, keep: impl Fn(ValueRef<'_>) -> bool) -> Vec<u64> {
        match self {
            ColumnChunk::Text { dictionary, codes } => {
                let kept: Vec<bool> = dictionary.iter().map(|text| keep(ValueRef::Text(text))).collect();
                bits(codes, |code| kept.get(usize::from(*code)).copied().unwrap_or(false))
            }
            ColumnChunk::Integer { present, values } => {
                both(bits(values, |&value| keep(ValueRef::Integer(value))), present)
            }
            ColumnChunk::Float { present, values } => {
                both(bits(values, |&value| keep(ValueRef::Float(value))), present)
            }
            ColumnChunk::Bool { present, values, .. } => {
                let mask = |wanted: bool| if keep(ValueRef::Bool(wanted)) { u64::MAX } else { 0 };
                let (yes, no) = (mask(true), mask(false));
                let kept = values.iter().map(|values| values & yes | !values & no).collect();
                both(kept, present)
            }
            ColumnChunk::TextList { .. } | ColumnChunk::Json { .. } => {
                let rows: Vec<usize> = (0..self.rows() as usize).collect();
                bits(&rows, |&idx| self.get(idx).is_some_and(&keep))
            }
        }
    }

    /// One bit for each row that has a value.
    fn present(&self) -> Vec<u64> {
        match self {
            ColumnChunk::Text { codes, .. } => bits(codes, |&code| code != NULL_CODE),
            ColumnChunk::Integer { present, .. }
            | ColumnChunk::Float { present, .. }
            | ColumnChunk::Bool { present, .. }
            | ColumnChunk::TextList { present, .. }
            | ColumnChunk::Json { present, .. } => present.clone(),
        }
    }
}

/// The codes of row `idx` of a chunk of lists.
fn list_codes<'a>(ends: &[u32], codes: &'a [u32], idx: usize) -> Option<&'a [u32]> {
    let start = idx.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&end| end as usize);
    codes.get(start..*ends.get(idx)? as usize)
}

/// One bit for each value that passes `keep`.
fn bits<T>(values: &[T], keep: impl Fn(&T) -> bool) -> Vec<u64> {
    let word = |values: &[T]| values.iter().enumerate().fold(0, |word, (i, value)| word | u64::from(keep(value)) << i);
    values.chunks(64).map(word).collect()
}

/// The bits that are set in both.
fn both(mut words: Vec<u64>, others: &[u64]) -> Vec<u64> {
    words.iter_mut().zip(others).for_each(|(word, other)| *word &= other);
    words
}

#[cfg(test)]
mod store_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{FieldType, Value};
    use std::sync::Arc;

    fn chunk(field_type: FieldType, values: &[Value]) -> Option<ColumnChunk> {
        let values: Vec<Option<&Value>> = values.iter().map(|value| (*value != Value::Null).then_some(value)).collect();
        ColumnChunk::build(field_type, &values)
    }

    #[test]
    fn values_come_back_by_row() {
        let cases: [(FieldType, Vec<Value>); 5] = [
            (FieldType::Text, vec!["a".into(), Value::Null, "b".into(), "a".into()]),
            (FieldType::Integer, vec![Value::Null, Value::Integer(i64::MIN), Value::Integer(0)]),
            (FieldType::Float, vec![Value::Float(-0.5), Value::Null]),
            (FieldType::Bool, vec![true.into(), Value::Null, false.into()]),
            (FieldType::TextList, vec![vec!["x", "y"].into(), Value::Null, Value::TextList(vec![]), vec!["y"].into()]),
        ];
        for (field_type, values) in cases {
            let chunk = chunk(field_type, &values).unwrap();
            assert!(chunk.is_well_formed(values.len() as u32), "{chunk:?}");
            for (idx, value) in values.iter().enumerate() {
                let found = chunk.get(idx).map_or(Value::Null, |found| match found {
                    ValueRef::Text(text) => text.into(),
                    ValueRef::Integer(v) => Value::Integer(v),
                    ValueRef::Float(v) => Value::Float(v),
                    ValueRef::Bool(v) => Value::Bool(v),
                    ValueRef::TextList(list) => Value::TextList(list.iter().map(str::to_string).collect()),
                    ValueRef::Json => Value::Json(String::new()),
                });
                assert_eq!(found, *value, "{field_type:?} row {idx}");
            }
            assert_eq!(chunk.get(values.len()), None);
        }
    }

    #[test]
    fn golden_chunks() {
        use crate::catalog::golden_tests::golden;
        let of = |field_type, values: &[Value]| chunk(field_type, values).unwrap();
        golden(of(FieldType::Text, &["a".into(), Value::Null, "b".into(), "a".into()]), "0002016101620400fbffff0100");
        golden(of(FieldType::Integer, &[Value::Null, Value::Integer(-300)]), "0101020200fb5702");
        golden(of(FieldType::Float, &[Value::Float(-2.0), Value::Null]), "0201010200000000000000c00000000000000000");
        golden(of(FieldType::Bool, &[true.into(), Value::Null, false.into()]), "030105010103");
        golden(
            of(FieldType::TextList, &[vec!["x", "y"].into(), Value::Null, vec!["y"].into()]),
            "04010502017801790302020303000101",
        );
        golden(of(FieldType::Json, &[Value::Null, Value::Json("{}".to_string())]), "05010202");
    }

    #[test]
    fn an_empty_chunk_is_not_kept() {
        assert_eq!(chunk(FieldType::Integer, &[Value::Null, Value::Null]), None);
        assert_eq!(chunk(FieldType::Text, &[Value::Null]), None);
    }

    #[test]
    fn malformed_chunks_are_seen() {
        let good = chunk(FieldType::Text, &["a".into(), "b".into()]).unwrap();
        assert!(good.is_well_formed(2) && !good.is_well_formed(3));
        let outside = ColumnChunk::Text { dictionary: vec!["a".into()], codes: vec![0, 1] };
        assert!(!outside.is_well_formed(2));
        let backwards =
            ColumnChunk::TextList { present: vec![3], dictionary: vec!["a".into()], ends: vec![2, 1], codes: vec![0] };
        assert!(!backwards.is_well_formed(2));
        assert_eq!(backwards.get(1), None);
    }

    #[test]
    fn integers_widen_in_a_float_column() {
        let old = chunk(FieldType::Integer, &vec![Value::Integer(2); CHUNK_ROWS as usize]).map(Arc::new);
        let new = chunk(FieldType::Float, &[Value::Float(2.5), Value::Integer(3), Value::Null]).map(Arc::new);
        let column = Column::new(FieldType::Float, CHUNK_ROWS + 3, vec![old, new]);
        let is = |row, wanted| column.with(row, |value| value == Some(ValueRef::Float(wanted))).unwrap();
        assert!(is(7, 2.0) && is(CHUNK_ROWS + 1, 3.0));
        let rows = column.select(|value| matches!(value, ValueRef::Float(v) if v > 2.2)).unwrap();
        assert_eq!(rows.iter().collect::<Vec<_>>(), [CHUNK_ROWS, CHUNK_ROWS + 1]);
        assert_eq!(column.present().unwrap().len(), u64::from(CHUNK_ROWS) + 2);
    }

    #[test]
    fn a_large_chunk_leaves_its_long_values_to_the_records() {
        let text = |idx: usize, length: usize| Value::from(format!("{idx:0length$}"));
        // Just small enough, it keeps them all, whatever their length.
        let small: Vec<Value> = (0..60).map(|idx| text(idx, 1_000)).collect();
        let small = chunk(FieldType::Text, &small).unwrap();
        assert!(!small.leaves_long() && small.size_bytes() < CHUNK_BYTES + CHUNK_BYTES / 8);
        // A text that all rows share is there once.
        let shared = chunk(FieldType::Text, &vec![text(1, CHUNK_BYTES / 2); 4_096]).unwrap();
        assert!(!shared.leaves_long());
        // Short and long ones, nulls among them, in either order.
        let mut values: Vec<Value> = (0..200).map(|idx| text(idx, if idx % 3 == 0 { 9 } else { 1_000 })).collect();
        values.push(Value::Null);
        for _ in 0..2 {
            values.reverse();
            let large = chunk(FieldType::Text, &values).unwrap();
            assert!(large.is_well_formed(201) && large.leaves_long() && large.size_bytes() < CHUNK_BYTES);
            for (idx, value) in values.iter().enumerate() {
                let Value::Text(text) = value else {
                    assert!(!large.is_present(idx) && !large.is_long(idx));
                    continue;
                };
                assert!(large.is_present(idx));
                assert_eq!(large.is_long(idx), text.len() > LONG_BYTES, "row {idx}");
                let kept = if text.len() > LONG_BYTES { None } else { Some(ValueRef::Text(text)) };
                assert_eq!(large.get(idx), kept, "row {idx}");
            }
        }
    }

    #[test]
    fn a_large_chunk_leaves_its_long_lists_to_the_records() {
        let list = |idx: usize, items: usize| {
            Value::TextList((0..items).map(|item| format!("{idx}.{item}")).collect::<Vec<String>>())
        };
        let values: Vec<Value> = (0..1_000).map(|idx| list(idx, if idx % 2 == 0 { 1 } else { 40 })).collect();
        let large = chunk(FieldType::TextList, &values).unwrap();
        assert!(large.is_well_formed(1_000) && large.leaves_long() && large.size_bytes() < CHUNK_BYTES);
        for (idx, value) in values.iter().enumerate() {
            let Value::TextList(items) = value else { unreachable!() };
            assert_eq!((large.is_present(idx), large.is_long(idx)), (true, items.len() > 1), "row {idx}");
            if let Some(ValueRef::TextList(found)) = large.get(idx) {
                assert!(found.iter().eq(items), "row {idx}");
            }
        }
        // Many empty texts are a long list, too.
        let empty = chunk(FieldType::TextList, &[Value::TextList(vec![String::new(); CHUNK_BYTES])]).unwrap();
        assert!(empty.is_long(0) && empty.size_bytes() < 100);
    }

    #[test]
    fn a_text_is_asked_for_once() {
        let values = vec![Value::from("same"); 100];
        let column = Column::new(FieldType::Text, 100, vec![chunk(FieldType::Text, &values).map(Arc::new)]);
        let asked = std::sync::atomic::AtomicU32::new(0);
        let rows = column.select(|_| {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            true
        });
        let rows = rows.unwrap();
        assert_eq!((asked.into_inner(), rows.len()), (1, 100));
    }
}
