//! Blends, comparisons, reasons and pairs, as statements and through the builder.

use super::*;
use crate::exec::{Lens, Reply, Session, Source};

/// `words` with three lenses: `topical` and `centered` on view raw, `small` on view `other`; `far` is a distance.
pub(super) fn lenses() -> (Fixture, Vec<Vec<f32>>) {
    let (fixture, vectors) = words();
    let mut session = Session::new(&fixture.store);
    for statement in [
        "let topical = center corpus | project topic | score dot",
        "let centered = center corpus",
        "let small = view other | score cosine",
        "let far = view raw | score euclidean",
    ] {
        session.run(statement).unwrap();
    }
    (fixture, vectors)
}

fn value(answer: &Answer, id: &str) -> Option<f64> {
    answer.hits().iter().find(|hit| hit.id() == id).map(|hit| hit.value())
}

#[test]
fn a_blend_is_the_weighted_sum_of_what_its_lenses_show() {
    let (fixture, _) = lenses();
    let alone = |lens: &str| fixture.run(&format!("find #w9 in words | using {lens} | top 40"));
    let (topical, centered, small) = (alone("topical"), alone("centered"), alone("small"));
    let blend = fixture.run("find #w9 in words | blend 0.7 * topical - 0.25 * small + 2 * centered | top 40");
    assert_eq!(blend.statement, "find #w9 in words | blend 0.7 * topical - 0.25 * small + 2 * centered | top 40");
    for hit in blend.hits() {
        let part = |answer| value(answer, hit.id()).unwrap();
        let sum = 0.7 * part(&topical) + -0.25 * part(&small) + 2.0 * part(&centered);
        assert_eq!(hit.value().to_bits(), sum.to_bits(), "{}", hit.id());
    }
    // w0 is zero: without direction in `small`. w6 has no vector there. w9 is named.
    assert_eq!(blend.hits().len(), 37);
    let plan = blend.plan;
    assert_eq!(
        (plan.rows, plan.matched, plan.scanned, plan.undirected, plan.absent, plan.left_out),
        (40, 40, 39, 1, 1, 1)
    );
    assert_eq!(fixture.query("find #w9 in words | blend 1 * topical + 0 * small").undirected().unwrap(), ["w0"]);
    assert!(blend.hits().windows(2).all(|pair| pair[0].value() >= pair[1].value()));
    let header = &blend.header;
    assert_eq!((header.metric_name(), header.view.as_str(), header.blend.len()), ("blend", "", 3));
    assert_eq!((header.blend[1].weight, header.blend[1].lens.view.as_str()), (-0.25, "other"));
    assert_eq!(fixture.run("find #w9 in words | blend 1 * topical + 1 * centered").header.view, "raw");
}

#[test]
fn a_lens_alone_is_a_blend_of_one() {
    let (fixture, _) = lenses();
    for lens in ["topical", "centered", "small"] {
        let alone = fixture.run(&format!("find #w9 in words | using {lens} | where number < 30 | skip 2 | top 20"));
        let blend = fixture.run(&format!("find #w9 in words | blend 1 * {lens} | where number < 30 | skip 2 | top 20"));
        assert_eq!((alone.plan, &alone.notes), (blend.plan, &blend.notes));
        let found = |answer: &Answer| -> Vec<(String, u64, u64)> {
            let hit = |hit: &crate::Hit| (hit.id().to_string(), hit.rank(), hit.value().to_bits());
            answer.hits().iter().map(hit).collect()
        };
        assert_eq!(found(&alone), found(&blend), "{lens}");
        let (own, blended) = (&alone.header, &blend.header);
        assert_eq!((own.metric_name(), blended.metric_name()), (own.metric.as_str(), "blend"));
        assert_eq!((own.blend.len(), &blended.blend[0].lens), (0, own));
        // Twice as much of it ranks the same.
        let twice = fixture.run(&format!("find #w9 in words | blend 2 * {lens} | where number < 30 | skip 2 | top 20"));
        let doubled: Vec<f64> = alone.hits().iter().map(|hit| 2.0 * hit.value()).collect();
        assert_eq!(twice.hits().iter().map(|hit| hit.value()).collect::<Vec<_>>(), doubled);
    }
}

