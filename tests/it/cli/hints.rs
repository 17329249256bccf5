//! What `learn` advises where it could not measure what was asked for: each hint follows from what the labels lack.

use super::{Place, npy};
use serde_json::Value as Json;
use std::fmt::Write;

const RECORDS: usize = 130;
const DIMENSION: usize = 12;

/// Numbers between -1 and 1 that depend on `at` and nothing else.
fn row(at: usize) -> Vec<f32> {
    let mut state = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..DIMENSION).map(|_| next()).collect()
}

fn rows(of: impl Iterator<Item = usize>) -> Vec<u8> {
    let rows: Vec<Vec<f32>> = of.map(row).collect();
    npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A store of records, and as many questions: those of one `says` say the same.
fn place(says: &dyn Fn(usize) -> usize) -> Place {
    let place = Place::with_store();
    let (mut corpus, mut queries) = (String::new(), String::new());
    for at in 0..RECORDS {
        writeln!(corpus, r#"{{"id": "r{at}", "text": "record {at}", "kind": "k{}"}}"#, at % 3).unwrap();
        writeln!(queries, r#"{{"_id": "q{at}", "text": "question {at}"}}"#).unwrap();
    }
    place.write("corpus.jsonl", corpus);
    place.write("corpus.npy", rows(0..RECORDS));
    place.write("queries.jsonl", queries);
    place.write("queries.npy", rows((0..RECORDS).map(|at| 1_000 + says(at))));
    place.run(["import", "s", "things", "corpus.jsonl", "--vectors", "corpus.npy"]).exits(0);
    place
}

/// What is advised where question `at` is answered by `answers(at)`.
fn advised(place: &Place, accept: &str, answers: &dyn Fn(usize) -> Vec<usize>) -> String {
    let lines = (0..RECORDS).flat_map(|at| answers(at).into_iter().map(move |answer| format!("q{at}\tr{answer}\t1\n")));
    place.write("qrels.tsv", format!("query-id\tcorpus-id\tscore\n{}", lines.collect::<String>()));
    let arguments = ["--json", "learn", "s", accept, "--in", "things", "--accept", accept, "--method", "ridge"];
    let labels = ["--queries", "queries.jsonl", "--query-vectors", "queries.npy", "--qrels", "qrels.tsv"];
    hint(place.run(arguments.into_iter().chain(labels)).exits(0).json())
}

fn hint(report: Json) -> String {
    assert_eq!(report["promoted"], false, "{report}");
    report["advice"].to_string()
}

#[test]
fn what_is_advised_follows_from_what_labels_lack() {
    let different = place(&|at| at);
    // Thirteen questions for each of ten records, all of which hang together: some have two answers.
    let one_group = |at: usize| if at < 10 { vec![at, (at + 1) % 10] } else { vec![at % 10] };
    let said = advised(&different, "new-records", &one_group);
    assert!(
        said.contains("the 130 questions hang together by shared records and near-duplicates in 1 group"),
        "{said}"
    );
    assert!(!said.contains("several questions for each record"), "there are thirteen: {said}");
    // Of known records there is nothing to measure where each has one question.
    let said = advised(&different, "known-records", &|at| vec![at]);
    assert!(said.contains("0 questions could be held out that share their record"), "{said}");
    assert!(said.contains("label several questions for each record"), "{said}");
    let said = advised(&different, "new-classes", &|at| vec![at]);
    assert!(said.contains("no label is of a class"), "{said}");
    let said = advised(&different, "new-classes", &|at| vec![at % 3]);
    assert!(said.contains("3 classes could be held out, 4 are needed"), "{said}");
}

#[test]
fn questions_that_say_the_same_are_told_from_records_with_one_question() {
    // Thirteen questions for each record once more, which are thirteen times the same.
    let same = place(&|at| at % 10);
    let said = advised(&same, "known-records", &|at| vec![at % 10]);
    assert!(said.contains("near-duplicates of themselves: 0 say something else"), "{said}");
    assert!(!said.contains("several questions for each record"), "{said}");
    let arguments = ["--json", "learn", "s", "kinds", "--in", "things", "--same-field", "kind"];
    let said = hint(same.run(arguments.into_iter().chain(["--accept", "new-classes"])).exits(0).json());
    assert!(said.contains("3 classes could be held out, 4 are needed"), "{said}");
}
