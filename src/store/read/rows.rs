//! Row sets in the catalog, in chunks of 65,536 rows: live rows of a collection, absent rows of a view.
//!
//! A commit rewrites only the chunks it touched. Rows within a chunk are stored relative to nothing: each chunk is a
//! row set of its own whose rows must lie in the chunk.
//!
//! It also holds what a collection's definition claims against what its catalog can hold, before anything is sized by
//! it. A store may come from anybody, and its checksums say nothing about its numbers; every row has a record, and
//! records take room in the file. Invariant: whoever opened a collection or a view of it can go through its rows by
//! number in a time that the store's size bounds.

use crate::catalog::tables::ABSENT;
use crate::catalog::{CATALOG_FILE, CatalogRead, KeyBytes, Table, WriteTransaction};
use crate::error::{Damage, Error, Result};
use crate::store::read::record::RECORDS;
use crate::types::limits::DIMENSION;
use crate::types::{CollectionDef, RowSet, ViewDef};
use std::collections::BTreeSet;

/// Rows of one chunk.
pub(in crate::store) const SET_CHUNK_ROWS: u32 = 65_536;

/// Reads the set of `id` in `table`; no row of it may be `rows` or more.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where a chunk is not a row set or holds rows it cannot have.
pub(in crate::store) fn read_row_set<I: Copy>(
    catalog: &impl CatalogRead,
    table: &Table<(I, u32), Vec<u8>>,
    id: I,
    rows: u32,
) -> Result<RowSet>
where
    (I, u32): KeyBytes,
{
    let mut set = RowSet::new();
    catalog.for_each(table, (id, 0)..=(id, u32::MAX), |(_, chunk), bytes| {
        let start = u64::from(chunk) * u64::from(SET_CHUNK_ROWS);
        let end = (start + u64::from(SET_CHUNK_ROWS)).min(u64::from(rows));
        let found = RowSet::decode(&bytes).ok_or_else(|| damaged(table.name(), chunk, "a row set", "other bytes"))?;
        let inside = if start >= end { 0 } else { found.count_range(start as u32..end as u32) };
        if inside != found.len() {
            let expected = format!("rows {start}..{end} only");
            return Err(damaged(table.name(), chunk, &expected, "others too"));
        }
        set = set.or(&found);
        Ok(())
    })?;
    Ok(set)
}

/// Live rows that have a vector in `view`.
pub(in crate::store) fn view_present(catalog: &impl CatalogRead, view: &ViewDef, live: &RowSet) -> Result<RowSet> {
    let absent = read_row_set(catalog, &ABSENT, view.id, view.rows)?;
    Ok(live.and(&RowSet::from_range(0..view.rows)).and_not(&absent))
}

fn damaged(table: &str, chunk: u32, expected: &str, found: &str) -> Error {
    Error::corrupt(Damage {
        file: CATALOG_FILE.into(),
        offset: 0,
        what: format!("table {table}, chunk {chunk}: rows do not fit"),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// What an entry takes of the catalog's file at least: two ends, and the checksum of its value.
const LEAST_ENTRY_BYTES: u64 = 16;

/// Entries that the catalog's file has room for.
pub(in crate::store) fn most_entries(catalog: &impl CatalogRead) -> u64 {
    catalog.raw_bytes() / LEAST_ENTRY_BYTES
}

/// Refuses a collection that says it has more than there can be.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where rows, views or dimensions are beyond what is possible.
pub(in crate::store) fn hold_claims(catalog: &impl CatalogRead, def: &CollectionDef) -> Result<()> {
    let most = catalog.count(&RECORDS)?.min(most_entries(catalog));
    if u64::from(def.rows) > most {
        return refused(format!("collection {}: number of rows", def.name), most, def.rows.into());
    }
    def.views.iter().try_for_each(|view| hold_view(view, def.rows))
}

/// Refuses a collection that counts other live rows than there are: what is counted up and down must fit.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
pub(in crate::store) fn hold_live(def: &CollectionDef, live: &RowSet) -> Result<()> {
    if live.len() == u64::from(def.live) {
        return Ok(());
    }
    let (what, expected) = (format!("collection {}: number of live rows", def.name), def.live.to_string());
    Err(Error::corrupt(Damage { file: CATALOG_FILE.into(), offset: 0, what, expected, found: live.len().to_string() }))
}

/// Refuses a view that says it has more than `rows` rows, or a dimension that none can have.
///
/// # Errors
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
pub(in crate::store) fn hold_view(view: &ViewDef, rows: u32) -> Result<()> {
    if view.rows > rows {
        return refused(format!("view {}: number of rows", view.name), rows.into(), view.rows.into());
    }
    match view.dimension {
        Some(dimension) if dimension == 0 || dimension as usize > DIMENSION => {
            refused(format!("view {}: dimension", view.name), DIMENSION as u64, dimension.into())
        }
        _ => Ok(()),
    }
}

fn refused(what: String, most: u64, found: u64) -> Result<()> {
    let (expected, found) = (format!("at most {most}"), found.to_string());
    Err(Error::corrupt(Damage { file: CATALOG_FILE.into(), offset: 0, what, expected, found }))
}

/// A row set that knows which of its chunks have changed.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct TrackedRows {
    rows: RowSet,
    dirty: BTreeSet<u32>,
}

impl TrackedRows {
    /// A set as it was read.
    pub(in crate::store) fn new(rows: RowSet) -> Self {
        TrackedRows { rows, dirty: BTreeSet::new() }
    }

    /// The set.
    pub(in crate::store) fn rows(&self) -> &RowSet {
        &self.rows
    }

    /// Adds a row.
    pub(in crate::store) fn insert(&mut self, row: u32) {
        if self.rows.insert(row) {
            self.dirty.insert(row / SET_CHUNK_ROWS);
        }
    }

    /// Takes a row out.
    pub(in crate::store) fn remove(&mut self, row: u32) {
        if self.rows.remove(row) {
            self.dirty.insert(row / SET_CHUNK_ROWS);
        }
    }

    /// Becomes another set; all chunks of either count as changed.
    pub(in crate::store) fn replace(&mut self, rows: RowSet) {
        let chunks = |rows: &RowSet| {
            let mut chunks: Vec<u32> = rows.iter().map(|row| row / SET_CHUNK_ROWS).collect();
            chunks.dedup();
            chunks
        };
        self.dirty.extend(chunks(&self.rows));
        self.dirty.extend(chunks(&rows));
        self.rows = rows;
    }

    /// Writes the chunks that changed.
    pub(in crate::store) fn write<I: Copy>(
        &mut self,
        tx: &WriteTransaction,
        table: &Table<(I, u32), Vec<u8>>,
        id: I,
    ) -> Result<()>
    where
        (I, u32): KeyBytes,
    {
        for &chunk in &self.dirty {
            let start = chunk * SET_CHUNK_ROWS;
            let rows: RowSet = self.rows.iter_range(start..start.saturating_add(SET_CHUNK_ROWS)).collect();
            if rows.is_empty() {
                tx.remove(table, &(id, chunk))?;
            } else {
                // Every commit writes the chunks it touches: runs of rows take a few bytes in place of some thousand.
                tx.put(table, &(id, chunk), &rows.packed().encode())?;
            }
        }
        self.dirty.clear();
        Ok(())
    }
}
