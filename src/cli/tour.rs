//! `simile tour`: the main job on real input, told as a story of its own words.
//!
//! Makes a store, fills it through the same doors a user has, asks it the questions of `stops`, and leaves it behind.
//! Every answer comes from a run; this file knows texts and statements, never a score.

mod stops;

use crate::error::{Error, Result};
use crate::exec::{Reply, Session};
use crate::interchange::jsonl::{ImportSpec, parse_line};
use crate::store::{Batch, Store, ViewSpec};
use crate::types::Record;
use std::path::Path;

pub(super) use stops::{STOPS, Stop};

/// Texts by collection, and the key of the supplied vectors where there are any.
const COLLECTIONS: &[(&str, &str, Option<&str>)] = &[
    ("sentences", include_str!("tour/sentences.jsonl"), None),
    ("notes", include_str!("tour/notes.jsonl"), None),
    ("people", include_str!("tour/people.jsonl"), None),
    ("ratings", include_str!("tour/ratings.jsonl"), Some("ratings")),
];

/// The most frequent words of the bundled model's vocabulary, one a line.
const WORDS: &str = include_str!("tour/words.txt");

/// What one statement of a stop answered.
pub(super) struct Answered {
    /// What it asks, in words.
    pub(super) caption: &'static str,
    /// As it is written.
    pub(super) statement: &'static str,
    /// The answer.
    pub(super) reply: Reply,
}

/// Makes the tour's store at `path` and fills it in one commit.
///
/// # Errors
/// When something is there already, or cannot be written.
pub(super) fn make_store(path: &Path) -> Result<Store> {
    let store = Store::create(path)?;
    let mut batch = store.begin()?;
    for (name, lines, vector_key) in COLLECTIONS {
        fill(&mut batch, name, lines, *vector_key)?;
    }
    let mut words = batch.collection("words")?;
    for word in WORDS.lines() {
        words.insert(Record::new(word, word))?;
    }
    batch.commit()?;
    Ok(store)
}

fn fill(batch: &mut Batch, name: &str, lines: &str, vector_key: Option<&str>) -> Result<()> {
    batch.collection(name)?;
    let views = views_of(name);
    for (_, view) in &views {
        batch.add_view(name, view.clone())?;
    }
    let spec = ImportSpec {
        vector_field: vector_key.map(str::to_string),
        view_texts: views.iter().filter_map(|(key, view)| key.map(|key| (key.to_string(), view.name.clone()))).collect(),
        ..ImportSpec::default()
    };
    let mut writer = batch.collection(name)?;
    for line in lines.lines() {
        let record = parse_line(line.as_bytes(), &spec).map_err(|error| Error::invalid(error.to_string()))?;
        writer.insert(record)?;
    }
    Ok(())
}

/// Further views of a collection, with the field that a rewritten text comes from.
fn views_of(collection: &str) -> Vec<(Option<&'static str>, ViewSpec)> {
    match collection {
        "notes" => vec![(Some("asks"), ViewSpec::text_from("asks", "asks"))],
        "people" => vec![
            (None, ViewSpec::template("nationality", "Nationality of {text}")),
            (Some("origin"), ViewSpec::text_from("origin", "origin")),
        ],
        _ => Vec::new(),
    }
}

/// Asks the questions of one stop.
///
/// # Errors
/// Those of the statements.
pub(super) fn ask(session: &mut Session, stop: &Stop) -> Result<Vec<Answered>> {
    stop.questions
        .iter()
        .map(|&(caption, statement)| Ok(Answered { caption, statement, reply: session.run(statement)? }))
        .collect()
}
