//! Sessions: saved lenses, listings, explanations.

use super::*;
use crate::error::ErrorKind;
use crate::exec::{Listing, Reply, Session, is_write};
use crate::types::{CommitNumber, Value};

fn answer(session: &mut Session, statement: &str) -> Answer {
    match session.run(statement).unwrap_or_else(|error| panic!("{statement}: {error}")) {
        Reply::Answer(answer) => *answer,
        other => panic!("{statement}: {other:?}"),
    }
}

fn listing(session: &mut Session, statement: &str) -> Listing {
    match session.run(statement).unwrap() {
        Reply::Listing(listing) => listing,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test]
fn a_saved_lens_means_what_it_was_saved_as() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    let Reply::Saved(saved) = session.run("let topical = center corpus | project topic | score dot").unwrap() else {
        panic!("let saves");
    };
    assert_eq!(saved.statement, "let topical = view raw | center corpus | project topic | score dot");
    assert_eq!((saved.version, saved.pinned_collections.as_slice()), (1, ["words".to_string()].as_slice()));
    let used = answer(&mut session, "find #w9 in words | using topical | top 3");
    let written = answer(&mut session, "find #w9 in words | center corpus | project topic | score dot | top 3");
    assert_eq!(used.hits(), written.hits());
    assert_eq!(used.statement, "find #w9 in words | using topical | score dot | top 3");
    assert_eq!(used.header.name.as_deref(), Some("topical"));
    assert_eq!(used.header.step_texts(), ["center corpus", "project topic"]);
    assert_eq!(used.header.projection().as_deref(), Some("topic"));
    // A metric after `using` replaces the lens's, steps come after its own.
    let other = answer(&mut session, "find #w9 in words | using topical | normalize | score euclidean | top 3");
    let written = "find #w9 in words | center corpus | project topic | normalize | score euclidean | top 3";
    assert_eq!(other.hits(), answer(&mut session, written).hits());
    // A lens can start from a lens.
    session.run("let unit = using topical | normalize").unwrap();
    let listed = listing(&mut session, "show lenses");
    assert_eq!(listed.rows[1][1], Value::from("view raw | center corpus | project topic | normalize | score dot"));
    let Reply::Dropped { name, .. } = session.run("drop unit").unwrap() else { panic!("drop drops") };
    assert_eq!(name, "unit");
    assert_eq!(session.run("drop unit").unwrap_err().query().unwrap().code, "resolve::no_such_lens");
}

#[test]
fn a_saved_lens_pins_its_mean_and_says_how_old_it_is() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    session.run("let centered = center corpus | score euclidean").unwrap();
    let saved_at = fixture.snapshot().commit().0 - 1;
    let before = answer(&mut session, "find [1, 0, 0, 0, 0, 0, 0, 0] in words | using centered | score dot");
    let pinned = before.header.pinned.unwrap();
    assert_eq!((pinned.commit, pinned.commits_behind, pinned.records), (CommitNumber(saved_at), 0, 40));
    let mut batch = fixture.store.begin().unwrap();
    let far = Record::new("far", "").vector("raw", vec![-100.0; DIMENSION]);
    batch.collection("words").unwrap().insert(far).unwrap();
    batch.commit().unwrap();
    let after = answer(&mut session, "find [1, 0, 0, 0, 0, 0, 0, 0] in words | using centered | score dot | top 41");
    assert_eq!(after.header.pinned.unwrap().commits_behind, 1);
    // The mean is the one that was saved: scores of records that were there have not moved.
    for hit in before.hits() {
        let now = after.hits().iter().find(|other| other.id() == hit.id()).unwrap();
        assert_eq!(now.value().to_bits(), hit.value().to_bits());
    }
    let fresh = answer(&mut session, "find [1, 0, 0, 0, 0, 0, 0, 0] in words | center corpus | score dot | top 41");
    assert_ne!(fresh.hits()[0].value(), after.hits()[0].value());
    assert_eq!(fresh.header.pinned, None);
}

#[test]
fn a_lens_that_fits_nothing_is_not_saved() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    for (statement, code) in [
        ("let bad = view nowhere", "resolve::no_such_view"),
        ("let bad = truncate 9", "resolve::dimension"),
        ("let bad = project nothing", "resolve::no_such_projection"),
        ("let bad = center | score levenshtein", "resolve::levenshtein_steps"),
        ("let bad = whiten 9", "resolve::dimension"),
        ("let bad = center sides from nobody", "resolve::no_such_sample"),
        ("let bad = score probability", "resolve::not_calibrated"),
        ("let bad = using missing", "resolve::no_such_lens"),
    ] {
        assert_eq!(session.run(statement).unwrap_err().query().unwrap().code, code, "{statement}");
    }
    assert!(fixture.snapshot().lenses().unwrap().is_empty());
    // View `other` has 4 dimensions, `raw` 8: the lens is checked against its own.
    session.run("let good = view other | truncate 4").unwrap();
}

