//! Appending a batch's vectors to the segments of one view.
//!
//! Owns [`ViewState`]: the view's segments as the batch sees them, the one that is open for appending, rows marked
//! absent, and vectors for rows that lie within the view already. Those are never written in place: the segment that
//! holds them is written anew and the old file becomes garbage. Small commits append to the last segment.

use crate::catalog::sums::{put_block_sums, read_block_sums, remove_block_sums};
use crate::catalog::{WriteTransaction, tables};
use crate::error::Result;
use crate::segment::{self, SegmentReader, SegmentRows, SegmentWriter};
use crate::store::read::rows::{TrackedRows, read_row_set};
use crate::store::read::rows_copy::push_row;
use crate::store::shared::Shared;
use crate::types::{SegmentEntry, SegmentId, StoreMeta, ViewDef};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Bytes at which a segment is full and the next one begins: it bounds what writing one anew costs.
/// In this crate's own tests it is small, so that they have views of several segments.
const SEGMENT_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 256 << 20 };
/// Bytes of vectors for rows within the view that wait at most.
const OVERLAY_BYTES: usize = 256 << 20;
/// Rows copied at once when a segment is written anew.
pub(in crate::store) const COPY_ROWS: u32 = 1_024;

/// Blocks that an append may fill and still be synced with the commit (1 MiB).
const SYNCED_LATER_BLOCKS: usize = 16;

/// Rows read at once for what is derived from them.
const READ_ROWS: u32 = 4_096;

/// What appending needs of the batch.
pub(in crate::store) struct Appending<'a> {
    pub(in crate::store) shared: &'a Arc<Shared>,
    pub(in crate::store) tx: &'a WriteTransaction,
    pub(in crate::store) meta: &'a mut StoreMeta,
    pub(in crate::store) created: &'a mut Vec<String>,
    pub(in crate::store) garbage: &'a mut Vec<String>,
    pub(in crate::store) changed: &'a mut bool,
}

/// What embedding the texts of a view came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Embedded {
    /// Texts that were embedded, those of the next numbers included.
    pub texts: u64,
    /// Texts that the embedder knows no word of: their records have no vector in the view.
    pub without_words: u64,
    /// Of these, the empty ones.
    pub empty: u64,
    /// Records that the view has no text for; only counted where missing vectors are filled in.
    pub without_text: u64,
}

impl Embedded {
    /// Vectors that were made.
    pub fn vectors(&self) -> u64 {
        self.texts - self.without_words
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Embedded) -> Embedded {
        Embedded {
            texts: self.texts + other.texts,
            without_words: self.without_words + other.without_words,
            empty: self.empty + other.empty,
            without_text: self.without_text + other.without_text,
        }
    }
}

/// One view of a collection in a batch.
#[derive(Debug, Default)]
pub(in crate::store) struct ViewState {
    /// Segments that are closed, ascending, without the open one.
    pub(in crate::store) segments: Vec<SegmentEntry>,
    /// The last segment while rows are appended to it.
    open: Option<SegmentWriter>,
    /// Rows below the view's end that have no vector.
    pub(in crate::store) absent: TrackedRows,
    /// Vectors for rows below the view's end, until their segments are written anew.
    overlay: BTreeMap<u32, Vec<f32>>,
    /// Rows of the overlay that lose their vector: zeros wait for them.
    blank: BTreeSet<u32>,
    /// Rows whose segments were written anew, for what is derived from them.
    rewritten: BTreeSet<u32>,
    /// Readers of closed segments, for copies.
    readers: BTreeMap<SegmentId, SegmentReader>,
    /// Whether this batch has given it a vector.
    pub(in crate::store) has_new_vectors: bool,
    /// Texts that this batch embedded, and what came of them.
    pub(in crate::store) embedded: Embedded,
}

impl ViewState {
    /// A view as the catalog has it.
    pub(in crate::store) fn load(tx: &WriteTransaction, view: &ViewDef) -> Result<Self> {
        let absent = TrackedRows::new(read_row_set(tx, &tables::ABSENT, view.id, view.rows)?);
        Ok(ViewState {
            segments: crate::store::read::segments::read_segments(tx, view)?,
            absent,
            ..ViewState::default()
        })
    }

