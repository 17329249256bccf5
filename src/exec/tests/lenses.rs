//! Saved lenses with everything that hangs on them: samples, pinned statistics and their age, calibrations.

use super::*;
use crate::error::ErrorKind;
use crate::exec::{Reply, Session};
use crate::lens::{Chain, Prepared, Projection, SampleRows};
use crate::store::Stored;
use crate::types::{Calibration, CalibrationMap, Control, SampleDef, SampleVectors, Statistic, Value};

/// Stores a sample of `count` queries for `words`, with vectors for `view`.
fn put_sample(fixture: &Fixture, name: &str, view: &str, dimension: usize, count: usize) -> Stored {
    let mut numbers = Numbers(99);
    let ids: Vec<String> = (0..count).map(|idx| format!("q{idx}")).collect();
    let data = numbers.vector(count * dimension);
    let vectors = Some(SampleVectors { view: view.to_string(), dimension: dimension as u32, data });
    let collection = fixture.snapshot().collection("words").unwrap().def().id;
    let texts = vec![String::new(); count];
    let mut batch = fixture.store.begin().unwrap();
    let stored = batch.put_sample(SampleDef { ids, texts, vectors, ..SampleDef::new(name, collection) }).unwrap();
    batch.commit().unwrap();
    stored
}

fn calibrate(fixture: &Fixture, lens: &str, map: CalibrationMap) {
    let mut batch = fixture.store.begin().unwrap();
    batch.put_calibration(lens, Calibration { map, ..Calibration::supplied(1.0, 0.0) }).unwrap();
    batch.commit().unwrap();
}

fn let_lens(fixture: &Fixture, statement: &str) {
    Session::new(&fixture.store).run(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
}

fn insert(fixture: &Fixture, id: &str, vector: Vec<f32>) {
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().upsert(Record::new(id, id).vector("raw", vector)).unwrap();
    batch.commit().unwrap();
}

#[test]
fn a_sample_that_is_not_there_or_does_not_fit_is_named_with_what_would() {
    let (fixture, _) = words();
    let error = fixture.error("find #w9 in words | center sides from asked");
    assert_eq!((error.code, &error.text[error.span.clone()]), ("resolve::no_such_sample", "asked"));
    assert!(error.hints.iter().any(|hint| hint.contains("simile sample STORE")), "{:?}", error.hints);
    assert_eq!(put_sample(&fixture, "asked", "raw", DIMENSION, 20), Stored::New);
    let error = fixture.error("find #w9 in words | score cosine csls 5 from askd");
    assert_eq!((error.code, &error.text[error.span.clone()]), ("resolve::no_such_sample", "askd"));
    let corrected = "find #w9 in words | score cosine csls 5 from asked";
    assert_eq!(error.corrected.as_deref(), Some(corrected));
    assert!(error.hints.contains(&"samples: asked".to_string()), "{:?}", error.hints);
    // The vectors are for another view, and there are no texts to embed.
    let error = fixture.error("find #w9 in words | view other | center sides from asked");
    assert_eq!((error.code, &error.text[error.span.clone()]), ("resolve::sample_vectors", "asked"));
    let told = "view `other` takes vectors of 4 numbers; sample `asked` has vectors of 8 numbers for view `raw`";
    assert_eq!(error.message, told);
    let error = fixture.error("find #w9 in words | score dot csls 21 from asked");
    assert_eq!((error.code, &error.text[error.span.clone()]), ("resolve::csls_neighbours", "csls 21 from asked"));
    assert!(error.message.contains("has 20 queries"), "{}", error.message);
}

#[test]
fn a_sample_under_a_lens_keeps_its_queries() {
    let (fixture, _) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 20);
    assert_eq!(put_sample(&fixture, "asked", "raw", DIMENSION, 20), Stored::Unchanged);
    assert_eq!(put_sample(&fixture, "asked", "raw", DIMENSION, 25), Stored::Replaced);
    let mut batch = fixture.store.begin().unwrap();
    let lens = |steps, csls| crate::types::LensDef { steps, csls, ..Default::default() };
    let step = crate::types::Step::CenterSides("asked".to_string());
    batch.put_lens("sided", lens(vec![step], None), Vec::new()).unwrap();
    batch.commit().unwrap();
    assert_eq!(put_sample(&fixture, "asked", "raw", DIMENSION, 25), Stored::Unchanged);
    let collection = fixture.snapshot().collection("words").unwrap().def().id;
    let other = || SampleDef {
        ids: vec!["q".to_string()],
        texts: vec!["other".to_string()],
        ..SampleDef::new("asked", collection)
    };
    let refused = fixture.store.begin().unwrap().put_sample(other()).unwrap_err();
    assert!(refused.message().contains("saved lens sided (`center sides`)"), "{refused}");
    let refused = fixture.store.begin().unwrap().drop_sample("asked").unwrap_err();
    assert!(refused.message().contains("drop the lens first"), "{refused}");
    let mut batch = fixture.store.begin().unwrap();
    batch.drop_lens("sided").unwrap();
    batch.put_lens("hubs", lens(Vec::new(), Some((5, "asked".to_string()))), Vec::new()).unwrap();
    assert!(batch.put_sample(other()).unwrap_err().message().contains("(`csls`)"));
    drop(batch);
    let mut batch = fixture.store.begin().unwrap();
    batch.drop_lens("hubs").unwrap();
    batch.drop_lens("sided").unwrap();
    assert!(batch.drop_sample("asked").unwrap());
    assert!(!batch.drop_sample("asked").unwrap());
    batch.commit().unwrap();
    assert!(fixture.snapshot().samples().unwrap().is_empty());
    assert!(fixture.store.check().unwrap().is_ok());
}

