//! In what respect records were compared: the lens of an answer as it was understood.
//!
//! Owns what stands above an answer: steps and their projections, samples, corrections, calibrations, and how old a
//! saved lens's statistics are.

use crate::query::print_step;
use crate::types::{CommitNumber, Metric, Step};
use std::sync::Arc;
use std::time::Duration;

/// The lens of a search as it was understood, for the line above an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LensHeader {
    /// The saved lens it came from, where `using` named one.
    pub name: Option<String>,
    /// The view; empty for a blend over several.
    pub view: String,
    /// The view's embedder; `None`: vectors are supplied.
    pub embedder: Option<String>,
    /// All steps in the order they run, a saved lens's first.
    pub steps: Vec<Step>,
    /// The projections among the steps with their dimensions, in order.
    pub projections: Vec<ProjectionHeader>,
    /// The metric of what is shown; of a blend, whose score is a sum, [`Metric::Dot`].
    pub metric: Metric,
    /// The samples of queries that `center sides` and `csls` use.
    pub samples: Vec<SampleHeader>,
    /// `csls`, where the score is corrected.
    pub csls: Option<CslsHeader>,
    /// Where the metric is a probability: of what, and by which calibration.
    pub calibration: Option<CalibrationHeader>,
    /// Of what commit the statistics of a saved lens are; `None`: exact for this commit.
    pub pinned: Option<PinnedHeader>,
    /// The lenses of a blend, in the order written; empty for any other lens.
    pub blend: Vec<BlendHeader>,
}

/// One lens of a blend.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BlendHeader {
    /// What its score is multiplied by.
    pub weight: f64,
    /// The lens.
    pub lens: LensHeader,
}

impl LensHeader {
    /// The steps as they are written in the language.
    pub fn step_texts(&self) -> Vec<String> {
        self.steps.iter().map(print_step).collect()
    }

    /// The projections as written, joined; `None` where the chain has none.
    pub fn projection(&self) -> Option<String> {
        let texts: Vec<&str> = self.projections.iter().map(|projection| projection.name.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// The metric's name in the language, or `blend`.
    pub fn metric_name(&self) -> &'static str {
        if self.blend.is_empty() { self.metric.as_str() } else { "blend" }
    }

    /// `higher is more similar` or `lower is more similar`.
    pub fn direction(&self) -> &'static str {
        self.metric.direction()
    }
}

/// A projection of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionHeader {
    /// As written: `topic` or `asks -> answers`.
    pub name: String,
    /// Dimension before.
    pub from: usize,
    /// Dimension after.
    pub to: usize,
}

/// A sample that a lens uses, for the line above an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleHeader {
    /// Its name.
    pub name: String,
    /// Number of its queries.
    pub queries: u64,
    /// The collection it was stored for.
    pub collection: String,
}

/// A hub correction: half the mean of a record's highest similarities to a sample of queries is taken off (Conneau et
/// al. 2018).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CslsHeader {
    /// How many of the highest.
    pub neighbours: u32,
    /// Name of the sample.
    pub sample: String,
}

/// The calibration that made probabilities of scores.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CalibrationHeader {
    /// The lens's own metric, which ranks.
    pub metric: Metric,
    /// The version of the lens it belongs to.
    pub version: u32,
    /// The commit that stored it.
    pub commit: CommitNumber,
    /// Where it came from, in words.
    pub origin: String,
    /// Judged pairs it was fitted on; 0 where it was supplied.
    pub labels: u64,
    /// Hits of each query that it was fitted on: it holds for ranks 1 to this; `None` where it was supplied.
    pub top: Option<u32>,
    /// Expected calibration error on queries it was not fitted on, 0 to 1; `None` where it was supplied.
    pub ece: Option<f64>,
    /// Why it may no longer hold: the records, the lens's statistics or the number of hits have changed since.
    pub stale: Option<String>,
}

/// The random pairs that scores are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackgroundHeader {
    /// Pairs: some 100,000 drawn at random, or all of few.
    pub pairs: u64,
    /// Whose questions the pairs are of, each with a random record, in words; `None`: they are ordered pairs of
    /// records.
    pub questions: Option<Arc<str>>,
    /// Time that they took besides the search's own; next to nothing where they were known.
    pub elapsed: Duration,
}

/// How old a saved lens's statistics are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinnedHeader {
    /// The commit they were computed at.
    pub commit: CommitNumber,
    /// Commits since then that changed the view's records or vectors; 0 means that they are exact.
    pub commits_behind: u64,
    /// Records they were computed from.
    pub records: u64,
}
