//! What a search answers: the lens it meant, how it was run, and the records, best first.
//!
//! Owns the result types that the table renderer, the JSON writer and library users read. It computes nothing and
//! holds no snapshot: an answer outlives the store it came from.

use super::sample::SampleHeader;
use crate::query::print_step;
use crate::store::RecordData;
use crate::types::{CommitNumber, Metric, RecordKey, RowId, Step, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The answer to one search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The statement in canonical form, defaults included; parameters stand as written.
    pub statement: String,
    /// The collection searched.
    pub collection: String,
    /// In what respect records were compared.
    pub header: LensHeader,
    /// How the search was run and what it saw.
    pub plan: PlanInfo,
    /// Remarks: doubtful chains, weights that do not sum to 1, text embedded as typed.
    pub notes: Vec<String>,
    /// The records found, from most to least similar.
    pub hits: Vec<Hit>,
    /// What the hits' percentiles are of; `None` where they were not asked for, and where there are none.
    pub background: Option<BackgroundHeader>,
    /// Time from binding to answer; for a batch, its time divided by its searches.
    pub elapsed: Duration,
}

impl Answer {
    /// The records found, from most to least similar.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// Time in milliseconds, as `--json` has it.
    pub fn elapsed_ms(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1000.0
    }
}

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
    /// Whose questions the pairs are of, each with a random record, in words; `None`: they are ordered pairs of records.
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

/// How a search was run, and what it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanInfo {
    /// `scan` (vectors) or `texts` (edit distance).
    pub path: &'static str,
    /// Whether the answer is what comparing every record gives.
    pub exact: bool,
    /// Live records of the collection.
    pub rows: u64,
    /// Records that the condition keeps; all of them where there is none.
    pub matched: u64,
    /// Of those, records that have what the lens compares (a vector, or a text).
    pub scanned: u64,
    /// Of those, records without direction under the lens: they are never ranked.
    pub undirected: u64,
    /// Live records of the collection without a vector (or text) in the view.
    pub absent: u64,
    /// Records left out of the answer because the source names them.
    pub left_out: u64,
    /// The commit that was searched.
    pub commit: CommitNumber,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub(crate) rank: u64,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
    /// The value of the lens's own metric, where `value` is a probability; the same otherwise.
    pub(crate) raw: f64,
    pub(crate) percentile: Option<f64>,
    pub(crate) row: RowId,
    /// Shared with the store's handle: the records of a long answer are spread over memory that a pass has pushed out of
    /// the caches, and a copy would read all of it.
    pub(crate) record: Arc<RecordData>,
}

impl Hit {
    /// Place in the whole answer, from 1; `skip 10` starts at 11.
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The score, higher is more similar. NaN where the metric is a distance: a distance is no score, and
    /// [`Hit::distance`] has it.
    pub fn score(&self) -> f64 {
        if self.metric.is_distance() { f64::NAN } else { self.value }
    }

    /// The distance, lower is more similar; `None` where the metric is a score.
    pub fn distance(&self) -> Option<f64> {
        self.metric.is_distance().then_some(self.value)
    }

    /// The score or the distance, whichever the metric gives.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// How many per cent of random pairs of the collection's records are less similar under the same lens, rounded down
    /// to a tenth: 0 to 99.9. It is no probability. `None` where it was not asked for
    /// ([`Query::percentiles`](crate::Query::percentiles)), where texts are compared, and for fewer than two records.
    pub fn percentile(&self) -> Option<f64> {
        self.percentile
    }

    /// Whether [`Hit::value`] is a distance.
    pub fn is_distance(&self) -> bool {
        self.metric.is_distance()
    }

    /// The record's own text, whichever view was searched.
    pub fn text(&self) -> &str {
        &self.record.text
    }

    /// The record's metadata.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.record.fields
    }

    /// The record's row at the commit searched.
    pub fn row(&self) -> RowId {
        self.row
    }

    /// The record's key, which stays the same for as long as the record lives.
    pub fn key(&self) -> RecordKey {
        self.record.key
    }
}
