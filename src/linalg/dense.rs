//! Products of dense row-major matrices in `f32` on all cores, and the solution of symmetric systems in `f64`.
//!
//! Owns the products that fitting a matrix needs. A product is cut into blocks of rows of its result, and the cut
//! depends on the shapes alone: the same operands give the same bits whatever the number of threads. It knows no lens.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of the result that one task computes.
const BLOCK_ROWS: usize = 128;

/// `out = A B'`: `a` is `n x d`, `b` is `k x d`, `out` is `n x k`.
pub fn times_transposed(a: &[f32], b: &[f32], out: &mut [f32], dimension: usize) {
    let k = b.len() / dimension.max(1);
    if k == 0 || out.is_empty() {
        return;
    }
    let b = MatRef::from_row_major_slice(b, k, dimension);
    out.par_chunks_mut(BLOCK_ROWS * k).zip(a.par_chunks(BLOCK_ROWS * dimension)).for_each(|(out, a)| {
        let n = a.len() / dimension;
        let a = MatRef::from_row_major_slice(a, n, dimension);
        matmul(MatMut::from_row_major_slice_mut(out, n, k), Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
    });
}

/// `out = A B`: `a` is `n x k`, `b` is `k x d`, `out` is `n x d`.
pub fn times(a: &[f32], b: &[f32], out: &mut [f32], dimension: usize) {
    let k = b.len() / dimension.max(1);
    if k == 0 || out.is_empty() {
        return;
    }
    let b = MatRef::from_row_major_slice(b, k, dimension);
    out.par_chunks_mut(BLOCK_ROWS * dimension).zip(a.par_chunks(BLOCK_ROWS * k)).for_each(|(out, a)| {
        let n = a.len() / k;
        let a = MatRef::from_row_major_slice(a, n, k);
        matmul(MatMut::from_row_major_slice_mut(out, n, dimension), Accum::Replace, a, b, 1.0, Par::Seq);
    });
}

/// `out = A'B`: `a` is `n x k`, `b` is `n x d`, `out` is `k x d`.
pub fn transposed_times(a: &[f32], b: &[f32], out: &mut [f32], k: usize, dimension: usize) {
    let n = b.len() / dimension.max(1);
    if n == 0 || k == 0 {
        out.fill(0.0);
        return;
    }
    let a = MatRef::from_row_major_slice(a, n, k);
    let b = MatRef::from_row_major_slice(b, n, dimension);
    out.par_chunks_mut(BLOCK_ROWS * dimension).enumerate().for_each(|(block, out)| {
        let rows = out.len() / dimension;
        let a = a.subcols(block * BLOCK_ROWS, rows).transpose();
        matmul(MatMut::from_row_major_slice_mut(out, rows, dimension), Accum::Replace, a, b, 1.0, Par::Seq);
    });
}

/// `out = A'B` in `f64` on the calling thread: `a` is `n x k`, `b` is `n x d`, `out` is `k x d`.
pub fn transposed_times_f64(a: &[f64], b: &[f64], out: &mut [f64], k: usize, dimension: usize) {
    let n = b.len() / dimension.max(1);
    if n == 0 || k == 0 {
        out.fill(0.0);
        return;
    }
    let a = MatRef::from_row_major_slice(a, n, k);
    let b = MatRef::from_row_major_slice(b, n, dimension);
    matmul(MatMut::from_row_major_slice_mut(out, k, dimension), Accum::Replace, a.transpose(), b, 1.0, Par::Seq);
}

/// Solves `S X = B` on the calling thread, for a symmetric positive definite `S` (`d x d`, destroyed); `b`
/// (column-major, `d x m`) becomes `X`. False where `S` is not positive definite.
pub fn solve_positive(s: &mut [f64], b: &mut [f64], dimension: usize) -> bool {
    if dimension == 0 {
        return true;
    }
    let columns = b.len() / dimension;
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(dimension, Par::Seq, Default::default());
    let mut buffer = MemBuffer::new(scratch);
    let found = llt::factor::cholesky_in_place(
        MatMut::from_column_major_slice_mut(s, dimension, dimension),
        Default::default(),
        Par::Seq,
        MemStack::new(&mut buffer),
        Default::default(),
    );
    if found.is_err() {
        return false;
    }
    let factor = MatRef::from_column_major_slice(s, dimension, dimension);
    let rhs = MatMut::from_column_major_slice_mut(&mut *b, dimension, columns);
    let mut empty = MemBuffer::new(StackReq::EMPTY);
    llt::solve::solve_in_place(factor, rhs, Par::Seq, MemStack::new(&mut empty));
    b.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers, so that every product is exact.
    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 31 + salt * 17 + i / 7) % 9) as f32 - 4.0).collect()
    }

    fn at(m: &[f32], columns: usize, i: usize, j: usize) -> f32 {
        m[i * columns + j]
    }

    #[test]
    fn products_are_those_of_the_textbook() {
        for (n, k, d) in [(1, 1, 1), (3, 5, 2), (129, 4, 33), (260, 131, 7), (5, 300, 140)] {
            let (a, b) = (numbers(n * d, 1), numbers(k * d, 2));
            let mut out = vec![f32::NAN; n * k];
            times_transposed(&a, &b, &mut out, d);
            for i in 0..n {
                for j in 0..k {
                    let sum: f32 = (0..d).map(|t| at(&a, d, i, t) * at(&b, d, j, t)).sum();
                    assert_eq!(at(&out, k, i, j), sum);
                }
            }
            let (a, b) = (numbers(n * k, 3), numbers(k * d, 4));
            let mut out = vec![f32::NAN; n * d];
            times(&a, &b, &mut out, d);
            let last: f32 = (0..k).map(|t| at(&a, k, n - 1, t) * at(&b, d, t, d - 1)).sum();
            assert_eq!(at(&out, d, n - 1, d - 1), last);
            let (a, b) = (numbers(n * k, 5), numbers(n * d, 6));
            let mut out = vec![f32::NAN; k * d];
            transposed_times(&a, &b, &mut out, k, d);
            let wide = |m: &[f32]| m.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            let mut out_f64 = vec![f64::NAN; k * d];
            transposed_times_f64(&wide(&a), &wide(&b), &mut out_f64, k, d);
            for i in 0..k {
                for j in 0..d {
                    let sum: f32 = (0..n).map(|t| at(&a, k, t, i) * at(&b, d, t, j)).sum();
                    assert_eq!(at(&out, d, i, j), sum);
                    assert_eq!(out_f64[i * d + j], f64::from(sum));
                }
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let values = |salt: usize, count: usize| -> Vec<f32> {
            (0..count).map(|i| (((i * 7919 + salt) % 1009) as f32 - 504.0) / 333.0).collect()
        };
        let (a, b) = (values(1, 300 * 65), values(2, 200 * 65));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut out = vec![0.0; 300 * 200];
                times_transposed(&a, &b, &mut out, 65);
                let mut back = vec![0.0; 200 * 65];
                transposed_times(&out, &a, &mut back, 200, 65);
                out.iter().chain(&back).map(|x| x.to_bits()).collect::<Vec<_>>()
            })
        };
        assert!(run(1) == run(3));
    }

    #[test]
    fn positive_definite_systems_are_solved_and_others_are_refused() {
        let d = 70;
        let mut s = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..d {
                let (a, b) = (i as f64, j as f64);
                s[i * d + j] = f64::from(u8::from(i == j)) * 3.0 + ((a * b) % 5.0 - 2.0).cos() * 0.01;
            }
        }
        let x: Vec<f64> = (0..2 * d).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut b: Vec<f64> = (0..2)
            .flat_map(|column| {
                let (s, x) = (&s, &x);
                (0..d).map(move |i| (0..d).map(|j| s[i * d + j] * x[column * d + j]).sum::<f64>())
            })
            .collect();
        assert!(solve_positive(&mut s.clone(), &mut b, d));
        assert!(b.iter().zip(&x).all(|(found, x)| (found - x).abs() < 1e-12));
        s[0] = -1.0;
        assert!(!solve_positive(&mut s, &mut b, d));
    }
}
