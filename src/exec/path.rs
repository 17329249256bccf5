//! Which rows a search reads: the raw ones with every step folded into the query, or the processed ones that are kept
//! of its lens.
//!
//! Owns the choice and its reason, which `explain` shows. Answers do not depend on it: either way the finalists are
//! scored from the raw rows.

use super::plan::Plan;
use super::scan::{ScanResult, StandIn, Watched, scan, scan_batch, scan_stand_in};
use crate::error::{Error, ErrorKind, Result};
use crate::lens::{Chain, Prepared, ProcessedQuery, RowSource};
use crate::store::ViewSnapshot;
use crate::types::RowSet;
use crate::types::control::Control;
use std::sync::Arc;

/// Rows that are scored in full for want of a kept one: at most one in so many, and a few always.
const UNKEPT_SHARE: u64 = 64;
const UNKEPT_ROWS: u64 = 1_000;

/// What a search reads.
#[derive(Debug, Clone)]
pub(crate) enum Path<'a> {
    /// The raw rows; why not the kept ones, where there are any.
    Folded(Option<String>),
    /// The processed rows kept of the saved lens.
    Materialized(&'a ViewSnapshot),
}

impl Path<'_> {
    /// The word for it in an answer.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Path::Folded(_) => "scan",
            Path::Materialized(_) => "materialized",
        }
    }
}

/// What `plan` would best read, by what is kept and how large it is.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn choose<'a>(plan: &'a Plan, view: &ViewSnapshot) -> Result<Path<'a>> {
    let Some(name) = &plan.lens.saved_name else { return Ok(Path::Folded(None)) };
    let Some(saved) = plan.snapshot.lens(name)? else { return Ok(Path::Folded(None)) };
    let Some(kept) = plan.collection.materialized(&saved)? else { return Ok(Path::Folded(None)) };
    let because = |why: &str| Ok(Path::Folded(Some(format!("not the materialized rows of {name}: {why}"))));
    if plan.lens.def.steps != saved.lens.steps || plan.lens.def.view != saved.lens.view {
        return because("steps follow it");
    }
    if plan.lens.def.csls.is_some() {
        return because("csls is not computed from them");
    }
    if kept.row_bytes() >= view.row_bytes() {
        return because("they are not smaller than the raw ones");
    }
    Ok(Path::Materialized(kept))
}

/// What the scan for some queries found, and by which path.
///
/// # Errors
/// Rows that cannot be read.
pub(crate) fn scan_by_path(
    plan: &Plan,
    view: &ViewSnapshot,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    allowed: &RowSet,
    wanted: (usize, Option<f64>),
    control: &Control,
) -> Result<(Vec<ScanResult>, &'static str)> {
    let (k, bound) = wanted;
    let path = choose(plan, view)?;
    let view = &Watched::new(view, control);
    if let Path::Materialized(kept) = path
        && let Some(over) = over_kept(plan, kept, prepared)?
    {
        let source = &Watched::new(kept, control);
        let rows = StandIn { source, prepared: &over, element: kept.def().element };
        let found = scan_stand_in(view, prepared, rows, queries, allowed, k, bound);
        return Ok((found.map_err(|error| advise(error, plan, kept))?, path.name()));
    }
    let found = match queries {
        [query] => vec![scan(view, prepared, query, allowed, k, bound)?],
        many => scan_batch(view, prepared, many, allowed, k, bound)?,
    };
    Ok((found, Path::Folded(None).name()))
}

/// For each lens of a blend, settled over its view, the kept rows it would best read: those of a view's lenses where all of
/// them have some and together these are smaller than the raw ones.
///
/// # Errors
/// Where the catalog cannot be read.
pub(crate) fn choose_all<'a>(lenses: &[(&'a Plan, &ViewSnapshot)]) -> Result<Vec<Option<&'a ViewSnapshot>>> {
    let mut chosen = Vec::with_capacity(lenses.len());
    for (plan, view) in lenses {
        chosen.push(match choose(plan, view)? {
            Path::Materialized(kept) => Some(kept),
            Path::Folded(_) => None,
        });
    }
    let pays = |view: &ViewSnapshot| {
        let same = lenses.iter().zip(&chosen).filter(|((_, other), _)| other.def().id == view.def().id);
        let bytes: Option<u64> = same.map(|(_, kept)| kept.map(ViewSnapshot::row_bytes)).sum();
        bytes.is_some_and(|bytes| bytes < view.row_bytes())
    };
    let pays: Vec<bool> = lenses.iter().map(|(_, view)| pays(view)).collect();
    Ok(chosen.into_iter().zip(pays).map(|(kept, pays)| kept.filter(|_| pays)).collect())
}

/// The lens without steps over the kept rows, with the metric of the search; `None` where they cannot speak for enough rows.
///
/// # Errors
/// Kept rows that cannot be read.
pub(crate) fn over_kept(plan: &Plan, kept: &ViewSnapshot, prepared: &Prepared) -> Result<Option<Arc<Prepared>>> {
    let chain = Chain::new(Vec::new(), prepared.chain().metric(), kept.dimension())?;
    let (id, commit) = kept.identity();
    let key = format!("prepared {id} {commit} {:032x} ", chain.fingerprint()).into_bytes();
    let make = || {
        let prepared = plan.snapshot.install(|| Prepared::compute(&chain, kept, kept.present()))?;
        let bytes = prepared.bytes();
        Ok((prepared, bytes))
    };
    let over = plan.snapshot.cache().get_or_insert_with(&key, make).map_err(|error| advise(error, plan, kept))?;
    let rows = StandIn { source: kept, prepared: &over, element: kept.def().element };
    let unkept = prepared.directed().len() - rows.speaks_for(prepared.directed()).len();
    Ok((unkept <= UNKEPT_ROWS.max(prepared.directed().len() / UNKEPT_SHARE)).then_some(over))
}

/// Damage of kept rows with what helps against it.
pub(crate) fn advise(error: Error, plan: &Plan, kept: &ViewSnapshot) -> Error {
    let name = plan.lens.saved_name.as_deref().unwrap_or("");
    if error.kind() == ErrorKind::Corrupt && kept.is_in(&error) {
        return error
            .context(format!("materialized rows of lens {name} (`simile materialize STORE {name}` writes them anew)"));
    }
    error
}
