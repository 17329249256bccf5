//! Scanning rows that stand in for the raw ones: the processed rows of a materialized lens.
//!
//! Owns [`scan_stand_in`]. Candidates come from the rows that stand in, which are rounded, with a bound that says so
//! (`lens::derive`); finalists are scored from the raw rows, so that an answer is the same bits as [`super::scan`]'s.

use super::wanted::{PASS_QUERIES, Rows, ScanResult, Wanted};
use super::{finish, screen};
use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::types::{ElementType, RowSet};

/// Rows that stand in for a view's under one lens.
#[derive(Clone, Copy)]
pub struct StandIn<'a> {
    /// The rows, under the numbers of the raw ones.
    pub source: &'a dyn RowSource,
    /// A lens without steps over them, with the metric of the search.
    pub prepared: &'a Prepared,
    /// What they were rounded to.
    pub element: ElementType,
}

impl StandIn<'_> {
    /// The rows of `directed` that these rows can speak for.
    pub fn speaks_for(&self, directed: &RowSet) -> RowSet {
        directed.and(self.prepared.directed()).and_not(self.prepared.extreme())
    }
}

/// [`super::scan_batch`] with the same answers bit for bit, candidates being chosen by `rows`. A row that they do not
/// speak for is scored in full.
///
/// # Errors
/// Rows that cannot be read.
pub fn scan_stand_in(
    source: &dyn RowSource,
    prepared: &Prepared,
    rows: StandIn<'_>,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    k: usize,
    bound: Option<f64>,
) -> Result<Vec<ScanResult>> {
    let directed = allowed.and(prepared.directed());
    let ordinary = rows.speaks_for(&directed);
    let taking_part = Rows { extreme: directed.and_not(&ordinary), ordinary, scanned: directed.len() };
    let wanted = Wanted { k, bound };
    let mut results = Vec::with_capacity(queries.len());
    for queries in queries.chunks(PASS_QUERIES) {
        let refolded: Vec<ProcessedQuery> =
            queries.iter().map(|query| rows.prepared.refold(query, rows.element)).collect();
        let candidates = match refolded.as_slice() {
            [query] => vec![screen::one(rows.source, rows.prepared, query, &taking_part.ordinary, &wanted)?],
            many => screen::many(rows.source, rows.prepared, many, &taking_part.ordinary, &wanted)?,
        };
        results.extend(finish::all(candidates, queries, |candidates, query| {
            let hits = finish::hits(source, prepared, query, taking_part.with_extreme(candidates), &wanted)?;
            Ok(ScanResult { hits, scanned: taking_part.scanned })
        })?);
    }
    Ok(results)
}
