//! What the catalog stores about learned lenses: what they were fitted on, what the held-out labels said, and how far
//! their scores can be believed.
//!
//! Plain data with a serialized form; the codec is `catalog/`'s. A change here is a change of the disk format.

use super::ids::{CollectionId, CommitNumber};
use serde::{Deserialize, Serialize};

/// What vectors a matrix was fitted on. Used over others it means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FittedOn {
    /// Name of the collection.
    pub collection: String,
    /// Name of the view.
    pub view: String,
    /// The view's embedder; `None`: vectors were supplied.
    pub embedder: Option<String>,
    /// The view's template, where it has one.
    pub template: Option<String>,
    /// In words: the method, how many labels of which respect, the seed.
    pub how: String,
}

/// Which matrices were fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LearnMode {
    /// A question side Q and a record side K.
    Pair,
    /// One matrix M for both sides.
    Same,
}

impl LearnMode {
    /// Its name, as it is typed and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            LearnMode::Pair => "pair",
            LearnMode::Same => "same",
        }
    }
}

/// How a matrix was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LearnMethod {
    /// Contrastive loss in both directions (van den Oord et al. 2018), from the identity.
    InfoNce,
    /// Closed-form ridge regression of records on queries, towards the identity.
    Ridge,
    /// Linear discriminant analysis over classes.
    Lda,
}

impl LearnMethod {
    /// Its name, as it is typed and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            LearnMethod::InfoNce => "infonce",
            LearnMethod::Ridge => "ridge",
            LearnMethod::Lda => "lda",
        }
    }
}

/// Which lift decides whether a learned lens is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Accept {
    /// On records that were not labelled in training.
    NewRecords,
    /// On new queries over records that were labelled in training.
    KnownRecords,
    /// On records of classes of which none was labelled in training.
    NewClasses,
}

impl Accept {
    /// Its name, as it is typed and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Accept::NewRecords => "new-records",
            Accept::KnownRecords => "known-records",
            Accept::NewClasses => "new-classes",
        }
    }
}

/// How much better than the plain lens it ranks what was held out: means of differences of the figure that
/// [`FitFigures::metric`] names (of fits without, of reciprocal rank at 10, and where a field makes the labels, of the
/// share of the first 10 that are of the question's class).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lift {
    /// Mean difference, -1 to 1.
    pub mean: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Mean over its standard error, over groups of questions, as a normal one would be; 0 where fewer than ten
    /// questions moved.
    pub z: f64,
    /// Mean of the plain lens.
    pub plain: f64,
    /// Held-out queries.
    pub queries: u64,
}

/// One fit of a lens: one line of its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedDef {
    /// The lens's name as asked for, without `@candidate`.
    pub lens: String,
    /// Number of this fit, from 1.
    pub fit: u32,
    /// The collection.
    pub collection: CollectionId,
    /// The vectors.
    pub fitted_on: FittedOn,
    /// The respect.
    pub respect: String,
    /// Pair or same.
    pub mode: LearnMode,
    /// The method.
    pub method: LearnMethod,
    /// The seed.
    pub seed: u64,
    /// Labelled pairs used.
    pub labels: u64,
    /// Different queries among them.
    pub queries: u64,
    /// Different records among them.
    pub records: u64,
    /// Groups that were held out together.
    pub groups: u64,
    /// Order-free hash of the labels used.
    pub label_hash: u64,
    /// Which lift decides.
    pub accept: Accept,
    /// New queries over known records; `None`: not measured.
    pub known_records: Option<Lift>,
    /// New records; `None`: not measured.
    pub new_records: Option<Lift>,
    /// The same figure of the queries that stopped the training: plain, then learned.
    pub validation: Option<(f64, f64)>,
    /// Whether the gate accepted it.
    pub accepted: bool,
    /// What became of it, with the commit, in order: `promoted`, `demoted` ...
    pub events: Vec<(String, CommitNumber)>,
    /// Seconds since 1970.
    pub time: u64,
    /// The commit that stored it.
    pub commit: CommitNumber,
}

/// What the lifts of a fit were measured as and among, and what more was measured. Stored beside [`LearnedDef`] in a
/// table that came later: a store of before has fits without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitFigures {
    /// The figure of all lifts: `MRR@10`, or `MAP` where a field makes the labels.
    pub metric: String,
    /// Records that known ones were ranked among, on average; 0: not measured.
    pub known_pool: u64,
    /// Records that new ones were ranked among, on average; 0: not measured.
    pub new_pool: u64,
    /// Records of classes that were left out; `None`: not measured, or no label is of a class.
    pub new_classes: Option<Lift>,
    /// Records that they were ranked among, on average.
    pub classes_pool: u64,
    /// Whether labels are of classes.
    pub has_classes: bool,
    /// Of classes, where the lift that decides was measured: how much nearer the first of them came, as a mean
    /// difference of 1 / rank.
    pub nearest: Option<f64>,
    /// Of new records of classes: the share of the first ten that are of the class, plain and learned.
    pub ten: Option<(f64, f64)>,
}

/// How far a calibration can be believed, from judged hits of queries it was not fitted on (cross-validated).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Expected calibration error over ten bins of equal width, 0 to 1.
    pub ece: f64,
    /// Mean negative log-likelihood in nats.
    pub log_loss: f64,
    /// The same of a constant: the base rate.
    pub base_log_loss: f64,
    /// Bins that hold anything: (mean probability, share that was relevant, judged hits).
    pub table: Vec<(f64, f64, u64)>,
    /// Of a logistic map: variance of the scale, covariance, variance of the bias, with hits of one query taken
    /// together. How far the probability of one hit may be off follows from it.
    pub covariance: Option<(f64, f64, f64)>,
}

/// What a calibration was fitted on, to tell when it is out of date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedOn {
    /// The collection.
    pub collection: CollectionId,
    /// The view's revision.
    pub revision: u64,
    /// Judged hits were among the first `k` of each query.
    pub k: u32,
    /// Different queries.
    pub queries: u64,
    /// Order-free hash of the judgements.
    pub hash: u64,
    /// Seconds since 1970.
    pub time: u64,
}

/// Scores of random pairs of records under one saved lens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackgroundDef {
    /// The version of the lens.
    pub lens_version: u32,
    /// The view's revision.
    pub revision: u64,
    /// Commit of the oldest statistic it was computed with; 0 where the lens pins none.
    pub statistics: CommitNumber,
    /// Pairs drawn.
    pub pairs: u64,
    /// Their scores (distances) at 0, 0.1, 0.2 ... 100 per cent, ascending: 1,001 numbers.
    pub quantiles: Vec<f64>,
}
