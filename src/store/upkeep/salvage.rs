//! `check --salvage`: a new store with everything of a damaged one that is intact.
//!
//! Owns [`Salvaged`] and the walk: definitions, then every record that can be read, with its texts and those of its
//! vectors whose blocks are intact, through an ordinary batch of the new store; then projections, samples and lenses.
//! Records whose collection's definition is lost come under a name made of its number, as do its views (`lost`).
//! Nothing is taken over whose checksum fails, and what the operating system cannot read is asked for again. The
//! damaged store is not changed, but for the repair that any opening after a killed writer makes; where it may not be
//! written, that repair is made on a copy of its catalog. Record keys stay; what was derived from views is left to be
//! made again.

mod labels;
mod lost;
#[cfg(test)]
mod tests;

use crate::catalog::salvage::{Salvager, patiently};
use crate::catalog::sums::SUMS_PER_CHUNK;
use crate::catalog::{CATALOG_FILE, CatalogOptions, CatalogRead, tables};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::segment::{self, SegmentReader, SegmentRows};
use crate::storage::{FsStorage, MemoryStorage, Storage};
use crate::store::handle::Store;
use crate::store::kept::heads;
use crate::store::kept::samples::samples_of;
use crate::store::options::{CollectionSpec, Options, ViewSpec};
use crate::store::place;
use crate::store::read::record::{RECORDS, StoredRecord};
use crate::store::read::rows::SET_CHUNK_ROWS;
use crate::store::write::batch::Batch;
use crate::types::{CollectionDef, CollectionId, Control, Record, RowSet, SegmentEntry, ViewDef, ViewId, ViewKind};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Where a catalog that may not be written is repaired, in the folder of the new store.
const SCRATCH_FOLDER: &str = "scratch";

/// What [`Store::salvage`] saved, and what it could not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Records in the new store.
    pub records: u64,
    /// Records that are lost.
    pub records_lost: u64,
    /// Vectors in the new store.
    pub vectors: u64,
    /// Vectors that are lost of records that are not: those rows are absent from their views.
    pub vectors_lost: u64,
    /// What is damaged or missing, or could not be read: the first 10,000 of it.
    pub lost: Vec<Damage>,
    /// How many such things there are, those included that are not listed.
    pub lost_count: u64,
}

impl Salvaged {
    /// Whether nothing is lost.
    pub fn is_complete(&self) -> bool {
        self.records_lost + self.vectors_lost + self.lost_count == 0
    }
}

impl Store {
    /// Copies everything that is intact of the store at `from` into a new one at `to`, where nothing may be. The
    /// store at `from` may be too damaged to be opened; it is only read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) without a store at `from`,
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) when there is something at `to`,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where not even the definitions of its collections can be read.
    pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>, control: &Control) -> Result<Salvaged> {
        let from: Arc<dyn Storage> = Arc::new(FsStorage::open(from.as_ref())?);
        place::make_at(to.as_ref(), |to| {
            let folder = to.root().join(SCRATCH_FOLDER);
            let scratch: Arc<dyn Storage> = Arc::new(FsStorage::create(&folder)?);
            let salvaged = Store::salvage_with(&from, &scratch, to, Options::new(), control);
            FsStorage::remove_root(&folder);
            salvaged.and_then(|salvaged| Store::verify_made(to, control).map(|()| salvaged))
        })
    }

    /// As [`Store::salvage`], into an empty folder: the seam that tests use.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests salvage in memory"))]
    pub(crate) fn salvage_storage(
        from: &Arc<dyn Storage>,
        to: &Arc<dyn Storage>,
        options: Options,
        control: &Control,
    ) -> Result<Salvaged> {
        let scratch: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let salvaged = Store::salvage_with(from, &scratch, to, options, control)?;
        Store::verify_made(to, control)?;
        Ok(salvaged)
    }

    fn salvage_with(
        from: &Arc<dyn Storage>,
        scratch: &Arc<dyn Storage>,
        to: &Arc<dyn Storage>,
        options: Options,
        control: &Control,
    ) -> Result<Salvaged> {
        let source = Salvager::open(from, scratch, CatalogOptions::default())?;
        let store = Store::create_storage(to, options)?;
        let batch = store.begin_with(control.clone())?;
        let (segments, report) = (BTreeMap::new(), Salvaged::default());
        let mut work = Work { from, source, batch, control, segments, report };
        work.run()?;
        let Work { source, batch, mut report, .. } = work;
        batch.commit()?;
        (report.lost, report.lost_count) = source.into_findings();
        Ok(report)
    }
}

