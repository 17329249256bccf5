//! A search that is ready to run: names settled, defaults filled in, parameters still open.
//!
//! Owns [`Plan`]. It holds on to its snapshot, so running it twice gives the same answer twice. What it asks of
//! the rows is `run`'s business.

use super::answer::{CalibrationHeader, CslsHeader, LensHeader, PinnedHeader};
use super::blend::{self, BlendPart};
use super::params::Params;
use super::probability::{Reach, probability, reach, shown_metric, stale};
use super::resolve::param_names;
use super::steps::{Steps, takes_statistics};
use crate::query::ast::{Bound, Find, Source};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::{Calibration, CollectionId, LensDef, LensRecord, Metric, PinnedStatistic, Step};
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
    /// View, all steps, and the metric that is scanned and ranked by.
    pub(crate) def: LensDef,
    /// The steps with their projections and samples.
    pub(crate) steps: Steps,
    /// `score probability`: what reads the metric's score as one, at the end.
    pub(crate) calibration: Option<Arc<Calibration>>,
}

impl PlannedLens {
    /// The metric of what is shown.
    pub(crate) fn shown_metric(&self) -> Metric {
        shown_metric(&self.def, self.calibration.as_deref())
    }

    /// What is shown for a score (or distance) of the lens's own metric.
    pub(crate) fn shown(&self, value: f64) -> f64 {
        match &self.calibration {
            Some(calibration) => probability(&calibration.map, self.signed(value)),
            None => value,
        }
    }

    /// The bound on the lens's own metric that goes with `bound` on what is shown. Nothing that keeps the one is beyond
    /// the other; with a calibration what is shown has to be compared again.
    pub(crate) fn scan_bound(&self, bound: f64) -> Option<f64> {
        let Some(calibration) = &self.calibration else { return Some(bound) };
        match reach(&calibration.map, bound) {
            Reach::Everything => None,
            Reach::From(score) => Some(self.signed(score)),
            Reach::Nothing => Some(self.signed(f64::INFINITY)),
        }
    }

    /// Between a value of the metric and a score that grows with similarity.
    fn signed(&self, value: f64) -> f64 {
        if self.def.metric.is_distance() { -value } else { value }
    }
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

    /// Whether a step subtracts a mean of many vectors, as every step with statistics does. A vector's own mean is
    /// subtracted linearly, and the weights of a sum do not matter to it.
    pub(crate) fn centers(&self) -> bool {
        self.lens.def.steps.iter().any(takes_statistics)
    }

    /// The bound on what is shown, if there is one.
    pub(crate) fn bound(&self) -> Option<f64> {
        self.find.output.bound.as_ref().map(|bound| match bound.node {
            Bound::Above(bound) | Bound::Within(bound) => bound,
        })
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
            metric: self.lens.shown_metric(),
            samples: self.lens.steps.samples.clone(),
            csls: self.csls_header(),
            calibration: self.calibration_header(),
            pinned: self.pinned_header(),
            blend: Vec::new(),
        }
    }

    fn csls_header(&self) -> Option<CslsHeader> {
        let (neighbours, sample) = self.lens.def.csls.clone()?;
        Some(CslsHeader { neighbours, sample })
    }

    fn calibration_header(&self) -> Option<CalibrationHeader> {
        let calibration = self.lens.calibration.as_ref()?;
        Some(CalibrationHeader {
            metric: self.lens.def.metric,
            version: calibration.lens_version,
            commit: calibration.commit,
            origin: calibration.origin.clone(),
            labels: calibration.labels,
            top: calibration.judged_on.as_ref().map(|judged| judged.k),
            ece: calibration.reliability.as_ref().map(|reliability| reliability.ece),
            stale: stale(calibration, &self.lens, &self.collection, self.window()),
        })
    }

    /// Notes why the probabilities may not hold, where that is so.
    pub(crate) fn note_old_calibration(&mut self) {
        let found = self.lens.calibration.as_ref();
        let why = found.and_then(|found| stale(found, &self.lens, &self.collection, self.window()));
        self.notes.extend(why.map(|why| format!("{why}: calibrate it again")));
    }

    fn pinned_header(&self) -> Option<PinnedHeader> {
        let statistics = &self.lens.pinning.as_ref()?.statistics;
        let oldest = statistics.iter().min_by_key(|statistic| statistic.commit)?;
        let behind = |pinned: &PinnedStatistic| pinned.commits_behind(self.collection.def(), &self.lens.def.view);
        Some(PinnedHeader {
            commit: oldest.commit,
            commits_behind: statistics.iter().map(behind).max().unwrap_or(0),
            records: oldest.records,
        })
    }

    /// What the steps take from the records and from samples, in words, each with its age.
    pub(crate) fn statistics_texts(&self) -> Vec<String> {
        let pinned_at = |idx: usize| {
            let statistics = self.lens.pinning.iter().flat_map(|pinning| &pinning.statistics);
            statistics.into_iter().find(|pinned| pinned.step_idx as usize == idx)
        };
        let mut texts = Vec::new();
        for (idx, step) in self.lens.def.steps.iter().enumerate() {
            let Some(what) = statistic_words(step) else { continue };
            texts.push(match pinned_at(idx) {
                Some(pinned) => {
                    let behind = pinned.commits_behind(self.collection.def(), &self.lens.def.view);
                    let age = match behind {
                        0 => "nothing changed since".to_string(),
                        1 => "1 commit behind".to_string(),
                        commits => format!("{commits} commits behind"),
                    };
                    format!("{what} of {} records pinned at commit {} ({age})", pinned.records, pinned.commit)
                }
                None => format!("{what} of this commit's records"),
            });
            if let Step::CenterSides(name) = step {
                let sample = self.lens.steps.samples.iter().find(|sample| sample.name == *name);
                let queries = sample.map_or(0, |sample| sample.queries);
                texts.push(format!("mean of the {queries} queries of sample {name}"));
            }
        }
        texts
    }

    /// How many hits to skip and how many to list.
    pub(crate) fn window(&self) -> (usize, usize) {
        let count = |written: &Option<crate::query::ast::Spanned<u64>>, default| {
            written.as_ref().map_or(default, |count| count.node) as usize
        };
        (count(&self.find.output.skip, 0), count(&self.find.output.top, super::resolve::DEFAULT_TOP))
    }
}

/// What a step takes from the records, in words.
pub(crate) fn statistic_words(step: &Step) -> Option<String> {
    let directions = |k: u32| match k {
        1 => "mean and first principal direction".to_string(),
        k => format!("mean and first {k} principal directions"),
    };
    match step {
        Step::CenterCorpus | Step::CenterSides(_) => Some("mean".to_string()),
        Step::Standardize => Some("mean and standard deviations".to_string()),
        Step::Whiten(None) => Some("mean and principal directions".to_string()),
        Step::Whiten(Some(k)) | Step::Drop(k) => Some(directions(*k)),
        Step::Center | Step::Normalize | Step::Truncate(_) | Step::Project(_) => None,
    }
}
