//! Runs any settled search, one or several together where that is possible.
//!
//! Owns which of them share a pass over the rows, and on which threads they run.

use super::clock::Run;
use super::prepare::prepared_for;
use super::rows::{matched, scannable, view_of};
use super::texts::run_text;
use super::vectors::run_vectors;
use crate::error::{Error, Result};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Compared, Plan};
use crate::types::control::Control;
use crate::types::{RowId, RowSet};

/// Runs `plan` once for each of `all_params`, together where that is possible.
///
/// # Errors
/// What concerns all of them; what concerns one (a query without direction) is that one's answer.
pub(crate) fn run_all(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
    control.checkpoint()?;
    match (&plan.compared, plan.own_lens()) {
        (Compared::Texts(lens), _) => {
            let run = |params: &&Params| run_text(plan, lens, params, control);
            plan.snapshot.install(|| each_alone(all_params, run, control))
        }
        // One pass over the rows for each query: a blend reads them for several lenses at once already.
        (Compared::Vectors(_), None) => {
            let run = |params: &&Params| only(run_vectors(plan, &[*params], control)?);
            plan.snapshot.install(|| each_alone(all_params, run, control))
        }
        // What one search shares is worth waking threads for here and there, but not for all of it.
        _ if all_params.len() <= 1 => plan.snapshot.beside(|| run_vectors(plan, all_params, control)),
        // One pass needs one set of rows.
        _ if plan.filter_is_same(all_params) => plan.snapshot.install(|| run_vectors(plan, all_params, control)),
        _ => {
            let mut runs = Vec::with_capacity(all_params.len());
            for params in all_params {
                runs.extend(run_all(plan, &[*params], control)?);
            }
            Ok(runs)
        }
    }
}

/// What `run` answers for each of `all_params`.
fn each_alone(
    all_params: &[&Params],
    run: impl Fn(&&Params) -> Result<Run>,
    control: &Control,
) -> Result<Vec<Result<Run>>> {
    let mut runs = Vec::with_capacity(all_params.len());
    for params in all_params {
        control.checkpoint()?;
        runs.push(run(params));
    }
    Ok(runs)
}

/// Runs `plan` once.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn run_one(plan: &Plan, params: &Params, control: &Control) -> Result<Run> {
    only(run_all(plan, &[params], control)?)
}

fn only(mut runs: Vec<Result<Run>>) -> Result<Run> {
    runs.pop().unwrap_or_else(|| Err(Error::invalid("one search has one answer")))
}

/// Ids of the matched records without direction under at least one lens.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn undirected_ids(plan: &Plan, params: &Params) -> Result<Vec<String>> {
    let control = Control::default();
    let scanned = scannable(plan, &matched(plan, params, &control)?);
    let mut rows = RowSet::new();
    for part in plan.lenses() {
        let view = view_of(plan, &part.lens)?;
        let prepared = plan.snapshot.install(|| prepared_for(plan, &part.lens, view, &scanned, &control))?;
        if let Some(prepared) = prepared {
            rows = rows.or(prepared.undirected());
        }
    }
    rows.and(&scanned).iter().map(|row| Ok(plan.collection.record(RowId(row))?.id)).collect()
}
