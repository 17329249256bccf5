//! Scans beside the memory bandwidth of the same run: 200,000 rows of 384 `f32` (307 MB) and the same in `f16`.
//!
//! First a table of ratios, each scan measured in turn with a plain sum over the same rows, so that a busy machine
//! slows both; then criterion's own statistics. `SIMILE_BENCH_ROWS` changes the number of rows.

use criterion::{Criterion, Throughput};
use rayon::prelude::*;
use simile::bench_support::{
    Chain, ElementType, MemoryRows, Prepared, ProcessedQuery, Projection, ProjectionDef, ResolvedStep, RowSet,
    RowSource, RowsRef, VectorMetric, dot_rows, scan, scan_batch,
};
use simsimd::SpatialSimilarity;
use std::hint::black_box;
use std::time::{Duration, Instant};

const DIMENSION: usize = 384;
/// One block is about 1 MiB.
const BLOCK_ROWS: u32 = 682;

/// One lens over one set of rows, with queries ready to run.
struct Lens {
    prepared: Prepared,
    queries: Vec<ProcessedQuery>,
    prepare_time: Duration,
}

/// Numbers between -1 and 1 around a common mean.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 0.9
        })
        .collect()
}

fn lens(source: &MemoryRows, live: &RowSet, steps: Vec<ResolvedStep>, metric: VectorMetric) -> Lens {
    let chain = Chain::new(steps, metric, DIMENSION).expect("the steps fit the rows");
    let start = Instant::now();
    let prepared = Prepared::compute(&chain, source, live).expect("rows in memory can be read");
    let prepare_time = start.elapsed();
    let query = |i: u64| values(DIMENSION, 1000 + i).into_iter().map(f64::from).collect::<Vec<_>>();
    let queries = (0..64).map(|i| prepared.process(&query(i)).expect("the query has a direction")).collect();
    Lens { prepared, queries, prepare_time }
}

fn projection(rows: usize) -> ResolvedStep {
    let query = values(rows * DIMENSION, 5).iter().map(|x| x + 0.1).collect();
    let (rows, columns) = (rows as u32, DIMENSION as u32);
    let def = ProjectionDef { name: "m".into(), rows, columns, query, record: None, origin: String::new() };
    ResolvedStep::Project(Projection::from_def(&def).expect("the shape fits"))
}

/// The sum of all floats in 32 independent lanes, which fit the registers: as fast as rows can be read.
fn sum(rows: RowsRef<'_>) -> f32 {
    let mut lanes = [0.0f32; 32];
    if let RowsRef::F32 { data, .. } = rows {
        for chunk in data.chunks_exact(32) {
            lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
        }
    }
    lanes.iter().sum()
}

fn read_all(source: &MemoryRows) -> f32 {
    let block = |block| sum(source.block(block).expect("rows in memory can be read"));
    (0..source.block_count()).into_par_iter().with_min_len(8).map(block).sum()
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool")
}

/// Keeps the compiler from leaving out what computes `value`.
fn keep<T>(value: T) {
    let _ = black_box(value);
}

