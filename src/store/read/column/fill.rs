//! The rows of a column chunk on their way into it.
//!
//! Owns [`ColumnFiller`], which waits until a chunk is full and then builds it for every field. Rows of much metadata
//! do not wait in memory: they are read back from their records, and fields whose chunks do not fit together are built
//! one after the other, so that what a batch (or `check`) holds does not grow with what records hold.

use super::build::ChunkBuilder;
use super::{CHUNK_ROWS, ColumnChunk};
use crate::catalog::CatalogRead;
use crate::error::Result;
use crate::store::read::record::RECORDS;
use crate::types::{CollectionDef, Value};
use std::collections::BTreeMap;

/// Bytes of values that wait at most; in this crate's own tests it is small, so that they read rows back.
const WAITING_BYTES: usize = if cfg!(test) { 16 << 10 } else { 16 << 20 };
/// Bytes of chunks that are built at one time, about.
const BUILT_BYTES: usize = if cfg!(test) { 256 << 10 } else { 64 << 20 };

/// Collects the values of new rows until a column chunk is full.
#[derive(Debug)]
pub(in crate::store) struct ColumnFiller {
    /// Row of the first values that wait; those of the chunk before it are in the catalog.
    first_row: u32,
    /// Values by field of consecutive rows.
    rows: Vec<BTreeMap<String, Value>>,
    bytes: usize,
}

impl ColumnFiller {
    /// Nothing yet; the next values are of row `first_row`.
    pub(in crate::store) fn new(first_row: u32) -> Self {
        ColumnFiller { first_row, rows: Vec::new(), bytes: 0 }
    }

    fn next_row(&self) -> u32 {
        self.first_row + self.rows.len() as u32
    }

    /// Whether the next row is the last of a chunk, of which some are read back from the catalog.
    pub(in crate::store) fn reads_back(&self) -> bool {
        let next_row = self.next_row();
        (next_row + 1).is_multiple_of(CHUNK_ROWS) && self.first_row > next_row / CHUNK_ROWS * CHUNK_ROWS
    }

    /// Takes the values of the next row, and hands the chunk of each field (with its number; `None`: all null) to
    /// `each` when this row was the last of one. Rows that do not wait here are read from `catalog`.
    pub(in crate::store) fn push(
        &mut self,
        catalog: &impl CatalogRead,
        def: &CollectionDef,
        fields: BTreeMap<String, Value>,
        each: impl FnMut(&str, u32, Option<ColumnChunk>) -> Result<()>,
    ) -> Result<()> {
        self.bytes += values_bytes(&fields);
        self.rows.push(fields);
        let next_row = self.next_row();
        if next_row.is_multiple_of(CHUNK_ROWS) {
            let built = self.build(catalog, def, next_row - CHUNK_ROWS, each);
            self.forget();
            built?;
        } else if self.bytes > WAITING_BYTES {
            self.forget();
        }
        Ok(())
    }

    /// Passes over rows, so that the next values are of `row`; chunks of these rows are not built.
    pub(in crate::store) fn skip_to(&mut self, row: u32) {
        self.forget();
        self.first_row = row;
    }

    fn forget(&mut self) {
        self.first_row = self.next_row();
        self.rows.clear();
        self.bytes = 0;
    }

    /// Builds the chunk of each field, as many at a time as fit.
    fn build(
        &self,
        catalog: &impl CatalogRead,
        def: &CollectionDef,
        chunk_row: u32,
        mut each: impl FnMut(&str, u32, Option<ColumnChunk>) -> Result<()>,
    ) -> Result<()> {
        let mut left: Vec<_> = def.fields.iter().collect();
        while !left.is_empty() {
            let mut builders: Vec<ChunkBuilder> =
                left.iter().map(|(_, field_type)| ChunkBuilder::new(**field_type)).collect();
            let mut take = |row: &BTreeMap<String, Value>| {
                for ((name, _), builder) in left.iter().zip(&mut builders) {
                    builder.push(row.get(*name).filter(|value| **value != Value::Null));
                }
                while builders.len() > 1 && builders.iter().map(ChunkBuilder::bytes).sum::<usize>() > BUILT_BYTES {
                    builders.truncate(builders.len().div_ceil(2));
                }
            };
            if self.first_row > chunk_row {
                catalog.for_each(&RECORDS, (def.id, chunk_row)..(def.id, self.first_row), |_, stored| {
                    take(&stored.into_fields());
                    Ok(())
                })?;
            }
            self.rows.iter().for_each(take);
            let done = left.drain(..builders.len());
            for ((name, _), builder) in done.zip(builders) {
                each(name, chunk_row / CHUNK_ROWS, builder.finish())?;
            }
        }
        Ok(())
    }
}

/// About what the values of a row take in memory.
fn values_bytes(fields: &BTreeMap<String, Value>) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::TextList(items) => items.iter().map(|text| text.len() + size_of::<String>()).sum(),
        _ => 0,
    };
    fields.iter().map(|(name, field)| name.len() + value(field) + 64).sum()
}
