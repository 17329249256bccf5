//! Seeded random operations on a store, held against a plain map after every commit.

use crate::store::{Counting, bits, options, place};
use simile::Record;
use simile::store::{Outcome, Store, ViewSpec};
use simile::types::Value;
use std::collections::BTreeMap;

/// A small generator (xorshift64*), so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    text: String,
    year: Option<i64>,
    raw: Option<Vec<f32>>,
    supplied: Option<Vec<f32>>,
}

type Model = BTreeMap<String, Expected>;

fn check(store: &Store, model: &Model, context: &str) {
    let snapshot = store.snapshot().unwrap();
    let collection = snapshot.collection("c").unwrap();
    assert_eq!(collection.live().len(), model.len() as u64, "{context}");
    let years = collection.column("year").unwrap();
    for (id, expected) in model {
        let found = snapshot.get("c", id).unwrap().unwrap_or_else(|| panic!("{context}: {id} is missing"));
        assert_eq!(found.text, expected.text, "{context}: {id}");
        assert_eq!(found.fields.get("year"), expected.year.map(Value::Integer).as_ref(), "{context}: {id}");
        let year = expected.year.map(simile::store::ValueRef::Integer);
        let same = years.as_ref().map(|years| years.with(found.row.0, |found| found == year).unwrap());
        assert!(same.unwrap_or(year.is_none()), "{context}: {id}");
        let vectors = [&expected.raw, &expected.supplied];
        for (view, vector) in found.views.iter().zip(vectors) {
            let (found, expected) = (view.vector.as_deref().map(bits), vector.as_deref().map(bits));
            assert_eq!(found, expected, "{context}: {id} in {}", view.name);
        }
    }
    let report = store.check().unwrap();
    assert!(report.is_ok(), "{context}: {:?}", report.findings);
    assert_eq!(report.records, model.len() as u64);
}

fn step(random: &mut Random, batch: &mut simile::store::Batch, model: &mut Model) {
    let id = format!("r{}", random.below(40));
    let no_embed = random.below(4) == 0;
    let text = format!("text {}", random.below(6));
    let year = (random.below(3) > 0).then(|| random.below(5) as i64);
    let supplied = (random.below(2) == 0).then(|| vec![random.below(9) as f32, -0.0, 1.0e-40]);
    let mut record = Record::new(&id, &text);
    if let Some(year) = year {
        record = record.field("year", year);
    }
    if let Some(vector) = &supplied {
        record = record.vector("v", vector.clone());
    }
    let mut c = batch.collection("c").unwrap().no_embed(no_embed);
    match random.below(10) {
        0..6 => {
            let outcome = c.upsert(record).unwrap();
            let old = model.get(&id).cloned();
            let Some(old) = old else {
                assert_eq!(outcome, Outcome::Inserted);
                let raw = (!no_embed).then(|| Counting::of(&text));
                model.insert(id, Expected { text, year, raw, supplied });
                return;
            };
            let same_text = old.text == text;
            let same = same_text && old.year == year && (supplied.is_none() || supplied == old.supplied);
            assert_eq!(outcome, if same { Outcome::Unchanged } else { Outcome::Updated });
            if !same {
                let kept_raw = old.raw.filter(|_| same_text);
                let raw = kept_raw.or_else(|| (!no_embed).then(|| Counting::of(&text)));
                let supplied = supplied.or(old.supplied.filter(|_| same_text));
                model.insert(id, Expected { text, year, raw, supplied });
            }
        }
        6..8 => {
            assert_eq!(c.remove(&id).unwrap(), model.remove(&id).is_some());
        }
        8 => {
            let vector = supplied.unwrap_or_else(|| vec![3.0, 2.0, 1.0]);
            if let Some(expected) = model.get_mut(&id) {
                c.replace_vector(&id, "v", vector.clone()).unwrap();
                expected.supplied = Some(vector);
            }
        }
        _ => {
            let missing = model.values().filter(|expected| expected.raw.is_none()).count() as u64;
            assert_eq!(batch.embed("c", Some("raw")).unwrap(), missing);
            for expected in model.values_mut() {
                expected.raw = Some(Counting::of(&expected.text));
            }
        }
    }
}

fn run(seed: u64) {
    let (_dir, path) = place();
    let mut store = options().create(&path).unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("c").unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    batch.commit().unwrap();
    let mut random = Random(seed);
    let mut model = Model::new();
    for commit in 0..25 {
        let mut next = model.clone();
        let mut batch = store.begin().unwrap();
        for _ in 0..random.below(25) {
            step(&mut random, &mut batch, &mut next);
        }
        if random.below(5) == 0 {
            drop(batch);
        } else {
            batch.commit().unwrap();
            model = next;
        }
        if random.below(6) == 0 {
            drop(store);
            store = options().open(&path).unwrap();
        }
        check(&store, &model, &format!("seed {seed}, commit {commit}"));
    }
}

#[test]
fn random_operations_agree_with_a_map() {
    for seed in 1..=12 {
        run(seed);
    }
}
