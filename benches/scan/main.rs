//! Exact search against what the machine can do, through the interface a program uses: prepared queries on a store
//! on disk, read through its mapping.
//!
//! First a table: what was asked for, what was measured, pass or miss. Everything that is compared is run in turn,
//! round after round, and the figure is the median of the rounds' ratios (the ratio of the shortest times beside it),
//! so that a busy machine slows both sides. Then criterion's own statistics. `SIMILE_BENCH_ROUNDS` sets the rounds,
//! `SIMILE_BENCH_LARGE` the rows of the largest collection, `SIMILE_BENCH_ONLY` a part of a section's name.

mod world;

use criterion::{Criterion, Throughput};
use rayon::prelude::*;
use simile::bench_support::{RowSource, RowsRef, dot_rows, product_f32};
use simile::store::Snapshot;
use simile::types::ElementType;
use simile::{Param, Query};
use simsimd::SpatialSimilarity;
use std::hint::black_box;
use std::time::{Duration, Instant};
use world::{Collection, DIMENSION, World, queries, warm};

/// Keeps the compiler from leaving out what computes `value`.
fn keep<T>(value: T) {
    let _ = black_box(value);
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Something to be timed, under its name.
type Timed<'a> = (String, Box<dyn FnMut() + 'a>);

fn timed<'a>(name: impl Into<String>, run: impl FnMut() + 'a) -> Timed<'a> {
    (name.into(), Box::new(run))
}

/// What is shorter than this is run several times in its turn, so that what ran before it (and which threads that left
/// awake) counts for little.
const TURN: Duration = Duration::from_millis(2);

/// Times of each run in every round, taken in turn.
struct Rounds {
    names: Vec<String>,
    times: Vec<Vec<f64>>,
}

impl Rounds {
    fn measure(rounds: usize, mut runs: Vec<Timed<'_>>) -> Self {
        let mut times = vec![Vec::with_capacity(rounds); runs.len()];
        let repeats: Vec<u32> = runs
            .iter_mut()
            .map(|(_, run)| {
                run();
                let start = Instant::now();
                run();
                (TURN.as_secs_f64() / start.elapsed().as_secs_f64()).clamp(1.0, 50.0) as u32
            })
            .collect();
        for _ in 0..rounds {
            for (((_, run), times), repeats) in runs.iter_mut().zip(&mut times).zip(&repeats) {
                let start = Instant::now();
                (0..*repeats).for_each(|_| run());
                times.push((start.elapsed() / *repeats).as_secs_f64());
            }
        }
        Rounds { names: runs.into_iter().map(|(name, _)| name).collect(), times }
    }

