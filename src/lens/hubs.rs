//! Hub correction: how similar a record is to the sample's queries that it is most similar to.
//!
//! Owns `r(x)`, the mean of a record's `k` highest scores with the queries of a sample (of all of them where there are
//! fewer), which `csls` subtracts half of (Conneau et al. 2018, "Word translation without parallel data"). For every
//! row it is kept as an `f32` with its error, from tiles of matrix products; what is shown is computed in `f64` from
//! the processed record alone. Queries of the sample without a direction are left out.

use super::fold::ProcessedQuery;
use super::scalars::Scalars;
use super::step::VectorMetric;
use super::{Chain, RowSource, tile};
use crate::error::{Error, Result};
use crate::linalg::{matrix, simd};
use crate::types::RowSet;
use rayon::prelude::*;

/// Products that a tile may have: they stay in the second-level cache.
const TILE_PRODUCTS: usize = 1 << 16;

/// The sample's queries as they arrive at the metric.
#[derive(Debug)]
pub(super) struct Hubs {
    k: usize,
    metric: VectorMetric,
    queries: Vec<ProcessedQuery>,
}

/// `r(x)` of one row as it is stored, and how far it may be off.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    row: u32,
    mean: f32,
    error: f32,
}

impl Hubs {
    /// Processes the queries of the chain's sample, each by `process`, which has none for one without a direction;
    /// `None` where the chain has no `csls`.
    ///
    /// # Errors
    /// A sample of which no query has a direction under the lens.
    pub fn new(chain: &Chain, process: impl Fn(&[f64]) -> Option<ProcessedQuery> + Sync) -> Result<Option<Self>> {
        let Some(csls) = chain.csls() else { return Ok(None) };
        let widened = |row: &[f32]| {
            let wide: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
            process(&wide)
        };
        let queries: Vec<_> = csls.sample.rows().par_chunks(csls.sample.dimension).filter_map(widened).collect();
        if queries.is_empty() {
            return Err(Error::invalid(format!(
                "csls: no query of sample {} has a direction under this lens, so that there is nothing to compare \
                 records with",
                csls.sample.name
            )));
        }
        Ok(Some(Hubs { k: csls.k.min(queries.len()), metric: chain.metric(), queries }))
    }

    /// `r` of a processed record in `f64`.
    pub fn exact(&self, y: &[f64]) -> f64 {
        let mut scores: Vec<f64> = self.queries.iter().map(|query| score(self.metric, query, y)).collect();
        mean_of_highest(&mut scores, self.k)
    }

    /// Multiplications that [`Hubs::exact`] takes, about.
    pub fn multiplications(&self) -> usize {
        self.queries.iter().map(|query| query.processed.len()).sum()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let one = |query: &ProcessedQuery| query.processed.len() * 8 + query.folded.len() * 4 + query.shifts.len() * 16;
        self.queries.iter().map(one).sum()
    }

