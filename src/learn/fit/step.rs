//! One step of training: the contrastive loss of a batch and its gradient, and Adam.
//!
//! Owns the formulas and the scratch space they run in. Inputs are unit rows; what goes into a batch is decided above.
//! Every sum is cut by shapes alone, so the same batch gives the same bits whatever the number of threads.
//!
//! With `u_i = Q q_i / |Q q_i|`, `v_j = K x_j / |K x_j|` and `S = U V' / tau`, the loss is the mean of the
//! cross-entropies of rows and of columns with the diagonal as the truth (InfoNCE, van den Oord et al. 2018, in both
//! directions). A pair that is known to be alike off the diagonal is left out of both. Records behind those of the
//! pairs answer none of the questions: they are contrasts in the rows and have no column of their own.

use super::loops::{descent, exponentials, tangent, unit, weights};
use crate::linalg::dense;
use rayon::prelude::*;

/// Rows that one task goes through.
const BLOCK_ROWS: usize = 64;

/// One side of a batch: `b` rows.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// `b x d`, unit rows, to be filled in by the caller.
    pub(crate) input: Vec<f32>,
    /// `b x d`: processed, unit rows.
    unit: Vec<f32>,
    /// `b`: lengths of the processed rows.
    norms: Vec<f32>,
    /// `b x d`: gradient by the processed rows.
    slope: Vec<f32>,
    /// `d x d`: gradient by the side's matrix.
    pub(crate) gradient: Vec<f32>,
}

/// Scratch space for batches of one size.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    dimension: usize,
    /// Questions.
    pub(crate) query: Side,
    /// Records.
    pub(crate) record: Side,
    /// `b x w`: whether a cell off the diagonal is left out; to be filled in by the caller.
    pub(crate) masked: Vec<bool>,
    /// `b x w`: cosines, then the loss's gradient by them.
    scores: Vec<f32>,
}

impl Side {
    fn new(batch: usize, dimension: usize) -> Self {
        let rows = || vec![0.0; batch * dimension];
        Side {
            input: rows(),
            unit: rows(),
            norms: vec![0.0; batch],
            slope: rows(),
            gradient: vec![0.0; dimension * dimension],
        }
    }

    /// `unit = M input`, each row divided by its length.
    fn forward(&mut self, matrix: &[f32], dimension: usize) {
        dense::times_transposed(&self.input, matrix, &mut self.unit, dimension);
        let rows = self.unit.par_chunks_mut(dimension).with_min_len(BLOCK_ROWS);
        rows.zip(self.norms.par_iter_mut()).for_each(|(row, norm)| *norm = unit(row));
    }
}

/// From the gradient by the processed rows, which stands in `slope`, to that by the side's matrix.
fn backward(side: SideMut<'_>, dimension: usize) {
    let SideMut { input, unit, norms, slope, gradient } = side;
    let slopes = slope.par_chunks_mut(dimension).with_min_len(BLOCK_ROWS);
    slopes
        .zip(unit.par_chunks(dimension))
        .zip(norms.par_iter())
        .for_each(|((slope, unit), norm)| tangent(slope, unit, *norm));
    dense::transposed_times(slope, input, gradient, dimension, dimension);
}

/// A side on the way back: what was computed of it, and where the gradients go.
struct SideMut<'a> {
    input: &'a [f32],
    unit: &'a [f32],
    norms: &'a [f32],
    slope: &'a mut [f32],
    gradient: &'a mut [f32],
}

impl Side {
    fn split(&mut self) -> SideMut<'_> {
        let Side { input, unit, norms, slope, gradient } = self;
        SideMut { input, unit, norms, slope, gradient }
    }
}

impl Workspace {
    /// Scratch space for batches of `batch` pairs and `more` records behind them, in dimension `dimension`.
    pub(crate) fn new(batch: usize, more: usize, dimension: usize) -> Self {
        Workspace {
            dimension,
            query: Side::new(batch, dimension),
            record: Side::new(batch + more, dimension),
            masked: vec![false; batch * (batch + more)],
            scores: vec![0.0; batch * (batch + more)],
        }
    }

    /// Pairs in a batch.
    pub(crate) fn batch(&self) -> usize {
        self.query.norms.len()
    }

    /// Records in a batch: those of its pairs, then others.
    pub(crate) fn width(&self) -> usize {
        self.record.norms.len()
    }

