//! A simile store as one more peer of a benchmark of vector stores: phases `build`, `measure` and `insert` on files
//! that the benchmark hands over, one JSON object a line on standard output.
//!
//! Run by the benchmark, see `benches/README.md`. Rows are stored as records through the ordinary interface, in
//! batches; searches are prepared once and bound to each query vector; every inserted row is a commit of its own,
//! on disk before it is acknowledged.
#![allow(clippy::disallowed_methods, reason = "a program of its own reads its input with the standard library")]

use serde_json::{Value as Json, json};
use simile::store::{CollectionSpec, Snapshot};
use simile::{Answer, Error, Param, Query, Record, Result, Store};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Records of one commit while the store is made.
const BATCH: usize = 50_000;
/// Queries of which the latency is measured, at most; of each filter.
const LATENCY: usize = 300;
const FILTERED: usize = 200;
/// Rows inserted one at a time, at most.
const INSERTS: usize = 100;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let phase = arguments.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        options.insert(name.trim_start_matches('-').to_string(), value);
    }
    let options = Options(options);
    match phase.as_str() {
        "build" => build(&options),
        "measure" => measure(&options),
        "insert" => insert(&options),
        other => Err(Error::invalid(format!("phase `{other}`: known are build, measure and insert"))),
    }
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn text(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).ok_or_else(|| Error::invalid(format!("--{name} is missing")))
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.text(name)?.parse().map_err(|_| Error::invalid(format!("--{name} is not a number")))
    }

    fn store(&self) -> Result<PathBuf> {
        Ok(Path::new(self.text("store")?).join("peer.simile"))
    }

    fn budget(&self) -> Result<Duration> {
        Ok(Duration::from_secs_f64(self.number("budget")?))
    }
}

fn say(line: &Json) {
    println!("{line}");
}

fn read(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::invalid(format!("{path}: {error}")))
}

/// The rows of a NumPy file of little-endian `f32` in C order.
fn npy(path: &str, dimension: usize) -> Result<Vec<Vec<f32>>> {
    let bytes = read(path)?;
    let damaged = || Error::invalid(format!("{path} is no version 1 NumPy file of little-endian f32"));
    let header = bytes.get(8..10).map(|length| 10 + usize::from(u16::from_le_bytes([length[0], length[1]])));
    let (start, rows) = header.and_then(|start| Some((start, bytes.get(start..)?))).ok_or_else(damaged)?;
    if !String::from_utf8_lossy(&bytes[10..start]).contains("'<f4'") || rows.len() % (dimension * 4) != 0 {
        return Err(damaged());
    }
    let float = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Ok(rows.chunks_exact(dimension * 4).map(|row| row.chunks_exact(4).map(float).collect()).collect())
}

fn build(options: &Options) -> Result<()> {
    let dimension = options.number("dim")? as usize;
    let meta = String::from_utf8(read(options.text("meta")?)?).map_err(|_| Error::invalid("meta.csv is not text"))?;
    let vectors = npy(options.text("base")?, dimension)?;
    let begun = Instant::now();
    let store = Store::create(options.store()?)?;
    let rows: Vec<(Vec<f32>, &str)> = vectors.into_iter().zip(meta.lines().skip(1)).collect();
    let count = rows.len();
    let mut rows = rows.into_iter();
    for first in (0..count).step_by(BATCH) {
        let mut batch = store.begin()?;
        if first == 0 {
            batch.create_collection("rows", CollectionSpec::new().supplied_vectors())?;
        }
        let mut writer = batch.existing_collection("rows")?;
        for (vector, line) in rows.by_ref().take(BATCH) {
            writer.insert(record(line, vector)?)?;
        }
        batch.commit()?;
    }
    let version = env!("CARGO_PKG_VERSION");
    say(&json!({"event": "build", "load_s": begun.elapsed().as_secs_f64(), "index_s": 0.0, "rows": count,
        "version": version}));
    Ok(())
}

/// One line of the metadata, `id,year,tag,flag`, as a record.
fn record(line: &str, vector: Vec<f32>) -> Result<Record> {
    let cells: Vec<&str> = line.split(',').collect();
    let [id, year, tag, flag] = cells.as_slice() else { return Err(Error::invalid(format!("metadata `{line}`"))) };
    let year: i64 = year.parse().map_err(|_| Error::invalid(format!("metadata `{line}`")))?;
    Ok(Record::new(*id, "").field("year", year).field("tag", *tag).field("flag", *flag == "1").vector("raw", vector))
}

/// Ids of the hits, which are the row numbers of the input.
fn ids(answer: &Answer) -> Vec<u64> {
    answer.hits().iter().filter_map(|hit| hit.id().parse().ok()).collect()
}

