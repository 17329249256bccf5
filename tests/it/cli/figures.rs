//! Figures that say what they are of: names, judgements that do not fit, questions a lens has seen, counts of `info`.

use super::{Place, npy};
use serde_json::Value as Json;

/// Three records and questions beside them in the plane, with judgements of every odd kind.
fn odd() -> Place {
    let place = Place::with_store();
    place.write("c.jsonl", "{\"_id\": \"a\"}\n{\"_id\": \"b\"}\n{\"_id\": \"c\"}\n{\"_id\": \"q1\"}\n");
    place.write("c.npy", npy(&[&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0], &[0.9, 0.5]]));
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    place.write(
        "q.jsonl",
        "{\"_id\": \"q1\"}\n{\"_id\": \"q2\"}\n{\"_id\": \"q3\"}\n{\"_id\": \"q4\"}\n{\"_id\": \"q5\"}\n",
    );
    place.write("q.npy", npy(&[&[0.9, 0.5], &[0.1, 1.0], &[-1.0, 0.1], &[1.0, 1.0], &[0.0, 1.0]]));
    place.write(
        "qrels.tsv",
        "query-id\tcorpus-id\tscore\nq1\ta\t1\nq1\tgone\t1\nq2\tb\t0\nq2\tb\t2\nq3\tc\t0\nq3\ta\t-1\nq4\tgone\t1\nq9\ta\t1\n",
    );
    place
}

const ASK: [&str; 6] = ["--queries", "q.jsonl", "--query-vectors", "q.npy", "--qrels", "qrels.tsv"];

fn evaluate(place: &Place, statement: &str, rest: &[&str]) -> Json {
    place.run(["--json", "evaluate", "s", statement].iter().chain(rest)).exits(0).json()
}

fn close(json: &Json, expected: f64) {
    assert!((json.as_f64().unwrap() - expected).abs() < 1e-9, "{json} {expected}");
}

#[test]
fn judgements_that_do_not_fit_are_counted_and_named_and_averages_are_those_of_ir_measures() {
    let place = odd();
    let report = evaluate(&place, "find $q in c | top 10", &ASK);
    // q1: itself, then a, of two relevant ones; q2: b first; q3: nothing is relevant; q4: its answer is not there.
    // ir_measures 0.4.3 over the run and the judgements of q1 to q4: RR@10 0.375, Success@1 0.25, nDCG@10 0.34671, R@10
    // 0.375.
    close(&report["MRR@10"], 0.375);
    close(&report["success@1"], 0.25);
    close(&report["measures"]["recall@10"]["mean"], 0.375);
    let first = (1.0 / 3f64.log2()) / (1.0 + 1.0 / 3f64.log2());
    close(&report["nDCG@10"], (first + 1.0) / 4.0);
    assert!(report.get("R@1").is_none(), "a hit rate is no recall: {report}");
    assert_eq!((&report["judged"], &report["unjudged"], &report["missing"]), (&4.into(), &1.into(), &1.into()));
    // With q9 as 0, as ir_measures has it where it is handed all judgements.
    close(&report["missing_as_zero"]["MRR@10"], 0.3);
    let odd = &report["qrels"];
    let expected = [
        ("unknown_queries", 1, "q9"),
        ("unknown_records", 2, "gone"),
        ("contradicting", 1, "q2 b: 0, then 2"),
        ("without_relevant", 1, "q3"),
    ];
    let notes = report["notes"].to_string();
    for (kind, count, example) in expected {
        assert_eq!((&odd[kind]["count"], &odd[kind]["examples"][0]), (&count.into(), &example.into()), "{kind}");
        assert!(notes.contains(example), "{kind}: {notes}");
    }
    // Where no judged record is there, nothing can be right, and that is no success.
    place.write("qrels.tsv", "q1\tx1\t1\nq2\tx2\t1\n");
    let shown = place.run(["evaluate", "s", "find $q in c"].iter().chain(&ASK)).exits(1).stdout;
    assert!(shown.contains("no judged record is in c") && shown.contains("x1, x2"), "{shown}");
    // What fits has nothing to be said of it.
    place.write("qrels.tsv", "q1\ta\t1\nq2\tb\t1\nq2\tc\t0\n");
    let report = evaluate(&place, "find $q in c", &ASK);
    assert_eq!((&report["notes"], &report["missing"]), (&serde_json::json!([]), &0.into()));
    assert!(report.get("missing_as_zero").is_none());
}