    /// Whether `row` has a vector, or will have one when the batch commits.
    pub(in crate::store) fn has_vector(&self, view: &ViewDef, row: u32) -> bool {
        row < view.rows && (!self.absent.rows().contains(row) || self.overlay.contains_key(&row))
    }

    /// Appends the vectors of consecutive rows from `first_row` on; rows that are skipped over become absent.
    pub(in crate::store) fn append(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        first_row: u32,
        vectors: &[f32],
    ) -> Result<()> {
        let dimension = view.dimension.unwrap_or(1) as usize;
        let gap = first_row.saturating_sub(view.rows);
        for row in view.rows..first_row {
            self.absent.insert(row);
        }
        self.push(appending, view, gap, |writer, range| writer.append_absent(range.len() as u32))?;
        let count = (vectors.len() / dimension) as u32;
        self.has_new_vectors |= count > 0;
        self.push(appending, view, count, |writer, range| {
            writer.append_f32(vectors.get(range.start * dimension..range.end * dimension).unwrap_or_default())
        })
    }

    /// Appends `count` rows through `write`, which is called once for each segment that takes some of them.
    fn push(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        count: u32,
        write: impl Fn(&mut SegmentWriter, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < count {
            let most = most_rows(view);
            let writer = self.writer(appending, view, most)?;
            let some = (count - done).min(most - writer.rows());
            write(writer, done as usize..(done + some) as usize)?;
            let is_full = writer.rows() >= most;
            done += some;
            view.rows += some;
            if is_full {
                self.settle(appending, view)?;
            }
        }
        Ok(())
    }

    /// The segment that takes the next row: the last one while it has room, else a new one.
    fn writer(&mut self, appending: &mut Appending<'_>, view: &ViewDef, most: u32) -> Result<&mut SegmentWriter> {
        let open = self.open.take();
        if open.is_none() {
            appending.tx.check_in_place()?;
        }
        let writer = match open {
            Some(writer) => writer,
            None => match self.segments.pop_if(|last| last.rows < most) {
                Some(last) => SegmentWriter::open(Arc::clone(&appending.shared.storage), view.id, &last)?,
                None => create_segment(appending, view, view.rows)?,
            },
        };
        Ok(self.open.insert(writer))
    }

    /// Closes the open segment: its rows are synced, and its entry and checksums written to the transaction.
    fn settle(&mut self, appending: &mut Appending<'_>, view: &ViewDef) -> Result<()> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        let entry = record_segment(appending, view, writer)?;
        self.readers.remove(&entry.id);
        self.segments.push(entry);
        Ok(())
    }

    /// Gives `row` a vector: appended where the row lies behind the view's end, else when its segment is written anew.
    pub(in crate::store) fn set_row(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        row: u32,
        vector: Vec<f32>,
    ) -> Result<()> {
        view.dimension = Some(vector.len() as u32);
        if row >= view.rows {
            return self.append(appending, view, row, &vector);
        }
        self.blank.remove(&row);
        self.lay_over(appending, view, row, vector)
    }

    fn lay_over(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        row: u32,
        vector: Vec<f32>,
    ) -> Result<()> {
        let bytes = vector.len() * 4;
        self.has_new_vectors = true;
        self.overlay.insert(row, vector);
        if self.overlay.len() * bytes > OVERLAY_BYTES {
            self.apply_overlay(appending, view)?;
        }
        Ok(())
    }

    /// The vector of `row` as this batch would commit it; pending rows are not known here.
    pub(in crate::store) fn read_row(
        &mut self,
        appending: &mut Appending<'_>,
        view: &ViewDef,
        row: u32,
    ) -> Result<Option<Vec<f32>>> {
        if let Some(vector) = self.overlay.get(&row) {
            return Ok(Some(vector.clone()));
        }
        if !self.has_vector(view, row) {
            return Ok(None);
        }
        let closed_end = self.segments.last().map_or(0, |entry| entry.first_row + entry.rows);
        if row >= closed_end {
            // The row was appended to the open segment in this batch, or lies in it from before.
            self.settle(appending, view)?;
        }
        let idx = self.segments.partition_point(|entry| entry.first_row + entry.rows <= row);
        let Some(entry) = self.segments.get(idx).cloned() else { return Ok(None) };
        let reader = self.reader(appending, view, &entry)?;
        let offset = row - entry.first_row;
        let mut vector = Vec::with_capacity(entry.dimension as usize);
        push_row(&reader.rows(offset..offset + 1)?, 0, &mut vector);
        Ok(Some(vector))
    }

    fn reader(&mut self, appending: &Appending<'_>, view: &ViewDef, entry: &SegmentEntry) -> Result<&SegmentReader> {
        if self.readers.get(&entry.id).is_none_or(|reader| reader.entry() != entry) {
            self.readers.insert(entry.id, open_reader(appending, view, entry)?);
        }
        self.readers.get(&entry.id).ok_or_else(|| crate::Error::invalid("the segment is not open"))
    }

    /// Writes the segments anew that have rows with a vector waiting.
    pub(in crate::store) fn apply_overlay(&mut self, appending: &mut Appending<'_>, view: &ViewDef) -> Result<()> {
        if self.overlay.is_empty() {
            return Ok(());
        }
        self.settle(appending, view)?;
        let overlay = std::mem::take(&mut self.overlay);
        for idx in 0..self.segments.len() {
            let Some(old) = self.segments.get(idx).cloned() else { break };
            let rows = old.first_row..old.first_row + old.rows;
            if overlay.range(rows).next().is_none() {
                continue;
            }
            let entry = self.rewrite(appending, view, &old, &overlay)?;
            if let Some(slot) = self.segments.get_mut(idx) {
                *slot = entry;
            }
            self.discard(appending, view, &old)?;
        }
        for &row in overlay.keys() {
            if self.blank.remove(&row) {
                self.absent.insert(row);
            } else {
                self.absent.remove(row);
            }
            self.rewritten.insert(row);
        }
        Ok(())
    }

    /// Takes the vector of a row within the view away; its zeros are written as [`ViewState::set_row`] writes vectors.
    pub(in crate::store) fn clear_row(
        &mut self,
        appending: &mut Appending<'_>,
        view: &mut ViewDef,
        row: u32,
    ) -> Result<()> {
        let zeros = vec![0.0; view.dimension.unwrap_or(1) as usize];
        self.blank.insert(row);
        self.lay_over(appending, view, row, zeros)
    }

    /// Rows below the view's end whose vectors were written anew in this batch, each told once.
    pub(in crate::store) fn take_rewritten(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.rewritten)
    }