/// The queries one at a time until the budget is spent: microseconds and ids of each.
fn one_by_one(query: &Query, vectors: &[Param], budget: Duration) -> Result<(Vec<f64>, Vec<Vec<u64>>)> {
    let (mut times, mut found) = (Vec::new(), Vec::new());
    let end = Instant::now() + budget;
    for vector in vectors {
        let begun = Instant::now();
        let answer = query.clone().bind("q", vector.clone()).run()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        found.push(ids(&answer));
        if Instant::now() > end && times.len() >= 5 {
            break;
        }
    }
    Ok((times, found))
}

fn measure(options: &Options) -> Result<()> {
    let (dimension, k) = (options.number("dim")? as usize, options.number("k")? as u64);
    let budget = options.budget()?;
    let vectors: Vec<Param> = npy(options.text("queries")?, dimension)?.into_iter().map(Param::Vector).collect();
    let Some(first) = vectors.first() else { return Err(Error::invalid("no queries")) };
    let filters: Json = serde_json::from_slice(&read(options.text("filters")?)?)
        .map_err(|error| Error::invalid(format!("filters: {error}")))?;

    let begun = Instant::now();
    let snapshot = open(options)?.snapshot()?;
    let opened = begun.elapsed();
    let plain = find(&snapshot, "", k)?;
    plain.clone().bind("q", first.clone()).run()?;
    say(&json!({"event": "open", "open_s": opened.as_secs_f64(), "first_answer_s": begun.elapsed().as_secs_f64()}));

    one_by_one(&plain, &vectors[..vectors.len().min(5)], budget)?;
    let (times, found) = one_by_one(&plain, &vectors[..vectors.len().min(LATENCY)], budget)?;
    say(&json!({"event": "latency", "point": "exact", "us": times, "ids": found}));

    // As many as fit the budget: the first call finds out how many that is.
    let count = vectors.len().min(64);
    let begun = Instant::now();
    plain.run_batch(&vectors[..count])?;
    let share = count as f64 * budget.as_secs_f64() / begun.elapsed().as_secs_f64();
    let count = vectors.len().min((share as usize).max(8));
    let begun = Instant::now();
    let answers = plain.run_batch(&vectors[..count])?;
    let found: Vec<_> = answers.iter().map(ids).collect();
    say(&json!({"event": "batch", "point": "exact", "queries": count, "seconds": begun.elapsed().as_secs_f64(),
        "ids": found}));

    for filter in filters.as_array().into_iter().flatten() {
        let query = find(&snapshot, &condition(filter)?, k)?;
        query.clone().bind("q", first.clone()).run()?;
        let (times, found) = one_by_one(&query, &vectors[..vectors.len().min(FILTERED)], budget / 2)?;
        say(&json!({"event": "filter", "name": filter["name"], "us": times, "ids": found}));
    }
    Ok(())
}

fn open(options: &Options) -> Result<Store> {
    let threads = options.number("threads")? as usize;
    simile::store::Options::new().threads(threads).open(options.store()?)
}

fn find(snapshot: &Snapshot, condition: &str, k: u64) -> Result<Query> {
    snapshot.query(&format!("find $q in rows | view raw | score cosine {condition} | top {k}"))
}

/// A filter as a condition of the language: `| where tag = "tag03"`.
fn condition(filter: &Json) -> Result<String> {
    let value = match &filter["value"] {
        Json::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    match (filter["col"].as_str(), filter["op"].as_str()) {
        (Some(field), Some("==")) => Ok(format!("| where {field} = {value}")),
        _ => Err(Error::invalid(format!("filter {filter}"))),
    }
}

fn insert(options: &Options) -> Result<()> {
    let (dimension, budget) = (options.number("dim")? as usize, options.budget()?);
    let queries = npy(options.text("queries")?, dimension)?;
    let store = open(options)?;
    let (mut times, mut last) = (Vec::new(), None);
    let end = Instant::now() + budget;
    for (idx, vector) in queries.into_iter().take(INSERTS).enumerate() {
        let record = record(&format!("{},1999,tag03,1", 1_000_000_000 + idx), vector.clone())?;
        let begun = Instant::now();
        let mut batch = store.begin()?;
        batch.existing_collection("rows")?.insert(record)?;
        batch.commit()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        last = Some((1_000_000_000 + idx as u64, vector));
        if Instant::now() > end && times.len() >= 3 {
            break;
        }
    }
    let visible = match last {
        Some((id, vector)) => ids(&find(&store.snapshot()?, "", 10)?.bind("q", vector).run()?).contains(&id),
        None => false,
    };
    say(&json!({"event": "insert", "us": times, "visible": visible, "durability": "synced to disk, one commit a row"}));
    Ok(())
}
