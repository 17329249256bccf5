//! Checking a collection: live rows, records, ids and the columns that are copies of the records.

use super::{Checker, Counts};
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::store::read::collection::StoredColumn;
use crate::store::read::column::{CHUNK_ROWS, Column, ColumnChunk, ColumnFiller, ValueRef};
use crate::store::read::core::Core;
use crate::store::read::record::{COLUMNS, RECORDS, StoredRecord};
use crate::store::read::rows::{hold_claims, read_row_set};
use crate::types::{CollectionDef, FieldType, RowSet};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn check_collection(&mut self, def: &CollectionDef, counts: &mut Counts) -> Result<()> {
        let live = read_row_set(&self.core.read, &tables::LIVE, def.id, def.rows);
        let Some(live) = self.keep(live)? else { return Ok(()) };
        counts.live_chunks += live.chunk_count();
        if live.len() != u64::from(def.live) {
            let what = format!("collection {}: number of live rows", def.name);
            self.find(what, def.live.to_string(), live.len().to_string());
        }
        let held = hold_claims(&self.core.read, def);
        self.keep(held)?;
        self.check_records(def, &live, counts)?;
        for view in &def.views {
            self.check_view(def, view, &live, counts)?;
        }
        Ok(())
    }

    fn check_records(&mut self, def: &CollectionDef, live: &RowSet, counts: &mut Counts) -> Result<()> {
        let mut keys = HashSet::new();
        let mut columns = ColumnFiller::new(0);
        let full_rows = def.rows / CHUNK_ROWS * CHUNK_ROWS;
        // After one unreadable record of a chunk the chunk's columns cannot be compared any more.
        let (mut is_whole, mut counted) = (true, 0);
        let mut row = 0;
        while row < def.rows {
            self.control.checkpoint()?;
            if row % CHUNK_ROWS == 0 {
                self.control.report("records", u64::from(row), Some(u64::from(def.rows)));
            }
            let stored = self.core.read.get(&RECORDS, &(def.id, row));
            let stored = self.keep(stored)?;
            if let Some(Some(record)) = stored {
                counts.records += 1;
                if live.contains(row) {
                    self.report.records += 1;
                    self.check_live_record(def, row, &record, &mut keys, counts)?;
                }
                self.check_types(def, row, &record);
                if is_whole && row < full_rows {
                    self.check_columns(def, &mut columns, record, counts)?;
                } else {
                    columns.skip_to(row + 1);
                }
                row += 1;
            } else {
                let end = match stored {
                    None => self.step_over(row, def.rows),
                    Some(_) => self.missing_records(def, row)?,
                };
                counts.records += u64::from(end - row);
                counts.ids += live.count_range(row..end);
                is_whole = false;
                columns.skip_to(end);
                row = end;
            }
            // `counted` chunks are behind us; of those with a record that cannot be read the columns are counted now.
            if !is_whole {
                self.count_columns(def, counted..row / CHUNK_ROWS, counts)?;
            }
            if row / CHUNK_ROWS > counted {
                is_whole = row.is_multiple_of(CHUNK_ROWS);
                counted = row / CHUNK_ROWS;
            }
        }
        Ok(())
    }

    /// Lists that there are no records from `row` on; the row of the next one, or the end.
    fn missing_records(&mut self, def: &CollectionDef, row: u32) -> Result<u32> {
        let end = self.next_number(&RECORDS, row..def.rows, |row| (def.id, row), |(_, row)| row)?;
        let rows = if end == row + 1 { format!("row {row}") } else { format!("rows {row} to {}", end - 1) };
        self.find(format!("collection {}, {rows}", def.name), "a record".to_string(), "none".to_string());
        Ok(end)
    }

    /// Chunks whose records cannot all be read are read themselves.
    fn count_columns(&mut self, def: &CollectionDef, chunks: Range<u32>, counts: &mut Counts) -> Result<()> {
        for name in def.fields.keys() {
            let mut chunk = chunks.start;
            while chunk < chunks.end {
                let stored = self.core.read_column_chunk(def.id, name, chunk);
                let stored = self.keep(stored)?;
                // What cannot be read is an entry all the same.
                counts.columns += u64::from(stored.as_ref().is_none_or(Option::is_some));
                chunk = match stored {
                    None => self.step_over(chunk, chunks.end),
                    Some(Some(_)) => chunk + 1,
                    Some(None) => {
                        let key = |chunk| (def.id, name.clone(), chunk);
                        self.next_number(&COLUMNS, chunk..chunks.end, key, |(_, _, chunk)| chunk)?
                    }
                };
            }
        }
        Ok(())
    }

    fn check_live_record(
        &mut self,
        def: &CollectionDef,
        row: u32,
        record: &StoredRecord,
        keys: &mut HashSet<u64>,
        counts: &mut Counts,
    ) -> Result<()> {
        counts.ids += 1;
        let found = self.core.read.get(&tables::IDS, &(def.id, record.id.clone()));
        if let Some(found) = self.keep(found)?.filter(|found| *found != Some(row)) {
            let what = format!("collection {}, id {:?}", def.name, record.id);
            let found = found.map_or("none".to_string(), |row| format!("row {row}"));
            self.find(what, format!("row {row}"), found);
        }
        if record.key.0 >= def.next_key || !keys.insert(record.key.0) {
            let what = format!("collection {}, row {row}: the record's key", def.name);
            self.find(what, format!("one of its own below {}", def.next_key), record.key.to_string());
        }
        Ok(())
    }

    /// Every value has the type of its field, but for integers from before the field widened.
    fn check_types(&mut self, def: &CollectionDef, row: u32, record: &StoredRecord) {
        for (name, value) in &record.fields {
            let known = def.fields.get(name).copied();
            if !known.is_some_and(|known| value.fits(known)) {
                let what = format!("collection {}, row {row}, field {name}", def.name);
                let expected = known.map_or("no such field", |known| known.as_str());
                self.find(what, expected.to_string(), format!("{value:?}"));
            }
        }
    }

    /// Takes the next record; once its chunk is full, the chunk of every column says what the records say.
    fn check_columns(
        &mut self,
        def: &CollectionDef,
        columns: &mut ColumnFiller,
        record: StoredRecord,
        counts: &mut Counts,
    ) -> Result<()> {
        let core = Arc::clone(&self.core);
        let pushed = columns.push(&core.read, def, record.into_fields(), |name, chunk, built| {
            let stored = core.read_column_chunk(def.id, name, chunk);
            let Some(stored) = self.keep(stored)? else {
                counts.columns += 1;
                return Ok(());
            };
            counts.columns += u64::from(stored.is_some());
            let compared = first_difference(&core, def, name, chunk, stored, built);
            if let Some(Some((row, expected, found))) = self.keep(compared)? {
                let what = format!("table {}, collection {}, field {name}", COLUMNS.name(), def.name);
                self.find(what, format!("{expected} in row {row}"), found);
            }
            Ok(())
        });
        self.keep(pushed)?;
        Ok(())
    }
}

