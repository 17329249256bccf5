//! Percentiles among random pairs: against all pairs, under every kind of lens, kept, stored and out of date.

use super::forms::lenses;
use super::*;
use crate::exec::settle::search::resolve;
use crate::exec::tell::background::table;
use crate::exec::{Param, Session};
use crate::lens::Percentiles;
use crate::query::ast::Statement;
use crate::store::Snapshot;
use crate::types::{Control, SampleDef, SampleVectors};
use std::sync::Arc;

const COUNT: usize = 420;

/// More records than all pairs are taken of, far from the origin and of different lengths, one of them zero, one
/// `huge`; two projections, a sample of 30 queries.
fn many(huge: bool) -> Fixture {
    let fixture = Fixture::empty();
    let mut numbers = Numbers(3);
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("words", CollectionSpec::new().supplied_vectors()).unwrap();
    let mut words = batch.collection("words").unwrap();
    for idx in 0..COUNT {
        let mut vector: Vec<f32> = numbers.vector(DIMENSION).iter().map(|x| (x + 0.4) * (1.0 + idx as f32)).collect();
        match idx {
            7 => vector = vec![0.0; DIMENSION],
            8 if huge => vector.iter_mut().for_each(|x| *x *= 1e35),
            _ => {}
        }
        words.insert(Record::new(format!("w{idx}"), "").vector("raw", vector)).unwrap();
    }
    batch.put_projection(projection("asks", 5, DIMENSION, &mut numbers)).unwrap();
    batch.put_projection(projection("answers", 5, DIMENSION, &mut numbers)).unwrap();
    batch.commit().unwrap();
    let collection = fixture.snapshot().collection("words").unwrap().def().id;
    let data = numbers.vector(30 * DIMENSION);
    let vectors = Some(SampleVectors { view: "raw".to_string(), dimension: DIMENSION as u32, data });
    let ids = (0..30).map(|idx| format!("q{idx}")).collect();
    let sample = SampleDef { ids, texts: vec![String::new(); 30], vectors, ..SampleDef::new("asked", collection) };
    let mut batch = fixture.store.begin().unwrap();
    batch.put_sample(sample).unwrap();
    batch.commit().unwrap();
    for lens in ["let a = center corpus | score cosine", "let b = normalize | score dot"] {
        Session::new(&fixture.store).run(lens).unwrap();
    }
    fixture
}

/// What every record as a query finds every other one with.
fn all_values(fixture: &Fixture, lens: &str) -> Vec<f64> {
    let query = fixture.query(&format!("find $q in words{lens} | top {COUNT} | including self"));
    let mut values = Vec::new();
    for idx in 0..COUNT {
        let record = fixture.snapshot().get("words", &format!("w{idx}")).unwrap().unwrap();
        let vector = Param::Vector(record.views[0].vector.clone().unwrap());
        // One that has no direction as a query finds nothing.
        let Ok(answer) = query.clone().bind("q", vector).run() else { continue };
        let id = format!("w{idx}");
        values.extend(answer.hits().iter().filter(|hit| hit.id() != id).map(|hit| hit.value()));
    }
    values
}

const LENSES: [&str; 14] = [
    "",
    " | center corpus | score cosine",
    " | score pearson",
    " | score euclidean",
    " | score dot",
    " | standardize | score cosine",
    " | whiten 3 | score cosine",
    " | drop 1 | score cosine",
    " | normalize | project asks -> answers | score cosine",
    " | center corpus | project asks | score dot",
    " | center sides from asked | score cosine",
    " | score cosine csls 3 from asked",
    " | blend 0.7 * a - 0.25 * b",
    " | blend 3 * b",
];

#[test]
fn percentiles_are_those_of_all_pairs_under_every_kind_of_lens() {
    let fixtures = [many(false), many(true)];
    // A mean that one huge row decides leaves no other a direction.
    let takes_all = ["center", "standardize", "whiten", "drop", "blend 0.7"];
    for (fixture, lens) in fixtures.iter().flat_map(|fixture| LENSES.map(|lens| (fixture, lens))) {
        if std::ptr::eq(fixture, &fixtures[1]) && takes_all.iter().any(|step| lens.contains(step)) {
            continue;
        }
        let values = all_values(fixture, lens);
        let answer = fixture.query(&format!("find #w9 in words{lens} | top 400")).percentiles(true).run().unwrap();
        let pairs = answer.background.as_ref().unwrap().pairs;
        assert!((99_000..=100_000).contains(&pairs), "{lens}: {pairs}");
        let is_distance = answer.header.metric.is_distance();
        for hit in answer.hits() {
            let less = |other: &&f64| if is_distance { **other > hit.value() } else { **other < hit.value() };
            let share = values.iter().filter(less).count() as f64 / values.len() as f64 * 100.0;
            let found = hit.percentile().unwrap();
            // Four standard errors of a share of 100,000, and what rounding down takes.
            let room = 0.7 * (share * (100.0 - share)).sqrt() / 50.0 + 0.12;
            assert!((found - share).abs() <= room, "{lens} {}: {found} {share} {}", hit.id(), hit.value());
            assert!((found * 10.0 - (found * 10.0).round()).abs() < 1e-9 && found <= 99.9);
        }
    }
}

