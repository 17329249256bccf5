//! Where the score of one record comes from, as `why` tells it.
//!
//! Owns the shape of the reason: where the record stands, what its value means, and what the value adds up from.

use super::header::LensHeader;
use crate::types::Metric;
use std::time::Duration;

pub use crate::lens::trace::Change;

/// Why a record has its place in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Why {
    /// The statement in canonical form.
    pub statement: String,
    /// The record's id.
    pub id: String,
    /// Its own text.
    pub text: String,
    /// In what respect records are compared.
    pub header: LensHeader,
    /// Whether the search ranks the record, or why not.
    pub standing: Standing,
    /// Its score, or its distance where the lens's metric is one; `None` without a vector or a direction.
    pub value: Option<f64>,
    /// Under `score probability`, what the lens's calibration reads the value as.
    pub probability: Option<f64>,
    /// What the calibration of the saved lens reads the value as, whether the search asks for a probability or not;
    /// `None` without a calibration.
    pub calibrated: Option<CalibratedValue>,
    /// Its exact place among all that the search ranks, from 1, listed or not.
    pub rank: Option<u64>,
    /// Whether the answer lists it: ranked, within `above`, `within`, `skip` and `top`.
    pub listed: bool,
    /// How many records the search ranks.
    pub ranked: u64,
    /// What plain cosine in the same view says; `None` for a blend over several views, and without a direction.
    pub plain: Option<Place>,
    /// How the value stands among those of random pairs; `None` for fewer than 2 records with a direction.
    pub background: Option<Background>,
    /// One for a lens, several for a blend.
    pub parts: Vec<WhyPart>,
    /// Remarks on the chain.
    pub notes: Vec<String>,
    /// Time from binding to answer.
    pub elapsed: Duration,
}

/// Whether a search ranks a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    Ranked,
    /// The source names the record, and `including self` is not written.
    LeftOut,
    /// It does not satisfy the condition.
    Filtered,
    /// It has no direction under the lens (under one lens of a blend).
    Undirected,
    /// It has no vector in the view (in one view of a blend).
    Absent,
}

impl Standing {
    /// `ranked`, `left out`, `filtered`, `undirected`, `absent`.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Ranked => "ranked",
            Standing::LeftOut => "left out",
            Standing::Filtered => "filtered",
            Standing::Undirected => "undirected",
            Standing::Absent => "absent",
        }
    }
}

/// A score and the place it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The cosine.
    pub cosine: f64,
    /// The exact place among the same records; `None` where the search does not rank the record.
    pub rank: Option<u64>,
}

/// A score read as a probability.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CalibratedValue {
    /// The probability, 0 to 1.
    pub probability: f64,
    /// Half of its 95 % interval, from how much the fitted map depends on which queries were judged; `None` for a map
    /// that was supplied, or is a step function.
    pub error: Option<f64>,
    /// Judged hits that the map was fitted on; 0 where it was supplied.
    pub labels: u64,
    /// When it was fitted, in seconds since 1970.
    pub time: Option<u64>,
    /// Why it may no longer hold.
    pub stale: Option<String>,
}

/// A value among those of random pairs under the same lens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Background {
    /// Pairs it was compared with: some 100,000 drawn at random, or all of few.
    pub pairs: u64,
    /// Whose questions the pairs are of, each with a random record, in words; `None`: they are ordered pairs of
    /// records.
    pub questions: Option<std::sync::Arc<str>>,
    /// How many per cent of them are less similar, rounded down to a tenth, as
    /// [`Hit::percentile`](crate::Hit::percentile): 0 to 99.9. It is no probability.
    pub percentile: f64,
}

/// One lens of the explanation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyPart {
    /// What its score is multiplied by; 1 where there is no blend.
    pub weight: f64,
    /// The lens.
    pub lens: LensHeader,
    /// The metric that its value is of.
    pub metric: Metric,
    /// Its own score or distance.
    pub value: Option<f64>,
    /// Length of the query's raw vector.
    pub query_norm: f64,
    /// Length of the record's raw vector; `None` without one.
    pub record_norm: Option<f64>,
    /// Angle between the two raw vectors in degrees; `None` where one is zero.
    pub angle: Option<f64>,
    /// What each step does to both, the metric's own last; ends where the record loses its direction.
    pub steps: Vec<WhyStep>,
    /// What the value adds up from: of a score its terms, of a distance those of its square.
    pub terms: Vec<WhyTerm>,
    /// The terms added up; of a distance, the square root of that.
    pub sum: Option<f64>,
}

/// What a step does to the query and to the record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyStep {
    /// The step as written, or the metric's name.
    pub step: String,
    /// The query.
    pub query: Change,
    /// The record; `None` where the step leaves it without direction.
    pub record: Option<Change>,
}

/// A term of a value: `scalar * product`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WhyTerm {
    /// `alpha (w.x)` for the record's own term, the step for what it subtracts, `|q|^2` and the like for the rest.
    pub name: String,
    /// What depends on the record alone: `alpha`, `beta_j`.
    pub scalar: f64,
    /// What the query makes of it: `w.x`, `g_j`.
    pub product: f64,
    /// The term.
    pub value: f64,
}
