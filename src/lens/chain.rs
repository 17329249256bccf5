//! A chain of steps and a metric, checked against the dimension it is used on.
//!
//! Owns [`Chain`]. Its normal form, on which everything else in this module rests: with `J` normalizations, the
//! processed record is
//!
//! ```text
//! y(x) = S_0(x) (L x + c_0) + S_1(x) c_1 + ... + S_J c_J        S_J = 1
//! ```
//!
//! where `L` is the product of the linear steps (own-mean, truncation, matrices, divisions element by element,
//! directions kept or removed), `c_g` collects the shifts between
//! the `g`-th normalization and the next one, carried through the linear steps that follow, and `S_g(x)` is one
//! divided by the norms taken after group `g`. A normalization multiplies what stands before it by one scalar of the
//! record, and everything else is affine; so a record needs `J` scalars at most, and one if all shifts come before
//! the first normalization. `cosine` is a normalization at the end of both sides, `pearson` an own-mean and a
//! normalization. Neither `L` nor any `c_g` is ever formed: see `program` for the steps and `fold` for their adjoint.

use super::step::{ResolvedStep, SampleRows, VectorMetric};
use crate::error::{Error, ErrorKind, Result};
use crate::types::limits;
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// The largest intermediate that is let through: the sum of its square over all rows must fit an `f64`.
pub(super) const LARGEST: f64 = 1e148;
/// The largest element of a query. Rows are `f32`, so that nothing made of a few of them is larger.
pub(super) const LARGEST_QUERY: f64 = 1e45;

/// The correction for hubs: half the mean of a record's `k` highest scores with the queries of a sample is subtracted
/// (Conneau et al. 2018).
#[derive(Debug, Clone)]
pub struct Csls {
    /// How many, at least 1; all where the sample has fewer.
    pub k: usize,
    /// Raw vectors of the view.
    pub sample: SampleRows,
}

/// Steps in the order they run, a metric, and the dimension of the rows they start from.
#[derive(Debug, Clone)]
pub struct Chain {
    steps: Vec<ResolvedStep>,
    metric: VectorMetric,
    csls: Option<Csls>,
    dimension: usize,
    output_dimension: usize,
}

impl Chain {
    /// Checks `steps` and `metric` for rows of dimension `dimension`.
    ///
    /// # Errors
    /// A step that does not fit the dimension that reaches it, named with both; matrices whose product leaves the
    /// range of `f64`.
    pub fn new(steps: Vec<ResolvedStep>, metric: VectorMetric, dimension: usize) -> Result<Self> {
        let mut output_dimension = dimension;
        for (idx, step) in steps.iter().enumerate() {
            if let ResolvedStep::CenterSides(sample) = step {
                check_sample(sample, dimension).map_err(|e| e.context(format!("step {} ({step})", idx + 1)))?;
            }
            output_dimension =
                dimension_after(step, output_dimension).map_err(|e| e.context(format!("step {} ({step})", idx + 1)))?;
        }
        let chain = Chain { steps, metric, csls: None, dimension, output_dimension };
        chain.check_range()?;
        Ok(chain)
    }

    /// The steps in the order they run.
    pub fn steps(&self) -> &[ResolvedStep] {
        &self.steps
    }

    /// The metric at the end.
    pub fn metric(&self) -> VectorMetric {
        self.metric
    }

    /// The same chain with its scores corrected for hubs: `score - 0.5 r(x)`, `r(x)` the mean of the record's `k`
    /// highest scores with the queries of `sample` (with all that have a direction, where these are fewer).
    ///
    /// # Errors
    /// `k` of zero, a distance as the metric, a sample that is empty or of another dimension than the rows.
    pub fn with_csls(mut self, k: usize, sample: SampleRows) -> Result<Self> {
        check_sample(&sample, self.dimension).map_err(|e| e.context("csls"))?;
        if self.metric.is_distance() {
            return Err(Error::invalid("csls corrects similarities; score euclidean is a distance"));
        }
        if k == 0 || sample.rows().is_empty() {
            let what =
                if k == 0 { "at least one query must count".into() } else { format!("{} is empty", sample.name) };
            return Err(Error::invalid(format!("csls {k} from {}: {what}", sample.name)));
        }
        self.csls = Some(Csls { k, sample });
        Ok(self)
    }

