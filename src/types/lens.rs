//! The parts of a lens as data: steps, metric, and their names in the query language.
//!
//! What they compute is `lens/`'s business; how they are written is `query/`'s. Both share these types.

use serde::{Deserialize, Serialize};

/// A projection named in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProjectionRef {
    /// `project NAME`: a symmetric matrix, or a stored pair (query side, record side).
    One(String),
    /// `project A -> B`: matrix A on the query, matrix B on the record.
    Pair(String, String),
}

/// One preprocessing step; LANGUAGE defines each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// `center`: subtract the vector's own mean.
    Center,
    /// `center corpus`: subtract the mean of the view's live records at this place in the chain.
    CenterCorpus,
    /// `center sides from SAMPLE`: queries by the sample's mean, records by the records' mean.
    CenterSides(String),
    /// `normalize`: unit Euclidean length.
    Normalize,
    /// `standardize`: per dimension.
    Standardize,
    /// `whiten [K]`: principal coordinates with unit variance.
    Whiten(Option<u32>),
    /// `drop K`: remove the top K principal directions.
    Drop(u32),
    /// `truncate K`: the first K dimensions.
    Truncate(u32),
    /// `project ...`.
    Project(ProjectionRef),
}

impl Step {
    /// Whether it takes numbers from the records of the view.
    pub(crate) fn takes_statistics(&self) -> bool {
        match self {
            Step::CenterCorpus | Step::CenterSides(_) | Step::Standardize | Step::Whiten(_) | Step::Drop(_) => true,
            Step::Center | Step::Normalize | Step::Truncate(_) | Step::Project(_) => false,
        }
    }
}

/// How two processed vectors (or two texts) become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Cosine of the angle, -1 to 1; higher is more similar.
    Cosine,
    /// Inner product; higher is more similar.
    Dot,
    /// Cosine after subtracting each vector's own mean, -1 to 1; higher is more similar.
    Pearson,
    /// Euclidean distance (not squared); lower is more similar.
    Euclidean,
    /// A calibrated lens's probability, 0 to 1; higher is more similar.
    Probability,
    /// Edit distance of the texts in characters; lower is more similar.
    Levenshtein,
}

impl Metric {
    /// The metric's name in the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::Dot => "dot",
            Metric::Pearson => "pearson",
            Metric::Euclidean => "euclidean",
            Metric::Probability => "probability",
            Metric::Levenshtein => "levenshtein",
        }
    }

    /// Whether hits carry a `distance` (lower is more similar) and not a `score`.
    pub fn is_distance(self) -> bool {
        matches!(self, Metric::Euclidean | Metric::Levenshtein)
    }

    /// `higher is more similar` or `lower is more similar`.
    pub fn direction(self) -> &'static str {
        if self.is_distance() { "lower is more similar" } else { "higher is more similar" }
    }
}

/// A whole lens: which text, which preprocessing, which metric.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LensDef {
    /// Name of the view.
    pub view: String,
    /// Steps in the order they run.
    pub steps: Vec<Step>,
    /// The metric at the end.
    pub metric: Metric,
    /// `csls K from SAMPLE`, applied to the metric's score.
    pub csls: Option<(u32, String)>,
}

impl Default for LensDef {
    /// View `raw`, no steps, `score cosine`.
    fn default() -> Self {
        LensDef { view: "raw".to_string(), steps: Vec::new(), metric: Metric::Cosine, csls: None }
    }
}
