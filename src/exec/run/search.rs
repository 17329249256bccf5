//! Runs any settled search, one or several together where that is possible.
//!
//! Owns the choice between vectors, texts and blends, and on which threads they run.

use super::blend;
use super::clock::Run;
use super::prepare::prepared_for;
use super::rows::{matched, scannable, view_of};
use super::texts::run_text;
use super::vectors::run_vectors;
use crate::error::{Error, Result};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::types::control::Control;
use crate::types::{RowId, RowSet};

/// Runs `plan` once for each of `all_params`, together where that is possible.
///
/// # Errors
/// What concerns all of them; what concerns one (a query without direction) is that one's answer.
pub(crate) fn run_all(plan: &Plan, all_params: &[&Params], control: &Control) -> Result<Vec<Result<Run>>> {
    // One pass needs one set of rows.
    let one_pass = all_params.len() == 1 || plan.filter_is_same(all_params) && !plan.compares_texts();
    if !one_pass {
        let mut runs = Vec::with_capacity(all_params.len());
        for params in all_params {
            runs.extend(run_all(plan, &[*params], control)?);
        }
        return Ok(runs);
    }
    let Some(first) = all_params.first() else { return Ok(Vec::new()) };
    control.checkpoint()?;
    if all_params.len() == 1 && plan.blend.is_empty() && !plan.compares_texts() {
        // What one search shares is worth waking threads for here and there, but not for all of it.
        return plan.snapshot.beside(|| run_vectors(plan, all_params, control));
    }
    plan.snapshot.install(|| {
        if !plan.blend.is_empty() {
            // One pass over the rows for each query: a blend reads them for several lenses at once already.
            Ok(all_params.iter().map(|params| blend::run(plan, params, control)).collect())
        } else if plan.compares_texts() {
            Ok(vec![run_text(plan, first, control)])
        } else {
            run_vectors(plan, all_params, control)
        }
    })
}

/// Ids of the matched records without direction.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn undirected_ids(plan: &Plan, params: &Params) -> Result<Vec<String>> {
    if plan.compares_texts() {
        return Ok(Vec::new());
    }
    let control = Control::default();
    let scanned = scannable(plan, &matched(plan, params, &control)?);
    if !plan.blend.is_empty() {
        let mut rows = RowSet::new();
        for part in &plan.blend {
            let view = view_of(&part.plan)?;
            if let Some(prepared) = plan.snapshot.install(|| prepared_for(&part.plan, view, &scanned, &control))? {
                rows = rows.or(prepared.undirected());
            }
        }
        return rows.and(&scanned).iter().map(|row| Ok(plan.collection.record(RowId(row))?.id)).collect();
    }
    let view = view_of(plan)?;
    let Some(prepared) = plan.snapshot.install(|| prepared_for(plan, view, &scanned, &control))? else {
        return Ok(Vec::new());
    };
    let rows = scanned.and(prepared.undirected());
    rows.iter().map(|row| Ok(plan.collection.record(RowId(row))?.id)).collect()
}

/// Runs `plan` once.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn run_one(plan: &Plan, params: &Params, control: &Control) -> Result<Run> {
    let mut runs = run_all(plan, &[params], control)?;
    runs.pop().unwrap_or_else(|| Err(Error::invalid("one search has one answer")))
}