    /// The correction for hubs, where there is one.
    pub fn csls(&self) -> Option<&Csls> {
        self.csls.as_ref()
    }

    /// Dimension of the rows the chain starts from.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Dimension of processed vectors.
    pub fn output_dimension(&self) -> usize {
        self.output_dimension
    }

    /// What its matrices and samples take on the heap, shared or not.
    pub fn heap_bytes(&self) -> usize {
        let sample = |sample: &SampleRows| size_of_val(sample.rows());
        let of_step = |step: &ResolvedStep| match step {
            ResolvedStep::CenterSides(queries) => sample(queries),
            ResolvedStep::Project(projection) => projection.heap_bytes(),
            _ => 0,
        };
        let steps: usize = self.steps.iter().map(of_step).sum();
        steps + self.steps.len() * size_of::<ResolvedStep>() + self.csls.as_ref().map_or(0, |csls| sample(&csls.sample))
    }

    /// A number that differs, but for one chance in 2^128, between chains that compute different things. Together
    /// with [`super::RowSource::identity`] and the live rows it is the key under which a
    /// [`super::Prepared`] may be kept.
    pub fn fingerprint(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.write_usize(self.dimension);
        hash.write_u8(self.metric as u8);
        if let Some(csls) = &self.csls {
            hash.write_u8(10);
            hash.write_usize(csls.k);
            hash.write_u128(csls.sample.fingerprint());
        }
        for step in &self.steps {
            match step {
                ResolvedStep::Center => hash.write_u8(1),
                ResolvedStep::CenterCorpus => hash.write_u8(2),
                ResolvedStep::Normalize => hash.write_u8(3),
                ResolvedStep::Truncate(k) => {
                    hash.write_u8(4);
                    hash.write_usize(*k);
                }
                ResolvedStep::CenterSides(sample) => {
                    hash.write_u8(6);
                    hash.write_u128(sample.fingerprint());
                }
                ResolvedStep::Standardize => hash.write_u8(7),
                ResolvedStep::Whiten(k) => {
                    hash.write_u8(8);
                    hash.write_usize(k.map_or(usize::MAX, |k| k));
                }
                ResolvedStep::Drop(k) => {
                    hash.write_u8(9);
                    hash.write_usize(*k);
                }
                ResolvedStep::Project(projection) => {
                    hash.write_u8(5);
                    for matrix in [projection.query(), projection.record()] {
                        hash.write_u128(matrix.fingerprint());
                    }
                }
            }
        }
        hash.digest128()
    }

    /// Refuses chains whose intermediates could overflow whatever the rows are: rows are `f32`; subtracting means
    /// leaves at most the distance from another row, twice the largest norm, however often it is done; a matrix
    /// multiplies by at most its Frobenius norm, and a normalization starts again from 1. What statistics divide by is
    /// looked at when they are known.
    fn check_range(&self) -> Result<()> {
        let root = (self.dimension as f64).log10() / 2.0;
        let start = (LARGEST_QUERY.log10() + root, f64::from(f32::MAX).log10() + root);
        let ((mut query, mut record), mut centered) = (start, false);
        for (idx, step) in self.steps.iter().enumerate() {
            match step {
                ResolvedStep::Normalize => ((query, record), centered) = ((0.0, 0.0), false),
                ResolvedStep::CenterCorpus
                | ResolvedStep::CenterSides(_)
                | ResolvedStep::Standardize
                | ResolvedStep::Whiten(_)
                | ResolvedStep::Drop(_) => {
                    let doubled = if centered { 0.0 } else { 2f64.log10() };
                    (query, record) = (query + doubled, record + doubled);
                    centered = true;
                }
                // What is left of a vector is no longer than the vector.
                ResolvedStep::Center | ResolvedStep::Truncate(_) => {}
                ResolvedStep::Project(projection) => {
                    query += projection.query().frobenius().log10().max(0.0);
                    record += projection.record().frobenius().log10().max(0.0);
                }
            }
            if query.max(record) > LARGEST.log10() {
                return Err(Error::invalid(format!(
                    "step {} ({step}): the matrices multiply to values beyond {LARGEST:e}; \
                     put a normalize between them or scale them down",
                    idx + 1
                )));
            }
        }
        Ok(())
    }
}