#[test]
fn of_a_batch_under_a_blend_a_query_without_direction_fails_alone() {
    let (fixture, _) = lenses();
    let query = fixture.query("find $q in words | blend 0.5 * plain + 0.5 * centered | top 3");
    let vectors: Vec<crate::Param> = vec![vec![1.0; DIMENSION].into(), vec![0.0; DIMENSION].into(), vec![2.0].into()];
    let answers = query.run_each(&vectors).unwrap();
    let codes: Vec<Option<&str>> = answers.iter().map(|answer| Some(answer.as_ref().err()?.query()?.code)).collect();
    assert_eq!(codes, [None, Some("resolve::no_direction"), Some("resolve::vector_dimension")]);
}

#[test]
fn a_blend_takes_what_any_search_takes() {
    let (fixture, _) = lenses();
    let blend = "blend 0.5 * centered + 0.5 * plain";
    let all = fixture.run(&format!("find #w9 in words | {blend} | top 40"));
    let some = fixture.run(&format!("find #w9 in words | {blend} | where number < 20 | skip 1 | top 3"));
    let kept: Vec<_> = all.hits().iter().filter(|hit| hit.row().0 < 20).skip(1).take(3).collect();
    assert_eq!(
        some.hits().iter().map(|hit| (hit.id(), hit.value())).collect::<Vec<_>>(),
        kept.iter().map(|hit| (hit.id(), hit.value())).collect::<Vec<_>>()
    );
    assert_eq!(some.hits()[0].rank(), 2);
    let bound = all.hits()[4].value();
    assert_eq!(fixture.run(&format!("find #w9 in words | {blend} | above {bound:?}")).hits().len(), 5);
    let own = fixture.run(&format!("find #w9 in words | {blend} | top 1 | including self"));
    assert_eq!(ids(&own), ["w9"]);
    // The same lens twice, and a batch.
    let twice = fixture.run("find #w9 in words | blend 0.5 * centered + 0.5 * centered | top 40");
    let once = fixture.run("find #w9 in words | using centered | top 40");
    assert_eq!(ids(&twice), ids(&once));
    let query = fixture.query(&format!("find $q in words | {blend} | top 3"));
    let vectors: Vec<crate::Param> =
        vec![vec![1.0; DIMENSION].into(), vec![-0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5].into()];
    let batch = query.run_batch(&vectors).unwrap();
    for (answer, vector) in batch.iter().zip(vectors) {
        assert_eq!(answer.hits(), query.clone().bind("q", vector).run().unwrap().hits());
    }
    let lens = Lens::blend([(0.5, "centered"), (0.5, "plain")]);
    let built = fixture.snapshot().find(Source::id("w9")).in_collection("words").lens(lens).top(40).run().unwrap();
    assert_eq!((built.hits(), &built.statement), (all.hits(), &all.statement));
}

#[test]
fn texts_of_a_blend_go_through_each_view() {
    let fixture = notes();
    let mut session = Session::new(&fixture.store);
    session.run("let asked = view asked | score cosine").unwrap();
    session.run("let short = view rewritten").unwrap();
    let blend = fixture.run("find \"keys\" in notes | blend 1 * asked + 1 * short");
    let (asked, short) =
        (fixture.run("find \"keys\" in notes | using asked"), fixture.run("find \"keys\" in notes | using short"));
    // n3 has no rewritten text.
    assert_eq!((blend.hits().len(), blend.plan.absent), (3, 1));
    for hit in blend.hits() {
        assert_eq!(hit.value(), value(&asked, hit.id()).unwrap() + value(&short, hit.id()).unwrap());
    }
    assert!(blend.notes.iter().any(|note| note.contains("rewritten")), "{:?}", blend.notes);
}

