//! The most similar pairs of a collection, as `pairs` answers.
//!
//! A pair stands once, with the record first that came first, or that is on the query side.

use super::answer::PlanInfo;
use super::header::LensHeader;
use crate::types::Metric;
use std::time::Duration;

/// The most similar pairs of a collection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pairs {
    /// The statement in canonical form, defaults included.
    pub statement: String,
    /// The collection.
    pub collection: String,
    /// In what respect records were compared.
    pub header: LensHeader,
    /// What was counted: `scanned` rows were compared, each with each.
    pub plan: PlanInfo,
    /// Remarks.
    pub notes: Vec<String>,
    /// The pairs, from most to least similar.
    pub pairs: Vec<Pair>,
    /// Time from binding to answer.
    pub elapsed: Duration,
}

/// Two records and how similar they are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// Place in the whole answer, from 1.
    pub rank: u64,
    /// The record that came first; under a lens whose sides differ, the one on the query side.
    pub a: PairRecord,
    /// The other.
    pub b: PairRecord,
    /// The metric.
    pub metric: Metric,
    /// The score, or the distance where the metric is one: what `a` as a query finds `b` with.
    pub value: f64,
}

impl Pair {
    /// The distance, lower is more similar; `None` where the metric is a score.
    pub fn distance(&self) -> Option<f64> {
        self.metric.is_distance().then_some(self.value)
    }
}

/// A record of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairRecord {
    /// Its id.
    pub id: String,
    /// Its own text, whichever view was compared.
    pub text: String,
}
