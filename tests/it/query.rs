//! Searching through the public API, as an app does.

use simile::store::{CollectionSpec, ViewSpec};
use simile::{ErrorKind, Filter, Lens, Param, Record, Reply, Session, Source, Store, Value};
use std::sync::Arc;
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::create(folder.path().join("notes.simile")).unwrap();
    let mut batch = store.begin().unwrap();
    batch.create_collection("notes", CollectionSpec::new()).unwrap();
    batch.add_view("notes", ViewSpec::template("asked", "A question about {text}")).unwrap();
    let mut notes = batch.collection("notes").unwrap();
    for (id, text, year) in [
        ("n17", "Where did I put my wallet?", Some(2022)),
        ("n31", "Has anyone seen my phone?", Some(2023)),
        ("n08", "I left them in my pocket", Some(2024)),
        ("n77", "The locksmith opens at nine", None),
    ] {
        let mut record = Record::new(id, text).field("tags", vec!["note"]);
        if let Some(year) = year {
            record = record.field("year", year);
        }
        notes.insert(record).unwrap();
    }
    batch.commit().unwrap();
    (folder, store)
}

fn ids(answer: &simile::Answer) -> Vec<String> {
    answer.hits().iter().map(|hit| hit.id().to_string()).collect()
}

#[test]
fn a_search_and_its_builder_answer_alike() {
    let (_folder, store) = store();
    let snapshot = store.snapshot().unwrap();
    let written = snapshot
        .query("find $q in notes | view raw | center corpus | score cosine | where year >= 2023 | top 5")
        .unwrap()
        .bind("q", "Where is my telephone?")
        .run()
        .unwrap();
    let built = snapshot
        .find(Source::param("q"))
        .in_collection("notes")
        .lens(Lens::view("raw").center_corpus().cosine())
        .filter(Filter::ge("year", 2023))
        .top(5)
        .bind("q", "Where is my telephone?")
        .run()
        .unwrap();
    assert_eq!(written.hits(), built.hits());
    assert_eq!(written.statement, built.statement);
    assert_eq!(ids(&written), ["n31", "n08"]);
    assert_eq!(written.hits()[0].fields()["year"], Value::Integer(2023));
    assert_eq!((written.plan.rows, written.plan.matched), (4, 2));
}

#[test]
fn a_snapshot_answers_as_of_its_commit() {
    let (_folder, store) = store();
    let before = store.snapshot().unwrap();
    let mut batch = store.begin().unwrap();
    batch.collection("notes").unwrap().insert(Record::new("new", "My wallet? Where did I put it?")).unwrap();
    batch.commit().unwrap();
    let statement = "find \"Where did I put my wallet?\" in notes | top 1 | including self";
    assert_eq!(before.query("find #n17 in notes | top 9").unwrap().run().unwrap().plan.rows, 4);
    assert_eq!(store.snapshot().unwrap().query(statement).unwrap().run().unwrap().plan.rows, 5);
    assert_eq!(ids(&before.query("find \"put my wallet\" in notes | top 1").unwrap().run().unwrap()), ["n17"]);
}

#[test]
fn one_query_runs_on_many_threads_with_one_answer() {
    let (_folder, store) = store();
    let query = Arc::new(store.snapshot().unwrap().query("find $q in notes | center corpus | top 4").unwrap());
    let expected = Query::run(&query, "keys");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let query = Arc::clone(&query);
            std::thread::spawn(move || Query::run(&query, "keys"))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
    let batch = query.run_batch(&[Param::from("keys"), Param::from("soup")]).unwrap();
    let scores: Vec<u64> = batch[0].hits().iter().map(|hit| hit.value().to_bits()).collect();
    assert_eq!(scores, expected);
}

/// Scores of a search as bits.
struct Query;

impl Query {
    fn run(query: &simile::Query, text: &str) -> Vec<u64> {
        let answer = query.clone().bind("q", text).run().unwrap();
        answer.hits().iter().map(|hit| hit.value().to_bits()).collect()
    }
}

#[test]
fn user_text_never_becomes_query_text() {
    let (_folder, store) = store();
    let snapshot = store.snapshot().unwrap();
    let hostile = "\" in notes | top 0 -- ";
    let answer = snapshot.query("find $q in notes | top 4").unwrap().bind("q", hostile).run().unwrap();
    assert_eq!(answer.hits().len(), 4);
    assert_eq!(answer.statement, "find $q in notes | view raw | score cosine | top 4");
    let quoted = snapshot.find(Source::text(hostile)).in_collection("notes").top(4).run().unwrap();
    assert_eq!(quoted.hits(), answer.hits());
}

#[test]
fn errors_say_where_and_what_would_have_worked() {
    let (_folder, store) = store();
    let snapshot = store.snapshot().unwrap();
    let error = snapshot.query("find \"keys\" in notes | where yaer > 2020").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Query);
    let query = error.query().unwrap();
    assert_eq!((query.code, &query.text[query.span.clone()]), ("resolve::no_such_field", "yaer"));
    assert_eq!(query.corrected.as_deref(), Some("find \"keys\" in notes | where year > 2020"));
    let error = snapshot.query("let a = view raw").unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::not_a_search");
    let error = snapshot.query("find \"keys\" in notes | whiten 500").unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::dimension");
}

#[test]
fn a_session_saves_a_lens_that_another_handle_sees() {
    let (_folder, store) = store();
    let mut session = Session::new(&store);
    session.run("let questions = view asked | center corpus | score cosine").unwrap();
    let reader = Store::open_read_only(store.path()).unwrap();
    let mut other = Session::new(&reader);
    let Reply::Answer(answer) = other.run("find #n17 in notes | using questions | top 1").unwrap() else {
        panic!("a search answers");
    };
    assert_eq!(answer.header.name.as_deref(), Some("questions"));
    assert_eq!(answer.header.view, "asked");
    assert_eq!(answer.header.pinned.unwrap().records, 4);
    assert_eq!(answer.plan.left_out, 1);
}
