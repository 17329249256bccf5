//! What a step takes from the records, from their moments: divisors and principal directions.
//!
//! Owns the floors, what counts as no variance at all, and what a statistic given from outside must look like. A
//! statistic is an `f64` function of the rows; its bits do not depend on the number of threads. It reads no rows.
//!
//! # Floors
//! `standardize` divides by `max(sd, 0.01 x median sd)`; `whiten` by the root of a variance that is at least `1e-4` of
//! the median variance. Where more than half of the dimensions do not vary, the median is zero: it is then taken of those that
//! do, and `standardize` divides the others by all of it (`whiten`: by the root of the mean variance of those that do): a query differs from the records where these do not differ from
//! each other, and must not be measured there with a finer rule than where they do. The mean variance is the floor of `whiten`
//! also where there are no more records than dimensions: `n` records vary in at most `n - 1` directions, and divided by their
//! deviations in all of them every two are equally far apart, whatever they are. (On a set of 150 classes in 384 dimensions,
//! precision at 5 among 30 of them with 200 records: .80 plain, .27 with a floor of 1e-4 of the median, .55 with the median,
//! .68 with the mean.) Where none varies, the divisor is 1.
//!
//! # No variance
//! Subtracting leaves rounding errors: a standard deviation of at most [`SPREAD_NOISE`] of the root mean square of what
//! went into the subtractions is zero. So is, for principal directions, one of at most [`DIRECTION_NOISE`] of the
//! largest: eigenvalues are exact to about `d 2^-53` of the largest one, and so its root to a hundred-millionth.

use super::moments::{Covariance, Spread};
use super::step::ResolvedStep;
use crate::error::{Error, ErrorKind, Result};
use crate::linalg::{eigen, stats};
use crate::types::Statistic;

/// Part of the size of what was subtracted that a standard deviation must exceed.
pub(super) const SPREAD_NOISE: f64 = 1e-12;
/// Part of the largest standard deviation that one along a principal direction must exceed.
pub(super) const DIRECTION_NOISE: f64 = 1e-6;
/// Least divisor as a part of the median: of standard deviations, the root of 1e-4 for variances.
const FLOOR: f64 = 0.01;

/// What `standardize` takes.
pub(super) fn scale(spread: &Spread, mean: Vec<f64>) -> Statistic {
    let noise = |scale: &f64| SPREAD_NOISE * scale.sqrt();
    let deviation = |(variance, scale): (&f64, &f64)| {
        let deviation = variance.sqrt();
        if deviation <= noise(scale) { 0.0 } else { deviation }
    };
    let deviations: Vec<f64> = spread.variances().iter().zip(&spread.scales()).map(deviation).collect();
    let (median, typical) = (stats::median(&deviations), stats::median(&those_that_vary(&deviations)));
    let (floor, still) = if median > 0.0 { (FLOOR * median, FLOOR * median) } else { (FLOOR * typical, typical) };
    let divisor = |&sd: &f64| one_if_zero(if sd == 0.0 { still } else { sd.max(floor) });
    Statistic::Scale { mean, divisor: deviations.iter().map(divisor).collect() }
}

/// What `whiten` (all of the first `k` directions, with divisors) or `drop` (without) takes.
///
/// # Errors
/// A covariance that is not finite; what `go_on` answers.
pub(super) fn directions(
    covariance: Covariance,
    middle: Vec<f64>,
    k: usize,
    whiten: bool,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Statistic> {
    let dimension = middle.len();
    let few = covariance.count() <= dimension as u64;
    let noise = SPREAD_NOISE * SPREAD_NOISE * covariance.scale();
    let Some(found) = eigen::principal_unless(covariance.into_matrix(), dimension, go_on)? else {
        return Err(Error::invalid("the covariance of the records has no principal directions: it is not finite"));
    };
    let largest = found.variances.first().copied().unwrap_or_default();
    let noise = noise.max(DIRECTION_NOISE * DIRECTION_NOISE * largest);
    let variances: Vec<f64> = found.variances.iter().map(|&v| if v <= noise { 0.0 } else { v }).collect();
    let median = stats::median(&variances);
    let floor = if few || median == 0.0 { mean(&those_that_vary(&variances)) } else { FLOOR * FLOOR * median };
    let divisor = variances.iter().take(k).map(|v| one_if_zero(v.max(floor).sqrt()));
    let divisor = if whiten { divisor.collect() } else { Vec::new() };
    let mut directions = found.directions;
    directions.truncate(k * dimension);
    Ok(Statistic::Directions { mean: middle, directions, divisor })
}

/// Those that are not zero.
fn those_that_vary(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|&x| x > 0.0).collect()
}

