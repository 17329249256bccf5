//! What a score means: percentiles, calibrations and their reliability, `diagnose`.

use super::{Place, notes, npy};
use serde_json::Value as Json;

const KEYS: &str = "find \"Where are my keys?\" in notes";
const DIMENSION: usize = 8;

/// Numbers that look random and are the same everywhere, -1 to 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSION).map(|_| self.next() as f32).collect()
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// 120 points with supplied vectors and a saved lens `near`.
fn points() -> (Place, Vec<Vec<f32>>) {
    let place = Place::with_store();
    let mut numbers = Numbers(17);
    let vectors: Vec<Vec<f32>> = (0..120).map(|_| numbers.vector()).collect();
    let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    place.write("p.npy", npy(&rows));
    let lines: String = (0..120).map(|idx| format!("{{\"id\": \"p{idx}\", \"text\": \"point {idx}\"}}\n")).collect();
    place.write("p.jsonl", lines);
    place.run(["import", "s", "points", "p.jsonl", "--vectors", "p.npy"]).exits(0);
    place.run(["query", "s", "let near = score cosine"]).exits(0);
    (place, vectors)
}

/// Judgements of every other point by the first `queries` points, whose chance to be relevant follows the cosine.
fn judgements(vectors: &[Vec<f32>], queries: usize) -> String {
    let mut numbers = Numbers(5);
    let mut lines = String::new();
    for asked in 0..queries {
        for record in (0..vectors.len()).filter(|record| *record != asked) {
            let logit = 8.0 * cosine(&vectors[asked], &vectors[record]) - 5.0;
            let grade = u8::from((numbers.next() + 1.0) / 2.0 < 1.0 / (1.0 + (-logit).exp()));
            lines.push_str(&format!(
                "{{\"query_record\": \"p{asked}\", \"record\": \"p{record}\", \"grade\": {grade}}}\n"
            ));
        }
    }
    lines
}

#[test]
fn every_hit_has_its_percentile_and_the_answer_says_of_what() {
    let place = notes();
    let answer = place.run(["--json", "query", "s", KEYS]).exits(0).json();
    assert_eq!(answer["background"]["pairs"], 6);
    assert!(answer["background"]["elapsed_ms"].is_f64() && answer["elapsed_ms"].is_f64());
    for hit in answer["results"].as_array().unwrap() {
        let percentile = hit["percentile"].as_f64().unwrap();
        assert!((0.0..=99.9).contains(&percentile) && hit["percentile"].to_string().len() <= 4, "{hit}");
    }
    let shown = place.run(["query", "s", KEYS]).exits(0).stdout;
    assert!(shown.contains(" score  pctl  ") && shown.contains("pctl of 6 random pairs"), "{shown}");
    let csv = place.run(["query", "s", KEYS, "--format", "csv"]).exits(0).stdout;
    assert!(csv.starts_with("rank,id,score,percentile,text"), "{csv}");
    // Nothing to hold it against: texts, and a collection of one record.
    let edits = place.run(["--json", "query", "s", &format!("{KEYS} | score levenshtein")]).exits(0).json();
    assert_eq!((&edits["results"][0]["percentile"], &edits["background"]), (&Json::Null, &Json::Null));
    place.write("one.jsonl", "{\"id\": \"a\", \"text\": \"keys\"}\n");
    place.run(["import", "s", "one", "one.jsonl"]).exits(0);
    let alone = place.run(["--json", "query", "s", "find \"keys\" in one"]).exits(0).json();
    assert_eq!((&alone["results"][0]["percentile"], &alone["background"]), (&Json::Null, &Json::Null));
    let shown = place.run(["query", "s", "find \"keys\" in one"]).exits(0).stdout;
    assert!(!shown.contains("pctl"), "{shown}");
}