#[test]
fn a_sample_must_fit_its_collection() {
    let (fixture, _) = words();
    let collection = fixture.snapshot().collection("words").unwrap().def().id;
    let refused = |change: &dyn Fn(&mut SampleDef)| {
        let mut sample = SampleDef::new("asked", collection);
        sample.ids = vec!["q".to_string()];
        sample.texts = vec!["where?".to_string()];
        change(&mut sample);
        fixture.store.begin().unwrap().put_sample(sample).unwrap_err()
    };
    let vectors =
        |view: &str, data: Vec<f32>| Some(SampleVectors { view: view.to_string(), dimension: data.len() as u32, data });
    for (change, told) in [
        (&(|s: &mut SampleDef| s.ids.clear()) as &dyn Fn(&mut SampleDef), "has no queries"),
        (&|s| s.texts.clear(), "has 1 ids and 0 texts"),
        (&|s| s.texts = vec![String::new()], "has neither texts nor vectors"),
        (&|s| s.vectors = vectors("raw", vec![1.0; 3]), "has vectors of 3 numbers, view raw of words has 8"),
        (&|s| s.vectors = vectors("othr", vec![1.0; 4]), "did you mean \"other\"?"),
        (&|s| s.vectors = vectors("other", vec![f32::NAN; 4]), "is not finite"),
        (&|s| s.collection = crate::types::CollectionId(77), "there is no collection number 77"),
        (&|s| s.name = "from".to_string(), "from"),
    ] {
        let error = refused(change);
        assert!(error.message().contains(told), "{told}: {error}");
    }
}

