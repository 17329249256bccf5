//! Answers and counts.

use super::*;
use crate::exec::{Filter, Lens, Param, Source};
use crate::lens::Projection;
use crate::types::{Metric, Value};

fn step(fixture: &Fixture, text: &str) -> ResolvedStep {
    let def = |name: &str| fixture.snapshot().projection(name).unwrap().unwrap();
    match text.split(' ').collect::<Vec<_>>().as_slice() {
        ["center"] => ResolvedStep::Center,
        ["center", "corpus"] => ResolvedStep::CenterCorpus,
        ["normalize"] => ResolvedStep::Normalize,
        ["truncate", k] => ResolvedStep::Truncate(k.parse().unwrap()),
        ["project", name] => ResolvedStep::Project(Projection::from_def(&def(name)).unwrap()),
        ["project", a, "->", b] => ResolvedStep::Project(Projection::pair(&def(a), &def(b)).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn searches_agree_with_the_oracle() {
    let (fixture, vectors) = words();
    let query: Vec<f64> =
        vectors[9].iter().zip(&vectors[10]).map(|(a, b)| 0.5 * f64::from(*a) + f64::from(*b)).collect();
    let chains: &[&[&str]] = &[
        &[],
        &["center"],
        &["center corpus"],
        &["normalize"],
        &["center corpus", "normalize", "center corpus"],
        &["truncate 5", "center corpus"],
        &["project topic"],
        &["center corpus", "project asks -> answers"],
        &["normalize", "project both", "normalize"],
    ];
    let metrics = [
        ("cosine", VectorMetric::Cosine),
        ("dot", VectorMetric::Dot),
        ("pearson", VectorMetric::Pearson),
        ("euclidean", VectorMetric::Euclidean),
    ];
    for chain in chains {
        let steps: Vec<_> = chain.iter().map(|text| step(&fixture, text)).collect();
        for (name, metric) in metrics {
            let stages: String = chain.iter().map(|text| format!(" | {text}")).collect();
            let statement =
                format!("find 0.5 * #w9 + #w10 in words{stages} | score {name} | where number < 30 | skip 2 | top 12");
            let answer = fixture.run(&statement);
            let expected = oracle_ranking(&steps, metric, &vectors, &query, |row| row < 30 && row != 9 && row != 10);
            let listed = &expected[2..14];
            assert_eq!(answer.hits().len(), listed.len(), "{statement}");
            for (hit, (row, value)) in answer.hits().iter().zip(listed) {
                assert!((hit.value() - value).abs() < 1e-9, "{statement}: {} {value}", hit.value());
                // Equal values may differ in their last bit between two ways of adding up.
                let tied = expected.iter().any(|(other, v)| *other == hit.row().0 && (v - value).abs() < 1e-9);
                assert!(tied, "{statement}: row {} for {row}", hit.row());
                assert_eq!(hit.id(), format!("w{}", hit.row()));
            }
        }
    }
}

#[test]
fn an_answer_counts_what_it_saw() {
    let (fixture, _) = words();
    let answer = fixture.run("find #w9 in words | score pearson | where number < 20 | top 3");
    let plan = answer.plan;
    assert_eq!((plan.rows, plan.matched, plan.scanned), (40, 20, 20));
    // w0 is zero and w1 constant: neither has a direction once its mean is gone.
    assert_eq!((plan.undirected, plan.absent, plan.left_out), (2, 0, 1));
    assert!(plan.exact);
    assert_eq!(plan.commit, fixture.snapshot().commit());
    assert_eq!(
        fixture.query("find $q in words | score pearson | where number < 20").undirected().unwrap(),
        ["w0", "w1"]
    );
    let other = fixture.run("find #w9 in words | view other | where number in (5, 6, 7) | top 3");
    assert_eq!((other.plan.matched, other.plan.scanned, other.plan.absent, other.plan.left_out), (3, 2, 1, 0));
    assert_eq!(ids(&other).len(), 2);
}

#[test]
fn a_large_integer_is_found_after_its_field_has_become_one_of_floats() {
    let fixture = Fixture::empty();
    let add = |id: &str, record: Record| {
        let mut batch = fixture.store.begin().unwrap();
        batch.collection("c").unwrap().no_embed(true).insert(record.vector("raw", vec![1.0, 2.0])).unwrap();
        batch.commit().unwrap_or_else(|error| panic!("{id}: {error}"));
    };
    let large = (1_i64 << 53) + 1;
    add("a", Record::new("a", "").field("k", large));
    let found = |condition: &str| {
        let answer = fixture.run(&format!("find [1, 2] in c | where {condition}"));
        answer.hits().iter().map(|hit| hit.id().to_string()).collect::<Vec<_>>()
    };
    for condition in [format!("k = {large}"), format!("k >= {large}"), format!("k in ({large}, 3)")] {
        assert_eq!(found(&condition), ["a"], "{condition}");
    }
    add("b", Record::new("b", "").field("k", 1.5));
    for condition in [format!("k = {large}"), format!("k >= {large}"), format!("k in ({large}, 3)")] {
        assert_eq!(found(&condition), ["a"], "{condition}");
    }
    assert_eq!(found("k < 2"), ["b"]);
}

#[test]
fn defaults_are_printed_back() {
    let (fixture, _) = words();
    let answer = fixture.run("FIND #w9 IN words");
    assert_eq!(answer.statement, "find #w9 in words | view raw | score cosine | top 10");
    assert_eq!(answer.hits().len(), 10);
    assert_eq!(answer.header.direction(), "higher is more similar");
    assert!(answer.notes.is_empty());
    let again = fixture.run(&answer.statement);
    assert_eq!(again.hits(), answer.hits());
}

#[test]
fn records_named_in_the_source_are_left_out_unless_wanted() {
    let (fixture, _) = words();
    let answer = fixture.run("find #w9 - #w9 + #w12 in words | top 40");
    assert!(!ids(&answer).contains(&"w9") && !ids(&answer).contains(&"w12"));
    assert_eq!(answer.plan.left_out, 2);
    let with_self = fixture.run("find #w12 in words | including self | top 1");
    assert_eq!((ids(&with_self), with_self.plan.left_out), (vec!["w12"], 0));
    assert_eq!(with_self.hits()[0].rank(), 1);
}

#[test]
fn bounds_are_inclusive_and_skip_keeps_ranks() {
    let (fixture, _) = words();
    let all = fixture.run("find #w9 in words | top 40");
    let third = all.hits()[2].value();
    let above = fixture.run(&format!("find #w9 in words | above {third:?} | top 40"));
    assert_eq!(ids(&above), ids(&all)[..3]);
    let skipped = fixture.run("find #w9 in words | skip 2 | top 2");
    assert_eq!(skipped.hits(), &all.hits()[2..4]);
    assert_eq!(skipped.hits()[0].rank(), 3);
    let near = fixture.run("find #w9 in words | score euclidean | top 40");
    let second = near.hits()[1].distance().unwrap();
    let within = fixture.run(&format!("find #w9 in words | score euclidean | within {second:?}"));
    assert_eq!(ids(&within), ids(&near)[..2]);
    assert_eq!((within.hits()[0].score(), all.hits()[0].score()), (None, Some(all.hits()[0].value())));
    assert_eq!(within.header.direction(), "lower is more similar");
}

#[test]
fn equal_values_go_by_row() {
    let (fixture, _) = words();
    let answer = fixture.run("find #w5 in words | top 1");
    // w4 is four times w5: cosine 1; w2 and w3 are equal.
    assert_eq!(ids(&answer), ["w4"]);
    let all = fixture.run("find #w9 in words | top 40");
    let place = |id| ids(&all).iter().position(|found| *found == id).unwrap();
    assert_eq!(place("w3"), place("w2") + 1);
}

#[test]
fn a_batch_answers_as_single_searches_do() {
    let (fixture, vectors) = words();
    let query = fixture.query("find $q in words | center corpus | score cosine | where tags has \"even\" | top 4");
    let values: Vec<Param> = vectors[7..20].iter().map(|vector| vector.clone().into()).collect();
    let batch = query.run_batch(&values).unwrap();
    for (value, together) in values.iter().zip(&batch) {
        let alone = query.clone().bind("q", value.clone()).run().unwrap();
        assert_eq!((alone.hits(), alone.plan), (together.hits(), together.plan));
    }
    assert!(query.run_batch(&[]).unwrap().is_empty());
    let mixed = query.run_each(&[vec![0.0; DIMENSION].into(), values[0].clone()]).unwrap();
    // The zero vector minus the mean has a direction; under plain cosine it has none.
    assert!(mixed[0].is_ok() && mixed[1].is_ok());
    let plain = fixture.query("find $q in words | top 4");
    let mixed = plain.run_each(&[vec![0.0; DIMENSION].into(), values[0].clone()]).unwrap();
    assert_eq!(mixed[0].as_ref().unwrap_err().query().unwrap().code, "resolve::no_direction");
    assert_eq!(mixed[1].as_ref().unwrap().hits().len(), 4);
    assert!(plain.run_batch(&[vec![0.0; DIMENSION].into()]).unwrap_err().message().starts_with("query 1: "));
}

#[test]
fn a_batch_may_vary_the_condition() {
    let (fixture, vectors) = words();
    let query = fixture.query("find #w9 in words | where number >= $least | top 40");
    let answers = query.run_batch(&[10.into(), 38.into()]).unwrap();
    assert_eq!(answers.iter().map(|answer| answer.plan.matched).collect::<Vec<_>>(), [30, 2]);
    // What is the same for all keeps one pass.
    let query = fixture.query("find $q in words | where number >= $least | top 40").bind("least", "30");
    let values: Vec<Param> = [9, 10].map(|idx| vectors[idx].clone().into()).into();
    let answers = query.run_batch(&values).unwrap();
    assert_eq!(answers.iter().map(|answer| answer.plan.matched).collect::<Vec<_>>(), [10, 10]);
    assert_ne!(answers[0].hits(), answers[1].hits());
    let fixed = fixture.query("find #w9 in words");
    assert_eq!(fixed.run_batch(&[1.into()]).unwrap_err().query().unwrap().code, "resolve::batch_param");
}

#[test]
fn bound_text_is_read_as_what_the_field_holds() {
    let (fixture, _) = words();
    let matched = |condition: &str, value: Param| {
        let query = fixture.query(&format!("find #w9 in words | where {condition}")).bind("v", value);
        query.run().map(|answer| answer.plan.matched).map_err(|error| error.query().unwrap().code)
    };
    assert_eq!(matched("number < $v", "12".into()), Ok(12));
    assert_eq!(matched("number < $v", "11.5".into()), Ok(12));
    assert_eq!(matched("number in ($v, 3)", "12".into()), Ok(2));
    assert_eq!(matched("number < $v", "twelve".into()), Err("resolve::type_mismatch"));
    assert_eq!(matched("number < $v", "inf".into()), Err("resolve::type_mismatch"));
    assert_eq!(matched("kind = $v", "third".into()), Ok(14));
    assert_eq!(matched("kind = $v", 3.into()), Err("resolve::type_mismatch"));
    assert_eq!(matched("tags has $v", "even".into()), Ok(20));
}

#[test]
fn the_builder_makes_the_same_search() {
    let (fixture, _) = words();
    let written = fixture.run(
        "find #w9 - 0.5 * #w10 in words | view raw | center corpus | project asks -> answers | score dot \
         | where number >= 3 and not tags has \"odd\" | above -5 | skip 1 | top 5 | including self",
    );
    let lens = Lens::view("raw").center_corpus().project_pair("asks", "answers").dot();
    let built = fixture
        .snapshot()
        .find(Source::id("w9") - 0.5 * Source::id("w10"))
        .in_collection("words")
        .lens(lens)
        .filter(Filter::ge("number", 3).and(Filter::has("tags", "odd").not()))
        .above(-5.0)
        .skip(1)
        .top(5)
        .including_self()
        .run()
        .unwrap();
    assert_eq!(built.statement, written.statement);
    assert_eq!((built.hits(), built.plan), (written.hits(), written.plan));
    assert_eq!(built.hits()[0].fields()["number"], Value::Integer(i64::from(built.hits()[0].row().0)));
}

#[test]
fn text_goes_through_the_template_of_its_view() {
    let fixture = notes();
    let answer = fixture.run("find \"the locksmith\" in notes | view asked | top 1");
    assert_eq!(answer.header.embedder, fixture.snapshot().collection("notes").unwrap().def().views[0].embedder);
    let embedder = fixture.store.embedder(answer.header.embedder.as_deref().unwrap()).unwrap();
    let mut vector = Vec::new();
    embedder.embed(&["Where is the locksmith?"], &mut vector).unwrap();
    let query = fixture.query("find $q in notes | view asked | top 1").bind("q", vector);
    assert_eq!(query.run().unwrap().hits(), answer.hits());
    assert_eq!(ids(&answer), ["n2"]);
}

#[test]
fn text_in_a_rewrite_view_is_taken_as_typed_with_a_note() {
    let fixture = notes();
    let answer = fixture.run("find \"soup\" in notes | view rewritten | top 1");
    assert_eq!((ids(&answer), answer.plan.absent), (vec!["n4"], 1));
    assert!(answer.notes[0].contains("as typed"), "{:?}", answer.notes);
    assert!(fixture.run("find #n1 in notes | view rewritten").notes.is_empty());
}

#[test]
fn weights_that_do_not_sum_to_one_are_noted_where_a_mean_is_subtracted() {
    let (fixture, _) = words();
    let notes = |statement: &str| fixture.run(statement).notes.len();
    assert_eq!(notes("find #w9 + #w10 in words | center corpus"), 1);
    assert_eq!(notes("find #w9 - #w10 + #w11 in words | center corpus"), 0);
    assert_eq!(notes("find 0.5 * #w9 + 0.5 * #w10 in words | center corpus"), 0);
    assert_eq!(notes("find #w9 + #w10 in words"), 0);
}

#[test]
fn doubtful_chains_run_and_are_noted() {
    let (fixture, _) = words();
    let answer = fixture.run("find #w9 in words | normalize | truncate 4 | score dot");
    assert_eq!(answer.hits().len(), 10);
    assert!(answer.notes[0].contains("normalize | truncate"), "{:?}", answer.notes);
}

#[test]
fn levenshtein_is_edit_distance_of_texts() {
    let fixture = notes();
    let answer = fixture.run("find \"I left them on my desk\" in notes | score levenshtein");
    let naive = |a: &str, b: &str| {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut before = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let next = (before + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                before = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()] as f64
    };
    let mut last = 0.0;
    for hit in answer.hits() {
        let distance = hit.distance().unwrap();
        assert_eq!(distance, naive("I left them on my desk", hit.text()));
        assert!(distance >= last);
        last = distance;
    }
    assert_eq!((answer.hits().len(), answer.hits()[0].id(), answer.plan.path.as_str()), (4, "n1", "texts"));
    let nearest = answer.hits()[0].distance().unwrap();
    let within =
        fixture.run(&format!("find \"I left them on my desk\" in notes | score levenshtein | within {nearest}"));
    assert_eq!(ids(&within), ["n1"]);
    let none = fixture.run("find \"I left them on my desk\" in notes | score levenshtein | within -1");
    assert!(none.hits().is_empty());
    let by_id = fixture.run("find #n1 in notes | view rewritten | score levenshtein");
    // n3 has no rewritten text, n1 is the source.
    assert_eq!((by_id.hits().len(), by_id.plan.absent, by_id.plan.left_out, by_id.plan.scanned), (2, 1, 1, 3));
    let template =
        fixture.run("find \"the locksmith opens at nine\" in notes | view asked | score levenshtein | top 1");
    assert_eq!(template.hits()[0].distance(), Some(1.0));
}

#[test]
fn nothing_is_found_in_a_view_without_vectors() {
    let (fixture, _) = words();
    let mut batch = fixture.store.begin().unwrap();
    batch.add_view("words", ViewSpec::vectors_only("later")).unwrap();
    batch.commit().unwrap();
    let answer = fixture.run("find [1, 2, 3] in words | view later");
    assert_eq!((answer.hits().len(), answer.plan.absent, answer.plan.scanned), (0, 40, 0));
    assert!(answer.notes[0].contains("no vectors yet"));
}

#[test]
fn scalars_are_not_reused_after_a_commit() {
    let (fixture, mut vectors) = words();
    let statement = "find [1, 0, 0, 0, 0, 0, 0, 0] in words | center corpus | score dot | top 50";
    let before = fixture.run(statement);
    let mut batch = fixture.store.begin().unwrap();
    let far = vec![100.0; DIMENSION];
    batch.collection("words").unwrap().insert(Record::new("far", "").vector("raw", far.clone())).unwrap();
    batch.collection("words").unwrap().remove("w39").unwrap();
    batch.commit().unwrap();
    vectors[39] = far;
    let after = fixture.run(statement);
    let query = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let expected = oracle_ranking(&[ResolvedStep::CenterCorpus], VectorMetric::Dot, &vectors, &query, |_| true);
    assert_eq!(after.hits().len(), 40);
    for (hit, (_, value)) in after.hits().iter().zip(&expected) {
        assert!((hit.value() - value).abs() < 1e-9, "{} {value}", hit.value());
    }
    assert_ne!(before.hits()[0].value(), after.hits()[0].value());
    assert!(!ids(&after).contains(&"w39"));
}

// What popular stores get wrong.

#[test]
fn an_identical_vector_comes_first_under_pearson() {
    let (fixture, _) = words();
    let answer = fixture.run("find #w9 in words | score pearson | including self | top 40");
    assert_eq!(answer.hits()[0].id(), "w9");
    assert!((answer.hits()[0].value() - 1.0).abs() < 1e-12);
    assert!(answer.hits().windows(2).all(|pair| pair[0].value() >= pair[1].value()));
}

#[test]
fn vectors_without_direction_are_apart_and_never_ranked() {
    let (fixture, _) = words();
    for (metric, undirected) in [("cosine", vec!["w0"]), ("pearson", vec!["w0", "w1"]), ("dot", vec![])] {
        let answer = fixture.run(&format!("find #w9 in words | score {metric} | top 40"));
        assert_eq!(answer.hits().len(), 39 - undirected.len(), "{metric}");
        assert!(answer.hits().iter().all(|hit| hit.value().is_finite()));
        assert!(undirected.iter().all(|id| !ids(&answer).contains(id)));
        assert_eq!(answer.plan.undirected, undirected.len() as u64);
    }
}

#[test]
fn a_filter_never_costs_results_and_never_changes_scores() {
    let (fixture, _) = words();
    let all = fixture.run("find #w9 in words | center corpus | top 40");
    let few = fixture.run("find #w9 in words | center corpus | where number in (0, 20, 31, 33, 39) | top 5");
    assert_eq!(few.hits().len(), 5);
    for hit in few.hits() {
        let same = all.hits().iter().find(|other| other.id() == hit.id()).unwrap();
        assert_eq!(same.value().to_bits(), hit.value().to_bits());
    }
}

#[test]
fn few_rows_are_prepared_alone_and_answer_with_the_same_bits() {
    let stages =
        ["center corpus", "center corpus | score euclidean", "normalize | score dot", "whiten", "score pearson"];
    let conditions = ["number = 5", "number in (6, 31)", "number in (5, 39)", "number > 1000", "number < 20"];
    for stage in stages {
        let (fresh, _) = words();
        let (other, _) = words();
        other.run(&format!("find #w9 in words | {stage} | top 40"));
        // On the first store one filter after the other is asked for, on the second all rows are known before.
        for condition in conditions {
            let statement = if stage.contains("score") {
                format!("find #w9 in words | {stage} | where {condition} | top 40")
            } else {
                format!("find #w9 in words | {stage} | score cosine | where {condition} | top 40")
            };
            let (found, expected) = (fresh.run(&statement), other.run(&statement));
            let bits = |answer: &Answer| -> Vec<(String, u64)> {
                answer.hits().iter().map(|hit| (hit.id().to_string(), hit.value().to_bits())).collect()
            };
            assert_eq!(bits(&found), bits(&expected), "{statement}");
            assert_eq!(found.plan.undirected, expected.plan.undirected, "{statement}");
        }
    }
}

#[test]
fn the_metric_belongs_to_the_search() {
    let (fixture, _) = words();
    for metric in [Metric::Cosine, Metric::Dot, Metric::Pearson, Metric::Euclidean] {
        let answer = fixture.run(&format!("find #w9 in words | score {}", metric.as_str()));
        assert_eq!(answer.header.metric, metric);
        assert!(answer.hits().iter().all(|hit| hit.is_distance() == metric.is_distance()));
    }
}

#[test]
fn vectors_come_back_bit_for_bit_after_any_search() {
    let (fixture, vectors) = words();
    fixture.run("find #w9 in words | center corpus | normalize | score pearson");
    let snapshot = fixture.snapshot();
    let words = snapshot.collection("words").unwrap();
    for (row, vector) in (0u32..).zip(&vectors) {
        let stored = words.view("raw").unwrap().vector(row).unwrap().unwrap();
        assert!(stored.iter().zip(vector).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
    assert!(no_params().is_empty());
}
