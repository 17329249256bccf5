//! Level 2: segment files, which hold the vectors of a view.
//!
//! Owns the file's layout, appending to it and reading it through a mapping that checks each block at its first
//! touch. A segment only grows; bytes beyond the committed row are ignored and overwritten by the next append. It knows
//! no catalog: checksums come in and go out as numbers.

#[cfg(target_endian = "big")]
compile_error!("segments are little-endian and read in place: big-endian machines are not supported");

pub mod header;
pub mod reader;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod writer;

pub use reader::{SegmentReader, SegmentRows};
pub use writer::SegmentWriter;

use crate::types::{ElementType, SegmentId, ViewId};

/// The folder of all segments, by view.
pub const SEGMENTS_FOLDER: &str = "segments";
/// Bytes of one checksummed block of rows.
pub const BLOCK_BYTES: u64 = 64 << 10;
/// Rows start at multiples of this many bytes.
pub const ROW_ALIGNMENT: usize = 64;

/// The folder of a view's segments.
pub fn folder(view: ViewId) -> String {
    format!("{SEGMENTS_FOLDER}/{view}")
}

/// The file of a segment.
pub fn path(view: ViewId, segment: SegmentId) -> String {
    format!("{SEGMENTS_FOLDER}/{view}/{segment}.seg")
}

/// Bytes from one row to the next: the elements, padded with zeros to [`ROW_ALIGNMENT`].
pub fn stride_bytes(dimension: u32, element: ElementType) -> u64 {
    (u64::from(dimension) * element.size_bytes() as u64).next_multiple_of(ROW_ALIGNMENT as u64)
}

/// Full blocks of `rows` rows: those whose checksums stand in the catalog one by one.
pub fn full_blocks(rows: u32, dimension: u32, element: ElementType) -> u64 {
    u64::from(rows) * stride_bytes(dimension, element) / BLOCK_BYTES
}
