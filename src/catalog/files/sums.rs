//! Checksums of a segment's full blocks, kept in chunks of [`SUMS_PER_CHUNK`].
//!
//! Chunks bound what an append rewrites: one chunk of 2 KiB, however long the segment is.

use crate::catalog::tables::BLOCK_SUMS;
use crate::catalog::{CatalogRead, WriteTransaction};
use crate::error::Result;
use crate::types::SegmentId;

/// Blocks in one chunk: 256 blocks of 64 KiB are 16 MiB of vectors.
pub const SUMS_PER_CHUNK: u64 = 256;

/// The checksums of the first `block_count` blocks of `segment`.
///
/// # Errors
/// `Corrupt` when some are missing, or what reading the catalog gives.
pub fn read_block_sums(read: &impl CatalogRead, segment: SegmentId, block_count: u64) -> Result<Vec<u64>> {
    let mut sums = Vec::new();
    for chunk_idx in 0..block_count.div_ceil(SUMS_PER_CHUNK) {
        let wanted = (block_count - chunk_idx * SUMS_PER_CHUNK).min(SUMS_PER_CHUNK) as usize;
        let key = (segment, chunk_idx as u32);
        let chunk = read.get(&BLOCK_SUMS, &key)?.unwrap_or_default();
        let Some(found) = chunk.get(..wanted) else {
            let key = crate::catalog::KeyBytes::to_bytes(&key);
            let (expected, found) = (format!("{wanted} checksums"), chunk.len().to_string());
            return Err(crate::catalog::codec::damaged(
                BLOCK_SUMS.name(),
                &key,
                "block checksums are missing",
                &expected,
                &found,
            ));
        };
        sums.extend_from_slice(found);
    }
    Ok(sums)
}

/// Records the checksums of the blocks from `first_block` on; those before it must have been recorded.
///
/// # Errors
/// What reading and writing the catalog gives.
pub fn put_block_sums(write: &WriteTransaction, segment: SegmentId, first_block: u64, sums: &[u64]) -> Result<()> {
    let mut block_idx = first_block;
    let mut rest = sums;
    while !rest.is_empty() {
        let key = (segment, (block_idx / SUMS_PER_CHUNK) as u32);
        let place = (block_idx % SUMS_PER_CHUNK) as usize;
        let mut chunk = if place == 0 { Vec::new() } else { read_block_sums_chunk(write, key, place)? };
        let (now, later) = rest.split_at(rest.len().min(SUMS_PER_CHUNK as usize - place));
        chunk.extend_from_slice(now);
        write.put(&BLOCK_SUMS, &key, &chunk)?;
        block_idx += now.len() as u64;
        rest = later;
    }
    Ok(())
}

fn read_block_sums_chunk(write: &WriteTransaction, key: (SegmentId, u32), count: usize) -> Result<Vec<u64>> {
    let mut chunk = write.get(&BLOCK_SUMS, &key)?.unwrap_or_default();
    if chunk.len() < count {
        let key = crate::catalog::KeyBytes::to_bytes(&key);
        let (expected, found) = (format!("{count} checksums"), chunk.len().to_string());
        return Err(crate::catalog::codec::damaged(
            BLOCK_SUMS.name(),
            &key,
            "block checksums are missing",
            &expected,
            &found,
        ));
    }
    chunk.truncate(count);
    Ok(chunk)
}

/// Forgets a segment's checksums.
///
/// # Errors
/// What reading and writing the catalog gives.
pub fn remove_block_sums(write: &WriteTransaction, segment: SegmentId) -> Result<()> {
    let found = write.range(&BLOCK_SUMS, (segment, 0)..=(segment, u32::MAX))?;
    for (key, _) in found {
        write.remove(&BLOCK_SUMS, &key)?;
    }
    Ok(())
}