#[test]
fn a_record_that_asks_is_left_out_of_its_own_answer_and_another_takes_its_place() {
    let place = odd();
    place.write("qrels.tsv", "q1\ta\t1\nq2\tb\t1\n");
    let first = evaluate(&place, "find $q in c | top 1", &ASK);
    close(&first["MRR@10"], 0.5);
    let run = ["--exclude-own-id", "--run", "r.trec"];
    let without = evaluate(&place, "find $q in c | top 1", &[&ASK[..], &run].concat());
    close(&without["MRR@10"], 1.0);
    assert_eq!(without["query"], first["query"], "the search is shown as it was asked for");
    let lines = std::fs::read_to_string(place.path("r.trec")).unwrap();
    assert!(lines.starts_with("q1 Q0 a 1 ") && lines.lines().count() == 5, "{lines}");
    let skipped = evaluate(&place, "find $q in c | skip 1 | top 3", &[&ASK[..], &run[..1]].concat());
    close(&skipped["measures"]["recall@10"]["mean"], 0.0);
}

#[test]
fn queries_a_second_are_queries() {
    let place = odd();
    let statement = "find $q in c";
    let told = |rest: &[&str]| {
        let shown = place.run([&["evaluate", "s", statement], &ASK[..], rest].concat()).exits(0).stdout;
        shown.lines().find(|line| line.contains("queries/s")).unwrap().to_string()
    };
    assert!(told(&[]).starts_with("5 queries in 0."));
    assert!(told(&["--against", "plain"]).starts_with("5 queries, each through 2 searches, in 0."));
}

/// 60 records in a plane at random, and a question beside each.
fn points(noise: f32) -> Place {
    let place = Place::with_store();
    let mut state = 11_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let records: Vec<Vec<f32>> = (0..60).map(|_| (0..6).map(|_| next()).collect()).collect();
    let asked: Vec<Vec<f32>> =
        records.iter().map(|record| record.iter().map(|x| x + noise * next()).collect()).collect();
    let rows = |rows: &[Vec<f32>]| npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    place.write("c.npy", rows(&records));
    place.write("q.npy", rows(&asked));
    place.write("c.jsonl", (0..60).map(|at| format!("{{\"_id\": \"r{at}\"}}\n")).collect::<String>());
    place.write("q.jsonl", (0..60).map(|at| format!("{{\"_id\": \"q{at}\"}}\n")).collect::<String>());
    place.write("qrels.tsv", (0..60).map(|at| format!("q{at}\tr{at}\t1\n")).collect::<String>());
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    place
}

#[test]
fn a_lens_on_what_it_was_fitted_on_is_warned_of() {
    let place = points(0.5);
    let learn = ["learn", "s", "asks", "--in", "c", "--method", "ridge"];
    place.run(learn.iter().chain(&ASK)).exits(0);
    let show = place.run(["--json", "query", "s", "show lenses"]).exits(0).stdout;
    let lens = if show.contains("asks@candidate") { "asks@candidate" } else { "asks" };
    let through = format!("find $q in c | using {lens}");
    let warning = "60 of 60 questions are among those that lens asks";
    let told = |statement: &str, rest: &[&str]| evaluate(&place, statement, rest)["notes"].to_string();
    assert!(told(&through, &ASK).contains(warning), "from files");
    assert!(told(&through, &["--respect", "asks"]).contains(warning), "from labels");
    assert!(told("find $q in c", &[&ASK[..], &["--against", lens]].concat()).contains(warning), "the other side");
    assert!(told(&format!("find $q in c | project {lens}"), &ASK).contains(warning), "its matrix alone");
    let shown = place.run([&["evaluate", "s", &through], &ASK[..]].concat()).exits(0).stdout;
    assert!(shown.contains(&format!("note: {warning}")), "{shown}");
    assert_eq!(told("find $q in c", &ASK), "[]", "plain cosine was not fitted on anything");
    // Questions that nothing is said about are in no figure.
    place.write("few.tsv", (0..10).map(|at| format!("q{at}\tr{at}\t1\n")).collect::<String>());
    let few = ["--queries", "q.jsonl", "--query-vectors", "q.npy", "--qrels", "few.tsv"];
    assert!(told(&through, &few).contains("10 of 10 questions are among those"), "{}", told(&through, &few));
    // Without its labels it is known by its own questions; others are others, whatever their ids are.
    place.run(["label", "s", "--in", "c", "--respect", "asks", "--drop"]).exits(0);
    assert!(told(&through, &ASK).contains(warning), "by the questions that are kept with it");
    let queries = |what: &str| (0..60).map(|at| format!("{{\"_id\": \"{what}{at}\"}}\n")).collect::<String>();
    place.write("q.jsonl", queries("new"));
    place.write("qrels.tsv", (0..60).map(|at| format!("new{at}\tr{at}\t1\n")).collect::<String>());
    assert!(told(&through, &ASK).contains(warning), "the same vectors under other ids");
    let other: Vec<[f32; 6]> = (0..60).map(|at| [at as f32 + 1.5, 1.0, 0.5, -0.5, 2.0, 0.25]).collect();
    place.write("q.npy", npy(&other.iter().map(<[f32; 6]>::as_slice).collect::<Vec<_>>()));
    assert_eq!(told(&through, &ASK), "[]", "other questions");
    // A sample that the lens takes its mean from is seen, too.
    place.run(["sample", "s", "mine", "--in", "c", "--queries", "q.jsonl", "--query-vectors", "q.npy"]).exits(0);
    assert!(told("find $q in c | center sides from mine", &ASK).contains("60 of 60 questions are in sample mine"));
}

