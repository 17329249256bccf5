//! A column chunk put together row by row.
//!
//! Owns which values a chunk leaves to the records: those of more than `LONG_BYTES`, in a chunk that would have more
//! than `CHUNK_BYTES` with them. Both are asked of all its values, so the chunk is the same however they come; what a
//! builder holds at one time is bounded.

use super::{CHUNK_BYTES, ColumnChunk, LONG_BYTES, LONG_CODE, LONG_LIST, NULL_CODE, bit, set_bit};
use crate::types::{FieldType, Value};
use std::collections::HashMap;

/// Bytes that a code and a text's length take at most, about.
const CODE_BYTES: usize = 8;

/// The values of one field in consecutive rows, packed as they come.
#[derive(Debug)]
pub(in crate::store) struct ChunkBuilder {
    kept: Kept,
    rows: u32,
    present: Vec<u64>,
    /// About how many bytes it holds.
    bytes: usize,
    /// Whether long values are left to the records.
    leaves_long: bool,
}

#[derive(Debug)]
enum Kept {
    Text { dictionary: HashMap<String, u32>, codes: Vec<u16> },
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<u64>),
    TextList { dictionary: HashMap<String, u32>, ends: Vec<u32>, codes: Vec<u32> },
    Json,
}

impl ColumnChunk {
    /// Packs the values of at most [`CHUNK_ROWS`] rows; `None` stands for null.
    ///
    /// Values of another type than `field_type` (which validation keeps out) count as null, but for integers in a
    /// float column, which widen. `None` comes back where no row has a value.
    pub fn build(field_type: FieldType, values: &[Option<&Value>]) -> Option<ColumnChunk> {
        let mut builder = ChunkBuilder::new(field_type);
        values.iter().for_each(|value| builder.push(*value));
        builder.finish()
    }

    /// A chunk that values are pushed into row by row.
    pub(in crate::store) fn builder(field_type: FieldType) -> ChunkBuilder {
        ChunkBuilder::new(field_type)
    }
}

