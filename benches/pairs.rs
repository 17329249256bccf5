//! All pairs of a set of rows beside the bare matrix product of the same shape, in the same run.
//!
//! `SIMILE_BENCH_NPY` names a `.npy` file of `f32` rows (little-endian, C order); without it 15,011 rows of 384 random
//! numbers are used, as many as the debtags set has. The ratio is what counts: a busy machine slows both.

use rayon::prelude::*;
use simile::bench_support::{
    Chain, Control, ElementType, MemoryRows, Prepared, RowSet, VectorMetric, product_f32, scan_pairs,
};
use std::time::Instant;

const DIMENSION: usize = 384;
const TILE_QUERIES: usize = 256;
const TILE_ROWS: usize = 1024;

/// Numbers between -1 and 1.
fn values(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The rows of a `.npy` file whose shape ends in 384.
#[expect(clippy::disallowed_methods, reason = "a bench reads a file of its caller")]
fn rows() -> Vec<f32> {
    let Ok(path) = std::env::var("SIMILE_BENCH_NPY") else { return values(15_011 * DIMENSION) };
    let bytes = std::fs::read(path).expect("the file can be read");
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect()
}

/// Products of each two rows once, in tiles, nothing else.
fn bare(data: &[f32]) -> f32 {
    let n = data.len() / DIMENSION;
    let tile = |start: usize| {
        let (mut products, mut largest) = (Vec::new(), f32::MIN);
        let queries = &data[start * DIMENSION..n.min(start + TILE_QUERIES) * DIMENSION];
        for row in (start..n).step_by(TILE_ROWS) {
            let rows = &data[row * DIMENSION..n.min(row + TILE_ROWS) * DIMENSION];
            products.resize(queries.len() / DIMENSION * (rows.len() / DIMENSION), 0.0);
            product_f32(rows, rows.len() / DIMENSION, DIMENSION, queries, &mut products, DIMENSION);
            largest = largest.max(products[0]);
        }
        largest
    };
    (0..n).step_by(TILE_QUERIES).collect::<Vec<_>>().into_par_iter().with_max_len(1).map(tile).reduce(|| 0.0, f32::max)
}

fn main() {
    let data = rows();
    let n = data.len() / DIMENSION;
    let source = MemoryRows::new(&data, DIMENSION, ElementType::F32, 682);
    let live = RowSet::from_range(0..n as u32);
    let chain = Chain::new(vec![], VectorMetric::Cosine, DIMENSION).expect("no steps fit any rows");
    let prepared = Prepared::compute(&chain, &source, &live).expect("rows in memory can be read");
    let (mut products, mut pairs, mut found) = (f64::MAX, f64::MAX, 0);
    for _ in 0..5 {
        let start = Instant::now();
        std::hint::black_box(bare(&data));
        products = products.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let scan = scan_pairs(&source, &prepared, &live, 100, Some(0.9), &Control::new()).expect("a scan");
        pairs = pairs.min(start.elapsed().as_secs_f64());
        found = scan.hits.len();
    }
    let flop = (n as f64).powi(2) * DIMENSION as f64;
    println!(
        "{n} x {DIMENSION}: products {:.0} ms ({:.0} GFLOP/s), pairs above 0.9 | top 100 ({found} found) {:.0} ms: {:.2} x",
        products * 1e3,
        flop / products / 1e9,
        pairs * 1e3,
        pairs / products
    );
}