    /// The loss of the batch under `Q` and `K` (`d x d` each), in nats; the gradients are left in both sides.
    pub(crate) fn run(&mut self, query: &[f32], record: &[f32], tau: f32) -> f64 {
        let (batch, width, dimension) = (self.batch(), self.width(), self.dimension);
        rayon::join(|| self.query.forward(query, dimension), || self.record.forward(record, dimension));
        dense::times_transposed(&self.query.unit, &self.record.unit, &mut self.scores, dimension);
        let loss = weigh(&mut self.scores, &self.masked, (batch, width), tau);
        let (query, record) = (self.query.split(), self.record.split());
        let (query_unit, record_unit, scores) = (query.unit, record.unit, &self.scores);
        rayon::join(
            || {
                dense::times(scores, record_unit, query.slope, dimension);
                backward(query, dimension);
            },
            || {
                dense::transposed_times(scores, query_unit, record.slope, width, dimension);
                backward(record, dimension);
            },
        );
        loss
    }
}

/// Turns cosines (`b x w`) into the gradient of the loss by them; answers with the loss.
fn weigh(cosines: &mut [f32], masked: &[bool], (batch, width): (usize, usize), tau: f32) -> f64 {
    let block = BLOCK_ROWS * width;
    let diagonal: Vec<f64> = (0..batch).map(|i| f64::from((cosines[i * width + i] - 1.0) / tau)).collect();
    // A cosine is at most 1, so `exp((cosine - 1) / tau)` cannot overflow, and one exponential serves both directions.
    let sums: Vec<(Vec<f64>, Vec<f64>)> = cosines
        .par_chunks_mut(block)
        .zip(masked.par_chunks(block))
        .map(|(cosines, masked)| {
            let mut columns = vec![0.0; width];
            let rows = cosines
                .chunks_mut(width)
                .zip(masked.chunks(width))
                .map(|(row, masked)| exponentials(row, masked, &mut columns, tau))
                .collect();
            (rows, columns)
        })
        .collect();
    let rows: Vec<f64> = sums.iter().flat_map(|(rows, _)| rows.iter().copied()).collect();
    let mut columns = vec![0.0; width];
    for (_, part) in &sums {
        columns.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let loss: f64 = diagonal
        .iter()
        .zip(rows.iter().zip(&columns))
        .map(|(own, (row, column))| row.ln() + column.ln() - 2.0 * own)
        .sum();
    let scale = 0.5 / (batch as f32 * tau);
    let by_row: Vec<f32> = rows.iter().map(|sum| (1.0 / sum) as f32).collect();
    // What stands behind the pairs has no column of its own.
    let by_column: Vec<f32> =
        columns.iter().enumerate().map(|(j, sum)| if j < batch { (1.0 / sum) as f32 } else { 0.0 }).collect();
    cosines.par_chunks_mut(width).with_min_len(BLOCK_ROWS).enumerate().for_each(|(i, row)| {
        weights(row, by_row[i], &by_column, scale);
        row[i] -= 2.0 * scale;
    });
    loss / (2.0 * batch as f64)
}

/// Adam (Kingma and Ba 2015) for one matrix, with betas 0.9 and 0.999.
#[derive(Debug, Clone)]
pub(crate) struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    /// For a matrix of `count` elements.
    pub(crate) fn new(count: usize) -> Self {
        Adam { first: vec![0.0; count], second: vec![0.0; count], steps: 0 }
    }

    /// One step of length about `rate` against `gradient`.
    pub(crate) fn step(&mut self, matrix: &mut [f32], gradient: &[f32], rate: f64) {
        const CHUNK: usize = 1 << 14;
        self.steps += 1;
        let (one, two) = (1.0 - 0.9_f64.powi(self.steps), 1.0 - 0.999_f64.powi(self.steps));
        let (rate, root) = ((rate / one) as f32, (1.0 / two.sqrt()) as f32);
        let moments = self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK));
        matrix.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(moments).for_each(
            |((matrix, gradient), (first, second))| {
                descent(matrix, gradient, (first, second), rate, root);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::random::Random;

    fn uniform(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    fn unit_rows(random: &mut Random, n: usize, d: usize) -> Vec<f32> {
        let mut rows = uniform(random, n * d);
        for row in rows.chunks_mut(d) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        rows
    }

    /// The loss, written down as it is defined, in `f64`.
    fn reference(workspace: &Workspace, query: &[f64], record: &[f64], tau: f64) -> f64 {
        let (b, w, d) = (workspace.batch(), workspace.width(), workspace.dimension);
        let processed = |input: &[f32], matrix: &[f64]| -> Vec<Vec<f64>> {
            let rows = input.chunks(d).map(|x| {
                let y: Vec<f64> = matrix
                    .chunks(d)
                    .map(|row| row.iter().zip(x).map(|(m, x)| m * f64::from(*x)).sum::<f64>())
                    .collect();
                let norm = y.iter().map(|y| y * y).sum::<f64>().sqrt();
                y.into_iter().map(|y| y / norm).collect()
            });
            rows.collect()
        };
        let (u, v) = (processed(&workspace.query.input, query), processed(&workspace.record.input, record));
        let score = |i: usize, j: usize| u[i].iter().zip(&v[j]).map(|(a, b)| a * b).sum::<f64>() / tau;
        let takes_part = |i: usize, j: usize| !workspace.masked[i * w + j];
        let mut loss = 0.0;
        for i in 0..b {
            let row: f64 = (0..w).filter(|&j| takes_part(i, j)).map(|j| score(i, j).exp()).sum();
            let column: f64 = (0..b).filter(|&j| takes_part(j, i)).map(|j| score(j, i).exp()).sum();
            loss += row.ln() + column.ln() - 2.0 * score(i, i);
        }
        loss / (2.0 * b as f64)
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        for (b, more, d, seed) in [(2, 0, 3, 1), (5, 2, 4, 2), (70, 0, 6, 3), (66, 9, 5, 5), (9, 1, 17, 4)] {
            let mut random = Random::of_stream(seed, 0);
            let w = b + more;
            let mut workspace = Workspace::new(b, more, d);
            workspace.query.input = unit_rows(&mut random, b, d);
            workspace.record.input = unit_rows(&mut random, w, d);
            for i in 0..b {
                for j in (0..w).filter(|j| *j != i) {
                    workspace.masked[i * w + j] = random.below(4) == 0;
                }
            }
            let matrices = [uniform(&mut random, d * d), uniform(&mut random, d * d)];
            let wide = matrices.clone().map(|m| m.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>());
            let loss = workspace.run(&matrices[0], &matrices[1], 0.1);
            assert!((loss - reference(&workspace, &wide[0], &wide[1], 0.1)).abs() < 1e-4 * loss.abs().max(1.0));
            let gradients = [&workspace.query.gradient, &workspace.record.gradient];
            for side in 0..2 {
                let largest = gradients[side].iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                for at in 0..d * d {
                    let shifted = |by: f64| {
                        let mut moved = wide.clone();
                        moved[side][at] += by;
                        reference(&workspace, &moved[0], &moved[1], 0.1)
                    };
                    let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                    let found = f64::from(gradients[side][at]);
                    assert!((found - slope).abs() < 2e-4 * f64::from(largest), "{b} {d} {side} {at}: {found} {slope}");
                }
            }
        }
    }

    #[test]
    fn a_row_without_direction_moves_nothing() {
        let mut workspace = Workspace::new(2, 0, 2);
        workspace.query.input = vec![0.0, 0.0, 1.0, 0.0];
        workspace.record.input = vec![0.0, 1.0, 1.0, 0.0];
        let identity = [1.0, 0.0, 0.0, 1.0];
        let loss = workspace.run(&identity, &identity, 0.1);
        assert!(loss.is_finite());
        assert!(workspace.query.gradient.iter().chain(&workspace.record.gradient).all(|x| x.is_finite()));
    }

    #[test]
    fn adam_agrees_with_its_definition() {
        let (mut adam, mut x) = (Adam::new(2), [1.0_f32, -2.0]);
        let (mut m, mut v, mut y) = ([0.0_f64; 2], [0.0_f64; 2], [1.0_f64, -2.0]);
        for step in 1..=5 {
            let gradient = [x[0] * 3.0, 0.5];
            let wide = [f64::from(x[0]) * 3.0, 0.5];
            adam.step(&mut x, &gradient, 0.01);
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * wide[i];
                v[i] = 0.999 * v[i] + 0.001 * wide[i] * wide[i];
                let (m, v) = (m[i] / (1.0 - 0.9_f64.powi(step)), v[i] / (1.0 - 0.999_f64.powi(step)));
                y[i] -= 0.01 * m / (v.sqrt() + 1e-8);
                assert!((f64::from(x[i]) - y[i]).abs() < 1e-6);
            }
        }
    }
}
