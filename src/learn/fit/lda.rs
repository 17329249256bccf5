//! The closed form over classes: linear discriminant analysis (Fisher 1936; Rao 1948) as one matrix for both sides.
//!
//! Owns the whitening of what varies within classes, shrunk towards a sphere, and what is kept of the directions that
//! do not tell the classes apart. Keeping nothing (the textbook's form, rank: classes less one) throws away what tells
//! near records and new classes apart: on the facets of debtags it gained 8 to 15 points of average precision in a pool
//! of some hundred and lost up to 10 points of the first hit in the whole collection, and 20 and more on new classes.
//! Keeping some of it gains as much and loses neither. How much, and how much shrinkage, is decided by validation. Sums
//! run in `f64`.

use super::examples::{Examples, Relevance, row};
use super::rank::Matrices;
use crate::linalg::dense;
use crate::linalg::eigen::{Principal, principal};
use std::collections::BTreeMap;

/// Shares of the sphere that are tried.
pub(crate) const SHRINKAGES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 0.95];
/// What is kept of directions that do not tell the classes apart: of those that do, all is.
pub(crate) const KEPT: [f64; 3] = [0.15, 0.3, 0.5];

/// What the classes of some questions add up to.
#[derive(Debug, Clone)]
pub(crate) struct Lda {
    dimension: usize,
    /// Variances and directions within classes.
    within: Principal,
    /// Means of classes, `c x d`, less their own mean, each scaled by the root of its size.
    means: Vec<f64>,
}

impl Lda {
    /// The sums over `trained`; `queries` are all questions, centred. `None` where no class has two rows, or nothing
    /// varies.
    pub(crate) fn new(examples: &Examples, queries: &[f32], trained: &[u32]) -> Option<Self> {
        let dimension = examples.dimension;
        let members = members(examples, queries, trained);
        let mut deviations = Vec::new();
        let (mut means, mut total, mut whole) = (Vec::new(), 0.0, vec![0.0; dimension]);
        for rows in members.values().filter(|rows| rows.len() > 1) {
            let mut mean = vec![0.0; dimension];
            rows.iter().for_each(|row| mean.iter_mut().zip(*row).for_each(|(sum, x)| *sum += f64::from(*x)));
            mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
            for row in rows {
                deviations.extend(row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean));
            }
            whole.iter_mut().zip(&mean).for_each(|(sum, mean)| *sum += mean * rows.len() as f64);
            total += rows.len() as f64;
            means.push((rows.len() as f64, mean));
        }
        if total == 0.0 {
            return None;
        }
        let mut scatter = vec![0.0; dimension * dimension];
        dense::transposed_times_f64(&deviations, &deviations, &mut scatter, dimension, dimension);
        scatter.iter_mut().for_each(|x| *x /= total);
        let within = principal(&scatter, dimension)?;
        let scaled = means.iter().flat_map(|(size, mean)| {
            let whole = &whole;
            mean.iter().zip(whole).map(move |(mean, whole)| (mean - whole / total) * (size / total).sqrt())
        });
        let means = scaled.collect();
        Some(Lda { dimension, within, means })
    }

    /// Whitening with this share of the sphere, with `kept` of the directions that do not tell the classes apart (1:
    /// all). `None` where it comes to nothing.
    pub(crate) fn solve(&self, shrinkage: f64, kept: f64) -> Option<Matrices> {
        let d = self.dimension;
        let sphere = self.within.variances.iter().sum::<f64>() / d as f64;
        let lengths: Vec<f64> =
            self.within.variances.iter().map(|v| 1.0 / ((1.0 - shrinkage) * v + shrinkage * sphere).sqrt()).collect();
        // Rows: directions divided by their deviations; V' diag V is the symmetric root.
        let mut scaled = self.within.directions.clone();
        for (row, length) in scaled.chunks_mut(d).zip(&lengths) {
            row.iter_mut().for_each(|x| *x *= length);
        }
        let mut root = vec![0.0; d * d];
        dense::transposed_times_f64(&self.within.directions, &scaled, &mut root, d, d);
        let classes = self.means.len() / d.max(1);
        if kept < 1.0 && classes > 1 && classes - 1 < d {
            let narrow = self.narrowed(&root, classes - 1)?;
            root.iter_mut().zip(&narrow).for_each(|(all, narrow)| *all = kept * *all + (1.0 - kept) * narrow);
        }
        let scale = root.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let one: Vec<f32> = root.into_iter().map(|x| (x / scale) as f32).collect();
        let matrices = Matrices { query: one.clone(), record: one };
        matrices.is_finite().then_some(matrices)
    }

    /// `root` followed by the first `count` directions of the whitened class means.
    fn narrowed(&self, root: &[f64], count: usize) -> Option<Vec<f64>> {
        let d = self.dimension;
        let rows = self.means.len() / d;
        let mut whitened = vec![0.0; rows * d];
        // `root` is symmetric: (root m) for each row m is (m root).
        crate::linalg::matrix::product_f64(&self.means, root, &mut whitened, d);
        let kept = leading(&whitened, rows, d, count)?;
        let mut coordinates = vec![0.0; count * d];
        crate::linalg::matrix::product_f64(&kept, root, &mut coordinates, d);
        let mut out = vec![0.0; d * d];
        dense::transposed_times_f64(&kept, &coordinates, &mut out, d, d);
        Some(out)
    }
}

