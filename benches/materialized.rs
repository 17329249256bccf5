//! A materialized lens beside the folded scan of the same chain, through the public interface: 100,000 rows of 384
//! `f32`, projected to 64 dimensions. Searches by both are taken in turn, so that a busy machine slows both.
//! `SIMILE_BENCH_ROWS` changes the number of rows.

use simile::store::{CollectionSpec, ViewSpec};
use simile::types::{Control, ElementType, ProjectionDef};
use simile::{Query, Record, Result, Session, Store, materialize};
use std::time::{Duration, Instant};

const DIMENSION: usize = 384;
const TO: usize = 64;
const ROUNDS: usize = 41;

/// Numbers between -1 and 1 that look random and are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        (0..dimension).map(|_| next()).collect()
    }
}

fn main() -> Result<()> {
    // `cargo test --benches` only wants to know whether it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let rows: usize = std::env::var("SIMILE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bench.simile");
    let store = Store::create(&path)?;
    fill(&store, rows)?;
    let chain = "view v | center corpus | project r | score cosine";
    for lens in ["folded", "kept32", "kept16"] {
        Session::new(&store).run(&format!("let {lens} = {chain}"))?;
    }
    for (lens, element) in [("kept32", ElementType::F32), ("kept16", ElementType::F16)] {
        let start = Instant::now();
        let done = materialize(&store, lens, element, Control::new())?;
        let kept: Vec<String> = done.rows.iter().map(|info| format!("{:?}", (info.rows, info.bytes))).collect();
        println!("materialize {lens}: {:.2?}, (rows, bytes) {}", start.elapsed(), kept.join(" "));
    }
    warm(&store)?;
    drop(store);
    cold(&path)
}

fn fill(store: &Store, rows: usize) -> Result<()> {
    let mut numbers = Numbers(1);
    let mut batch = store.begin()?;
    batch.create_collection("c", CollectionSpec::new().supplied_vectors())?;
    batch.add_view("c", ViewSpec::vectors_only("v"))?;
    let mut c = batch.collection("c")?;
    for n in 0..rows {
        c.insert(Record::new(n.to_string(), "").vector("v", numbers.vector(DIMENSION)))?;
    }
    let (query, name) = (numbers.vector(TO * DIMENSION), "r".to_string());
    let (rows, columns) = (TO as u32, DIMENSION as u32);
    batch.put_projection(ProjectionDef {
        name,
        rows,
        columns,
        query,
        record: None,
        origin: String::new(),
        fitted_on: None,
    })?;
    batch.commit()?;
    Ok(())
}

/// Searches with everything in memory.
fn warm(store: &Store) -> Result<()> {
    let snapshot = store.snapshot()?;
    let query = |lens: &str, seed: u64| -> Result<Query> {
        let text = format!("find $q in c | using {lens} | top 10");
        Ok(snapshot.query(&text)?.bind("q", Numbers(seed).vector(DIMENSION)))
    };
    let lenses = ["folded", "kept32", "kept16"];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); lenses.len()];
    for round in 0..ROUNDS as u64 {
        let mut found = Vec::new();
        for (lens, times) in lenses.iter().zip(&mut times) {
            let query = query(lens, 1_000 + round)?;
            let start = Instant::now();
            let answer = query.run()?;
            times.push(start.elapsed());
            let bits: Vec<(String, u64)> =
                answer.hits().iter().map(|hit| (hit.id().to_string(), hit.value().to_bits())).collect();
            assert_eq!(answer.plan.path.as_str(), if *lens == "folded" { "scan" } else { "materialized" });
            found.push(bits);
        }
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "the paths answer the same bits");
    }
    let median = |times: &mut Vec<Duration>| {
        // The first search of each computes what later ones find in the cache.
        let mut later = times.split_off(1);
        later.sort_unstable();
        later[later.len() / 2]
    };
    let medians: Vec<Duration> = times.iter_mut().map(median).collect();
    for (lens, time) in lenses.iter().zip(&medians) {
        let ratio = medians[0].as_secs_f64() / time.as_secs_f64();
        println!("{lens}: {:.3} ms, {ratio:.2} x", time.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// From opening the store to the first answer.
fn cold(path: &std::path::Path) -> Result<()> {
    for lens in ["folded", "kept32", "kept16"] {
        let mut times = Vec::new();
        for _ in 0..7 {
            let start = Instant::now();
            let store = Store::open_read_only(path)?;
            let query = store.snapshot()?.query(&format!("find $q in c | using {lens} | top 10"))?;
            query.bind("q", Numbers(5).vector(DIMENSION)).run()?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        println!("open to first answer, {lens}: {:.2} ms", times[times.len() / 2].as_secs_f64() * 1e3);
    }
    Ok(())
}
