//! Materialized lenses answer, bit for bit, what the folded scan answers, whatever happens to the records.

use super::{Fixture, Numbers};
use crate::error::ErrorKind;
use crate::exec::{Answer, Param, Reply, Session, materialize};
use crate::store::{CollectionSpec, Store, ViewSpec};
use crate::types::{Control, DerivedKind, ElementType, ProjectionDef, Record};

/// Elements of a raw row: 192 bytes on disk.
const DIMENSION: usize = 40;
/// Rows at first: three segments in tests.
const ROWS: u32 = 2_500;
const METRICS: [&str; 4] = ["cosine", "dot", "pearson", "euclidean"];

/// A row of one of several kinds: ordinary, tiny, large, far from the origin, zero, constant, small integers.
fn row(numbers: &mut Numbers, n: u32) -> Vec<f32> {
    let plain = numbers.vector(DIMENSION);
    let scaled = |factor: f32| plain.iter().map(|x| x * factor).collect();
    match n % 50 {
        0 => scaled(1e-30),
        1 if n % 500 == 1 => scaled(3e5),
        2 => plain.iter().map(|x| 1_000.0 + x).collect(),
        3 => vec![0.0; DIMENSION],
        4 => vec![0.5; DIMENSION],
        5 => scaled(1e-6),
        6..15 => plain.iter().map(|x| (x * 2.0).round()).collect(),
        15..20 => plain.iter().enumerate().map(|(i, x)| if i == 0 { *x } else { x * 1e-4 }).collect(),
        _ => plain,
    }
}

fn store() -> Fixture {
    let fixture = Fixture::empty();
    let mut numbers = Numbers(11);
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    let mut c = batch.collection("c").unwrap();
    for n in 0..ROWS {
        let record = Record::new(format!("r{n}"), "t").field("n", i64::from(n));
        let vector = row(&mut numbers, n);
        c.insert(if n % 17 == 9 { record } else { record.vector("v", vector) }).unwrap();
    }
    for (name, rows, columns, pair) in
        [("small", 12, DIMENSION, false), ("sides", 16, DIMENSION, true), ("tiny", 6, 12, false)]
    {
        let scale = if name == "tiny" { 0.05 } else { 1.0 };
        let mut matrix = || (0..rows * columns).map(|_| numbers.next() * scale).collect::<Vec<f32>>();
        let (query, record) = (matrix(), pair.then(&mut matrix));
        let (name, origin) = (name.to_string(), String::new());
        let (rows, columns) = (rows as u32, columns as u32);
        batch.put_projection(ProjectionDef { name, rows, columns, query, record, origin, fitted_on: None }).unwrap();
    }
    batch.commit().unwrap();
    fixture
}

/// Ids and bits of what was found.
fn bits(answer: &Answer) -> Vec<(String, u64)> {
    answer.hits().iter().map(|hit| (hit.id().to_string(), hit.value.to_bits())).collect()
}

/// The answers of many searches under `lens`, by whatever path, which must be `path`.
fn answers(fixture: &Fixture, lens: &str, path: &str) -> Vec<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let sources = ["#r21", "#r2", "2 * #r33 - #r1020"];
    for (source, metric) in sources.iter().flat_map(|source| METRICS.map(|metric| (source, metric))) {
        let bound = if metric == "euclidean" { "within 3" } else { "above 0.2" };
        for rest in [
            "top 10".to_string(),
            "where n < 1200 and n > 40 | skip 3 | top 20".to_string(),
            format!("{bound} | top 40"),
        ] {
            let statement = format!("find {source} in c | using {lens} | score {metric} | {rest}");
            // A source that the lens leaves without direction has no answer by either path.
            let Ok(answer) = fixture.query(&statement).run() else {
                found.push(Vec::new());
                continue;
            };
            assert_eq!(answer.plan.path.as_str(), path, "{statement}");
            found.push(bits(&answer));
            let counts = answer.plan;
            found.push(vec![(String::new(), counts.scanned), (String::new(), counts.undirected)]);
        }
    }
    let mut numbers = Numbers(99);
    let queries: Vec<Param> = (0..20).map(|_| Param::from(numbers.vector(DIMENSION))).collect();
    let batch = fixture.query(&format!("find $q in c | using {lens} | top 7")).run_batch(&queries).unwrap();
    found.extend(batch.into_iter().map(|answer| bits(&answer)));
    found
}

/// The same searches with the rows that are kept and without them.
fn both_ways_agree(fixture: &Fixture, lens: &str, element: ElementType) {
    let report = fixture.store.check().unwrap();
    assert!(report.is_ok(), "{lens}: {:?}", report.findings);
    let kept = answers(fixture, lens, "materialized");
    let mut batch = fixture.store.begin().unwrap();
    assert!(batch.drop_materialized(lens).unwrap());
    batch.commit().unwrap();
    let folded = answers(fixture, lens, "scan");
    assert!(folded.iter().filter(|hits| hits.len() > 5).count() > 20, "{lens}: the searches find too little");
    assert_eq!(kept, folded, "{lens}");
    materialize(&fixture.store, lens, element, Control::new()).unwrap();
}

