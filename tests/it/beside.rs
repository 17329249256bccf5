//! Readers beside a writer, compactions and kills: threads of one process, and real processes.
//!
//! The writer's every commit replaces ten records and all their vectors by ones that bear its number, adds a pair and
//! takes an older pair away. So whoever looks at the store can tell from what they see which commit it is, and whether
//! all of it is of that one. A number is written down once its commit is acknowledged: a reader that took its snapshot
//! later and sees less has lost a commit, one that sees less than before has gone backwards.
//!
//! Each test runs a few seconds; `SIMILE_STRESS_SECONDS=60` makes it a minute.

use crate::store::place;
use simile::store::{CollectionSpec, Options, Snapshot, Store, ViewSpec};
use simile::types::{RowId, Value};
use simile::{ErrorKind, Record};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Records that every commit replaces.
const STAYING: u64 = 10;
/// Pairs that are there at a time.
const PAIRS: u64 = 5;

fn seconds(usual: f64) -> Duration {
    let asked = std::env::var("SIMILE_STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(asked.unwrap_or(usual))
}

fn options() -> Options {
    Options::new().busy_timeout(Duration::from_secs(60)).cache_bytes(1 << 20).threads(2)
}

fn create(path: &Path) -> Store {
    let store = options().create(path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    batch.commit().unwrap();
    commit(&store, 1);
    store
}

fn vector(number: u64, part: u64) -> Vec<f32> {
    vec![number as f32, part as f32, 0.5]
}

/// The writer's commit `number`.
fn commit(store: &Store, number: u64) {
    let mut batch = store.begin().unwrap();
    let mut c = batch.collection("c").unwrap().no_embed(true);
    let record = |id: String, part: u64| {
        Record::new(id, format!("commit {number}")).field("commit", number as i64).vector("v", vector(number, part))
    };
    for part in 0..STAYING {
        c.upsert(record(format!("p{part}"), part)).unwrap();
    }
    for (part, side) in ["left", "right"].into_iter().enumerate() {
        c.insert(record(format!("{number}-{side}"), part as u64)).unwrap();
        if let Some(old) = number.checked_sub(PAIRS).filter(|old| *old > 0) {
            assert!(c.remove(&format!("{old}-{side}")).unwrap());
        }
    }
    batch.commit().unwrap();
}

/// The writer's number that all of the snapshot shows.
fn look(snapshot: &Snapshot) -> u64 {
    let collection = snapshot.collection("c").unwrap();
    let (view, column) = (collection.view("v").unwrap(), collection.column("commit").unwrap().unwrap());
    let number = collection.record(collection.row_of("p0").unwrap().unwrap()).unwrap().fields["commit"].clone();
    let Value::Integer(number) = number else { panic!("{number:?}") };
    let number = number as u64;
    let (mut staying, mut pairs) = (0, Vec::new());
    for row in collection.live().iter() {
        let record = collection.record(RowId(row)).unwrap();
        let (told, part) = match record.id.split_once('-') {
            Some((told, side)) => (told.parse().unwrap(), u64::from(side == "right")),
            None => (number, record.id[1..].parse().unwrap()),
        };
        assert_eq!(record.text, format!("commit {told}"), "{} at {number}", record.id);
        assert_eq!(record.fields["commit"], Value::Integer(told as i64), "{} at {number}", record.id);
        let expected = Some(simile::store::ValueRef::Integer(told as i64));
        column.with(row, |found| assert_eq!(found, expected, "{} at {number}", record.id)).unwrap();
        assert_eq!(view.vector(row).unwrap(), Some(vector(told, part)), "{} at {number}", record.id);
        match record.id.starts_with('p') {
            true => staying += 1,
            false => pairs.push((told, part)),
        }
    }
    pairs.sort_unstable();
    let first = number.saturating_sub(PAIRS - 1).max(1);
    let expected: Vec<_> = (first..=number).flat_map(|told| [(told, 0), (told, 1)]).collect();
    assert_eq!((staying, pairs), (STAYING, expected), "at {number}");
    search(snapshot, number);
    number
}

/// A search sees the same commit: the two newest records of part 0 are what its vector finds, at no distance.
/// Statistics, scalars and kept answers are those of the snapshot.
fn search(snapshot: &Snapshot, number: u64) {
    let statement = "find $q in c | view v | center corpus | score euclidean | where commit > 0 | top 4";
    let found = snapshot.query(statement).unwrap().bind("q", vector(number, 0)).run().unwrap();
    let mut best: Vec<&str> = found.hits()[..2].iter().map(|hit| hit.id()).collect();
    best.sort_unstable();
    assert_eq!(best, [format!("{number}-left"), "p0".to_string()], "at {number}");
    assert!(found.hits()[..2].iter().all(|hit| hit.value() == 0.0) && found.hits()[2].value() > 0.5, "at {number}");
    assert_eq!(found.plan.scanned, STAYING + 2 * number.min(PAIRS), "at {number}");
}

/// Looks at the store again and again: what each look sees is one commit, not older than what was acknowledged before
/// the look, nor than what was seen before. Every few looks the snapshot before is looked at again: it has not changed.
struct Watcher {
    store: Store,
    last: u64,
    last_commit: u64,
    looks: u64,
    kept: Option<(Snapshot, u64)>,
}

impl Watcher {
    fn new(store: Store) -> Watcher {
        Watcher { store, last: 0, last_commit: 0, looks: 0, kept: None }
    }

    fn look(&mut self, acknowledged: impl Fn() -> u64) {
        let acknowledged = acknowledged();
        let snapshot = self.store.snapshot().unwrap();
        let number = look(&snapshot);
        assert!(number >= acknowledged, "{acknowledged} was acknowledged, {number} is seen");
        let commit = snapshot.commit().0;
        assert!(number >= self.last && commit >= self.last_commit, "{} was seen before {number}", self.last);
        (self.last, self.last_commit, self.looks) = (number, commit, self.looks + 1);
        if self.looks.is_multiple_of(7)
            && let Some((kept, number)) = self.kept.replace((snapshot, number))
        {
            assert_eq!(look(&kept), number, "a snapshot has changed");
        }
    }
}

/// One handle shared by threads: a writer, somebody who compacts, readers; and readers with handles of their own.
pub fn threads(path: &Path, time: Duration) -> (u64, u64) {
    let store = create(path);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(1));
    let looks = std::thread::scope(|scope| {
        let (store, stop, acknowledged) = (&store, &stop, &acknowledged);
        scope.spawn(move || {
            for number in 2.. {
                commit(store, number);
                acknowledged.store(number, SeqCst);
                if stop.load(SeqCst) {
                    break;
                }
            }
        });
        scope.spawn(move || {
            while !stop.load(SeqCst) {
                store.compact().unwrap();
                std::thread::sleep(Duration::from_millis(15));
            }
        });
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                scope.spawn(move || {
                    let own = reader % 2 == 0;
                    let handle = if own { options().read_only(true).open(path).unwrap() } else { store.clone() };
                    let mut watcher = Watcher::new(handle);
                    while !stop.load(SeqCst) {
                        watcher.look(|| acknowledged.load(SeqCst));
                    }
                    watcher.looks
                })
            })
            .collect();
        std::thread::sleep(time);
        stop.store(true, SeqCst);
        readers.into_iter().map(|reader| reader.join().unwrap()).min().unwrap()
    });
    assert_eq!(look(&store.snapshot().unwrap()), acknowledged.load(SeqCst));
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    (acknowledged.load(SeqCst), looks)
}