#[test]
fn better_is_said_where_the_interval_excludes_nought() {
    for noise in [0.3, 0.6, 0.9, 1.3] {
        let place = points(noise);
        let told = place.run(["--json", "try", "s", "--in", "c"].iter().chain(&ASK)).exits(0).json();
        assert_eq!(told["metric"], "MRR@10");
        for tried in told["tried"].as_array().unwrap() {
            let (low, high) = (tried["low"].as_f64().unwrap(), tried["high"].as_f64().unwrap());
            assert_eq!((tried["better"] == true, tried["worse"] == true), (low > 0.0, high < 0.0), "{tried}");
        }
        let shown = place.run(["try", "s", "--in", "c"].iter().chain(&ASK)).exits(0).stdout;
        let plain = format!("{:.3}", told["plain"]["mean"].as_f64().unwrap());
        assert!(shown.contains("MRR@10") && shown.contains(&plain), "fractions, as `evaluate` has them: {shown}");
        assert!(!shown.contains("-0.000"), "{shown}");
    }
}

#[test]
fn try_counts_what_evaluate_counts() {
    let place = points(0.6);
    let mut qrels: String = (0..50).map(|at| format!("q{at}\tr{at}\t1\n")).collect();
    qrels.push_str("q50\tr50\t0\nq51\tgone\t1\nq0\tr0\t0\nq0\tr0\t1\nq99\tr1\t1\n");
    place.write("qrels.tsv", qrels);
    let told = place.run(["--json", "try", "s", "--in", "c"].iter().chain(&ASK)).exits(0).json();
    let report = evaluate(&place, "find $q in c", &ASK);
    assert_eq!((&told["queries"], &report["judged"]), (&52.into(), &52.into()));
    close(&told["plain"]["mean"], report["MRR@10"].as_f64().unwrap());
    assert_eq!(told["qrels"], report["qrels"]);
    assert!(told["notes"].to_string().contains("q99") && told["notes"].to_string().contains("gone"), "{told}");
    // A record that asks finds others.
    place.write("q.jsonl", (0..60).map(|at| format!("{{\"_id\": \"r{at}\"}}\n")).collect::<String>());
    place.write("q.npy", std::fs::read(place.path("c.npy")).unwrap());
    place.write("qrels.tsv", (0..60).map(|at| format!("r{at}\tr{}\t1\n", (at + 1) % 60)).collect::<String>());
    let excluded = [&ASK[..], &["--exclude-own-id"]].concat();
    let told = place.run(["--json", "try", "s", "--in", "c"].iter().chain(&excluded)).exits(0).json();
    let report = evaluate(&place, "find $q in c", &excluded);
    close(&told["plain"]["mean"], report["MRR@10"].as_f64().unwrap());
    assert!(report["MRR@10"].as_f64() > evaluate(&place, "find $q in c", &ASK)["MRR@10"].as_f64());
}

