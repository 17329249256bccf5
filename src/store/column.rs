//! Metadata as typed columns over row numbers: what filters read.
//!
//! Owns the chunk format ([`ColumnChunk`], [`CHUNK_ROWS`] rows each) and [`Column`], a field's chunks put
//! together. A column is a copy: the catalog's records are the truth, chunks are built from them once all their
//! rows are used, and never change after that, because an update gets a new row. It knows no file.

use crate::types::{FieldType, RowSet, Value};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Rows of one column chunk.
pub const CHUNK_ROWS: u32 = 4_096;

/// Marks a row without a value among the codes of a text chunk.
const NULL_CODE: u16 = u16::MAX;

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

/// Chunks that one task looks at, at least.
const TASK_CHUNKS: usize = 16;

fn bit(words: &[u64], idx: usize) -> bool {
    words.get(idx / 64).is_some_and(|word| word >> (idx % 64) & 1 == 1)
}

fn set_bit(words: &mut [u64], idx: usize) {
    if let Some(word) = words.get_mut(idx / 64) {
        *word |= 1 << (idx % 64);
    }
}

/// Gives every distinct text a code.
#[derive(Default)]
struct Dictionary<'a> {
    codes: HashMap<&'a str, u32>,
    texts: Vec<String>,
}

impl<'a> Dictionary<'a> {
    fn code(&mut self, text: &'a str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.codes.insert(text, code);
        self.texts.push(text.to_string());
        code
    }
}

impl ColumnChunk {
    /// Packs the values of at most [`CHUNK_ROWS`] rows; `None` stands for null.
    ///
    /// Values of another type than `field_type` (which validation keeps out) count as null, but for integers in a
    /// float column, which widen. `None` comes back where no row has a value.
    pub fn build(field_type: FieldType, values: &[Option<&Value>]) -> Option<ColumnChunk> {
        let rows = values.len();
        let mut present = vec![0_u64; rows.div_ceil(64)];
        let chunk = match field_type {
            FieldType::Text => return ColumnChunk::build_text(values),
            FieldType::TextList => return ColumnChunk::build_lists(values, present),
            FieldType::Integer => {
                let mut packed = vec![0; rows];
                for (idx, slot) in packed.iter_mut().enumerate() {
                    if let Some(Some(Value::Integer(value))) = values.get(idx) {
                        *slot = *value;
                        set_bit(&mut present, idx);
                    }
                }
                ColumnChunk::Integer { present, values: packed }
            }
            FieldType::Float => {
                let mut packed = vec![0.0; rows];
                for (idx, slot) in packed.iter_mut().enumerate() {
                    match values.get(idx) {
                        Some(Some(Value::Float(value))) => *slot = *value,
                        Some(Some(Value::Integer(value))) => *slot = *value as f64,
                        _ => continue,
                    }
                    set_bit(&mut present, idx);
                }
                ColumnChunk::Float { present, values: packed }
            }
            FieldType::Bool => {
                let mut packed = vec![0_u64; rows.div_ceil(64)];
                for (idx, value) in values.iter().enumerate() {
                    if let Some(Value::Bool(value)) = value {
                        set_bit(&mut present, idx);
                        if *value {
                            set_bit(&mut packed, idx);
                        }
                    }
                }
                ColumnChunk::Bool { present, values: packed, rows: rows as u32 }
            }
            FieldType::Json => {
                for (idx, value) in values.iter().enumerate() {
                    if value.is_some_and(|value| *value != Value::Null) {
                        set_bit(&mut present, idx);
                    }
                }
                ColumnChunk::Json { present, rows: rows as u32 }
            }
        };
        (0..rows).any(|idx| chunk.is_present(idx)).then_some(chunk)
    }

    fn build_text(values: &[Option<&Value>]) -> Option<ColumnChunk> {
        let mut dictionary = Dictionary::default();
        let mut codes = vec![NULL_CODE; values.len()];
        for (slot, value) in codes.iter_mut().zip(values) {
            if let Some(Value::Text(text)) = value {
                // A chunk has fewer rows than there are codes.
                *slot = dictionary.code(text) as u16;
            }
        }
        (!dictionary.texts.is_empty()).then_some(ColumnChunk::Text { dictionary: dictionary.texts, codes })
    }

    fn build_lists(values: &[Option<&Value>], mut present: Vec<u64>) -> Option<ColumnChunk> {
        let mut dictionary = Dictionary::default();
        let (mut ends, mut codes, mut any) = (Vec::with_capacity(values.len()), Vec::new(), false);
        for (idx, value) in values.iter().enumerate() {
            if let Some(Value::TextList(items)) = value {
                set_bit(&mut present, idx);
                any = true;
                for item in items {
                    codes.push(dictionary.code(item));
                }
            }
            ends.push(codes.len() as u32);
        }
        any.then_some(ColumnChunk::TextList { present, dictionary: dictionary.texts, ends, codes })
    }

