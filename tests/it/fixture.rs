//! A store of format 1 as it was written once, with what it must answer for ever.
//!
//! `tests/fixtures/v1/` holds the store's files, each compressed, and `answers.jsonl`. The generator below says what is
//! in the store; it is run by hand when a new format begins, never to make a failing test pass.

use crate::store::place;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};
use simile::store::{CollectionSpec, LearnedLens, NewLabels, Question, Snapshot, Store, ViewSpec};
use simile::types::{
    Accept, BackgroundDef, Calibration, CalibrationMap, CollectionId, CommitNumber, ElementType, FittedOn, JudgedOn,
    LearnMethod, LearnMode, LearnedDef, LensDef, Lift, Metric, PinnedStatistic, ProjectionDef, ProjectionRef,
    Reliability, SampleDef, SampleVectors, Statistic, Step, Value,
};
use simile::{Param, Record, Session};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FOLDER: &str = "tests/fixtures/v1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)
}

/// Paths of all files below `folder`, relative to it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => open.push(entry),
                false => found.push(entry.strip_prefix(folder).unwrap().to_path_buf()),
            }
        }
    }
    found.sort();
    found
}

fn unpack(to: &Path) {
    let from = folder().join("store");
    for file in files(&from) {
        let target = to.join(file.with_extension(""));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(std::fs::File::open(from.join(&file)).unwrap()).read_to_end(&mut bytes).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
}

/// What the store is asked.
const QUERIES: &[&str] = &[
    "find \"Where did I put my keys?\" in notes | top 4",
    "find #n1 in notes | view topic | score cosine | top 4",
    "find $q in notes | view given | score euclidean | top 3",
    "find $q in notes | view given | where year > 2020 and not (tags has \"home\") | top 3",
    "find $q in notes | view half | normalize | score dot | top 4",
    "find $q in notes | using centered | top 3",
    "find $q in notes | using standard | top 3",
    "find $q in notes | using white | top 3",
    "find $q in notes | using asked | top 3",
    "find $q in notes | using sides | top 3",
    "find $q in notes | using near | top 3",
    "find $q in notes | using likely | score probability | top 3",
    "find $q in notes | using stepped | score probability | top 3",
    "find $q in notes | using answering | top 3",
    "find $q in notes | using answering@candidate | top 3",
    "find #m7 in many | using narrow | top 5",
    "find #m7 in many | using narrow16 | where n >= 2000 | top 5",
    "find #m4099 in many | view raw | score pearson | top 3",
];

fn asked(snapshot: &Snapshot, statement: &str) -> Json {
    let query = snapshot.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    let query = if statement.contains("$q") { query.bind("q", Param::Vector(GIVEN.to_vec())) } else { query };
    let answer = query.run().unwrap_or_else(|error| panic!("{statement}: {error}"));
    let hits: Vec<Json> = answer.hits().iter().map(|hit| json!([hit.id(), hit.value()])).collect();
    json!({ "query": statement, "canonical": answer.statement, "hits": hits })
}

/// Everything of a record.
fn record(snapshot: &Snapshot, collection: &str, id: &str) -> Json {
    let Some(found) = snapshot.get(collection, id).unwrap() else {
        return json!({ "get": [collection, id], "none": true });
    };
    let vector = |vector: &[f32]| -> Vec<u32> { vector.iter().map(|value| value.to_bits()).collect() };
    let views: Vec<Json> =
        found.views.iter().map(|view| json!([view.name, view.text, view.vector.as_deref().map(vector)])).collect();
    let fields = format!("{:?}", found.fields);
    json!({ "get": [collection, id], "text": found.text, "key": found.key.0, "fields": fields, "views": views })
}

fn answers(snapshot: &Snapshot) -> Vec<Json> {
    let mut answers: Vec<Json> = QUERIES.iter().map(|statement| asked(snapshot, statement)).collect();
    for id in ["n1", "n2", "n3", "n4", "n5", "gone", "ümläut id"] {
        answers.push(record(snapshot, "notes", id));
    }
    for id in ["m0", "m3", "m4095", "m4096", "m4199"] {
        answers.push(record(snapshot, "many", id));
    }
    answers.extend(other_things(snapshot));
    answers
}

/// Definitions that no query shows.
fn other_things(snapshot: &Snapshot) -> Vec<Json> {
    let calibration = snapshot.calibration("likely").unwrap().unwrap();
    let stepped = snapshot.calibration("stepped").unwrap().unwrap();
    let collection = snapshot.collection("notes").unwrap().def().id;
    let background = snapshot.background("centered", collection).unwrap();
    let lenses: Vec<String> =
        snapshot.lenses().unwrap().iter().map(|lens| format!("{} {}", lens.name, lens.version)).collect();
    vec![
        json!({ "thing": "collections", "is": format!("{:?}", snapshot.collections()) }),
        json!({ "thing": "projections", "is": format!("{:?}", snapshot.projections().unwrap()) }),
        json!({ "thing": "samples", "is": format!("{:?}", snapshot.samples().unwrap()) }),
        json!({ "thing": "lenses", "is": lenses }),
        json!({ "thing": "respects", "is": format!("{:?}", snapshot.respects("notes").unwrap()) }),
        json!({ "thing": "labels", "is": format!("{:?}", snapshot.labels("notes", "answers").unwrap()) }),
        json!({ "thing": "classes", "is": format!("{:?}", snapshot.labels("notes", "of the same year").unwrap().classes) }),
        json!({ "thing": "calibration", "is": format!("{calibration:?}") }),
        json!({ "thing": "calibration from judgements", "is": format!("{stepped:?}") }),
        json!({ "thing": "learned", "is": format!("{:?}", snapshot.all_learned().unwrap()) }),
        json!({ "thing": "background", "is": format!("{:?}", background.map(|found| (found.pairs, found.quantiles[700]))) }),
    ]
}

/// The same but for rounding: where the text is embedded, a machine may sum in another order.
fn agree(found: &Json, expected: &Json) -> bool {
    match (found, expected) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-5 * b.abs().max(1.0)
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| agree(a, b)))
        }
        (a, b) => a == b,
    }
}

