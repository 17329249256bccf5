//! Searches that compare vectors, one or many in a pass over the rows.
//!
//! Owns the order of stages and everything that is counted. An answer is the same for one search and in a batch.

use super::batch::each;
use super::clock::{Clock, Run};
use super::hits::answer;
use super::rows::rows_of;
use super::scan::Scored;
use super::{blend, one_lens};
use crate::error::Result;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::types::control::Control;
use std::time::Instant;

/// Runs `plan`, which compares vectors, once for each of `all_params`, which keep the same rows; a blend for one only.
///
/// # Errors
/// What concerns all of them; what concerns one (a query without direction) is that one's answer.
pub(crate) fn run_vectors(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
    let begun = Instant::now();
    let mut clock = Clock::new(begun);
    let Some(first) = all_params.first() else { return Ok(Vec::new()) };
    let rows = rows_of(plan, first, control)?;
    clock.timings.filter = clock.lap();
    let found = match plan.own_lens() {
        Some(lens) => one_lens::pass(plan, lens, all_params, &rows, &mut clock, control)?,
        None => blend::pass(plan, first, &rows, &mut clock, control)?,
    };
    clock.timings.scan = clock.lap();
    let (undirected, timings) = (found.undirected, clock.timings);
    let counts = rows.counted(plan, found.path, &undirected);
    let run = |((hits, more), params): ((Result<Vec<Scored>>, Vec<String>), &&Params)| {
        let mut answer = answer(plan, params, counts, hits?, control)?;
        let known = answer.notes.len();
        for note in more {
            if !answer.notes.iter().take(known).any(|known| *known == note) {
                answer.notes.push(note);
            }
        }
        Ok(Run { answer, undirected: undirected.clone(), timings })
    };
    let mut runs = each(found.hits.into_iter().zip(found.notes).zip(all_params).collect(), run);
    clock.timings.then = clock.lap();
    let share = begun.elapsed() / u32::try_from(runs.len()).unwrap_or(u32::MAX).max(1);
    for run in runs.iter_mut().flatten() {
        run.answer.elapsed = share;
        run.timings = clock.timings;
    }
    Ok(runs)
}
