//! All values of one field of a collection, whatever part of them is in memory.
//!
//! Owns [`Column`]. Its chunks are held up to a bound; those beyond it, and values that a chunk leaves to the records,
//! are fetched from a [`ColumnSource`] while they are looked at. It knows no file.

use super::{CHUNK_ROWS, ColumnChunk, TextListRef, ValueRef, set_bit};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Control, FieldType, RowSet, Value};
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// Chunks that one task looks at, at least.
const TASK_CHUNKS: usize = 16;

/// Bytes of chunks that a column holds on to.
const HELD_BYTES: usize = 128 << 20;

/// Where a column finds what it does not hold.
pub(in crate::store) trait ColumnSource: Send + Sync {
    /// A full chunk; `None`: all null.
    fn chunk(&self, chunk: u32) -> Result<Option<Arc<ColumnChunk>>>;

    /// The value that the record of this row has.
    fn value(&self, row: u32) -> Result<Option<Value>>;
}

/// A chunk of a column.
#[derive(Debug, Clone)]
enum Slot {
    /// It is here; `None`: all null.
    Held(Option<Arc<ColumnChunk>>),
    /// It is fetched when it is looked at.
    Fetched,
}

/// All values of one field, over rows `0..rows()` of a collection, dead rows included.
#[derive(Clone)]
pub struct Column {
    field_type: FieldType,
    rows: u32,
    /// Chunk `i` holds the rows from `i * CHUNK_ROWS`.
    chunks: Vec<Slot>,
    source: Option<Arc<dyn ColumnSource>>,
}

impl Column {
    /// Puts chunks together that leave nothing to the records; chunk `i` starts at row `i * CHUNK_ROWS`.
    #[cfg_attr(not(test), allow(dead_code, reason = "stored columns have a source"))]
    pub(crate) fn new(field_type: FieldType, rows: u32, chunks: Vec<Option<Arc<ColumnChunk>>>) -> Self {
        Column { field_type, rows, chunks: chunks.into_iter().map(Slot::Held).collect(), source: None }
    }

    /// Puts chunks together; what they leave to the records is asked of `source`.
    pub(in crate::store) fn with_source(
        field_type: FieldType,
        rows: u32,
        chunks: Vec<Option<Arc<ColumnChunk>>>,
        source: Arc<dyn ColumnSource>,
    ) -> Self {
        Column { source: Some(source), ..Column::new(field_type, rows, chunks) }
    }

    /// A column of `rows` rows: the full chunks that `source` has, as many as may be held, and `tail` behind them.
    ///
    /// # Errors
    /// What `source` answers; [`ErrorKind::Cancelled`] once `control` says so.
    pub(in crate::store) fn load(
        field_type: FieldType,
        rows: u32,
        tail: Option<ColumnChunk>,
        source: Arc<dyn ColumnSource>,
        control: &Control,
    ) -> Result<Self> {
        let full = rows / CHUNK_ROWS;
        let mut chunks = Vec::with_capacity(full as usize + 1);
        let mut bytes = 0;
        for chunk in 0..full {
            if bytes > HELD_BYTES {
                chunks.push(Slot::Fetched);
                continue;
            }
            control.checkpoint()?;
            let found = source.chunk(chunk)?;
            bytes += found.as_ref().map_or(0, |chunk| chunk.size_bytes());
            chunks.push(Slot::Held(found));
        }
        if !rows.is_multiple_of(CHUNK_ROWS) {
            chunks.push(Slot::Held(tail.map(Arc::new)));
        }
        Ok(Column { field_type, rows, chunks, source: Some(source) })
    }

