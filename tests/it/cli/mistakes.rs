//! What people get wrong, and what they are told.

use super::{Place, notes};
use std::process::Stdio;

#[test]
fn unknown_commands_and_flags_are_usage_errors() {
    let place = Place::new();
    let ran = place.run(["quarry", "s", "x"]).exits(2);
    assert!(ran.stderr.contains("query"), "did you mean: {}", ran.stderr);
    place.run(["import", "s"]).exits(2);
    place.run(Vec::<&str>::new()).exits(2);
    place.run(["--help"]).exits(0);
    place.run(["--version"]).exits(0);
    let error = place.run(["--json", "import", "s"]).exits(2).json_error();
    assert_eq!(error["kind"], "usage");
    let error = place.run(["quarry", "--json"]).exits(2).json_error();
    assert!(error["message"].as_str().unwrap().contains("quarry"), "{error}");
}

#[test]
fn every_command_has_a_help_page() {
    let place = Place::new();
    let help = place.run(["--help"]).exits(0).stdout;
    for command in [
        "new", "import", "view", "embed", "project", "query", "repl", "get", "remove", "info", "check", "export",
        "evaluate", "label",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} in {help}");
        place.run([command, "--help"]).exits(0);
    }
}

#[test]
fn stores_that_are_there_or_are_not() {
    let place = Place::with_store();
    let error = place.run(["new", "s", "--json"]).exits(2).json_error();
    assert_eq!(error["kind"], "exists");
    for command in [vec!["info", "no"], vec!["check", "no"], vec!["query", "no", "find 'x' in y"], vec!["repl", "no"]] {
        let ran = place.run(command).exits(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("no"), "{}", ran.stderr);
    }
    assert!(!place.path("no").exists());
    place.write("file", "not a store");
    place.run(["info", "file"]).exits(2);
    place.run(["import", "s", "notes", "missing.jsonl"]).exits(2);
    place.run(["import", "s", "notes", "s"]).exits(2);
}

#[test]
fn a_mistake_in_a_statement_is_underlined_and_repaired() {
    let place = notes();
    let ran = place.run(["query", "s", "find \"keys\" in notes | scor cosine"]).exits(2);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines[0], "  find \"keys\" in notes | scor cosine");
    assert!(lines[1].starts_with(&format!("{}^^^^ ", " ".repeat(25))), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `score`?"), "{}", ran.stderr);
    assert_eq!(*lines.last().unwrap(), "  find \"keys\" in notes | score cosine");
    assert!(ran.stdout.is_empty());
}

#[test]
fn errors_as_json_have_span_expected_found_and_hints() {
    let place = notes();
    let ran = place.run(["query", "s", "find \"keys\" in notes | scor cosine", "--json"]).exits(2);
    assert!(ran.stdout.is_empty());
    let error = ran.json_error();
    assert_eq!((&error["kind"], &error["found"]), (&"query".into(), &"scor".into()));
    assert_eq!(error["span"], serde_json::json!([23, 27]));
    assert!(error["message"].is_string() && error["expected"].is_array());
    assert!(error["hints"].as_array().unwrap().iter().any(|hint| hint.as_str().unwrap().contains("score")), "{error}");
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let place = notes();
    for (statement, want) in [
        ("find \"x\" in note", "notes"),
        ("find \"x\" in notes | view row", "raw"),
        ("find \"x\" in notes | where yeer = 2020", "year"),
        ("find #n18 in notes", "n18"),
    ] {
        let ran = place.run(["query", "s", statement]).exits(2);
        assert!(ran.stderr.contains(want), "{statement}: {}", ran.stderr);
    }
    let ran = place.run(["get", "s", "note", "n17"]).exits(2);
    assert!(ran.stderr.contains("notes"), "{}", ran.stderr);
    let ran = place.run(["embed", "s", "note"]).exits(2);
    assert!(ran.stderr.contains("notes"), "{}", ran.stderr);
    let ran = place.run(["view", "s", "notes", "raw", "--vectors-only"]).exits(2);
    assert!(ran.stderr.contains("raw"), "{}", ran.stderr);
    place.run(["view", "s", "notes", "x"]).exits(2);
    place.run(["remove", "s", "notes"]).exits(2);
}

#[test]
fn a_closed_stdout_ends_a_query_quietly() {
    let place = notes();
    let mut child = place
        .command(["query", "s", "find \"x\" in notes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn a_view_takes_its_texts_from_a_field_of_text() {
    let place = notes();
    let ran = place.run(["view", "s", "notes", "when", "--text-from", "year"]).exits(2);
    assert!(ran.stderr.contains("year") && ran.stderr.contains("integer"), "{}", ran.stderr);
    place.write("more.jsonl", "{\"id\": \"n99\", \"text\": \"later\", \"year\": 2025}\n");
    place.run(["import", "s", "notes", "more.jsonl"]).exits(0);
    let ran = place.run(["view", "s", "notes", "typo", "--text-from", "asked"]).exits(0);
    assert!(ran.stderr.contains("no record has a field asked yet"), "{}", ran.stderr);
}

#[test]
fn a_store_that_has_lost_a_file_is_damaged_not_missing() {
    for file in ["catalog.redb", "catalog.sums"] {
        let place = notes();
        std::fs::remove_file(place.path("s").join(file)).unwrap();
        let error = place.run(["--json", "query", "s", "find \"keys\" in notes"]).exits(2).json_error();
        assert_eq!(error["kind"], "corrupt", "{error}");
        let report = place.run(["--json", "check", "s"]).exits(1).json();
        assert_eq!(report["findings"][0]["file"], file);
    }
    let place = Place::new();
    let error = place.run(["--json", "check", "nothing"]).exits(2).json_error();
    assert_eq!(error["kind"], "not_found");
}

#[test]
fn judgements_of_other_queries_give_no_figures() {
    let place = notes();
    place.write("queries.jsonl", "{\"_id\": \"q1\", \"text\": \"wallet\"}\n");
    place.write("qrels.tsv", "query-id\tcorpus-id\tscore\nq2\tn17\t1\n");
    let report = place
        .run(["--json", "evaluate", "s", "find $q in notes", "--queries", "queries.jsonl", "--qrels", "qrels.tsv"])
        .exits(0)
        .json();
    assert_eq!(report["judged"], 0);
    assert!(report["MRR@10"].is_null() && report["nDCG@10"].is_null(), "{report}");
}

#[test]
fn a_projection_does_not_change_under_a_saved_lens() {
    let place = notes();
    place.run(["project", "s", "half", "--random", "8x208", "--seed", "1"]).exits(0);
    place.run(["project", "s", "half", "--random", "8x208", "--seed", "2", "--replace"]).exits(0);
    place.run(["query", "s", "let topic = project half | center corpus"]).exits(0);
    let ran = place.run(["project", "s", "half", "--random", "8x208", "--seed", "3", "--replace"]).exits(2);
    assert!(ran.stderr.contains("saved lens topic"), "{}", ran.stderr);
    place.run(["query", "s", "drop topic"]).exits(0);
    place.run(["project", "s", "half", "--random", "8x208", "--seed", "3", "--replace"]).exits(0);
}