    /// Hands the stored rows of `range` to `each` with the number of the first, a few at a time. All segments are
    /// closed by then ([`ViewState::finish`]).
    pub(in crate::store) fn read_range(
        &mut self,
        appending: &mut Appending<'_>,
        view: &ViewDef,
        range: Range<u32>,
        mut each: impl FnMut(&mut Appending<'_>, u32, &SegmentRows<'_>) -> Result<()>,
    ) -> Result<()> {
        for entry in self.segments.clone() {
            let (mut start, end) = (range.start.max(entry.first_row), range.end.min(entry.first_row + entry.rows));
            if start >= end {
                continue;
            }
            let reader = self.reader(appending, view, &entry)?;
            while start < end {
                let stop = end.min(start + READ_ROWS);
                let rows = reader.rows(start - entry.first_row..stop - entry.first_row)?;
                each(appending, start, &rows)?;
                start = stop;
            }
        }
        Ok(())
    }

    /// A copy of segment `old` with the overlay's vectors in their rows.
    fn rewrite(
        &mut self,
        appending: &mut Appending<'_>,
        view: &ViewDef,
        old: &SegmentEntry,
        overlay: &BTreeMap<u32, Vec<f32>>,
    ) -> Result<SegmentEntry> {
        appending.tx.check_in_place()?;
        let mut writer = create_segment(appending, view, old.first_row)?;
        let reader = self.reader(appending, view, old)?;
        let mut copied = Vec::new();
        let mut start = 0;
        while start < old.rows {
            let end = old.rows.min(start + COPY_ROWS);
            let rows = reader.rows(start..end)?;
            copied.clear();
            for offset in start..end {
                match overlay.get(&(old.first_row + offset)) {
                    Some(vector) => copied.extend_from_slice(vector),
                    None => push_row(&rows, (offset - start) as usize, &mut copied),
                }
            }
            writer.append_f32(&copied)?;
            start = end;
        }
        record_segment(appending, view, writer)
    }

