//! The header of a segment file: what it holds, so that a file in the wrong place is noticed.
//!
//! The file, all numbers little-endian:
//!
//! ```text
//! 0      8     magic "SIMSEG\0\1"
//! 8      4     version of this layout, 1
//! 12     4     view
//! 16     4     segment
//! 20     4     first row
//! 24     4     dimension
//! 28     4     element type: 1 f32, 2 f16
//! 32     8     stride in bytes: dimension elements, padded with zeros to a multiple of 64
//! 40     16    zero
//! 56     8     checksum of bytes 0..56
//! 64     4032  zero
//! 4096         row 0, row 1, ...; block i of 64 KiB starts at 4096 + i * 65536
//! ```
//!
//! The number of rows is not in the file: the catalog says how many count.

use crate::error::{Damage, Error, ErrorKind, Result};
use crate::storage::checksum::checksum;
use crate::types::{ElementType, SegmentEntry, SegmentId, ViewId};
use std::path::{Path, PathBuf};

/// Bytes before the first row: one page, so that rows are aligned in memory.
pub const HEADER_BYTES: usize = 4_096;
const MAGIC: &[u8; 8] = b"SIMSEG\0\x01";
const VERSION: u32 = 1;
const SUM_OFFSET: usize = 56;
const FIELDS_END: usize = 64;
const SEED: u64 = 0x5345_474d;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The view it belongs to.
    pub view: ViewId,
    /// The segment's number.
    pub segment: SegmentId,
    /// The collection's row that is the file's row 0.
    pub first_row: u32,
    /// Dimension of the rows.
    pub dimension: u32,
    /// Element type of the rows.
    pub element: ElementType,
}

impl Header {
    /// The header a segment with this entry must have.
    pub fn of(view: ViewId, entry: &SegmentEntry) -> Header {
        Header {
            view,
            segment: entry.id,
            first_row: entry.first_row,
            dimension: entry.dimension,
            element: entry.element,
        }
    }

    /// Bytes from one row to the next.
    pub fn stride_bytes(&self) -> u64 {
        super::stride_bytes(self.dimension, self.element)
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let element: u32 = match self.element {
            ElementType::F32 => 1,
            ElementType::F16 => 2,
        };
        let fields = [VERSION, self.view.0, self.segment.0, self.first_row, self.dimension, element];
        bytes[..8].copy_from_slice(MAGIC);
        for (field_idx, field) in fields.iter().enumerate() {
            let at = 8 + field_idx * 4;
            bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
        }
        bytes[32..40].copy_from_slice(&self.stride_bytes().to_le_bytes());
        let sum = checksum(SEED, &bytes[..SUM_OFFSET]);
        bytes[SUM_OFFSET..FIELDS_END].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Checks that `found`, the first bytes of the file `name` in the store at `root`, is exactly this header.
    ///
    /// # Errors
    /// `Version` for a later layout whose checksum holds, `Corrupt` naming the first byte that differs otherwise.
    pub fn check(&self, found: &[u8], name: &str, root: &Path) -> Result<()> {
        let path = &root.join(name);
        let expected = self.encode();
        if found == expected {
            return Ok(());
        }
        if let Some(version) = later_version(found) {
            let message = format!("{} has segment layout {version}; this build reads {VERSION}", path.display());
            return Err(Error::new(ErrorKind::Version, message).with_path(path));
        }
        let same = found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
        let around = same - same % 8;
        let word = |bytes: &[u8]| -> String {
            let end = (around + 8).min(bytes.len());
            bytes.get(around..end).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let what = "the segment's header is not the one the catalog describes".to_string();
        let file = PathBuf::from(name);
        let damage = Damage { file, offset: around as u64, what, expected: word(&expected), found: word(found) };
        Err(Error::corrupt(damage).with_path(path))
    }
}

fn later_version(found: &[u8]) -> Option<u32> {
    let sum = u64::from_le_bytes(found.get(SUM_OFFSET..FIELDS_END)?.try_into().ok()?);
    let version = u32::from_le_bytes(found.get(8..12)?.try_into().ok()?);
    let sound = found.starts_with(MAGIC) && sum == checksum(SEED, found.get(..SUM_OFFSET)?);
    (sound && version > VERSION).then_some(version)
}
