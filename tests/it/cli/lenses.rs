//! `sample`, `analyze`, `calibrate`, and what searches, `info` and `show` say of them.

use super::{NOTES, Place, notes, npy};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value as Json;
use std::io::Write;

const KEYS: &str = "find \"Where are my keys?\" in notes";
const QUERIES: &str = r#"{"_id": "q1", "text": "Where are my keys?"}
{"_id": "q2", "text": "Has anyone seen my glasses?"}
{"_id": "q3", "text": "What time is it?"}
"#;

/// Notes with a sample of three queries.
fn asked() -> Place {
    let place = notes();
    place.write("queries.jsonl", QUERIES);
    place.run(["sample", "s", "asked", "--in", "notes", "--queries", "queries.jsonl"]).exits(0);
    place
}

fn query(place: &Place, statement: &str) -> Json {
    place.run(["--json", "query", "s", statement]).exits(0).json()
}

#[test]
fn a_sample_is_stored_used_listed_and_forgotten() {
    let place = asked();
    let again = place.run(["sample", "s", "asked", "--in", "notes", "--queries", "queries.jsonl"]).exits(0).stdout;
    assert!(again.contains("there already, unchanged"), "{again}");
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(QUERIES.lines().next().unwrap().as_bytes()).unwrap();
    place.write("one.jsonl.gz", gz.finish().unwrap());
    let arguments = ["--json", "sample", "s", "asked", "--in", "notes", "--queries", "one.jsonl.gz"];
    let replaced = place.run(arguments).exits(0).json();
    assert_eq!((&replaced["replaced"], &replaced["queries"]), (&true.into(), &1.into()));
    place.run(["sample", "s", "asked", "--in", "notes", "--queries", "queries.jsonl"]).exits(0);
    let answer = query(&place, &format!("{KEYS} | center sides from asked | score cosine csls 2 from asked"));
    assert_eq!(answer["lens"]["csls"]["neighbours"], 2);
    assert_eq!(answer["lens"]["samples"][0]["queries"], 3);
    assert_eq!(answer["results"].as_array().unwrap().len(), 3);
    assert!(answer["notes"][0].as_str().unwrap().contains("over 3 queries is rough"), "{}", answer["notes"]);
    let shown = place.run(["query", "s", &format!("{KEYS} | center sides from asked | score dot")]).exits(0).stdout;
    assert!(shown.contains("center sides from asked (3 queries)"), "{shown}");
    place.run(["query", "s", "let sided = center sides from asked | score cosine"]).exits(0);
    let listed = place.run(["query", "s", "show samples"]).exits(0).stdout;
    assert!(listed.contains("asked") && listed.contains("sided"), "{listed}");
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    assert_eq!((&info["samples"][0]["name"], &info["samples"][0]["queries"]), (&"asked".into(), &3.into()));
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("asked: 3 queries of notes"));
    let refused = place.run(["sample", "s", "asked", "--drop"]).exits(2).stderr;
    assert!(refused.contains("part of the saved lens sided"), "{refused}");
    place.run(["query", "s", "drop sided"]).exits(0);
    assert_eq!(place.run(["--json", "sample", "s", "asked", "--drop"]).exits(0).json()["dropped"], "asked");
    assert!(place.run(["sample", "s", "asked", "--drop"]).exits(2).stderr.contains("there is no sample"));
    place.run(["check", "s"]).exits(0);
}