#[test]
fn too_few_labels_are_refused_before_anything_is_judged() {
    let place = points(0.3);
    place.run(["query", "s", "let near = score cosine"]).exits(0);
    let asked = |number: &str, rest: &[&str]| {
        let arguments = ["calibrate", "s", "near", "--label", number];
        let ran = place.run_with_input(arguments.iter().chain(rest), &"y\n".repeat(80)).exits(2);
        assert!(!ran.stdout.contains("y yes") && !ran.stdout.contains("? "), "nothing is shown: {}", ran.stdout);
        ran.stderr
    };
    let told = asked("6", &[]);
    assert!(told.contains("6 more judged hits are too few") && told.contains("at least 50"), "{told}");
    assert!(asked("49", &["--top", "1"]).contains("too few"));
    // A single question has ten hits, and says nothing of others.
    place.write("one.jsonl", "{\"_id\": \"one\"}\n");
    place.write("one.npy", npy(&[&[1.0, 0.0, 0.0, 0.5, 0.0, 0.0]]));
    let one = ["--queries", "one.jsonl", "--query-vectors", "one.npy"];
    assert!(asked("60", &one).contains("10 hits left to judge"));
    assert!(asked("60", &[&one[..], &["--top", "60"]].concat()).contains("a single question"));
    let listed = place.run(["label", "s", "--in", "c", "--respect", "hits of near", "--list"]);
    assert!(listed.code != 0 || listed.stdout.is_empty(), "nothing was stored: {}", listed.stdout);
}

