//! What can be said of vectors by looking at some of them: norms, means, spectrum, neighbours.
//!
//! Owns the figures of `diagnose`, as functions of rows in memory; what is usual and what to do about it is decided
//! there. Sums are in `f64`, products of many rows in `f32`.

use crate::error::{Error, Result};
use crate::linalg::random::Random;
use crate::linalg::{eigen, matrix, stats};
use crate::types::control::Control;
use rayon::prelude::*;

/// Random pairs that the distribution of cosines is read from.
const PAIRS: u64 = 100_000;
/// Neighbours of each row that are looked at.
pub const NEIGHBOURS: usize = 10;
/// Rows of a tile of products: queries, and records.
const TILE_QUERIES: usize = 128;
const TILE_ROWS: usize = 1024;
/// Rows that go into one product of a covariance.
const GRAM_ROWS: usize = 512;

/// Rows with their lengths taken apart.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Elements of one row.
    pub dimension: usize,
    /// Unit rows, `n x dimension`, row-major; those of length 0 are left out.
    pub unit: Vec<f32>,
    /// Length of each row that is there.
    pub norms: Vec<f64>,
    /// Rows of length 0.
    pub zero: u64,
    /// Rows with an element that is not finite.
    pub not_finite: u64,
}

impl Rows {
    /// The rows of `data`, `n x dimension`, row-major.
    pub fn new(data: &[f32], dimension: usize) -> Self {
        let mut rows = Rows { dimension, ..Rows::default() };
        let mut wide = Vec::new();
        for row in data.chunks_exact(dimension.max(1)) {
            wide.clear();
            wide.extend(row.iter().map(|&x| f64::from(x)));
            let norm = stats::norm(&wide);
            if !norm.is_finite() {
                rows.not_finite += 1;
            } else if norm == 0.0 {
                rows.zero += 1;
            } else {
                rows.unit.extend(wide.iter().map(|x| (x / norm) as f32));
                rows.norms.push(norm);
            }
        }
        rows
    }

    /// Number of rows that have a length.
    pub fn len(&self) -> usize {
        self.norms.len()
    }

    /// Whether none has one.
    pub fn is_empty(&self) -> bool {
        self.norms.is_empty()
    }

    fn row(&self, idx: usize) -> &[f32] {
        self.unit.get(idx * self.dimension..(idx + 1) * self.dimension).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.unit.chunks_exact(self.dimension.max(1))
    }

    /// Standard deviation of the lengths over their mean.
    pub fn norm_spread(&self) -> f64 {
        let n = self.len().max(1) as f64;
        let mean = self.norms.iter().sum::<f64>() / n;
        let variance = self.norms.iter().map(|norm| (norm - mean).powi(2)).sum::<f64>() / n;
        if mean > 0.0 { variance.sqrt() / mean } else { 0.0 }
    }

