//! The first answer of a lens nobody has asked for before, beside one matrix product of its shape and one scan.
//!
//! 100,000 rows of 384 `f32`, `center corpus | project 64x384 | score cosine`, two threads. Everything is measured in
//! turn, so that a busy machine slows all of it. `SIMILE_BENCH_ROWS` changes the number of rows.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use simile::bench_support::{
    Chain, ElementType, Known, MemoryRows, Prepared, Projection, ProjectionDef, ResolvedStep, RowForm, RowSet,
    RowSource, RowSums, RowsRef, VectorMetric, scan,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DIMENSION: usize = 384;
const OUTPUT: usize = 64;
const BLOCK_ROWS: u32 = 682;

/// Numbers between -1 and 1 around a common mean.
/// What is timed, under its name.
type Run<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 0.9
        })
        .collect()
}

fn projection(matrix: &[f32]) -> ResolvedStep {
    let (rows, columns) = (OUTPUT as u32, DIMENSION as u32);
    let query = matrix.to_vec();
    let def =
        ProjectionDef { name: "m".into(), rows, columns, query, record: None, origin: String::new(), fitted_on: None };
    ResolvedStep::Project(Projection::from_def(&def).expect("the shape fits"))
}

/// One product of all rows with `matrix`, written to memory, by the same crate and as many threads.
fn sgemm(source: &MemoryRows, matrix: &[f32], out: &mut [f32]) {
    let RowsRef::F32 { data, stride, .. } = source.rows() else { return };
    let rows = 2048;
    data.par_chunks(rows * stride).zip(out.par_chunks_mut(rows * OUTPUT)).for_each(|(data, out)| {
        let n = data.len() / stride;
        let a = MatRef::from_row_major_slice_with_stride(data, n, DIMENSION, stride);
        let b = MatRef::from_row_major_slice(matrix, OUTPUT, DIMENSION);
        let out = MatMut::from_column_major_slice_mut(out, n, OUTPUT);
        matmul(out, Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
    });
}

fn prepare(source: &MemoryRows, live: &RowSet, steps: &[ResolvedStep], metric: VectorMetric) -> Prepared {
    let chain = Chain::new(steps.to_vec(), metric, DIMENSION).expect("the steps fit the rows");
    Prepared::compute(&chain, source, live).expect("rows in memory can be read")
}

fn answer(source: &MemoryRows, live: &RowSet, prepared: &Prepared, query: &[f64]) {
    let query = prepared.process(query).expect("the query has a direction");
    black_box(scan(source, prepared, &query, live, 10, None).expect("a scan"));
}

fn main() {
    let rows: u32 = std::env::var("SIMILE_BENCH_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let source = MemoryRows::new(&values(rows as usize * DIMENSION, 1), DIMENSION, ElementType::F32, BLOCK_ROWS);
    let live = RowSet::from_range(0..rows);
    let matrix: Vec<f32> = values(OUTPUT * DIMENSION, 5).iter().map(|x| x + 0.1).collect();
    let query: Vec<f64> = values(DIMENSION, 9).into_iter().map(f64::from).collect();
    let lens = vec![ResolvedStep::CenterCorpus, projection(&matrix)];
    let mut out = vec![0.0; rows as usize * OUTPUT];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a thread pool");
    pool.install(|| {
        let kept = prepare(&source, &live, &lens, VectorMetric::Cosine);
        let (cosine, euclidean) = (VectorMetric::Cosine, VectorMetric::Euclidean);
        let unit = [vec![ResolvedStep::Normalize], lens.clone()].concat();
        let first = |steps: &[ResolvedStep], metric| {
            answer(&source, &live, &prepare(&source, &live, steps, metric), &query);
        };
        // The lens before the last ten rows came: its mean has moved since.
        let before = RowSet::from_range(0..rows - 10);
        let moved = |steps: &[ResolvedStep], metric, form| {
            let earlier = prepare(&source, &before, steps, metric);
            let sums = RowSums::of(&source, &before, form, None).expect("rows in memory can be read");
            let (source, live, query) = (&source, &live, &query);
            Box::new(move || {
                let sums = |form| RowSums::of(source, live, form, Some(&sums)).map(Arc::new);
                let known = Known { earlier: Some(&earlier), sums: Some(&sums), ..Known::default() };
                let prepared = Prepared::compute_known(earlier.chain(), source, live, &known);
                answer(source, live, &prepared.expect("rows in memory can be read"), query);
            })
        };
        let mut runs: Vec<Run<'_>> = vec![
            ("one sgemm of the shape", Box::new(|| sgemm(&source, &matrix, black_box(&mut out)))),
            ("one scan of the lens, warm", Box::new(|| answer(&source, &live, &kept, &query))),
            ("first answer: center corpus | project | cosine", Box::new(|| first(&lens, cosine))),
            ("first answer: cosine", Box::new(|| first(&[], cosine))),
            ("first answer: center corpus | cosine", Box::new(|| first(&lens[..1], cosine))),
            ("first answer: pearson", Box::new(|| first(&[], VectorMetric::Pearson))),
            ("first answer: center corpus | project | euclidean", Box::new(|| first(&lens, euclidean))),
            ("first answer: normalize | center corpus | project | cosine", Box::new(|| first(&unit, cosine))),
            ("first answer: normalize | center corpus | cosine", Box::new(|| first(&unit[..2], cosine))),
            (
                "after a commit that moved the mean: center corpus | project | cosine",
                moved(&lens, cosine, RowForm::Raw),
            ),
            ("the same: center corpus | project | euclidean", moved(&lens, euclidean, RowForm::Raw)),
            ("the same: normalize | center corpus | project | cosine", moved(&unit, cosine, RowForm::Unit)),
            ("first answer: whiten 64 | cosine", Box::new(|| first(&[ResolvedStep::Whiten(Some(64))], cosine))),
        ];
        let mut best = vec![Duration::MAX; runs.len()];
        for _ in 0..7 {
            for ((_, run), best) in runs.iter_mut().zip(&mut best) {
                let start = Instant::now();
                run();
                *best = (*best).min(start.elapsed());
            }
        }
        println!("{rows} x {DIMENSION}, 2 threads, best of 7");
        for ((name, _), time) in runs.iter().zip(&best) {
            println!("{:>9.2} ms  {name}", time.as_secs_f64() * 1e3);
        }
        let seconds: Vec<f64> = best.iter().map(Duration::as_secs_f64).collect();
        println!("first answer / (1.3 x sgemm + scan) = {:.2}", seconds[2] / (1.3 * seconds[0] + seconds[1]));
        println!("(first answer - scan) / sgemm = {:.2}", (seconds[2] - seconds[1]) / seconds[0]);
    });
    assert_eq!(source.row_count(), rows);
}
