//! What went wrong elsewhere: each test is named after a mistake that popular stores make, and fails if simile makes
//! it.
//!
//! Everything goes through the public API, as an app would; expected values are worked out here, naively in `f64`.

use serde_json::Value as Json;
use simile::store::{CollectionSpec, Options, ViewSpec};
use simile::types::ElementType;
use simile::{Answer, Param, Record, Session, Store};
use std::process::Command;
use tempfile::TempDir;

const DIMENSION: usize = 24;

/// Numbers that look random and are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1 << 24) as f32) * 2.0 - 1.0
    }

    /// Eighths between -1 and 1: halves hold them exactly.
    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| (self.next() * 8.0).round() / 8.0).collect()
    }
}

fn empty() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::create(folder.path().join("s.simile")).unwrap();
    (folder, store)
}

fn create(store: &Store) {
    let mut batch = store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.commit().unwrap();
}

fn insert(store: &Store, records: impl IntoIterator<Item = Record>) {
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap().insert_many(records).unwrap();
    batch.commit().unwrap();
}

fn record(id: impl Into<String>, vector: &[f32]) -> Record {
    Record::new(id, "").vector("raw", vector.to_vec())
}

/// A store of `count` records `r0`, `r1`, ...
fn filled(count: usize) -> (TempDir, Store, Vec<Vec<f32>>) {
    let (folder, store) = empty();
    create(&store);
    let mut numbers = Numbers(3);
    let vectors: Vec<Vec<f32>> = (0..count).map(|_| numbers.vector()).collect();
    let records = vectors.iter().enumerate();
    insert(&store, records.map(|(idx, vector)| record(format!("r{idx}"), vector).field("n", idx as i64)));
    (folder, store, vectors)
}

