//! Eigenvectors of symmetric matrices: principal directions.
//!
//! Owns [`principal`], the one call of faer's self-adjoint eigendecomposition, with a fixed order and sign. It runs on
//! one thread alone, so that its bits depend on the matrix (and the machine's instructions), never on the number of
//! threads. It cannot be interrupted: [`principal_unless`] lets whoever waits for a large one go. It knows no rows and
//! no lens.

use super::stats;
use crate::error::Result;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, MatRef, Par};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Eigenvalues and eigenvectors of a positive semidefinite matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Eigenvalues, `d`, from the largest on; never negative.
    pub variances: Vec<f64>,
    /// Orthonormal eigenvectors, `d x d`, row-major, in the order of `variances`. The element of largest size (the
    /// first of several) is positive.
    pub directions: Vec<f64>,
}

/// The eigendecomposition of a positive semidefinite `d x d` matrix, of which the lower half of the column-major
/// `matrix` is read (the upper half of a row-major one). `None` where it has an element that is not finite, or the
/// iteration does not converge.
///
/// # Panics
/// When `matrix` is not `dimension x dimension`.
pub fn principal(matrix: &[f64], dimension: usize) -> Option<Principal> {
    assert_eq!(matrix.len(), dimension * dimension, "a square matrix");
    if matrix.iter().any(|x| !x.is_finite()) {
        return None;
    }
    // A power of two brings the matrix near 1, so that no square on the way overflows or vanishes.
    let largest = (0..dimension).map(|i| matrix[i * dimension + i].abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        // Every direction is as good as another; faer's iteration has none.
        let directions = (0..dimension * dimension).map(|i| f64::from(u8::from(i % (dimension + 1) == 0))).collect();
        return Some(Principal { variances: vec![0.0; dimension], directions });
    }
    let scale = stats::power_of_two_above(largest);
    let scaled: Vec<f64> = matrix.iter().map(|x| x / scale).collect();
    let (mut values, mut vectors) = (vec![0.0; dimension], vec![0.0; dimension * dimension]);
    let scratch = self_adjoint_evd_scratch::<f64>(dimension, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        MatRef::from_column_major_slice(&scaled, dimension, dimension),
        DiagMut::from_slice_mut(&mut values),
        Some(MatMut::from_column_major_slice_mut(&mut vectors, dimension, dimension)),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    // faer's order is rising, and its columns are our rows.
    let variances = values.iter().rev().map(|value| value.max(0.0) * scale).collect();
    let directions = vectors.chunks_exact(dimension.max(1)).rev().flat_map(with_fixed_sign).collect();
    Some(Principal { variances, directions })
}

/// Dimensions from which on a decomposition is waited for beside it: fewer take some milliseconds.
const LARGE: usize = 192;
/// How often whoever waits asks whether to go on.
const ASKED_EVERY: Duration = Duration::from_millis(10);

/// [`principal`], for whoever may have to stop waiting for it: `go_on` is asked some hundred times a second. A
/// decomposition that nobody waits for any more ends by itself, on a thread of its own.
///
/// # Errors
/// What `go_on` answers.
///
/// # Panics
/// As [`principal`].
pub fn principal_unless(
    matrix: Vec<f64>,
    dimension: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Option<Principal>> {
    go_on()?;
    if dimension < LARGE {
        return Ok(principal(&matrix, dimension));
    }
    let matrix = Arc::new(matrix);
    let (done, found) = mpsc::channel();
    let theirs = Arc::clone(&matrix);
    let named = std::thread::Builder::new().name("simile-eigen".to_string());
    let begun = named.spawn(move || {
        // Nobody may be waiting any more.
        let _ = done.send(principal(&theirs, dimension));
    });
    let Ok(thread) = begun else { return Ok(principal(&matrix, dimension)) };
    loop {
        match found.recv_timeout(ASKED_EVERY) {
            Ok(found) => return Ok(found),
            Err(RecvTimeoutError::Timeout) => go_on()?,
            Err(RecvTimeoutError::Disconnected) => {
                // It has panicked, and that is passed on.
                return thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |()| Ok(None));
            }
        }
    }
}

/// `v` or `-v`: the one whose element of largest size, the first of several, is positive.
fn with_fixed_sign(v: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let largest = v.iter().fold(0.0f64, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
    let sign = if largest < 0.0 { -1.0 } else { 1.0 };
    v.iter().map(move |x| x * sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum of values[k] * v_k v_k'` for the orthonormal rows of a Householder reflection.
    fn with_spectrum(values: &[f64]) -> Vec<f64> {
        let d = values.len();
        let mut h: Vec<f64> = (0..d).map(|i| 1.0 + (i * 7 % 5) as f64).collect();
        let norm = stats::norm(&h);
        h.iter_mut().for_each(|x| *x /= norm);
        let v = |k: usize, i: usize| f64::from(u8::from(k == i)) - 2.0 * h[k] * h[i];
        let mut matrix = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..d {
                matrix[i * d + j] = (0..d).map(|k| values[k] * v(k, i) * v(k, j)).sum();
            }
        }
        matrix
    }

    #[test]
    fn a_known_spectrum_comes_back_at_any_magnitude() {
        for d in [1usize, 2, 3, 8, 33, 64, 65, 130] {
            for magnitude in [1.0, 1e-250, 1e280] {
                let values: Vec<f64> = (0..d).map(|i| (d - i) as f64 * magnitude).collect();
                let matrix = with_spectrum(&values);
                let found = principal(&matrix, d).unwrap();
                for (i, (value, expected)) in found.variances.iter().zip(&values).enumerate() {
                    assert!((value / expected - 1.0).abs() < 1e-10, "{d}: {value} {expected}");
                    let v = &found.directions[i * d..(i + 1) * d];
                    assert!((stats::norm(v) - 1.0).abs() < 1e-12);
                    let largest = v.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
                    assert!(largest > 0.0, "the sign is fixed");
                    for (row, x) in matrix.chunks_exact(d).zip(v) {
                        let product: f64 = row.iter().zip(v).map(|(a, b)| a * b).sum();
                        assert!((product - expected * x).abs() < 1e-10 * values[0], "an eigenvector of {d}");
                    }
                }
            }
        }
    }

    #[test]
    fn directions_of_deficient_and_repeated_spectra_are_orthonormal() {
        for d in [1usize, 2, 5, 16, 40, 64, 65, 100, 200] {
            let diagonal = |values: &dyn Fn(usize) -> f64| {
                let mut matrix = vec![0.0; d * d];
                (0..d).for_each(|i| matrix[i * d + i] = values(i));
                matrix
            };
            let blocks = |i: usize| if i.is_multiple_of(3) { 2.0 } else { 0.0 };
            for matrix in [
                diagonal(&|_| 1.0),
                diagonal(&blocks),
                diagonal(&|i| if i == d / 2 { 1.0 } else { 0.0 }),
                diagonal(&|i| 10f64.powi(-(i as i32 * 3))),
                vec![1.0; d * d],
                with_spectrum(&(0..d).map(blocks).collect::<Vec<_>>()),
                with_spectrum(&(0..d).map(|i| 10f64.powi(-(i as i32 * 2))).collect::<Vec<_>>()),
            ] {
                let found = principal(&matrix, d).unwrap();
                assert!(found.variances.is_sorted_by(|a, b| a >= b));
                for i in 0..d {
                    for j in 0..=i {
                        let product: f64 =
                            (0..d).map(|k| found.directions[i * d + k] * found.directions[j * d + k]).sum();
                        let expected = f64::from(u8::from(i == j));
                        assert!((product - expected).abs() < 1e-12, "{d}: {i} {j} {product}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_large_decomposition_is_the_same_beside_and_need_not_be_waited_for() {
        let d = 256;
        let matrix = with_spectrum(&(0..d).map(|i| (d - i) as f64).collect::<Vec<_>>());
        let beside = principal_unless(matrix.clone(), d, &|| Ok(())).unwrap();
        assert_eq!(beside, principal(&matrix, d));
        let cancelled = || crate::Error::new(crate::ErrorKind::Cancelled, "cancelled");
        for asked_before in [0, 1] {
            let asked = std::cell::Cell::new(0);
            let go_on = || {
                asked.set(asked.get() + 1);
                if asked.get() > asked_before { Err(cancelled()) } else { Ok(()) }
            };
            // 1,500 dimensions take seconds: whoever asks the second time is answered long before.
            let large = vec![1.0 / 1_500.0; if asked_before == 0 { 1 } else { 1_500 * 1_500 }];
            let dimension = if asked_before == 0 { 1 } else { 1_500 };
            assert_eq!(principal_unless(large, dimension, &go_on).unwrap_err().kind(), crate::ErrorKind::Cancelled);
            assert_eq!(asked.get(), asked_before + 1);
        }
    }

    #[test]
    fn the_zero_matrix_has_directions_and_nonsense_has_none() {
        let found = principal(&[0.0; 9], 3).unwrap();
        assert_eq!(found.variances, [0.0; 3]);
        for i in 0..3 {
            assert!((stats::norm(&found.directions[i * 3..i * 3 + 3]) - 1.0).abs() < 1e-14);
        }
        assert!(principal(&[f64::NAN], 1).is_none());
        assert!(principal(&[], 0).unwrap().variances.is_empty());
    }
}
