//! Queries on the command line: shapes, formats, statements from a pipe, the REPL, evaluation.

use super::{Place, notes, npy};
use serde_json::Value as Json;

const KEYS: &str = "find \"Where are my keys?\" in notes";

#[test]
fn query_json_has_the_documented_shape() {
    let place = notes();
    let answer = place.run(["query", "s", &format!("{KEYS} | center corpus | top 2"), "--json"]).exits(0).json();
    let query = answer["query"].as_str().unwrap();
    assert!(query.contains("view raw") && query.contains("score cosine") && query.contains("top 2"), "{query}");
    let lens = &answer["lens"];
    assert_eq!((&lens["view"], &lens["metric"]), (&"raw".into(), &"cosine".into()));
    assert_eq!(lens["steps"], serde_json::json!(["center corpus"]));
    assert_eq!((&lens["direction"], &lens["projection"]), (&"higher is more similar".into(), &Json::Null));
    let plan = &answer["plan"];
    for key in ["rows", "matched", "scanned", "undirected", "absent", "left_out", "commit"] {
        assert!(plan[key].is_u64(), "{key}: {plan}");
    }
    assert_eq!((&plan["path"], &plan["exact"], &plan["rows"]), (&"scan".into(), &true.into(), &3.into()));
    assert!(answer["notes"].is_array() && answer["elapsed_ms"].is_number());
    let first = &answer["results"][0];
    assert_eq!(first["rank"], 1);
    assert!(
        first["id"].is_string() && first["score"].is_f64() && first["text"].is_string() && first["fields"].is_object()
    );
    assert!(first.get("distance").is_none());
    assert_eq!(answer["results"].as_array().unwrap().len(), 2);
}

#[test]
fn distances_are_called_distances() {
    let place = notes();
    let answer = place.run(["query", "s", &format!("{KEYS} | score euclidean"), "--json"]).exits(0).json();
    let first = &answer["results"][0];
    assert!(first["distance"].is_f64() && first.get("score").is_none(), "{first}");
    assert_eq!(answer["lens"]["direction"], "lower is more similar");
    let shown = place.run(["query", "s", &format!("{KEYS} | score euclidean")]).exits(0).stdout;
    assert!(shown.contains("distance") && shown.contains("lower is more similar"), "{shown}");
}

