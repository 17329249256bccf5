//! `learn`, `promote`, `demote`, `history`: a lens from labels, and what it says when they carry nothing.

use super::{Place, npy};
use serde_json::Value as Json;
use std::fmt::Write;

const RECORDS: usize = 150;
const DIMENSION: usize = 12;

/// Numbers between -1 and 1, the same each time.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn place() -> Place {
    place_of(RECORDS, DIMENSION)
}

/// A store of records, and a question for each that is its record under a fixed map, with noise.
fn place_of(count: usize, dimension: usize) -> Place {
    let place = Place::with_store();
    let mut next = noise(1);
    let records: Vec<Vec<f32>> = (0..count).map(|_| (0..dimension).map(|_| next()).collect()).collect();
    let map: Vec<Vec<f32>> =
        (0..dimension).map(|i| (0..dimension).map(|j| f32::from(u8::from(i == j)) + 0.6 * next()).collect()).collect();
    let questions: Vec<Vec<f32>> = records
        .iter()
        .map(|x| {
            let turned = map.iter().map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum::<f32>());
            turned.map(|y| y + 0.25 * next()).collect()
        })
        .collect();
    let rows = |rows: &[Vec<f32>]| npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let (mut corpus, mut queries) = (String::new(), String::new());
    for at in 0..count {
        let kind = ["tea", "ink", "rye"][at % 3];
        writeln!(corpus, r#"{{"id": "r{at}", "text": "record {at}", "kind": "{kind}"}}"#).unwrap();
        writeln!(queries, r#"{{"_id": "q{at}", "text": "question {at}"}}"#).unwrap();
    }
    place.write("corpus.jsonl", corpus);
    place.write("corpus.npy", rows(&records));
    place.write("queries.jsonl", queries);
    place.write("queries.npy", rows(&questions));
    place.write("train.tsv", qrels(count, &|at| at));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|_| (next() * 1e6) as i64);
    place.write("shuffled.tsv", qrels(count, &|at| order[at]));
    place.run(["import", "s", "things", "corpus.jsonl", "--vectors", "corpus.npy"]).exits(0);
    place
}

fn qrels(count: usize, answer: &dyn Fn(usize) -> usize) -> String {
    let lines = (0..count).map(|at| format!("q{at}\tr{}\t1\n", answer(at)));
    format!("query-id\tcorpus-id\tscore\n{}", lines.collect::<String>())
}

const LABELS: [&str; 5] = ["--queries", "queries.jsonl", "--query-vectors", "queries.npy", "--qrels"];

fn learn(place: &Place, lens: &str, qrels: &str, more: &[&str]) -> Json {
    let mut arguments = vec!["--json", "learn", "s", lens, "--in", "things"];
    arguments.extend(LABELS);
    arguments.push(qrels);
    arguments.extend(more);
    place.run(arguments).exits(0).json()
}

fn notes(place: &Place, lens: &str) -> String {
    let answer = place.run(["--json", "query", "s", &format!("find #r1 in things | using {lens}")]).exits(0).json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 10);
    answer["notes"].to_string()
}