#[test]
fn threads_see_one_commit_each_beside_a_writer_and_compactions() {
    let (_dir, path) = place();
    let (commits, looks) = threads(&path, seconds(3.0));
    println!("{commits} commits, {looks} looks of the slowest reader");
    assert!(commits > 20 && looks > 20, "{commits} commits and {looks} looks are too few to tell");
}

const PLACE: &str = "SIMILE_TEST_BESIDE";

fn acknowledged_file(path: &Path) -> PathBuf {
    path.with_extension("acknowledged")
}

fn stop_file(path: &Path) -> PathBuf {
    path.with_extension("stop")
}

fn acknowledged(path: &Path) -> u64 {
    let bytes = std::fs::read(acknowledged_file(path)).unwrap();
    u64::from_le_bytes(bytes.try_into().unwrap())
}

/// Written beside and renamed, so that it is never half there.
fn acknowledge(path: &Path, number: u64) {
    let beside = path.with_extension("acknowledging");
    std::fs::write(&beside, number.to_le_bytes()).unwrap();
    std::fs::rename(&beside, acknowledged_file(path)).unwrap();
}

/// Opens the store and commits for a moment, again and again; in between others may write.
#[test]
#[ignore = "a process that the tests below start"]
fn writing_child() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    while !stop_file(&path).exists() {
        let store = options().open(&path).unwrap();
        let mut number = look(&store.snapshot().unwrap());
        let until = Instant::now() + Duration::from_millis(150);
        while Instant::now() < until {
            number += 1;
            commit(&store, number);
            acknowledge(&path, number);
        }
        drop(store);
        // Whoever waits for the writer's lock asks for it now and then only.
        std::thread::sleep(Duration::from_millis(40));
    }
}

#[test]
#[ignore = "a process that the tests below start"]
fn reading_child() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let mut watcher = Watcher::new(options().read_only(true).open(&path).unwrap());
    while !stop_file(&path).exists() {
        watcher.look(|| acknowledged(&path));
    }
    println!("looks {}", watcher.looks);
}

