//! `compact`: gives back the space of removed and replaced rows.
//!
//! Owns [`Compacted`] and the order of the work. Everything that is keyed by row moves down, in the same relative
//! order, within one batch: records and ids, texts, columns, and the segments of every view and of everything derived
//! from one, which are written anew from the first dead row on. Record keys stay. The old files are garbage like any
//! other, so that readers go on, and a crash leaves the commit before or after. Last, and only where nobody else has
//! the store open, the catalog's own file shrinks.

use crate::catalog::sums::read_block_sums;
use crate::catalog::{CatalogRead, KeyBytes, Table, WriteTransaction, tables};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::segment::{self, SegmentReader};
use crate::store::handle::Store;
use crate::store::read::column::CHUNK_ROWS;
use crate::store::read::column::ColumnFiller;
use crate::store::read::core::Core;
use crate::store::read::derived_def::{by_collection, view_def};
use crate::store::read::info;
use crate::store::read::record::{COLUMNS, RECORDS, put_chunk};
use crate::store::shared::Shared;
use crate::store::write::append::{Appending, ViewState};
use crate::store::write::batch::Batch;
use crate::store::write::derived::{is_given_up, remove};
use crate::store::write::garbage;
use crate::types::{
    CollectionDef, CollectionId, CommitNumber, Control, DerivedDef, RowSet, StoreMeta, ViewDef, ViewKind,
};
use serde::Serialize;
use std::sync::Arc;

/// Entries of the catalog that move at once, and bytes of them.
const CHANGES: usize = 1_024;
const CHANGE_BYTES: usize = 8 << 20;

/// What [`Store::compact`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the store's files before.
    pub bytes_before: u64,
    /// Bytes of the store's files after; closing the store may add a few pages of the catalog.
    pub bytes_after: u64,
    /// Bytes of replaced files that stay until their last reader lets go and somebody writes.
    pub bytes_waiting: u64,
    /// Dead rows that are gone.
    pub rows_removed: u64,
    /// The last commit: a new one where rows were removed.
    pub commit: CommitNumber,
}