#[test]
fn nobody_pays_who_does_not_ask() {
    let (fixture, _) = lenses();
    let asked = fixture.query("find #w9 in words");
    let answer = asked.run().unwrap();
    assert!(answer.background.is_none() && answer.hits().iter().all(|hit| hit.percentile().is_none()));
    let with = asked.clone().percentiles(true).run().unwrap();
    assert_eq!(with.background.as_ref().unwrap().pairs, 39 * 38, "w0 has no direction");
    assert_eq!(
        with.hits().iter().map(|hit| (hit.id(), hit.value().to_bits())).collect::<Vec<_>>(),
        answer.hits().iter().map(|hit| (hit.id(), hit.value().to_bits())).collect::<Vec<_>>()
    );
    let levenshtein = fixture.query("find #w9 in words | score levenshtein").percentiles(true).run().unwrap();
    assert!(levenshtein.background.is_none() && levenshtein.hits()[0].percentile().is_none());
    // What is shown is a probability; its place is the score's.
    let mut batch = fixture.store.begin().unwrap();
    batch.put_calibration("centered", crate::types::Calibration::supplied(3.0, -1.0)).unwrap();
    batch.commit().unwrap();
    let places = |metric: &str| {
        let query = fixture.query(&format!("find #w9 in words | using centered{metric} | top 40")).percentiles(true);
        query.run().unwrap().hits().iter().map(|hit| (hit.id().to_string(), hit.percentile())).collect::<Vec<_>>()
    };
    assert_eq!(places(" | score probability"), places(""));
    assert!(places("").iter().any(|(_, place)| place.is_some_and(|place| place > 50.0)));
}

fn table_of(snapshot: &Snapshot, statement: &str) -> Option<Arc<Percentiles>> {
    let Statement::Find(find) = crate::query::parse(statement).unwrap() else { panic!("a search") };
    table(&resolve(snapshot, &find, statement).unwrap(), &Control::default()).unwrap()
}

#[test]
fn a_table_is_drawn_again_when_what_it_depends_on_changes_and_not_before() {
    let (fixture, vectors) = lenses();
    let of = |statement: &str| table_of(&fixture.snapshot(), statement).unwrap();
    let statements = [
        "find #w9 in words",
        "find #w9 in words | using topical",
        "find #w9 in words | blend 1 * topical + 2 * centered",
    ];
    let before = statements.map(of);
    assert!(!Arc::ptr_eq(&before[0], &before[1]));
    // A commit that has nothing to do with it, and another filter.
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("others").unwrap().insert(Record::new("o1", "something else")).unwrap();
    batch.commit().unwrap();
    for (statement, before) in statements.iter().zip(&before) {
        assert!(Arc::ptr_eq(before, &of(statement)), "{statement}");
    }
    assert!(Arc::ptr_eq(&before[0], &of("find #w3 in words | where number < 5 | top 3")));
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().insert(Record::new("w40", "").vector("raw", vectors[9].clone())).unwrap();
    batch.commit().unwrap();
    for (statement, before) in statements.iter().zip(&before) {
        assert!(!Arc::ptr_eq(before, &of(statement)), "{statement}");
    }
    assert_eq!(of("find #w9 in words").count(), 40 * 39);
    // New statistics are another lens.
    let pinned = of("find #w9 in words | using topical");
    fixture.store.analyze(None, &Control::new()).unwrap();
    assert!(!Arc::ptr_eq(&pinned, &of("find #w9 in words | using topical")));
    assert!(table_of(&fixture.snapshot(), "find \"x\" in others").is_none(), "one record has no other");
}

#[test]
fn what_a_writer_stored_is_used_for_as_long_as_it_is_true() {
    let (fixture, vectors) = lenses();
    let collection = fixture.snapshot().collection("words").unwrap().def().id;
    let stored = |lens: &str| fixture.snapshot().background(lens, collection).unwrap();
    for lens in ["topical", "centered", "small", "far"] {
        let def = stored(lens).unwrap();
        let computed = table_of(&fixture.snapshot(), &format!("find #w9 in words | using {lens}")).unwrap();
        assert_eq!((def.quantiles.clone(), def.pairs), (computed.quantiles(), computed.count()), "{lens}");
        assert!(def.quantiles.is_sorted() && def.quantiles.len() == 1001);
    }
    // Quantiles that could not have been computed show whose are used; another handle has nothing in memory.
    let mut def = stored("topical").unwrap();
    def.quantiles = (0..=1000).map(|step| f64::from(step) * 1e6).collect();
    let mut batch = fixture.store.begin().unwrap();
    batch.put_background("topical", collection, def.clone()).unwrap();
    assert!(batch.put_background("topicl", collection, def.clone()).is_err());
    let short = crate::types::BackgroundDef { quantiles: vec![0.0; 5], ..def.clone() };
    assert!(batch.put_background("topical", collection, short).is_err());
    batch.commit().unwrap();
    let reopened = |fixture: &Fixture| {
        let other = crate::store::Options::new().read_only(true).open(fixture.store.path()).unwrap();
        table_of(&other.snapshot().unwrap(), "find #w9 in words | using topical").unwrap()
    };
    assert_eq!(reopened(&fixture).quantiles(), def.quantiles);
    // The same steps with more behind them are another lens.
    let longer = table_of(&fixture.snapshot(), "find #w9 in words | using topical | normalize").unwrap();
    assert_ne!(longer.quantiles(), def.quantiles);
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().insert(Record::new("w40", "").vector("raw", vectors[9].clone())).unwrap();
    batch.commit().unwrap();
    assert_ne!(reopened(&fixture).quantiles(), def.quantiles);
    fixture.store.analyze(None, &Control::new()).unwrap();
    let (now, fresh) = (stored("topical").unwrap(), reopened(&fixture));
    assert_eq!((&now.quantiles, now.pairs), (&fresh.quantiles(), fresh.count()));
    assert!(now.revision > def.revision && now.statistics > def.statistics);
    // A lens takes it along when it goes, and has none of another's.
    let mut session = Session::new(&fixture.store);
    session.run("drop topical").unwrap();
    assert!(stored("topical").is_none() && stored("centered").is_some());
    session.run("let centered = view other | score dot").unwrap();
    assert_eq!(stored("centered").unwrap().lens_version, 2);
}