#[test]
fn a_lens_is_learned_confirmed_used_demoted_and_promoted_again() {
    let place = place();
    let report = learn(&place, "asks", "train.tsv", &[]);
    assert_eq!((&report["lens"], &report["promoted"]), (&"asks".into(), &true.into()), "{report}");
    assert_eq!((&report["labels"], &report["queries"]), (&150.into(), &150.into()));
    let lift = &report["lift"]["new_records"];
    assert!(lift["z"].as_f64().unwrap() > 1.64 && lift["low"].as_f64() < lift["mean"].as_f64(), "{report}");
    // What it is and among how many: the 30 that were held out, and none of those fitted on.
    assert_eq!((&lift["metric"], &lift["pool"]), (&"MRR@10".into(), &30.into()), "{report}");
    let (plain, mean) = (lift["plain"].as_f64().unwrap(), lift["mean"].as_f64().unwrap());
    assert!(plain > 0.0 && plain + mean <= 1.0, "fractions: {report}");
    assert!(report["lift"].get("new_classes").is_none(), "no record is shared, so nothing is a class: {report}");
    assert!(report["lift"]["known_records"].is_null(), "each record has one question: {report}");
    assert!(report["validation"]["learned"].as_f64() > report["validation"]["plain"].as_f64());
    let store = simile::Store::open(place.path("s")).unwrap();
    let snapshot = store.snapshot().unwrap();
    let things = snapshot.collection("things").unwrap().def().id;
    let background =
        snapshot.background("asks", things).unwrap().expect("what random pairs score is stored with the lens");
    assert_eq!(background.pairs, 150 * 149);
    drop((snapshot, store));
    assert_eq!(notes(&place, "asks"), "[]");
    // The labels are kept under the lens's name, and the same seed gives the same figures from there.
    let again = place.run(["--json", "learn", "s", "asks", "--in", "things"]).exits(0).json();
    assert_eq!((&again["lift"], &again["validation"]), (&report["lift"], &report["validation"]));
    assert_eq!(again["fit"], 2);
    let shown = place.run(["--json", "query", "s", "show lenses"]).exits(0).stdout;
    assert!(shown.contains("center sides from asks.queries | project asks | score cosine"), "{shown}");

    place.run(["demote", "s", "asks"]).exits(0);
    assert!(notes(&place, "asks@candidate").contains("is a candidate"));
    assert!(place.run(["query", "s", "find #r1 in things | using asks"]).exits(2).stderr.contains("asks@candidate"));
    assert!(place.run(["demote", "s", "asks"]).exits(2).stderr.contains("was demoted"));
    assert!(place.run(["promote", "s", "aks"]).exits(2).stderr.contains("did you mean \"asks\"? (learned: asks)"));
    place.run(["promote", "s", "asks"]).exits(0);
    assert_eq!(notes(&place, "asks"), "[]");
    assert!(place.run(["promote", "s", "asks"]).exits(2).stderr.contains("there is no lens asks@candidate"));
    let history = place.run(["--json", "history", "s", "asks"]).exits(0).json();
    let events: Vec<String> = history["fits"][1]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["what"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(events, ["accepted", "demoted", "promoted"]);
    assert_eq!(history["fits"][0]["label_hash"], history["fits"][1]["label_hash"]);
    place.run(["check", "s"]).exits(0);
}

#[test]
fn what_was_learned_from_does_not_pass_for_new() {
    let place = place();
    learn(&place, "asks", "train.tsv", &[]);
    // Its name stands for its fits.
    for name in ["asks", "asks@candidate", "other@candidate"] {
        let refused = place.run(["query", "s", &format!("let {name} = view raw | score dot")]).exits(2).stderr;
        assert!(refused.contains("is the name of a learned lens"), "{refused}");
    }
    assert_eq!(notes(&place, "asks"), "[]");
    // Hits of the questions it knows, right ones and wrong ones.
    let wrong = (0..RECORDS).map(|at| format!("q{at}\tr{}\t0\n", (at + 1) % RECORDS)).collect::<String>();
    place.write("judged.tsv", format!("{}{wrong}", qrels(RECORDS, &|at| at)));
    let arguments = ["--json", "calibrate", "s", "asks", "--judged", "judged.tsv", "--top", "150"];
    let report = place.run(arguments.iter().chain(&LABELS[..4])).exits(0).json();
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("150 of 150 queries are among those the lens was learned from"), "{report}");
    // Questions for it are not taken from what it knows.
    let refused = place.run_with_input(["calibrate", "s", "asks", "--label", "9"], "").exits(2).stderr;
    assert!(refused.contains("--queries"), "{refused}");
    place.run(["query", "s", "drop asks"]).exits(0);
    place.run(["query", "s", "let asks = view raw | score dot"]).exits(0);
    // What cannot be learned says what became of its labels.
    let mut failing = vec!["learn", "s", "no name", "--in", "things", "--respect", "kept"];
    failing.extend(LABELS);
    let failed = place.run(failing.into_iter().chain(["train.tsv"])).exits(2).stderr;
    assert!(failed.contains("kept all the same") && failed.contains("kept"), "{failed}");
}