struct Work<'a> {
    from: &'a Arc<dyn Storage>,
    source: Salvager,
    batch: Batch,
    control: &'a Control,
    /// Segments of views that were not looked at yet.
    segments: BTreeMap<ViewId, Vec<SegmentEntry>>,
    report: Salvaged,
}

/// A view of the damaged store with the segments that can be opened.
struct OldView {
    def: ViewDef,
    /// Absent rows by chunk, where there are any; `None` where that cannot be read.
    absent: BTreeMap<u32, Option<RowSet>>,
    segments: Vec<(SegmentEntry, SegmentReader)>,
}

impl Work<'_> {
    fn run(&mut self) -> Result<()> {
        let meta = self.source.get(&tables::META, &tables::META_KEY.to_string()).ok().flatten();
        if let Some(meta) = &meta {
            crate::store::handle::check_format(meta, self.from.root())?;
            self.batch.meta.embedder.clone_from(&meta.embedder);
        }
        let collections = self.source.entries(&tables::COLLECTIONS, |_| true);
        let made_up = self.lost_definitions(&collections);
        let is_nothing = collections.is_empty() && made_up.is_empty();
        if is_nothing && self.source.count_of(&tables::COLLECTIONS) != Some(0) {
            let message = format!("no collection of {} can be read: nothing to salvage", self.from.root().display());
            return Err(Error::new(ErrorKind::Corrupt, message).with_path(self.from.root()));
        }
        for ((view, _), entry) in self.source.entries(&tables::SEGMENTS, |_| true) {
            self.segments.entry(view).or_default().push(entry);
        }
        let (mut next_collection, mut next_view) = (1, 1);
        for def in collections.into_iter().map(|(_, def)| def).chain(made_up) {
            next_collection = next_collection.max(def.id.0.saturating_add(1));
            next_view = def.views.iter().map(|view| view.id.0.saturating_add(1)).max().unwrap_or(1).max(next_view);
            self.collection(&def)?;
        }
        self.batch.meta.next_collection = meta.as_ref().map_or(0, |meta| meta.next_collection).max(next_collection);
        self.batch.meta.next_view = meta.as_ref().map_or(0, |meta| meta.next_view).max(next_view);
        self.named_things()?;
        self.labels()
    }

    /// Makes the collection with its own numbers, so that what refers to it by number still does.
    fn define(&mut self, def: &CollectionDef) -> Result<usize> {
        self.batch.meta.next_collection = def.id.0;
        for (view_idx, view) in def.views.iter().enumerate() {
            self.batch.meta.next_view = view.id.0;
            if view_idx == 0 {
                let spec = CollectionSpec::new().supplied_vectors().element(view.element);
                self.batch.create_collection(&def.name, spec)?;
                continue;
            }
            let spec = match &view.kind {
                ViewKind::Template(template) => ViewSpec::template(&view.name, template),
                ViewKind::TextFrom(field) => ViewSpec::text_from(&view.name, field),
                ViewKind::Raw | ViewKind::VectorsOnly => ViewSpec::vectors_only(&view.name),
            };
            self.batch.add_unchecked_view(&def.name, spec.element(view.element))?;
        }
        let idx = self.batch.load(&def.name)?.unwrap_or_default();
        let state = self.batch.state(idx)?;
        for (new, old) in state.def.views.iter_mut().zip(&def.views) {
            new.kind.clone_from(&old.kind);
            new.embedder.clone_from(&old.embedder);
            new.revision = old.revision;
        }
        Ok(idx)
    }

    fn collection(&mut self, def: &CollectionDef) -> Result<()> {
        let idx = self.define(def)?;
        let views: Vec<OldView> = def.views.iter().map(|view| self.old_view(view)).collect();
        // Every row has a record: what lies beyond the file's room is nothing but a number.
        let rows = u64::from(def.rows).min(self.source.most_entries()) as u32;
        let mut chunk_start = 0;
        while chunk_start < rows {
            let chunk = chunk_start / SET_CHUNK_ROWS;
            let live = self.set_chunk(&tables::LIVE, def.id, chunk);
            let chunk_rows = chunk_start..rows.min(chunk_start.saturating_add(SET_CHUNK_ROWS));
            chunk_start = if live.as_ref().is_some_and(RowSet::is_empty) {
                let chunks = chunk..rows.div_ceil(SET_CHUNK_ROWS);
                let next = self.source.next_number(&tables::LIVE, chunks, |chunk| (def.id, chunk), |(_, chunk)| chunk);
                next.saturating_mul(SET_CHUNK_ROWS)
            } else {
                self.chunk(def, chunk_rows.clone(), live.as_ref(), &views)?;
                chunk_rows.end
            };
        }
        let state = self.batch.state(idx)?;
        state.def.next_key = state.def.next_key.max(def.next_key);
        Ok(())
    }

    /// The records of some rows, of which those in `live` are live; `None` where nobody knows any more which are.
    fn chunk(&mut self, def: &CollectionDef, rows: Range<u32>, live: Option<&RowSet>, views: &[OldView]) -> Result<()> {
        let mut row = rows.start;
        loop {
            row = live.map_or(row, |live| live.iter_range(row..rows.end).next().unwrap_or(rows.end));
            if row >= rows.end {
                return Ok(());
            }
            self.control.checkpoint()?;
            if row.is_multiple_of(4_096) {
                self.control.report("rows", u64::from(row), Some(u64::from(def.rows)));
            }
            let stored = self.source.get(&RECORDS, &(def.id, row));
            let is_missing = stored == Ok(None);
            let end = match stored {
                Ok(Some(record)) => {
                    let is_live =
                        live.is_some() || self.source.get(&tables::IDS, &(def.id, record.id.clone())) == Ok(Some(row));
                    if is_live {
                        self.record(def, row, record, views)?;
                    }
                    row = row.saturating_add(1);
                    continue;
                }
                Ok(None) => self.source.next_number(&RECORDS, row..rows.end, |row| (def.id, row), |(_, row)| row),
                Err(()) => self.source.step_over(row, rows.end),
            };
            // Without its live rows nobody can say whether a record that is missing was one.
            let lost = live.map_or(u64::from(!is_missing), |live| live.count_range(row..end));
            if lost > 0 {
                self.report.records_lost += lost;
                self.lose(&def.name, row..end, "a record that can be read", "none");
            }
            row = end;
        }
    }

    fn lose(&mut self, collection: &str, rows: Range<u32>, expected: &str, found: &str) {
        let (expected, found) = (expected.to_string(), found.to_string());
        let last = rows.end.saturating_sub(1);
        let rows = if last <= rows.start { format!("row {last}") } else { format!("rows {} to {last}", rows.start) };
        let what = format!("collection {collection}, {rows}");
        self.source.note(Damage { file: CATALOG_FILE.into(), offset: 0, what, expected, found });
    }

    fn record(&mut self, def: &CollectionDef, row: u32, stored: StoredRecord, views: &[OldView]) -> Result<()> {
        let mut record = Record::new(&stored.id, &stored.text);
        let key = stored.key;
        record.fields = stored.into_fields();
        for view in views {
            if matches!(view.def.kind, ViewKind::TextFrom(_))
                && let Ok(Some(text)) = self.source.get(&tables::VIEW_TEXTS, &(view.def.id, row))
            {
                record.view_texts.insert(view.def.name.clone(), text);
            }
            match patiently(|| view.vector(row)) {
                Ok(Some(vector)) => {
                    self.report.vectors += 1;
                    record.vectors.insert(view.def.name.clone(), vector);
                }
                Ok(None) => {}
                Err(error) => {
                    self.report.vectors_lost += 1;
                    let what = format!("collection {}, view {}, row {row}", def.name, view.def.name);
                    self.source.note_error(&what, &error);
                }
            }
        }
        match self.batch.collection(&def.name)?.no_embed(true).insert_with_key(record, key) {
            Ok(()) => self.report.records += 1,
            Err(error) if matches!(error.kind(), ErrorKind::Exists | ErrorKind::Invalid | ErrorKind::Limit) => {
                self.report.records_lost += 1;
                self.lose(&def.name, row..row + 1, "a record that can be stored", error.message());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn set_chunk<I: Copy>(
        &mut self,
        table: &crate::catalog::Table<(I, u32), Vec<u8>>,
        id: I,
        chunk: u32,
    ) -> Option<RowSet>
    where
        (I, u32): crate::catalog::KeyBytes,
    {
        match self.source.get(table, &(id, chunk)) {
            Ok(Some(bytes)) => RowSet::decode(&bytes),
            Ok(None) => Some(RowSet::new()),
            Err(()) => None,
        }
    }

    fn old_view(&mut self, def: &ViewDef) -> OldView {
        let rows = u64::from(def.rows).min(self.source.most_entries()) as u32;
        let (mut absent, mut chunk, chunks) = (BTreeMap::new(), 0, rows.div_ceil(SET_CHUNK_ROWS));
        while chunk < chunks {
            let found = self.set_chunk(&tables::ABSENT, def.id, chunk);
            chunk = if found.as_ref().is_some_and(RowSet::is_empty) {
                self.source.next_number(&tables::ABSENT, chunk..chunks, |chunk| (def.id, chunk), |(_, chunk)| chunk)
            } else {
                absent.insert(chunk, found);
                chunk + 1
            };
        }
        let mut segments = Vec::new();
        for entry in self.segments.remove(&def.id).unwrap_or_default() {
            match patiently(|| self.open_segment(def.id, &entry)) {
                Ok(reader) => segments.push((reader.entry().clone(), reader)),
                Err(error) => {
                    let what = format!("segment {} of view {}", entry.id, def.name);
                    self.source.note_error(&what, &error);
                }
            }
        }
        segments.sort_by_key(|(entry, _)| entry.first_row);
        OldView { def: def.clone(), absent, segments }
    }

    /// A reader of a segment; of one that was cut, as far as its file goes.
    fn open_segment(&mut self, view: ViewId, entry: &SegmentEntry) -> Result<SegmentReader> {
        let mut entry = entry.clone();
        let name = segment::path(view, entry.id);
        let stride = segment::stride_bytes(entry.dimension, entry.element).max(1);
        let header = segment::header::HEADER_BYTES as u64;
        let there = match self.from.len(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            other => other?.saturating_sub(header) / stride,
        };
        if there < u64::from(entry.rows) {
            let offset = there * stride + header;
            let (expected, found) = (format!("{} rows", entry.rows), format!("{there}"));
            let what = "a segment is shorter than its rows".to_string();
            self.source.note(Damage { file: name.into(), offset, what, expected, found });
            entry.rows = there as u32;
        }
        let blocks = segment::full_blocks(entry.rows, entry.dimension, entry.element);
        let mut sums = Vec::new();
        for chunk in 0..blocks.div_ceil(SUMS_PER_CHUNK) {
            let found = self.source.get(&tables::BLOCK_SUMS, &(entry.id, chunk as u32)).ok().flatten();
            sums.extend(found.unwrap_or_default());
            // A checksum that is lost fits no block.
            sums.resize(((chunk + 1) * SUMS_PER_CHUNK) as usize, 0);
        }
        sums.truncate(blocks as usize);
        SegmentReader::open(&**self.from, view, &entry, sums)
    }

    /// Projections, samples, and lenses with all that belongs to them.
    fn named_things(&mut self) -> Result<()> {
        for (_, projection) in self.source.entries(&tables::PROJECTIONS, |_| true) {
            self.batch.put_projection(projection)?;
        }
        let known = self.known();
        let mut samples = BTreeSet::new();
        for (name, sample) in self.source.entries(&tables::SAMPLES, |_| true) {
            if !known.contains(&sample.collection) {
                self.leave_behind(format!("sample {name}"), "its collection");
                continue;
            }
            heads::SAMPLES.put(self.batch.tx()?, &name, &sample)?;
            samples.insert(name);
        }
        let mut saved = BTreeSet::new();
        for (name, lens) in self.source.entries(&tables::LENSES, |_| true) {
            let mut statistics = Vec::new();
            for place in &lens.pinned {
                let key = (place.collection, name.clone(), place.step_idx);
                statistics.extend(self.source.get(&tables::STATISTICS, &key).ok().flatten().map(|found| (key, found)));
            }
            if statistics.len() < lens.pinned.len() {
                self.leave_behind(format!("lens {name}"), "all that it pins");
                continue;
            }
            if let Some(sample) = samples_of(&lens.lens).find(|sample| !samples.contains(*sample)) {
                self.leave_behind(format!("lens {name}"), &format!("its sample {sample}"));
                continue;
            }
            let calibration = self.source.get(&tables::CALIBRATIONS, &name).ok().flatten();
            let tx = self.batch.tx()?;
            for (key, statistic) in &statistics {
                tx.put(&tables::STATISTICS, key, statistic)?;
            }
            tx.put(&tables::LENSES, &name, &lens)?;
            calibration.map_or(Ok(()), |calibration| tx.put(&tables::CALIBRATIONS, &name, &calibration))?;
            saved.insert(name);
        }
        self.learned(&saved)?;
        self.batch.changed = true;
        Ok(())
    }
}

impl Work<'_> {
    /// Collections of the new store.
    fn known(&self) -> HashSet<CollectionId> {
        self.batch.collections.iter().map(|state| state.def.id).collect()
    }

    /// Lists something intact that is of no use without what is lost.
    fn leave_behind(&mut self, what: String, without: &str) {
        let (expected, found) = (without.to_string(), "not all of it".to_string());
        self.source.note(Damage { file: CATALOG_FILE.into(), offset: 0, what, expected, found });
    }

    /// The history of learned lenses, and the backgrounds of lenses that are `saved`, for collections that are.
    fn learned(&mut self, saved: &BTreeSet<String>) -> Result<()> {
        let known = self.known();
        for (key, def) in self.source.entries(&tables::LEARNED, |_| true) {
            if known.contains(&def.collection) {
                self.batch.put_fit(&def)?;
            } else {
                self.leave_behind(format!("fit {} of lens {}", key.1, key.0), "its collection");
            }
        }
        for (key, figures) in self.source.entries(&tables::FIT_FIGURES, |_| true) {
            // They speak of a fit.
            if self.batch.tx()?.get(&tables::LEARNED, &key)?.is_some() {
                self.batch.tx()?.put(&tables::FIT_FIGURES, &key, &figures)?;
            }
        }
        // Scores of random pairs can be drawn again: those of what is lost need no mention.
        let in_reach = |(collection, lens): &(CollectionId, String)| known.contains(collection) && saved.contains(lens);
        for (key, background) in self.source.entries(&tables::BACKGROUNDS, in_reach) {
            self.batch.tx()?.put(&tables::BACKGROUNDS, &key, &background)?;
        }
        Ok(())
    }
}

impl OldView {
    /// The vector of `row`; an error where there was one and it is lost.
    fn vector(&self, row: u32) -> Result<Option<Vec<f32>>> {
        let lost = || Err(Error::new(ErrorKind::Corrupt, format!("the vector of row {row} is lost")));
        if row >= self.def.rows {
            return Ok(None);
        }
        match self.absent.get(&(row / SET_CHUNK_ROWS)) {
            Some(Some(absent)) if absent.contains(row) => return Ok(None),
            // Whether this row's zeros are a vector nobody can say.
            Some(None) => return lost(),
            _ => {}
        }
        let idx = self.segments.partition_point(|(entry, _)| entry.first_row <= row);
        let Some((entry, reader)) = idx.checked_sub(1).and_then(|idx| self.segments.get(idx)) else { return lost() };
        let offset = row - entry.first_row;
        if offset >= entry.rows {
            return lost();
        }
        let rows: SegmentRows<'_> = reader.rows(offset..offset + 1)?;
        let mut vector = Vec::with_capacity(entry.dimension as usize);
        crate::store::read::rows_copy::push_row(&rows, 0, &mut vector);
        Ok(Some(vector))
    }
}