/// The shortest of several runs of each, taken in turn.
fn best(rounds: usize, runs: &mut [(String, Box<dyn FnMut() + '_>)]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; runs.len()];
    for _ in 0..rounds {
        for ((_, run), best) in runs.iter_mut().zip(&mut best) {
            let start = Instant::now();
            run();
            *best = (*best).min(start.elapsed());
        }
    }
    best
}

fn main() {
    let rows: u32 = std::env::var("SIMILE_BENCH_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let data = values(rows as usize * DIMENSION, 1);
    let source = MemoryRows::new(&data, DIMENSION, ElementType::F32, BLOCK_ROWS);
    let half = MemoryRows::new(&data, DIMENSION, ElementType::F16, BLOCK_ROWS);
    drop(data);
    let live = RowSet::from_range(0..rows);
    let steps = || vec![ResolvedStep::CenterCorpus, projection(64)];
    let plain = lens(&source, &live, vec![], VectorMetric::Cosine);
    let centered = lens(&source, &live, steps(), VectorMetric::Cosine);
    let distance = lens(&source, &live, vec![], VectorMetric::Euclidean);
    let halved = lens(&half, &live, vec![], VectorMetric::Cosine);
    let square = lens(&source, &live, vec![ResolvedStep::CenterCorpus, projection(384)], VectorMetric::Cosine);
    for (name, lens) in
        [("cosine", &plain), ("center corpus | project 64x384", &centered), ("the same 384x384", &square)]
    {
        println!(
            "prepare {name}: {:.1} ms, {} KiB kept",
            lens.prepare_time.as_secs_f64() * 1e3,
            lens.prepared.bytes() >> 10
        );
    }
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        pool(threads).install(|| table(threads, rows, &source, &half, &live, [&plain, &centered, &distance, &halved]));
    }
    statistics(rows, &source, &live, &plain, &centered);
}

fn table(threads: usize, rows: u32, source: &MemoryRows, half: &MemoryRows, live: &RowSet, lenses: [&Lens; 4]) {
    let [plain, centered, distance, halved] = lenses;
    let run = |source, lens: &Lens, allowed: &RowSet| {
        black_box(scan(source, &lens.prepared, &lens.queries[0], allowed, 10, None).expect("a scan"));
    };
    let batch = |lens: &Lens| {
        black_box(scan_batch(source, &lens.prepared, &lens.queries, live, 10, None).expect("a scan"));
    };
    let tenth = RowSet::from_rows((0..rows).filter(|row| row % 97 == 0));
    let mut runs: Vec<(String, Box<dyn FnMut() + '_>)> = vec![
        ("read every float".into(), Box::new(|| keep(read_all(source)))),
        ("cosine".into(), Box::new(|| run(source, plain, live))),
        ("center corpus | project 64x384 | cosine".into(), Box::new(|| run(source, centered, live))),
        ("euclidean".into(), Box::new(|| run(source, distance, live))),
        ("cosine, f16 rows".into(), Box::new(|| run(half, halved, live))),
        ("cosine, 1 row in 97 allowed".into(), Box::new(|| run(source, plain, &tenth))),
        ("cosine, batch of 64".into(), Box::new(|| batch(plain))),
        ("center corpus | project 64x384 | cosine, batch of 64".into(), Box::new(|| batch(centered))),
    ];
    if threads == 1 {
        let w = plain.queries[0].processed().iter().map(|&x| x as f32).collect::<Vec<_>>();
        let (own, theirs) = (w.clone(), w);
        runs.push(("products alone, our lanes".into(), Box::new(move || keep(products(source, &own)))));
        runs.push(("products alone, simsimd".into(), Box::new(move || keep(simsimd_products(source, &theirs)))));
    }
    let times = best(if threads == 1 { 15 } else { 25 }, &mut runs);
    println!("\n{threads} thread(s), {rows} x {DIMENSION}");
    let bytes = rows as f64 * DIMENSION as f64 * 4.0;
    for ((name, _), time) in runs.iter().zip(&times) {
        let (seconds, read) = (time.as_secs_f64(), times[0].as_secs_f64());
        let per_row = if name.contains("f16") { 0.5 } else { 1.0 };
        print!(
            "{:>9.2} ms  {:>6.1} GB/s  {:>4.0} % of reading  {name}",
            seconds * 1e3,
            per_row * bytes / seconds / 1e9,
            100.0 * per_row * read / seconds
        );
        match name.contains("batch") {
            true => println!(": {:.0} queries/s, {:.0} GFLOP/s", 64.0 / seconds, 64.0 * bytes / 2.0 / seconds / 1e9),
            false => println!(),
        }
    }
}

/// All products with one vector, nothing else.
fn products(source: &MemoryRows, w: &[f32]) -> f32 {
    let mut out = vec![0.0; BLOCK_ROWS as usize];
    let mut largest = f32::MIN;
    for block in 0..source.block_count() {
        let rows = source.block(block).expect("rows in memory can be read");
        dot_rows(w, rows, &mut out[..rows.len()]);
        largest = out.iter().fold(largest, |a, &b| a.max(b));
    }
    largest
}

/// The same through simsimd.
fn simsimd_products(source: &MemoryRows, w: &[f32]) -> f32 {
    let mut largest = f32::MIN;
    if let RowsRef::F32 { data, stride, dimension } = source.rows() {
        for row in data.chunks(stride) {
            largest = largest.max(<f32 as SpatialSimilarity>::dot(w, &row[..dimension]).unwrap_or_default() as f32);
        }
    }
    largest
}

fn statistics(rows: u32, source: &MemoryRows, live: &RowSet, plain: &Lens, centered: &Lens) {
    let mut criterion =
        Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group(format!("{rows}x{DIMENSION}"));
    group.throughput(Throughput::Bytes(u64::from(rows) * DIMENSION as u64 * 4));
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        let pool = pool(threads);
        group.bench_function(format!("read/{threads}"), |b| b.iter(|| pool.install(|| read_all(source))));
        for (name, lens) in [("cosine", plain), ("lens", centered)] {
            let run = || scan(source, &lens.prepared, &lens.queries[0], live, 10, None).expect("a scan");
            group.bench_function(format!("{name}/{threads}"), |b| b.iter(|| pool.install(run)));
            let run = || scan_batch(source, &lens.prepared, &lens.queries, live, 10, None).expect("a scan");
            group.bench_function(format!("{name}, batch of 64/{threads}"), |b| b.iter(|| pool.install(run)));
        }
    }
    group.finish();
    criterion.final_summary();
}
