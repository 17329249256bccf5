//! What the catalog stores about saved lenses: what they are, what they pin, and what is kept ready for them.
//!
//! Plain data with a serialized form; the codec is `catalog/`'s. A change here is a change of the disk format.

use super::definitions::{CollectionDef, ElementType, ProjectionDef};
use super::ids::{CollectionId, CommitNumber, ViewId};
use super::learned::{JudgedOn, Reliability};
use super::lens::LensDef;
use serde::{Deserialize, Serialize};

/// A saved lens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensRecord {
    /// Name, unique in the store.
    pub name: String,
    /// What it is.
    pub lens: LensDef,
    /// Grows by one with each redefinition.
    pub version: u32,
    /// The commit that saved it.
    pub commit: CommitNumber,
    /// What it pins until `analyze`, by collection and place in the chain. The numbers are a [`Statistic`] of their
    /// own each, read when they are needed.
    pub pinned: Vec<PinnedStatistic>,
}

/// What is said of a projection without its matrices, which may be large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionHead {
    /// Output dimension.
    pub rows: u32,
    /// Input dimension.
    pub columns: u32,
    /// Whether query and record sides differ.
    pub pair: bool,
    /// Where it came from, in words.
    pub origin: String,
}

impl ProjectionHead {
    /// The head of a projection.
    pub fn of(def: &ProjectionDef) -> Self {
        let (rows, columns, pair) = (def.rows, def.columns, def.record.is_some());
        ProjectionHead { rows, columns, pair, origin: def.origin.clone() }
    }
}

/// What is said of a sample without its queries, which may be many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleHead {
    /// The collection its queries ask.
    pub collection: CollectionId,
    /// Number of queries.
    pub queries: u64,
    /// The view that its vectors are for, and their dimension; `None`: it has texts only.
    pub vectors: Option<(String, u32)>,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl SampleHead {
    /// The head of a sample.
    pub fn of(def: &SampleDef) -> Self {
        let vectors = def.vectors.as_ref().map(|vectors| (vectors.view.clone(), vectors.dimension));
        SampleHead { collection: def.collection, queries: def.ids.len() as u64, vectors, commit: def.commit }
    }
}

/// Which statistic a named lens pins, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedStatistic {
    /// The collection it was computed over.
    pub collection: CollectionId,
    /// Position of the step in the chain.
    pub step_idx: u32,
    /// The commit it was computed at.
    pub commit: CommitNumber,
    /// Records it was computed from.
    pub records: u64,
    /// The view's revision it was computed at.
    pub revision: u64,
}

/// What a step takes from the records (and for `center sides` from a sample of queries) as they arrive at its place
/// in a chain. `d` is the dimension there. All numbers are finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Statistic {
    /// `center corpus`: both sides subtract it.
    Mean(Vec<f64>),
    /// `center sides`: each side subtracts its own.
    Sides {
        /// Mean of the sample's queries, `d`.
        queries: Vec<f64>,
        /// Mean of the records, `d`.
        records: Vec<f64>,
    },
    /// `standardize`: subtract, then divide element by element.
    Scale {
        /// Mean, `d`.
        mean: Vec<f64>,
        /// What each element is divided by, `d`, positive.
        divisor: Vec<f64>,
    },
    /// `whiten`, `drop`: subtract, then look along (or away from) principal directions.
    Directions {
        /// Mean, `d`.
        mean: Vec<f64>,
        /// Orthonormal principal directions, `k x d`, row-major, by falling variance.
        directions: Vec<f64>,
        /// `whiten`: what each of the `k` coordinates is divided by, positive; `drop`: empty.
        divisor: Vec<f64>,
    },
}

impl PinnedStatistic {
    /// Commits since then that changed what it was computed from; `collection` is the one it belongs to, as it is now,
    /// and `view` the lens's.
    pub fn commits_behind(&self, collection: &CollectionDef, view: &str) -> u64 {
        let view = collection.views.iter().find(|def| def.name == view);
        view.map_or(0, |view| view.revision.saturating_sub(self.revision))
    }
}

impl Statistic {
    /// How many numbers it is made of.
    pub fn len(&self) -> usize {
        match self {
            Statistic::Mean(mean) => mean.len(),
            Statistic::Sides { queries, records } => queries.len() + records.len(),
            Statistic::Scale { mean, divisor } => mean.len() + divisor.len(),
            Statistic::Directions { mean, directions, divisor } => mean.len() + directions.len() + divisor.len(),
        }
    }