    /// `(r, its error)` of every row of `rows`, by row number; other entries mean nothing.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn of_rows(&self, source: &dyn RowSource, rows: &RowSet, scalars: &Scalars) -> Result<(Vec<f32>, Vec<f32>)> {
        let worst = ProcessedQuery::worst(&self.queries);
        let folded: Vec<f32> = self.queries.iter().flat_map(|query| query.folded.iter().copied()).collect();
        let task = |task: &tile::Task| {
            let mut found = Vec::new();
            let (mut numbers, mut elements, mut row) = (Vec::new(), Vec::new(), Vec::new());
            let tile_rows = (TILE_PRODUCTS / self.queries.len()).clamp(8, 512);
            for block in task.blocks.clone() {
                let range = source.block_range(block);
                if rows.count_range(range.clone()) == 0 {
                    continue;
                }
                let data = source.block(block)?;
                for number in rows.iter_range(range.clone()) {
                    data.row_f32((number - range.start) as usize, &mut row);
                    numbers.push(number);
                    elements.extend_from_slice(&row);
                    if numbers.len() == tile_rows {
                        source.checkpoint()?;
                        self.tile(&worst, &folded, scalars, &mut numbers, &mut elements, &mut found);
                    }
                }
            }
            self.tile(&worst, &folded, scalars, &mut numbers, &mut elements, &mut found);
            Ok(found)
        };
        let found: Vec<Vec<Stored>> = tile::tasks(source, tile::ROWS).par_iter().map(task).collect::<Result<_>>()?;
        let (mut means, mut errors) = (vec![0.0; source.row_count() as usize], vec![0.0; source.row_count() as usize]);
        for stored in found.iter().flatten() {
            means[stored.row as usize] = stored.mean;
            errors[stored.row as usize] = stored.error;
        }
        Ok((means, errors))
    }

    /// Adds `r` of the rows of a tile (`numbers`, with their `elements`) to `found` and empties the tile.
    fn tile(
        &self,
        worst: &ProcessedQuery,
        folded: &[f32],
        scalars: &Scalars,
        numbers: &mut Vec<u32>,
        elements: &mut Vec<f32>,
        found: &mut Vec<Stored>,
    ) {
        let (queries, dimension) = (self.queries.len(), folded.len() / self.queries.len());
        let mut products = vec![0.0; numbers.len() * queries];
        matrix::product_f32(folded, queries, dimension, elements, &mut products, dimension);
        let dot_error = simd::any_order_error(dimension);
        let (mut extras, mut keys) = (Vec::new(), Vec::with_capacity(queries));
        for (&row, products) in numbers.iter().zip(products.chunks_exact(queries)) {
            let record = scalars.of(row as usize, &mut extras);
            keys.clear();
            keys.extend(self.queries.iter().zip(products).map(|(query, &dot)| query.key(dot, &record)));
            let mean = mean_of_highest(&mut keys, self.k);
            // The mean of the highest moves by no more than the one that moves most; then the sum, then `f32`.
            let summed = 2.0 * (self.k + 2) as f64 * f64::EPSILON * worst.norm * worst.size(&record);
            let error = worst.error(&record, dot_error) + summed + 1.01 * simd::UNIT_F32 * mean.abs();
            let error = if mean.abs() < 1e30 { (error as f32).next_up() } else { f32::INFINITY };
            // A mean that underflows is off by less than the least normal number.
            found.push(Stored { row, mean: mean as f32, error: error.max(f32::MIN_POSITIVE) });
        }
        numbers.clear();
        elements.clear();
    }
}

/// The score of a processed record in `f64`, without any correction. Rounding alone can step over 1.
pub(super) fn score(metric: VectorMetric, query: &ProcessedQuery, y: &[f64]) -> f64 {
    match metric {
        VectorMetric::Dot => simd::dot_f64(&query.processed, y),
        VectorMetric::Cosine | VectorMetric::Pearson => simd::dot_f64(&query.processed, y).clamp(-1.0, 1.0),
        VectorMetric::Euclidean => simd::squared_distance_f64(&query.processed, y).sqrt(),
    }
}

/// The mean of the `k` highest of `scores`, which is at least one of them, summed from the highest on.
fn mean_of_highest(scores: &mut [f64], k: usize) -> f64 {
    if k < scores.len() {
        scores.select_nth_unstable_by(k, |a, b| b.total_cmp(a));
    }
    let highest = &mut scores[..k];
    highest.sort_unstable_by(|a, b| b.total_cmp(a));
    highest.iter().sum::<f64>() / k as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_the_highest() {
        assert_eq!(mean_of_highest(&mut [1.0, 9.0, 4.0, 5.0], 2), 7.0);
        assert_eq!(mean_of_highest(&mut [1.0, 3.0], 2), 2.0);
        assert_eq!(mean_of_highest(&mut [-3.0], 1), -3.0);
    }
}