const LENSES: [(&str, &str); 8] = [
    ("a", "view v | project small | score cosine"),
    ("b", "view v | center corpus | normalize | truncate 16 | score dot"),
    ("d", "view v | normalize | project sides | score euclidean"),
    ("e", "view v | center | normalize | center corpus | project small | score pearson"),
    ("f", "view v | project small | project tiny | score dot"),
    ("g", "view v | truncate 12 | project tiny | normalize | score cosine"),
    ("h", "view v | project sides | center | truncate 3 | score pearson"),
    ("i", "view v | center corpus | project small | normalize | center corpus | score euclidean"),
];

#[test]
fn kept_rows_and_folded_queries_answer_the_same_bits() {
    let fixture = store();
    let mut unkept = 0;
    for (name, stages) in LENSES {
        Session::new(&fixture.store).run(&format!("let {name} = {stages}")).unwrap();
        for element in [ElementType::F32, ElementType::F16] {
            let done = materialize(&fixture.store, name, element, Control::new()).unwrap();
            assert_eq!(done.rows.len(), 1);
            assert!(done.rows[0].rows > 1_500, "{:?}", done.rows);
            unkept += done.rows[0].unkept;
            both_ways_agree(&fixture, name, element);
        }
    }
    assert!(unkept > 100, "rows that are not kept were to be tested, too");
}

#[test]
fn commits_take_the_kept_rows_along() {
    let fixture = store();
    let elements = [("a", ElementType::F32), ("e", ElementType::F16), ("i", ElementType::F32)];
    for (name, element) in elements {
        let stages = LENSES.iter().find(|lens| lens.0 == name).unwrap().1;
        Session::new(&fixture.store).run(&format!("let {name} = {stages}")).unwrap();
        materialize(&fixture.store, name, element, Control::new()).unwrap();
    }
    let mut numbers = Numbers(5);
    for round in 0..4_u32 {
        let mut batch = fixture.store.begin().unwrap();
        let mut c = batch.collection("c").unwrap();
        for n in 0..30 + round * 700 {
            let id = format!("new{round}-{n}");
            let record = Record::new(id, "t").field("n", i64::from(n));
            let vector = row(&mut numbers, n);
            c.insert(if n % 7 == 3 { record } else { record.vector("v", vector) }).unwrap();
        }
        for n in 0..20 {
            let n = round * 100 + n;
            c.upsert(Record::new(format!("r{}", n + 500), "t").vector("v", row(&mut numbers, n))).unwrap();
            c.remove(&format!("r{}", n + 1_500)).unwrap();
        }
        // Rows that had none, and rows that had one: ordinary ones, and ones that cannot be kept.
        for (place, kind) in [(9, 30), (26, 3), (43, 0), (1_029, 40)] {
            let id = format!("r{}", place + 51 * round);
            c.set_vector(&id, "v", row(&mut numbers, kind)).unwrap();
            c.replace_vector(&id, "v", row(&mut numbers, kind + 1)).unwrap();
            c.replace_vector(&format!("r{}", 1_100 + place + round), "v", row(&mut numbers, kind)).unwrap();
        }
        batch.commit().unwrap();
        for (name, element) in elements {
            both_ways_agree(&fixture, name, element);
        }
    }
}