#[test]
fn lists_what_there_is() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    let collections = listing(&mut session, "show collections");
    assert_eq!(collections.rows, [vec!["words".into(), 40_i64.into(), "raw, other".into()]]);
    let views = listing(&mut session, "show views");
    assert_eq!(
        views.rows[1],
        ["words".into(), "other".into(), "vectors".into(), 4_i64.into(), Value::Null, 39_i64.into()]
    );
    let fields = listing(&mut session, "show fields");
    assert!(fields.rows.contains(&vec!["words".into(), "tags".into(), "list of text".into()]));
    let projections = listing(&mut session, "show projections");
    assert_eq!(projections.rows.len(), 4);
    assert_eq!(session.run("show undirected").unwrap_err().query().unwrap().code, "resolve::no_last_search");
    answer(&mut session, "find #w9 in words | score pearson | top 1");
    let undirected = listing(&mut session, "show undirected");
    assert_eq!(undirected.rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), ["w0".into(), "w1".into()]);
    for rows in [&collections, &views, &fields, &projections, &undirected] {
        assert!(rows.rows.iter().all(|row| row.len() == rows.columns.len()));
    }
}

#[test]
fn explain_says_what_is_done_and_analyze_measures_it() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    let statement = "find #w9 in words | center corpus | score pearson | where number < 20 | above 0.1 | top 3";
    let Reply::Explanation(plain) = session.run(&format!("explain {statement}")).unwrap() else { panic!() };
    let text = |name: &str| plain.stages.iter().find(|stage| stage.name == name).unwrap().text.clone();
    assert_eq!(text("filter"), "number < 20 keeps 20 of 40 (bitmap)");
    assert_eq!(text("metric"), "pearson = center | normalize | dot");
    assert!(text("fold").contains("computed first") && text("fold").contains("mean of this commit's records"));
    assert!(text("scan").starts_with("20 rows, 0.0 MB, exact"), "{}", text("scan"));
    assert_eq!(text("then"), "above 0.1, top 3");
    assert_eq!((plain.plan, plain.elapsed, plain.memory), (None, None, None));
    assert!(plain.stages.iter().all(|stage| stage.elapsed.is_none()));
    let Reply::Explanation(measured) = session.run(&format!("explain analyze {statement}")).unwrap() else { panic!() };
    assert!(measured.statement.starts_with("explain analyze find #w9"));
    let scan = measured.stages.iter().find(|stage| stage.name == "scan").unwrap();
    assert_eq!((scan.rows, scan.bytes), (Some(20), Some(20 * 8 * 4)));
    assert!(scan.elapsed.is_some() && measured.elapsed.is_some());
    assert_eq!(
        measured.memory.is_some_and(|memory| memory.resident_bytes > memory.mapped_bytes),
        cfg!(target_os = "linux")
    );
    assert_eq!(measured.plan.unwrap().matched, 20);
    let Reply::Explanation(again) = session.run(&format!("explain {statement}")).unwrap() else { panic!() };
    assert!(again.stages.iter().any(|stage| stage.text.contains("cached")));
    // A source that is still open does not keep a search from being explained.
    assert!(session.run("explain find $q in words").is_ok());
    assert!(session.run("explain analyze find $q in words").is_err());
}

#[test]
fn only_let_and_drop_write() {
    assert!(is_write("let a = view raw") && is_write("drop a"));
    assert!(!is_write("find #a in b") && !is_write("explain find #a in b") && !is_write("let"));
    let (fixture, _) = words();
    let reader = Store::open_read_only(fixture.store.path()).unwrap();
    let mut session = Session::new(&reader);
    assert_eq!(session.run("let a = view raw").unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(answer(&mut session, "find #w9 in words").hits().len(), 10);
}

#[test]
fn a_session_that_holds_its_snapshot_sees_new_commits() {
    let (fixture, _) = words();
    let mut session = Session::new(&fixture.store);
    session.hold_snapshot(true);
    assert_eq!(answer(&mut session, "find #w9 in words | where number < 20").plan.matched, 20);
    let mut batch = fixture.store.begin().unwrap();
    batch.collection("words").unwrap().remove("w3").unwrap();
    batch.commit().unwrap();
    assert_eq!(answer(&mut session, "find #w9 in words | where number < 20").plan.matched, 19);
}

#[test]
fn a_condition_names_records_and_removes_them() {
    let (fixture, _) = words();
    let snapshot = fixture.snapshot();
    assert_eq!(snapshot.matching("words", "number >= 38").unwrap(), ["w38", "w39"]);
    assert_eq!(snapshot.matching("words", "nmber >= 38").unwrap_err().query().unwrap().code, "resolve::no_such_field");
    let mut batch = fixture.store.begin().unwrap();
    assert_eq!(batch.collection("words").unwrap().remove_where(&snapshot, "tags has \"even\"").unwrap(), 20);
    batch.commit().unwrap();
    assert_eq!(fixture.run("find #w9 in words | top 40").plan.rows, 20);
}

#[test]
fn bound_parameters_reach_later_statements() {
    let fixture = notes();
    let mut session = Session::new(&fixture.store);
    session.bind("q", "lentils");
    let found = answer(&mut session, "find $q in notes | top 1");
    assert_eq!(
        (ids(&found), found.statement.as_str()),
        (vec!["n4"], "find $q in notes | view raw | score cosine | top 1")
    );
}