#[test]
fn what_a_blend_does_not_take_is_said_where_it_stands() {
    let (fixture, _) = lenses();
    let cases = [
        ("find #w9 in words | blend 1 * topcal + 1 * small", "resolve::no_such_lens", "topcal"),
        ("find #w9 in words | blend 1 * small + 1 * far", "resolve::blend_metric", "far"),
        ("find #w9 in words | blend 1 * small | center", "resolve::blend_steps", "center"),
        ("find #w9 in words | blend 1 * small | score dot", "resolve::blend_steps", "dot"),
        ("find #w9 in words | blend 1 * small | within 2", "resolve::bound_direction", "within 2"),
        ("find #w9 in words | blend 1e7 * small", "resolve::limit", "small"),
        ("find #w6 in words | blend 1 * plain + 1 * small", "resolve::no_vector", "#w6"),
        ("find #w0 in words | blend 1 * centered + 1 * plain", "resolve::no_direction", "#w0"),
        ("find [1, 2, 3, 4] in words | blend 1 * small + 1 * plain", "resolve::vector_dimension", "[1, 2, 3, 4]"),
    ];
    for (statement, code, piece) in cases {
        let error = fixture.error(statement);
        assert_eq!((error.code, &error.text[error.span.clone()]), (code, piece), "{statement}");
    }
    let error = fixture.error("find #w9 in words | blend 1 * topcal + 1 * small");
    assert_eq!(error.corrected.as_deref(), Some("find #w9 in words | blend 1 * topical + 1 * small"));
    assert!(error.hints.iter().any(|hint| hint.contains("plain")), "{:?}", error.hints);
    let error = Session::new(&fixture.store).run("let both = blend 1 * small + 1 * plain").unwrap_err();
    assert_eq!(error.query().unwrap().code, "resolve::blend_saved");
    let many = (0..17).map(|_| "1 * plain").collect::<Vec<_>>().join(" + ");
    assert_eq!(fixture.error(&format!("find #w9 in words | blend {many}")).code, "resolve::limit");
}

#[test]
fn explain_of_a_blend_names_every_lens() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let statement = "explain analyze find #w9 in words | blend 0.7 * topical + 0.3 * small";
    let Reply::Explanation(explanation) = session.run(statement).unwrap() else { panic!("explain explains") };
    let folds: Vec<&str> =
        explanation.stages.iter().filter(|stage| stage.name == "fold").map(|stage| stage.text.as_str()).collect();
    assert!(folds[0].starts_with("0.7 * topical (view raw, score dot): "), "{folds:?}");
    assert!(folds[1].starts_with("0.3 * small (view other, score cosine): "), "{folds:?}");
    let scan = explanation.stages.iter().find(|stage| stage.name == "scan").unwrap();
    assert_eq!((scan.rows, scan.bytes), (Some(39), Some(39 * (8 + 4) * 4)));
    assert_eq!(explanation.plan.unwrap().absent, 1);
}