impl Store {
    /// Gives back the space of removed and replaced rows. Readers go on, in this process and in others; the space comes
    /// back when the last one that sees the old rows lets go.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// use simile::{Record, Store};
    /// let store = Store::create(folder.path().join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// batch.collection("notes")?.insert(Record::new("n2", "Where did I put my wallet?"))?;
    /// batch.collection("notes")?.remove("n1")?;
    /// batch.commit()?;
    /// assert_eq!(store.compact()?.rows_removed, 1);
    /// assert_eq!(store.info()?.dead_share, 0.0);
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::begin`] and [`Batch::commit`]; the store is then as it was.
    pub fn compact(&self) -> Result<Compacted> {
        self.compact_with(&Control::new())
    }

    /// As [`Store::compact`], with somebody to hear of its progress (in rows) and to stop it.
    ///
    /// # Errors
    /// As [`Store::compact`], and [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn compact_with(&self, control: &Control) -> Result<Compacted> {
        let shared = self.shared();
        let bytes_before = info::bytes_on_disk(&*shared.storage)?;
        let mut batch = self.begin_with(control.clone())?;
        let moved = move_everything(&mut batch);
        let rows_removed = batch.note(moved)?;
        let commit = batch.commit()?;
        let settled = settle(shared, control);
        let kept = format!("the rows are removed with commit {commit}; the space they took is not given back yet");
        let bytes_waiting = settled.map_err(|error| error.context(kept))?;
        let bytes_after = info::bytes_on_disk(&*shared.storage)?;
        Ok(Compacted { bytes_before, bytes_after, bytes_waiting, rows_removed, commit })
    }
}

/// Gives back what nobody reads any more, where the turn comes in time; what a commit has done does not fail for want
/// of it.
fn settle(shared: &Arc<Shared>, control: &Control) -> Result<u64> {
    check_new_files(shared, control)?;
    let Ok(turn) = shared.take_turn() else { return waiting(shared, &shared.catalog.begin_read()?) };
    let bytes_waiting = forget_garbage(shared)?;
    let shrunk = shared.catalog.shrink();
    drop(turn);
    shrunk.inspect_err(|error| shared.poison(error))?;
    Ok(bytes_waiting)
}

/// Opens what the commit has made, as any reader will, and checks its vectors.
fn check_new_files(shared: &Arc<Shared>, control: &Control) -> Result<()> {
    let core = Core::take(shared)?;
    let mut found = Vec::new();
    for ((view, _), entry) in core.read.range(&tables::SEGMENTS, ..)? {
        if control.checkpoint().is_err() {
            // The commit stands; who is stopped here looks at less of it.
            break;
        }
        let blocks = segment::full_blocks(entry.rows, entry.dimension, entry.element);
        let sums = read_block_sums(&core.read, entry.id, blocks)?;
        let reader = SegmentReader::open(&*shared.storage, view, &entry, sums)?;
        match reader.verify_all(&mut found, || control.checkpoint()) {
            Err(error) if error.kind() == ErrorKind::Cancelled => break,
            verified => verified?,
        }
    }
    found.into_iter().next().map_or(Ok(()), |damage| Err(Error::corrupt(damage)))
}

/// Bytes of replaced files that are still there.
fn waiting(shared: &Shared, read: &impl CatalogRead) -> Result<u64> {
    let mut bytes = 0;
    for ((_, path), ()) in read.range(&tables::GARBAGE, ..)? {
        bytes += if shared.storage.exists(&path)? { shared.storage.len(&path)? } else { 0 };
    }
    Ok(bytes)
}

/// Removes what nobody reads any more, and forgets it durably; answers with the bytes that have to stay.
fn forget_garbage(shared: &Arc<Shared>) -> Result<u64> {
    let tx = shared.catalog.begin_write()?;
    let meta = tx.meta()?;
    let removed = garbage::collect(shared, &tx, &meta)?;
    let bytes = waiting(shared, &tx)?;
    if removed > 0 {
        let committed = tx.commit();
        committed.inspect_err(|error| shared.poison(error))?;
    }
    Ok(bytes)
}

/// Takes the dead rows out of every collection; answers with how many there were.
fn move_everything(batch: &mut Batch) -> Result<u64> {
    let names: Vec<String> = batch.tx()?.range(&tables::COLLECTIONS, ..)?.into_iter().map(|(name, _)| name).collect();
    let mut derived = by_collection(batch.tx()?)?;
    let mut removed = 0;
    for name in names {
        if let Some(idx) = batch.load(&name)? {
            let own = derived.remove(&batch.state(idx)?.def.id).unwrap_or_default();
            removed += compact_collection(batch, idx, own)?;
        }
    }
    if removed > 0 && batch.garbage.is_empty() {
        // Rows have moved: whoever keeps something by row has to notice, files or no files.
        batch.meta.generation = crate::store::names::counted_up(batch.meta.generation)?;
    }
    Ok(removed)
}

fn compact_collection(batch: &mut Batch, idx: usize, derived: Vec<DerivedDef>) -> Result<u64> {
    let state = batch.state(idx)?;
    let (def, live) = (state.def.clone(), state.live.rows().clone());
    let removed = u64::from(def.rows) - live.len();
    if removed == 0 {
        return Ok(0);
    }
    let mut meta = batch.meta.clone();
    let columns = move_records(batch, &mut meta, &def, &live)?;
    batch.meta = meta;
    for view in &def.views {
        move_texts(batch, view, &live)?;
    }
    let control = batch.control.clone();
    let (state, mut appending) = batch.appending(idx)?;
    for (view, view_state) in state.def.views.iter_mut().zip(&mut state.views) {
        view_state.compact(&mut appending, view, &live, &control)?;
    }
    state.def.rows = live.len() as u32;
    state.live.replace(RowSet::from_range(0..state.def.rows));
    state.columns = columns;
    state.changed = true;
    *appending.changed = true;
    compact_derived(&mut appending, derived, &live, &control)?;
    Ok(removed)
}

/// Moves the records, their ids and their columns down over the dead rows.
fn move_records(batch: &Batch, meta: &mut StoreMeta, def: &CollectionDef, live: &RowSet) -> Result<ColumnFiller> {
    let tx = batch.tx()?;
    let (id, total) = (def.id, u64::from(def.rows));
    // Column chunks before the first dead row stay as they are.
    let first_chunk = first_dead(live, def.rows) / CHUNK_ROWS;
    let first_row = first_chunk * CHUNK_ROWS;
    for field in def.fields.keys() {
        tx.remove_range(&COLUMNS, (id, field.clone(), first_chunk)..=(id, field.clone(), u32::MAX))?;
    }
    let mut columns = ColumnFiller::new(first_row);
    let (mut next_row, mut moved) = (first_row, Changes::new(tx, &RECORDS));
    tx.for_each(&RECORDS, (id, first_row)..=(id, u32::MAX), |(_, row), record| {
        batch.control.checkpoint()?;
        if row % CHUNK_ROWS == 0 {
            batch.control.report("rows", u64::from(row), Some(total));
        }
        if !live.contains(row) {
            return Ok(());
        }
        if columns.reads_back() {
            moved.apply()?;
        }
        columns.push(tx, def, record.fields(), |field, chunk, values| put_chunk(tx, meta, id, field, chunk, values))?;
        if next_row != row {
            // The row it moves to is dead or has moved itself; what has come to stand beyond the last goes below.
            let bytes = record.bytes();
            moved.push((id, next_row), Some(record), bytes)?;
        }
        next_row += 1;
        Ok(())
    })?;
    moved.apply()?;
    if u64::from(next_row) != live.len() {
        return Err(unfit(def, "records of live rows", live.len().to_string(), next_row.to_string()));
    }
    tx.remove_range(&RECORDS, (id, next_row)..=(id, u32::MAX))?;
    move_ids(batch, def, live)?;
    Ok(columns)
}

/// Ids name the rows that their records have moved to. They are taken in their own order, in which they lie on disk.
fn move_ids(batch: &Batch, def: &CollectionDef, live: &RowSet) -> Result<()> {
    let tx = batch.tx()?;
    let mut moved = Changes::new(tx, &tables::IDS);
    let all = (def.id, String::new())..(CollectionId(def.id.0.saturating_add(1)), String::new());
    tx.for_each(&tables::IDS, all, |key, row| {
        batch.control.checkpoint()?;
        if !live.contains(row) {
            return Err(unfit(def, "the row that an id names", "a live row".to_string(), row.to_string()));
        }
        let new_row = live.count_range(0..row) as u32;
        if new_row != row { moved.push(key, Some(new_row), 0) } else { Ok(()) }
    })?;
    moved.apply()
}

fn move_texts(batch: &Batch, view: &ViewDef, live: &RowSet) -> Result<()> {
    if !matches!(view.kind, ViewKind::TextFrom(_)) {
        return Ok(());
    }
    let tx = batch.tx()?;
    let mut moved = Changes::new(tx, &tables::VIEW_TEXTS);
    let (mut counted, mut new_row) = (0, 0_u32);
    tx.for_each(&tables::VIEW_TEXTS, (view.id, 0)..=(view.id, u32::MAX), |(_, row), text| {
        new_row += live.count_range(counted..row) as u32;
        counted = row;
        if live.contains(row) && new_row == row {
            return Ok(());
        }
        moved.push((view.id, row), None, 0)?;
        if live.contains(row) {
            let bytes = text.len();
            moved.push((view.id, new_row), Some(text), bytes)?;
        }
        Ok(())
    })?;
    moved.apply()
}

/// Entries on their way to other keys, carried out once they are enough: they only move to keys that have been passed.
struct Changes<'a, K, V> {
    tx: &'a WriteTransaction,
    table: &'a Table<K, V>,
    list: Vec<(K, Option<V>)>,
    bytes: usize,
}

impl<'a, K: KeyBytes, V: Serialize> Changes<'a, K, V> {
    fn new(tx: &'a WriteTransaction, table: &'a Table<K, V>) -> Self {
        Changes { tx, table, list: Vec::new(), bytes: 0 }
    }

    /// Puts a value of about `bytes` bytes under `key`, or removes what is there.
    fn push(&mut self, key: K, value: Option<V>, bytes: usize) -> Result<()> {
        self.list.push((key, value));
        self.bytes += bytes;
        if self.list.len() >= CHANGES || self.bytes >= CHANGE_BYTES { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<()> {
        self.tx.change_all(self.table, &self.list)?;
        self.list.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn unfit(def: &CollectionDef, what: &str, expected: String, found: String) -> Error {
    let what = format!("collection {}: {what}", def.name);
    Error::corrupt(Damage { file: crate::catalog::CATALOG_FILE.into(), offset: 0, what, expected, found })
}

/// Rows derived from a view move with the rows they were derived from; damaged ones go.
fn compact_derived(
    appending: &mut Appending<'_>,
    derived: Vec<DerivedDef>,
    live: &RowSet,
    control: &Control,
) -> Result<()> {
    for def in derived {
        match move_derived(appending, &def, live, control) {
            Err(error) if is_given_up(&error) => remove(appending, &def)?,
            other => other?,
        }
    }
    Ok(())
}

fn move_derived(appending: &mut Appending<'_>, def: &DerivedDef, live: &RowSet, control: &Control) -> Result<()> {
    let mut view = view_def(def);
    let mut state = ViewState::load(appending.tx, &view)?;
    state.compact(appending, &mut view, live, control)?;
    state.finish(appending, &view)?;
    appending.tx.put(&tables::DERIVED, &def.id, &DerivedDef { rows: view.rows, ..def.clone() })
}

/// The first row below `rows` that is not live; `rows`, if all are.
fn first_dead(live: &RowSet, rows: u32) -> u32 {
    live.iter().zip(0..).find(|(row, idx)| row != idx).map_or(live.len() as u32, |(_, idx)| idx).min(rows)
}

impl ViewState {
    /// Writes the view's segments anew without the rows that are not in `live`, from the first such row on.
    pub(in crate::store) fn compact(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        live: &RowSet,
        control: &Control,
    ) -> Result<()> {
        self.settle_all(appending, view)?;
        let first_dead = first_dead(live, view.rows);
        let kept = self.segments.partition_point(|entry| entry.first_row + entry.rows <= first_dead);
        let old = self.segments.split_off(kept);
        let Some(first) = old.first() else { return Ok(()) };
        let has_new_vectors = self.has_new_vectors;
        let absent = self.absent.rows().clone();
        let covered = live.count_range(0..view.rows) as u32;
        view.rows = first.first_row;
        self.absent.replace(absent.and(&RowSet::from_range(0..view.rows)));
        for entry in &old {
            let reader = crate::store::write::append::open_reader(appending, view, entry)?;
            let mut new_row = live.count_range(0..entry.first_row) as u32;
            let mut start = 0;
            while start < entry.rows {
                control.checkpoint()?;
                control.report("rows", u64::from(entry.first_row + start), None);
                let end = entry.rows.min(start + crate::store::write::append::COPY_ROWS);
                let rows = reader.rows(start..end)?;
                let (mut run, mut run_start) = (Vec::new(), new_row);
                for row in live.iter_range(entry.first_row + start..entry.first_row + end) {
                    if absent.contains(row) {
                        self.append(appending, view, run_start, &std::mem::take(&mut run))?;
                        run_start = new_row + 1;
                    } else {
                        crate::store::read::rows_copy::push_row(
                            &rows,
                            (row - entry.first_row - start) as usize,
                            &mut run,
                        );
                    }
                    new_row += 1;
                }
                self.append(appending, view, run_start, &run)?;
                start = end;
            }
            self.discard(appending, view, entry)?;
        }
        // The view covers the rows that it covered, so that what is derived from it ends where it ends.
        let appended = self.append(appending, view, covered, &[]);
        // Its vectors are the ones it had.
        self.has_new_vectors = has_new_vectors;
        appended
    }
}
