//! Which rows a search is about, before anything is compared.
//!
//! Owns what the condition keeps, what of it can be compared, and what is left out for being named. Rows that a
//! condition keeps are kept in turn: they are the same for every search of the snapshot that asks the same.

use super::filter;
use crate::error::{Error, Result};
use crate::exec::reply::{PlanInfo, SearchPath};
use crate::exec::settle::condition;
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{Plan, PlannedLens, param_names};
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
            plan.collection.column_until(field, control)
        };
        let select = || filter::select(&condition, live, &column, control);
        // The clone is what is kept: it holds no more than it needs.
        let rows = plan.snapshot.install(select)?.clone();
        let bytes = rows.heap_bytes();
        Ok::<_, Error>((rows, bytes))
    };
    Ok(RowSet::clone(&*plan.snapshot.cache().get_or_insert_with(&key, make)?))
}

/// Rows of `matched` that have what is compared: a vector in the views of all lenses. Which texts there are shows when
/// they are read.
pub(crate) fn scannable(plan: &Plan, matched: &RowSet) -> RowSet {
    let mut rows: Option<RowSet> = None;
    for part in plan.lenses() {
        if let Some(view) = plan.collection.view(&part.lens.def.view) {
            rows = Some(rows.as_ref().unwrap_or(matched).and(view.present()));
        }
    }
    rows.unwrap_or_else(|| matched.clone())
}

/// The view of one lens of `plan`.
///
/// # Errors
/// Where it is gone.
pub(crate) fn view_of<'a>(plan: &'a Plan, lens: &PlannedLens) -> Result<&'a ViewSnapshot> {
    let missing = || Error::not_found(format!("view {} is gone", lens.def.view));
    plan.collection.view(&lens.def.view).ok_or_else(missing)
}

/// The rows that a search with these parameters is about.
///
/// # Errors
/// As [`matched`]; a query error for an id that the collection does not have.
pub(crate) fn rows_of(plan: &Plan, params: &Params, control: &Control) -> Result<Rows> {
    let matched = matched(plan, params, control)?;
    let scanned = scannable(plan, &matched);
    let named = named_rows(plan)?;
    let left_out = if plan.find.output.including_self { RowSet::new() } else { named };
    Ok(Rows { matched, scanned, left_out })
}

impl Rows {
    /// What is counted of them, where the rows of `undirected` had no direction.
    pub(crate) fn counted(&self, plan: &Plan, path: SearchPath, undirected: &RowSet) -> PlanInfo {
        let live = plan.collection.live();
        let views = plan.lenses().iter().filter_map(|part| plan.collection.view(&part.lens.def.view));
        let absent = views.map(|view| live.and_not(view.present())).reduce(|all, own| all.or(&own));
        PlanInfo {
            path,
            exact: true,
            rows: live.len(),
            matched: self.matched.len(),
            scanned: self.scanned.len(),
            undirected: undirected.len(),
            absent: absent.map_or(0, |absent| absent.len()),
            left_out: self.left_out.and(&self.scanned).len(),
            commit: plan.snapshot.commit(),
        }
    }
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
