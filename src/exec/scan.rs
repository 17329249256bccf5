//! The scan: the best k rows of a view under a prepared lens.
//!
//! Owns [`scan`], [`scan_batch`] and [`rescore`]. It knows no records and no names.

use crate::error::Result;
use crate::lens::program::Traveller;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::types::RowSet;

/// A row and its score (or distance, where the metric is one).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The row.
    pub row: u32,
    /// The score or distance, in `f64` from the raw row.
    pub value: f64,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScanResult {
    /// Best first; ties by row.
    pub hits: Vec<Scored>,
    /// Rows that were looked at: allowed and directed.
    pub scanned: u64,
}

/// The best `k` of the rows in `allowed` that have a direction; with a `bound`, of those whose score is at least (whose
/// distance is at most) `bound`.
///
/// # Errors
/// Rows that cannot be read.
pub fn scan(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    allowed: &RowSet,
    k: usize,
    bound: Option<f64>,
) -> Result<ScanResult> {
    let rows: Vec<u32> = allowed.and(prepared.directed()).iter().collect();
    let mut hits = rescore(source, prepared, query, &rows)?;
    let distance = prepared.chain().metric().is_distance();
    hits.retain(|hit| bound.is_none_or(|bound| if distance { hit.value <= bound } else { hit.value >= bound }));
    hits.sort_by(|a, b| {
        let order = if distance { a.value.total_cmp(&b.value) } else { b.value.total_cmp(&a.value) };
        order.then(a.row.cmp(&b.row))
    });
    hits.truncate(k);
    Ok(ScanResult { hits, scanned: rows.len() as u64 })
}

/// [`scan`] for many queries at once, with the same answers bit for bit.
///
/// # Errors
/// Rows that cannot be read.
pub fn scan_batch(
    source: &dyn RowSource,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    k: usize,
    bound: Option<f64>,
) -> Result<Vec<ScanResult>> {
    queries.iter().map(|query| scan(source, prepared, query, allowed, k, bound)).collect()
}

/// The scores (or distances) of some rows, ascending, as [`scan`] would show them.
///
/// # Errors
/// Rows that cannot be read.
pub fn rescore(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    rows: &[u32],
) -> Result<Vec<Scored>> {
    let mut hits = Vec::with_capacity(rows.len());
    let mut traveller = Traveller::default();
    let mut block = 0;
    for &row in rows {
        while source.block_range(block).end <= row {
            block += 1;
        }
        let data = source.block(block)?;
        let at = (row - source.block_range(block).start) as usize;
        hits.push(Scored { row, value: prepared.exact(query, data.row(at), &mut traveller) });
    }
    Ok(hits)
}