    /// Shortest time of run `idx`.
    fn best(&self, idx: usize) -> f64 {
        self.times[idx].iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Median of `a / b` over the rounds.
    fn ratio(&self, a: usize, b: usize) -> f64 {
        median(self.times[a].iter().zip(&self.times[b]).map(|(a, b)| a / b).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One line of the table.
struct Line {
    what: String,
    bar: String,
    passed: Option<bool>,
    measured: String,
}

/// The table and what fills it.
struct Table<'a> {
    world: &'a World,
    rounds: usize,
    large: usize,
    lines: Vec<Line>,
}

impl Table<'_> {
    /// A ratio that should be at most `bar`.
    fn at_most(&mut self, rounds: &Rounds, idx: usize, base: usize, bar: Option<f64>) {
        let ratio = rounds.ratio(idx, base);
        self.lines.push(Line {
            what: rounds.names[idx].clone(),
            bar: bar.map_or_else(String::new, |bar| format!("<= {bar:.2} x")),
            passed: bar.map(|bar| ratio <= bar),
            measured: format!(
                "{ratio:.3} x of {} ({:.3} / {:.3} ms, best {:.3} x)",
                rounds.names[base],
                rounds.best(idx) * 1e3,
                rounds.best(base) * 1e3,
                rounds.best(idx) / rounds.best(base)
            ),
        });
    }

    /// How many times as fast as another run it is: at least `bar`.
    fn at_least(&mut self, rounds: &Rounds, idx: usize, base: usize, bar: f64) {
        let ratio = rounds.ratio(base, idx);
        self.lines.push(Line {
            what: rounds.names[idx].clone(),
            bar: format!(">= {bar:.2} x"),
            passed: Some(ratio >= bar),
            measured: format!(
                "{ratio:.3} x as fast as {} ({:.3} / {:.3} ms, best {:.3} x)",
                rounds.names[base],
                rounds.best(idx) * 1e3,
                rounds.best(base) * 1e3,
                rounds.best(base) / rounds.best(idx)
            ),
        });
    }
}

const PLAIN: &str = "score cosine";
const LENS: &str = "center corpus | project m | score cosine";
/// As `learn` makes them: a mean and a square matrix for each side.
const LEARNED: &str = "center sides from asked | project learned | score cosine";

fn find(collection: &str, rest: &str) -> String {
    format!("find $q in {collection} | {rest}")
}

/// A warm search as something to time.
fn search<'a>(snapshot: &Snapshot, name: impl Into<String>, statement: &str) -> Timed<'a> {
    let query = warm(snapshot, statement);
    timed(name, move || keep(query.run().expect("an answer")))
}

/// The sum of all elements of a view, in 32 independent lanes: as fast as rows can be read.
fn read<'a>(snapshot: &Snapshot, collection: &str) -> Timed<'a> {
    let snapshot = snapshot.clone();
    let opened = snapshot.collection(collection).expect("a collection");
    timed("reading", move || {
        let view = opened.view("raw").expect("a view");
        let sum = |block| match view.block(block).expect("rows") {
            RowsRef::F32 { data, .. } => sum(data),
            RowsRef::F16 { data, .. } => sum(bytemuck::cast_slice(data)),
        };
        let all = || (0..view.block_count()).into_par_iter().with_min_len(4).map(sum).sum::<f32>();
        keep(snapshot.install(all));
    })
}

fn sum(data: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 32];
    for chunk in data.chunks_exact(32) {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().sum()
}

fn one_thread(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(1);
    let rounds = Rounds::measure(
        table.rounds,
        vec![
            read(&snapshot, "k200"),
            search(&snapshot, "plain cosine, 200k, one thread", &find("k200", PLAIN)),
            search(&snapshot, "center corpus | project m | cosine", &find("k200", LENS)),
            search(
                &snapshot,
                "normalize | center corpus | cosine",
                &find("k200", "normalize | center corpus | score cosine"),
            ),
            search(&snapshot, "euclidean", &find("k200", "score euclidean")),
            search(&snapshot, "pearson", &find("k200", "score pearson")),
        ],
    );
    table.at_most(&rounds, 1, 0, Some(1.0 / 0.85));
    table.at_most(&rounds, 2, 1, Some(1.05));
    for idx in 3..6 {
        table.at_most(&rounds, idx, 1, Some(1.05));
    }
}

fn single(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(2);
    for (collection, factor) in [("k10", 10), ("k100", 3), ("large", 1)] {
        let rounds = Rounds::measure(
            table.rounds * factor,
            vec![
                read(&snapshot, collection),
                search(&snapshot, format!("single query, {collection}"), &find(collection, PLAIN)),
                search(&snapshot, format!("single query, {collection}, lens"), &find(collection, LENS)),
            ],
        );
        table.at_most(&rounds, 1, 0, Some(1.25));
        table.at_most(&rounds, 2, 1, Some(1.05));
    }
}

fn learned(table: &mut Table<'_>) {
    for threads in [1, 2] {
        let snapshot = table.world.snapshot(threads);
        let name = |what: &str| format!("{what}, 100k, {threads} threads");
        let rounds = Rounds::measure(
            table.rounds * 3,
            vec![
                search(&snapshot, name("plain cosine"), &find("k100", PLAIN)),
                search(&snapshot, name("a learned lens"), &find("k100", LEARNED)),
            ],
        );
        table.at_most(&rounds, 1, 0, Some(1.05));
    }
}

/// All products of `queries` with the rows in tiles of 1,024 rows and 64 queries, and nothing else, through faer.
fn bare_product<'a>(snapshot: &Snapshot, collection: &str, queries: &[Param]) -> Timed<'a> {
    let snapshot = snapshot.clone();
    let opened = snapshot.collection(collection).expect("a collection");
    let vectors: Vec<f32> = queries
        .iter()
        .flat_map(|query| if let Param::Vector(vector) = query { vector.clone() } else { Vec::new() })
        .collect();
    timed("bare sgemm", move || {
        let view = opened.view("raw").expect("a view");
        let product = |block: usize| {
            let RowsRef::F32 { data, stride, dimension } = view.block(block).expect("rows") else { return };
            let mut out = vec![0.0f32; 1024 * 64];
            for tile in data.chunks(1024 * stride) {
                let rows = tile.len() / stride;
                for queries in vectors.chunks(64 * dimension) {
                    let out = &mut out[..rows * (queries.len() / dimension)];
                    product_f32(tile, rows, stride, queries, out, dimension);
                }
            }
            keep(&out);
        };
        snapshot.install(|| (0..view.block_count()).into_par_iter().with_min_len(4).for_each(product));
    })
}

fn batch(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(2);
    for count in [64, 256] {
        let values = queries(count);
        let run = |name: &str, rest: &str| {
            let query = snapshot.query(&find("k100", rest)).expect("a search");
            let values = values.clone();
            timed(format!("{name} of {count}, 100k"), move || keep(query.run_batch(&values).expect("answers")))
        };
        let rounds = Rounds::measure(
            table.rounds,
            vec![
                bare_product(&snapshot, "k100", &values),
                run("batch", PLAIN),
                run("batch under the lens", LENS),
                run("batch under euclidean", "score euclidean"),
            ],
        );
        for idx in 1..4 {
            table.at_most(&rounds, idx, 0, Some(1.0 / 0.8));
            let line = table.lines.last_mut().expect("a line");
            let (queries, time) = (count as f64, rounds.best(idx));
            let flops = 2.0 * queries * 100e3 * DIMENSION as f64;
            line.measured += &format!(", {:.0} queries/s, {:.0} GFLOP/s", queries / time, flops / time / 1e9);
        }
    }
}

fn halves(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(2);
    let statements = [find("k200", PLAIN), find("k200_f16", PLAIN)];
    let rounds = Rounds::measure(
        table.rounds,
        vec![
            search(&snapshot, "f32", &statements[0]),
            search(&snapshot, "f16 rows, 200k", &statements[1]),
            read(&snapshot, "k200"),
            read(&snapshot, "k200_f16"),
        ],
    );
    table.at_least(&rounds, 1, 0, 1.6);
    table.at_most(&rounds, 0, 2, None);
    table.at_most(&rounds, 1, 3, None);
    let rows = |statement: &str| {
        let query = snapshot.query(statement).expect("a search");
        let answers = query.run_batch(&queries(256)).expect("answers");
        answers.iter().map(|answer| answer.hits().iter().map(|hit| hit.row().0).collect()).collect::<Vec<Vec<u32>>>()
    };
    let [wide, narrow] = statements.each_ref().map(|statement| rows(statement));
    let common: usize = wide.iter().zip(&narrow).map(|(a, b)| a.iter().filter(|row| b.contains(row)).count()).sum();
    let recall = common as f64 / (256.0 * 10.0);
    table.lines.push(Line {
        what: "f16 rows, recall@10 against f32".into(),
        bar: ">= 0.999".into(),
        passed: Some(recall >= 0.999),
        measured: format!("{recall:.4} over 256 queries"),
    });
}

fn filters(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(2);
    let mut runs = vec![search(&snapshot, "unfiltered", &find("large", PLAIN))];
    for (field, kind) in [("pick", "random"), ("run", "clustered")] {
        for percent in [1, 10, 50] {
            let statement = find("large", &format!("{PLAIN} | where {field} < {percent}"));
            runs.push(search(&snapshot, format!("filter keeping {percent} %, {kind}"), &statement));
        }
    }
    let rounds = Rounds::measure(table.rounds, runs);
    for idx in 1..7 {
        table.at_most(&rounds, idx, 0, Some(1.0));
    }
}

fn tops(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(2);
    let tops = [1, 10, 100, 1000];
    let run = |k| search(&snapshot, format!("top {k}, 100k"), &find("k100", &format!("{PLAIN} | top {k}")));
    let rounds = Rounds::measure(table.rounds * 3, tops.map(run).into());
    for (idx, bar) in [(1, Some(1.05)), (2, Some(1.05)), (3, None)] {
        table.at_most(&rounds, idx, 0, bar);
    }
}

/// Our lanes beside simsimd's, one thread, products alone.
fn kernels(table: &mut Table<'_>) {
    let snapshot = table.world.snapshot(1);
    let opened = snapshot.collection("k200").expect("a collection");
    let w = world::Numbers::new(9).vector(DIMENSION);
    let block = |block| opened.view("raw").expect("a view").block(block).expect("rows");
    let count = opened.view("raw").map_or(0, RowSource::block_count);
    let own = || {
        let mut out = vec![0.0; 1 << 16];
        for rows in (0..count).map(block) {
            dot_rows(&w, rows, &mut out[..rows.len()]);
            keep(&out);
        }
    };
    let theirs = || {
        let mut out = vec![0.0; 1 << 16];
        for rows in (0..count).map(block) {
            let RowsRef::F32 { data, stride, dimension } = rows else { return };
            for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
                *out = <f32 as SpatialSimilarity>::dot(&w, &row[..dimension]).unwrap_or_default() as f32;
            }
            keep(&out);
        }
    };
    let rounds = Rounds::measure(
        table.rounds,
        vec![
            read(&snapshot, "k200"),
            timed("products alone, our lanes", own),
            timed("products alone, simsimd", theirs),
        ],
    );
    table.at_most(&rounds, 1, 0, None);
    table.at_most(&rounds, 2, 0, None);
}

fn print(table: &Table<'_>) {
    let width = table.lines.iter().map(|line| line.what.len()).max().unwrap_or(0);
    println!("\n{:<width$}  {:<10} {:<5} measured", "what", "bar", "");
    for Line { what, bar, passed, measured } in &table.lines {
        let verdict = match passed {
            Some(true) => "pass",
            Some(false) => "MISS",
            None => "",
        };
        println!("{what:<width$}  {bar:<10} {verdict:<5} {measured}");
    }
}

fn statistics(world: &World) {
    let mut criterion =
        Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).configure_from_args();
    for (collection, rows) in [("k10", 10_000), ("k100", 100_000)] {
        let mut group = criterion.benchmark_group(format!("{collection}x{DIMENSION}"));
        for threads in [1, 2] {
            let snapshot = world.snapshot(threads);
            group.throughput(Throughput::Bytes(rows * DIMENSION as u64 * 4));
            for (name, rest) in [("cosine", PLAIN), ("lens", LENS)] {
                let query: Query = warm(&snapshot, &find(collection, rest));
                group.bench_function(format!("{name}/{threads}"), |b| b.iter(|| query.run().expect("an answer")));
            }
            let (query, values) = (snapshot.query(&find(collection, PLAIN)).expect("a search"), queries(64));
            group.throughput(Throughput::Elements(64));
            let run = || query.run_batch(&values).expect("answers");
            group.bench_function(format!("batch of 64/{threads}"), |b| b.iter(run));
        }
        group.finish();
    }
    criterion.final_summary();
}