impl ChunkBuilder {
    /// No row yet.
    pub(super) fn new(field_type: FieldType) -> Self {
        let kept = match field_type {
            FieldType::Text => Kept::Text { dictionary: HashMap::new(), codes: Vec::new() },
            FieldType::Integer => Kept::Integer(Vec::new()),
            FieldType::Float => Kept::Float(Vec::new()),
            FieldType::Bool => Kept::Bool(Vec::new()),
            FieldType::TextList => Kept::TextList { dictionary: HashMap::new(), ends: Vec::new(), codes: Vec::new() },
            FieldType::Json => Kept::Json,
        };
        ChunkBuilder { kept, rows: 0, present: Vec::new(), bytes: 0, leaves_long: false }
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of the next row; `None` is null. A value of another type counts as null, but for integers among
    /// floats.
    pub(in crate::store) fn push(&mut self, value: Option<&Value>) {
        let idx = self.rows as usize;
        self.rows += 1;
        self.present.resize(self.rows.div_ceil(64) as usize, 0);
        let mut added = 4;
        let is_present = match (&mut self.kept, value) {
            (Kept::Text { dictionary, codes }, Some(Value::Text(text))) => {
                let is_long = self.leaves_long && text.len() > LONG_BYTES;
                // A chunk has fewer rows than there are codes.
                codes.push(if is_long { LONG_CODE } else { code(dictionary, text, &mut added) as u16 });
                true
            }
            (Kept::Text { codes, .. }, _) => {
                codes.push(NULL_CODE);
                false
            }
            (Kept::Integer(values), value) => {
                let found = if let Some(Value::Integer(value)) = value { Some(*value) } else { None };
                values.push(found.unwrap_or(0));
                found.is_some()
            }
            (Kept::Float(values), value) => {
                let found = match value {
                    Some(Value::Float(value)) => Some(*value),
                    Some(Value::Integer(value)) => Some(*value as f64),
                    _ => None,
                };
                values.push(found.unwrap_or(0.0));
                found.is_some()
            }
            (Kept::Bool(values), value) => {
                values.resize(self.present.len(), 0);
                if let Some(Value::Bool(true)) = value {
                    set_bit(values, idx);
                }
                matches!(value, Some(Value::Bool(_)))
            }
            (Kept::TextList { dictionary, ends, codes }, value) => {
                let items: Option<&[String]> = match value {
                    Some(Value::TextList(items)) => Some(items),
                    // A list of nulls is there, and has no text.
                    Some(value) if value.is_empty_list() => Some(&[]),
                    _ => None,
                };
                match items {
                    Some(items) if self.leaves_long && list_bytes(items.iter().map(String::len)) > LONG_BYTES => {
                        codes.push(LONG_LIST);
                    }
                    Some(items) => {
                        added += items.len() * CODE_BYTES;
                        codes.extend(items.iter().map(|item| code(dictionary, item, &mut added)));
                    }
                    None => {}
                }
                ends.push(codes.len() as u32);
                items.is_some()
            }
            (Kept::Json, value) => value.is_some_and(|value| *value != Value::Null),
        };
        if is_present {
            set_bit(&mut self.present, idx);
        }
        self.bytes += added;
        if self.bytes > CHUNK_BYTES && !self.leaves_long {
            self.leave_long();
        }
    }

    /// Takes the long values out that came before the chunk was known to be large.
    fn leave_long(&mut self) {
        self.leaves_long = true;
        match &mut self.kept {
            Kept::Text { dictionary, codes } => {
                let texts = std::mem::take(dictionary);
                let new = renumbered(texts, dictionary, |text| text.len() <= LONG_BYTES);
                for slot in codes.iter_mut().filter(|code| **code != NULL_CODE) {
                    *slot = new.get(usize::from(*slot)).copied().flatten().map_or(LONG_CODE, |code| code as u16);
                }
                self.bytes = codes.len() * CODE_BYTES + dictionary_bytes(dictionary);
            }
            Kept::TextList { dictionary, ends, codes } => {
                let old = std::mem::take(dictionary);
                let mut lengths = vec![0; old.len()];
                for (text, &code) in &old {
                    if let Some(slot) = lengths.get_mut(code as usize) {
                        *slot = text.len();
                    }
                }
                let (mut start, mut kept) = (0, Vec::new());
                for end in ends.iter_mut() {
                    let row = codes.get(start..*end as usize).unwrap_or_default();
                    start = *end as usize;
                    let length = |code: &u32| lengths.get(*code as usize).copied().unwrap_or(0);
                    if list_bytes(row.iter().map(length)) > LONG_BYTES {
                        kept.push(LONG_LIST);
                    } else {
                        kept.extend_from_slice(row);
                    }
                    *end = kept.len() as u32;
                }
                let mut is_used = vec![false; old.len()];
                for &code in &kept {
                    if let Some(slot) = is_used.get_mut(code as usize) {
                        *slot = true;
                    }
                }
                let code_of: HashMap<String, u32> =
                    old.into_iter().filter(|(_, code)| is_used.get(*code as usize).copied().unwrap_or(false)).collect();
                let new = renumbered(code_of, dictionary, |_| true);
                for slot in kept.iter_mut().filter(|code| **code != LONG_LIST) {
                    *slot = new.get(*slot as usize).copied().flatten().unwrap_or(LONG_LIST);
                }
                *codes = kept;
                self.bytes = (ends.len() + codes.len()) * CODE_BYTES + dictionary_bytes(dictionary);
            }
            // Rows of other types are a few bytes each.
            _ => {}
        }
    }

    /// The chunk; `None` where no row has a value.
    pub(in crate::store) fn finish(self) -> Option<ColumnChunk> {
        let (present, rows) = (self.present, self.rows);
        if !(0..rows as usize).any(|idx| bit(&present, idx)) {
            return None;
        }
        Some(match self.kept {
            Kept::Text { dictionary, codes } => ColumnChunk::Text { dictionary: in_order(dictionary), codes },
            Kept::Integer(values) => ColumnChunk::Integer { present, values },
            Kept::Float(values) => ColumnChunk::Float { present, values },
            Kept::Bool(values) => ColumnChunk::Bool { present, values, rows },
            Kept::TextList { dictionary, ends, codes } => {
                ColumnChunk::TextList { present, dictionary: in_order(dictionary), ends, codes }
            }
            Kept::Json => ColumnChunk::Json { present, rows },
        })
    }
}

/// The code of a text, a new one where it comes for the first time; `added` grows by what that takes.
fn code(dictionary: &mut HashMap<String, u32>, text: &str, added: &mut usize) -> u32 {
    if let Some(&code) = dictionary.get(text) {
        return code;
    }
    let code = dictionary.len() as u32;
    dictionary.insert(text.to_string(), code);
    *added += text.len() + CODE_BYTES;
    code
}

/// What a list takes that shares no text with others.
fn list_bytes(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.map(|length| length + CODE_BYTES).sum()
}

fn dictionary_bytes(dictionary: &HashMap<String, u32>) -> usize {
    list_bytes(dictionary.keys().map(String::len))
}

/// Texts in the order of their codes.
fn in_order(dictionary: HashMap<String, u32>) -> Vec<String> {
    let mut texts = vec![String::new(); dictionary.len()];
    for (text, code) in dictionary {
        if let Some(slot) = texts.get_mut(code as usize) {
            *slot = text;
        }
    }
    texts
}

/// Moves the texts that are kept to `new`, under codes without gaps in the same order; answers with the new code of
/// each old one.
fn renumbered(
    old: HashMap<String, u32>,
    new: &mut HashMap<String, u32>,
    keep: impl Fn(&str) -> bool,
) -> Vec<Option<u32>> {
    let count = old.values().max().map_or(0, |&code| code as usize + 1);
    let mut texts: Vec<Option<String>> = vec![None; count];
    for (text, code) in old {
        if let Some(slot) = texts.get_mut(code as usize) {
            *slot = Some(text);
        }
    }
    let mut codes = vec![None; count];
    for (slot, text) in codes.iter_mut().zip(texts) {
        if let Some(text) = text.filter(|text| keep(text)) {
            let code = new.len() as u32;
            *slot = Some(code);
            new.insert(text, code);
        }
    }
    codes
}
