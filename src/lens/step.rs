//! Steps and metrics with their names resolved: what a chain is made of.
//!
//! Owns [`ResolvedStep`] and [`VectorMetric`]. Names of lenses, samples and projections have been looked up by the
//! time these are made; texts are not compared here.

use super::projection::Projection;
use crate::error::{Error, ErrorKind, Result};
use crate::types::Metric;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// One preprocessing step with everything it needs but the statistics of the records.
#[derive(Debug, Clone)]
pub enum ResolvedStep {
    /// Subtract the vector's own mean.
    Center,
    /// Subtract the mean of the view's live records at this place in the chain.
    CenterCorpus,
    /// Subtract from queries the mean of these queries as they arrive there, from records the mean of the records.
    CenterSides(SampleRows),
    /// Unit Euclidean length.
    Normalize,
    /// Subtract the records' mean, divide each element by its standard deviation.
    Standardize,
    /// The first so many (all where not said) principal coordinates, with unit variance.
    Whiten(Option<usize>),
    /// Subtract the records' mean, remove the first so many principal directions.
    Drop(usize),
    /// The first so many dimensions.
    Truncate(usize),
    /// One matrix on both sides, or one for each side.
    Project(Projection),
}

impl fmt::Display for ResolvedStep {
    /// The step as the language writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolvedStep::Center => f.write_str("center"),
            ResolvedStep::CenterCorpus => f.write_str("center corpus"),
            ResolvedStep::CenterSides(sample) => write!(f, "center sides from {}", sample.name),
            ResolvedStep::Normalize => f.write_str("normalize"),
            ResolvedStep::Standardize => f.write_str("standardize"),
            ResolvedStep::Whiten(None) => f.write_str("whiten"),
            ResolvedStep::Whiten(Some(k)) => write!(f, "whiten {k}"),
            ResolvedStep::Drop(k) => write!(f, "drop {k}"),
            ResolvedStep::Truncate(k) => write!(f, "truncate {k}"),
            ResolvedStep::Project(projection) => write!(f, "project {}", projection.name()),
        }
    }
}

/// The raw vectors of a stored sample of queries, in one view.
#[derive(Debug, Clone)]
pub struct SampleRows {
    /// The sample's name.
    pub name: String,
    /// Elements of one vector.
    pub dimension: usize,
    rows: Arc<[f32]>,
    /// Asked for with every search, so computed once.
    fingerprint: u128,
}

impl SampleRows {
    /// The sample `name`: `rows` is `n x dimension`, row-major; finite.
    pub fn new(name: impl Into<String>, dimension: usize, rows: impl Into<Arc<[f32]>>) -> Self {
        let rows = rows.into();
        let mut hash = Xxh3::new();
        hash.write_usize(dimension);
        hash.update(bytemuck::cast_slice(&rows));
        SampleRows { name: name.into(), dimension, fingerprint: hash.digest128(), rows }
    }

    /// The vectors, `n x dimension`, row-major.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// A number that differs, but for one chance in 2^128, between samples of different vectors.
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }
}

/// How two processed vectors become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorMetric {
    /// Cosine of the angle, -1 to 1.
    Cosine,
    /// Inner product.
    Dot,
    /// Cosine after subtracting each vector's own mean, -1 to 1.
    Pearson,
    /// Euclidean distance, not squared; lower is more similar.
    Euclidean,
}

impl VectorMetric {
    /// Whether lower values are more similar.
    pub fn is_distance(self) -> bool {
        self == VectorMetric::Euclidean
    }
}

impl TryFrom<Metric> for VectorMetric {
    type Error = Error;

    /// # Errors
    /// Metrics that are not computed from two vectors alone.
    fn try_from(metric: Metric) -> Result<Self> {
        match metric {
            Metric::Cosine => Ok(VectorMetric::Cosine),
            Metric::Dot => Ok(VectorMetric::Dot),
            Metric::Pearson => Ok(VectorMetric::Pearson),
            Metric::Euclidean => Ok(VectorMetric::Euclidean),
            Metric::Probability | Metric::Levenshtein => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} is not computed from two vectors alone", metric.as_str()),
            )),
        }
    }
}