/// Refuses a sample whose queries are not vectors of the view.
fn check_sample(sample: &SampleRows, dimension: usize) -> Result<()> {
    if sample.dimension != dimension || !sample.rows().len().is_multiple_of(dimension.max(1)) {
        return Err(Error::invalid(format!(
            "the queries of sample {} have {} dimensions, but the view has {dimension}",
            sample.name, sample.dimension
        )));
    }
    Ok(())
}

/// The dimension a step gives when `dimension` reaches it.
///
/// # Errors
/// A step that does not fit the dimension.
pub fn dimension_after(step: &ResolvedStep, dimension: usize) -> Result<usize> {
    match step {
        ResolvedStep::Center
        | ResolvedStep::CenterCorpus
        | ResolvedStep::CenterSides(_)
        | ResolvedStep::Standardize
        | ResolvedStep::Normalize => Ok(dimension),
        ResolvedStep::Whiten(_) | ResolvedStep::Drop(_) if dimension > limits::DIRECTIONS_DIMENSION => Err(Error::new(
            ErrorKind::Limit,
            format!(
                "principal directions are computed of at most {} dimensions, but its input has {dimension}; \
                 truncate or project first",
                limits::DIRECTIONS_DIMENSION
            ),
        )),
        ResolvedStep::Whiten(None) => Ok(dimension),
        ResolvedStep::Whiten(Some(0)) => Err(Error::invalid("at least one dimension must be kept")),
        ResolvedStep::Whiten(Some(k)) if *k > dimension => {
            Err(Error::invalid(format!("it keeps {k} dimensions, but its input has {dimension}")))
        }
        ResolvedStep::Whiten(Some(k)) => Ok(*k),
        ResolvedStep::Drop(k) if *k >= dimension => {
            Err(Error::invalid(format!("it removes {k} directions, but its input has {dimension} dimensions")))
        }
        ResolvedStep::Drop(_) => Ok(dimension),
        ResolvedStep::Truncate(0) => Err(Error::invalid("at least one dimension must be kept")),
        ResolvedStep::Truncate(k) if *k > dimension => {
            Err(Error::invalid(format!("it keeps {k} dimensions, but its input has {dimension}")))
        }
        ResolvedStep::Truncate(k) => Ok(*k),
        ResolvedStep::Project(projection) => {
            for (side, matrix) in [("query", projection.query()), ("record", projection.record())] {
                if matrix.columns() != dimension {
                    return Err(Error::invalid(format!(
                        "the {side} side takes {} dimensions ({} x {}), but its input has {dimension}",
                        matrix.columns(),
                        matrix.rows(),
                        matrix.columns()
                    )));
                }
            }
            Ok(projection.record().rows())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::Projection;
    use crate::types::ProjectionDef;

    fn project(rows: u32, columns: u32, value: f32) -> ResolvedStep {
        let query = vec![value; (rows * columns) as usize];
        let name = "m".to_string();
        let def = ProjectionDef { name, rows, columns, query, record: None, origin: String::new(), fitted_on: None };
        ResolvedStep::Project(Projection::from_def(&def).unwrap())
    }

    #[test]
    fn impossible_dimensions_name_the_step_and_both_numbers() {
        let error = Chain::new(vec![ResolvedStep::Truncate(4), project(2, 8, 1.0)], VectorMetric::Dot, 8).unwrap_err();
        assert_eq!(
            error.message(),
            "step 2 (project m): the query side takes 8 dimensions (2 x 8), but its input has 4"
        );
        let error = Chain::new(vec![ResolvedStep::Truncate(9)], VectorMetric::Dot, 8).unwrap_err();
        assert_eq!(error.message(), "step 1 (truncate 9): it keeps 9 dimensions, but its input has 8");
        let error = Chain::new(vec![ResolvedStep::Truncate(0)], VectorMetric::Dot, 8).unwrap_err();
        assert!(error.message().contains("at least one"), "{error}");
        assert_eq!(
            Chain::new(vec![project(2, 8, 1.0), ResolvedStep::Truncate(2)], VectorMetric::Dot, 8)
                .unwrap()
                .output_dimension(),
            2
        );
    }

    #[test]
    fn products_beyond_f64_are_refused_unless_normalized_between() {
        let huge = || project(2, 2, 1e38);
        assert!(Chain::new(vec![huge(); 4], VectorMetric::Dot, 2).unwrap_err().message().contains("step 3"));
        let steps = vec![huge(), huge(), ResolvedStep::Normalize, huge(), huge()];
        assert!(Chain::new(steps, VectorMetric::Cosine, 2).is_ok());
    }

    #[test]
    fn subtracting_means_over_and_over_stays_in_range() {
        for step in [ResolvedStep::Center, ResolvedStep::CenterCorpus, ResolvedStep::Drop(1)] {
            assert!(Chain::new(vec![step; 2000], VectorMetric::Cosine, 4).is_ok());
        }
    }

    #[test]
    fn samples_and_directions_must_fit() {
        let error = |step, d| Chain::new(vec![step], VectorMetric::Dot, d).unwrap_err();
        let sample = SampleRows::new("asked", 3, vec![0.0; 6]);
        let message = "step 1 (center sides from asked): the queries of sample asked have 3 dimensions, but the view \
                       has 4";
        assert_eq!(error(ResolvedStep::CenterSides(sample), 4).message(), message);
        assert!(error(ResolvedStep::Whiten(Some(5)), 4).message().contains("keeps 5 dimensions, but its input has 4"));
        assert!(error(ResolvedStep::Drop(4), 4).message().contains("removes 4 directions"));
        let error = error(ResolvedStep::Whiten(None), limits::DIRECTIONS_DIMENSION + 1);
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[test]
    fn a_hub_correction_needs_a_similarity_and_a_sample() {
        let sample = |rows: usize, dimension| SampleRows::new("asked", dimension, vec![1.0; rows * dimension]);
        let message = |metric, k, sample| {
            let chain = Chain::new(vec![], metric, 4).unwrap();
            chain.with_csls(k, sample).map(|_| ()).unwrap_err().message().to_string()
        };
        assert!(message(VectorMetric::Euclidean, 10, sample(2, 4)).contains("euclidean is a distance"));
        assert_eq!(message(VectorMetric::Dot, 0, sample(2, 4)), "csls 0 from asked: at least one query must count");
        assert_eq!(message(VectorMetric::Dot, 10, sample(0, 4)), "csls 10 from asked: asked is empty");
        assert!(message(VectorMetric::Dot, 10, sample(2, 3)).contains("have 3 dimensions, but the view has 4"));
    }

    #[test]
    fn fingerprints_tell_chains_apart() {
        let print = |steps: Vec<ResolvedStep>, metric| Chain::new(steps, metric, 4).unwrap().fingerprint();
        let sides = |x: f32| ResolvedStep::CenterSides(SampleRows::new("s", 4, vec![x; 4]));
        let csls = |k, x| {
            let sample = SampleRows::new("s", 4, vec![x; 4]);
            Chain::new(vec![], VectorMetric::Dot, 4).unwrap().with_csls(k, sample).unwrap().fingerprint()
        };
        let all = [
            csls(1, 0.0),
            csls(2, 0.0),
            csls(1, 1.0),
            print(vec![], VectorMetric::Dot),
            print(vec![], VectorMetric::Cosine),
            print(vec![ResolvedStep::Center], VectorMetric::Dot),
            print(vec![ResolvedStep::CenterCorpus], VectorMetric::Dot),
            print(vec![ResolvedStep::Truncate(2)], VectorMetric::Dot),
            print(vec![ResolvedStep::Truncate(3)], VectorMetric::Dot),
            print(vec![project(2, 4, 1.0)], VectorMetric::Dot),
            print(vec![project(4, 4, 1.0)], VectorMetric::Dot),
            print(vec![project(2, 4, 2.0)], VectorMetric::Dot),
            print(vec![ResolvedStep::Standardize], VectorMetric::Dot),
            print(vec![ResolvedStep::Whiten(None)], VectorMetric::Dot),
            print(vec![ResolvedStep::Whiten(Some(4))], VectorMetric::Dot),
            print(vec![ResolvedStep::Drop(3)], VectorMetric::Dot),
            print(vec![sides(0.0)], VectorMetric::Dot),
            print(vec![sides(1.0)], VectorMetric::Dot),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(all[9], print(vec![project(2, 4, 1.0)], VectorMetric::Dot));
    }
}
