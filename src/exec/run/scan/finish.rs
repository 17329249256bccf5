//! From candidates to hits: every row that may be among the best is scored in `f64` from the raw row.
//!
//! Owns [`rescore`] and the order of hits. The score of a row is a pure function of query and row; nothing that
//! chose the candidates is in it.

use super::wanted::{ScanResult, Scored, Wanted};
use crate::error::Result;
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::linalg::matrix;
use crate::linalg::rows::RowRef;
use crate::linalg::team;
use crate::linalg::topk::Candidate;
use rayon::prelude::*;
use std::cmp::Ordering;

/// Multiplications that are worth another thread: about a hundred microseconds. With less, waking it and having both
/// read the matrices took longer than one alone. Tests have less to do, and share it all the same.
const TASK_WORK: usize = if cfg!(test) { 1 << 8 } else { 2_000_000 };

/// The scores (or distances) of some rows, in the order of `rows`, as a scan would show them.
///
/// # Errors
/// Rows that cannot be read.
///
/// # Panics
/// When a row is not covered by the source.
pub fn rescore(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    rows: &[u32],
) -> Result<Vec<Scored>> {
    let find = |&row: &u32| {
        let block = block_of(source, row);
        Ok(source.block(block)?.row((row - source.block_range(block).start) as usize))
    };
    let score = |rows: &[u32]| {
        let data: Vec<RowRef<'_>> = rows.iter().map(find).collect::<Result<_>>()?;
        let values = prepared.exact_each(query, &data);
        Ok(rows.iter().zip(values).map(|(&row, value)| Scored { row, value }).collect())
    };
    // Evenly, but for those that read a matrix together anyway.
    let threads = (rows.len() * prepared.exact_work() / TASK_WORK).min(team::threads());
    if threads <= 1 {
        return score(rows);
    }
    let task_rows = rows.len().div_ceil(threads).min(matrix::TOGETHER.max(TASK_WORK / prepared.exact_work().max(1)));
    let tasks: Vec<&[u32]> = rows.chunks(task_rows).collect();
    let scored: Vec<Vec<Scored>> =
        team::map(tasks.len(), |idx| score(tasks[idx])).into_iter().collect::<Result<_>>()?;
    Ok(scored.into_iter().flatten().collect())
}

/// The block that holds `row`.
fn block_of(source: &dyn RowSource, row: u32) -> usize {
    let (mut low, mut high) = (0, source.block_count());
    while low < high {
        let middle = low + (high - low) / 2;
        if source.block_range(middle).end <= row { low = middle + 1 } else { high = middle }
    }
    low
}

/// The best of the candidates, in order. First the most promising are scored; the others only if their upper end
/// reaches the k-th of these.
pub(super) fn hits(
    source: &dyn RowSource,
    prepared: &Prepared,
    query: &ProcessedQuery,
    candidates: Vec<Candidate>,
    wanted: &Wanted,
) -> Result<Vec<Scored>> {
    let distance = prepared.chain().metric().is_distance();
    best(candidates, wanted, distance, |rows| rescore(source, prepared, query, rows))
}

/// [`hits`] for anything that can score rows; `score` keeps their order and is asked for ascending rows.
pub(super) fn best(
    mut candidates: Vec<Candidate>,
    wanted: &Wanted,
    distance: bool,
    score: impl Fn(&[u32]) -> Result<Vec<Scored>>,
) -> Result<Vec<Scored>> {
    candidates.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.row.cmp(&b.row)));
    let first = wanted.k.min(candidates.len());
    let mut hits = score_sorted(&score, &candidates[..first])?;
    if first == wanted.k && first > 0 {
        let kth = hits.iter().map(|hit| key_below(hit.value, distance)).fold(f64::INFINITY, f64::min);
        candidates.drain(..first);
        candidates.retain(|candidate| candidate.upper >= kth);
        hits.extend(score_sorted(&score, &candidates)?);
    }
    if let Some(bound) = wanted.bound {
        hits.retain(|hit| if distance { hit.value <= bound } else { hit.value >= bound });
    }
    hits.sort_unstable_by(|a, b| order(a, b, distance));
    hits.truncate(wanted.k);
    Ok(hits)
}

/// Best first; ties by row.
pub(super) fn order(a: &Scored, b: &Scored, distance: bool) -> Ordering {
    // Zero has two signs and one meaning.
    let (x, y) = (a.value + 0.0, b.value + 0.0);
    let values = if distance { x.total_cmp(&y) } else { y.total_cmp(&x) };
    values.then(a.row.cmp(&b.row))
}

/// The sort key of a value that was scored (the score, or minus the squared distance), lowered by more than the
/// rounding of the square.
pub(super) fn key_below(value: f64, distance: bool) -> f64 {
    if distance { -(value * value) * (1.0 + 1e-12) } else { value }
}

/// Scores candidates in row order, so that blocks are read one after another.
fn score_sorted(score: impl Fn(&[u32]) -> Result<Vec<Scored>>, candidates: &[Candidate]) -> Result<Vec<Scored>> {
    let mut rows: Vec<u32> = candidates.iter().map(|candidate| candidate.row).collect();
    rows.sort_unstable();
    score(&rows)
}

/// What `finish` makes of the candidates of each query, on all threads where there are several.
pub(super) fn all(
    candidates: Vec<Vec<Candidate>>,
    queries: &[ProcessedQuery],
    finish: impl Fn(Vec<Candidate>, &ProcessedQuery) -> Result<ScanResult> + Sync,
) -> Result<Vec<ScanResult>> {
    if candidates.len() <= 1 {
        return candidates.into_iter().zip(queries).map(|(candidates, query)| finish(candidates, query)).collect();
    }
    candidates.into_par_iter().zip(queries).map(|(candidates, query)| finish(candidates, query)).collect()
}
