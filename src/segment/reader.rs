//! Reading a segment through a mapping, each block checked at its first touch.
//!
//! Everything the file claims is checked against the catalog's entry before it is used: length, header, then blocks.
//! Invariant: no byte of a row is handed out before the checksum of its block was found right.

use super::header::{HEADER_BYTES, Header};
use super::verify::{Verified, block_span, block_sum};
use super::{BLOCK_BYTES, path};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::{Advice, Mapping, OpenMode, Storage, StorageFile};
use crate::types::limits::{DIMENSION, ROWS};
use crate::types::{ElementType, SegmentEntry, ViewId};
use half::f16;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A segment up to this size is fetched as soon as it is opened; of larger ones the scan reads ahead.
const PREFETCH_BYTES: u64 = 64 << 20;

/// Borrowed rows, `stride` elements apart; elements beyond the dimension are zero.
#[derive(Debug, Clone, Copy)]
pub enum SegmentRows<'a> {
    /// Rows of 32-bit floats.
    F32 {
        /// All elements, padding included.
        data: &'a [f32],
        /// Elements from one row to the next.
        stride: usize,
        /// Elements of a row that count.
        dimension: usize,
    },
    /// Rows of 16-bit floats.
    F16 {
        /// All elements, padding included.
        data: &'a [f16],
        /// Elements from one row to the next.
        stride: usize,
        /// Elements of a row that count.
        dimension: usize,
    },
}

/// A segment open for reading, up to one snapshot's row. Any number of threads may read at once.
#[derive(Debug)]
pub struct SegmentReader {
    mapping: Mapping,
    name: PathBuf,
    path: PathBuf,
    entry: SegmentEntry,
    stride_bytes: u64,
    sums: Vec<u64>,
    verified: Verified,
}

fn damaged(name: &str, storage: &dyn Storage, offset: u64, what: &str, expected: String, found: String) -> Error {
    let damage = Damage { file: PathBuf::from(name), offset, what: what.to_string(), expected, found };
    Error::corrupt(damage).with_path(&storage.root().join(name))
}

/// Opens a segment's file that a commit names, with at least `len` bytes of rows.
pub(super) fn open_existing(
    storage: &dyn Storage,
    name: &str,
    mode: OpenMode,
    len: u64,
) -> Result<Arc<dyn StorageFile>> {
    let file = match storage.open(name, mode) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (expected, found) = ("a file".to_string(), "none".to_string());
            let error = damaged(name, storage, 0, "a segment that the catalog names is missing", expected, found);
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let found = file.len().map_err(|source| Error::io("inspect", &storage.root().join(name), source))?;
    let expected = len.saturating_add(HEADER_BYTES as u64);
    if found < expected {
        let (expected, found_words) = (format!("at least {expected} bytes"), format!("{found} bytes"));
        return Err(damaged(name, storage, found, "a segment is shorter than its rows", expected, found_words));
    }
    Ok(file)
}

impl SegmentReader {
    /// Opens a segment; `sums` are the checksums of its full blocks, in order, from the catalog.
    ///
    /// # Errors
    /// `Corrupt` when the file is missing, too short, or not the segment that `entry` describes; `Limit` for an entry
    /// that claims too much; `Io` otherwise.
    pub fn open(storage: &dyn Storage, view: ViewId, entry: &SegmentEntry, sums: Vec<u64>) -> Result<SegmentReader> {
        SegmentReader::open_with(storage, view, entry, sums, Verified::new)
    }

    /// Opens the same segment at a later commit, keeping what is known about blocks that were full before.
    ///
    /// # Errors
    /// As [`SegmentReader::open`].
    pub fn reopen(
        &self,
        storage: &dyn Storage,
        view: ViewId,
        entry: &SegmentEntry,
        sums: Vec<u64>,
    ) -> Result<SegmentReader> {
        let same = self.sums.iter().zip(&sums).take_while(|(before, now)| before == now).count() as u64;
        let kept = if self.entry.id == entry.id { same } else { 0 };
        SegmentReader::open_with(storage, view, entry, sums, |block_count| self.verified.grown(kept, block_count))
    }