#[test]
fn blends_read_kept_rows_where_all_their_lenses_have_some() {
    let fixture = store();
    let lenses = ["a", "b", "e", "f"];
    for (name, stages) in LENSES.iter().filter(|lens| lenses.contains(&lens.0)) {
        Session::new(&fixture.store).run(&format!("let {name} = {stages}")).unwrap();
    }
    let blends = ["0.7 * a + 0.3 * b", "1 * a - 0.5 * f", "0 * b - 1 * f", "0.5 * a + 0.5 * e"];
    let ask = |path: [&str; 4]| {
        let mut found = Vec::new();
        for (blend, path) in blends.iter().zip(path) {
            for rest in ["top 10", "where n < 1200 and n > 40 | skip 3 | top 20", "where n < 90", "above 0.2 | top 40"]
            {
                for source in ["#r21", "2 * #r33 - #r1020"] {
                    let statement = format!("find {source} in c | blend {blend} | {rest}");
                    let answer = fixture.query(&statement).run().unwrap();
                    assert_eq!(answer.plan.path.as_str(), path, "{statement}");
                    let Reply::Why(why) = Session::new(&fixture.store).run(&format!("why #r30: {statement}")).unwrap()
                    else {
                        panic!("a reason");
                    };
                    found.push(bits(&answer));
                    found.push(vec![(String::new(), answer.plan.scanned), (String::new(), why.rank.unwrap_or(0))]);
                }
            }
        }
        assert!(found.iter().filter(|hits| hits.len() > 5).count() > 20, "the searches find too little");
        found
    };
    let scan = |blend: &str| {
        let statement = format!("find #r21 in c | blend {blend}");
        let explanation = fixture.query(&statement).explain(false).unwrap();
        let stage = explanation.stages.iter().find(|stage| stage.name == "scan").unwrap();
        (stage.text.clone(), stage.bytes.unwrap() / stage.rows.unwrap())
    };
    let folded = ask(["scan"; 4]);
    assert!(!scan(blends[0]).0.contains("materialized") && scan(blends[0]).1 == 4 * DIMENSION as u64);
    for name in ["a", "b", "f"] {
        materialize(&fixture.store, name, ElementType::F32, Control::new()).unwrap();
    }
    // The last blend has a lens of which nothing is kept.
    let all_but_one = ["materialized", "materialized", "materialized", "scan"];
    assert_eq!(ask(all_but_one), folded);
    assert_eq!(scan(blends[0]).1, 4 * (12 + 16));
    assert!(
        scan(blends[0]).0.ends_with("; materialized rows of a, b; finalists from the raw rows"),
        "{:?}",
        scan(blends[0])
    );
    materialize(&fixture.store, "b", ElementType::F16, Control::new()).unwrap();
    assert_eq!(ask(all_but_one), folded);
    let not = "the raw rows of view v are read for another lens";
    assert!(scan(blends[3]).0.ends_with(&format!("; not the materialized rows of a: {not}")), "{:?}", scan(blends[3]));
    assert_eq!(scan(blends[3]).1, 4 * DIMENSION as u64);
    // Kept rows that are as large as the raw ones together are not worth it.
    let large = "1 * b + 1 * b + 1 * b + 1 * b + 1 * b + 1 * b";
    assert_eq!(fixture.run(&format!("find #r21 in c | blend {large}")).plan.path.as_str(), "scan");
    assert!(
        scan(large).0.ends_with("; not the materialized rows of b: together they are not smaller than the raw ones")
    );
    // Of no weight is zero, not minus zero.
    let zeros = fixture.run("find #r21 in c | blend 0 * a | top 3000");
    assert!(zeros.hits().iter().all(|hit| hit.value.to_bits() == 0));
}

#[test]
fn what_is_stale_is_gone() {
    let fixture = store();
    let mut session = Session::new(&fixture.store);
    session.run("let l = view v | center corpus | project small").unwrap();
    materialize(&fixture.store, "l", ElementType::F32, Control::new()).unwrap();
    let path = |statement: &str| fixture.run(statement).plan.path.as_str();
    assert_eq!(path("find #r21 in c | using l"), "materialized");
    assert_eq!(path("find #r21 in c | using l | normalize"), "scan", "more steps");
    assert_eq!(path("find #r21 in c | view v | center corpus | project small"), "scan", "ad hoc");
    // New statistics: written anew.
    let record = fixture.snapshot().lens("l").unwrap().unwrap();
    let statistic = fixture.snapshot().statistic("l", record.pinned[0].collection, 0).unwrap().unwrap();
    let mut place = record.pinned[0].clone();
    place.commit.0 += 1;
    let mut moved = (*statistic).clone();
    if let crate::types::Statistic::Mean(mean) = &mut moved {
        mean[0] += 0.25;
    }
    let mut batch = fixture.store.begin().unwrap();
    batch.pin("l", vec![(place, moved)]).unwrap();
    batch.commit().unwrap();
    both_ways_agree(&fixture, "l", ElementType::F32);
    // Another definition, of the same shape: gone, and its files with it.
    session.run("let l = view v | center | project small").unwrap();
    assert_eq!(path("find #r21 in c | using l"), "scan");
    let kept_rows = || {
        let info = fixture.store.info().unwrap();
        info.lenses[0].derived.iter().filter(|derived| derived.kind == DerivedKind::Rows).count()
    };
    assert_eq!(kept_rows(), 0);
    materialize(&fixture.store, "l", ElementType::F32, Control::new()).unwrap();
    assert_eq!(path("find #r21 in c | using l"), "materialized");
    // Without its matrix, a lens would mean nothing.
    let mut batch = fixture.store.begin().unwrap();
    let refused = batch.drop_projection("small").unwrap_err();
    assert!(refused.message().contains("part of the saved lens l: drop the lens first"), "{refused}");
    batch.commit().unwrap();
    assert!(fixture.store.check().unwrap().is_ok());
    session.run("drop l").unwrap();
    let error = materialize(&fixture.store, "l", ElementType::F32, Control::new()).unwrap_err();
    assert!(error.to_string().contains("no lens"), "{error}");
}

