//! Checksums of blocks, and which blocks of an open segment have passed.
//!
//! The unit is the block of 64 KiB of row bytes, padding included; the last, partly filled block of a snapshot is
//! covered up to the snapshot's last row. The checksum is seeded with segment and block, so that swapped blocks and
//! swapped files do not pass.

use super::BLOCK_BYTES;
use crate::storage::checksum::checksum;
use crate::types::SegmentId;
use std::sync::atomic::{AtomicU64, Ordering};

/// Checksum of a block's bytes.
pub fn block_sum(segment: SegmentId, block_idx: u64, bytes: &[u8]) -> u64 {
    checksum((u64::from(segment.0) << 32) ^ block_idx, bytes)
}

/// Bytes of block `block_idx` among `len` bytes of rows.
pub fn block_span(block_idx: u64, len: u64) -> std::ops::Range<u64> {
    let start = block_idx.saturating_mul(BLOCK_BYTES);
    start.min(len)..start.saturating_add(BLOCK_BYTES).min(len)
}

/// One bit for each block, set once its checksum was found right.
///
/// Bits are only ever set, after the check, and checking twice is harmless: so relaxed order is enough. What a bit
/// vouches for are bytes of the file, which no thread of this process writes.
#[derive(Debug, Default)]
pub struct Verified {
    words: Vec<AtomicU64>,
}

impl Verified {
    /// No block of `block_count` has passed yet.
    pub fn new(block_count: u64) -> Verified {
        Verified { words: (0..block_count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// A copy for a segment that has grown, keeping what is known about its first `kept` blocks.
    #[must_use]
    pub fn grown(&self, kept: u64, block_count: u64) -> Verified {
        let grown = Verified::new(block_count);
        for block_idx in (0..kept).filter(|&block_idx| self.contains(block_idx)) {
            grown.insert(block_idx);
        }
        grown
    }

    /// Whether the block has passed.
    pub fn contains(&self, block_idx: u64) -> bool {
        let word = self.words.get((block_idx / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (block_idx % 64) & 1 == 1)
    }

    /// Notes that the block has passed.
    pub fn insert(&self, block_idx: u64) {
        if let Some(word) = self.words.get((block_idx / 64) as usize) {
            word.fetch_or(1 << (block_idx % 64), Ordering::Relaxed);
        }
    }
}
