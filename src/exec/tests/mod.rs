//! Searches on real, small stores: answers against the oracle, counts, errors, statements.

mod answers;
mod background;
mod errors;
mod forms;
mod growth;
mod lenses;
mod materialized;
mod statements;

use super::{Answer, Params, Query};
use crate::error::{QueryError, Result};
use crate::lens::{ResolvedStep, VectorMetric, oracle};
use crate::store::{CollectionSpec, Snapshot, Store, ViewSpec};
use crate::types::{ProjectionDef, Record};
use tempfile::TempDir;

/// A store in a folder of its own.
pub(super) struct Fixture {
    pub(super) store: Store,
    _folder: TempDir,
}

impl Fixture {
    pub(super) fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::create(folder.path().join("test.simile")).unwrap();
        Fixture { store, _folder: folder }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.store.snapshot().unwrap()
    }

    pub(super) fn run(&self, statement: &str) -> Answer {
        self.query(statement).run().unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    pub(super) fn query(&self, statement: &str) -> Query {
        self.snapshot().query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The query error that a statement ends in.
    pub(super) fn error(&self, statement: &str) -> QueryError {
        let answer: Result<Answer> = self.snapshot().query(statement).and_then(|query| query.run());
        match answer {
            Ok(_) => panic!("{statement} was answered"),
            Err(error) => error.query().unwrap_or_else(|| panic!("{statement}: {error}")).clone(),
        }
    }
}

/// Numbers that look random and are the same everywhere.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1 << 24) as f32) * 2.0 - 1.0
    }

    pub(super) fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.next()).collect()
    }
}

pub(super) const DIMENSION: usize = 8;

/// 40 records of supplied vectors in `words`, awkward ones among them, and fields to filter by: `w0` is zero, `w1`
/// constant, `w2` and `w3` equal, `w4` is four times `w5`, `w6` has no vector in view `other`.
pub(super) fn words() -> (Fixture, Vec<Vec<f32>>) {
    let fixture = Fixture::empty();
    let mut numbers = Numbers(7);
    let mut vectors: Vec<Vec<f32>> = (0..40).map(|_| numbers.vector(DIMENSION)).collect();
    vectors[0] = vec![0.0; DIMENSION];
    vectors[1] = vec![0.5; DIMENSION];
    vectors[3] = vectors[2].clone();
    vectors[4] = vectors[5].iter().map(|v| v * 4.0).collect();
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("words", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("words", ViewSpec::vectors_only("other")).unwrap();
    let mut words = batch.collection("words").unwrap();
    for (idx, vector) in vectors.iter().enumerate() {
        let mut record = Record::new(format!("w{idx}"), format!("word number {idx}"))
            .vector("raw", vector.clone())
            .field("number", idx as i64)
            .field("tags", vec![if idx % 2 == 0 { "even" } else { "odd" }, "word"]);
        if idx % 3 == 0 {
            record = record.field("kind", "third");
        }
        if idx != 6 {
            record = record.vector("other", vector[..4].to_vec());
        }
        words.insert(record).unwrap();
    }
    batch.put_projection(projection("topic", 3, DIMENSION, &mut numbers)).unwrap();
    batch.put_projection(projection("asks", 5, DIMENSION, &mut numbers)).unwrap();
    batch.put_projection(projection("answers", 5, DIMENSION, &mut numbers)).unwrap();
    let pair =
        ProjectionDef { record: Some(numbers.vector(2 * DIMENSION)), ..projection("both", 2, DIMENSION, &mut numbers) };
    batch.put_projection(pair).unwrap();
    batch.commit().unwrap();
    (fixture, vectors)
}

pub(super) fn projection(name: &str, rows: usize, columns: usize, numbers: &mut Numbers) -> ProjectionDef {
    ProjectionDef {
        name: name.to_string(),
        rows: rows as u32,
        columns: columns as u32,
        query: numbers.vector(rows * columns),
        record: None,
        origin: "test".to_string(),
        fitted_on: None,
    }
}

/// Texts embedded with the bundled model, through a template and with rewritten texts.
pub(super) fn notes() -> Fixture {
    let fixture = Fixture::empty();
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("notes", CollectionSpec::new()).unwrap();
    batch.add_view("notes", ViewSpec::template("asked", "Where is {text}?")).unwrap();
    batch.add_view("notes", ViewSpec::text_from("rewritten", "short")).unwrap();
    let mut notes = batch.collection("notes").unwrap();
    let texts = [
        ("n1", "I left them in my pocket", Some("keys are in the pocket")),
        ("n2", "The locksmith opens at nine", Some("locksmith hours")),
        ("n3", "Where did I put my wallet?", None),
        ("n4", "A recipe for lentil soup", Some("soup")),
    ];
    for (id, text, rewritten) in texts {
        let mut record = Record::new(id, text).field("length", text.len() as i64);
        if let Some(rewritten) = rewritten {
            record = record.view_text("rewritten", rewritten);
        }
        notes.insert(record).unwrap();
    }
    batch.commit().unwrap();
    fixture
}

/// What the oracle says about rows `allowed`, best first: (row, value).
pub(super) fn oracle_ranking(
    steps: &[ResolvedStep],
    metric: VectorMetric,
    vectors: &[Vec<f32>],
    query: &[f64],
    allowed: impl Fn(usize) -> bool,
) -> Vec<(u32, f64)> {
    let records: Vec<_> = vectors.iter().map(|v| Some(v.iter().map(|&x| f64::from(x)).collect())).collect();
    let verdict = oracle::evaluate(steps, metric, &records, query, &[]);
    let mut ranking: Vec<(u32, f64)> = (0u32..)
        .zip(verdict.values)
        .filter(|(row, _)| allowed(*row as usize))
        .filter_map(|(row, value)| Some((row, value?)))
        .collect();
    let sign = if metric.is_distance() { 1.0 } else { -1.0 };
    ranking.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)).then(a.0.cmp(&b.0)));
    ranking
}

pub(super) fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits().iter().map(|hit| hit.id()).collect()
}

pub(super) fn no_params() -> Params {
    Params::new()
}