#[test]
fn kept_scalars_are_read_and_answer_the_same_bits() {
    let fixture = store();
    let path = fixture.store.path().to_path_buf();
    let lenses: Vec<_> = LENSES.iter().filter(|(_, stages)| !stages.contains("corpus")).collect();
    for (name, stages) in &lenses {
        Session::new(&fixture.store).run(&format!("let {name} = {stages}")).unwrap();
    }
    let mut numbers = Numbers(3);
    for round in 0..3 {
        // Too few for the scalars to follow, then enough; rows that had none, and others in the place of those that
        // had.
        let mut batch = fixture.store.begin().unwrap();
        let mut c = batch.collection("c").unwrap();
        for n in 0..100 + round * 300 {
            c.insert(Record::new(format!("s{round}-{n}"), "t").vector("v", row(&mut numbers, n))).unwrap();
        }
        c.set_vector(&format!("r{}", 9 + 17 * round), "v", row(&mut numbers, 30)).unwrap();
        c.replace_vector("r30", "v", row(&mut numbers, 3 + round)).unwrap();
        c.upsert(Record::new("r31", "t").vector("v", row(&mut numbers, 31))).unwrap();
        c.remove(&format!("r{}", 32 + round)).unwrap();
        batch.commit().unwrap();
        let report = fixture.store.check().unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
        for (name, stages) in &lenses {
            let cold = Store::open_read_only(&path).unwrap();
            for source in ["#r21", "#r6 - #r40"] {
                let run = |lens: &str| {
                    let statement = format!("find {source} in c | {lens} | top 30");
                    cold.snapshot().unwrap().query(&statement).unwrap().run().unwrap()
                };
                let (kept, computed) = (run(&format!("using {name}")), run(stages));
                assert_eq!(bits(&kept), bits(&computed), "{name}");
                // The other handle has what the rounds before left, and takes it further.
                let warm = fixture.run(&format!("find {source} in c | using {name} | top 30"));
                assert_eq!(bits(&warm), bits(&computed), "{name}");
                assert_eq!(warm.plan.undirected, computed.plan.undirected, "{name}");
                assert_eq!(kept.plan.undirected, computed.plan.undirected, "{name}");
            }
        }
    }
    // They are what is read: damage to them is noticed, with what helps.
    let (name, _) = lenses[0];
    drop(fixture.snapshot());
    for entry in std::fs::read_dir(path.join("segments")).unwrap() {
        for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let mut bytes = std::fs::read(&file).unwrap();
            // Rows of scalars have 64 bytes, a third of a raw row, and a segment of either has 1,024 rows.
            if bytes.len() < 64 * 1_024 + 8_192 {
                let at = bytes.len() - 64 * 10 + 4;
                bytes[at] ^= 1;
                std::fs::write(&file, bytes).unwrap();
            }
        }
    }
    let cold = Store::open_read_only(&path).unwrap();
    let error = cold.snapshot().unwrap().query(&format!("find #r21 in c | using {name}")).unwrap().run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("kept scalars of lens a"), "{error}");
}

/// The best row is the one whose elements are all rounded down; those that follow it are rounded up.
#[test]
fn rounding_does_not_cost_the_best_row_its_place() {
    const UNIT: f32 = 1.0 / 1024.0;
    let fixture = Fixture::empty();
    let mut batch = fixture.store.begin().unwrap();
    batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
    batch.add_view("c", ViewSpec::vectors_only("v")).unwrap();
    let mut c = batch.collection("c").unwrap();
    // Behind so many others that it meets a threshold.
    for n in 0..2_600 {
        let element = |i: usize| if i < 14 { 1.0 + 0.51 * UNIT } else { 1.0 };
        let vector =
            if n == 2_590 { vec![1.0 + 0.49 * UNIT; DIMENSION] } else { (0..DIMENSION).map(element).collect() };
        c.insert(Record::new(format!("r{n}"), "t").vector("v", vector)).unwrap();
    }
    batch.commit().unwrap();
    Session::new(&fixture.store).run("let short = view v | truncate 16 | score dot").unwrap();
    materialize(&fixture.store, "short", ElementType::F16, Control::new()).unwrap();
    let query = fixture.query("find $q in c | using short | top 1");
    let asked: Vec<Param> = [1.0, 2.0].map(|x| Param::from(vec![x; DIMENSION])).into();
    let mut answers = query.run_batch(&asked).unwrap();
    answers.push(query.bind("q", asked[0].clone()).run().unwrap());
    for answer in answers {
        assert_eq!((answer.plan.path.as_str(), answer.hits()[0].id()), ("materialized", "r2590"));
    }
}