fn comparison(session: &mut Session, statement: &str) -> crate::Comparison {
    match session.run(statement).unwrap_or_else(|error| panic!("{statement}: {error}")) {
        Reply::Comparison(comparison) => *comparison,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test]
fn a_comparison_is_each_lens_s_own_answer() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let compared = comparison(&mut session, "compare plain, topical: find #w9 in words | where number < 30 | top 5");
    assert_eq!(compared.statement, "compare plain, topical: find #w9 in words | where number < 30 | top 5");
    let plain = fixture.run("find #w9 in words | where number < 30 | top 5");
    let topical = fixture.run("find #w9 in words | using topical | where number < 30 | top 5");
    assert_eq!((compared.columns[0].hits(), compared.columns[1].hits()), (plain.hits(), topical.hits()));
    assert_eq!(compared.columns[0].header.name.as_deref(), Some("plain"));
    let [agreement] = compared.agreements.as_slice() else { panic!("two columns are one pair") };
    let shared = ids(&plain).iter().filter(|id| ids(&topical).contains(id)).count();
    assert_eq!((agreement.shared, agreement.overlap), (shared as u64, Some(shared as f64 / 5.0)));
    for (hit, change) in compared.columns[1].hits().iter().zip(compared.changes(1)) {
        let before = plain.hits().iter().find(|other| other.id() == hit.id());
        assert_eq!(change, before.map(|before| before.rank() as i64 - hit.rank() as i64));
        assert_eq!(compared.change(hit), change);
    }
    // The same lens twice agrees with itself, and a view of its own is no obstacle.
    let three = comparison(&mut session, "compare centered, centered, small: find #w9 in words");
    assert_eq!(three.statement, "compare centered, centered, small: find #w9 in words | top 10");
    let pairs: Vec<_> = three.agreements.iter().map(|agreement| (agreement.first, agreement.second)).collect();
    assert_eq!(pairs, [(0, 1), (0, 2), (1, 2)]);
    assert_eq!((three.agreements[0].overlap, three.agreements[0].rank_correlation), (Some(1.0), Some(1.0)));
    assert_eq!(three.agreements[1].overlap, three.agreements[2].overlap);
    // A saved lens takes the name of the one that needs no saving.
    session.run("let plain = view other").unwrap();
    assert_eq!(comparison(&mut session, "compare plain, small: find #w9 in words").agreements[0].overlap, Some(1.0));
    let none = comparison(&mut session, "compare plain, small: find #w9 in words | where number > 99");
    assert_eq!((none.agreements[0].overlap, none.agreements[0].rank_correlation), (None, None));
}

#[test]
fn what_a_comparison_does_not_take_is_said_where_it_stands() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let nine = ["plain"; 9].join(", ");
    let cases = [
        ("compare plian, small: find #w9 in words".to_string(), "resolve::no_such_lens", "plian"),
        ("compare plain, small: find #w9 in words | view other".to_string(), "resolve::compare_lens", "other"),
        (
            "compare plain, small: find #w9 in words | center corpus".to_string(),
            "resolve::compare_lens",
            "center corpus",
        ),
        ("compare plain, small: find #w9 in words | score dot".to_string(), "resolve::compare_lens", "dot"),
        ("compare plain, far: find #w9 in words | above 0.5".to_string(), "resolve::bound_direction", "above 0.5"),
        (format!("compare {nine}: find #w9 in words"), "resolve::limit", "plain"),
    ];
    for (statement, code, piece) in cases {
        let error = session.run(&statement).unwrap_err();
        let error = error.query().unwrap();
        assert_eq!((error.code, &error.text[error.span.clone()]), (code, piece), "{statement}");
    }
    let snapshot = fixture.snapshot();
    let find = || snapshot.find(Source::id("w9")).in_collection("words");
    assert_eq!(find().compare(["plain", "nowhere"]).unwrap_err().query().unwrap().code, "resolve::no_such_lens");
    let own = find().lens(Lens::view("other")).compare(["plain", "small"]).unwrap_err();
    assert_eq!(own.query().unwrap().code, "resolve::compare_lens");
    assert!(find().compare(["plain"]).is_err());
}

