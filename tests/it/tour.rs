//! The tour: every stop answers, what the prose claims holds, and the store it leaves behind is whole.

use serde_json::Value as Json;
use simile::Store;
use std::process::Command;

/// Runs the tour once and returns its JSON.
fn tour(path: &std::path::Path) -> Json {
    let output = Command::new(env!("CARGO_BIN_EXE_simile")).args(["tour", "--json"]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Ids of the answer to question `question` of stop `stop`, both from 0.
fn ids(tour: &Json, stop: usize, question: usize) -> Vec<&str> {
    let results = &tour["stops"][stop]["answers"][question]["answer"]["results"];
    results.as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn what_the_tour_says_of_its_answers_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tour.simile");
    let tour = tour(&path);

    // The one about Dad is among the best by meaning, and not by letters.
    assert!(!ids(&tour, 0, 0).contains(&"s21"), "{:?}", ids(&tour, 0, 0));
    assert!(ids(&tour, 0, 1).contains(&"s21"), "{:?}", ids(&tour, 0, 1));

    // A question lands next to questions (n01 to n08), not next to its answer; the rewritten view finds the answer.
    let questions = ids(&tour, 1, 0).iter().filter(|id| ("n01".."n09").contains(*id)).count();
    assert!(questions >= 2 && !ids(&tour, 1, 0).contains(&"n09"), "{:?}", ids(&tour, 1, 0));
    assert!(ids(&tour, 1, 2).contains(&"n09"), "{:?}", ids(&tour, 1, 2));

    // Physicists first as described; a template hardly moves the ranking; by origin, people from England.
    let physicists = ["newton", "faraday", "fermi", "kapitsa", "landau", "einstein", "planck", "heisenberg", "volta"];
    let described = ids(&tour, 2, 0);
    assert!(described.iter().filter(|id| physicists.contains(id)).count() >= 4, "{described:?}");
    assert!(ids(&tour, 2, 1).iter().filter(|id| described.contains(id)).count() >= 4);
    let english = ["newton", "faraday", "shakespeare", "austen", "dickens", "elgar", "purcell", "turner", "constable"];
    assert!(ids(&tour, 2, 2).iter().all(|id| english.contains(id)), "{:?}", ids(&tour, 2, 2));

    // Queens and capitals.
    assert_eq!(ids(&tour, 3, 0).first(), Some(&"queen"));
    assert_eq!(ids(&tour, 3, 1).first(), Some(&"berlin"));

    // The two centers rank differently.
    assert_ne!(ids(&tour, 4, 1), ids(&tour, 4, 2));

    let store = Store::open_read_only(&path).unwrap();
    let report = store.check().unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn the_tour_refuses_a_path_where_something_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_simile")).arg("tour").arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}