#[test]
fn judged_hits_make_a_calibration_that_says_how_far_to_believe_it() {
    let (place, vectors) = points();
    place.write("judged.jsonl", judgements(&vectors, 60));
    let report = place.run(["--json", "calibrate", "s", "near", "--judged", "judged.jsonl"]).exits(0).json();
    assert_eq!((&report["judged"], &report["queries"], &report["top"]), (&600.into(), &60.into(), &10.into()));
    assert_eq!((&report["outside"], &report["method"]), (&(60 * 109).into(), &"platt".into()));
    let scale = report["scale"].as_f64().unwrap();
    assert!((4.0..14.0).contains(&scale), "{report}");
    let reliability = &report["reliability"];
    assert!(reliability["ece"].as_f64().unwrap() < 0.08, "{report}");
    assert!(report["raw_ece"].as_f64().unwrap() > reliability["ece"].as_f64().unwrap(), "{report}");
    assert!(reliability["log_loss"].as_f64().unwrap() < reliability["base_log_loss"].as_f64().unwrap());
    let hits: u64 = reliability["table"].as_array().unwrap().iter().map(|bin| bin["hits"].as_u64().unwrap()).sum();
    assert_eq!(hits, 600);
    // It is used, and says where it comes from.
    let search = "find #p100 in points | using near | score probability";
    let answer = place.run(["--json", "query", "s", search]).exits(0).json();
    let calibration = &answer["lens"]["calibration"];
    assert_eq!((&calibration["labels"], &calibration["stale"]), (&600.into(), &Json::Null));
    assert!((calibration["ece"].as_f64().unwrap() - reliability["ece"].as_f64().unwrap()).abs() < 1e-12);
    let first = answer["results"][0]["score"].as_f64().unwrap();
    let best = answer["results"][0]["id"].as_str().unwrap()[1..].parse::<usize>().unwrap();
    let logit = scale * cosine(&vectors[100], &vectors[best]) + report["bias"].as_f64().unwrap();
    assert!((first - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    let shown = place.run(["query", "s", search]).exits(0).stdout;
    assert!(shown.contains("Platt, 600 judged hits of 60 queries"), "{shown}");
    // `why` has it with its interval, whether a probability is asked for or not.
    let why = format!("why #p{best}: find #p100 in points | using near");
    let told = place.run(["--json", "query", "s", &why]).exits(0).json();
    let error = told["calibrated"]["error"].as_f64().unwrap();
    assert!((told["calibrated"]["probability"].as_f64().unwrap() - first).abs() < 1e-12);
    assert!((0.01..0.3).contains(&error), "{told}");
    let shown = place.run(["query", "s", &why]).exits(0).stdout;
    assert!(shown.contains(" ± 0.") && shown.contains("(600 judged hits, 20"), "{shown}");
    // A longer list than was judged, changed records: it says so.
    let longer = place.run(["--json", "query", "s", &format!("{search} | top 50")]).exits(0).json();
    let stale = longer["lens"]["calibration"]["stale"].as_str().unwrap();
    assert!(stale.contains("first 10 hits") && stale.contains("lists 50"), "{stale}");
    assert!(longer["notes"][0].as_str().unwrap().contains("calibrate it again"), "{longer}");
    place.run(["remove", "s", "points", "p118"]).exits(0);
    let shown = place.run(["query", "s", search]).exits(0).stdout;
    assert!(shown.replace('\n', " ").contains("1 commit changed the records since"), "{shown}");
    place.run(["check", "s"]).exits(0);
    let shown = place.run(["calibrate", "s", "near", "--judged", "judged.jsonl", "--top", "5"]).exits(0).stdout;
    assert!(shown.contains("among the first 5 of") && shown.contains("not counted"), "{shown}");
    assert!(shown.contains("calibration error 0.") && shown.contains("in place of: Platt, 600"), "{shown}");
}

#[test]
fn judgements_that_cannot_make_a_calibration_say_why() {
    let (place, vectors) = points();
    let told = |file: &str, rest: &[&str]| {
        place.write("j.jsonl", file);
        let arguments = ["calibrate", "s", "near", "--judged", "j.jsonl"].iter().chain(rest);
        place.run(arguments).exits(2).stderr
    };
    let all = judgements(&vectors, 20);
    let few = told(&judgements(&vectors, 4), &[]);
    assert!(few.contains("40 judged hits") && few.contains("at least 50") && few.contains("436 more"), "{few}");
    assert!(told(&all.replace("\"grade\": 1", "\"grade\": 0"), &[]).contains("none of them is relevant"));
    assert!(told(&all.replace("\"grade\": 0", "\"grade\": 2"), &[]).contains("all of them are relevant"));
    let one = told(&judgements(&vectors, 1), &["--top", "100"]);
    assert!(one.contains("of a single query"), "{one}");
    let turned = all
        .replace("\"grade\": 1", "\"grade\": 9")
        .replace("\"grade\": 0", "\"grade\": 1")
        .replace("\"grade\": 9", "\"grade\": 0");
    assert!(told(&turned, &["--top", "100"]).contains("score no higher than the others"));
    assert!(told("q1\tp1\t1\n", &[]).contains("--queries"));
    assert!(told("{\"record\": \"p1\"}\n", &[]).contains("line 1"));
    assert!(told("\n", &[]).contains("no judgements"));
    place.write("j.jsonl", &all);
    let unknown = place.run(["calibrate", "s", "nearr", "--judged", "j.jsonl"]).exits(2).stderr;
    assert!(unknown.contains("did you mean \"near\""), "{unknown}");
    assert!(
        place
            .run(["calibrate", "s", "near", "--judged", "j.jsonl", "--in", "point"])
            .exits(2)
            .stderr
            .contains("points")
    );
    // Few, but enough: a warning.
    let warned = place.run(["calibrate", "s", "near", "--judged", "j.jsonl", "--top", "6"]).exits(0).stdout;
    assert!(warned.contains("note: 120 judged hits are few"), "{warned}");
}

#[test]
fn judgements_in_the_form_of_beir_and_their_queries() {
    let (place, vectors) = points();
    let rows: Vec<&[f32]> = vectors.iter().take(30).map(Vec::as_slice).collect();
    place.write("q.npy", npy(&rows));
    let lines: String = (0..30).map(|idx| format!("{{\"_id\": \"q{idx}\", \"text\": \"\"}}\n")).collect();
    place.write("q.jsonl", lines);
    let mut numbers = Numbers(9);
    let mut qrels = "query-id\tcorpus-id\tscore\n".to_string();
    for asked in 0..30 {
        for record in 0..120 {
            let relevant = cosine(&vectors[asked], &vectors[record]) + 0.3 * numbers.next() > 0.6;
            qrels.push_str(&format!("q{asked}\tp{record}\t{}\n", u8::from(relevant)));
        }
    }
    place.write("qrels.tsv", qrels);
    let arguments = ["--json", "calibrate", "s", "near", "--judged", "qrels.tsv", "--queries", "q.jsonl"];
    let report = place.run(arguments.iter().chain(&["--query-vectors", "q.npy"])).exits(0).json();
    assert_eq!((&report["judged"], &report["queries"]), (&300.into(), &30.into()));
    // The queries are texts without their vectors, and the view takes none.
    assert!(place.run(arguments).exits(2).stderr.contains("error"));
}

#[test]
fn diagnose_says_what_is_unusual_and_what_to_try() {
    let (place, vectors) = points();
    let told = place.run(["--json", "diagnose", "s", "points"]).exits(0).json();
    assert_eq!((&told["view"], &told["sample"], &told["records"]), (&"raw".into(), &120.into(), &120.into()));
    let findings = told["findings"].as_array().unwrap();
    for finding in findings {
        let has = |key: &str| finding.get(key).is_some();
        assert!(["key", "what", "value", "usual", "flag", "means", "try"].into_iter().all(has), "{finding}");
        assert!(finding["flag"] == true || finding["try"].is_null(), "{finding}");
    }
    let of = |told: &Json, key: &str| {
        told["findings"].as_array().unwrap().iter().find(|finding| finding["key"] == key).cloned().unwrap_or_default()
    };
    assert_eq!(of(&told, "norm_spread")["flag"], true, "the vectors are not of one length");
    assert_eq!(of(&told, "mean_cosine")["flag"], false);
    assert!(told["notes"][0].as_str().unwrap().contains("120 records are few"));
    let shown = place.run(["diagnose", "s", "points"]).exits(0).stdout;
    assert!(shown.contains("! spread of lengths") && shown.contains("try: find ... in points | view raw"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    // Every figure says what it means, whether it is usual or not.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for finding in findings {
        let means = finding["means"].as_str().unwrap();
        assert!(!means.is_empty() && words(&shown).contains(&words(means)), "{means}: {shown}");
    }
    // Queries from elsewhere: shifted along one axis.
    let asked: Vec<Vec<f32>> = vectors.iter().take(40).map(|v| [&[v[0] + 3.0], &v[1..]].concat()).collect();
    place.write("q.npy", npy(&asked.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let lines: String = (0..40).map(|idx| format!("{{\"_id\": \"q{idx}\", \"text\": \"\"}}\n")).collect();
    place.write("q.jsonl", lines);
    let with = ["--json", "diagnose", "s", "points", "--queries", "q.jsonl", "--query-vectors", "q.npy"];
    let told = place.run(with).exits(0).json();
    assert_eq!((&told["queries"], &of(&told, "sides")["flag"]), (&40.into(), &true.into()));
    let arguments = ["sample", "s", "asked", "--in", "points", "--queries", "q.jsonl", "--query-vectors", "q.npy"];
    place.run(arguments).exits(0);
    let stored = place.run(["--json", "diagnose", "s", "points", "--sample", "asked"]).exits(0).json();
    assert_eq!(of(&stored, "sides"), of(&told, "sides"));
    assert!(place.run(["diagnose", "s", "points", "--view", "rwa"]).exits(2).stderr.contains("did you mean \"raw\""));
    assert!(place.run(["diagnose", "s", "points", "--sample", "x"]).exits(2).stderr.contains("asked"));
    assert!(place.run(["diagnose", "s", "points", "--queries", "q.jsonl"]).exits(2).stderr.contains("--query-vectors"));
    assert!(place.run(["diagnose", "s", "point"]).exits(2).stderr.contains("points"));
}

/// Questions that are points seen from elsewhere: shifted, with a little noise, and the point as the answer of each.
fn shifted(place: &Place, vectors: &[Vec<f32>], answer: impl Fn(usize) -> usize) {
    let mut numbers = Numbers(77);
    let asked: Vec<Vec<f32>> = vectors
        .iter()
        .take(60)
        .map(|vector| {
            let moved = vector.iter().enumerate();
            let shift = |axis: usize| if axis < 2 { 2.5 } else { 0.0 };
            moved.map(|(axis, x)| x + shift(axis) + 0.3 * numbers.next() as f32).collect()
        })
        .collect();
    place.write("q.npy", npy(&asked.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let lines: String = (0..60).map(|idx| format!("{{\"_id\": \"q{idx}\", \"text\": \"\"}}\n")).collect();
    place.write("q.jsonl", lines);
    let qrels: String = (0..60).map(|idx| format!("q{idx}\tp{}\t1\n", answer(idx))).collect();
    place.write("qrels.tsv", format!("query-id\tcorpus-id\tscore\n{qrels}"));
}

const GIVEN: [&str; 6] = ["--queries", "q.jsonl", "--query-vectors", "q.npy", "--qrels", "qrels.tsv"];

#[test]
fn try_holds_lenses_against_labels_and_saves_nothing() {
    let (place, vectors) = points();
    shifted(&place, &vectors, |idx| idx);
    let arguments = ["--json", "try", "s", "--in", "points"];
    let before = place.run(["--json", "info", "s"]).exits(0).json();
    let told = place.run(arguments.iter().chain(&GIVEN)).exits(0).json();
    assert_eq!((&told["measure"], &told["queries"], &told["left_out"]), (&"MRR@10".into(), &60.into(), &0.into()));
    let tried = told["tried"].as_array().unwrap();
    let best = &tried[0];
    assert_eq!((&best["lens"], &best["better"]), (&"center sides from SAMPLE".into(), &true.into()), "{told}");
    assert!(best["low"].as_f64().unwrap() > 0.1 && best["z"].as_f64().unwrap() > 4.0, "{best}");
    let plain = told["plain"]["mean"].as_f64().unwrap();
    for tried in tried {
        let number = |key: &str| tried[key].as_f64().unwrap();
        assert!((number("mean") - plain - number("difference")).abs() < 1e-9, "{tried}");
        assert!(number("low") <= number("difference") && number("difference") <= number("high"), "{tried}");
    }
    let order: Vec<f64> = tried.iter().map(|tried| tried["difference"].as_f64().unwrap()).collect();
    assert!(order.is_sorted_by(|a, b| a >= b));
    for stages in ["center corpus", "score cosine csls 10 from SAMPLE", "whiten", "standardize", "drop 1"] {
        assert!(tried.iter().any(|tried| tried["lens"] == stages), "{stages}");
    }
    assert_eq!(place.run(["--json", "info", "s"]).exits(0).json(), before);
    // Plain cosine does what `evaluate` says it does.
    let search = "find $q in points | top 10";
    let evaluated = place.run(["--json", "evaluate", "s", search].iter().chain(&GIVEN)).exits(0).json();
    let figure = evaluated["MRR@10"].as_f64().or(evaluated["MRR@10"]["mean"].as_f64());
    assert!(figure.is_none_or(|figure| (figure - plain).abs() < 1e-9), "{evaluated}");
    let shown = place.run(["try", "s", "--in", "points"].iter().chain(&GIVEN)).exits(0).stdout;
    assert!(shown.contains("score cosine (plain)") && shown.contains("nothing was saved"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
}

#[test]
fn try_says_when_nothing_helps_or_can_be_said() {
    let (place, vectors) = points();
    shifted(&place, &vectors, |idx| (idx * 37 + 11) % 120);
    let told = place.run(["--json", "try", "s", "--in", "points"].iter().chain(&GIVEN)).exits(0).json();
    assert!(told["tried"].as_array().unwrap().iter().all(|tried| tried["better"] == false), "{told}");
    assert!(told["notes"][1].as_str().unwrap().contains("no evidence"), "{told}");
    place.write("qrels.tsv", "q1\tp1\t1\nq2\tp2\t0\nq3\tnobody\t1\n");
    let few = place.run(["try", "s", "--in", "points"].iter().chain(&GIVEN)).exits(2).stderr;
    assert!(few.contains("1 questions have an answer") && few.contains("20"), "{few}");
    assert!(place.run(["try", "s", "--in", "points", "--respect", "nothing"]).exits(2).stderr.contains("nothing"));
    place.run(["try", "s", "--in", "points"]).exits(2);
}
