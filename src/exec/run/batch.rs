//! What the searches of one pass over the rows have found before their records are read.
//!
//! Owns how the work for each of them is spread over threads.

use super::scan::Scored;
use crate::error::Result;
use crate::exec::reply::SearchPath;
use crate::types::RowSet;
use rayon::prelude::*;

/// Searches of a batch that one task processes or answers, at least.
const TASK_ANSWERS: usize = 8;

/// What a pass over the rows has found.
pub(crate) struct Found {
    /// Of each search the rows, best first.
    pub(crate) hits: Vec<Result<Vec<Scored>>>,
    /// Of each search what is to be said besides.
    pub(crate) notes: Vec<Vec<String>>,
    /// Which rows were read.
    pub(crate) path: SearchPath,
    /// Rows of those looked at that have no direction.
    pub(crate) undirected: RowSet,
}

/// What `run` makes of each search of a batch, on all threads; one alone stays on this one.
pub(crate) fn each<T: Send, R: Send>(mut searches: Vec<T>, run: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match searches.pop() {
        Some(only) if searches.is_empty() => vec![run(only)],
        last => {
            searches.extend(last);
            searches.into_par_iter().with_min_len(TASK_ANSWERS).map(run).collect()
        }
    }
}