fn run(store: &Store, statement: &str) -> Answer {
    let query = store.snapshot().unwrap().query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    query.run().unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn bits(answer: &Answer) -> Vec<(String, u64)> {
    answer.hits().iter().map(|hit| (hit.id().to_string(), hit.value().to_bits())).collect()
}

fn wide(vector: &[f32]) -> Vec<f64> {
    vector.iter().map(|&v| f64::from(v)).collect()
}

fn less_mean(vector: &[f64]) -> Vec<f64> {
    let mean = vector.iter().sum::<f64>() / vector.len() as f64;
    vector.iter().map(|v| v - mean).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The metric, naively.
fn value(metric: &str, query: &[f32], row: &[f32]) -> f64 {
    let cosine = |a: &[f64], b: &[f64]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let (q, x) = (wide(query), wide(row));
    match metric {
        "cosine" => cosine(&q, &x),
        "dot" => dot(&q, &x),
        "pearson" => cosine(&less_mean(&q), &less_mean(&x)),
        _ => q.iter().zip(&x).map(|(q, x)| (q - x) * (q - x)).sum::<f64>().sqrt(),
    }
}

const METRICS: [&str; 4] = ["cosine", "dot", "pearson", "euclidean"];

#[test]
fn pearson_used_as_a_distance() {
    let (_folder, store, vectors) = filled(200);
    // Elsewhere 1 - r was sorted as if it were r, and the opposite of the query came first.
    let opposite: Vec<f32> = vectors[7].iter().map(|v| -v).collect();
    insert(&store, [record("opposite", &opposite)]);
    let answer = run(&store, "find #r7 in c | score pearson | including self | top 201");
    assert_eq!((answer.hits()[0].id(), answer.hits().last().unwrap().id()), ("r7", "opposite"));
    assert!((answer.hits()[0].value() - 1.0).abs() < 1e-12);
    assert!((answer.hits()[200].value() + 1.0).abs() < 1e-12);
    assert_eq!(answer.header.direction(), "higher is more similar");
    assert!(answer.hits().windows(2).all(|pair| pair[0].value() >= pair[1].value()));
}

#[test]
fn fresh_and_older_rows_under_one_metric() {
    let (folder, store) = empty();
    create(&store);
    let mut numbers = Numbers(5);
    let vectors: Vec<Vec<f32>> = (0..300).map(|_| numbers.vector()).collect();
    // Some rows are old, some came after a search had prepared itself, some in this very commit.
    for part in [0..150, 150..290, 290..300] {
        insert(&store, part.map(|idx| record(format!("r{idx}"), &vectors[idx])));
        for metric in METRICS {
            let statement = format!("find #r0 in c | score {metric} | including self | top 300");
            let answer = run(&store, &statement);
            for hit in answer.hits() {
                let idx: usize = hit.id()[1..].parse().unwrap();
                let expected = value(metric, &vectors[0], &vectors[idx]);
                assert!((hit.value() - expected).abs() < 1e-12, "{metric} {}: {} {expected}", hit.id(), hit.value());
            }
            let sign = if hit_is_distance(&answer) { -1.0 } else { 1.0 };
            assert!(answer.hits().windows(2).all(|pair| sign * pair[0].value() >= sign * pair[1].value()), "{metric}");
        }
    }
    let statement = "find #r0 in c | score euclidean | top 300";
    let before = bits(&run(&store, statement));
    drop(store);
    let reopened = Store::open_read_only(folder.path().join("s.simile")).unwrap();
    assert_eq!(bits(&run(&reopened, statement)), before);
}

fn hit_is_distance(answer: &Answer) -> bool {
    answer.hits().iter().any(simile::Hit::is_distance)
}

#[test]
fn a_zero_vector_ranked_second_with_a_null_score() {
    let (folder, store, _) = filled(50);
    insert(&store, [record("zero", &[0.0; DIMENSION])]);
    for metric in ["cosine", "pearson"] {
        let answer = run(&store, &format!("find #r3 in c | score {metric} | top 51"));
        assert!(answer.hits().iter().all(|hit| hit.id() != "zero" && hit.value().is_finite()), "{metric}");
        assert_eq!((answer.hits().len(), answer.plan.undirected), (49, 1), "{metric}");
    }
    // A product and a distance need no direction.
    for metric in ["dot", "euclidean"] {
        let answer = run(&store, &format!("find #r3 in c | score {metric} | top 51"));
        assert_eq!((answer.hits().len(), answer.plan.undirected), (50, 0), "{metric}");
    }
    let query = store.snapshot().unwrap().query("find #r3 in c | score cosine").unwrap();
    assert_eq!(query.undirected().unwrap(), ["zero"]);
    drop(query);
    drop(store);
    // And nothing that a program reads is null.
    let output = Command::new(env!("CARGO_BIN_EXE_simile"))
        .args(["--json", "query", "s.simile", "find #r3 in c | top 51"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 49);
    assert!(results.iter().all(|hit| hit["score"].is_f64() && hit["id"] != "zero"));
    assert_eq!(document["plan"]["undirected"], 1);
}

#[test]
fn a_constant_vector_tied_with_a_perfect_match_under_pearson() {
    let (_folder, store, vectors) = filled(50);
    let scaled: Vec<f32> = vectors[3].iter().map(|v| 2.0 * v + 0.5).collect();
    insert(&store, [record("constant", &[0.7; DIMENSION]), record("scaled", &scaled)]);
    let answer = run(&store, "find #r3 in c | score pearson | top 60");
    assert_eq!(answer.hits()[0].id(), "scaled");
    assert!((answer.hits()[0].value() - 1.0).abs() < 1e-12 && answer.hits()[1].value() < 1.0 - 1e-6);
    assert!(answer.hits().iter().all(|hit| hit.id() != "constant"));
    assert_eq!(answer.plan.undirected, 1);
    let error = store.snapshot().unwrap().query("find #constant in c | score pearson").unwrap().run().unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::no_direction");
}

#[test]
fn a_score_that_changes_with_batch_threads_element_type_or_filter() {
    let (folder, store, vectors) = filled(3_000);
    let mut batch = store.begin().unwrap();
    batch.add_view("c", ViewSpec::vectors_only("halves").element(ElementType::F16)).unwrap();
    let mut writer = batch.collection("c").unwrap();
    for (idx, vector) in vectors.iter().enumerate() {
        writer.set_vector(&format!("r{idx}"), "halves", vector.clone()).unwrap();
    }
    batch.commit().unwrap();
    let path = folder.path().join("s.simile");
    drop(store);
    let stages = ["score cosine", "center corpus | normalize | score dot", "score euclidean", "center | score pearson"];
    for stages in stages {
        let search = |view: &str, rest: &str| format!("find $q in c | view {view} | {stages}{rest}");
        let mut expected: Option<Vec<Vec<(String, u64)>>> = None;
        for threads in [1, 2, 7] {
            let store = Options::new().read_only(true).threads(threads).open(&path).unwrap();
            let snapshot = store.snapshot().unwrap();
            let values: Vec<Param> = vectors[..70].iter().map(|vector| Param::from(vector.clone())).collect();
            let query = snapshot.query(&search("raw", " | top 25")).unwrap();
            let batch: Vec<_> = query.run_batch(&values).unwrap().iter().map(bits).collect();
            let expected = expected.get_or_insert_with(|| batch.clone());
            assert_eq!(batch, *expected, "{stages}, {threads} threads");
            for (idx, value) in values.iter().enumerate().step_by(9) {
                let one = |view: &str, rest: &str| {
                    let query = snapshot.query(&search(view, rest)).unwrap();
                    bits(&query.bind("q", value.clone()).run().unwrap())
                };
                assert_eq!(one("raw", " | top 25"), expected[idx], "{stages} alone, {threads} threads");
                assert_eq!(one("raw", " | top 3"), expected[idx][..3], "{stages}, top 3");
                assert_eq!(one("raw", " | skip 5 | top 3"), expected[idx][5..8], "{stages}, skip 5");
                assert_eq!(one("halves", " | top 25"), expected[idx], "{stages} over halves");
                let filtered = one("raw", " | where n < 100 or n > 2900 | top 3000");
                let whole = one("raw", " | top 3000");
                let kept: Vec<_> = whole.iter().filter(|hit| filtered.contains(hit)).cloned().collect();
                assert_eq!((kept.len(), &kept), (199, &filtered), "{stages}, filtered");
            }
        }
    }
}

#[test]
fn original_vectors_returned_changed() {
    let (folder, store) = empty();
    create(&store);
    let mut odd = Numbers(9).vector();
    odd[..7].copy_from_slice(&[-0.0, f32::MIN_POSITIVE / 4.0, f32::MAX, -f32::MAX, f32::EPSILON, 1e-30, 0.1]);
    let plain: Vec<f32> = (0..DIMENSION).map(|idx| 3.0 + idx as f32 / 7.0).collect();
    insert(&store, [record("odd", &odd), record("plain", &plain)]);
    let mut session = Session::new(&store);
    session.run("let unit = center corpus | normalize | score cosine").unwrap();
    session.run("find #plain in c | using unit").unwrap();
    insert(&store, [record("later", &plain)]);
    drop((session, store));
    let store = Store::open(folder.path().join("s.simile")).unwrap();
    for (id, expected) in [("odd", &odd), ("plain", &plain), ("later", &plain)] {
        let found = store.snapshot().unwrap().get("c", id).unwrap().unwrap();
        let vector = found.views[0].vector.clone().unwrap();
        let as_bits = |vector: &[f32]| vector.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(as_bits(&vector), as_bits(expected), "{id}");
    }
}

#[test]
fn top_ten_returning_fewer_because_the_filter_was_applied_after() {
    let (_folder, store, vectors) = filled(5_000);
    for metric in METRICS {
        let all = run(&store, &format!("find #r0 in c | score {metric} | top 5000"));
        // The condition keeps the very worst.
        let worst: Vec<&str> = all.hits()[all.hits().len() - 12..].iter().map(|hit| hit.id()).collect();
        let numbers = worst.iter().map(|id| id[1..].to_string()).collect::<Vec<_>>().join(", ");
        let answer = run(&store, &format!("find #r0 in c | score {metric} | where n in ({numbers}) | top 10"));
        let found: Vec<&str> = answer.hits().iter().map(|hit| hit.id()).collect();
        assert_eq!(found, worst[..10], "{metric}");
        assert_eq!(answer.plan.matched, 12);
    }
    assert_eq!(vectors.len(), 5_000);
}

#[test]
fn a_metric_fixed_when_the_collection_was_made() {
    let (_folder, store, vectors) = filled(400);
    let commit = store.snapshot().unwrap().commit();
    let mut rankings = Vec::new();
    for metric in METRICS {
        let answer = run(&store, &format!("find #r11 in c | score {metric} | top 399"));
        let sign = if metric == "euclidean" { -1.0 } else { 1.0 };
        let mut expected: Vec<(usize, f64)> =
            (0..400).filter(|&idx| idx != 11).map(|idx| (idx, value(metric, &vectors[11], &vectors[idx]))).collect();
        expected.sort_by(|a, b| (sign * b.1).total_cmp(&(sign * a.1)).then(a.0.cmp(&b.0)));
        for (hit, (_, value)) in answer.hits().iter().zip(&expected) {
            assert!((hit.value() - value).abs() < 1e-12, "{metric}");
        }
        assert_eq!(answer.hits().len(), 399);
        rankings.push(answer.hits().iter().map(|hit| hit.id().to_string()).collect::<Vec<_>>());
    }
    assert!(rankings[0] != rankings[1] && rankings[1] != rankings[3], "the metrics rank these differently");
    // Nothing was written, rebuilt or imported for it.
    assert_eq!(store.snapshot().unwrap().commit(), commit);
}