#[test]
fn age_counts_what_changed_the_records_and_nothing_else() {
    let (fixture, vectors) = words();
    let_lens(&fixture, "let centered = center corpus | score dot");
    let behind = || {
        let answer = fixture.run("find #w9 in words | using centered | top 1");
        let info = fixture.store.info().unwrap();
        assert_eq!(info.lenses[0].stale_commits, answer.header.pinned.unwrap().commits_behind);
        info.lenses[0].stale_commits
    };
    assert_eq!(behind(), 0);
    // Another lens, another view and another collection leave it as fresh as it was.
    let_lens(&fixture, "let other = view other | center corpus");
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().set_vector("w6", "other", vec![1.0; 4]).unwrap();
    batch.create_collection("more", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.collection("more").unwrap().insert(Record::new("m", "m").vector("raw", vec![1.0; DIMENSION])).unwrap();
    batch.commit().unwrap();
    assert_eq!(behind(), 0);
    insert(&fixture, "new", vectors[12].clone());
    assert_eq!(behind(), 1);
    // The same again is no change.
    insert(&fixture, "new", vectors[12].clone());
    assert_eq!(behind(), 1);
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().remove("w20").unwrap();
    batch.commit().unwrap();
    assert_eq!(behind(), 2);
}

#[test]
fn analyze_computes_what_is_behind_and_only_that() {
    let (fixture, vectors) = words();
    let_lens(&fixture, "let centered = center corpus | normalize | center corpus | score dot");
    let_lens(&fixture, "let plain = score dot");
    let nothing = fixture.store.analyze(None, &Control::new()).unwrap();
    assert_eq!((nothing.commit, nothing.unchanged, nothing.statistics.len()), (None, 2, 0));
    insert(&fixture, "far", vec![100.0; DIMENSION]);
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("later", CollectionSpec::new().supplied_vectors()).unwrap();
    for (id, vector) in [("a", &vectors[5]), ("b", &vectors[6])] {
        batch.collection("later").unwrap().insert(Record::new(id, id).vector("raw", vector.clone())).unwrap();
    }
    batch.commit().unwrap();
    let query = "find [1, 0, 0, 0, 0, 0, 0, 0] in words";
    let stages = "center corpus | normalize | center corpus | score dot | top 50";
    let ad_hoc = fixture.run(&format!("{query} | {stages}"));
    assert_ne!(fixture.run(&format!("{query} | using centered | top 50")).hits(), ad_hoc.hits());
    let version = fixture.snapshot().lens("centered").unwrap().unwrap().version;
    let only = fixture.store.analyze(Some("later"), &Control::new()).unwrap();
    assert_eq!((only.statistics.len(), only.unchanged), (2, 0));
    assert!(only.statistics.iter().all(|statistic| statistic.collection == "later" && statistic.before.is_none()));
    assert_eq!(fixture.run("find #w9 in words | using centered").header.pinned.unwrap().commits_behind, 1);
    let rest = fixture.store.analyze(None, &Control::new()).unwrap();
    assert_eq!((rest.statistics.len(), rest.unchanged, rest.commit), (2, 2, Some(fixture.snapshot().commit())));
    assert_eq!(rest.statistics[0].before.unwrap().1, 1);
    assert_eq!((rest.statistics[0].records, rest.statistics[1].records, rest.statistics[1].step_idx), (41, 41, 2));
    let renewed = fixture.run(&format!("{query} | using centered | top 50"));
    assert_eq!(renewed.hits(), ad_hoc.hits());
    assert_eq!(renewed.header.pinned.unwrap().commits_behind, 0);
    assert_eq!(fixture.snapshot().lens("centered").unwrap().unwrap().version, version);
    assert_eq!(fixture.store.analyze(None, &Control::new()).unwrap().commit, None);
    assert!(fixture.store.check().unwrap().is_ok());
    let missing = fixture.store.analyze(Some("wrds"), &Control::new()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let token = crate::types::CancelToken::new();
    token.cancel();
    insert(&fixture, "far", vec![99.0; DIMENSION]);
    let cancelled = fixture.store.analyze(None, &Control::new().cancelled_by(token)).unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_probability_ranks_by_the_score_and_shows_the_map() {
    let (fixture, _) = words();
    for (metric, sign) in [("cosine", 1.0), ("dot", 1.0), ("pearson", 1.0), ("euclidean", -1.0), ("levenshtein", -1.0)]
    {
        let_lens(&fixture, &format!("let lens = score {metric}"));
        for (map, ties) in [
            (CalibrationMap::Logistic { scale: 3.0, bias: -0.5 }, false),
            (CalibrationMap::Isotonic { scores: vec![-1.0, 0.0, 0.5], probabilities: vec![0.125, 0.5, 0.75] }, true),
        ] {
            calibrate(&fixture, "lens", map.clone());
            let raw = fixture.run("find #w9 in words | using lens | top 40");
            let answer = fixture.run("find #w9 in words | using lens | score probability | top 40");
            assert_eq!(answer.statement, "find #w9 in words | using lens | score probability | top 40");
            assert_eq!(ids(&answer), ids(&raw), "{metric}");
            for (hit, below) in answer.hits().iter().zip(raw.hits()) {
                let expected = match &map {
                    CalibrationMap::Logistic { scale, bias } => {
                        1.0 / (1.0 + (-(scale * sign * below.value() + bias)).exp())
                    }
                    CalibrationMap::Isotonic { .. } => match sign * below.value() {
                        score if score >= 0.5 => 0.75,
                        score if score >= 0.0 => 0.5,
                        _ => 0.125,
                    },
                };
                assert_eq!((hit.score(), hit.distance()), (Some(expected), None), "{metric}");
            }
            assert!(ties || answer.hits().windows(2).all(|pair| pair[0].value() >= pair[1].value()));
            // A bound is one on the probability, exactly, wherever it lies.
            for place in [0, 3, 20, 36] {
                let bound = answer.hits()[place].value();
                let expected = answer.hits().iter().filter(|hit| hit.value() >= bound).count();
                let text = format!("find #w9 in words | using lens | score probability | above {bound:?} | top 40");
                assert_eq!(fixture.run(&text).hits(), &answer.hits()[..expected], "{text}");
            }
            let none = "find #w9 in words | using lens | score probability | above 1.01";
            assert!(fixture.run(none).hits().is_empty());
            let all = "find #w9 in words | using lens | score probability | above -1 | top 40";
            assert_eq!(fixture.run(all).hits(), answer.hits());
            let header = answer.header.calibration.unwrap();
            assert_eq!(
                (header.metric.as_str(), header.version),
                (metric, fixture.snapshot().lens("lens").unwrap().unwrap().version)
            );
        }
    }
}

#[test]
fn only_the_lens_that_was_calibrated_has_probabilities() {
    let (fixture, _) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 20);
    let_lens(&fixture, "let lens = normalize | score dot");
    let mistake = |stages: &str| {
        let error = fixture.error(&format!("find #w9 in words | {stages}"));
        (error.code, error.text[error.span.clone()].to_string(), error.hints.join("\n"))
    };
    let (code, piece, hints) = mistake("score probability");
    assert_eq!((code, piece.as_str()), ("resolve::not_calibrated", "probability"));
    assert!(hints.contains("simile calibrate STORE NAME --label 200` or `--judged FILE`"), "{hints}");
    let (code, _, hints) = mistake("using lens | score probability");
    assert_eq!(code, "resolve::not_calibrated");
    assert!(hints.contains("simile calibrate STORE lens --label 200` or `--judged FILE`"), "{hints}");
    calibrate(&fixture, "lens", CalibrationMap::Logistic { scale: 1.0, bias: 0.0 });
    assert_eq!(fixture.run("find #w9 in words | using lens | score probability").hits().len(), 10);
    assert!(mistake("score probability").2.contains("calibrated lenses: lens"));
    let (code, piece, _) = mistake("using lens | truncate 4 | center | score probability");
    assert_eq!((code, piece.as_str()), ("resolve::probability_steps", "truncate 4"));
    let (code, piece, _) = mistake("using lens | score probability csls 5 from asked");
    assert_eq!((code, piece.as_str()), ("resolve::probability_csls", "csls 5 from asked"));
    let error = fixture.error("find #w9 in words | using lens | score probability | within 0.5");
    assert_eq!(error.code, "resolve::bound_direction");
    let saved = Session::new(&fixture.store).run("let sure = using lens | score probability").unwrap_err();
    assert_eq!(saved.query().unwrap().code, "resolve::probability_saved");
    // Another metric in its place needs no calibration, and a redefinition loses it.
    assert_eq!(fixture.run("find #w9 in words | using lens | score euclidean").hits().len(), 10);
    let_lens(&fixture, "let lens = normalize | score cosine");
    let error = fixture.error("find #w9 in words | using lens | score probability");
    assert_eq!(error.code, "resolve::not_calibrated");
    assert!(error.message.contains("version 2"), "{}", error.message);
}

#[test]
fn a_calibration_older_than_the_statistics_is_noted() {
    let (fixture, _) = words();
    let_lens(&fixture, "let lens = center corpus | score cosine");
    calibrate(&fixture, "lens", CalibrationMap::Logistic { scale: 1.0, bias: 0.0 });
    let search = "find #w9 in words | using lens | score probability";
    assert_eq!(fixture.run(search).notes, Vec::<String>::new());
    insert(&fixture, "far", vec![100.0; DIMENSION]);
    assert_eq!(fixture.run(search).notes, Vec::<String>::new());
    fixture.store.analyze(None, &Control::new()).unwrap();
    let notes = fixture.run(search).notes;
    assert!(notes.len() == 1 && notes[0].contains("calibrate it again"), "{notes:?}");
}

#[test]
fn explain_says_whose_statistics_and_which_map() {
    let (fixture, _) = words();
    let_lens(&fixture, "let lens = center corpus | score euclidean");
    calibrate(&fixture, "lens", CalibrationMap::Logistic { scale: 2.0, bias: -1.5 });
    insert(&fixture, "new", vec![1.0; DIMENSION]);
    let explained = Session::new(&fixture.store).run("explain find #w9 in words | using lens | score probability");
    let Reply::Explanation(explanation) = explained.unwrap() else { panic!("explain explains") };
    let text = |name: &str| explanation.stages.iter().find(|stage| stage.name == name).unwrap().text.clone();
    assert!(text("fold").contains("mean of 40 records pinned at commit 1 (1 commit behind)"), "{}", text("fold"));
    let map = "probability = 1 / (1 + exp(-(2 * -euclidean - 1.5))), supplied scale and bias";
    assert!(text("metric").contains(map), "{}", text("metric"));
}

#[test]
fn samples_are_listed_with_who_uses_them() {
    let (fixture, _) = words();
    put_sample(&fixture, "asked", "other", 4, 7);
    let mut batch = fixture.store.begin().unwrap();
    let csls = Some((5, "asked".to_string()));
    let lens = crate::types::LensDef { view: "other".to_string(), csls, ..Default::default() };
    batch.put_lens("hubs", lens, Vec::new()).unwrap();
    batch.commit().unwrap();
    let Reply::Listing(listing) = Session::new(&fixture.store).run("show samples").unwrap() else { panic!() };
    let row: Vec<Value> =
        vec!["asked".into(), "words".into(), 7_i64.into(), "other".into(), 4_i64.into(), "hubs".into()];
    assert_eq!(listing.rows, [row]);
    let info = fixture.store.info().unwrap();
    assert_eq!((info.samples[0].queries, info.samples[0].dimension), (7, Some(4)));
}

/// A chain as it is written and as it is resolved, and a metric.
fn chains(sample: &SampleRows, pair: &Projection) -> Vec<(&'static str, Vec<ResolvedStep>)> {
    let sides = || ResolvedStep::CenterSides(sample.clone());
    vec![
        ("center sides from asked", vec![sides()]),
        // What learning makes: a mean and a square matrix for each side.
        ("center sides from asked | project learned", vec![sides(), ResolvedStep::Project(pair.clone())]),
        ("standardize", vec![ResolvedStep::Standardize]),
        ("whiten", vec![ResolvedStep::Whiten(None)]),
        ("whiten 5", vec![ResolvedStep::Whiten(Some(5))]),
        ("drop 2", vec![ResolvedStep::Drop(2)]),
        (
            "normalize | drop 1 | normalize",
            vec![ResolvedStep::Normalize, ResolvedStep::Drop(1), ResolvedStep::Normalize],
        ),
        (
            "truncate 6 | center sides from asked | whiten 3",
            vec![ResolvedStep::Truncate(6), sides(), ResolvedStep::Whiten(Some(3))],
        ),
    ]
}

#[test]
fn every_step_and_csls_mean_what_the_oracle_says_ad_hoc_and_saved() {
    let (fixture, vectors) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 20);
    let data: Vec<f32> = Numbers(99).vector(20 * DIMENSION);
    let sample = SampleRows::new("asked", DIMENSION, data.clone());
    let mut numbers = Numbers(31);
    let learned = projection("learned", DIMENSION, DIMENSION, &mut numbers);
    let learned = ProjectionDef { record: Some(numbers.vector(DIMENSION * DIMENSION)), ..learned };
    let pair = Projection::from_def(&learned).unwrap();
    let mut batch = fixture.store.begin().unwrap();
    batch.put_projection(learned).unwrap();
    batch.commit().unwrap();
    let queries: Vec<Vec<f64>> =
        data.chunks(DIMENSION).map(|row| row.iter().map(|&v| f64::from(v)).collect()).collect();
    let records: Vec<Option<Vec<f64>>> =
        vectors.iter().map(|v| Some(v.iter().map(|&x| f64::from(x)).collect())).collect();
    let query = records[9].clone().unwrap();
    let collection = fixture.snapshot().collection("words").unwrap();
    let view = collection.view("raw").unwrap();
    for (stages, steps) in chains(&sample, &pair) {
        for (name, metric, csls) in [
            ("cosine", VectorMetric::Cosine, false),
            ("dot", VectorMetric::Dot, true),
            ("euclidean", VectorMetric::Euclidean, false),
            ("pearson", VectorMetric::Pearson, true),
        ] {
            let chain = Chain::new(steps.clone(), metric, DIMENSION).unwrap();
            let statistics = Prepared::compute(&chain, view, view.present()).unwrap();
            let statistics = statistics.statistics();
            let verdict = if csls {
                oracle::evaluate_csls(&steps, metric, &records, &query, statistics, (4, &queries))
            } else {
                oracle::evaluate(&steps, metric, &records, &query, statistics)
            };
            let score = if csls { format!("score {name} csls 4 from asked") } else { format!("score {name}") };
            let ad_hoc = fixture.run(&format!("find #w9 in words | {stages} | {score} | top 40"));
            assert!(ad_hoc.hits().len() >= 38, "{stages} | {score}");
            for hit in ad_hoc.hits() {
                let expected = verdict.values[hit.row().0 as usize].unwrap();
                assert!((hit.value() - expected).abs() < 1e-9, "{stages} | {score}: {} {expected}", hit.value());
            }
            let_lens(&fixture, &format!("let lens = {stages} | {score}"));
            let saved = fixture.run("find #w9 in words | using lens | top 40");
            assert_eq!(saved.hits(), ad_hoc.hits(), "{stages} | {score}");
            // What is printed back means the same, and a metric of one's own drops the lens's csls.
            assert_eq!(fixture.run(&saved.statement).hits(), saved.hits(), "{}", saved.statement);
            let plain = fixture.run(&format!("find #w9 in words | using lens | score {name} | top 40"));
            assert_eq!(plain.header.csls, None);
            assert_eq!(plain.hits() == saved.hits(), !csls, "{stages} | {score}");
        }
    }
    assert!(fixture.store.check().unwrap().is_ok());
}

#[test]
fn analyze_brings_every_kind_of_statistic_up_to_date() {
    let (fixture, _) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 20);
    let stages = "center sides from asked | standardize | drop 1 | whiten 4 | score dot csls 3 from asked";
    let_lens(&fixture, &format!("let lens = {stages}"));
    insert(&fixture, "far", (0..DIMENSION).map(|idx| 10.0 * (idx as f32).sin()).collect());
    let search = |lens: &str| fixture.run(&format!("find #w9 in words | {lens} | top 50"));
    assert_ne!(search("using lens").hits(), search(stages).hits());
    let analysis = fixture.store.analyze(None, &Control::new()).unwrap();
    let what: Vec<&str> = analysis.statistics.iter().map(|statistic| statistic.what.as_str()).collect();
    let expected = [
        "mean",
        "mean and standard deviations",
        "mean and first principal direction",
        "mean and first 4 principal directions",
    ];
    assert_eq!(what, expected);
    assert_eq!(search("using lens").hits(), search(stages).hits());
}

