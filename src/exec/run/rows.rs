//! Which rows a search is about, before anything is compared.
//!
//! Owns what the condition keeps, what of it can be compared, and what is left out for being named. Rows that a condition
//! keeps are kept in turn: they are the same for every search of the snapshot that asks the same.

use super::filter;
use crate::error::{Error, Result};
use crate::exec::settle::condition;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Plan, param_names};
use crate::query::ast::{Operand, Source};
use crate::query::{print_expr, print_id};
use crate::store::ViewSnapshot;
use crate::types::RowSet;
use crate::types::control::Control;
use std::ops::Range;

/// The rows a search is about, before anything is compared.
pub(crate) struct Rows {
    pub(crate) matched: RowSet,
    /// Matched rows that have a vector.
    pub(crate) scanned: RowSet,
    /// Rows that the source names and that are not wanted.
    pub(crate) left_out: RowSet,
}

/// Live rows that the condition keeps; all live rows where there is none.
///
/// # Errors
/// Query errors for unbound parameters and constants that do not fit their fields; damaged columns.
pub(crate) fn matched(plan: &Plan, params: &Params, control: &Control) -> Result<RowSet> {
    let live = plan.collection.live();
    let Some(expr) = &plan.find.output.filter else { return Ok(live.clone()) };
    // The rows are the same for every search of the snapshot that asks this.
    let bound: Vec<_> = param_names(&Source::default(), Some(expr)).into_iter().map(|name| params.get(&name)).collect();
    let (collection, commit) = (plan.collection.def().id, plan.snapshot.commit());
    let key = format!("matched {collection} {commit} {} {bound:?}", print_expr(expr)).into_bytes();
    let make = || {
        let condition = condition::check(expr, &plan.collection.def().fields, params, &Site::new(&plan.text))?;
        let column = |field: &str| {
            control.checkpoint()?;
            plan.collection.column(field)
        };
        let select = || filter::select(&condition, live, &column);
        // The clone is what is kept: it holds no more than it needs.
        let rows = plan.snapshot.install(select)?.clone();
        let bytes = rows.heap_bytes();
        Ok::<_, Error>((rows, bytes))
    };
    Ok(RowSet::clone(&*plan.snapshot.cache().get_or_insert_with(&key, make)?))
}

/// Rows of `matched` that have a vector in the view; for a blend, in the views of all its lenses.
pub(crate) fn scannable(plan: &Plan, matched: &RowSet) -> RowSet {
    if !plan.blend.is_empty() {
        return plan.blend.iter().fold(matched.clone(), |rows, part| scannable(&part.plan, &rows));
    }
    match plan.collection.view(&plan.lens.def.view) {
        Some(view) if !plan.compares_texts() => matched.and(view.present()),
        _ => matched.clone(),
    }
}

pub(crate) fn view_of(plan: &Plan) -> Result<&ViewSnapshot> {
    let missing = || Error::not_found(format!("view {} is gone", plan.lens.def.view));
    plan.collection.view(&plan.lens.def.view).ok_or_else(missing)
}

pub(crate) fn rows_of(plan: &Plan, params: &Params, control: &Control) -> Result<Rows> {
    let matched = matched(plan, params, control)?;
    let scanned = scannable(plan, &matched);
    let named = named_rows(plan)?;
    let left_out = if plan.find.output.including_self { RowSet::new() } else { named };
    Ok(Rows { matched, scanned, left_out })
}

pub(crate) fn row_of(plan: &Plan, id: &str, span: &Range<usize>) -> Result<u32> {
    match plan.collection.row_of(id)? {
        Some(row) => Ok(row.0),
        None => {
            let message = format!("no record {} in `{}`", print_id(id), plan.collection.def().name);
            Err(Site::new(&plan.text).error("resolve::no_such_record", message, span).into())
        }
    }
}

/// Rows of the records that the source names.
///
/// # Errors
/// A query error for an id that the collection does not have.
pub(crate) fn named_rows(plan: &Plan) -> Result<RowSet> {
    let mut rows = RowSet::new();
    for term in &plan.find.source.node.terms {
        if let Operand::Id(id) = &term.operand.node {
            rows.insert(row_of(plan, id, &term.operand.span)?);
        }
    }
    Ok(rows)
}
