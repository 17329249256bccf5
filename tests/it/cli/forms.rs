//! Blends, comparisons, reasons and pairs on the command line: tables, JSON shapes, other formats, exit codes.

use super::{Place, notes};
use serde_json::{Value as Json, json};

const KEYS: &str = "find \"Where are my keys?\" in notes";

/// `notes` with a lens `centered` and a lens `topic` saved.
fn lenses() -> Place {
    let place = notes();
    place.run(["query", "s", "let centered = center corpus"]).exits(0);
    place.run(["query", "s", "let topic = truncate 20 | normalize | score dot"]).exits(0);
    place
}

/// Everything shown fits 80 columns and has no escape sequence.
#[track_caller]
fn fits(shown: &str) {
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(!shown.contains('\x1b'), "no colour in a pipe: {shown}");
}

#[test]
fn a_blend_says_what_it_is_made_of() {
    let place = lenses();
    let statement = format!("{KEYS} | blend 0.7 * centered - 0.25 * plain | top 2");
    let answer = place.run(["query", "s", &statement, "--json"]).exits(0).json();
    let lens = &answer["lens"];
    assert_eq!((&lens["metric"], &lens["view"], &lens["steps"]), (&json!("blend"), &json!("raw"), &json!([])));
    assert_eq!(lens["projection"], Json::Null);
    assert_eq!((&lens["blend"][1]["weight"], &lens["blend"][0]["lens"]["name"]), (&json!(-0.25), &json!("centered")));
    assert!(answer["results"][0]["score"].is_f64());
    let shown = place.run(["query", "s", &statement]).exits(0).stdout;
    assert!(shown.starts_with("blend 0.7 * centered - 0.25 * plain · higher is more similar"), "{shown}");
    fits(&shown);
    let explained = place.run(["query", "s", &format!("explain {statement}")]).exits(0).stdout;
    assert!(explained.contains("0.7 * centered (view raw, score cosine)"), "{explained}");
    assert!(
        place.run(["query", "s", "let b = blend 1 * plain", "--json"]).exits(2).json_error()["message"].is_string()
    );
}