/// The first `count` principal directions (`count x d`) of a few `rows` (`n x d`) about zero, through their `n x n`
/// products: with fewer rows than dimensions these are the smaller matrix.
fn leading(rows: &[f64], n: usize, d: usize, count: usize) -> Option<Vec<f64>> {
    let mut products = vec![0.0; n * n];
    crate::linalg::matrix::product_f64(rows, rows, &mut products, d);
    let found = principal(&products, n)?;
    let mut out = vec![0.0; count * d];
    for ((out, weights), variance) in out.chunks_mut(d).zip(found.directions.chunks(n)).zip(&found.variances) {
        if *variance <= found.variances.first().copied().unwrap_or(0.0) * 1e-12 {
            // Means that lie in fewer directions have none to give.
            continue;
        }
        for (weight, row) in weights.iter().zip(rows.chunks(d)) {
            out.iter_mut().zip(row).for_each(|(out, x)| *out += weight * x / variance.sqrt());
        }
    }
    Some(out)
}

/// Rows of each class: records that share a value, or a question with what answers it.
fn members<'a>(examples: &'a Examples, queries: &'a [f32], trained: &[u32]) -> BTreeMap<u32, Vec<&'a [f32]>> {
    let mut members: BTreeMap<u32, Vec<&[f32]>> = BTreeMap::new();
    for &query in trained {
        let own = row(queries, query, examples.dimension);
        match &examples.relevance {
            Relevance::Classes { queries, .. } => {
                for class in queries.get(query as usize).into_iter().flatten() {
                    members.entry(*class).or_default().push(own);
                }
            }
            Relevance::Listed(rows) => {
                let answers = rows.get(query as usize).into_iter().flatten().map(|&row| examples.record(row));
                members.entry(query).or_default().extend(std::iter::once(own).chain(answers));
            }
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::random::Random;

    /// Rows of three classes that vary more along some axes than along others.
    fn classes(n: usize, d: usize) -> Examples {
        let mut random = Random::of_stream(3, 0);
        let mut uniform = || (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let rows: Vec<f32> = (0..n * d)
            .map(|at| {
                let (row, axis) = (at / d, at % d);
                let center = if row % 3 == axis { 1.0 } else { 0.0 };
                center + uniform() * (1.0 + axis as f32)
            })
            .collect();
        let of: Vec<Vec<u32>> = (0..n as u32).map(|row| vec![row % 3]).collect();
        Examples {
            dimension: d,
            queries: rows.clone(),
            plain: Vec::new(),
            records: rows,
            relevance: Relevance::Classes { queries: of.clone(), records: of },
            wrong: Vec::new(),
            own: (0..n as u32).map(Some).collect(),
            record_mean: vec![0.0; d],
            same: true,
        }
    }

    #[test]
    fn what_varies_within_classes_becomes_a_sphere() {
        let (n, d) = (300, 6);
        let examples = classes(n, d);
        let trained: Vec<u32> = (0..n as u32).collect();
        let lda = Lda::new(&examples, &examples.queries, &trained).unwrap();
        let found = lda.solve(1e-9, 1.0).unwrap();
        assert_eq!(found.query, found.record);
        // The scatter within classes, as it is defined, after the map.
        let mapped: Vec<Vec<f64>> = examples
            .queries
            .chunks(d)
            .map(|x| found.query.chunks(d).map(|m| m.iter().zip(x).map(|(m, x)| f64::from(m * x)).sum()).collect())
            .collect();
        let mean =
            |class: usize, axis: usize| mapped.iter().skip(class).step_by(3).map(|y| y[axis]).sum::<f64>() / 100.0;
        let scatter = |i: usize, j: usize| {
            mapped.iter().enumerate().map(|(row, y)| (y[i] - mean(row % 3, i)) * (y[j] - mean(row % 3, j))).sum::<f64>()
        };
        let size = scatter(0, 0);
        for i in 0..d {
            for j in 0..=i {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((scatter(i, j) / size - expected).abs() < 1e-4, "{i} {j}: {}", scatter(i, j) / size);
            }
        }
        let sphere = lda.solve(1.0, 1.0).unwrap();
        let identity = Matrices::identity(d);
        assert!(sphere.query.iter().zip(&identity.query).all(|(a, b)| (a - b).abs() < 1e-5), "all sphere is no map");
    }

    #[test]
    fn the_narrow_form_keeps_one_direction_less_than_classes() {
        let (n, d) = (300, 6);
        let examples = classes(n, d);
        let trained: Vec<u32> = (0..n as u32).filter(|row| row % 3 < 2).collect();
        let found = Lda::new(&examples, &examples.queries, &trained).unwrap().solve(0.2, 0.0).unwrap();
        // Two classes leave one direction: all columns are multiples of each other.
        let cell = |i: usize, j: usize| f64::from(found.query[i * d + j]);
        for (i, j) in [(1, 1), (2, 4), (5, 3)] {
            assert!((cell(0, 0) * cell(i, j) - cell(0, j) * cell(i, 0)).abs() < 1e-6);
        }
        assert!(found.query.iter().any(|x| *x != 0.0));
    }

    #[test]
    fn without_two_of_a_class_there_is_nothing() {
        let examples = classes(3, 4);
        assert!(Lda::new(&examples, &examples.queries, &[0, 1, 2]).is_none());
        let still = Examples { queries: vec![1.0; 24], records: vec![1.0; 24], ..classes(6, 4) };
        assert!(Lda::new(&still, &still.queries, &[0, 1, 2, 3, 4, 5]).is_none_or(|lda| lda.solve(0.5, 0.5).is_none()));
    }
}
