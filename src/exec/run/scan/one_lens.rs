//! The scan under one lens: the best k rows of a view, for one query or for many at once.
//!
//! Owns [`scan`] and [`scan_batch`], whose answers are the same bit for bit.

use super::wanted::{PASS_QUERIES, Rows, ScanResult, Wanted};
use super::{finish, screen};
use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::types::RowSet;

/// The best `k` of the rows in `allowed` that have a direction; with a `bound`, of those whose score is at least (whose
/// distance is at most) `bound`. Shares the work as [`team`](crate::linalg::team) says.
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
    let rows = Rows::new(prepared, allowed);
    let wanted = Wanted { k, bound };
    let candidates = screen::one(source, prepared, query, &rows.ordinary, &wanted)?;
    let hits = finish::hits(source, prepared, query, rows.with_extreme(candidates), &wanted)?;
    Ok(ScanResult { hits, scanned: rows.scanned })
}

/// [`scan`] for many queries at once, with the same answers bit for bit: products of tiles of rows with all queries.
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
    if let [query] = queries {
        return Ok(vec![scan(source, prepared, query, allowed, k, bound)?]);
    }
    let rows = Rows::new(prepared, allowed);
    let wanted = Wanted { k, bound };
    let mut results = Vec::with_capacity(queries.len());
    for queries in queries.chunks(PASS_QUERIES) {
        let candidates = screen::many(source, prepared, queries, &rows.ordinary, &wanted)?;
        results.extend(finish::all(candidates, queries, |candidates, query| {
            let hits = finish::hits(source, prepared, query, rows.with_extreme(candidates), &wanted)?;
            Ok(ScanResult { hits, scanned: rows.scanned })
        })?);
    }
    Ok(results)
}