/// The mean; 0 of none.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Whether there are too few records for what `statistic` takes of all directions: no more than dimensions.
pub(super) fn is_of_few(statistic: &Statistic, count: u64) -> bool {
    matches!(statistic, Statistic::Directions { mean, divisor, .. } if !divisor.is_empty() && count <= mean.len() as u64)
}

fn one_if_zero(x: f64) -> f64 {
    if x > 0.0 { x } else { 1.0 }
}

/// Checks that `statistic` is what `step` takes in `dimension` dimensions.
///
/// # Errors
/// Another kind, another dimension, a number that is not finite, a divisor that is not positive.
pub(super) fn check(step: &ResolvedStep, step_idx: usize, statistic: &Statistic, dimension: usize) -> Result<()> {
    let finite = |numbers: &[f64]| numbers.iter().all(|x| x.is_finite());
    let vector = |numbers: &[f64]| numbers.len() == dimension && finite(numbers);
    let positive = |numbers: &[f64]| finite(numbers) && numbers.iter().all(|&x| x > 0.0);
    let fits = match (step, statistic) {
        (ResolvedStep::CenterCorpus, Statistic::Mean(mean)) => vector(mean),
        (ResolvedStep::CenterSides(_), Statistic::Sides { queries, records }) => vector(queries) && vector(records),
        (ResolvedStep::Standardize, Statistic::Scale { mean, divisor }) => {
            vector(mean) && vector(divisor) && positive(divisor)
        }
        (ResolvedStep::Whiten(k), Statistic::Directions { mean, directions, divisor }) => {
            let k = k.unwrap_or(dimension);
            let shaped = directions.len() == k * dimension && divisor.len() == k;
            vector(mean) && shaped && finite(directions) && positive(divisor)
        }
        (ResolvedStep::Drop(k), Statistic::Directions { mean, directions, .. }) => {
            vector(mean) && directions.len() == k * dimension && finite(directions)
        }
        _ => false,
    };
    let message = || {
        format!(
            "the pinned statistic of step {} is not what {step} takes of the {dimension} dimensions that reach it; \
             compute it anew with analyze",
            step_idx + 1
        )
    };
    if fits { Ok(()) } else { Err(Error::new(ErrorKind::Invalid, message())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_look_past_what_does_not_vary() {
        assert_eq!(those_that_vary(&[0.0, 0.0, 0.0, 4.0, 2.0]), [4.0, 2.0]);
        assert_eq!((mean(&[4.0, 2.0]), mean(&[]), one_if_zero(mean(&[]))), (3.0, 0.0, 1.0));
    }

    #[test]
    fn statistics_of_another_step_or_shape_are_refused() {
        let scale = |divisor: &[f64]| Statistic::Scale { mean: vec![0.0; 2], divisor: divisor.to_vec() };
        assert!(check(&ResolvedStep::Standardize, 0, &scale(&[1.0, 2.0]), 2).is_ok());
        for wrong in [scale(&[1.0]), scale(&[1.0, 0.0]), scale(&[1.0, f64::NAN]), Statistic::Mean(vec![0.0; 2])] {
            let error = check(&ResolvedStep::Standardize, 3, &wrong, 2).unwrap_err();
            assert!(error.message().contains("step 4 is not what standardize takes of the 2 dimensions"), "{error}");
        }
        let directions = |rows: usize, divisor: usize| Statistic::Directions {
            mean: vec![0.0; 2],
            directions: vec![0.5; rows * 2],
            divisor: vec![1.0; divisor],
        };
        assert!(check(&ResolvedStep::Whiten(None), 0, &directions(2, 2), 2).is_ok());
        assert!(check(&ResolvedStep::Whiten(Some(1)), 0, &directions(1, 1), 2).is_ok());
        assert!(check(&ResolvedStep::Whiten(Some(1)), 0, &directions(2, 2), 2).is_err());
        assert!(check(&ResolvedStep::Whiten(None), 0, &directions(2, 0), 2).is_err());
        assert!(check(&ResolvedStep::Drop(1), 0, &directions(1, 0), 2).is_ok());
        assert!(check(&ResolvedStep::Drop(1), 0, &directions(2, 0), 2).is_err());
    }
}
