//! A search that is ready to run: names settled, defaults filled in, parameters still open.
//!
//! Owns [`Plan`]. It holds on to its snapshot, so running it twice gives the same answer twice. What it asks of
//! the rows is `run`'s business.

use super::answer::{LensHeader, PinnedHeader};
use super::blend::{self, BlendPart};
use super::params::Params;
use super::resolve::param_names;
use super::steps::Steps;
use crate::query::ast::{Find, Source};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::{CollectionId, CommitNumber, LensDef, LensRecord, Metric, PinnedStatistic, Step};
use std::sync::Arc;

/// A settled search.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) snapshot: Snapshot,
    pub(crate) collection: Arc<CollectionSnapshot>,
    /// View, steps and metric, settled; of a blend, its first lens.
    pub(crate) lens: PlannedLens,
    /// The lenses of a blend; empty for any other lens.
    pub(crate) blend: Vec<BlendPart>,
    /// The tree with its defaults filled in. Spans point into `text`.
    pub(crate) find: Find,
    /// `find` in canonical form.
    pub(crate) statement: String,
    /// The statement as typed, which errors point into.
    pub(crate) text: String,
    /// Remarks on the chain.
    pub(crate) notes: Vec<String>,
}

/// A lens settled for one collection: whole, with its projections, and with what the saved lens it comes from pins
/// there.
#[derive(Debug, Clone)]
pub(crate) struct PlannedLens {
    /// The saved lens that `using` named.
    pub(crate) saved_name: Option<String>,
    /// Its pinned statistics for this collection.
    pub(crate) pinning: Option<Pinning>,
    /// View, all steps, metric.
    pub(crate) def: LensDef,
    /// The steps with their projections.
    pub(crate) steps: Steps,
}

/// The statistics that a saved lens pins for one collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pinning {
    /// In the order of their steps.
    pub(crate) statistics: Vec<PinnedStatistic>,
}

impl Pinning {
    /// Those of `saved` that belong to `collection`.
    pub(crate) fn of(saved: &LensRecord, collection: CollectionId) -> Self {
        let mut statistics: Vec<_> =
            saved.pinned.iter().filter(|statistic| statistic.collection == collection).cloned().collect();
        statistics.sort_by_key(|statistic| statistic.step_idx);
        Pinning { statistics }
    }
}

impl Plan {
    /// Whether it compares texts and no vectors.
    pub(crate) fn compares_texts(&self) -> bool {
        self.lens.def.metric == Metric::Levenshtein
    }

    /// Whether the condition keeps the same rows for all of `all_params`.
    pub(crate) fn filter_is_same(&self, all_params: &[&Params]) -> bool {
        let names = param_names(&Source::default(), self.find.output.filter.as_ref());
        all_params.windows(2).all(|pair| match pair {
            [a, b] => names.iter().all(|name| a.get(name) == b.get(name)),
            _ => true,
        })
    }

    /// Whether a step subtracts the records' mean. A vector's own mean is subtracted linearly, and the weights of
    /// a sum do not matter to it.
    pub(crate) fn centers(&self) -> bool {
        self.lens.def.steps.contains(&Step::CenterCorpus)
    }

    /// The lens as it was understood.
    pub(crate) fn header(&self) -> LensHeader {
        if !self.blend.is_empty() {
            return blend::header(self);
        }
        let view = self.collection.view(&self.lens.def.view);
        LensHeader {
            name: self.lens.saved_name.clone(),
            view: self.lens.def.view.clone(),
            embedder: view.and_then(|view| view.def().embedder.clone()),
            steps: self.lens.def.steps.clone(),
            projections: self.lens.steps.projections.clone(),
            metric: self.lens.def.metric,
            pinned: self.pinned_header(),
            blend: Vec::new(),
        }
    }

    fn pinned_header(&self) -> Option<PinnedHeader> {
        let oldest = self.lens.pinning.as_ref()?.statistics.iter().min_by_key(|statistic| statistic.commit)?;
        let CommitNumber(now) = self.snapshot.commit();
        Some(PinnedHeader {
            commit: oldest.commit,
            commits_behind: now.saturating_sub(oldest.commit.0),
            records: oldest.records,
        })
    }

    /// How many hits to skip and how many to list.
    pub(crate) fn window(&self) -> (usize, usize) {
        let count = |written: &Option<crate::query::ast::Spanned<u64>>, default| {
            written.as_ref().map_or(default, |count| count.node) as usize
        };
        (count(&self.find.output.skip, 0), count(&self.find.output.top, super::resolve::DEFAULT_TOP))
    }
}