fn main() {
    let large = number("SIMILE_BENCH_LARGE", 1_000_000);
    let collection = |name, rows, element| Collection { name, rows, element };
    let world = World::new(&[
        collection("k10", 10_000, ElementType::F32),
        collection("k100", 100_000, ElementType::F32),
        collection("k200", 200_000, ElementType::F32),
        collection("k200_f16", 200_000, ElementType::F16),
        collection("large", large, ElementType::F32),
    ]);
    let mut table = Table { world: &world, rounds: number("SIMILE_BENCH_ROUNDS", 15), large, lines: Vec::new() };
    let only = std::env::var("SIMILE_BENCH_ONLY").unwrap_or_default();
    println!("{} rows in the largest collection, {} rounds", table.large, table.rounds);
    type Section = fn(&mut Table<'_>);
    let sections: [(&str, Section); 8] = [
        ("one thread", one_thread),
        ("single", single),
        ("learned", learned),
        ("batch", batch),
        ("f16", halves),
        ("filters", filters),
        ("top", tops),
        ("kernels", kernels),
    ];
    for (name, section) in sections {
        if name.contains(only.as_str()) {
            section(&mut table);
        }
    }
    print(&table);
    if std::env::var_os("SIMILE_BENCH_TABLE_ONLY").is_none() {
        statistics(&world);
    }
}
