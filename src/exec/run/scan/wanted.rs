//! What a scan is asked for and what it gives: how many rows from which value on, which rows take part, what was found.
//!
//! Owns the rows that an `f32` product cannot speak for: they are candidates without being looked at.

use crate::lens::Prepared;
use crate::linalg::topk::Candidate;
use crate::types::RowSet;

/// Queries that share one pass over the rows: enough to be bound by arithmetic and not by memory, few enough that the
/// candidates of all of them in every task stay small.
pub(super) const PASS_QUERIES: usize = 256;

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

/// How many rows are wanted, and from which value on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) k: usize,
    pub(super) bound: Option<f64>,
}

/// The rows of one scan.
#[derive(Debug)]
pub(super) struct Rows {
    /// Rows that an `f32` product can speak for.
    pub(super) ordinary: RowSet,
    /// The others: candidates without being looked at.
    pub(super) extreme: RowSet,
    pub(super) scanned: u64,
}

impl Rows {
    pub(super) fn new(prepared: &Prepared, allowed: &RowSet) -> Self {
        let directed = allowed.and(prepared.directed());
        let scanned = directed.len();
        if prepared.extreme().is_empty() {
            return Rows { ordinary: directed, extreme: RowSet::new(), scanned };
        }
        let extreme = directed.and(prepared.extreme());
        Rows { ordinary: directed.and_not(&extreme), extreme, scanned }
    }

    pub(super) fn with_extreme(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let anything = |row| Candidate { row, lower: f64::NEG_INFINITY, upper: f64::INFINITY };
        candidates.extend(self.extreme.iter().map(anything));
        candidates
    }
}