    /// The field's type. Chunks written before an integer field widened hold integers still, and those from before a
    /// field's first list of something may be of another kind of list; [`Column::with`] and [`Column::select`] hand
    /// them out as the type has them.
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
            // Lists of nothing from before the field's first list of something.
            (FieldType::Json, ValueRef::TextList(_)) => ValueRef::Json,
            (FieldType::TextList, ValueRef::Json) => ValueRef::TextList(TextListRef { dictionary: &[], codes: &[] }),
            (_, value) => value,
        }
    }

    fn source(&self) -> Result<&Arc<dyn ColumnSource>> {
        let gone = || Error::new(ErrorKind::Corrupt, "a column leaves values to records that nobody knows");
        self.source.as_ref().ok_or_else(gone)
    }

    fn chunk(&self, chunk: u32) -> Result<Option<Arc<ColumnChunk>>> {
        match self.chunks.get(chunk as usize) {
            Some(Slot::Held(chunk)) => Ok(chunk.clone()),
            Some(Slot::Fetched) => self.source()?.chunk(chunk),
            None => Ok(None),
        }
    }

    /// Calls `look` with the value of `row`; `None` is null.
    ///
    /// # Errors
    /// Where a chunk or a record cannot be read.
    pub fn with<T>(&self, row: u32, look: impl FnOnce(Option<ValueRef<'_>>) -> T) -> Result<T> {
        let Some(chunk) = self.chunk(row / CHUNK_ROWS)? else { return Ok(look(None)) };
        let idx = (row % CHUNK_ROWS) as usize;
        if chunk.is_long(idx) {
            return self.with_long(row, look);
        }
        Ok(look(chunk.get(idx).map(|value| self.widen(value))))
    }

    /// As [`Column::with`], of a value that its chunk leaves to the record.
    fn with_long<T>(&self, row: u32, look: impl FnOnce(Option<ValueRef<'_>>) -> T) -> Result<T> {
        Ok(match self.source()?.value(row)? {
            Some(Value::Text(text)) => look(Some(ValueRef::Text(&text))),
            Some(Value::TextList(items)) => {
                let codes: Vec<u32> = (0..items.len() as u32).collect();
                look(Some(ValueRef::TextList(TextListRef { dictionary: &items, codes: &codes })))
            }
            _ => look(None),
        })
    }

    /// Rows whose value is not null and passes `keep`, dead rows included. Equal texts of a chunk are asked for once.
    /// Uses the current rayon pool.
    ///
    /// # Errors
    /// Where a chunk or a record cannot be read.
    pub fn select(&self, keep: impl Fn(ValueRef<'_>) -> bool + Sync) -> Result<RowSet> {
        self.select_until(keep, &Control::default())
    }

    /// As [`Column::select`], until `control` says to stop.
    pub(crate) fn select_until(&self, keep: impl Fn(ValueRef<'_>) -> bool + Sync, control: &Control) -> Result<RowSet> {
        self.rows_of(control, |first_row, chunk| {
            let mut words = chunk.select(|value| keep(self.widen(value)));
            for idx in chunk.long_rows() {
                control.checkpoint()?;
                if self.with_long(first_row + idx as u32, |value| value.is_some_and(&keep))? {
                    set_bit(&mut words, idx);
                }
            }
            Ok(words)
        })
    }

    /// Rows that have a value, dead rows included: the complement, within live rows, is `is null`.
    ///
    /// # Errors
    /// Where a chunk cannot be read.
    pub fn present(&self) -> Result<RowSet> {
        self.present_until(&Control::default())
    }

    /// As [`Column::present`], until `control` says to stop.
    pub(crate) fn present_until(&self, control: &Control) -> Result<RowSet> {
        self.rows_of(control, |_, chunk| Ok(chunk.present()))
    }

    /// The rows that `select` sets a bit for, chunk by chunk; it is told the first row of each.
    fn rows_of(
        &self,
        control: &Control,
        select: impl Fn(u32, &ColumnChunk) -> Result<Vec<u64>> + Sync,
    ) -> Result<RowSet> {
        let words = |chunk_idx: u32| -> Result<Vec<u64>> {
            control.checkpoint()?;
            let chunk = self.chunk(chunk_idx)?;
            let selected = chunk.map(|chunk| select(chunk_idx * CHUNK_ROWS, &chunk)).transpose()?;
            let mut words = selected.unwrap_or_default();
            words.resize(CHUNK_ROWS as usize / 64, 0);
            Ok(words)
        };
        let chunks = (0..self.chunks.len() as u32).into_par_iter().with_min_len(TASK_CHUNKS);
        let words: Vec<Vec<u64>> = chunks.map(words).collect::<Result<_>>()?;
        Ok(RowSet::from_words(&words.concat()))
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").field("field_type", &self.field_type).field("rows", &self.rows).finish_non_exhaustive()
    }
}
