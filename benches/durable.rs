//! Durable single inserts and batches beside the machine's own time for a sync, in the same run and folder, through the
//! public interface; and a compaction beside copying the store's files. Records have a text of 200 bytes, three fields
//! and a vector of 384 `f32`; nothing is embedded.
//!
//! `SIMILE_BENCH_FOLDER` says where (a memory file system tells nothing), `SIMILE_BENCH_ROWS` how many rows are
//! compacted (200,000), `SIMILE_BENCH_COMPACT=1` compacts only.
#![allow(clippy::disallowed_methods, reason = "a bench writes plain files to compare with")]

use simile::store::{CollectionSpec, ViewSpec};
use simile::{Record, Result, Store};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const DIMENSION: usize = 384;
/// Times of one kind taken; all kinds take turns, so that a busy machine slows all of them.
const ROUNDS: usize = 60;
/// Records in one commit.
const BATCHES: [usize; 4] = [1, 10, 100, 1_000];

fn main() -> Result<()> {
    // `cargo test --benches` only wants to know whether it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let setting = |name: &str| std::env::var(name).ok();
    let folder = match setting("SIMILE_BENCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir_in("."),
    }
    .expect("a temporary folder");
    if setting("SIMILE_BENCH_COMPACT").is_none() {
        inserts(folder.path())?;
    }
    compaction(folder.path(), setting("SIMILE_BENCH_ROWS").and_then(|rows| rows.parse().ok()).unwrap_or(200_000))
}

fn record(number: usize) -> Record {
    let mut state = number as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    let vector = (0..DIMENSION).map(|_| next()).collect();
    Record::new(format!("record-{number}"), format!("{number:0200}"))
        .field("year", (number % 100) as i64)
        .field("tag", format!("tag {}", number % 7))
        .field("weight", number as f64 / 3.0)
        .vector("v", vector)
}

/// Appends `bytes` to a file and syncs it: what any durable write costs at least.
fn append(file: &mut std::fs::File, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    file.write_all(bytes).and_then(|()| file.sync_data()).expect("a file that takes writes");
    start.elapsed()
}

fn empty(path: &Path) -> Result<Store> {
    let store = Store::create(path)?;
    let mut batch = store.begin()?;
    batch.create_collection("c", CollectionSpec::new().supplied_vectors())?;
    batch.add_view("c", ViewSpec::vectors_only("v"))?;
    batch.commit()?;
    Ok(store)
}

fn inserts(folder: &Path) -> Result<()> {
    let mut file = std::fs::File::create(folder.join("plain")).expect("a file");
    let store = empty(&folder.join("inserts.simile"))?;
    let (mut syncs, mut times) = (Vec::new(), vec![Vec::new(); BATCHES.len()]);
    let mut number = 0;
    for _ in 0..ROUNDS {
        for (records, times) in BATCHES.into_iter().zip(&mut times) {
            syncs.push(append(&mut file, &[7; 4_096]));
            let records: Vec<Record> = (number..number + records).map(record).collect();
            number += records.len();
            let start = Instant::now();
            let mut batch = store.begin()?;
            batch.collection("c")?.no_embed(true).insert_many(records)?;
            batch.commit()?;
            times.push(start.elapsed());
        }
    }
    let sync = median(&mut syncs);
    println!(
        "append of 4 KiB and sync: {:.3} ms (median of {}, 9 in 10 below {:.3} ms)",
        ms(sync),
        syncs.len(),
        ms(nine_in_ten(&syncs))
    );
    println!("records | ms a commit | 9 in 10 below | syncs of this run's time | records/s");
    for (records, times) in BATCHES.into_iter().zip(&mut times) {
        let time = median(times);
        let rate = records as f64 / time.as_secs_f64();
        let ratio = time.as_secs_f64() / sync.as_secs_f64();
        println!("{records:7} | {:11.3} | {:13.3} | {ratio:24.1} | {rate:9.0}", ms(time), ms(nine_in_ten(times)));
    }
    Ok(())
}

/// A compaction that takes a tenth of the rows away, beside copying what it writes.
fn compaction(folder: &Path, rows: usize) -> Result<()> {
    let path = folder.join("compact.simile");
    let store = empty(&path)?;
    for first in (0..rows).step_by(20_000) {
        let mut batch = store.begin()?;
        batch.collection("c")?.no_embed(true).insert_many((first..rows.min(first + 20_000)).map(record))?;
        batch.commit()?;
    }
    let mut batch = store.begin()?;
    for number in (0..rows).step_by(10) {
        batch.collection("c")?.remove(&format!("record-{number}"))?;
    }
    batch.commit()?;
    let start = Instant::now();
    let done = store.compact()?;
    let compacted = start.elapsed();
    let start = Instant::now();
    let mut copy = std::fs::File::create(folder.join("copy")).expect("a file");
    let block = vec![7_u8; 1 << 20];
    for _ in 0..done.bytes_after >> 20 {
        copy.write_all(&block).expect("a file that takes writes");
    }
    copy.sync_data().expect("a file that takes writes");
    let copied = start.elapsed();
    println!(
        "compact {rows} rows: {} of them dead, {:.1} -> {:.1} MB in {compacted:.2?}; writing and syncing as many bytes {copied:.2?}: {:.1} times that",
        done.rows_removed,
        done.bytes_before as f64 / 1e6,
        done.bytes_after as f64 / 1e6,
        compacted.as_secs_f64() / copied.as_secs_f64()
    );
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The middle; sorts.
fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn nine_in_ten(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 9 / 10]
}
