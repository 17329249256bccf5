//! Appending rows to a segment file.
//!
//! Order that a commit must keep: append, [`SegmentWriter::finish`] (which syncs the folder of a new file), a sync of
//! the file, then the moment when the catalog's transaction counts that records the entry and the checksums it returns.
//! Until then nothing of it counts, and a crash leaves bytes that the next append overwrites.

use super::header::{HEADER_BYTES, Header};
use super::verify::{block_span, block_sum};
use super::{BLOCK_BYTES, folder, path};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::{OpenMode, Storage, StorageFile, Unsynced};
use crate::types::limits::{DIMENSION, ROWS};
use crate::types::{ElementType, SegmentEntry, SegmentId, ViewId};
use half::f16;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// What an append made: all of it goes into one catalog transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The segment's entry, now with the appended rows and the tail's checksum.
    pub entry: SegmentEntry,
    /// Number of the first block in `sums`.
    pub first_block: u64,
    /// Checksums of the blocks that this append filled.
    pub sums: Vec<u64>,
}

/// A segment open for appending.
#[derive(Debug)]
pub struct SegmentWriter {
    storage: Arc<dyn Storage>,
    file: Arc<dyn StorageFile>,
    path: PathBuf,
    header: Header,
    rows: u32,
    is_new: bool,
    /// Row bytes that are not in the file yet.
    pending: Vec<u8>,
    /// Where `pending` goes, counted from the first row.
    written: u64,
    /// Row bytes of the block that is not full yet.
    tail: Vec<u8>,
    first_block: u64,
    sums: Vec<u64>,
}

fn check_shape(header: &Header) -> Result<()> {
    if header.dimension == 0 || header.dimension as usize > DIMENSION {
        let message = format!("a dimension of {} is not between 1 and {DIMENSION}", header.dimension);
        return Err(Error::new(ErrorKind::Limit, message));
    }
    Ok(())
}

impl SegmentWriter {
    /// Makes the file of a new segment. A file of that name that no commit names is a crash's leftover and is replaced.
    ///
    /// # Errors
    /// `Limit` for a dimension out of range, `Io` when the operating system refuses.
    pub fn create(
        storage: Arc<dyn Storage>,
        view: ViewId,
        segment: SegmentId,
        first_row: u32,
        dimension: u32,
        element: ElementType,
    ) -> Result<SegmentWriter> {
        let header = Header { view, segment, first_row, dimension, element };
        check_shape(&header)?;
        storage.create_dir(&folder(view))?;
        let name = path(view, segment);
        if storage.exists(&name)? {
            storage.remove(&name)?;
        }
        let file = storage.open(&name, OpenMode::CreateNew)?;
        let path = storage.root().join(&name);
        file.write_all_at(&header.encode(), 0).map_err(|source| Error::io("write", &path, source))?;
        Ok(SegmentWriter::new(storage, file, path, header, 0, true, Vec::new()))
    }

    /// Opens a segment to append after its committed rows; what stands beyond them is overwritten.
    ///
    /// # Errors
    /// `Corrupt` when header or tail are not what was committed, `Io` when the operating system refuses.
    pub fn open(storage: Arc<dyn Storage>, view: ViewId, entry: &SegmentEntry) -> Result<SegmentWriter> {
        let header = Header::of(view, entry);
        check_shape(&header)?;
        let name = path(view, entry.id);
        let path = storage.root().join(&name);
        let len = u64::from(entry.rows) * header.stride_bytes();
        let file = super::reader::open_existing(&*storage, &name, OpenMode::Write, len)?;
        let failed = |source| Error::io("read", &path, source);
        let mut found = vec![0; HEADER_BYTES];
        file.read_exact_at(&mut found, 0).map_err(failed)?;
        header.check(&found, &name, storage.root())?;
        let tail_block = len / BLOCK_BYTES;
        let span = block_span(tail_block, len);
        let mut tail = vec![0; (span.end - span.start) as usize];
        file.read_exact_at(&mut tail, HEADER_BYTES as u64 + span.start).map_err(failed)?;
        let found = if tail.is_empty() { 0 } else { block_sum(entry.id, tail_block, &tail) };
        if found != entry.tail_sum {
            return Err(Error::corrupt(Damage {
                file: PathBuf::from(&name),
                offset: HEADER_BYTES as u64 + span.start,
                what: "the checksum of a segment's last block does not fit".to_string(),
                expected: format!("{:016x}", entry.tail_sum),
                found: format!("{found:016x}"),
            })
            .with_path(&path));
        }
        Ok(SegmentWriter::new(storage, file, path, header, entry.rows, false, tail))
    }