    fn open_with(
        storage: &dyn Storage,
        view: ViewId,
        entry: &SegmentEntry,
        sums: Vec<u64>,
        verified: impl FnOnce(u64) -> Verified,
    ) -> Result<SegmentReader> {
        let rows_end = u64::from(entry.first_row) + u64::from(entry.rows);
        if entry.dimension == 0 || entry.dimension as usize > DIMENSION || rows_end > ROWS {
            let message = format!("segment {} claims {rows_end} rows of dimension {}", entry.id, entry.dimension);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let name = path(view, entry.id);
        let header = Header::of(view, entry);
        let stride_bytes = header.stride_bytes();
        let len = u64::from(entry.rows) * stride_bytes;
        let expected = len / BLOCK_BYTES;
        if sums.len() as u64 != expected {
            let found = format!("{}", sums.len());
            let what = "the catalog has another number of block checksums";
            return Err(damaged(&name, storage, HEADER_BYTES as u64, what, format!("{expected}"), found));
        }
        drop(open_existing(storage, &name, OpenMode::Read, len)?);
        let mapping = storage.map(&name, HEADER_BYTES as u64 + len)?;
        let full_path = storage.root().join(&name);
        header.check(mapping.get(..HEADER_BYTES).unwrap_or_default(), &name, storage.root())?;
        let will_need = mapping.len() as u64 <= PREFETCH_BYTES;
        mapping.advise(if will_need { Advice::WillNeed } else { Advice::Sequential });
        Ok(SegmentReader {
            mapping,
            name: PathBuf::from(name),
            path: full_path,
            entry: entry.clone(),
            stride_bytes,
            sums,
            verified: verified(len.div_ceil(BLOCK_BYTES)),
        })
    }

    /// Refuses to go on where somebody has shortened the file since it was mapped: reading on would end the process.
    /// A file that has no name any more stays as it is while it is mapped.
    ///
    /// # Errors
    /// `Corrupt` when the file ends early by now, `Io` when the operating system does not say.
    pub fn check_length(&self, storage: &dyn Storage) -> Result<()> {
        let name = self.name.to_string_lossy();
        let found = match storage.len(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let needed = HEADER_BYTES as u64 + u64::from(self.entry.rows) * self.stride_bytes;
        if found >= needed {
            return Ok(());
        }
        let what = "a segment was shortened while it was in use";
        Err(damaged(&name, storage, found, what, format!("at least {needed} bytes"), format!("{found} bytes")))
    }

    /// The entry it was opened with.
    pub fn entry(&self) -> &SegmentEntry {
        &self.entry
    }

    /// Rows `rows` of the segment (counted from its own first row), their blocks checked.
    ///
    /// # Errors
    /// `Invalid` when they are not all in the segment, `Corrupt` when a block's checksum does not fit.
    pub fn rows(&self, rows: Range<u32>) -> Result<SegmentRows<'_>> {
        if rows.start > rows.end || rows.end > self.entry.rows {
            let message = format!("rows {}..{} of a segment of {}", rows.start, rows.end, self.entry.rows);
            return Err(Error::invalid(message));
        }
        let span = u64::from(rows.start) * self.stride_bytes..u64::from(rows.end) * self.stride_bytes;
        if !span.is_empty() {
            for block_idx in span.start / BLOCK_BYTES..span.end.div_ceil(BLOCK_BYTES) {
                if !self.verified.contains(block_idx) {
                    self.verify_block(block_idx)?;
                    self.verified.insert(block_idx);
                }
            }
        }
        let bytes = self.row_bytes(span)?;
        let dimension = self.entry.dimension as usize;
        let stride = self.stride_bytes as usize / self.entry.element.size_bytes();
        Ok(match self.entry.element {
            ElementType::F32 => SegmentRows::F32 { data: self.cast(bytes)?, stride, dimension },
            ElementType::F16 => SegmentRows::F16 { data: self.cast(bytes)?, stride, dimension },
        })
    }

    fn cast<'a, T: bytemuck::Pod>(&self, bytes: &'a [u8]) -> Result<&'a [T]> {
        bytemuck::try_cast_slice(bytes).map_err(|reason| {
            Error::new(ErrorKind::Unsupported, format!("{} is not aligned in memory: {reason}", self.path.display()))
        })
    }

    fn row_bytes(&self, span: Range<u64>) -> Result<&[u8]> {
        let start = HEADER_BYTES + span.start as usize;
        let end = HEADER_BYTES + span.end as usize;
        self.mapping.get(start..end).ok_or_else(|| Error::invalid("rows beyond the end of a segment"))
    }

    fn verify_block(&self, block_idx: u64) -> Result<()> {
        match self.block_damage(block_idx)? {
            None => Ok(()),
            Some(damage) => Err(Error::corrupt(damage).with_path(&self.path)),
        }
    }

    fn block_damage(&self, block_idx: u64) -> Result<Option<Damage>> {
        let len = u64::from(self.entry.rows) * self.stride_bytes;
        let span = block_span(block_idx, len);
        let expected = self.sums.get(block_idx as usize).copied().unwrap_or(self.entry.tail_sum);
        let offset = HEADER_BYTES as u64 + span.start;
        let found = block_sum(self.entry.id, block_idx, self.row_bytes(span)?);
        Ok((found != expected).then(|| Damage {
            file: self.name.clone(),
            offset,
            what: format!("the checksum of block {block_idx} does not fit"),
            expected: format!("{expected:016x}"),
            found: format!("{found:016x}"),
        }))
    }

    /// Copies the segment, as far as its entry goes, to its place in another store's folder, each block checked on the
    /// way, and makes it safe there. `go_on` is asked between blocks. Answers with the bytes written.
    ///
    /// # Errors
    /// `Corrupt` for damage here, `Io` when the operating system refuses, and what `go_on` answers.
    pub fn copy_to(&self, to: &dyn Storage, view: ViewId, go_on: impl Fn() -> Result<()>) -> Result<u64> {
        let name = path(view, self.entry.id);
        let folder = super::folder(view);
        to.create_dir(&folder)?;
        let file = to.open(&name, OpenMode::CreateNew)?;
        let failed = |action, source| Error::io(action, &to.root().join(&name), source);
        let len = u64::from(self.entry.rows) * self.stride_bytes;
        let header = self.mapping.get(..HEADER_BYTES).unwrap_or_default();
        file.write_all_at(header, 0).map_err(|source| failed("write", source))?;
        for block_idx in 0..len.div_ceil(BLOCK_BYTES) {
            go_on()?;
            self.verify_block(block_idx)?;
            let span = block_span(block_idx, len);
            let offset = HEADER_BYTES as u64 + span.start;
            file.write_all_at(self.row_bytes(span)?, offset).map_err(|source| failed("write", source))?;
        }
        file.sync().map_err(|source| failed("sync", source))?;
        to.sync_dir(&folder)?;
        to.sync_dir(super::SEGMENTS_FOLDER)?;
        Ok(HEADER_BYTES as u64 + len)
    }

    /// Checks every block, whether it has passed before or not, and lists all damage; `go_on` is asked before each.
    ///
    /// # Errors
    /// `Invalid` if the segment is not mapped as far as its entry says, which opening it excludes; what `go_on`
    /// answers.
    pub fn verify_all(&self, found: &mut Vec<Damage>, go_on: impl Fn() -> Result<()>) -> Result<()> {
        let len = u64::from(self.entry.rows) * self.stride_bytes;
        for block_idx in 0..len.div_ceil(BLOCK_BYTES) {
            go_on()?;
            found.extend(self.block_damage(block_idx)?);
        }
        Ok(())
    }
}