    /// Takes a segment out of the catalog; its file goes when nobody reads it any more.
    pub(in crate::store) fn discard(
        &mut self,
        appending: &mut Appending<'_>,
        view: &ViewDef,
        old: &SegmentEntry,
    ) -> Result<()> {
        self.readers.remove(&old.id);
        appending.tx.remove(&tables::SEGMENTS, &(view.id, old.id))?;
        remove_block_sums(appending.tx, old.id)?;
        let path = segment::path(view.id, old.id);
        if let Some(idx) = appending.created.iter().position(|created| *created == path) {
            // No commit ever named it.
            appending.created.swap_remove(idx);
            return appending.shared.storage.remove(&path);
        }
        appending.garbage.push(path);
        Ok(())
    }

    /// Everything that the batch has for this view goes to its segments.
    pub(in crate::store) fn settle_all(&mut self, appending: &mut Appending<'_>, view: &ViewDef) -> Result<()> {
        self.apply_overlay(appending, view)?;
        self.settle(appending, view)
    }

    /// Everything that the batch has for this view goes to its segments and the transaction.
    pub(in crate::store) fn finish(&mut self, appending: &mut Appending<'_>, view: &ViewDef) -> Result<()> {
        self.settle_all(appending, view)?;
        self.absent.write(appending.tx, &tables::ABSENT, view.id)
    }
}

/// A reader of a closed segment, as the batch sees it.
pub(in crate::store) fn open_reader(
    appending: &Appending<'_>,
    view: &ViewDef,
    entry: &SegmentEntry,
) -> Result<SegmentReader> {
    let blocks = segment::full_blocks(entry.rows, entry.dimension, entry.element);
    let sums = read_block_sums(appending.tx, entry.id, blocks)?;
    SegmentReader::open(&*appending.shared.storage, view.id, entry, sums)
}

/// Rows at which a segment of this view is full.
fn most_rows(view: &ViewDef) -> u32 {
    let row_bytes = segment::stride_bytes(view.dimension.unwrap_or(1), view.element);
    // Whole groups of 64 rows, so that blocks of rows stay aligned from one segment to the next.
    ((SEGMENT_BYTES / row_bytes.max(1)).clamp(1_024, 1 << 20) as u32) & !63
}

fn create_segment(appending: &mut Appending<'_>, view: &ViewDef, first_row: u32) -> Result<SegmentWriter> {
    let id = SegmentId(appending.meta.next_segment);
    appending.meta.next_segment = crate::store::names::counted_up(appending.meta.next_segment)?;
    appending.created.push(segment::path(view.id, id));
    let dimension = view.dimension.unwrap_or(1);
    SegmentWriter::create(Arc::clone(&appending.shared.storage), view.id, id, first_row, dimension, view.element)
}

/// Writes a segment's entry and checksums to the transaction. A small append is synced with the commit, at one time
/// with the catalog; a large one now, so that a batch of any size holds few files open.
fn record_segment(appending: &mut Appending<'_>, view: &ViewDef, writer: SegmentWriter) -> Result<SegmentEntry> {
    let (appended, unsynced) = writer.finish()?;
    put_block_sums(appending.tx, appended.entry.id, appended.first_block, &appended.sums)?;
    appending.tx.put(&tables::SEGMENTS, &(view.id, appended.entry.id), &appended.entry)?;
    *appending.changed = true;
    match appended.sums.len() > SYNCED_LATER_BLOCKS {
        true => unsynced.sync()?,
        false => appending.tx.sync_at_commit(unsynced),
    }
    Ok(appended.entry)
}