/// The first row of a chunk where the column says something else than the records, with what both say.
fn first_difference(
    core: &Arc<Core>,
    def: &CollectionDef,
    field: &str,
    chunk: u32,
    stored: Option<ColumnChunk>,
    built: Option<ColumnChunk>,
) -> Result<Option<(u32, String, String)>> {
    let field_type = def.fields.get(field).copied().unwrap_or(FieldType::Json);
    // Both may leave a value to the record that both are held to.
    let (stored, built) = (stored.map(Arc::new), built.map(Arc::new));
    let is_long = |of: &Option<Arc<ColumnChunk>>, idx| of.as_ref().is_some_and(|of| of.is_long(idx));
    let both_long: Vec<bool> =
        (0..CHUNK_ROWS as usize).map(|idx| is_long(&stored, idx) && is_long(&built, idx)).collect();
    let first_row = chunk * CHUNK_ROWS;
    let column = |of: Option<Arc<ColumnChunk>>| {
        let (core, collection, field) = (Arc::clone(core), def.id, field.to_string());
        let source = StoredColumn { core, collection, field, field_type, first_row };
        Column::with_source(field_type, CHUNK_ROWS, vec![of], Arc::new(source))
    };
    let (stored, built) = (column(stored), column(built));
    // Equal values may have other codes in chunks of the same meaning, so values are compared, not bytes.
    for (row, _) in (0..CHUNK_ROWS).zip(both_long).filter(|(_, both_long)| !both_long) {
        if let Some((expected, found)) = stored.with(row, |stored| built.with(row, |built| differ(stored, built)))?? {
            return Ok(Some((first_row + row, expected, found)));
        }
    }
    Ok(None)
}

/// What was expected and what was found, where these are not the same.
fn differ(stored: Option<ValueRef<'_>>, built: Option<ValueRef<'_>>) -> Option<(String, String)> {
    (!same_value(stored, built)).then(|| (format!("{built:?}"), format!("{stored:?}")))
}

fn same_value(a: Option<ValueRef<'_>>, b: Option<ValueRef<'_>>) -> bool {
    use ValueRef::{Float, TextList};
    match (a, b) {
        (Some(TextList(a)), Some(TextList(b))) => a.iter().eq(b.iter()),
        (Some(Float(a)), Some(Float(b))) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}
