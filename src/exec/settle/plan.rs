//! A search that is ready to run: names settled, defaults filled in, parameters still open.
//!
//! Owns [`Plan`]. It holds on to its snapshot, so running it twice gives the same answer twice. What it asks of
//! the rows is `run`'s business.

use super::params::Params;
use super::probability::{Reach, probability, reach, shown_metric};
use crate::exec::reply::{ProjectionHeader, SampleHeader};
use crate::lens::{ResolvedStep, SampleRows};
use crate::query::ast::{Bound, Expr, Find, Literal, Operand, Source, Spanned};
use crate::store::{CollectionSnapshot, Snapshot};
use crate::types::{Calibration, CollectionId, LensDef, LensRecord, Metric, PinnedStatistic, Step};
use std::ops::Range;
use std::sync::Arc;

/// `top` where none is written.
pub(crate) const DEFAULT_TOP: u64 = 10;

/// A settled search.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) snapshot: Snapshot,
    pub(crate) collection: Arc<CollectionSnapshot>,
    /// What is compared of the records.
    pub(crate) compared: Compared,
    /// The tree with its defaults filled in. Spans point into `text`.
    pub(crate) find: Find,
    /// `find` in canonical form.
    pub(crate) statement: String,
    /// The statement as typed, which errors point into.
    pub(crate) text: String,
    /// Remarks on the chain.
    pub(crate) notes: Vec<String>,
}

/// What a search compares of the records.
#[derive(Debug, Clone)]
pub(crate) enum Compared {
    /// Vectors, by the sum of what these lenses score times their weights; a lens alone is a blend of one.
    Vectors(Vec<BlendedLens>),
    /// Texts, by edit distance.
    Texts(Box<PlannedLens>),
}

/// One lens of a search.
#[derive(Debug, Clone)]
pub(crate) struct BlendedLens {
    /// What its score is multiplied by; 1 for a lens alone.
    pub(crate) weight: f64,
    /// Its name in the blend; `None` for a lens alone.
    pub(crate) name: Option<String>,
    pub(crate) lens: PlannedLens,
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

/// A chain with everything it names fetched and its dimensions checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    pub(crate) steps: Vec<ResolvedStep>,
    /// `csls`: how many of which queries.
    pub(crate) csls: Option<(usize, SampleRows)>,
    pub(crate) projections: Vec<ProjectionHeader>,
    /// The samples of `center sides` and `csls`, each once.
    pub(crate) samples: Vec<SampleHeader>,
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

    /// Whether a step subtracts a mean of many vectors, as every step with statistics does. A vector's own mean is
    /// subtracted linearly, and the weights of a sum do not matter to it.
    pub(crate) fn centers(&self) -> bool {
        self.def.steps.iter().any(Step::takes_statistics)
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

/// A lens expression with its names settled and a saved lens's parts put before its own.
#[derive(Debug, Clone)]
pub(crate) struct FlatLens {
    /// The saved lens it starts from.
    pub(crate) saved: Option<LensRecord>,
    /// All of it.
    pub(crate) def: LensDef,
    /// Where each step was written; the steps of a saved lens stand where the lens is named.
    pub(crate) spans: Vec<Range<usize>>,
    /// Where the view, or the lens that names it, was written.
    pub(crate) view_span: Range<usize>,
    /// Where `csls`, or the lens that has it, was written.
    pub(crate) csls_span: Range<usize>,
    /// `score probability`: what reads the lens's score as one.
    pub(crate) calibration: Option<Calibration>,
}

impl Plan {
    /// The lenses that vectors are compared under; none where texts are.
    pub(crate) fn lenses(&self) -> &[BlendedLens] {
        match &self.compared {
            Compared::Vectors(lenses) => lenses,
            Compared::Texts(_) => &[],
        }
    }

    /// The search's own lens; `None` for a blend, which has neither steps nor a calibration nor a name of its own.
    pub(crate) fn own_lens(&self) -> Option<&PlannedLens> {
        match &self.compared {
            Compared::Texts(lens) => Some(lens.as_ref()),
            Compared::Vectors(lenses) => match lenses.as_slice() {
                [BlendedLens { name: None, lens, .. }] => Some(lens),
                _ => None,
            },
        }
    }

    /// The metric of what is shown.
    pub(crate) fn shown_metric(&self) -> Metric {
        self.own_lens().map_or(Metric::Dot, PlannedLens::shown_metric)
    }

    /// What is shown for a score (or distance) of the lens's own metric.
    pub(crate) fn shown(&self, value: f64) -> f64 {
        self.own_lens().map_or(value, |lens| lens.shown(value))
    }

    /// Whether what is shown is read off the score by a calibration.
    pub(crate) fn is_calibrated(&self) -> bool {
        self.own_lens().is_some_and(|lens| lens.calibration.is_some())
    }

    /// Whether the condition keeps the same rows for all of `all_params`.
    pub(crate) fn filter_is_same(&self, all_params: &[&Params]) -> bool {
        let names = param_names(&Source::default(), self.find.output.filter.as_ref());
        all_params.windows(2).all(|pair| match pair {
            [a, b] => names.iter().all(|name| a.get(name) == b.get(name)),
            _ => true,
        })
    }

    /// The bound on what is shown, if there is one.
    pub(crate) fn bound(&self) -> Option<f64> {
        self.find.output.bound.as_ref().map(|bound| match bound.node {
            Bound::Above(bound) | Bound::Within(bound) => bound,
        })
    }

    /// The bound on what is scanned that goes with it; what is shown has to be compared again where it is calibrated.
    pub(crate) fn scan_bound(&self) -> Option<f64> {
        let bound = self.bound()?;
        self.own_lens().map_or(Some(bound), |lens| lens.scan_bound(bound))
    }

    /// How many hits to skip and how many to list.
    pub(crate) fn window(&self) -> (usize, usize) {
        let count =
            |written: &Option<Spanned<u64>>, default| written.as_ref().map_or(default, |count| count.node) as usize;
        (count(&self.find.output.skip, 0), count(&self.find.output.top, DEFAULT_TOP))
    }
}

/// Names of the parameters of a search, in order of appearance, each once.
pub(crate) fn param_names(source: &Source, filter: Option<&Expr>) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: &String| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    for term in &source.terms {
        if let Operand::Param(name) = &term.operand.node {
            add(name);
        }
    }
    let mut pending: Vec<&Expr> = filter.into_iter().collect();
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::Compare { value, .. } | Expr::Has { value, .. } => {
                if let Literal::Param(name) = &value.node {
                    add(name);
                }
            }
            Expr::In { values, .. } => {
                for value in values {
                    if let Literal::Param(name) = &value.node {
                        add(name);
                    }
                }
            }
            Expr::IsNull { .. } => {}
            Expr::Not(inner) => pending.push(inner),
            Expr::And(parts) | Expr::Or(parts) => pending.extend(parts.iter().rev()),
        }
    }
    names
}