fn pairs(session: &mut Session, statement: &str) -> crate::Pairs {
    match session.run(statement).unwrap_or_else(|error| panic!("{statement}: {error}")) {
        Reply::Pairs(pairs) => *pairs,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test]
fn pairs_are_what_searches_find() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let found = pairs(&mut session, "pairs in words | using centered | where number < 30 | top 1000");
    assert_eq!(found.statement, "pairs in words | using centered | score cosine | where number < 30 | top 1000");
    // All of 30 records: centered, none of them is without direction.
    assert_eq!((found.pairs.len(), found.plan.matched, found.plan.scanned), (435, 30, 30));
    assert_eq!((found.plan.path.as_str(), found.plan.undirected, found.plan.absent), ("pairs", 0, 0));
    for pair in found.pairs.iter().step_by(17) {
        let answer = fixture.run(&format!("find #{} in words | using centered | top 40", pair.a.id));
        assert_eq!(value(&answer, &pair.b.id), Some(pair.value), "{} {}", pair.a.id, pair.b.id);
    }
    assert!(found.pairs.windows(2).all(|two| two[0].value >= two[1].value));
    // w2 and w3 are the same vector, w4 and w5 the same direction.
    let plain = pairs(&mut session, "pairs in words | above 0.999 | top 5");
    let ids: Vec<_> = plain.pairs.iter().map(|pair| (pair.a.id.as_str(), pair.b.id.as_str())).collect();
    assert_eq!(ids, [("w2", "w3"), ("w4", "w5")]);
    assert_eq!((plain.plan.undirected, plain.pairs[1].rank), (1, 2));
    assert_eq!(pairs(&mut session, "pairs in words | above 0.999 | skip 1").pairs, plain.pairs[1..]);
    let near = pairs(&mut session, "pairs in words | score euclidean | within 0 | top 5");
    assert_eq!((near.pairs.len(), near.pairs[0].distance()), (1, Some(0.0)));
    let small = pairs(&mut session, "pairs in words | using small | top 3");
    assert_eq!((small.plan.absent, small.plan.scanned), (1, 39));
    let built = fixture.snapshot().pairs("words").lens(Lens::saved("small")).top(3).run().unwrap();
    assert_eq!((built.pairs, built.statement), (small.pairs, small.statement));
}

#[test]
fn the_better_direction_of_a_pair_counts_under_two_sided_lenses() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let found = pairs(&mut session, "pairs in words | project asks -> answers | top 1000");
    assert!(found.notes.iter().any(|note| note.contains("query side")), "{:?}", found.notes);
    assert_eq!(found.pairs.len(), 39 * 38 / 2);
    for pair in found.pairs.iter().step_by(31) {
        let from = |id: &str| fixture.run(&format!("find #{id} in words | project asks -> answers | top 40"));
        let there = value(&from(&pair.a.id), &pair.b.id).unwrap();
        assert_eq!(pair.value, there);
        assert!(value(&from(&pair.b.id), &pair.a.id).unwrap() <= there);
    }
}

#[test]
fn what_pairs_do_not_take_is_said_where_it_stands() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let cases = [
        ("pairs in word", "resolve::no_such_collection", "word"),
        ("pairs in words | using smal", "resolve::no_such_lens", "smal"),
        ("pairs in words | score levenshtein", "resolve::pairs_lens", "levenshtein"),
        ("pairs in words | blend 1 * small", "resolve::pairs_lens", "small"),
        ("pairs in words | using far | above 1", "resolve::bound_direction", "above 1"),
        ("pairs in words | including self", "resolve::pairs_self", "words"),
        ("pairs in words | where nmber > 3", "resolve::no_such_field", "nmber"),
    ];
    for (statement, code, piece) in cases {
        let error = session.run(statement).unwrap_err();
        let error = error.query().unwrap();
        assert_eq!((error.code, &error.text[error.span.clone()]), (code, piece), "{statement}");
    }
}

