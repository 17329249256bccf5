//! A weighted sum of lenses as the scans take it: whose rows, whose query, what weight.
//!
//! Owns [`Blend`], which nothing here scores.

use crate::lens::{Prepared, ProcessedQuery, RowSource};

/// A weighted sum of lenses over the rows of one collection.
#[derive(Clone)]
pub struct Blend<'a> {
    /// The views' rows; row numbers are the same in all of them.
    pub sources: Vec<&'a dyn RowSource>,
    /// At least one, in the order written.
    pub parts: Vec<WeightedLens<'a>>,
}

/// One lens of a blend.
#[derive(Debug, Clone, Copy)]
pub struct WeightedLens<'a> {
    /// Position of its view among the sources.
    pub source_idx: usize,
    /// Its records.
    pub prepared: &'a Prepared,
    /// The query as it sees it.
    pub query: &'a ProcessedQuery,
    /// What its score is multiplied by.
    pub weight: f64,
    /// What its candidates are chosen by; `None`: the raw rows.
    pub kept: Option<KeptRows<'a>>,
}

/// The lens over rows that stand in for the raw ones, see [`StandIn`](super::StandIn).
#[derive(Debug, Clone, Copy)]
pub struct KeptRows<'a> {
    /// Position of the rows among the sources.
    pub source_idx: usize,
    /// A lens without steps over them, with the metric of the search.
    pub prepared: &'a Prepared,
    /// The query, folded over them.
    pub query: &'a ProcessedQuery,
}

impl<'a> WeightedLens<'a> {
    /// As the scan sees it.
    pub(super) fn seen(&self) -> WeightedLens<'a> {
        match self.kept {
            Some(KeptRows { source_idx, prepared, query }) => WeightedLens { source_idx, prepared, query, ..*self },
            None => *self,
        }
    }
}