fn child(name: &str, path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("beside::{name}"), "--exact", "--ignored", "--nocapture"]).env(PLACE, path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a child that was not killed; how often it looked.
fn finish(child: Child, name: &str) -> u64 {
    let output = child.wait_with_output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{said}\n{errors}", output.status);
    let looks = said.lines().find_map(|line| line.split("looks ").nth(1)?.trim().parse().ok());
    looks.unwrap_or(0)
}

fn last_checks(path: &Path) {
    let store = options().open(path).unwrap();
    let number = look(&store.snapshot().unwrap());
    assert!(number >= acknowledged(path));
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    store.compact().unwrap();
    assert_eq!(look(&store.snapshot().unwrap()), number);
}

#[test]
fn processes_see_one_commit_each_beside_a_writer_and_compactions() {
    let (_dir, path) = place();
    drop(create(&path));
    acknowledge(&path, 1);
    let until = Instant::now() + seconds(5.0);
    let mut writer = child("writing_child", &path);
    let readers: Vec<Child> = (0..3).map(|_| child("reading_child", &path)).collect();
    let mut compactions = 0;
    while Instant::now() < until {
        let done = Command::new(env!("CARGO_BIN_EXE_simile"))
            .args(["compact", "--wait", "60", "--json"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        compactions += 1;
        assert!(writer.try_wait().unwrap().is_none(), "the writer has ended by itself");
    }
    std::fs::write(stop_file(&path), b"").unwrap();
    finish(writer, "the writer");
    let looks: Vec<u64> = readers.into_iter().map(|reader| finish(reader, "a reader")).collect();
    let commits = acknowledged(&path);
    println!("{commits} commits, {compactions} compactions, {looks:?} looks");
    assert!(commits > 10 && compactions > 2 && looks.iter().all(|&looks| looks > 10), "too few to tell");
    last_checks(&path);
}

#[test]
fn readers_go_on_while_the_writer_is_killed_and_another_begins() {
    let (_dir, path) = place();
    drop(create(&path));
    acknowledge(&path, 1);
    let readers: Vec<Child> = (0..3).map(|_| child("reading_child", &path)).collect();
    let until = Instant::now() + seconds(4.0);
    let (mut kills, mut last, mut dice) = (0, 1, 0x9e37_79b9_u64);
    while Instant::now() < until {
        let mut writer = child("writing_child", &path);
        let begun = Instant::now();
        while acknowledged(&path) <= last {
            let ended = writer.try_wait().unwrap();
            assert!(ended.is_none(), "the writer has ended by itself: {}", finish(writer, "the writer"));
            assert!(begun.elapsed() < Duration::from_secs(60), "the writer does not get to write");
            std::thread::sleep(Duration::from_millis(1));
        }
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((dice >> 33) % 60_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        kills += 1;
        last = acknowledged(&path);
        let seen = look(&options().read_only(kills % 2 == 0).open(&path).unwrap().snapshot().unwrap());
        assert!(seen == last || seen == last + 1, "{last} was acknowledged, {seen} is there");
        last = seen;
    }
    std::fs::write(stop_file(&path), b"").unwrap();
    let looks: Vec<u64> = readers.into_iter().map(|reader| finish(reader, "a reader")).collect();
    println!("{last} commits, {kills} kills, {looks:?} looks");
    assert!(kills > 3 && looks.iter().all(|&looks| looks > 3), "{kills} kills and {looks:?} looks are too few to tell");
    last_checks(&path);
}

#[test]
fn backups_beside_a_writer_and_compactions_are_one_commit_each() {
    let (dir, path) = place();
    let store = create(&path);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(1));
    std::thread::scope(|scope| {
        let (store, stop, acknowledged) = (&store, &stop, &acknowledged);
        scope.spawn(move || {
            for number in 2.. {
                commit(store, number);
                acknowledged.store(number, SeqCst);
                if number.is_multiple_of(4) {
                    store.compact().unwrap();
                }
                if stop.load(SeqCst) {
                    break;
                }
            }
        });
        let reader = options().read_only(true).open(&path).unwrap();
        let mut last = 0;
        for number in 0..12 {
            let before = acknowledged.load(SeqCst);
            let copy = dir.path().join(format!("copy-{number}"));
            // Every other one by the handle that writes.
            let source = if number % 2 == 0 { store } else { &reader };
            source.backup(&copy).unwrap();
            let copied = options().open(&copy).unwrap();
            let seen = look(&copied.snapshot().unwrap());
            assert!(seen >= before && seen >= last, "{before} was acknowledged, {last} copied, now {seen}");
            let report = copied.check().unwrap();
            assert!(report.is_ok(), "{:?}", report.findings);
            commit(&copied, seen + 1);
            last = seen;
        }
        stop.store(true, SeqCst);
        assert!(last > 2, "{last} commits are too few to tell");
    });
}

#[test]
fn a_second_writer_within_the_process_waits_its_turn() {
    let (_dir, path) = place();
    let store = create(&path);
    let batch = store.begin().unwrap();
    let quick = Options::new().busy_timeout(Duration::from_millis(30));
    assert_eq!(quick.open(&path).unwrap_err().kind(), ErrorKind::Locked);
    let other = Arc::new(store.clone());
    let waiting = std::thread::spawn(move || commit(&other, 2));
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(look(&store.snapshot().unwrap()), 1);
    drop(batch);
    waiting.join().unwrap();
    assert_eq!(look(&store.snapshot().unwrap()), 2);
}
