//! What commands cost in stores of many collections, lenses, projections and labels, by counted operations.
//!
//! A command that looks at everything may grow with what there is, and not faster; one that is about a single
//! collection does not grow with the others at all.

use crate::storage::counted::{Counts, so_far};
use crate::storage::{MemoryStorage, Storage};
use crate::store::{CollectionSpec, NewLabels, Options, Question, Store};
use crate::types::{CollectionId, Control, ProjectionDef, Record, SampleDef, SampleVectors};
use crate::{Reply, Session};
use std::sync::Arc;

/// A store of so many collections of one record each, and lenses that pin something in all of them.
struct Shape {
    collections: u32,
    lenses: u32,
}

fn store_of(shape: &Shape) -> (Arc<dyn Storage>, Store) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_storage(&storage, Options::new()).unwrap();
    let mut batch = store.begin().unwrap();
    for n in 0..shape.collections {
        let spec = CollectionSpec::new().supplied_vectors();
        let mut c = batch.create_collection(&format!("c{n}"), spec).unwrap();
        c.insert(Record::new("a", "text").field("n", 1_i64).vector("raw", vec![1.0, 2.0, n as f32])).unwrap();
        c.insert(Record::new("b", "text").field("n", 2_i64).vector("raw", vec![2.0, 1.0, 0.5])).unwrap();
    }
    batch.commit().unwrap();
    let mut batch = store.begin().unwrap();
    for n in 0..shape.collections {
        let mut sample = SampleDef::new(format!("s{n}"), CollectionId(1 + n));
        sample.ids = vec!["q".to_string()];
        sample.texts = vec!["a question".to_string()];
        sample.vectors = Some(SampleVectors { view: "raw".to_string(), dimension: 3, data: vec![1.0, 0.0, 0.0] });
        batch.put_sample(sample).unwrap();
        batch
            .put_projection(ProjectionDef {
                name: format!("p{n}"),
                rows: 2,
                columns: 3,
                query: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                record: None,
                origin: "a test".to_string(),
                fitted_on: None,
            })
            .unwrap();
        let mut labels = NewLabels::from_source("a test");
        let question = labels.question(Question::text("a question"));
        labels.say(question, "a", 1);
        batch.put_labels(&format!("c{n}"), "topic", &labels).unwrap();
    }
    batch.commit().unwrap();
    for n in 0..shape.lenses {
        Session::new(&store).run(&format!("let l{n} = center corpus | score cosine")).unwrap();
    }
    (storage, store)
}

/// What a process does that opens the store.
type Command = fn(&Arc<dyn Storage>);

/// What `command` costs a process that has just opened the store.
fn cost(shape: &Shape, command: Command) -> Counts {
    let (storage, store) = store_of(shape);
    drop(store);
    let before = so_far();
    command(&storage);
    so_far().since(before)
}

fn open(storage: &Arc<dyn Storage>) -> Store {
    Store::open_storage(Arc::clone(storage), Options::new()).unwrap()
}

fn run(storage: &Arc<dyn Storage>, statement: &str) -> Reply {
    Session::new(&open(storage)).run(statement).unwrap()
}

/// Commands that look at all collections, all lenses, or both.
const COMMANDS: [(&str, Command); 11] = [
    ("let", |storage| drop(run(storage, "let another = center corpus | score cosine"))),
    ("let again", |storage| drop(run(storage, "let l0 = center corpus | score dot"))),
    ("show lenses", |storage| drop(run(storage, "show lenses"))),
    ("show projections", |storage| drop(run(storage, "show projections"))),
    ("info", |storage| drop(open(storage).info().unwrap())),
    ("check", |storage| {
        let report = open(storage).check().unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
    }),
    ("analyze", |storage| {
        let store = open(storage);
        let mut batch = store.begin().unwrap();
        batch.collection("c0").unwrap().insert(Record::new("c", "").vector("raw", vec![3.0, 1.0, 0.0])).unwrap();
        batch.commit().unwrap();
        assert!(store.analyze(None, &Control::new()).unwrap().commit.is_some());
    }),
    ("compact", |storage| {
        let store = open(storage);
        let mut batch = store.begin().unwrap();
        batch.collection("c0").unwrap().remove("a").unwrap();
        batch.commit().unwrap();
        assert_eq!(store.compact().unwrap().rows_removed, 1);
    }),
    ("backup", |storage| {
        let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        open(storage).backup_storage(&to).unwrap();
    }),
    ("salvage", |storage| {
        let to: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        assert!(Store::salvage_storage(storage, &to, Options::new(), &Control::new()).unwrap().is_complete());
    }),
    ("snapshot", |storage| drop(open(storage).snapshot().unwrap())),
];

/// Twice the step is at most twice the cost, and a little.
fn assert_linear(what: &str, costs: [Counts; 3]) {
    for (unit, count) in
        [("operations", Counts::operations as fn(Counts) -> u64), ("bytes", |counts: Counts| counts.bytes)]
    {
        let [small, middle, large] = costs.map(count);
        let (first, second) = (middle.saturating_sub(small), large.saturating_sub(middle));
        assert!(second <= 2 * first + first / 4 + 64, "{what}: {small}, {middle}, {large} {unit}");
    }
}

#[test]
fn commands_grow_with_collections_and_not_faster() {
    for (what, command) in COMMANDS {
        let costs = [20, 40, 80].map(|collections| cost(&Shape { collections, lenses: 3 }, command));
        assert_linear(&format!("{what} over 20, 40, 80 collections"), costs);
    }
}

#[test]
fn commands_grow_with_lenses_and_not_faster() {
    for (what, command) in COMMANDS {
        let costs = [10, 20, 40].map(|lenses| cost(&Shape { collections: 8, lenses }, command));
        assert_linear(&format!("{what} over 10, 20, 40 lenses"), costs);
    }
}

#[test]
fn an_import_into_one_collection_costs_the_same_beside_any_number_of_others() {
    let import: Command = |storage| {
        let store = open(storage);
        let mut batch = store.begin().unwrap();
        batch.collection("c7").unwrap().insert(Record::new("c", "").vector("raw", vec![3.0, 1.0, 0.0])).unwrap();
        batch.commit().unwrap();
    };
    let [few, many] = [100, 400].map(|collections| cost(&Shape { collections, lenses: 0 }, import));
    assert!(many.operations() <= few.operations() + 10, "{few:?}, {many:?}");
    assert!(many.bytes <= few.bytes + 4_096, "{few:?}, {many:?}");
}