    /// Mean of the unit rows, whose lengths are 1 to double precision here.
    pub fn mean(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.dimension];
        for row in self.iter() {
            let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / length);
        }
        let n = self.len().max(1) as f64;
        sum.iter_mut().for_each(|x| *x /= n);
        sum
    }

    /// Mean cosine of all pairs of different rows, -1 to 1; of equal rows it is 1.
    pub fn mean_cosine(&self) -> f64 {
        let n = self.len() as f64;
        let square: f64 = self.mean().iter().map(|x| x * x).sum();
        if n > 1.0 { as_cosine((n * square - 1.0) / (n - 1.0)) } else { 0.0 }
    }

    /// Cosine of two rows, -1 to 1; of a row with one that is equal it is 1.
    fn cosine(&self, i: usize, j: usize) -> f64 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let (a, b) = (self.row(i), self.row(j));
        as_cosine(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
    }

    /// What 99 in 100 random pairs have a lower cosine than.
    pub fn high_cosine(&self) -> f64 {
        let n = self.len();
        if n < 2 {
            return 0.0;
        }
        let mut random = Random::new(0xc051);
        let pairs: Vec<(usize, usize)> = (0..PAIRS.min((n * n) as u64))
            .map(|_| {
                let (i, j) = (random.below(n), random.below(n - 1));
                (i, if j >= i { j + 1 } else { j })
            })
            .collect();
        let mut cosines: Vec<f64> = pairs.into_par_iter().map(|(i, j)| self.cosine(i, j)).collect();
        let at = (cosines.len() * 99 / 100).min(cosines.len() - 1);
        let (_, found, _) = cosines.select_nth_unstable_by(at, f64::total_cmp);
        *found
    }

    /// Mean coordinate of the unit rows times the root of the dimension: the part of a row that `score pearson` takes
    /// off.
    pub fn offset(&self) -> f64 {
        self.mean().iter().sum::<f64>().abs() / (self.dimension.max(1) as f64).sqrt()
    }

    /// Eigenvalues of the covariance of the unit rows, as shares of their sum, from the largest on; empty where all
    /// rows are one.
    ///
    /// # Errors
    /// A set cancellation token.
    pub fn spectrum(&self, control: &Control) -> Result<Vec<f64>> {
        let (d, mean) = (self.dimension, self.mean());
        let part = |rows: &[f32]| {
            control.checkpoint()?;
            let centered: Vec<f64> = rows
                .chunks_exact(d.max(1))
                .flat_map(|row| row.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m))
                .collect();
            Ok::<_, Error>(centered)
        };
        let mut gram = vec![0.0; d * d];
        // One matrix for each thread, and they are added in order.
        let share = self.len().div_ceil(rayon::current_num_threads().max(1)).max(1);
        let parts: Vec<Vec<f64>> = self
            .unit
            .par_chunks(share * d.max(1))
            .map(|rows| {
                let mut gram = vec![0.0; d * d];
                for rows in rows.chunks(GRAM_ROWS * d.max(1)) {
                    matrix::add_gram_f64(&part(rows)?, &mut gram, d);
                }
                Ok::<_, Error>(gram)
            })
            .collect::<Result<_>>()?;
        for part in parts {
            gram.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        control.checkpoint()?;
        let Some(found) = eigen::principal(&gram, d) else { return Ok(Vec::new()) };
        let total: f64 = found.variances.iter().sum();
        // What rounding of the rows leaves is no spread.
        if total <= 1e-12 * self.len() as f64 {
            return Ok(Vec::new());
        }
        // Rounding may leave a little less than nothing.
        Ok(found.variances.iter().map(|variance| (variance / total).max(0.0)).collect())
    }

    /// Of each row its nearest neighbours: see [`Neighbours`].
    ///
    /// # Errors
    /// A set cancellation token.
    pub fn neighbours(&self, control: &Control) -> Result<Neighbours> {
        let (d, n) = (self.dimension, self.len());
        let k = NEIGHBOURS.min(n.saturating_sub(1));
        let tile = |(at, queries): (usize, &[f32])| {
            control.checkpoint()?;
            let mut best: Vec<Best> = (0..queries.len() / d.max(1)).map(|_| Best::new(k)).collect();
            let mut products = vec![0.0; best.len() * TILE_ROWS];
            for (part, records) in self.unit.chunks(TILE_ROWS * d.max(1)).enumerate() {
                let rows = records.len() / d.max(1);
                let products = products.get_mut(..best.len() * rows).unwrap_or_default();
                matrix::product_f32(records, rows, d, queries, products, d);
                for (place, (best, products)) in best.iter_mut().zip(products.chunks_exact(rows.max(1))).enumerate() {
                    let own = at * TILE_QUERIES + place;
                    for (idx, &product) in products.iter().enumerate() {
                        if product > best.threshold && part * TILE_ROWS + idx != own {
                            best.offer((part * TILE_ROWS + idx) as u32, product);
                        }
                    }
                }
            }
            Ok::<_, Error>(best)
        };
        let found: Vec<Vec<Best>> =
            self.unit.par_chunks(TILE_QUERIES * d.max(1)).enumerate().map(tile).collect::<Result<_>>()?;
        let mut neighbours = Neighbours { k, occurrences: vec![0; n], nearest: Vec::with_capacity(n) };
        for best in found.into_iter().flatten() {
            neighbours.nearest.push(best.found.first().map_or(0.0, |(_, product)| f64::from(*product)));
            for (row, _) in best.found {
                if let Some(count) = neighbours.occurrences.get_mut(row as usize) {
                    *count += 1;
                }
            }
        }
        Ok(neighbours)
    }
}