fn why(session: &mut Session, statement: &str) -> crate::Why {
    match session.run(statement).unwrap_or_else(|error| panic!("{statement}: {error}")) {
        Reply::Why(why) => *why,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test]
fn why_tells_the_place_and_what_it_is_made_of() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    for lens in
        ["using topical", "using centered", "using far", "normalize | center corpus | project topic", "score pearson"]
    {
        let all = fixture.run(&format!("find #w9 in words | {lens} | where number < 30 | top 40"));
        let plain = fixture.run("find #w9 in words | where number < 30 | top 40");
        for hit in all.hits().iter().step_by(7) {
            let id = hit.id();
            let told = why(&mut session, &format!("why #{id}: find #w9 in words | {lens} | where number < 30 | top 8"));
            assert_eq!(
                (told.value, told.rank, told.ranked),
                (Some(hit.value()), Some(hit.rank()), all.hits().len() as u64)
            );
            assert_eq!((told.standing.as_str(), told.listed), ("ranked", hit.rank() <= 8));
            let place = told.plain.map(|place| (place.cosine, place.rank));
            let expected = plain.hits().iter().find(|other| other.id() == id);
            assert_eq!(place, expected.map(|hit| (hit.value(), Some(hit.rank()))), "{id} {lens}");
            let part = &told.parts[0];
            assert!((part.sum.unwrap() - hit.value()).abs() < 1e-9, "{lens}: {part:?}");
            assert_eq!(part.value, told.value);
            let steps: Vec<&str> = part.steps.iter().map(|step| step.step.as_str()).collect();
            let mut written = all.header.step_texts();
            if matches!(all.header.metric_name(), "cosine" | "pearson") {
                written.push(all.header.metric_name().to_string());
            }
            assert_eq!(steps, written);
        }
    }
    let told = why(&mut session, "why #w12: find #w9 in words | using topical");
    assert_eq!(told.statement, "why #w12: find #w9 in words | using topical | score dot | top 10");
    // 39 others as queries for 40 records: few enough to take them all.
    let scores: Vec<f64> = (0..40)
        .flat_map(|i| fixture.run(&format!("find #w{i} in words | using topical | top 40")).hits().to_vec())
        .map(|hit| hit.value())
        .collect();
    let below = scores.iter().filter(|score| **score < told.value.unwrap()).count();
    let background = told.background.unwrap();
    assert_eq!((background.pairs, scores.len()), (40 * 39, 40 * 39));
    assert_eq!(background.percentile, (below as f64 / scores.len() as f64 * 1000.0).floor() / 10.0);
    let built = fixture.snapshot().find(Source::id("w9")).in_collection("words").lens(Lens::saved("topical"));
    assert_eq!(built.why("w12").unwrap().parts, told.parts);
}

#[test]
fn why_says_when_a_record_is_not_ranked() {
    let (fixture, _) = lenses();
    let mut session = Session::new(&fixture.store);
    let cases = [
        ("why #w9: find #w9 in words | using centered", "left out", true),
        ("why #w12: find #w9 in words | using centered | where number > 20", "filtered", true),
        ("why #w0: find #w9 in words", "undirected", false),
        ("why #w1: find #w9 in words | score pearson", "undirected", false),
        ("why #w6: find #w9 in words | view other", "absent", false),
        ("why #w6: find #w9 in words | blend 1 * plain + 1 * small", "absent", false),
    ];
    for (statement, standing, has_value) in cases {
        let told = why(&mut session, statement);
        assert_eq!(
            (told.standing.as_str(), told.value.is_some(), told.rank),
            (standing, has_value, None),
            "{statement}"
        );
    }
    let kept = why(&mut session, "why #w9: find #w9 in words | including self");
    assert_eq!((kept.rank, kept.listed), (Some(1), true));
    // The trace ends where the direction is lost.
    let lost = why(&mut session, "why #w1: find #w9 in words | score pearson");
    assert_eq!(lost.parts[0].steps.last().unwrap().record, None);
    let blend = why(&mut session, "why #w12: find #w9 in words | blend 0.7 * topical - 0.25 * small");
    let sum: f64 = 0.7 * blend.parts[0].value.unwrap() + -0.25 * blend.parts[1].value.unwrap();
    assert_eq!((blend.value, blend.plain), (Some(sum), None));
    for (statement, code, piece) in [
        ("why #nobody: find #w9 in words", "resolve::no_such_record", "#nobody"),
        ("why #w1: find #w9 in words | using nothing", "resolve::no_such_lens", "nothing"),
        ("why #w1: find #w9 in words | score levenshtein", "resolve::why_metric", "levenshtein"),
    ] {
        let error = session.run(statement).unwrap_err();
        let error = error.query().unwrap();
        assert_eq!((error.code, &error.text[error.span.clone()]), (code, piece), "{statement}");
    }
}
