//! A chain of steps and a metric, checked against the dimension it is used on.
//!
//! Owns [`Chain`]. Its normal form, on which everything else in this module rests: with `J` normalizations, the
//! processed record is
//!
//! ```text
//! y(x) = S_0(x) (L x + c_0) + S_1(x) c_1 + ... + S_J c_J        S_J = 1
//! ```
//!
//! where `L` is the product of the linear steps (own-mean, truncation, matrices), `c_g` collects the shifts between
//! the `g`-th normalization and the next one, carried through the linear steps that follow, and `S_g(x)` is one
//! divided by the norms taken after group `g`. A normalization multiplies what stands before it by one scalar of the
//! record, and everything else is affine; so a record needs `J` scalars at most, and one if all shifts come before
//! the first normalization. `cosine` is a normalization at the end of both sides, `pearson` an own-mean and a
//! normalization. Neither `L` nor any `c_g` is ever formed: see `program` for the steps and `fold` for their adjoint.

use super::step::{ResolvedStep, VectorMetric};
use crate::error::{Error, Result};
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// Steps in the order they run, a metric, and the dimension of the rows they start from.
#[derive(Debug, Clone)]
pub struct Chain {
    steps: Vec<ResolvedStep>,
    metric: VectorMetric,
    dimension: usize,
    output_dimension: usize,
}

/// Decimal logarithm of the largest intermediate that is let through: its square must fit an `f64`.
const LARGEST_EXPONENT: f64 = 150.0;

impl Chain {
    /// Checks `steps` and `metric` for rows of dimension `dimension`.
    ///
    /// # Errors
    /// A step that does not fit the dimension that reaches it, named with both; matrices whose product leaves the
    /// range of `f64`.
    pub fn new(steps: Vec<ResolvedStep>, metric: VectorMetric, dimension: usize) -> Result<Self> {
        let mut output_dimension = dimension;
        for (idx, step) in steps.iter().enumerate() {
            output_dimension =
                dimension_after(step, output_dimension).map_err(|e| e.context(format!("step {} ({step})", idx + 1)))?;
        }
        let chain = Chain { steps, metric, dimension, output_dimension };
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

    /// Dimension of the rows the chain starts from.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Dimension of processed vectors.
    pub fn output_dimension(&self) -> usize {
        self.output_dimension
    }

    /// A number that differs, but for one chance in 2^128, between chains that compute different things. Together
    /// with [`super::RowSource::identity`] and the live rows it is the key under which a
    /// [`super::Prepared`] may be kept.
    pub fn fingerprint(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.write_usize(self.dimension);
        hash.write_u8(self.metric as u8);
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
                    hash.write_usize(sample.rows.len());
                    hash.update(bytemuck::cast_slice(&sample.rows));
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

    /// Refuses chains whose intermediates could overflow: rows are `f32`, a mean at most doubles them, a matrix
    /// multiplies by at most its Frobenius norm, and a normalization starts again from 1.
    fn check_range(&self) -> Result<()> {
        let start = f64::from(f32::MAX).log10() + (self.dimension as f64).log10() / 2.0;
        let (mut query, mut record) = (start, start);
        for (idx, step) in self.steps.iter().enumerate() {
            match step {
                ResolvedStep::Normalize => (query, record) = (0.0, 0.0),
                ResolvedStep::Center
                | ResolvedStep::CenterCorpus
                | ResolvedStep::CenterSides(_)
                | ResolvedStep::Standardize
                | ResolvedStep::Whiten(_)
                | ResolvedStep::Drop(_) => (query, record) = (query + 0.31, record + 0.31),
                ResolvedStep::Truncate(_) => {}
                ResolvedStep::Project(projection) => {
                    query += projection.query().frobenius().log10().max(0.0);
                    record += projection.record().frobenius().log10().max(0.0);
                }
            }
            if query.max(record) > LARGEST_EXPONENT {
                return Err(Error::invalid(format!(
                    "step {} ({step}): the matrices multiply to values beyond 1e{LARGEST_EXPONENT}; \
                     put a normalize between them or scale them down",
                    idx + 1
                )));
            }
        }
        Ok(())
    }
}

/// The dimension a step gives when `dimension` reaches it.
fn dimension_after(step: &ResolvedStep, dimension: usize) -> Result<usize> {
    match step {
        ResolvedStep::Center
        | ResolvedStep::CenterCorpus
        | ResolvedStep::CenterSides(_)
        | ResolvedStep::Standardize
        | ResolvedStep::Whiten(None)
        | ResolvedStep::Normalize => Ok(dimension),
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
        let def = ProjectionDef { name, rows, columns, query, record: None, origin: String::new() };
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
    fn fingerprints_tell_chains_apart() {
        let print = |steps: Vec<ResolvedStep>, metric| Chain::new(steps, metric, 4).unwrap().fingerprint();
        let all = [
            print(vec![], VectorMetric::Dot),
            print(vec![], VectorMetric::Cosine),
            print(vec![ResolvedStep::Center], VectorMetric::Dot),
            print(vec![ResolvedStep::CenterCorpus], VectorMetric::Dot),
            print(vec![ResolvedStep::Truncate(2)], VectorMetric::Dot),
            print(vec![ResolvedStep::Truncate(3)], VectorMetric::Dot),
            print(vec![project(2, 4, 1.0)], VectorMetric::Dot),
            print(vec![project(4, 4, 1.0)], VectorMetric::Dot),
            print(vec![project(2, 4, 2.0)], VectorMetric::Dot),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(all[6], print(vec![project(2, 4, 1.0)], VectorMetric::Dot));
    }
}