#[test]
fn labels_that_say_nothing_leave_a_candidate_and_say_what_would_help() {
    let place = place();
    let report = learn(&place, "asks", "shuffled.tsv", &[]);
    assert_eq!((&report["lens"], &report["promoted"]), (&"asks@candidate".into(), &false.into()), "{report}");
    assert!(!report["advice"].as_array().unwrap().is_empty());
    assert!(notes(&place, "asks@candidate").contains("is a candidate"));
    let promoted = place.run(["promote", "s", "asks"]).exits(0);
    assert!(promoted.stderr.contains("no held-out test has accepted"), "{}", promoted.stderr);
    // A fit that is accepted takes its place, and the candidate of a later one stands beside it.
    let better = learn(&place, "asks", "train.tsv", &["--respect", "right"]);
    assert_eq!(better["promoted"], true);
    let worse = learn(&place, "asks", "shuffled.tsv", &["--respect", "wrong"]);
    assert_eq!(worse["lens"], "asks@candidate");
    assert_eq!(notes(&place, "asks"), "[]");
    place.run(["promote", "s", "asks"]).exits(0);
    let history = place.run(["history", "s", "asks"]).exits(0).stdout;
    assert!(history.contains("fit 3") && history.contains("promoted"), "{history}");
    assert!(
        history.contains(" · 20") && history.contains("view raw (supplied vectors)"),
        "the day and the vectors: {history}"
    );
    place.run(["promote", "s", "asks"]).exits(0);
    assert!(place.run(["demote", "s", "asks"]).exits(2).stderr.contains("there is a candidate"));
    place.run(["check", "s"]).exits(0);
}

#[test]
fn labels_that_cannot_teach_are_refused_with_the_reason() {
    let place = place();
    let refused = |qrels: &str, more: &[&str]| {
        place.write("bad.tsv", format!("query-id\tcorpus-id\tscore\n{qrels}"));
        let mut arguments = vec!["learn", "s", "bad", "--in", "things"];
        arguments.extend(LABELS);
        arguments.push("bad.tsv");
        arguments.extend(more);
        place.run(arguments).exits(2).stderr
    };
    assert!(refused("q1\tr1\t1\n", &["--respect", "a"]).contains("one question or one record"));
    assert!(refused("q1\tr1\t0\nq2\tr2\t0\n", &["--respect", "b"]).contains("not relevant"));
    assert!(refused("q1\tnowhere\t1\n", &["--respect", "c"]).contains("nowhere"));
    assert!(refused("q999\tr1\t1\n", &["--respect", "d"]).contains("q999"));
    assert!(refused("q1\tr1\t1\n", &["--view", "nothing"]).contains("nothing"));
    place.run(["query", "s", "let mine = score dot"]).exits(0);
    let mut arguments = vec!["learn", "s", "mine", "--in", "things"];
    arguments.extend(LABELS);
    arguments.push("train.tsv");
    assert!(place.run(arguments).exits(2).stderr.contains("was not learned"));
    let nobody = place.run(["learn", "s", "asks", "--in", "things"]).exits(2).stderr;
    assert!(nobody.contains("asks"), "{nobody}");
    assert!(place.run(["history", "s", "asks"]).exits(2).stderr.contains("none was learned yet"));
}

#[test]
fn the_order_of_labels_and_the_number_of_threads_change_nothing() {
    let place = place();
    let report = learn(&place, "asks", "train.tsv", &["--seed", "7"]);
    let lines = qrels(RECORDS, &|at| at);
    let (header, rest) = lines.split_once('\n').unwrap();
    let backwards: Vec<&str> = rest.lines().rev().collect();
    place.write("backwards.tsv", format!("{header}\n{}\n", backwards.join("\n")));
    let mut arguments = vec!["--json", "learn", "s", "asks", "--in", "things", "--respect", "backwards", "--seed", "7"];
    arguments.extend(LABELS);
    arguments.push("backwards.tsv");
    let mut command = place.command(arguments);
    let ran = super::Ran::from(command.env("RAYON_NUM_THREADS", "1").output().unwrap()).exits(0);
    let again = ran.json();
    for what in ["lift", "validation", "setting", "method", "tried", "groups"] {
        assert_eq!(report[what], again[what], "{what}");
    }
    let history = place.run(["--json", "history", "s", "asks"]).exits(0).json();
    assert_eq!(history["fits"][0]["label_hash"], history["fits"][1]["label_hash"]);
    let other = learn(&place, "asks", "train.tsv", &["--seed", "8"]);
    assert_ne!(other["lift"], report["lift"]);
}

