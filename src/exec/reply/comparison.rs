//! Several lenses side by side, as `compare` answers.
//!
//! Owns the columns and how far each two agree; a change of place is read off the columns.

use super::answer::{Answer, Hit};
use std::collections::HashMap;
use std::time::Duration;

/// The answers of several lenses to one search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The statement in canonical form, `top` included.
    pub statement: String,
    /// The lenses in the order written, at least two.
    pub lenses: Vec<String>,
    /// For each lens the answer it gives alone.
    pub columns: Vec<Answer>,
    /// How far each two columns agree: first and second, first and third, ..., second and third, ...
    pub agreements: Vec<Agreement>,
    /// Time of all of them.
    pub elapsed: Duration,
}

/// How far two columns of a comparison agree.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Agreement {
    /// Position of one column.
    pub first: usize,
    /// Position of the other.
    pub second: usize,
    /// Records that both list.
    pub shared: u64,
    /// `shared` divided by the length of the longer list: overlap@k where both list k. `None` where both are empty.
    pub overlap: Option<f64>,
    /// Kendall's tau-b of the places of the shared records, -1 to 1: 1 for the same order, -1 for the opposite one.
    /// `None` where fewer than 2 are shared. Places never tie, so it is (pairs in the same order - pairs in the
    /// opposite order) / all pairs (Kendall 1945; `scipy.stats.kendalltau`).
    pub rank_correlation: Option<f64>,
}

impl Comparison {
    /// How many places a hit stands higher than in the first column (negative: lower), whose hits all have 0; `None`
    /// where the first column does not list it.
    pub fn change(&self, hit: &Hit) -> Option<i64> {
        let first = self.columns.first()?.hits().iter().find(|other| other.id() == hit.id())?;
        Some(first.rank() as i64 - hit.rank() as i64)
    }

    /// [`Comparison::change`] of every hit of a column, in its order; empty for a column that is not there.
    pub fn changes(&self, column: usize) -> Vec<Option<i64>> {
        let first = self.columns.first().map(|answer| answer.hits()).unwrap_or_default();
        let ranks: HashMap<&str, u64> = first.iter().map(|hit| (hit.id(), hit.rank())).collect();
        let hits = self.columns.get(column).map(|answer| answer.hits()).unwrap_or_default();
        hits.iter().map(|hit| Some(*ranks.get(hit.id())? as i64 - hit.rank() as i64)).collect()
    }
}
