//! Gradient descent on what the table is for: vectors that point where the teacher's point, and that are as similar
//! to each other as the teacher's are.
//!
//! With `x` the unit student vectors of a batch and `y` the centered unit teacher vectors, the loss is
//! `mean(1 - x_i . P'y_i) + 10 mean((x_i . x_j - y_i . y_j)^2)`: least squares alone would spend the table on the
//! lengths of vectors, which a cosine never sees. Adam (Kingma and Ba 2015), with each token's own step count,
//! because rare tokens appear in few batches.

use std::ops::Range;

use rayon::prelude::*;

use crate::corpus::Corpus;
use crate::matrix::{Matrix, add, dot};
use crate::random::Random;

/// Texts per step; all pairs of them are compared.
const BATCH: usize = 1024;
/// Weight of the pairwise term.
const PAIRS: f32 = 10.0;
/// The first step size, as a share of the root mean square of the table's numbers.
const RATE: f32 = 0.01;
/// Steps over which the step size rises to [`RATE`], before it falls linearly to a fiftieth.
const WARM_UP: usize = 100;

/// Adam's running moments, and how often each token has been moved.
struct Adam {
    first: Matrix,
    second: Matrix,
    moves: Vec<i32>,
}

/// Improves `table` in `epochs` passes over the corpus; `near` are the targets in the table's own space.
pub fn refine(
    corpus: &Corpus,
    near: &Matrix,
    table: &mut Matrix,
    epochs: usize,
    mut report: impl FnMut(usize, &Matrix),
) {
    let rms = (dot(table.data(), table.data()) / table.data().len() as f32).sqrt();
    let (rows, cols) = (table.rows(), table.cols());
    let mut adam = Adam { first: Matrix::zeros(rows, cols), second: Matrix::zeros(rows, cols), moves: vec![0; rows] };
    let mut order: Vec<usize> = (0..corpus.len()).collect();
    let mut random = Random(1);
    let total = epochs * (corpus.len() / BATCH);
    let mut step = 0;
    for epoch in 0..epochs {
        random.shuffle(&mut order);
        for batch in order.chunks_exact_mut(BATCH) {
            // Neighbours in memory are read together, and the order within a batch means nothing.
            batch.sort_unstable();
            step += 1;
            let rising = (step as f32 / WARM_UP as f32).min(1.0);
            let falling = (1.0 - step as f32 / total as f32).max(0.02);
            let by_token = occurrences(corpus, batch);
            let gradient = gradient(corpus, near, table, batch);
            descend(table, &mut adam, &by_token, &gradient, RATE * rms * rising * falling);
        }
        report(epoch, table);
    }
}

/// The loss's gradient with respect to the sum of each text's rows, one row per text of the batch.
fn gradient(corpus: &Corpus, near: &Matrix, table: &Matrix, batch: &[usize]) -> Matrix {
    let mut student = Matrix::zeros(batch.len(), table.cols());
    let lengths: Vec<f32> = student
        .par_rows_mut()
        .zip(batch)
        .map(|(row, &i)| {
            corpus.tokens(i).iter().for_each(|&token| add(1.0, table.row(token as usize), row));
            let length = dot(row, row).sqrt().max(1e-6);
            row.iter_mut().for_each(|x| *x /= length);
            length
        })
        .collect();
    let mut error = Matrix::zeros(batch.len(), batch.len());
    student.add_gram_to(1.0, &mut error);
    corpus.targets.pick(batch).add_gram_to(-1.0, &mut error);
    // A text's similarity to itself is 1 on both sides; what is left of it is rounding.
    (0..batch.len()).for_each(|i| error.row_mut(i)[i] = 0.0);
    let mut gradient = error.times(&student);
    let count = batch.len() as f32;
    gradient.par_rows_mut().enumerate().for_each(|(i, row)| {
        let (student, near) = (student.row(i), near.row(batch[i]));
        row.iter_mut().zip(near).for_each(|(g, y)| *g = 4.0 * PAIRS / (count * count) * *g - y / count);
        // Only the part across the vector turns it.
        let along = dot(row, student);
        row.iter_mut().zip(student).for_each(|(g, x)| *g = (*g - along * x) / lengths[i]);
    });
    gradient
}

/// The tokens of a batch, ascending, with the places of the texts they stand in, once per occurrence.
fn occurrences(corpus: &Corpus, batch: &[usize]) -> Vec<(u32, usize)> {
    let mut pairs: Vec<(u32, usize)> =
        batch.iter().enumerate().flat_map(|(at, &i)| corpus.tokens(i).iter().map(move |&token| (token, at))).collect();
    pairs.sort_unstable();
    pairs
}

fn descend(table: &mut Matrix, adam: &mut Adam, by_token: &[(u32, usize)], gradient: &Matrix, rate: f32) {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for group in by_token.chunk_by(|a, b| a.0 == b.0) {
        let start = groups.last().map_or(0, |last| last.end);
        groups.push(start..start + group.len());
    }
    let mut sums = Matrix::zeros(groups.len(), table.cols());
    sums.par_rows_mut().zip(&groups).for_each(|(sum, group)| {
        by_token[group.clone()].iter().for_each(|&(_, at)| add(1.0, gradient.row(at), sum));
    });
    for (i, group) in groups.iter().enumerate() {
        let token = by_token[group.start].0 as usize;
        adam.moves[token] += 1;
        let (first_bias, second_bias) = (1.0 - 0.9f32.powi(adam.moves[token]), 1.0 - 0.999f32.powi(adam.moves[token]));
        let moments = adam.first.row_mut(token).iter_mut().zip(adam.second.row_mut(token));
        for ((x, g), (first, second)) in table.row_mut(token).iter_mut().zip(sums.row(i)).zip(moments) {
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.999 * *second + 0.001 * g * g;
            *x -= rate * (*first / first_bias) / ((*second / second_bias).sqrt() + 1e-8);
        }
    }
}