#[test]
fn classes_of_a_field_are_learned_as_one_matrix() {
    let place = Place::with_store();
    let mut next = noise(5);
    let (mut corpus, mut rows) = (String::new(), Vec::new());
    // The class shows in two weak directions among strong ones that say nothing.
    for at in 0..180 {
        let kind = ["tea", "ink", "rye"][at % 3];
        writeln!(corpus, r#"{{"id": "r{at}", "text": "record {at}", "kind": "{kind}"}}"#).unwrap();
        let mut row: Vec<f32> = (0..DIMENSION).map(|_| next()).collect();
        row[0] = 0.3 * next() + [0.5, -0.5, 0.0][at % 3];
        row[1] = 0.3 * next() + [0.0, 0.5, -0.5][at % 3];
        rows.push(row);
    }
    place.write("corpus.jsonl", corpus);
    place.write("corpus.npy", npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    place.run(["import", "s", "things", "corpus.jsonl", "--vectors", "corpus.npy"]).exits(0);
    for method in ["infonce", "lda", "auto"] {
        let arguments = ["--json", "learn", "s", method, "--in", "things", "--same-field", "kind", "--method", method];
        let report = place.run(arguments).exits(0).json();
        assert_eq!((&report["promoted"], &report["mode"]), (&true.into(), &"same".into()), "{report}");
        assert!(report["lift"]["new_records"]["mean"].as_f64().unwrap() > 0.1, "{report}");
        assert_eq!(notes(&place, method), "[]");
        // Three classes are too few to leave two out beside two that stay.
        assert!(report["lift"]["new_classes"].is_null() && report["lift"].get("new_classes").is_some(), "{report}");
        let lift = &report["lift"]["new_records"];
        assert_eq!((&lift["metric"], &lift["pool"]), (&"MAP".into(), &36.into()), "{report}");
        assert!(lift["P@10"]["mean"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(report["lift"]["known_records"]["pool"], 144, "{report}");
        let why = report["why"].as_str().unwrap_or_default();
        assert_eq!(
            why.contains("MAP 0.") && why.contains("held-back labels") && why.contains("of the 10 held-out fits"),
            method == "auto",
            "{report}"
        );
    }
    let ridge = ["learn", "s", "x", "--in", "things", "--same-field", "kind", "--method", "ridge"];
    assert!(place.run(ridge).exits(2).stderr.contains("goes with mode pair"));
}

/// Records of ten classes, each of which shows in a direction of its own and in two that all classes share.
fn classes() -> Place {
    let place = Place::with_store();
    let mut next = noise(11);
    let (mut corpus, mut rows) = (String::new(), Vec::new());
    for at in 0..400 {
        let class = at % 10;
        // The last two hundred have no label.
        let kind = if at < 200 { format!(r#", "kind": "c{class}""#) } else { String::new() };
        writeln!(corpus, r#"{{"id": "r{at}", "text": "record {at}"{kind}}}"#).unwrap();
        let mut row: Vec<f32> = (0..24).map(|_| next()).collect();
        row[class] += 0.6;
        row[10] = 0.4 * next() + (class as f32 * 2.4).cos() * 0.6;
        row[11] = 0.4 * next() + (class as f32 * 2.4).sin() * 0.6;
        rows.push(row);
    }
    place.write("corpus.jsonl", corpus);
    place.write("corpus.npy", npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    place.run(["import", "s", "things", "corpus.jsonl", "--vectors", "corpus.npy"]).exits(0);
    place
}

#[test]
fn what_new_classes_must_expect_is_measured_stored_and_shown() {
    let place = classes();
    let learn = |lens: &str, more: &[&str]| {
        let mut arguments = vec!["--json", "learn", "s", lens, "--in", "things", "--same-field", "kind"];
        arguments.extend(more);
        place.run(arguments).exits(0).json()
    };
    let report = learn("kinds", &[]);
    let lift = report["lift"].clone();
    // Of ten classes of twenty records a third are left out whole: 80, 60 and 60 records, the mean over whoever asks.
    for (which, pool) in [("new_records", 40), ("known_records", 160), ("new_classes", 68)] {
        assert_eq!((&lift[which]["metric"], &lift[which]["pool"]), (&"MAP".into(), &pool.into()), "{which}: {report}");
        let figure = |name: &str| lift[which][name].as_f64().unwrap();
        assert!(figure("low") < figure("mean") && figure("mean") < figure("high"), "{report}");
        assert!((0.0..=1.0).contains(&(figure("plain") + figure("mean"))) && figure("plain") > 0.0, "{report}");
    }
    let history = place.run(["--json", "history", "s", "kinds"]).exits(0).json();
    assert_eq!(history["fits"][0]["lift"], lift);
    let shown = place.run(["history", "s", "kinds"]).exits(0).stdout;
    assert!(shown.contains("MAP") && shown.contains("new classes") && shown.contains("new records"), "{shown}");
    let name = report["lens"].as_str().unwrap();
    for shown in [
        place.run(["query", "s", &format!("why #r3: find #r1 in things | using {name}")]),
        place.run(["info", "s"]),
        place.run(["--json", "query", "s", "show lenses"]),
    ] {
        let shown = shown.exits(0).stdout;
        assert!(shown.contains("on new classes"), "{shown}");
    }
    // What is asked for decides: each can be asked for alone.
    for accept in ["known-records", "new-classes"] {
        let report = learn(accept, &["--accept", accept]);
        let lift = &report["lift"][accept.replace('-', "_").as_str()];
        assert_eq!(report["accept"], accept);
        if lift["z"].as_f64().unwrap() <= 1.64 {
            assert_eq!(report["promoted"], false, "{report}");
        }
        place.run(["check", "s"]).exits(0);
    }
}

#[test]
fn few_labels_make_an_untested_candidate() {
    let place = place();
    let few: String = (0..20).map(|at| format!("q{at}\tr{at}\t1\n")).collect();
    place.write("few.tsv", format!("query-id\tcorpus-id\tscore\n{few}"));
    let report = learn(&place, "asks", "few.tsv", &[]);
    assert_eq!((&report["promoted"], &report["method"]), (&false.into(), &"ridge".into()), "{report}");
    assert!(report["lift"]["new_records"].is_null());
    assert!(report["advice"][0].as_str().unwrap().contains("20 labels are too few"), "{report}");
    // Those that say no count, too: enough of both, and what says yes can be held out.
    let wrong: String = (0..30).map(|at| format!("q{at}\tr{}\t0\n", at + 40)).collect();
    let yes: String = (0..30).map(|at| format!("q{at}\tr{at}\t1\n")).collect();
    place.write("both.tsv", format!("query-id\tcorpus-id\tscore\n{yes}{wrong}"));
    let report = learn(&place, "both", "both.tsv", &[]);
    assert_eq!((&report["labels"], &report["judged_wrong"]), (&30.into(), &30.into()));
    assert_eq!(report["lift"]["new_records"]["queries"], 30, "{report}");
    // Those of questions without an answer were given all the same.
    let no: String = (0..60).map(|at| format!("q{}\tr{at}\t{}\n", at, u8::from(at < 10))).collect();
    place.write("ten.tsv", format!("query-id\tcorpus-id\tscore\n{no}"));
    let report = learn(&place, "ten", "ten.tsv", &[]);
    assert!(report["advice"].to_string().contains("10 questions with an answer are too few"), "{report}");
    // Many labels of few questions cannot be held out.
    let few: String = (0..60).map(|at| format!("q{}\tr{at}\t1\n", at % 6)).collect();
    place.write("six.tsv", format!("query-id\tcorpus-id\tscore\n{few}"));
    let report = learn(&place, "six", "six.tsv", &[]);
    assert!(report["lift"]["new_records"].is_null());
    assert!(report["advice"].to_string().contains("6 questions with an answer are too few"), "{report}");
}

#[test]
fn labels_that_contradict_each_other_are_counted() {
    let place = place();
    let lines = qrels(RECORDS, &|at| at);
    place.write("twice.tsv", format!("{lines}q0\tr0\t0\nq1\tr1\t0\nq1\tr1\t1\n"));
    let report = learn(&place, "asks", "twice.tsv", &[]);
    assert_eq!((&report["contradictions"], &report["labels"]), (&2.into(), &149.into()), "{report}");
    let shown = place.run(["learn", "s", "asks", "--in", "things"]).exits(0).stdout;
    assert!(shown.contains("149 labelled pairs"), "{shown}");
    assert!(shown.contains("2 labelled pairs contradict each other") && shown.contains("--conflicts"), "{shown}");
    assert!(shown.contains("--label 200 --queries"), "a lens that answers questions is calibrated on others: {shown}");
}

#[test]
fn a_view_that_is_not_there_is_answered_with_the_nearest() {
    let place = place();
    for command in ["learn", "try"] {
        let name: &[&str] = if command == "learn" { &["asks"] } else { &[] };
        let mut arguments = vec![command, "s"];
        arguments.extend(name);
        arguments.extend(["--in", "things", "--view", "rwa"]);
        arguments.extend(LABELS);
        arguments.push("train.tsv");
        let refused = place.run(arguments).exits(2).stderr;
        assert!(refused.contains("did you mean \"raw\""), "{refused}");
    }
}

#[test]
fn a_learned_matrix_is_refused_over_other_vectors() {
    let place = place();
    learn(&place, "asks", "train.tsv", &[]);
    place.run(["view", "s", "things", "other", "--vectors-only"]).exits(0);
    let fill =
        ["import", "s", "things", "corpus.jsonl", "--vectors", "queries.npy", "--view", "other", "--only-vectors"];
    place.run(fill).exits(0);
    let error =
        place.run(["--json", "query", "s", "find #r1 in things | view other | project asks"]).exits(2).json_error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("fitted on other vectors: view `raw`, here `other`"), "{message}");
    place.run(["import", "s", "copies", "corpus.jsonl", "--vectors", "corpus.npy"]).exits(0);
    let error = place.run(["query", "s", "find #r1 in copies | using asks"]).exits(2).stderr;
    assert!(error.contains("collection `things`, here `copies`"), "{error}");
    place.run(["import", "s", "texts", "corpus.jsonl"]).exits(0);
    let error = place.run(["query", "s", "find #r1 in texts | project asks"]).exits(2).stderr;
    assert!(error.contains("embedder none, here `static-"), "{error}");
}

#[test]
fn what_is_stopped_is_kept_as_a_candidate() {
    let place = place();
    let report = learn(&place, "asks", "train.tsv", &["--time", "0.001s"]);
    assert_eq!((&report["promoted"], &report["interrupted"]), (&false.into(), &true.into()), "{report}");
    assert!(report["advice"][0].as_str().unwrap().contains("stopped"), "{report}");
    let store = simile::Store::open(place.path("s")).unwrap();
    let token = simile::types::CancelToken::new();
    let stop = token.clone();
    let report = simile::learn::Learner::new(&store, "asks")
        .in_collection("things")
        .method(simile::types::LearnMethod::InfoNce)
        .control(simile::types::Control::new().cancelled_by(token))
        .on_progress(move |progress| {
            if matches!(progress, simile::learn::LearnProgress::Epoch { epoch: 2, .. }) {
                stop.cancel();
            }
        })
        .run()
        .unwrap();
    assert!(report.interrupted && report.name == "asks@candidate" && report.setting <= 2.0, "{report:?}");
    drop(store);
    assert!(notes(&place, "asks@candidate").contains("is a candidate"));
}

#[test]
fn labels_twice_and_of_nothing_else_change_nothing_and_wrong_answers_are_no_answers() {
    let place = place();
    let report = learn(&place, "once", "train.tsv", &[]);
    let lines = qrels(RECORDS, &|at| at);
    place.write("twice.tsv", format!("{lines}{}", lines.split_once('\n').unwrap().1));
    let twice = learn(&place, "twice", "twice.tsv", &[]);
    for what in ["lift", "validation", "setting", "labels", "queries"] {
        assert_eq!(report[what], twice[what], "{what}");
    }
    let wrong: String = (0..RECORDS).map(|at| format!("q{at}\tr{}\t0\n", (at + 7) % RECORDS)).collect();
    place.write("graded.tsv", format!("{lines}{wrong}"));
    let graded = learn(&place, "graded", "graded.tsv", &[]);
    assert_eq!((&graded["labels"], &graded["records"], &graded["promoted"]), (&150.into(), &150.into(), &true.into()));
    let hash =
        |lens: &str| place.run(["--json", "history", "s", lens]).exits(0).json()["fits"][0]["label_hash"].clone();
    assert_eq!(hash("once"), hash("twice"));
    assert_ne!(hash("once"), hash("graded"));
}

#[test]
fn vectors_that_do_not_fit_and_degenerate_labels_have_defined_ends() {
    let place = place();
    let with = |vectors: &str, respect: &str| {
        let arguments =
            ["learn", "s", respect, "--in", "things", "--queries", "queries.jsonl", "--query-vectors", vectors];
        place.run(arguments.into_iter().chain(["--qrels", "train.tsv"])).exits(2).stderr
    };
    place.write("short.npy", npy(&vec![&[0.5, 1.0, 2.0][..]; RECORDS]));
    let short = with("short.npy", "short");
    assert!(short.contains('3') && short.contains("12"), "{short}");
    place.write("nan.npy", npy(&vec![&[f32::NAN; DIMENSION][..]; RECORDS]));
    let nan = with("nan.npy", "nan");
    assert!(nan.contains("NaN") && nan.contains("q0"), "{nan}");
    place.write("few.npy", npy(&[&[0.5; DIMENSION][..]; 3]));
    assert!(with("few.npy", "few").contains("150 queries, but 3 vectors"));
    // Questions that are all alike tell nothing apart.
    place.write("same.npy", npy(&vec![&[0.5; DIMENSION][..]; RECORDS]));
    assert!(with("same.npy", "same").contains("one question or one record"));
    // A field with one value for all.
    let corpus: String =
        (0..30).map(|at| format!("{{\"id\": \"a{at}\", \"text\": \"a\", \"kind\": \"tea\"}}\n")).collect();
    place.write("alike.jsonl", corpus);
    let mut next = noise(3);
    let rows: Vec<Vec<f32>> = (0..30).map(|_| (0..DIMENSION).map(|_| next()).collect()).collect();
    place.write("alike.npy", npy(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    place.run(["import", "s", "alike", "alike.jsonl", "--vectors", "alike.npy"]).exits(0);
    let one = place.run(["learn", "s", "one", "--in", "alike", "--same-field", "kind"]).exits(2).stderr;
    assert!(one.contains("only one class"), "{one}");
    // Records that answer themselves, and nothing else.
    let pairs: String = (0..60).map(|at| format!("{{\"query_record\": \"r{at}\", \"record\": \"r{at}\"}}\n")).collect();
    place.write("selves.jsonl", pairs);
    place.run(["label", "s", "--in", "things", "--respect", "selves", "--pairs", "selves.jsonl"]).exits(0);
    let selves = place.run(["learn", "s", "selves", "--in", "things"]).exits(2).stderr;
    assert!(selves.contains("no labels that count"), "{selves}");
}

/// Learns, sends Ctrl-C when `word` is heard of, and answers with the report.
#[cfg(unix)]
fn interrupted_at(place: &Place, word: &str) -> Json {
    use std::io::{BufRead, BufReader};
    let mut arguments = vec!["--json", "learn", "s", "asks", "--in", "things", "--progress", "json"];
    arguments.extend(LABELS);
    arguments.extend(["train.tsv", "--method", "infonce"]);
    let mut command = place.command(arguments);
    // On one thread the parts of the gate come one after the other.
    command.env("RAYON_NUM_THREADS", "1").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut heard = false;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        if line.unwrap().contains(word) && !heard {
            heard = true;
            let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
            assert!(sent.success());
        }
    }
    assert!(heard, "{word}");
    super::Ran::from(child.wait_with_output().unwrap()).exits(0).json()
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_the_best_so_far_as_a_candidate() {
    let place = place_of(900, 64);
    for word in ["\"epoch\"", "\"gate\""] {
        let report = interrupted_at(&place, word);
        let said = (&report["lens"], &report["promoted"], &report["interrupted"]);
        assert_eq!(said, (&"asks@candidate".into(), &false.into(), &true.into()), "{report}");
        assert!(report["setting"].as_f64().unwrap() >= 1.0, "{report}");
        assert!(report["lift"]["new_records"].is_null() && report["advice"][0].as_str().unwrap().contains("stopped"));
        assert!(notes(&place, "asks@candidate").contains("is a candidate"));
    }
    place.run(["check", "s"]).exits(0);
}
