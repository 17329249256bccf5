//! `label` and `evaluate`: judgements from files, from a field and from keys, and the figures they give.

use super::{Place, Ran, notes, npy};
use serde_json::{Value as Json, json};

const R: &str = "answers the question";
const QUERIES: &str = r#"{"_id": "q1", "text": "Where is my wallet?"}
{"_id": "q2", "text": "Who has my phone?"}
{"_id": "q3", "text": "never judged"}
"#;

/// `label s --in notes --respect R`, with the rest.
fn label(place: &Place, rest: &[&str]) -> Ran {
    place.run(["label", "s", "--in", "notes", "--respect", R].iter().chain(rest))
}

fn label_json(place: &Place, rest: &[&str]) -> Json {
    label(place, &[rest, &["--json"]].concat()).exits(0).json()
}

/// Judges pairs with one key a line.
fn keys(place: &Place, rest: &[&str], keys: &str) -> Ran {
    let lines: String = keys.chars().map(|key| format!("{key}\n")).collect();
    let arguments: Vec<&str> = [&["label", "s", "--in", "notes", "--respect", R], rest].concat();
    place.run_with_input(arguments, &lines)
}

/// `question/record grade` of every label, in order.
fn said(place: &Place) -> Vec<String> {
    let listed = label(place, &["--list", "--json"]);
    if listed.code != 0 {
        return Vec::new();
    }
    let text = |json: &Json| json.as_str().unwrap().to_string();
    let labels = listed.json()["labels"].as_array().unwrap().clone();
    labels.iter().map(|l| format!("{}/{} {}", text(&l["query_id"]), text(&l["record"]), l["grade"])).collect()
}

#[test]
fn judgements_of_files_are_all_or_nothing() {
    let place = notes();
    place.write("q.jsonl", QUERIES);
    place.write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tn17\t1\nq2\tn31\t2\nq2\tgone\t1\nq9\tn31\t1\n");
    let files = ["--queries", "q.jsonl", "--qrels", "qrels.tsv"];
    let refused = label(&place, &files).exits(2).stderr;
    assert!(refused.contains("line 4 `corpus-id`: notes has no record \"gone\""), "{refused}");
    assert!(refused.contains("line 5 `query-id`") && refused.contains("nothing was stored"), "{refused}");
    assert!(label(&place, &["--list"]).exits(2).stderr.contains("nothing is labelled yet"));
    let report = label_json(&place, &[&files[..], &["--skip-bad"]].concat());
    assert_eq!((&report["read"], &report["labels"], &report["new_queries"]), (&4.into(), &2.into(), &2.into()));
    assert_eq!((&report["unused_queries"], &report["skipped"].as_array().unwrap().len()), (&1.into(), &2));
    assert_eq!((&report["skipped"][0]["line"], &report["skipped"][1]["field"]), (&4.into(), &"query-id".into()));
    assert_eq!(said(&place), ["q1/n17 1", "q2/n31 2"]);
    let again = label_json(&place, &[&files[..], &["--skip-bad"]].concat());
    assert_eq!((&again["labels"], &again["unchanged"], &again["commit"]), (&0.into(), &2.into(), &report["commit"]));
    let info = place.run(["--json", "info", "s"]).exits(0).json();
    let respect = json!({"name": R, "labels": 2, "queries": 2, "field": null});
    assert_eq!(info["collections"][0]["respects"], json!([respect]));
    let shown = place.run(["query", "s", "show respects"]).exits(0).stdout;
    assert!(shown.contains(R) && shown.contains("notes"), "{shown}");
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("2 labelled pairs, 2 questions"));
    place.run(["check", "s"]).exits(0);
}

