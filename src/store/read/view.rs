//! One view in a snapshot: its vectors, where they are, and which rows have one.
//!
//! Owns [`ViewSnapshot`], the [`RowSource`] that scans read. Blocks lie within one segment and are cut so that a
//! task reads a few hundred KiB at once. Invariant: rows that no vector was stored for read as zeros and are never
//! in [`ViewSnapshot::present`].

use crate::error::{Error, Result};
use crate::lens::RowSource;
use crate::linalg::RowsRef;
use crate::segment::{SegmentReader, folder, stride_bytes};
use crate::store::read::core::Core;
use crate::store::read::record::fill_template;
use crate::store::read::rows_copy::push_row;
use crate::store::read::rows_copy::rows_ref;
use crate::text::embed::Embedder;
use crate::types::{CommitNumber, RowSet, SegmentEntry, ViewDef, ViewId, ViewKind};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Bytes of rows that one block aims at.
const BLOCK_BYTES: u64 = 512 << 10;

/// A segment as far as the snapshot sees it; the file is mapped when it is first touched.
struct Part {
    entry: SegmentEntry,
    reader: OnceLock<Arc<SegmentReader>>,
}

/// Rows of one part that are read at once.
#[derive(Debug, Clone)]
struct Block {
    part_idx: usize,
    rows: Range<u32>,
}

/// One view of a collection in a snapshot.
pub struct ViewSnapshot {
    core: Arc<Core>,
    def: ViewDef,
    present: RowSet,
    parts: Vec<Part>,
    blocks: Vec<Block>,
}

impl ViewSnapshot {
    /// A view over `segments` (ascending, gapless from row 0 to `def.rows`).
    pub(in crate::store) fn new(core: Arc<Core>, def: ViewDef, present: RowSet, segments: Vec<SegmentEntry>) -> Self {
        let mut blocks = Vec::new();
        for (part_idx, entry) in segments.iter().enumerate() {
            let row_bytes = u64::from(entry.dimension) * entry.element.size_bytes() as u64;
            // A power of two of at least 64 rows, so that blocks stay aligned to pages and to tiles of rows.
            let rows_per_block = (BLOCK_BYTES / row_bytes.max(1)).clamp(64, 1 << 16).next_power_of_two() as u32;
            let end = entry.first_row + entry.rows;
            let mut start = entry.first_row;
            while start < end {
                let stop = end.min(start.saturating_add(rows_per_block));
                blocks.push(Block { part_idx, rows: start..stop });
                start = stop;
            }
        }
        let parts = segments.into_iter().map(|entry| Part { entry, reader: OnceLock::new() }).collect();
        ViewSnapshot { core, def, present, parts, blocks }
    }

    /// The view's definition at this snapshot.
    pub fn def(&self) -> &ViewDef {
        &self.def
    }

    /// Live rows that have a vector.
    pub fn present(&self) -> &RowSet {
        &self.present
    }

    /// Segment files of the view, with their committed rows.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.parts.iter().map(|part| &part.entry)
    }

    /// Whether `error` is damage of this view's files.
    pub fn is_in(&self, error: &Error) -> bool {
        error.damage().is_some_and(|damage| damage.file.starts_with(folder(self.def.id)))
    }

    /// Bytes from one stored row to the next; 0 while there is none.
    pub fn row_bytes(&self) -> u64 {
        self.def.dimension.map_or(0, |dimension| stride_bytes(dimension, self.def.element))
    }

    /// The embedder for texts of this view; `None`: vectors are supplied.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when the view names an embedder that this process
    /// does not have.
    pub fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>> {
        self.def.embedder.as_deref().map(|name| self.core.shared.embedder(name)).transpose()
    }

    /// `text` as this view embeds it: put into the view's template where it has one.
    pub fn prepare_text(&self, text: &str) -> String {
        match &self.def.kind {
            ViewKind::Template(template) => fill_template(template, text),
            _ => text.to_string(),
        }
    }

    /// The vector of `row` (halves widened exactly), if the row is live and has one.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when the row's block is damaged.
    pub fn vector(&self, row: u32) -> Result<Option<Vec<f32>>> {
        if !self.present.contains(row) {
            return Ok(None);
        }
        let part_idx = self.parts.partition_point(|part| part.entry.first_row + part.entry.rows <= row);
        let Some(part) = self.parts.get(part_idx) else { return Ok(None) };
        let offset = row - part.entry.first_row;
        let mut vector = Vec::with_capacity(self.dimension());
        push_row(&self.reader(part)?.rows(offset..offset + 1)?, 0, &mut vector);
        Ok(Some(vector))
    }

    /// Whether no file that has been mapped was shortened meanwhile.
    pub(in crate::store) fn has_whole_files(&self) -> bool {
        let mut mapped = self.parts.iter().filter_map(|part| part.reader.get());
        mapped.all(|reader| reader.check_length(&*self.core.shared.storage).is_ok())
    }

    fn reader<'a>(&self, part: &'a Part) -> Result<&'a SegmentReader> {
        if let Some(reader) = part.reader.get() {
            return Ok(reader);
        }
        let reader = self.core.reader(self.def.id, &part.entry)?;
        Ok(part.reader.get_or_init(|| reader))
    }
}

impl RowSource for ViewSnapshot {
    fn dimension(&self) -> usize {
        self.def.dimension.unwrap_or(0) as usize
    }

    fn row_count(&self) -> u32 {
        self.def.rows
    }

    fn block_count(&self) -> usize {
        self.blocks.len()
    }

    fn block_range(&self, block: usize) -> Range<u32> {
        self.blocks.get(block).map_or(self.def.rows..self.def.rows, |block| block.rows.clone())
    }

    fn block(&self, block: usize) -> Result<RowsRef<'_>> {
        let found = self.blocks.get(block).and_then(|block| Some((block, self.parts.get(block.part_idx)?)));
        let Some((block, part)) = found else {
            return Err(crate::Error::invalid(format!("view {} has no block {block}", self.def.name)));
        };
        let first_row = part.entry.first_row;
        let rows = self.reader(part)?.rows(block.rows.start - first_row..block.rows.end - first_row)?;
        Ok(rows_ref(&rows))
    }

    fn identity(&self) -> (ViewId, CommitNumber) {
        (self.def.id, self.core.meta.commit)
    }
}

impl fmt::Debug for ViewSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewSnapshot")
            .field("def", &self.def)
            .field("present", &self.present.len())
            .field("segments", &self.parts.len())
            .finish_non_exhaustive()
    }
}