#[test]
fn a_calibration_counts_questions_and_says_for_which_ranks_it_holds() {
    let place = points(0.4);
    place.run(["query", "s", "let near = score cosine"]).exits(0);
    let mut judged = String::new();
    for asked in 0..40 {
        for record in 0..60 {
            let grade = u8::from((asked + record) % 4 == 0 || asked == record);
            judged.push_str(&format!("q{asked}\tr{record}\t{grade}\n"));
        }
    }
    judged.push_str("q1\tgone\t1\nq98\tr1\t1\nq2\tr2\t0\nq2\tr2\t1\n");
    place.write("judged.tsv", judged);
    let arguments = ["calibrate", "s", "near", "--judged", "judged.tsv", "--queries", "q.jsonl", "--query-vectors"];
    let arguments = [&arguments[..], &["q.npy"]].concat();
    let report = place.run([&arguments[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&report["queries"], &report["ranks"]), (&40.into(), &serde_json::json!([1, 10])));
    let reliability = &report["reliability"];
    let ece = |key: &str| reliability[key].as_f64().unwrap();
    assert!(ece("ece_low") <= ece("ece_high") && ece("ece_high") > ece("ece"), "{reliability}");
    let first = &report["first_hits"];
    assert_eq!(first["hits"], 40);
    assert!(first["relevant"].as_f64().unwrap() > first["probability"].as_f64().unwrap() + 0.1, "{first}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("40 queries are few") && warnings.contains("q98"), "{warnings}");
    assert!(warnings.contains("gone") && warnings.contains("q2 r2: 1, then 0"), "{warnings}");
    let shown = place.run(&arguments).exits(0).stdout;
    assert!(shown.contains("fitted for hits of ranks 1 to 10") && shown.contains("`--top 1`"), "{shown}");
    // The first hits have a map of their own where there are enough of them, here there are not.
    let few = place.run([&arguments[..], &["--top", "1"]].concat()).exits(2).stderr;
    assert!(few.contains("40 judged hits") && few.contains("at least 50"), "{few}");
}

#[test]
fn what_was_replaced_is_not_called_removed() {
    let place = points(0.1);
    place.write("u.jsonl", (0..30).map(|at| format!("{{\"_id\": \"r{at}\", \"n\": 1}}\n")).collect::<String>());
    place.write("u.npy", npy(&[&[0.5, 0.25, 1.0, 0.0, 0.0, 1.0][..]; 30]));
    let update = ["import", "s", "c", "u.jsonl", "--vectors", "u.npy", "--update"];
    place.run(update).exits(0);
    let info = |place: &Place| place.run(["--json", "info", "s"]).exits(0).json();
    let found = info(&place);
    let of = |json: &Json| {
        let c = &json["collections"][0];
        (c["records"].as_u64().unwrap(), c["removed"].as_u64().unwrap(), c["replaced"].as_u64().unwrap())
    };
    assert_eq!(of(&found), (60, 0, 30));
    close(&found["dead_share"], 30.0 / 90.0);
    // One of those that were replaced is removed, and one that was not; one comes back under its id.
    place.run(["remove", "s", "c", "r0", "r59", "r58"]).exits(0);
    place.write("u.jsonl", "{\"_id\": \"r58\"}\n");
    place.write("u.npy", npy(&[&[0.5, 0.25, 1.0, 0.0, 0.0, 1.0]]));
    place.run(update).exits(0);
    let found = info(&place);
    assert_eq!(of(&found), (58, 3, 30), "{found}");
    close(&found["dead_share"], 33.0 / 91.0);
    let shown = place.run(["info", "s"]).exits(0).stdout;
    assert!(shown.contains("58 records · 3 removed · 30 older versions replaced"), "{shown}");
    place.run(["compact", "s"]).exits(0);
    assert_eq!(of(&info(&place)), (58, 0, 0));
}

#[test]
fn a_question_is_held_against_questions_where_there_are_some() {
    let place = Place::with_store();
    let mut state = 5_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    // Records lie together, and questions elsewhere: the best record of a question is less similar to it than any two
    // records are to each other.
    let mut around = |place: [f32; 4]| place.map(|x| x + next()).to_vec();
    let records: Vec<Vec<f32>> = (0..80).map(|_| around([3.0, 0.0, 0.0, 0.0])).collect();
    let asked: Vec<Vec<f32>> = (0..30).map(|_| around([0.2, 3.0, 0.0, 0.0])).collect();
    let rows = |rows: &[Vec<f32>]| npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    place.write("c.npy", rows(&records));
    place.write("q.npy", rows(&asked));
    place.write("c.jsonl", (0..80).map(|at| format!("{{\"_id\": \"r{at}\"}}\n")).collect::<String>());
    place.write("q.jsonl", (0..30).map(|at| format!("{{\"_id\": \"q{at}\"}}\n")).collect::<String>());
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    let search = ["query", "s", "find $q in c | top 3", "--param-vector", "q=q.npy:0"];
    let first = |place: &Place| {
        let answer = place.run(search.iter().chain(&["--json"])).exits(0).json();
        (answer["results"][0]["percentile"].as_f64().unwrap(), answer["background"].clone())
    };
    let (plain, background) = first(&place);
    assert!(plain < 1.0 && background["of"] == "records", "{plain} {background}");
    place.run(["sample", "s", "asked", "--in", "c", "--queries", "q.jsonl", "--query-vectors", "q.npy"]).exits(0);
    let (held, background) = first(&place);
    assert!(held >= 95.0, "the best of 80 stands above the others: {held}");
    assert_eq!((&background["of"], &background["questions"]), (&"questions".into(), &"sample asked".into()));
    assert_eq!(background["pairs"], 30 * 80);
    // It is the place that counting gives.
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let best = records.iter().map(|record| cosine(&asked[0], record)).fold(-1.0, f64::max);
    let all = asked.iter().flat_map(|asked| records.iter().map(move |record| cosine(asked, record)));
    let below = all.filter(|value| *value < best - 1e-9).count() as f64 / 2400.0;
    assert!((held / 100.0 - below).abs() < 0.0011, "{held} {below}");
    let shown = place.run(search).exits(0).stdout;
    assert!(shown.contains("pctl of 2,400 random pairs of a question (sample asked) and a record"), "{shown}");
    // A record that asks is held against records, and so is what no stored question fits.
    let of =
        |statement: &str| place.run(["--json", "query", "s", statement]).exits(0).json()["background"]["of"].clone();
    assert_eq!((of("find #r1 in c"), of("find [1, 2, 0, 1] in c")), ("records".into(), "questions".into()));
    // Labels have questions, too.
    let labels =
        ["label", "s", "--in", "c", "--respect", "answers", "--queries", "q.jsonl", "--query-vectors", "q.npy"];
    place.write("qrels.tsv", (0..30).map(|at| format!("q{at}\tr{at}\t1\n")).collect::<String>());
    place.run(labels.iter().chain(&["--qrels", "qrels.tsv"])).exits(0);
    place.run(["new", "t"]).exits(0);
    place.run(["import", "t", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    let labels = [&["label", "t"], &labels[2..], &["--qrels", "qrels.tsv"]].concat();
    place.run(labels).exits(0);
    let other = ["--json", "query", "t", "find $q in c | top 3", "--param-vector", "q=q.npy:0"];
    let answer = place.run(other).exits(0).json();
    assert_eq!(answer["results"][0]["percentile"], held);
    assert_eq!(answer["background"]["questions"], "the labels of \"answers\"");
    let told = place.run(["--json", "query", "t", "why #r3: find [1, 2, 0, 1] in c"]).exits(0).json();
    assert_eq!(told["background"]["of"], "questions");
}

#[test]
fn equal_rows_have_a_cosine_of_one_in_diagnose() {
    let place = Place::with_store();
    let row: Vec<f32> = (0..50).map(|at| (at as f32 * 0.37).sin()).collect();
    place.write("c.npy", npy(&[row.as_slice(); 3]));
    place.write("c.jsonl", "{\"_id\": \"a\"}\n{\"_id\": \"b\"}\n{\"_id\": \"c\"}\n");
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    let told = place.run(["--json", "diagnose", "s", "c"]).exits(0).json();
    let of =
        |key: &str| told["findings"].as_array().unwrap().iter().find(|f| f["key"] == key).unwrap()["value"].clone();
    assert_eq!((of("mean_cosine"), of("high_cosine")), (1.0.into(), 1.0.into()));
    let shown = place.run(["diagnose", "s", "c"]).exits(0).stdout;
    assert!(!shown.contains("-0"), "{shown}");
}

#[test]
fn advice_is_held_against_labels() {
    // Lengths that say nothing, and a direction that all share.
    let place = Place::with_store();
    let mut state = 3_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let own: Vec<Vec<f32>> = (0..120).map(|_| (0..8).map(|_| next()).collect()).collect();
    let mut seen = |own: &Vec<f32>, noise: f32| {
        let length = 1.0 + 0.9 * next();
        own.iter().enumerate().map(|(at, x)| length * (x + noise * next() + if at == 0 { 2.0 } else { 0.0 })).collect()
    };
    let records: Vec<Vec<f32>> = own.iter().map(|own| seen(own, 0.0)).collect();
    let asked: Vec<Vec<f32>> = own.iter().map(|own| seen(own, 0.4)).collect();
    let rows = |rows: &[Vec<f32>]| npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    place.write("c.npy", rows(&records));
    place.write("q.npy", rows(&asked));
    place.write("c.jsonl", (0..120).map(|at| format!("{{\"_id\": \"r{at}\"}}\n")).collect::<String>());
    place.write("q.jsonl", (0..120).map(|at| format!("{{\"_id\": \"q{at}\"}}\n")).collect::<String>());
    place.write("qrels.tsv", (0..120).map(|at| format!("q{at}\tr{at}\t1\n")).collect::<String>());
    place.run(["import", "s", "c", "c.jsonl", "--vectors", "c.npy"]).exits(0);
    let told = place.run(["--json", "diagnose", "s", "c"]).exits(0).json();
    let of =
        |told: &Json, key: &str| told["findings"].as_array().unwrap().iter().find(|f| f["key"] == key).unwrap().clone();
    let mean = of(&told, "mean_cosine");
    assert!(mean["flag"] == true && mean["or_try"][0].as_str().unwrap().contains("whiten"), "{mean}");
    assert!(
        told["labels"].is_null() && !told.to_string().contains("score dot\""),
        "nothing is advised unheard: {told}"
    );
    let labels = ["label", "s", "--in", "c", "--respect", "answers"];
    place.run(labels.iter().chain(&ASK)).exits(0);
    let told = place.run(["--json", "diagnose", "s", "c"]).exits(0).json();
    assert_eq!((&told["labels"]["respect"], &told["labels"]["metric"]), (&"answers".into(), &"MRR@10".into()));
    let tried = told["labels"]["tried"].as_array().unwrap();
    let dot = tried.iter().find(|tried| tried["lens"] == "score dot").unwrap();
    assert!(dot["difference"].as_f64().unwrap() < 0.0 && tried.iter().any(|tried| tried["lens"] == "whiten"), "{dot}");
    for finding in told["findings"].as_array().unwrap() {
        let worse = finding["verdict"]["difference"].as_f64().is_some_and(|difference| difference < 0.0);
        let lens = finding["verdict"]["lens"].as_str().unwrap_or_default();
        assert!(!worse || !finding["try"].as_str().unwrap_or_default().ends_with(lens), "{finding}");
    }
    let shown = place.run(["diagnose", "s", "c"]).exits(0).stdout;
    assert!(shown.contains("by the labels of \"answers\" (120 questions; plain cosine MRR@10 0."), "{shown}");
    let better = tried.iter().any(|tried| tried["better"] == true);
    assert_eq!((shown.contains(", better"), shown.contains("is clearly better")), (better, !better), "{shown}");
    assert!(shown.contains("by the labels: center corpus  MRR@10 "), "{shown}");
}