#[test]
fn vectors_of_queries_come_along() {
    let place = Place::with_store();
    place.write("c.jsonl", "{\"id\": \"a\"}\n{\"id\": \"b\"}\n");
    place.write("c.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0]]));
    place.run(["import", "s", "notes", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    place.write("q.jsonl", "{\"_id\": \"silent\"}\n{\"_id\": \"q\"}\n");
    place.write("q.npy", npy(&[&[0.0, 0.0], &[0.2, 0.9]]));
    place.write("qrels.tsv", "q\tb\t1\n");
    let files = ["--queries", "q.jsonl", "--qrels", "qrels.tsv"];
    assert!(label(&place, &files).exits(2).stderr.contains("no text, no vector and no record"));
    let files = [&files[..], &["--query-vectors", "q.npy"]].concat();
    assert!(label(&place, &[&files[..], &["--view", "rwa"]].concat()).exits(2).stderr.contains("did you mean \"raw\""));
    label(&place, &files).exits(0);
    // The stored vector is what is asked with: the text is empty, and the view takes none.
    let report = evaluate(&place, "find $q in notes", &["--respect", R]);
    assert_eq!((&report["queries"], &report["MRR@10"]), (&1.into(), &1.0.into()));
}

#[test]
fn pairs_of_every_form() {
    let place = notes();
    place.write(
        "pairs.jsonl",
        r#"{"query": "Where are my keys?", "record": "n08", "grade": 1}
{"query": "Where are my keys?", "record": "n17", "grade": false}
{"query_id": "p", "query": "Who has my phone?", "record": "n31"}
{"query_id": "p", "record": "n08", "grade": 0}
{"query_record": "n17", "record": "n08", "grade": 3}
"#,
    );
    let report = label_json(&place, &["--pairs", "pairs.jsonl"]);
    assert_eq!((&report["labels"], &report["new_queries"]), (&5.into(), &3.into()));
    let expected = ["Where are my keys?/n17 0", "Where are my keys?/n08 1", "p/n31 1", "p/n08 0", "#n17/n08 3"];
    assert_eq!(said(&place), expected);
    // What is listed can be read again.
    let listed = label(&place, &["--list"]).exits(0).stdout;
    label(&place, &["--drop"]).exits(0);
    assert!(said(&place).is_empty());
    place.write("pairs.jsonl", listed);
    label(&place, &["--pairs", "pairs.jsonl"]).exits(0);
    assert_eq!(said(&place), expected);
    place.write(
        "pairs.jsonl",
        "{\"query_id\": \"p\", \"query\": \"another text\", \"record\": \"n31\", \"grade\": 0}\n",
    );
    assert!(label(&place, &["--pairs", "pairs.jsonl"]).exits(2).stderr.contains("stored with another text"));
    place.write(
        "pairs.jsonl",
        "{\"query\": \"a\", \"record\": \"n08\"}\nno json\n{\"query_record\": \"gone\", \"record\": \"n08\"}\n",
    );
    let refused = label(&place, &["--pairs", "pairs.jsonl"]).exits(2).stderr;
    assert!(refused.contains("line 2") && refused.contains("line 3 `query_record`"), "{refused}");
}

#[test]
fn a_field_makes_classes() {
    let place = notes();
    let report = label_json(&place, &["--same-field", "tags"]);
    assert_eq!((&report["classes"], &report["shared"], &report["records"]), (&2.into(), &1.into(), &2.into()));
    assert!(label(&place, &["--same-field", "tag"]).exits(2).stderr.contains("did you mean \"tags\""));
    assert!(keys(&place, &["--query", "keys"], "y").exits(2).stderr.contains("values of field tags"));
    assert!(place.run(["info", "s"]).exits(0).stdout.contains("the classes of field tags"));
    assert_eq!(label_json(&place, &["--drop"])["dropped"], R);
    assert!(label(&place, &["--drop"]).exits(2).stderr.contains("has no labels in the respect"));
}

#[test]
fn keys_judge_one_pair_at_a_time() {
    let place = notes();
    let ask = ["--query", "Where did I put my wallet?", "--query", "Has anyone seen my phone?"];
    let ran = keys(&place, &ask, "yxns").exits(0);
    // Best hits first, question by question; an unknown key asks again; the end of the keys keeps what was given.
    assert!(ran.stdout.contains("? Where did I put my wallet?") && ran.stdout.contains("rank 1"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("y yes · n no") && ran.stdout.contains("2 labels kept (1 yes, 1 no)"),
        "{}",
        ran.stdout
    );
    assert_eq!(said(&place), ["Where did I put my wallet?/n17 1", "Has anyone seen my phone?/n31 0"]);
    assert!(ran.stdout.contains("48 labels more, and what is learned"), "{}", ran.stdout);
    // What was judged is not asked again; undo takes the last answer back and asks it anew.
    let arguments = [&ask[..], &["--json"]].concat();
    let report = keys(&place, &arguments, "yunq").exits(0).json();
    assert_eq!((&report["candidates"], &report["judged_before"]), (&4.into(), &2.into()));
    assert_eq!((&report["yes"], &report["no"], &report["undone"]), (&0.into(), &1.into(), &1.into()));
    assert_eq!((said(&place).len(), &report["pairs"]), (3, &3.into()));
    let rest = keys(&place, &ask, "u111y").exits(0).stdout;
    assert!(rest.contains("nothing to undo") && rest.contains("3 labels kept (3 yes, 0 no)"), "{rest}");
    assert!(keys(&place, &ask, "y").exits(1).stdout.contains("nothing to judge: 6 pairs judged before"));
    place.run(["check", "s"]).exits(0);
}

#[test]
fn every_answer_is_a_commit() {
    let place = notes();
    let commit = |place: &Place| place.run(["--json", "info", "s"]).exits(0).json()["commit"].as_u64().unwrap();
    let before = commit(&place);
    keys(&place, &["--query", "keys"], "ynuyq").exits(0);
    assert_eq!(commit(&place), before + 4);
    assert_eq!(said(&place).len(), 2);
    let stored = label(&place, &["--list", "--json"]).exits(0).json();
    assert_eq!((&stored["labels"][0]["source"], stored["labels"][1]["commit"].is_u64()), (&"terminal".into(), true));
    // A reader sees an answer while the next pair is shown.
    let mut command = place.command(["label", "s", "--in", "notes", "--respect", "live", "--query", "keys"]);
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, mut lines) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
    stdin.write_all(b"y\n").unwrap();
    // The second pair is shown once the first answer is kept.
    assert!(lines.any(|line| line.unwrap().contains("2 of 3")));
    let listed = place.run(["--json", "label", "s", "--in", "notes", "--respect", "live", "--list"]).exits(0).json();
    assert_eq!(listed["labels"].as_array().unwrap().len(), 1);
    drop(stdin);
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

#[test]
fn pairs_are_chosen_as_asked() {
    let place = notes();
    let first = |rest: &[&str]| {
        let shown = keys(&place, rest, "q").exits(0).stdout;
        let line = shown.lines().find(|line| line.contains("rank")).unwrap().trim().to_string();
        line.split(" · ").map(str::to_string).collect::<Vec<_>>()
    };
    let query = ["--query", "Where did I put my wallet?"];
    assert_eq!(first(&query)[..2], ["n17".to_string(), "rank 1".to_string()]);
    let random = |seed: &str| first(&[&query[..], &["--strategy", "random", "--seed", seed]].concat());
    assert!((0..20).any(|seed| random(&seed.to_string())[0] != "n17"));
    // The middle of the scores of 1, about 0.4 and less is nearer to the second.
    assert_ne!(first(&[&query[..], &["--strategy", "uncertain"]].concat())[0], "n17");
    // A calibrated lens says where the middle is.
    place.run(["query", "s", "let plain = score cosine"]).exits(0);
    place.run(["calibrate", "s", "plain", "--scale", "10", "--bias", "-9.5"]).exits(0);
    let uncertain = first(&[&query[..], &["--lens", "plain", "--strategy", "uncertain"]].concat());
    assert_eq!((uncertain[0].as_str(), uncertain[2].as_str()), ("n17", "probability 0.622"));
    // Records ask, and are not their own answers.
    let records = keys(&place, &["--records", "3", "--json"], "yyyyyyyyy").exits(0).json();
    assert_eq!((&records["yes"], &records["candidates"]), (&6.into(), &6.into()));
    assert!(said(&place).iter().all(|line| line.starts_with("#n") && !line.contains("n17/n17")));
    let few =
        keys(&place, &["--query", "keys", "--lens", "center corpus | score cosine", "--count", "1", "--json"], "yyy");
    assert_eq!(few.exits(0).json()["labels"], 1);
    place.write("q.jsonl", QUERIES);
    place.run(["sample", "s", "asked", "--in", "notes", "--queries", "q.jsonl"]).exits(0);
    assert_eq!(keys(&place, &["--sample", "asked", "--json"], "").exits(0).json()["candidates"], 9);
    assert!(keys(&place, &["--sample", "asekd"], "").exits(2).stderr.contains("samples: asked"));
    assert_eq!(keys(&place, &["--queries", "q.jsonl", "--depth", "2", "--json"], "").exits(0).json()["candidates"], 6);
    keys(&place, &["--query", "keys", "--lens", "nobody"], "").exits(2);
    // Without a lens the view says whose hits are shown.
    place.run(["view", "s", "notes", "about", "--template", "about {text}"]).exits(0);
    place.run(["embed", "s", "notes"]).exits(0);
    let shown = keys(&place, &["--query", "keys", "--view", "about", "--json"], "").exits(0).json();
    assert!(shown["query"].as_str().unwrap().contains("view about"), "{shown}");
    keys(&place, &[], "").exits(2);
}

#[test]
fn contradictions_are_listed() {
    let place = notes();
    let pairs = |lines: &[(&str, &str, &str, i64)]| {
        let line = |(id, text, record, grade): &(&str, &str, &str, i64)| {
            format!("{}\n", json!({"query_id": id, "query": text, "record": record, "grade": grade}))
        };
        place.write("pairs.jsonl", lines.iter().map(line).collect::<String>());
        label_json(&place, &["--pairs", "pairs.jsonl"])
    };
    pairs(&[("a", "keys?", "n08", 1), ("b", "keys?", "n08", 0), ("c", "phone?", "n31", 1)]);
    let none = label(&place, &["--conflicts"]).exits(0).stdout;
    assert!(none.contains("1 of 3 labelled pairs contradict themselves or each other"), "{none}");
    let report = pairs(&[("c", "phone?", "n31", 0)]);
    assert_eq!(report["contradicting"], 1);
    let found = label_json(&place, &["--conflicts"]);
    let list = found["contradictions"].as_array().unwrap();
    assert_eq!((list.len(), &list[0]["query"], &list[1]["record"]), (2, &"keys?".into(), &"n31".into()));
    let grades: Vec<&Json> = list[1]["said"].as_array().unwrap().iter().map(|said| &said["grade"]).collect();
    assert_eq!(grades, [&json!(1), &json!(0)]);
    assert_eq!(list[0]["said"][1]["query_id"], "b");
    let shown = label(&place, &["--conflicts"]).exits(0).stdout;
    assert!(shown.contains("n08  keys?") && shown.contains("grade 0 from pairs.jsonl"), "{shown}");
}

fn evaluate(place: &Place, statement: &str, rest: &[&str]) -> Json {
    place.run(["--json", "evaluate", "s", statement].iter().chain(rest)).exits(0).json()
}

/// Four records on a line in the plane, and three questions with vectors.
fn plane() -> Place {
    let place = Place::with_store();
    place.write("c.jsonl", "{\"_id\": \"a\"}\n{\"_id\": \"b\"}\n{\"_id\": \"c\"}\n{\"_id\": \"d\"}\n");
    place.write("c.npy", npy(&[&[4.0, 0.0], &[1.0, 1.0], &[0.0, 1.0], &[-1.0, 0.0]]));
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    place.write("q.jsonl", "{\"_id\": \"q1\"}\n{\"_id\": \"q2\", \"text\": \"two\"}\n{\"_id\": \"q3\"}\n");
    place.write("q.npy", npy(&[&[1.0, 0.1], &[0.1, 1.0], &[1.0, 1.0]]));
    place.write("qrels.tsv", "q1\ta\t1\nq2\tc\t2\nq2\tb\t1\nq2\td\t0\nmissing\ta\t1\n");
    place
}

const ASK: [&str; 6] = ["--queries", "q.jsonl", "--query-vectors", "q.npy", "--qrels", "qrels.tsv"];

#[test]
fn figures_have_intervals_and_depths() {
    let place = plane();
    let report = evaluate(&place, "find $q in c | top 3", &[&ASK[..], &["--at", "1,3"]].concat());
    assert_eq!((&report["queries"], &report["judged"], &report["missing"]), (&3.into(), &2.into(), &1.into()));
    let measures = &report["measures"];
    assert_eq!(measures["MRR@3"], json!({"mean": 1.0, "low": 1.0, "high": 1.0}));
    assert_eq!((&measures["recall@1"]["mean"], &measures["precision@3"]["mean"]), (&0.75.into(), &0.5.into()));
    assert_eq!((&measures["MAP"]["mean"], &measures["success@1"]["mean"]), (&1.0.into(), &1.0.into()));
    assert_eq!((&measures["recall@1"]["low"], &measures["recall@1"]["high"]), (&0.5.into(), &1.0.into()));
    assert_eq!((&report["MRR@10"], &report["success@1"], &report["nDCG@10"]), (&1.0.into(), &1.0.into(), &1.0.into()));
    // What lists fewer hits than a figure looks at says so.
    let short = evaluate(&place, "find $q in c | top 2", &ASK);
    assert!(short["notes"].to_string().contains("lists fewer hits than figures at 10"), "{}", short["notes"]);
    let judged = evaluate(&place, "find $q in c", &[&ASK[..], &["--judged-only", "--run", "r.trec"]].concat());
    assert_eq!((&judged["queries"], &judged["MRR@10"]), (&2.into(), &1.0.into()));
    // The second question that is asked has the second vector still, the third is not asked.
    let run = std::fs::read_to_string(place.path("r.trec")).unwrap();
    assert_eq!(
        run.lines().filter(|line| line.contains(" 1 ")).map(|line| &line[..7]).collect::<Vec<_>>(),
        ["q1 Q0 a", "q2 Q0 c"]
    );
}

#[test]
fn two_lenses_are_compared_query_by_query() {
    let place = plane();
    let first = "find $q in c | score cosine | top 3";
    // By dot product the longest record comes first for every question but one.
    let against = ["--against", "find $q in c | score dot | top 3", "--run", "a.trec", "--run", "b.trec"];
    let report = evaluate(&place, first, &[&ASK[..], &against].concat());
    let other = &report["against"][0];
    // q2 by dot: b 1.1, c 1.0, a 0.4; by cosine c first. Both are relevant: only the gains differ.
    assert_eq!((&report["MRR@10"], &other["MRR@10"]), (&1.0.into(), &1.0.into()));
    assert_eq!((&other["better"], &other["moved"]), (&0.into(), &json!([])));
    assert!(other["difference"]["nDCG@10"]["mean"].as_f64().unwrap() > 0.0, "{other}");
    assert!(other["difference"]["MRR@10"]["mean"] == 0.0 && other["difference"]["nDCG@10"]["z"].is_number());
    let top = |file: &str| std::fs::read_to_string(place.path(file)).unwrap().lines().nth(3).unwrap().to_string();
    assert!(top("a.trec").starts_with("q2 Q0 c 1") && top("b.trec").starts_with("q2 Q0 b 1"));
    place.write("qrels.tsv", "q1\ta\t1\nq2\tc\t1\n");
    let report = evaluate(&place, first, &[&ASK[..], &against[..2]].concat());
    let other = &report["against"][0];
    assert_eq!((&other["better"], &other["worse"]), (&1.into(), &0.into()));
    assert_eq!(other["moved"], json!([{"id": "q2", "text": "two", "rank": 1, "was": 2}]));
    assert_eq!(other["difference"]["MRR@10"]["mean"], 0.25);
    let shown = place.run([&["evaluate", "s", first], &ASK[..], &against[..2]].concat()).exits(0).stdout;
    assert!(shown.contains("against find $q") && shown.contains("1 better, 0 queries worse"), "{shown}");
    // A saved lens takes the place of the first one's, and `plain` is its view by cosine.
    place.run(["query", "s", "let by_dot = view raw | score dot"]).exits(0);
    let report = evaluate(&place, "find $q in c | using by_dot | top 3", &[&ASK[..], &["--against", "plain"]].concat());
    assert_eq!((&report["MRR@10"], &report["against"][0]["MRR@10"]), (&0.75.into(), &1.0.into()));
    let report = evaluate(&place, first, &[&ASK[..], &["--against", "by_dot", "--against", "plain"]].concat());
    assert_eq!((&report["against"][0]["MRR@10"], &report["against"][1]["MRR@10"]), (&0.75.into(), &1.0.into()));
    let refused = place.run([&["evaluate", "s", first], &ASK[..], &["--against", "by_dto"]].concat()).exits(2).stderr;
    assert!(refused.contains("by_dot"), "{refused}");
    place.run([&["evaluate", "s", first], &ASK[..], &["--run", "a", "--run", "b"]].concat()).exits(2);
}

#[test]
fn stored_labels_judge() {
    let place = notes();
    place.write(
        "pairs.jsonl",
        r#"{"query": "Where did I put my wallet?", "record": "n17"}
{"query": "Where did I put my wallet?", "record": "n31", "grade": 0}
{"query_record": "n31", "record": "n17"}
{"query_record": "n08", "record": "n08"}
"#,
    );
    label(&place, &["--pairs", "pairs.jsonl"]).exits(0);
    let report = evaluate(&place, "find $q in notes", &["--respect", R, "--run", "r.trec"]);
    assert_eq!((&report["queries"], &report["judged"]), (&3.into(), &3.into()));
    let run = std::fs::read_to_string(place.path("r.trec")).unwrap();
    // A record that asks is not its own answer, so n08 finds nothing that is called right.
    assert!(!run.contains("#n31 Q0 n31") && run.contains("#n31 Q0 n17 "), "{run}");
    assert_eq!(run.lines().count(), 3 + 2 + 2);
    assert!((report["success@1"].as_f64().unwrap() - 1.0 / 3.0).abs() < 0.34, "{report}");
    label(&place, &["--drop"]).exits(0);
    label(&place, &["--same-field", "tags"]).exits(0);
    let refused = place.run(["evaluate", "s", "find $q in notes", "--respect", R]).exits(2).stderr;
    assert!(refused.contains("classes of field tags"), "{refused}");
    place.run(["evaluate", "s", "find $q in notes"]).exits(2);
}

/// A store of `count` notes about two things, and the lens `plain`.
fn two_things(count: usize) -> Place {
    let place = Place::with_store();
    let note = |i: usize| {
        let text = if i.is_multiple_of(2) {
            "the cat sleeps on the warm roof"
        } else {
            "the train leaves at noon from platform"
        };
        format!("{{\"id\": \"n{i}\", \"text\": \"{text} {i}\"}}\n")
    };
    place.write("notes.jsonl", (0..count).map(note).collect::<String>());
    place.run(["import", "s", "notes", "notes.jsonl"]).exits(0);
    place.run(["query", "s", "let plain = score cosine"]).exits(0);
    place
}

#[test]
fn a_calibration_asks_for_the_judgements_it_needs() {
    let place = two_things(40);
    // What is drawn is drawn again with the same seed: first see which pairs come, then say what is true of them.
    let all = |key: &str, seed: &str, rest: &[&str]| {
        let keys = format!("{key}\n").repeat(120);
        let arguments = ["calibrate", "s", "plain", "--label", "120", "--top", "30", "--seed", seed];
        place.run_with_input(arguments.iter().chain(rest), &keys)
    };
    let refused = all("y", "3", &[]).exits(2);
    assert!(refused.stdout.contains("120 labels kept (120 yes, 0 no)"), "{}", refused.stdout);
    assert!(refused.stdout.contains("\"hits of plain\""), "{}", refused.stdout);
    assert!(refused.stderr.contains("all of them are relevant"), "{}", refused.stderr);
    let listed = place.run(["label", "s", "--in", "notes", "--respect", "hits of plain", "--list", "--json"]).exits(0);
    let labels = listed.json()["labels"].as_array().unwrap().clone();
    assert_eq!(labels.len(), 120);
    let number = |id: &Json| id.as_str().unwrap()[1..].parse::<usize>().unwrap();
    let alike = |label: &Json| number(&label["query_record"]) % 2 == number(&label["record"]) % 2;
    assert!(labels.iter().any(alike) && !labels.iter().all(alike), "hits of all ranks are drawn");
    // The other answer to the same pairs where they are about different things.
    let pairs: String = labels
        .iter()
        .map(|l| {
            format!(
                "{}\n",
                json!({"query_record": l["query_record"], "record": l["record"], "grade": u8::from(alike(l))})
            )
        })
        .collect();
    place.write("true.jsonl", &pairs);
    place.run(["label", "s", "--in", "notes", "--respect", "hits of plain", "--pairs", "true.jsonl"]).exits(0);
    // Two more, and it is fitted to all of them.
    let more = place.run_with_input(["calibrate", "s", "plain", "--label", "2", "--top", "30", "--json"], "s\ns\nq\n");
    let report = more.exits(0).json();
    assert_eq!((&report["judged"], &report["collection"]), (&120.into(), &"notes".into()), "{report}");
    let found =
        place.run(["query", "s", "find #n4 in notes | using plain | score probability", "--json"]).exits(0).json();
    assert!(found["results"][0]["score"].as_f64().unwrap() > 0.5, "{found}");
}

#[test]
fn a_calibration_says_what_cannot_go_together() {
    let place = notes();
    place.run(["query", "s", "let plain = score cosine"]).exits(0);
    place.run(["calibrate", "s", "plain"]).exits(2);
    place.run(["calibrate", "s", "plain", "--label", "20", "--scale", "1", "--bias", "0"]).exits(2);
    place.run(["calibrate", "s", "plain", "--label", "0"]).exits(2);
    place.run(["calibrate", "s", "plain", "--respect", R, "--queries", "q.jsonl"]).exits(2);
    let told = place.run_with_input(["calibrate", "s", "plan", "--label", "20"], "").exits(2).stderr;
    assert!(told.contains("did you mean \"plain\"?"), "{told}");
    // Nothing answered: nothing to fit, and what to do is said.
    let told = place.run_with_input(["calibrate", "s", "plain", "--label", "20"], "q\n").exits(2).stderr;
    assert!(told.contains("nothing is labelled") && told.contains("at least 50"), "{told}");
}
