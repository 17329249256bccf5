//! The scan: the best k rows of a view under a prepared lens.
//!
//! Owns [`scan`] and [`scan_batch`]. One pass over the allowed rows computes one `f32` product each and
//! keeps the rows that may be among the best (`screen`); those are scored again in `f64` from the raw row
//! (`finish`), and only these scores are compared and shown. So an answer is the same bits for any number of
//! threads, for one query or many, filtered or not. It knows no records and no names.

mod bits;
mod blend;
mod blend_quick;
#[cfg(test)]
mod blend_tests;
mod finish;
mod pairs;
#[cfg(test)]
mod pairs_tests;
mod quick;
mod screen;
mod stand_in;
#[cfg(test)]
mod tests;
mod watched;

pub use watched::Watched;

pub use blend::{Blend, Kept, Part, count_before, scan_blend};
pub use pairs::{PairScan, scan_pairs};
pub use stand_in::{StandIn, scan_stand_in};

use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::linalg::topk::Candidate;
use crate::types::RowSet;
use rayon::prelude::*;

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
        results.extend(finish_all(candidates, queries, |candidates, query| {
            let hits = finish::hits(source, prepared, query, rows.with_extreme(candidates), &wanted)?;
            Ok(ScanResult { hits, scanned: rows.scanned })
        })?);
    }
    Ok(results)
}

/// What `finish` makes of the candidates of each query, on all threads where there are several.
fn finish_all(
    candidates: Vec<Vec<Candidate>>,
    queries: &[ProcessedQuery],
    finish: impl Fn(Vec<Candidate>, &ProcessedQuery) -> Result<ScanResult> + Sync,
) -> Result<Vec<ScanResult>> {
    if candidates.len() <= 1 {
        return candidates.into_iter().zip(queries).map(|(candidates, query)| finish(candidates, query)).collect();
    }
    candidates.into_par_iter().zip(queries).map(|(candidates, query)| finish(candidates, query)).collect()
}

/// Queries that share one pass over the rows: enough to be bound by arithmetic and not by memory, few enough that the
/// candidates of all of them in every task stay small.
const PASS_QUERIES: usize = 256;

/// How many rows are wanted, and from which value on.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    k: usize,
    bound: Option<f64>,
}

/// The rows of one scan.
#[derive(Debug)]
struct Rows {
    /// Rows that an `f32` product can speak for.
    ordinary: RowSet,
    /// The others: candidates without being looked at.
    extreme: RowSet,
    scanned: u64,
}

impl Rows {
    fn new(prepared: &Prepared, allowed: &RowSet) -> Self {
        let directed = allowed.and(prepared.directed());
        let scanned = directed.len();
        if prepared.extreme().is_empty() {
            return Rows { ordinary: directed, extreme: RowSet::new(), scanned };
        }
        let extreme = directed.and(prepared.extreme());
        Rows { ordinary: directed.and_not(&extreme), extreme, scanned }
    }

    fn with_extreme(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let anything = |row| Candidate { row, lower: f64::NEG_INFINITY, upper: f64::INFINITY };
        candidates.extend(self.extreme.iter().map(anything));
        candidates
    }
}