#[test]
fn a_table_echoes_what_was_meant_and_fits_its_lines() {
    let place = notes();
    let shown = place.run(["query", "s", KEYS]).exits(0).stdout;
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("view raw (") && shown.contains("exact, 3 of 3"), "{shown}");
    assert!(shown.contains("score cosine, higher is more similar"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(!shown.contains('\x1b'), "no colour in a pipe: {shown}");
    assert!(shown.contains("3 of 3"), "{shown}");
}

#[test]
fn nothing_found_is_exit_code_1() {
    let place = notes();
    let ran = place.run(["query", "s", &format!("{KEYS} | where year = 1900"), "--json"]).exits(1);
    assert_eq!(ran.json()["results"], serde_json::json!([]));
    place.run(["query", "s", &format!("{KEYS} | above 0.9999")]).exits(1);
}

#[test]
fn texts_cannot_command_the_terminal() {
    let place = Place::with_store();
    place.write("x.jsonl", "{\"id\": \"a\\u001b[31m\", \"text\": \"keys \\u001b[2J\\u0007 \\u202e\"}\n");
    place.run(["import", "s", "notes", "x.jsonl"]).exits(0);
    for arguments in [vec!["query", "s", KEYS], vec!["get", "s", "notes", "a\u{1b}[31m"]] {
        let shown = place.run(arguments).exits(0).stdout;
        assert!(!shown.contains(['\x1b', '\x07', '\u{202e}']), "{shown:?}");
        assert!(shown.contains("\\u{1b}[31m"), "{shown}");
    }
}

#[test]
fn every_format_has_the_hits() {
    let place = notes();
    let statement = format!("{KEYS} | top 3");
    let run = |format: &str| place.run(["query", "s", &statement, "--format", format]).exits(0).stdout;
    let documents: Vec<Json> = run("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[2]["rank"], 3);
    let csv = run("csv");
    assert_eq!(csv.lines().next().unwrap(), "rank,id,score,percentile,text,place,tags,year");
    assert!(csv.contains("\"[\"\"home\"\",\"\"lost\"\"]\""), "{csv}");
    let markdown = run("markdown");
    assert!(markdown.starts_with("| rank | score | id | text |\n| ---: |"), "{markdown}");
    assert_eq!(serde_json::from_str::<Json>(&run("json")).unwrap()["results"].as_array().unwrap().len(), 3);
}

#[test]
fn parameters_are_bound_and_never_become_query_text() {
    let place = notes();
    let nasty = "q=\" in notes | drop x";
    let answer = place.run(["query", "s", "find $q in notes", "--param", nasty, "--json"]).exits(0).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 3);
    place.run(["query", "s", "find $q in notes"]).exits(2);
    place.run(["query", "s", "find $q in notes", "--param", "no-sign"]).exits(2);

    place.write("notes.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]]));
    place.run(["import", "s", "plane", "notes.jsonl", "--vectors", "notes.npy"]).exits(0);
    let ask = |row: &str| {
        let value = format!("q=notes.npy:{row}");
        place.run(["query", "s", "find $q in plane", "--param-vector", &value, "--json"])
    };
    assert_eq!(ask("1").exits(0).json()["results"][0]["id"], "n31");
    assert!(ask("3").exits(2).json_error()["message"].as_str().unwrap().contains("rows 0 to 2"));
}

#[test]
fn statements_from_a_pipe_are_answered_line_by_line() {
    let place = notes();
    let input = format!(
        "{KEYS} | top 1\n\nfind \"x\" in nowhere\n-- a remark\nlet topic = center corpus\n{KEYS} | using topic\n"
    );
    let ran = place.run_with_input(["query", "s", "-", "--json"], &input).exits(2);
    let lines: Vec<Json> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{}", ran.stdout);
    assert_eq!(lines[0]["results"].as_array().unwrap().len(), 1);
    assert_eq!(lines[1]["error"]["kind"], "query");
    assert_eq!(lines[2]["saved"], "topic");
    assert_eq!(lines[3]["lens"]["steps"], serde_json::json!(["center corpus"]));
    place.run_with_input(["query", "s", "-"], &format!("{KEYS}\n")).exits(0);
}

#[test]
fn let_show_and_drop() {
    let place = notes();
    place.run(["query", "s", "let topic = view raw | center corpus | score cosine"]).exits(0);
    let listing = place.run(["query", "s", "show lenses", "--json"]).exits(0).json();
    assert_eq!(listing["rows"][0]["lens"], "topic");
    place.run(["query", "s", &format!("explain {KEYS} | using topic")]).exits(0);
    place.run(["query", "s", "drop topic"]).exits(0);
    let error = place.run(["query", "s", "drop topic", "--json"]).exits(2).json_error();
    assert_eq!(error["kind"], "query");
}

#[test]
fn the_repl_reads_a_script() {
    let place = notes();
    let script = format!(
        "{KEYS} |\n  top 1\nshow lenses;\nlet a = center\nshow lenses\n.format jsonl\n{KEYS}\n| top 2\nquit\nnonsense\n"
    );
    let ran = place.run_with_input(["repl", "s"], &script).exits(0);
    assert!(ran.stdout.contains("no lenses") && ran.stdout.contains("saved lens a"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("{\"rank\"")).count(), 2, "{}", ran.stdout);
    let failed = place.run_with_input(["repl", "s"], "find \"x\" in nowhere\nshow collections\n").exits(2);
    assert!(failed.stdout.contains("notes"), "{}", failed.stdout);
    assert!(failed.stderr.contains("nowhere"), "{}", failed.stderr);
}

#[test]
fn evaluate_writes_a_run_and_scores_it() {
    let place = Place::with_store();
    place.write("c.jsonl", "{\"_id\": \"a\"}\n{\"_id\": \"b\"}\n{\"_id\": \"c\"}\n");
    place.write("c.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0]]));
    place.run(["import", "s", "corpus", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    place.write(
        "q.jsonl",
        "{\"_id\": \"q1\", \"text\": \"\"}\n{\"_id\": \"q2\", \"text\": \"\"}\n{\"_id\": \"zero\"}\n",
    );
    place.write("q.npy", npy(&[&[1.0, 0.1], &[0.9, 1.0], &[0.0, 0.0]]));
    place.write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\ta\t1\n");
    let base = ["evaluate", "s", "find $q in corpus | top 10", "--queries", "q.jsonl", "--query-vectors", "q.npy"];
    let rest = ["--qrels", "qrels.tsv", "--run", "out.trec", "--json"];
    let report = place.run(base.iter().chain(&rest)).exits(0).json();
    assert_eq!((&report["queries"], &report["judged"], &report["failed"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(report["MRR@10"], 0.75);
    assert_eq!(report["success@1"], 0.5);
    let ndcg = report["nDCG@10"].as_f64().unwrap();
    assert!((ndcg - (1.0 + 1.0 / 3f64.log2()) / 2.0).abs() < 1e-12, "{ndcg}");
    let run = std::fs::read_to_string(place.path("out.trec")).unwrap();
    let first: Vec<&str> = run.lines().next().unwrap().split(' ').collect();
    assert_eq!((first[0], first[1], first[2], first[3], first[5]), ("q1", "Q0", "a", "1", "simile"));
    assert_eq!(run.lines().count(), 6);
    let shown = place.run(base.iter().chain(&["--qrels", "qrels.tsv"])).exits(0).stdout;
    assert!(shown.contains("MRR@10 0.7500 · success@1 0.5000"), "{shown}");
    place.run(["evaluate", "s", "find [1, 0] in corpus", "--queries", "q.jsonl"]).exits(2);
}
