//! The stores that the scan benchmark searches: made once through the ordinary interface, read back from disk.
//!
//! Owns the rows and where they are kept. `SIMILE_BENCH_STORE` names a folder to keep the store in between runs;
//! without it, it is made anew in a temporary one.

use simile::store::{CollectionSpec, Options, Snapshot, Store};
use simile::types::{ElementType, ProjectionDef, SampleDef, SampleVectors};
use simile::{Param, Query, Record};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub const DIMENSION: usize = 384;
/// Records of one commit while the store is made.
const BATCH: usize = 100_000;

/// A collection of the store.
#[derive(Clone, Copy)]
pub struct Collection {
    pub name: &'static str,
    pub rows: usize,
    pub element: ElementType,
}

/// Numbers between -0.9 and 1.1: a common mean that `center corpus` has something to do with.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.next() as f32 / (1u64 << 30) as f32 - 0.9).collect()
    }
}

/// A store on disk.
pub struct World {
    path: PathBuf,
    /// Removes a temporary store.
    _folder: Option<tempfile::TempDir>,
}

impl World {
    /// Opens the store, or makes it, with `collections` and a projection `m` to 64 dimensions.
    pub fn new(collections: &[Collection]) -> Self {
        let kept = std::env::var_os("SIMILE_BENCH_STORE").map(PathBuf::from);
        let folder = if kept.is_none() { Some(tempfile::tempdir().expect("a temporary folder")) } else { None };
        let base = kept.or_else(|| folder.as_ref().map(|folder| folder.path().to_path_buf())).unwrap_or_default();
        let path = base.join("bench.simile");
        if !path.exists() {
            make(&path, collections);
        }
        World { path, _folder: folder }
    }

    /// A snapshot whose scans take `threads` threads.
    pub fn snapshot(&self, threads: usize) -> Snapshot {
        let store = Options::new().read_only(true).threads(threads).open(&self.path).expect("the store opens");
        store.snapshot().expect("a snapshot")
    }
}

/// A pair of square matrices near the identity, as learning makes them.
fn learned() -> ProjectionDef {
    let side = |seed| {
        let noise = Numbers::new(seed).vector(DIMENSION * DIMENSION).into_iter().map(|x| (x - 0.1) / 40.0);
        noise.enumerate().map(|(at, x)| x + f32::from(u8::from(at % (DIMENSION + 1) == 0))).collect()
    };
    let (rows, columns) = (DIMENSION as u32, DIMENSION as u32);
    let (query, record) = (side(11), Some(side(12)));
    ProjectionDef { name: "learned".into(), rows, columns, query, record, origin: "bench".into(), fitted_on: None }
}

fn make(path: &Path, collections: &[Collection]) {
    let start = Instant::now();
    let store = Store::create(path).expect("a new store");
    let mut batch = store.begin().expect("a batch");
    let query = Numbers::new(5).vector(64 * DIMENSION).iter().map(|x| x - 0.1).collect();
    let (rows, columns) = (64, DIMENSION as u32);
    let def =
        ProjectionDef { name: "m".into(), rows, columns, query, record: None, origin: "bench".into(), fitted_on: None };
    batch.put_projection(def).expect("a projection");
    batch.put_projection(learned()).expect("a projection");
    batch.commit().expect("a commit");
    for collection in collections {
        let mut numbers = Numbers::new(1);
        for first in (0..collection.rows).step_by(BATCH) {
            let mut batch = store.begin().expect("a batch");
            if first == 0 {
                let spec = CollectionSpec::new().supplied_vectors().element(collection.element);
                batch.create_collection(collection.name, spec).expect("a collection");
            }
            let mut writer = batch.existing_collection(collection.name).expect("a collection");
            for row in first..collection.rows.min(first + BATCH) {
                let record = Record::new(format!("r{row}"), "")
                    .field("pick", (numbers.next() % 100) as i64)
                    .field("run", (row * 100 / collection.rows) as i64)
                    .vector("raw", numbers.vector(DIMENSION));
                writer.insert(record).expect("a record");
            }
            batch.commit().expect("a commit");
        }
    }
    let asked = store.snapshot().and_then(|snapshot| Ok(snapshot.collection("k100")?.def().id)).expect("a collection");
    let mut batch = store.begin().expect("a batch");
    let vectors =
        SampleVectors { view: "raw".into(), dimension: columns, data: Numbers::new(7).vector(200 * DIMENSION) };
    let ids = (0..200).map(|idx| format!("q{idx}")).collect::<Vec<_>>();
    let texts = vec![String::new(); ids.len()];
    batch
        .put_sample(SampleDef { ids, texts, vectors: Some(vectors), ..SampleDef::new("asked", asked) })
        .expect("a sample");
    batch.commit().expect("a commit");
    println!("store made in {:.1} s", start.elapsed().as_secs_f64());
}

/// Vectors to search with.
pub fn queries(count: usize) -> Vec<Param> {
    (0..count).map(|i| Param::Vector(Numbers::new(1000 + i as u64).vector(DIMENSION))).collect()
}

/// A prepared search with its vector bound, run once so that what it needs is there.
pub fn warm(snapshot: &Snapshot, statement: &str) -> Query {
    let query = snapshot.query(statement).expect("a search");
    let query = query.bind("q", queries(1).remove(0));
    query.run().expect("an answer");
    query
}
