//! The closed form: ridge regression of records on their questions, towards the identity.
//!
//! Owns `W = (D'Q + l n/d I)(Q'Q + l n/d I)^-1`, where `Q` and `D` hold one pair of unit rows each (`n x d`): the map
//! that takes questions nearest to their records while staying near the identity. Sums run in `f64` on one thread.

use super::examples::{Examples, Relevance, row};
use super::rank::Matrices;
use crate::linalg::dense;

/// How strongly the map is pulled towards the identity.
pub(crate) const PULLS: [f64; 7] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0];

/// What the pairs of some questions add up to.
#[derive(Debug, Clone)]
pub(crate) struct Ridge {
    dimension: usize,
    pairs: usize,
    /// `Q'Q`, `d x d`.
    gram: Vec<f64>,
    /// `D'Q`, `d x d`, row-major.
    cross: Vec<f64>,
}

impl Ridge {
    /// The sums over the labels of `trained`; `queries` are all questions, centred.
    pub(crate) fn new(examples: &Examples, queries: &[f32], trained: &[u32]) -> Self {
        let dimension = examples.dimension;
        let (mut asked, mut answers) = (Vec::new(), Vec::new());
        if let Relevance::Listed(rows) = &examples.relevance {
            for &query in trained {
                for &record in rows.get(query as usize).into_iter().flatten() {
                    asked.extend(row(queries, query, dimension).iter().map(|&x| f64::from(x)));
                    answers.extend(examples.record(record).iter().map(|&x| f64::from(x)));
                }
            }
        }
        let (mut gram, mut cross) = (vec![0.0; dimension * dimension], vec![0.0; dimension * dimension]);
        dense::transposed_times_f64(&asked, &asked, &mut gram, dimension, dimension);
        dense::transposed_times_f64(&answers, &asked, &mut cross, dimension, dimension);
        Ridge { dimension, pairs: asked.len() / dimension.max(1), gram, cross }
    }

    /// The map under one pull; `None` where the system has no solution.
    pub(crate) fn solve(&self, pull: f64) -> Option<Matrices> {
        let weight = pull * self.pairs as f64 / self.dimension as f64;
        let (mut gram, mut cross) = (self.gram.clone(), self.cross.clone());
        for at in (0..gram.len()).step_by(self.dimension + 1) {
            gram[at] += weight;
            cross[at] += weight;
        }
        // The row-major D'Q is the column-major Q'D, and the column-major solution W' is the row-major W.
        if !dense::solve_positive(&mut gram, &mut cross, self.dimension) {
            return None;
        }
        let record = Matrices::identity(self.dimension).record;
        Some(Matrices { query: cross.into_iter().map(|x| x as f32).collect(), record })
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::centred;
    use super::*;
    use crate::linalg::random::Random;

    /// Gauss and Jordan with pivots: `A X = B`, all `d x d` row-major.
    fn solve_dense(mut a: Vec<f64>, mut b: Vec<f64>, d: usize) -> Vec<f64> {
        for column in 0..d {
            let pivot =
                (column..d).max_by(|&i, &j| a[i * d + column].abs().total_cmp(&a[j * d + column].abs())).unwrap();
            for k in 0..d {
                a.swap(column * d + k, pivot * d + k);
                b.swap(column * d + k, pivot * d + k);
            }
            let divisor = a[column * d + column];
            for k in 0..d {
                a[column * d + k] /= divisor;
                b[column * d + k] /= divisor;
            }
            for i in (0..d).filter(|i| *i != column) {
                let factor = a[i * d + column];
                for k in 0..d {
                    a[i * d + k] -= factor * a[column * d + k];
                    b[i * d + k] -= factor * b[column * d + k];
                }
            }
        }
        b
    }

    #[test]
    fn ridge_is_the_dense_solution() {
        let (n, r, d) = (40, 30, 7);
        let mut random = Random::of_stream(5, 0);
        let mut uniform = |count: usize| {
            (0..count).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect::<Vec<f32>>()
        };
        let queries = centred(&uniform(n * d), &vec![0.0; d]);
        let records = centred(&uniform(r * d), &vec![0.0; d]);
        let relevant: Vec<Vec<u32>> = (0..n as u32).map(|i| vec![i % r as u32]).collect();
        let examples = Examples {
            dimension: d,
            queries: queries.clone(),
            records,
            plain: Vec::new(),
            relevance: Relevance::Listed(relevant),
            wrong: Vec::new(),
            own: vec![None; n],
            record_mean: vec![0.0; d],
            same: false,
        };
        let trained: Vec<u32> = (0..n as u32).collect();
        let ridge = Ridge::new(&examples, &queries, &trained);
        for pull in PULLS {
            let found = ridge.solve(pull).unwrap();
            let weight = pull * n as f64 / d as f64;
            let entry = |a: &dyn Fn(usize, usize) -> f32, b: &dyn Fn(usize, usize) -> f32, i: usize, j: usize| {
                let sum: f64 = (0..n).map(|t| f64::from(a(t, i)) * f64::from(b(t, j))).sum();
                sum + if i == j { weight } else { 0.0 }
            };
            let q = |t: usize, i: usize| queries[t * d + i];
            let x = |t: usize, i: usize| examples.record((t % r) as u32)[i];
            let mut gram = vec![0.0; d * d];
            let mut crossed = vec![0.0; d * d];
            for i in 0..d {
                for j in 0..d {
                    gram[i * d + j] = entry(&q, &q, i, j);
                    // W S = C is S W' = C', S being symmetric.
                    crossed[i * d + j] = entry(&q, &x, i, j);
                }
            }
            let turned = solve_dense(gram, crossed, d);
            for i in 0..d {
                for j in 0..d {
                    assert!((f64::from(found.query[i * d + j]) - turned[j * d + i]).abs() < 1e-5);
                }
            }
            assert_eq!(found.record, Matrices::identity(d).record);
        }
        let strong = ridge.solve(1e9).unwrap();
        assert!(strong.query.iter().zip(&Matrices::identity(d).query).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