#[test]
fn texts_of_a_sample_go_through_the_view() {
    let fixture = notes();
    let collection = fixture.snapshot().collection("notes").unwrap().def().id;
    let texts = ["Where are my keys?", "When does the shop open?", "soup"].map(str::to_string).to_vec();
    let ids = vec!["a".to_string(), "b".to_string(), "c".to_string()];
    let mut batch = fixture.store.begin().unwrap();
    batch.put_sample(SampleDef { ids, texts: texts.clone(), ..SampleDef::new("asked", collection) }).unwrap();
    batch.commit().unwrap();
    let collection = fixture.snapshot().collection("notes").unwrap();
    for name in ["raw", "asked"] {
        let view = collection.view(name).unwrap();
        let embedder = view.embedder().unwrap().unwrap();
        let mut rows = Vec::new();
        let prepared: Vec<String> = texts.iter().map(|text| view.prepare_text(text)).collect();
        embedder.embed(&prepared.iter().map(String::as_str).collect::<Vec<_>>(), &mut rows).unwrap();
        let sample = SampleRows::new("asked", embedder.dimension(), rows);
        let chain = Chain::new(vec![ResolvedStep::CenterSides(sample)], VectorMetric::Dot, embedder.dimension());
        let ready = Prepared::compute(&chain.unwrap(), view, view.present()).unwrap();
        let Statistic::Sides { queries, records } = &*ready.statistics()[0].statistic else { panic!("sides") };
        let vector = |row| view.vector(row).unwrap().unwrap();
        let difference = |vector: &[f32], mean: &[f64]| -> Vec<f64> {
            vector.iter().zip(mean).map(|(v, mean)| f64::from(*v) - mean).collect()
        };
        let query = difference(&vector(0), queries);
        let answer = fixture.run(&format!("find #n1 in notes | view {name} | center sides from asked | score dot"));
        for hit in answer.hits() {
            let row = difference(&vector(hit.row().0), records);
            let expected: f64 = query.iter().zip(&row).map(|(a, b)| a * b).sum();
            assert!((hit.value() - expected).abs() < 1e-9, "{name}: {} {expected}", hit.value());
        }
    }
}