    /// Whether all its numbers are, as they must be.
    pub fn is_finite(&self) -> bool {
        let all = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        match self {
            Statistic::Mean(mean) => all(mean),
            Statistic::Sides { queries, records } => all(queries) && all(records),
            Statistic::Scale { mean, divisor } => all(mean) && all(divisor),
            Statistic::Directions { mean, directions, divisor } => all(mean) && all(directions) && all(divisor),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A named set of queries, for `center sides`, `csls` and evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleDef {
    /// Name, unique in the store.
    pub name: String,
    /// The collection its queries ask.
    pub collection: CollectionId,
    /// Ids of the queries as given.
    pub ids: Vec<String>,
    /// Texts of the queries, as many as ids; a view with an embedder embeds them as it embeds any query.
    pub texts: Vec<String>,
    /// Vectors that came along, for the view they were given for.
    pub vectors: Option<SampleVectors>,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl SampleDef {
    /// A sample of texts that ask `collection`; its commit is filled in when it is stored.
    pub fn new(name: impl Into<String>, collection: CollectionId) -> Self {
        SampleDef {
            name: name.into(),
            collection,
            ids: Vec::new(),
            texts: Vec::new(),
            vectors: None,
            commit: CommitNumber(0),
        }
    }

    /// Whether two samples hold the same queries, whenever they were stored.
    pub fn is_same(&self, other: &SampleDef) -> bool {
        let bits = |vectors: &SampleVectors| vectors.data.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let same_vectors = match (&self.vectors, &other.vectors) {
            (Some(a), Some(b)) => (&a.view, a.dimension, bits(a)) == (&b.view, b.dimension, bits(b)),
            (None, None) => true,
            _ => false,
        };
        same_vectors && self.collection == other.collection && self.ids == other.ids && self.texts == other.texts
    }
}

/// Vectors of a sample's queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleVectors {
    /// Name of the view they are for.
    pub view: String,
    /// Dimension `d`.
    pub dimension: u32,
    /// `n x d`, row-major, one row for each query.
    pub data: Vec<f32>,
}

/// What turns a lens's score into a probability; it belongs to one version of the lens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The version of the lens it belongs to.
    pub lens_version: u32,
    /// The map from score to probability, which never falls.
    pub map: CalibrationMap,
    /// Where it came from, in words: `supplied scale and bias`.
    pub origin: String,
    /// Judged pairs it was fitted on; 0 where it was supplied.
    pub labels: u64,
    /// What it was fitted on; `None` where it was supplied.
    pub judged_on: Option<JudgedOn>,
    /// How far it can be believed; `None` where it was supplied.
    pub reliability: Option<Reliability>,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

impl Calibration {
    /// A logistic map whose `scale` (positive) and `bias` the user supplies. What belongs to the lens is filled in when
    /// it is stored.
    pub fn supplied(scale: f64, bias: f64) -> Self {
        Calibration {
            lens_version: 0,
            map: CalibrationMap::Logistic { scale, bias },
            origin: "supplied scale and bias".to_string(),
            labels: 0,
            judged_on: None,
            reliability: None,
            commit: CommitNumber(0),
        }
    }
}

/// A map from a score (minus the distance, where the metric is one) to a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CalibrationMap {
    /// `1 / (1 + exp(-(scale s + bias)))`, `scale` positive (Platt 1999).
    Logistic {
        /// Positive.
        scale: f64,
        /// Any finite number.
        bias: f64,
    },
    /// A step function: `probabilities[i]` from `scores[i]` on, the first one below it, too.
    Isotonic {
        /// Ascending.
        scores: Vec<f64>,
        /// Not falling, 0 to 1, as many as scores.
        probabilities: Vec<f64>,
    },
}

/// What is kept ready of a saved lens for one collection: its processed rows, or its scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DerivedKind {
    /// Processed rows, made by `materialize`.
    Rows,
    /// Per-record scalars.
    Scalars,
}

impl DerivedKind {
    /// `rows` or `scalars`.
    pub fn as_str(self) -> &'static str {
        match self {
            DerivedKind::Rows => "rows",
            DerivedKind::Scalars => "scalars",
        }
    }
}

/// Rows derived from a view under a saved lens, kept as segments of their own beside the view's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivedDef {
    /// Rows or scalars.
    pub kind: DerivedKind,
    /// Name of the lens.
    pub lens: String,
    /// Version of the lens they belong to.
    pub lens_version: u32,
    /// Commit of the oldest statistic they were computed with.
    pub statistics: CommitNumber,
    /// The collection.
    pub collection: CollectionId,
    /// The view they were computed from.
    pub source: ViewId,
    /// Their own number among the views: segments are stored under it.
    pub id: ViewId,
    /// Elements of one derived row.
    pub dimension: u32,
    /// Element type.
    pub element: ElementType,
    /// Rows covered.
    pub rows: u32,
}