#[test]
fn a_comparison_stands_side_by_side() {
    let place = lenses();
    let statement = format!("compare plain, centered: {KEYS} | top 2");
    let compared = place.run(["query", "s", &statement, "--json"]).exits(0).json();
    assert_eq!(compared["query"], json!(statement));
    assert_eq!(compared["columns"].as_array().unwrap().len(), 2);
    assert_eq!(compared["columns"][1]["lens"]["name"], "centered");
    assert!(compared["overlap"].is_f64(), "{compared}");
    assert!(compared["rank_correlation"].is_f64() || compared["rank_correlation"].is_null());
    assert_eq!(compared["changes"][0], json!([0, 0]));
    let shown = place.run(["query", "s", &statement]).exits(0).stdout;
    assert!(shown.contains("overlap@2") && shown.contains("plain") && shown.contains("centered"), "{shown}");
    fits(&shown);
    let three = format!("compare plain, centered, topic: {KEYS} | top 3");
    let compared = place.run(["query", "s", &three, "--json"]).exits(0).json();
    assert_eq!(compared["overlap"].as_array().unwrap().len(), 3);
    assert_eq!(compared["pairs"][2]["lenses"], json!(["centered", "topic"]));
    fits(&place.run(["query", "s", &three]).exits(0).stdout);
    let run = |format: &str| place.run(["query", "s", &statement, "--format", format]).exits(0).stdout;
    let lines: Vec<Json> = run("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[2]["lens"], &lines[2]["rank"]), (4, &json!("centered"), &json!(1)));
    assert_eq!(run("csv").lines().next(), Some("lens,rank,id,value,change,text"));
    assert!(run("markdown").starts_with("| rank | plain | centered |\n| ---: | --- | --- |"));
    place.run(["query", "s", &format!("compare plain, centered: {KEYS} | where year = 1900")]).exits(1);
    let error = place.run(["query", "s", &format!("compare plain, cntered: {KEYS}"), "--json"]).exits(2).json_error();
    assert_eq!(error["corrected"], json!(format!("compare plain, centered: {KEYS}")));
}

#[test]
fn why_explains_a_score() {
    let place = lenses();
    let statement = format!("why #n08: {KEYS} | using centered | top 5");
    let told = place.run(["query", "s", &statement, "--json"]).exits(0).json();
    assert_eq!((&told["id"], &told["standing"], &told["listed"]), (&json!("n08"), &json!("ranked"), &json!(true)));
    let part = &told["parts"][0];
    let sum: f64 = part["terms"].as_array().unwrap().iter().map(|term| term["value"].as_f64().unwrap()).sum();
    assert!((sum - told["score"].as_f64().unwrap()).abs() < 1e-9, "{told}");
    assert_eq!(part["steps"][0]["step"], "center corpus");
    assert!(told["plain"]["rank"].is_u64() && told["background"]["above"].is_f64(), "{told}");
    let shown = place.run(["query", "s", &statement]).exits(0).stdout;
    for word in
        ["plain cosine says", "before", "center corpus", "moved the query by", "alpha (w.x)", "sum", "background"]
    {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    fits(&shown);
    let left_out = place.run(["query", "s", "why #n08: find #n08 in notes"]).exits(0).stdout;
    assert!(left_out.contains("left out"), "{left_out}");
    place.run(["query", "s", &format!("why #nobody: {KEYS}")]).exits(2);
}

#[test]
fn pairs_are_listed_once_each() {
    let place = lenses();
    let statement = "pairs in notes | using centered | top 2";
    let found = place.run(["query", "s", statement, "--json"]).exits(0).json();
    assert_eq!(found["query"], json!("pairs in notes | using centered | score cosine | top 2"));
    assert_eq!((&found["plan"]["path"], &found["plan"]["rows"]), (&json!("pairs"), &json!(3)));
    let first = &found["results"][0];
    assert!(first["a"]["id"].is_string() && first["b"]["text"].is_string() && first["score"].is_f64(), "{first}");
    assert!(first.get("distance").is_none());
    let shown = place.run(["query", "s", statement]).exits(0).stdout;
    assert!(shown.contains("2 of 3 pairs"), "{shown}");
    fits(&shown);
    let run = |format: &str| place.run(["query", "s", statement, "--format", format]).exits(0).stdout;
    assert_eq!(run("jsonl").lines().count(), 2);
    assert_eq!(run("csv").lines().next(), Some("rank,a,b,score,a_text,b_text"));
    assert!(run("markdown").starts_with("| rank | score | a | b | text of a | text of b |"));
    place.run(["query", "s", "pairs in notes | above 0.9999"]).exits(1);
    let far = place.run(["query", "s", "pairs in notes | score euclidean", "--json"]).exits(0).json();
    assert!(far["results"][0]["distance"].is_f64() && far["results"][0].get("score").is_none());
}

#[test]
fn an_export_to_standard_output_is_lines_and_nothing_else() {
    let place = notes();
    let plain = place.run(["export", "s", "notes", "-o", "-"]).exits(0);
    assert_eq!((plain.stdout.lines().count(), plain.stderr.as_str()), (3, ""));
    let with_report = place.run(["export", "s", "notes", "-o", "-", "--json"]).exits(0);
    assert_eq!(with_report.stdout, plain.stdout);
    let report: serde_json::Value = serde_json::from_str(&with_report.stderr).unwrap();
    assert_eq!((&report["file"], &report["records"]), (&"-".into(), &3.into()));
}

#[test]
fn a_quote_that_is_not_closed_costs_a_pipe_one_statement() {
    let place = notes();
    let input = "find \"keys in notes | top 1\nfind \"keys\" in notes | top 1\nshow lenses\n";
    let ran = place.run_with_input(["repl", "s"], input).exits(2);
    assert!(ran.stdout.contains("n17"), "the next statement is answered: {}", ran.stdout);
    let shown: Vec<&str> = ran.stderr.lines().collect();
    let at = shown.iter().position(|line| line.contains("find \"keys in notes | top 1")).unwrap();
    assert!(shown[at + 1].contains('^'), "the place is marked: {}", ran.stderr);
    assert_eq!(ran.stderr.matches("a string does not end").count(), 1, "{}", ran.stderr);
}