fn expected() -> Vec<Json> {
    let text = std::fs::read_to_string(folder().join("answers.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn answers_as_ever(store: &Store) {
    let (found, expected) = (answers(&store.snapshot().unwrap()), expected());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!(agree(found, expected), "found    {found}\nexpected {expected}");
    }
}

#[test]
fn a_store_of_format_1_answers_as_ever() {
    let (_dir, path) = place();
    unpack(&path);
    let store = Store::open_read_only(&path).unwrap();
    answers_as_ever(&store);
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    assert_eq!(store.info().unwrap().format, 1);
}

#[test]
fn a_store_of_format_1_is_written_on() {
    let (dir, path) = place();
    unpack(&path);
    let store = Store::open(&path).unwrap();
    let before = store.snapshot().unwrap();
    let mut batch = store.begin().unwrap();
    let new = Record::new("new", "A new note").field("year", 2026).vector("given", vec![9.0, -9.0, 9.0]);
    batch.collection("notes").unwrap().insert(new).unwrap();
    batch.collection("many").unwrap().remove("m9").unwrap();
    let commit = batch.commit().unwrap();
    assert!(commit > before.commit());
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    drop(before);
    store.compact().unwrap();
    assert!(store.check().unwrap().is_ok());
    let found = store.snapshot().unwrap().get("notes", "new").unwrap().unwrap();
    assert_eq!(found.fields["year"], Value::Integer(2026));
    store.backup(dir.path().join("copy.simile")).unwrap();
    let copy = Store::open_read_only(dir.path().join("copy.simile")).unwrap();
    assert!(copy.check().unwrap().is_ok());
}

const GIVEN: [f32; 3] = [1.0, -2.0, 0.5];

/// The view `given` and its half-sized twin take these.
fn given(number: u32) -> Vec<f32> {
    vec![number as f32 * 0.75 - 1.0, (number * number % 7) as f32, 1.0 / (number + 1) as f32]
}

fn matrix(name: &str, rows: u32, columns: u32, of: fn(u32) -> f32, pair: bool) -> ProjectionDef {
    let numbers: Vec<f32> = (0..rows * columns).map(of).collect();
    ProjectionDef {
        name: name.to_string(),
        rows,
        columns,
        record: pair.then(|| numbers.iter().rev().copied().collect()),
        query: numbers,
        origin: "a fixture".to_string(),
        fitted_on: None,
    }
}

/// Two collections: one with everything in small, one with enough rows for a full chunk of columns.
fn fill(store: &Store) {
    let mut batch = store.begin().unwrap();
    batch.collection("notes").unwrap();
    batch.add_view("notes", ViewSpec::template("topic", "The topic of {text}")).unwrap();
    batch.add_view("notes", ViewSpec::text_from("short", "summary")).unwrap();
    batch.add_view("notes", ViewSpec::vectors_only("given")).unwrap();
    batch.add_view("notes", ViewSpec::vectors_only("half").element(ElementType::F16)).unwrap();
    let texts = ["Where are my keys?", "They are in my pocket.", "Has anyone seen my phone?", "The cat is asleep.", ""];
    let tags = |n: u32| Value::TextList((0..n % 3).map(|tag| ["home", "lost"][tag as usize].to_string()).collect());
    for (number, text) in (1..).zip(texts) {
        let record = Record::new(format!("n{number}"), text)
            .field("year", 2018 + i64::from(number))
            .field("tags", tags(number))
            .field("weight", f64::from(number) / 3.0)
            .field("done", number % 2 == 0)
            .field("place", Value::Json(format!("{{\"room\":{number}}}")))
            .view_text("short", format!("short {number}"));
        let record =
            if number == 4 { record } else { record.vector("given", given(number)).vector("half", given(number)) };
        batch.collection("notes").unwrap().insert(record).unwrap();
    }
    batch.collection("notes").unwrap().insert(Record::new("gone", "soon gone").vector("given", given(8))).unwrap();
    batch.collection("notes").unwrap().insert(Record::new("ümläut id", "ümläut").field("year", 1.5)).unwrap();
    batch.create_collection("many", CollectionSpec::new().supplied_vectors()).unwrap();
    for number in 0..4_200_u32 {
        let vector = (0..8).map(|place| ((number * 7 + place * 5) % 17) as f32 - 8.0).collect();
        let record = Record::new(format!("m{number}"), "").field("n", i64::from(number)).vector("raw", vector);
        batch.collection("many").unwrap().insert(record).unwrap();
    }
    batch.put_projection(matrix("rot", 2, 3, |at| at as f32 - 2.5, false)).unwrap();
    batch.put_projection(matrix("pair", 2, 3, |at| at as f32 / 4.0 - 0.5, true)).unwrap();
    batch.put_projection(matrix("wide", 4, 8, |at| (at % 9) as f32 - 4.0, false)).unwrap();
    batch.commit().unwrap();
    let collection = store.snapshot().unwrap().collection("notes").unwrap().def().id;
    let mut batch = store.begin().unwrap();
    let vectors = SampleVectors { view: "given".to_string(), dimension: 3, data: [given(2), given(5)].concat() };
    batch
        .put_sample(SampleDef {
            ids: vec!["q1".to_string(), "q2".to_string()],
            texts: vec!["Where is it?".to_string(), "Who has it?".to_string()],
            vectors: Some(vectors),
            ..SampleDef::new("questions", collection)
        })
        .unwrap();
    batch.commit().unwrap();
}

fn lenses(store: &Store) {
    let mut session = Session::new(store);
    for statement in [
        "let centered = view given | center corpus | score cosine",
        "let standard = view given | standardize | project rot | score dot",
        "let white = view given | whiten 2 | score euclidean",
        "let asked = view given | project pair | score cosine",
        "let sides = view given | center sides from questions | score cosine",
        "let near = view given | score cosine csls 1 from questions",
        "let likely = view given | center | score dot",
        "let stepped = view given | score cosine",
        "let narrow = view raw | project wide | score cosine",
        "let narrow16 = view raw | normalize | project wide | score dot",
    ] {
        session.run(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let control = simile::types::Control::new;
    simile::materialize(store, "narrow", ElementType::F32, control()).unwrap();
    simile::materialize(store, "narrow16", ElementType::F16, control()).unwrap();
}

/// `SIMILE_FIXTURE=tests/fixtures/v1 cargo test --test it make_fixture -- --ignored`
#[test]
#[ignore = "makes the fixture of a format"]
fn make_fixture() {
    let to =
        PathBuf::from(std::env::var_os("SIMILE_FIXTURE").expect("SIMILE_FIXTURE names a folder that is not there"));
    assert!(!to.exists(), "a fixture is made once: {} is there", to.display());
    let (_dir, path) = place();
    let store = Store::create(&path).unwrap();
    fill(&store);
    lenses(&store);
    more(&store);
    // Rows that are dead, a row that was filled later, a compaction, and files that still wait for a reader.
    let mut batch = store.begin().unwrap();
    let mut notes = batch.collection("notes").unwrap();
    notes.remove("gone").unwrap();
    notes.upsert(Record::new("n5", "An empty note no more").field("year", 2030)).unwrap();
    notes.replace_vector("n4", "given", given(4)).unwrap();
    batch.collection("many").unwrap().remove("m4150").unwrap();
    batch.commit().unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    let before = reader.snapshot().unwrap();
    before.get("notes", "n1").unwrap();
    store.compact().unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("notes").unwrap().remove("n2").unwrap();
    batch
        .collection("notes")
        .unwrap()
        .insert(Record::new("n2", "They were in my pocket.").vector("given", given(2)))
        .unwrap();
    batch.commit().unwrap();
    assert!(store.check().unwrap().is_ok());
    let lines: String = answers(&store.snapshot().unwrap()).iter().map(|answer| format!("{answer}\n")).collect();
    drop(store);
    for file in files(&path).into_iter().filter(|file| !file.starts_with("leases") && *file != Path::new("LOCK")) {
        let name = format!("{}.gz", file.display());
        let target = to.join("store").join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut packed = GzEncoder::new(std::fs::File::create(target).unwrap(), Compression::best());
        packed.write_all(&std::fs::read(path.join(&file)).unwrap()).unwrap();
        packed.finish().unwrap();
    }
    std::fs::write(to.join("answers.jsonl"), lines).unwrap();
    drop(before);
}

/// A learned lens as a fit stores one.
fn learned(collection: CollectionId, number: u32, accepted: bool) -> LearnedLens {
    let vectors = SampleVectors { view: "given".to_string(), dimension: 3, data: given(number) };
    let sample = SampleDef {
        ids: vec!["q1".to_string()],
        texts: vec!["Where is it?".to_string()],
        vectors: Some(vectors),
        ..SampleDef::new("answering.queries", collection)
    };
    let fitted_on = FittedOn {
        collection: "notes".to_string(),
        view: "given".to_string(),
        embedder: None,
        template: None,
        how: "a fixture".to_string(),
    };
    let projection = matrix("answering", 2, 3, |at| at as f32 / 8.0, true);
    let lift = Lift { mean: 0.125, low: 0.0625, high: 0.1875, z: 3.5, plain: 0.5, queries: 40 };
    let def = LearnedDef {
        lens: "answering".to_string(),
        fit: 0,
        collection,
        fitted_on: fitted_on.clone(),
        respect: "answers".to_string(),
        mode: LearnMode::Pair,
        method: LearnMethod::InfoNce,
        seed: u64::from(number),
        labels: 50,
        queries: 25,
        records: 40,
        groups: 12,
        label_hash: 0x0123_4567,
        accept: Accept::NewRecords,
        known_records: Some(lift),
        new_records: accepted.then_some(lift),
        validation: Some((0.25, 0.5)),
        accepted,
        events: Vec::new(),
        time: 1_700_000_000,
        commit: CommitNumber(0),
    };
    let step = Step::Project(ProjectionRef::One("answering".to_string()));
    let steps = vec![Step::CenterSides("answering.queries".to_string()), step];
    let pinned = PinnedStatistic { collection, step_idx: 0, commit: CommitNumber(2), records: 5, revision: 1 };
    let sides = Statistic::Sides { queries: vec![0.5, 1.0, 0.25], records: vec![1.0, -0.5, 0.125] };
    LearnedLens {
        sample: Some(sample),
        projection: ProjectionDef { fitted_on: Some(fitted_on), ..projection },
        lens: LensDef { view: "given".to_string(), steps, metric: Metric::Cosine, csls: None },
        pinned: vec![(pinned, sides)],
        def,
    }
}

/// Lenses that were learned, calibrations, a background, labels.
fn more(store: &Store) {
    let collection = store.snapshot().unwrap().collection("notes").unwrap().def().id;
    let mut batch = store.begin().unwrap();
    batch.put_learned(learned(collection, 2, true)).unwrap();
    batch.put_learned(learned(collection, 5, false)).unwrap();
    batch.promote("answering").unwrap();
    let quantiles = (0..=1_000).map(|at| f64::from(at) / 500.0 - 1.0).collect();
    let statistics = CommitNumber(1);
    let background = BackgroundDef { lens_version: 1, revision: 1, statistics, pairs: 10, quantiles };
    batch.put_background("centered", collection, background).unwrap();
    let map = CalibrationMap::Isotonic { scores: vec![-0.5, 0.0, 0.75], probabilities: vec![0.0, 0.25, 0.75] };
    let judged_on = Some(JudgedOn { collection, revision: 1, k: 10, queries: 3, hash: 5, time: 1_700_000_000 });
    let (table, covariance) = (vec![(0.125, 0.0, 4), (0.75, 1.0, 2)], Some((0.25, -0.125, 0.5)));
    let reliability = Some(Reliability { ece: 0.03125, log_loss: 0.25, base_log_loss: 0.625, table, covariance });
    let (origin, commit) = ("judgements of a fixture".to_string(), CommitNumber(0));
    let fitted = Calibration { lens_version: 0, map, origin, labels: 6, judged_on, reliability, commit };
    batch.put_calibration("stepped", fitted).unwrap();
    let map = CalibrationMap::Logistic { scale: 0.5, bias: -0.25 };
    let (origin, commit) = ("a fixture".to_string(), CommitNumber(0));
    let calibration =
        Calibration { lens_version: 0, map, origin, labels: 3, judged_on: None, reliability: None, commit };
    batch.put_calibration("likely", calibration).unwrap();
    for (source, grade) in [("first.tsv", 1), ("terminal", 0), ("terminal", 2)] {
        let mut labels = NewLabels::from_source(source).at(1_700_000_000);
        let text = labels.question(Question::text("Where are my keys?").with_vector("given", given(2)));
        let same = labels.question(Question::record("n3"));
        labels.say(text, "n2", grade);
        labels.say(text, "gone", 1);
        labels.say(same, "n1", grade);
        batch.put_labels("notes", "answers", &labels).unwrap();
    }
    batch.put_class_respect("notes", "of the same year", "year").unwrap();
    batch.commit().unwrap();
}