#[test]
fn a_sample_of_another_collection_is_used_and_noted() {
    let (fixture, vectors) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 400);
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("more", CollectionSpec::new().supplied_vectors()).unwrap();
    for (idx, vector) in vectors.iter().enumerate().skip(5) {
        batch
            .collection("more")
            .unwrap()
            .insert(Record::new(format!("m{idx}"), "").vector("raw", vector.clone()))
            .unwrap();
    }
    batch.commit().unwrap();
    let answer = fixture.run("find #m9 in more | center sides from asked | score cosine csls 4 from asked");
    assert_eq!(answer.notes, ["sample `asked` was stored for `words`, not for `more`"]);
    assert_eq!(answer.header.samples.len(), 1);
    assert_eq!(fixture.run("find #w9 in words | center sides from asked").notes, Vec::<String>::new());
    let few = fixture.run("find #w9 in words | score cosine csls 5 from asked").notes;
    assert_eq!(few, ["`csls 5` over 400 queries is rough: it was measured with 100 for each neighbour"]);
}

#[test]
fn the_builder_says_what_the_language_says() {
    use crate::exec::{Lens, Source};
    let (fixture, _) = words();
    put_sample(&fixture, "asked", "raw", DIMENSION, 20);
    let lens =
        Lens::view("raw").center_sides("asked").standardize().drop_directions(1).whiten(4).dot().csls(3, "asked");
    let built = fixture.snapshot().find(Source::id("w9")).in_collection("words").lens(lens).top(5).run().unwrap();
    let stages = "center sides from asked | standardize | drop 1 | whiten 4 | score dot csls 3 from asked | top 5";
    let written = fixture.run(&format!("find #w9 in words | view raw | {stages}"));
    assert_eq!((built.hits(), &built.statement), (written.hits(), &written.statement));
    let search = |lens: Lens| fixture.snapshot().find(Source::id("w9")).in_collection("words").lens(lens).run();
    let code = |lens: Lens| search(lens).unwrap_err().query().unwrap().code;
    assert_eq!(code(Lens::view("raw").csls(0, "asked")), "parse::out_of_range");
    assert_eq!(code(Lens::view("raw").drop_directions(0)), "resolve::dimension");
    assert_eq!(code(Lens::view("raw").whiten(0)), "parse::out_of_range");
    assert_eq!(code(Lens::view("raw").probability()), "resolve::not_calibrated");
    let_lens(&fixture, "let lens = score dot csls 3 from asked");
    calibrate(&fixture, "lens", CalibrationMap::Logistic { scale: 2.0, bias: 0.0 });
    let sure = search(Lens::saved("lens").probability()).unwrap();
    assert_eq!(sure.header.csls.unwrap().neighbours, 3);
    assert_eq!(ids(&fixture.run("find #w9 in words | using lens")), ids(&search(Lens::saved("lens")).unwrap()));
}