#[test]
fn mistakes_with_samples_say_what_would_work() {
    let place = notes();
    place.write("queries.jsonl", QUERIES);
    place.write("two.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0]]));
    place.write("three.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]]));
    let refused = |rest: &[&str]| {
        let arguments = ["sample", "s", "asked", "--queries", "queries.jsonl"].iter().chain(rest);
        place.run(arguments).exits(2).stderr
    };
    assert!(refused(&[]).contains("--in"));
    assert!(refused(&["--in", "note"]).contains("notes"));
    let told = refused(&["--in", "notes", "--query-vectors", "two.npy"]);
    assert!(told.contains("3 queries, but 2 vectors"), "{told}");
    let told = refused(&["--in", "notes", "--query-vectors", "three.npy"]);
    assert!(told.contains("vectors of 2 numbers, view raw of notes has"), "{told}");
    let told = refused(&["--in", "notes", "--query-vectors", "three.npy", "--view", "rwa"]);
    assert!(told.contains("did you mean \"raw\""), "{told}");
    assert!(refused(&["--in", "notes", "--view", "raw"]).contains("--query-vectors"));
    let error = place.run(["--json", "query", "s", &format!("{KEYS} | center sides from askd")]).exits(2).json_error();
    assert!(error["message"].as_str().unwrap().contains("no sample of the name `askd`"), "{error}");
}

#[test]
fn analyze_says_what_was_old_and_when_there_is_nothing_to_do() {
    let place = notes();
    let nothing = place.run(["analyze", "s"]).exits(0).stdout;
    assert!(nothing.contains("nothing to do"), "{nothing}");
    place.run(["query", "s", "let centered = center corpus | score dot"]).exits(0);
    let header = place.run(["query", "s", &format!("{KEYS} | using centered")]).exits(0).stdout;
    assert!(header.contains("mean of 3 records, up to date"), "{header}");
    place.write("more.jsonl", "{\"id\": \"n99\", \"text\": \"A recipe for lentil soup\"}\n");
    place.run(["import", "s", "notes", "more.jsonl"]).exits(0);
    let header = place.run(["query", "s", &format!("{KEYS} | using centered")]).exits(0).stdout;
    assert!(header.contains("mean of 3 records, 1 commit old"), "{header}");
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("1 commit old"));
    let report = place.run(["--json", "analyze", "s", "notes"]).exits(0).json();
    let first = &report["analyzed"][0];
    assert_eq!((&first["lens"], &first["records"], &first["step"]), (&"centered".into(), &4.into(), &1.into()));
    assert_eq!(first["before"]["commits_behind"], 1);
    assert!(report["commit"].is_u64());
    let again = place.run(["analyze", "s"]).exits(0).stdout;
    assert!(again.contains("nothing to do: 1 statistic is up to date"), "{again}");
    assert!(place.run(["analyze", "s", "note"]).exits(2).stderr.contains("notes"));
}

#[test]
fn calibrate_makes_probabilities_and_says_how() {
    let place = notes();
    place.run(["query", "s", "let plainly = score cosine"]).exits(0);
    let search = format!("{KEYS} | using plainly | score probability");
    let told = place.run(["query", "s", &search]).exits(2).stderr;
    assert!(told.contains("simile calibrate STORE plainly --label 200` or `--judged FILE`"), "{told}");
    let told = place.run(["calibrate", "s", "plainly", "--judged", "hits.jsonl"]).exits(2).stderr;
    assert!(told.contains("hits.jsonl"), "{told}");
    place.run(["calibrate", "s", "plainly", "--scale", "4"]).exits(2);
    let told = place.run(["calibrate", "s", "plainly", "--scale", "-4", "--bias", "0"]).exits(2).stderr;
    assert!(told.contains("the scale is positive"), "{told}");
    let told = place.run(["calibrate", "s", "planly", "--scale", "4", "--bias", "-1"]).exits(2).stderr;
    assert!(told.contains("did you mean \"plainly\""), "{told}");
    let told = place.run(["calibrate", "s", "plainly", "--scale", "4", "--bias", "-1"]).exits(0).stdout;
    assert!(told.contains("1 / (1 + exp(-(4 * cosine - 1)))"), "{told}");
    let raw = query(&place, &format!("{KEYS} | using plainly"));
    let answer = query(&place, &search);
    assert_eq!(answer["lens"]["metric"], "probability");
    let calibration = &answer["lens"]["calibration"];
    assert_eq!((&calibration["metric"], &calibration["version"]), (&"cosine".into(), &1.into()));
    for (hit, below) in answer["results"].as_array().unwrap().iter().zip(raw["results"].as_array().unwrap()) {
        assert_eq!(hit["id"], below["id"]);
        let expected = 1.0 / (1.0 + (-(4.0 * below["score"].as_f64().unwrap() - 1.0)).exp());
        assert_eq!(hit["score"].as_f64().unwrap(), expected);
    }
    let shown = place.run(["query", "s", &search]).exits(0).stdout;
    assert!(shown.contains("score probability of cosine") && shown.contains("supplied scale and bias"), "{shown}");
    let again = place.run(["--json", "calibrate", "s", "plainly", "--scale", "2", "--bias", "0"]).exits(0).json();
    assert_eq!(again["replaced"], true);
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("calibrated: supplied scale and bias"));
    place.run(["query", "s", "let plainly = score dot"]).exits(0);
    let told = place.run(["query", "s", &search]).exits(2).stderr;
    assert!(told.contains("version 2 of lens `plainly` is not calibrated"), "{told}");
    place.run(["check", "s"]).exits(0);
}

#[test]
fn nothing_is_passed_over_in_silence() {
    let place = notes();
    let twice = ["query", "s", "find $q in notes", "--param", "q=keys", "--param", "q=soup"];
    assert!(place.run(twice).exits(2).stderr.contains("$q is given twice"));
    let arguments = ["view", "s", "notes", "titled", "--template", "{title}: {text}"];
    let told = place.run(arguments).exits(0).stderr;
    assert!(told.contains("{title} stays in the text as it is"), "{told}");
    place.write("large.jsonl", format!("{NOTES}{{\"id\": \"big\", \"serial\": 98765432109876543210}}\n"));
    let report = place.run(["--json", "import", "s", "large", "large.jsonl"]).exits(0).json();
    assert!(report["notes"].to_string().contains("line 4 `serial`"), "{report}");
    place.write("float.jsonl", "{\"id\": \"f\", \"serial\": 1e30}\n");
    let report = place.run(["--json", "import", "s", "large", "float.jsonl"]).exits(0).json();
    assert!(report["notes"].as_array().unwrap().iter().all(|note| !note.as_str().unwrap().contains("64 bits")));
}
