//! The table that is best in the sense of least squares, which is where refinement starts.
//!
//! Minimises `|B T - Y|^2 + penalty |T - F|^2` over tables `T`, with the first guess `F` and one row of `B` per text:
//! the counts of its tokens divided by the square root of their number, so that long and short texts weigh the same.
//! A word that few texts mention stays near the guess; a penalty on `|T|` would shrink the rare words, which say most.
//! Conjugate gradients (Hestenes and Stiefel 1952) on `T - F` need only products with `B` and its transpose.

use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::matrix::{Matrix, add};

/// Improves the first guess in `table` (one row per token) by `steps` conjugate-gradient steps; one right-hand side per
/// column.
pub fn solve(corpus: &Corpus, targets: &Matrix, table: &mut Matrix, penalty: f32, steps: usize) {
    let texts_of_tokens = corpus.texts_of_tokens(table.rows());
    let weight: Vec<f32> = (0..corpus.len()).map(|i| 1.0 / (corpus.tokens(i).len() as f32).sqrt()).collect();
    // B times a table, and B' times a matrix with a row per text.
    let forward = |table: &Matrix| {
        let mut product = Matrix::zeros(corpus.len(), table.cols());
        product.par_rows_mut().enumerate().for_each(|(i, row)| {
            corpus.tokens(i).iter().for_each(|&token| add(weight[i], table.row(token as usize), row));
        });
        product
    };
    let backward = |texts: &Matrix| {
        let mut product = Matrix::zeros(texts_of_tokens.len(), texts.cols());
        product.par_rows_mut().zip(&texts_of_tokens).for_each(|(row, members)| {
            members.iter().for_each(|&i| add(weight[i as usize], texts.row(i as usize), row));
        });
        product
    };
    let mut error = forward(table);
    error.par_rows_mut().enumerate().for_each(|(i, row)| {
        row.iter_mut().zip(targets.row(i)).for_each(|(x, y)| *x = y - *x);
    });
    let mut residual = backward(&error);
    drop(error);
    let mut direction = residual.clone();
    let mut squares = column_products(&residual, &residual);
    for _ in 0..steps {
        let mut image = backward(&forward(&direction));
        combine(&mut image, &direction, &vec![penalty; direction.cols()]);
        let curvature = column_products(&direction, &image);
        let length: Vec<f32> = squares.iter().zip(&curvature).map(|(s, c)| (s / c.max(1e-30)) as f32).collect();
        combine(table, &direction, &length);
        combine(&mut residual, &image, &length.iter().map(|x| -x).collect::<Vec<_>>());
        let next = column_products(&residual, &residual);
        let ratio: Vec<f32> = next.iter().zip(&squares).map(|(n, s)| (n / s.max(1e-30)) as f32).collect();
        direction.par_rows_mut().enumerate().for_each(|(i, row)| {
            row.iter_mut().zip(residual.row(i)).zip(&ratio).for_each(|((d, r), ratio)| *d = r + ratio * *d);
        });
        squares = next;
    }
}

/// Adds `from`, column `j` times `factors[j]`, to `to`.
fn combine(to: &mut Matrix, from: &Matrix, factors: &[f32]) {
    to.par_rows_mut().enumerate().for_each(|(i, row)| {
        row.iter_mut().zip(from.row(i)).zip(factors).for_each(|((to, from), factor)| *to += factor * from);
    });
}

/// The inner product of each column of `a` with the same column of `b`.
fn column_products(a: &Matrix, b: &Matrix) -> Vec<f64> {
    let mut sums = vec![0f64; a.cols()];
    for i in 0..a.rows() {
        let products = a.row(i).iter().zip(b.row(i)).map(|(a, b)| f64::from(*a) * f64::from(*b));
        sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
    }
    sums
}
