//! Checking a collection: live rows, records, ids and the columns that are copies of the records.

use super::{Checker, Counts};
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::store::column::{CHUNK_ROWS, Column, ColumnChunk};
use crate::store::record::{COLUMNS, RECORDS, StoredRecord};
use crate::store::rows::{SET_CHUNK_ROWS, read_row_set};
use crate::types::{CollectionDef, RowSet, Value};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn check_collection(&mut self, def: &CollectionDef, counts: &mut Counts) -> Result<()> {
        let live = read_row_set(&self.core.read, &tables::LIVE, def.id, def.rows);
        let Some(live) = self.keep(live)? else { return Ok(()) };
        counts.live_chunks += chunk_count(&live);
        if live.len() != u64::from(def.live) {
            let what = format!("collection {}: number of live rows", def.name);
            self.find(what, def.live.to_string(), live.len().to_string());
        }
        self.check_records(def, &live, counts)?;
        for view in &def.views {
            self.check_view(def, view, &live, counts)?;
        }
        Ok(())
    }

    fn check_records(&mut self, def: &CollectionDef, live: &RowSet, counts: &mut Counts) -> Result<()> {
        let mut keys = HashSet::new();
        let mut fields: Vec<BTreeMap<String, Value>> = Vec::new();
        // After one unreadable record of a chunk the chunk's columns cannot be compared any more.
        let mut is_whole = true;
        for row in 0..def.rows {
            if row % CHUNK_ROWS == 0 {
                self.control.checkpoint()?;
                self.control.report("records", u64::from(row), Some(u64::from(def.rows)));
            }
            let stored = self.core.read.get(&RECORDS, &(def.id, row));
            let stored = self.keep(stored)?;
            counts.records += 1;
            match stored {
                Some(Some(record)) => {
                    if live.contains(row) {
                        self.report.records += 1;
                        self.check_live_record(def, row, &record, &mut keys, counts)?;
                    }
                    self.check_types(def, row, &record);
                    fields.push(record.into_fields());
                }
                missing => {
                    if missing.is_some() {
                        let what = format!("collection {}, row {row}", def.name);
                        self.find(what, "a record".to_string(), "none".to_string());
                    }
                    counts.ids += u64::from(live.contains(row));
                    is_whole = false;
                    fields.push(BTreeMap::new());
                }
            }
            if fields.len() == CHUNK_ROWS as usize {
                self.check_columns(def, row / CHUNK_ROWS, &fields, is_whole, counts)?;
                fields.clear();
                is_whole = true;
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

    /// A full chunk of every column says what the records say.
    fn check_columns(
        &mut self,
        def: &CollectionDef,
        chunk: u32,
        rows: &[BTreeMap<String, Value>],
        is_whole: bool,
        counts: &mut Counts,
    ) -> Result<()> {
        for (name, &field_type) in &def.fields {
            let stored = self.core.read_column_chunk(def.id, name, chunk);
            let Some(stored) = self.keep(stored)? else {
                counts.columns += 1;
                continue;
            };
            counts.columns += u64::from(stored.is_some());
            if !is_whole {
                continue;
            }
            let values: Vec<Option<&Value>> = rows.iter().map(|row| row.get(name)).collect();
            let built = ColumnChunk::build(field_type, &values).map(Arc::new);
            let (stored, built) = (
                Column::new(field_type, CHUNK_ROWS, vec![stored.map(Arc::new)]),
                Column::new(field_type, CHUNK_ROWS, vec![built]),
            );
            // Equal values may have other codes in chunks of the same meaning, so values are compared, not bytes.
            if let Some(row) = (0..CHUNK_ROWS).find(|&row| !same_value(&stored, &built, row)) {
                let what = format!("table {}, collection {}, field {name}", COLUMNS.name(), def.name);
                let row_number = chunk * CHUNK_ROWS + row;
                let expected = format!("{:?} in row {row_number}", built.get(row));
                self.find(what, expected, format!("{:?}", stored.get(row)));
            }
        }
        Ok(())
    }
}

fn same_value(a: &Column, b: &Column, row: u32) -> bool {
    use crate::store::ValueRef::{Float, TextList};
    match (a.get(row), b.get(row)) {
        (Some(TextList(a)), Some(TextList(b))) => a.iter().eq(b.iter()),
        (Some(Float(a)), Some(Float(b))) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// Number of catalog entries that the set takes.
pub(super) fn chunk_count(rows: &RowSet) -> u64 {
    let mut chunks: Vec<u32> = rows.iter().map(|row| row / SET_CHUNK_ROWS).collect();
    chunks.dedup();
    chunks.len() as u64
}