    /// Whether all parts agree on their lengths and no code points outside its dictionary: asked of every chunk
    /// that comes from disk.
    pub fn is_well_formed(&self, expected_rows: u32) -> bool {
        let rows = expected_rows as usize;
        let words = rows.div_ceil(64);
        match self {
            ColumnChunk::Text { dictionary, codes } => {
                codes.len() == rows
                    && codes.iter().all(|&code| code == NULL_CODE || usize::from(code) < dictionary.len())
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
                    && codes.iter().all(|&code| (code as usize) < dictionary.len())
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

    /// The value of row `idx` of the chunk; `None` is null.
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
                let start = idx.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&end| end as usize);
                let codes = codes.get(start..*ends.get(idx)? as usize)?;
                Some(ValueRef::TextList(TextListRef { dictionary, codes }))
            }
            ColumnChunk::Json { .. } => Some(ValueRef::Json),
        }
    }

    /// Approximate size in memory.
    pub fn size_bytes(&self) -> usize {
        let texts = |dictionary: &[String]| dictionary.iter().map(|text| text.len() + 24).sum::<usize>();
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

    /// One bit for each row whose value is not null and passes `keep`. A text is asked for once, however many rows
    /// have it.
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

/// All values of one field, over rows `0..rows()` of a collection, dead rows included.
#[derive(Debug, Clone)]
pub struct Column {
    field_type: FieldType,
    rows: u32,
    /// Chunk `i` holds the rows from `i * CHUNK_ROWS`; `None`: all null.
    chunks: Vec<Option<Arc<ColumnChunk>>>,
}

impl Column {
    /// Puts chunks together; chunk `i` starts at row `i * CHUNK_ROWS`.
    pub(crate) fn new(field_type: FieldType, rows: u32, chunks: Vec<Option<Arc<ColumnChunk>>>) -> Self {
        Column { field_type, rows, chunks }
    }

    /// The field's type. Chunks written before an integer field widened hold integers still; [`Column::get`] and
    /// [`Column::select`] hand them out as floats.
    pub fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// Rows covered, dead ones included.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    fn widen<'a>(&self, value: ValueRef<'a>) -> ValueRef<'a> {
        match (self.field_type, value) {
            (FieldType::Float, ValueRef::Integer(value)) => ValueRef::Float(value as f64),
            (_, value) => value,
        }
    }

    /// The value of `row`; `None` is null.
    pub fn get(&self, row: u32) -> Option<ValueRef<'_>> {
        let chunk = self.chunks.get((row / CHUNK_ROWS) as usize)?.as_ref()?;
        chunk.get((row % CHUNK_ROWS) as usize).map(|value| self.widen(value))
    }

    /// The chunks with the rows they cover; `None`: all null.
    pub fn chunks(&self) -> impl Iterator<Item = (Range<u32>, Option<&ColumnChunk>)> {
        let starts = (0..self.rows).step_by(CHUNK_ROWS as usize);
        starts
            .zip(&self.chunks)
            .map(|(start, chunk)| (start..self.rows.min(start.saturating_add(CHUNK_ROWS)), chunk.as_deref()))
    }

    /// Rows whose value is not null and passes `keep`, dead rows included. Equal texts of a chunk are asked for once.
    /// Uses the current rayon pool.
    pub fn select(&self, keep: impl Fn(ValueRef<'_>) -> bool + Sync) -> RowSet {
        self.rows_of(|chunk| chunk.select(|value| keep(self.widen(value))))
    }

    /// Rows that have a value, dead rows included: the complement, within live rows, is `is null`.
    pub fn present(&self) -> RowSet {
        self.rows_of(ColumnChunk::present)
    }

    /// The rows that `select` sets a bit for, chunk by chunk.
    fn rows_of(&self, select: impl Fn(&ColumnChunk) -> Vec<u64> + Sync) -> RowSet {
        let words = |chunk: &Option<Arc<ColumnChunk>>| {
            let mut words = chunk.as_ref().map(|chunk| select(chunk)).unwrap_or_default();
            words.resize(CHUNK_ROWS as usize / 64, 0);
            words
        };
        let words: Vec<Vec<u64>> = self.chunks.par_iter().with_min_len(TASK_CHUNKS).map(words).collect();
        RowSet::from_words(&words.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(column.get(7), Some(ValueRef::Float(2.0)));
        assert_eq!(column.get(CHUNK_ROWS + 1), Some(ValueRef::Float(3.0)));
        let rows = column.select(|value| matches!(value, ValueRef::Float(v) if v > 2.2));
        assert_eq!(rows.iter().collect::<Vec<_>>(), [CHUNK_ROWS, CHUNK_ROWS + 1]);
        assert_eq!(column.present().len(), u64::from(CHUNK_ROWS) + 2);
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
        assert_eq!((asked.into_inner(), rows.len()), (1, 100));
    }
}