/// A cosine without what rounding added: at most 1, to twelve digits, and with no sign where it is 0.
fn as_cosine(value: f64) -> f64 {
    ((value * 1e12).round() / 1e12).clamp(-1.0, 1.0) + 0.0
}

/// The nearest of one row so far, best first.
struct Best {
    k: usize,
    threshold: f32,
    found: Vec<(u32, f32)>,
}

impl Best {
    fn new(k: usize) -> Self {
        Best { k, threshold: if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY }, found: Vec::with_capacity(k + 1) }
    }

    fn offer(&mut self, row: u32, product: f32) {
        let place = self.found.partition_point(|(_, other)| *other >= product);
        self.found.insert(place, (row, product));
        self.found.truncate(self.k);
        if self.found.len() == self.k {
            self.threshold = self.found.last().map_or(f32::INFINITY, |(_, product)| *product);
        }
    }
}

/// How rows are each other's neighbours, by cosine.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Neighbours of each row that were counted.
    pub k: usize,
    /// Among the neighbours of how many others each row is (k-occurrence: Radovanovic et al. 2010).
    pub occurrences: Vec<u32>,
    /// Cosine of each row with its nearest neighbour.
    pub nearest: Vec<f64>,
}

impl Neighbours {
    /// Skewness of the k-occurrences: the third central moment over the cube of the standard deviation.
    pub fn skewness(&self) -> f64 {
        let n = self.occurrences.len().max(1) as f64;
        let mean = self.occurrences.iter().map(|&count| f64::from(count)).sum::<f64>() / n;
        let moment =
            |power: i32| self.occurrences.iter().map(|&count| (f64::from(count) - mean).powi(power)).sum::<f64>() / n;
        let variance = moment(2);
        if variance > 0.0 { moment(3) / variance.powf(1.5) } else { 0.0 }
    }

    /// The most occurrences of one row.
    pub fn most(&self) -> u32 {
        self.occurrences.iter().copied().max().unwrap_or(0)
    }

    /// Share of the rows that are nobody's neighbour.
    pub fn antihubs(&self) -> f64 {
        self.share(self.occurrences.iter().filter(|count| **count == 0).count())
    }

    /// Share of the rows whose nearest neighbour has a cosine above `bound`.
    pub fn nearer_than(&self, bound: f64) -> f64 {
        self.share(self.nearest.iter().filter(|cosine| **cosine > bound).count())
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.nearest.len().max(1) as f64
    }
}

/// Standard deviation of each dimension of `data`, `n x dimension`, row-major.
pub fn deviations(data: &[f32], dimension: usize) -> Vec<f64> {
    let rows = || data.chunks_exact(dimension.max(1)).filter(|row| row.iter().all(|x| x.is_finite()));
    let n = rows().count().max(1) as f64;
    let (mut mean, mut squares) = (vec![0.0; dimension], vec![0.0; dimension]);
    for row in rows() {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / n);
    }
    for row in rows() {
        let differences = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean);
        squares.iter_mut().zip(differences).for_each(|(sum, x)| *sum += x * x / n);
    }
    squares.iter().map(|square| square.sqrt()).collect()
}

/// `exp` of the entropy of shares: how many equal ones would be as mixed.
pub fn effective_rank(shares: &[f64]) -> f64 {
    (-shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum::<f64>()).exp()
}

