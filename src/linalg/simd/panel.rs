//! Many queries laid out so that a few rows meet all of them at once: one side of a tiled matrix product.
//!
//! Owns the layout and the product's portable form; `kernels` computes it in the widest registers there are.

/// Queries whose products are computed side by side.
pub const LANES: usize = 64;
/// Rows whose products are computed together.
pub const GROUP_ROWS: usize = 6;
/// Products of a group of rows with a panel of queries: one run of [`LANES`] for each row.
pub type GroupProducts = [f32; GROUP_ROWS * LANES];

/// Queries of one matrix product, laid out for [`Panel::products`].
#[derive(Debug, Clone)]
pub struct Panel {
    pub(super) dimension: usize,
    /// Runs of 16 queries: for each element of the dimension, that element of all 16.
    pub(super) data: Vec<f32>,
}

/// Queries that stand beside each other in memory: one cache line of them.
pub(super) const RUN: usize = 16;

impl Panel {
    /// Lays out at most [`LANES`] queries of `dimension` elements each; missing ones are zero.
    ///
    /// # Panics
    /// When there are more.
    pub fn new(queries: &[f32], dimension: usize) -> Self {
        assert!(queries.len() <= dimension * LANES, "a panel holds {LANES} queries");
        let mut data = vec![0.0; dimension * LANES];
        for (idx, query) in queries.chunks_exact(dimension.max(1)).enumerate() {
            let (run, lane) = (idx / RUN, idx % RUN);
            for (i, &x) in query.iter().enumerate() {
                data[(run * dimension + i) * RUN + lane] = x;
            }
        }
        Panel { dimension, data }
    }

    /// Whether these rows are as long as the queries.
    pub(super) fn fits(&self, rows: &[&[f32]; GROUP_ROWS]) -> bool {
        rows.iter().all(|row| row.len() >= self.dimension)
    }

    /// [`Panel::products`] in plain Rust.
    pub(super) fn scalar_products(&self, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts) {
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(LANES)) {
            for (run, out) in self.data.chunks_exact((self.dimension * RUN).max(1)).zip(out.chunks_exact_mut(RUN)) {
                let mut sums = [0.0f32; RUN];
                for (&x, queries) in row.iter().zip(run.chunks_exact(RUN)) {
                    sums.iter_mut().zip(queries).for_each(|(sum, q)| *sum += x * q);
                }
                out.copy_from_slice(&sums);
            }
        }
    }
}