    fn new(
        storage: Arc<dyn Storage>,
        file: Arc<dyn StorageFile>,
        path: PathBuf,
        header: Header,
        rows: u32,
        is_new: bool,
        tail: Vec<u8>,
    ) -> SegmentWriter {
        let written = u64::from(rows) * header.stride_bytes();
        let first_block = written / BLOCK_BYTES;
        let (pending, sums) = (Vec::new(), Vec::new());
        SegmentWriter { storage, file, path, header, rows, is_new, pending, written, tail, first_block, sums }
    }

    /// Rows in the segment, appended ones included.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Appends rows of f32, one after the other, without padding; an f16 segment rounds them to nearest
    /// (numbers that were f16 before come back as they were).
    ///
    /// # Errors
    /// `Invalid` when they are no whole rows, `Limit` when there are too many, `Io` when a write fails.
    pub fn append_f32(&mut self, rows: &[f32]) -> Result<()> {
        let dimension = self.header.dimension as usize;
        self.check_rows(rows.len())?;
        for row in rows.chunks_exact(dimension) {
            match self.header.element {
                ElementType::F32 => self.pending.extend_from_slice(bytemuck::cast_slice(row)),
                ElementType::F16 => {
                    let rounded = row.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes());
                    self.pending.extend(rounded);
                }
            }
            self.end_row()?;
        }
        Ok(())
    }

    /// Appends rows of zeros, for records that have no vector in this view.
    ///
    /// # Errors
    /// `Limit` when there are too many, `Io` when a write fails.
    pub fn append_absent(&mut self, count: u32) -> Result<()> {
        self.check_rows(count as usize * self.header.dimension as usize)?;
        (0..count).try_for_each(|_| self.end_row())
    }

    fn check_rows(&self, elements: usize) -> Result<()> {
        let dimension = self.header.dimension as usize;
        if !elements.is_multiple_of(dimension) {
            return Err(Error::invalid(format!("{elements} numbers are no whole rows of dimension {dimension}")));
        }
        let last = u64::from(self.header.first_row) + u64::from(self.rows) + (elements / dimension) as u64;
        if last > ROWS {
            return Err(Error::new(ErrorKind::Limit, format!("a collection has at most {ROWS} rows")));
        }
        Ok(())
    }

    /// Pads the row that was just gathered, and writes when enough has come together.
    fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        let end = u64::from(self.rows) * self.header.stride_bytes();
        self.pending.resize((end - self.written) as usize, 0);
        if self.pending.len() >= WRITE_BYTES { self.write_pending() } else { Ok(()) }
    }

    fn write_pending(&mut self) -> Result<()> {
        let offset = HEADER_BYTES as u64 + self.written;
        let written = self.file.write_all_at(&self.pending, offset);
        written.map_err(|source| Error::io("write", &self.path, source))?;
        self.written += self.pending.len() as u64;
        let mut rest = self.pending.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES as usize - self.tail.len()));
            self.tail.extend_from_slice(now);
            rest = later;
            if self.tail.len() as u64 == BLOCK_BYTES {
                let block_idx = self.first_block + self.sums.len() as u64;
                self.sums.push(block_sum(self.header.segment, block_idx, &self.tail));
                self.tail.clear();
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes what is pending, and makes the name of a new file safe. The bytes are safe once what comes with the
    /// answer is synced: nothing of the append may be committed before.
    ///
    /// # Errors
    /// `Io` when a write or sync fails.
    pub fn finish(mut self) -> Result<(Appended, Unsynced)> {
        self.write_pending()?;
        if self.is_new {
            self.storage.sync_dir(&folder(self.header.view))?;
            self.storage.sync_dir(super::SEGMENTS_FOLDER)?;
            self.storage.sync_dir("")?;
        }
        let tail_block = self.first_block + self.sums.len() as u64;
        let tail_sum = if self.tail.is_empty() { 0 } else { block_sum(self.header.segment, tail_block, &self.tail) };
        let Header { segment: id, first_row, dimension, element, .. } = self.header;
        let entry = SegmentEntry { id, first_row, rows: self.rows, dimension, element, tail_sum };
        let unsynced = Unsynced::new(self.path, self.file);
        Ok((Appended { entry, first_block: self.first_block, sums: self.sums }, unsynced))
    }
}
