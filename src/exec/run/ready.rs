//! A search readied for rows: of each of its lenses the records and the query.
//!
//! Owns which rows each lens is looked at through, the raw ones or those kept of it, and how the scans take the lot.

use super::notes::{no_vectors_yet, unknown_note};
use super::path::{self, Path};
use super::prepare::{prepared, prepared_for, process};
use super::rows::view_of;
use super::scan::{Blend, KeptRows, Watched, WeightedLens};
use super::source;
use crate::error::{Error, Result};
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{BlendedLens, Plan, PlannedLens};
use crate::lens::{Prepared, ProcessedQuery, RowSource};
use crate::store::ViewSnapshot;
use crate::types::RowSet;
use crate::types::control::Control;
use std::sync::Arc;

/// A search readied for rows: each lens's records and query.
pub(crate) struct Ready<'a> {
    plan: &'a Plan,
    views: Vec<&'a ViewSnapshot>,
    lenses: Vec<ReadyLens<'a>>,
}

/// One lens of it.
pub(crate) struct ReadyLens<'a> {
    pub(crate) lens: &'a PlannedLens,
    pub(crate) weight: f64,
    pub(crate) view: &'a ViewSnapshot,
    view_idx: usize,
    /// The raw vector of the source in the view.
    pub(crate) sum: source::Sum,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) query: ProcessedQuery,
    /// The processed rows that are kept of it, where the blend reads those.
    kept: Option<KeptLens<'a>>,
}

/// A lens over its kept rows.
struct KeptLens<'a> {
    rows: &'a ViewSnapshot,
    prepared: Arc<Prepared>,
    query: ProcessedQuery,
}

/// Why no row can be looked at.
pub(crate) enum Unready {
    /// Nothing can be similar to the source, in words: a text of it has no vector, or a view has none yet.
    Nothing(String),
    /// The source has no direction under one of the lenses.
    NoDirection(Error),
}

impl<'a> Ready<'a> {
    /// Readies every lens of `plan`, for the rows of `wanted` where only these are asked for, or says why nothing can
    /// be similar to the source: a text of it has no vector, or a view has none yet.
    ///
    /// # Errors
    /// What a source ends in, and a query that one of the lenses leaves without direction.
    pub(crate) fn new(
        plan: &'a Plan,
        params: &Params,
        wanted: Option<&RowSet>,
        control: &Control,
    ) -> Result<Result<Ready<'a>, Unready>> {
        let mut ready = Ready { plan, views: Vec::new(), lenses: Vec::new() };
        for BlendedLens { weight, lens, .. } in plan.lenses() {
            control.checkpoint()?;
            let view = view_of(plan, lens)?;
            let same = |other: &&ViewSnapshot| other.def().id == view.def().id;
            let view_idx = ready.views.iter().position(same).unwrap_or(ready.views.len());
            if view_idx == ready.views.len() {
                ready.views.push(view);
            }
            // A view embeds a text once, however many lenses look at it.
            let sum = match ready.lenses.iter().find(|lens| lens.view_idx == view_idx) {
                Some(lens) => lens.sum.clone(),
                None => source::vectors(plan, view, &[params])?.pop().unwrap_or_default(),
            };
            if let Some(text) = &sum.unknown {
                return Ok(Err(Unready::Nothing(unknown_note(view, text))));
            }
            let prepared = match wanted {
                Some(wanted) => prepared_for(plan, lens, view, wanted, control)?,
                None => prepared(plan, lens, view, control)?,
            };
            let Some(prepared) = prepared else {
                return Ok(Err(Unready::Nothing(no_vectors_yet(view))));
            };
            let query = match process(plan, &prepared, &sum) {
                Ok(query) => query,
                Err(error) => return Ok(Err(Unready::NoDirection(error))),
            };
            ready.lenses.push(ReadyLens { lens, weight: *weight, view, view_idx, sum, prepared, query, kept: None });
        }
        ready.look_for_kept_rows(control)?;
        Ok(Ok(ready))
    }

    /// The lenses of a view whose processed rows are kept read those, where that is less.
    fn look_for_kept_rows(&mut self, control: &Control) -> Result<()> {
        let lenses: Vec<(&PlannedLens, &ViewSnapshot)> =
            self.lenses.iter().map(|lens| (lens.lens, lens.view)).collect();
        let mut found = Vec::with_capacity(lenses.len());
        for (lens, path) in self.lenses.iter().zip(path::choose_all(self.plan, &lenses)?) {
            let over = match path {
                Path::Materialized(rows) => path::over_kept(self.plan, lens.lens, rows, &lens.prepared, control)?
                    .map(|prepared| (rows, prepared)),
                Path::Folded(_) => None,
            };
            found.push(over.map(|(rows, prepared)| {
                let query = prepared.refold(&lens.query, rows.def().element);
                KeptLens { rows, prepared, query }
            }));
        }
        let all_kept = |view_idx: usize| {
            self.lenses.iter().zip(&found).all(|(lens, found)| lens.view_idx != view_idx || found.is_some())
        };
        let of_view: Vec<bool> = (0..self.views.len()).map(all_kept).collect();
        for (lens, found) in self.lenses.iter_mut().zip(found) {
            lens.kept = found.filter(|_| of_view[lens.view_idx]);
        }
        Ok(())
    }

    /// The lenses in the order written.
    pub(crate) fn lenses(&self) -> &[ReadyLens<'a>] {
        &self.lenses
    }

    /// All rows that are read, until `control` says to stop: those of the views, then those that are kept of lenses.
    pub(crate) fn sources<'b>(&'b self, control: &'b Control) -> Vec<Watched<'b>> {
        let kept = self.lenses.iter().filter_map(|lens| Some(lens.kept.as_ref()?.rows));
        self.views.iter().copied().chain(kept).map(|rows| Watched::new(rows, control)).collect()
    }

    /// As the scans take it, over its [`Ready::sources`].
    pub(crate) fn blend<'b>(&'b self, sources: &'b [Watched<'b>]) -> Blend<'b> {
        let mut parts = Vec::with_capacity(self.lenses.len());
        let mut rows_idx = self.views.len()..;
        for lens in &self.lenses {
            let ReadyLens { view_idx: source_idx, weight, prepared, query, kept, .. } = lens;
            let kept = kept.as_ref().zip(rows_idx.clone().next());
            rows_idx.start += usize::from(kept.is_some());
            let kept =
                kept.map(|(lens, source_idx)| KeptRows { source_idx, prepared: &lens.prepared, query: &lens.query });
            parts.push(WeightedLens { source_idx: *source_idx, prepared, query, weight: *weight, kept });
        }
        Blend { sources: sources.iter().map(|rows| rows as &dyn RowSource).collect(), parts }
    }

    /// Whether every lens reads rows that are kept of it.
    pub(crate) fn is_materialized(&self) -> bool {
        self.lenses.iter().all(|lens| lens.kept.is_some())
    }

    /// An error of rows, with what helps where these are kept ones.
    pub(crate) fn advise(&self, error: Error) -> Error {
        let kept = self.lenses.iter().filter_map(|lens| Some((lens.lens, lens.kept.as_ref()?.rows)));
        kept.fold(error, |error, (lens, rows)| path::advise(error, lens, rows))
    }

    /// Rows of `rows` without direction under at least one lens.
    pub(crate) fn undirected(&self, rows: &RowSet) -> RowSet {
        let none = RowSet::new();
        self.lenses.iter().fold(none, |all, lens| all.or(lens.prepared.undirected())).and(rows)
    }
}