/// One over the sum of the squares of shares.
pub fn participation_ratio(shares: &[f64]) -> f64 {
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares > 0.0 { 1.0 / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
    }

    #[test]
    fn neighbours_are_those_of_two_loops() {
        let (n, d) = (1300, 5);
        let rows = Rows::new(&numbers(n * d, 3), d);
        let found = rows.neighbours(&Control::default()).unwrap();
        let mut occurrences = vec![0; n];
        for i in 0..n {
            let dot = |j: usize| f64::from(rows.row(i).iter().zip(rows.row(j)).map(|(a, b)| a * b).sum::<f32>());
            let mut others: Vec<(f64, usize)> = (0..n).filter(|j| *j != i).map(|j| (dot(j), j)).collect();
            others.sort_by(|a, b| b.0.total_cmp(&a.0));
            others[..NEIGHBOURS].iter().for_each(|(_, j)| occurrences[*j] += 1);
            assert!((found.nearest[i] - others[0].0).abs() < 1e-5);
        }
        // Ties to the last bit may fall either way.
        let differ = occurrences.iter().zip(&found.occurrences).filter(|(a, b)| a != b).count();
        assert!(differ < 10, "{differ}");
        assert_eq!(found.occurrences.iter().sum::<u32>() as usize, n * NEIGHBOURS);
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        let d = 3;
        let data = numbers(40 * d, 9);
        let rows = Rows::new(&data, d);
        let mut sum = 0.0;
        for i in 0..rows.len() {
            for j in (0..rows.len()).filter(|j| *j != i) {
                sum += rows.row(i).iter().zip(rows.row(j)).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            }
        }
        assert!((rows.mean_cosine() - sum / (40.0 * 39.0)).abs() < 1e-9);
        let shares = rows.spectrum(&Control::default()).unwrap();
        assert!(
            shares.len() == 3 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares.is_sorted_by(|a, b| a >= b)
        );
        assert!((participation_ratio(&[0.5, 0.5, 0.0]) - 2.0).abs() < 1e-12);
        assert!((effective_rank(&[0.25; 4]) - 4.0).abs() < 1e-12 && participation_ratio(&[]) == 0.0);
        let skewed = Neighbours { k: 1, occurrences: vec![0, 0, 0, 4], nearest: vec![0.5, 0.97, 0.97, 1.0] };
        // mean 1: (3 * -1 + 27) / 4 over 3^1.5.
        assert!((skewed.skewness() - 6.0 / 27f64.sqrt()).abs() < 1e-12);
        assert_eq!((skewed.most(), skewed.antihubs(), skewed.nearer_than(0.95)), (4, 0.75, 0.75));
    }

    #[test]
    fn awkward_rows_are_told_apart() {
        let rows = Rows::new(&[0.0, 0.0, 3.0, 4.0, f32::NAN, 1.0], 2);
        assert_eq!((rows.len(), rows.zero, rows.not_finite, rows.norms[0]), (1, 1, 1, 5.0));
        assert_eq!((rows.mean_cosine(), rows.high_cosine()), (0.0, 0.0));
        assert!(rows.neighbours(&Control::default()).unwrap().nearest == [0.0]);
        let same = Rows::new(&[1.0, 0.0].repeat(30), 2);
        assert!(same.spectrum(&Control::default()).unwrap().is_empty());
        assert_eq!((same.mean_cosine(), same.high_cosine()), (1.0, 1.0));
    }

    #[test]
    fn equal_rows_have_a_cosine_of_one_and_no_figure_has_a_sign_of_its_own() {
        for seed in 0..40 {
            let row = numbers(384, seed + 1);
            let (three, turned) = (Rows::new(&row.repeat(3), 384), row.iter().map(|x| -x).collect::<Vec<_>>());
            assert_eq!((three.mean_cosine(), three.high_cosine()), (1.0, 1.0), "{seed}");
            let opposite = Rows::new(&[row, turned].concat(), 384);
            assert_eq!((opposite.mean_cosine(), opposite.offset()), (-1.0, 0.0), "{seed}");
        }
        let crossed = Rows::new(&[1.0, 0.0, 0.0, -1.0], 2);
        assert!(crossed.mean_cosine() == 0.0 && crossed.mean_cosine().is_sign_positive());
    }
}
