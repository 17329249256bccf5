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

pub(in crate::cli) use stops::{STOPS, Stop};

/// Texts by collection, and the key of the supplied vectors where there are any.
const COLLECTIONS: &[(&str, &str, Option<&str>)] = &[
    ("sentences", include_str!("tour/sentences.jsonl"), None),
    ("notes", include_str!("tour/notes.jsonl"), None),
    ("people", include_str!("tour/people.jsonl"), None),
    ("ratings", include_str!("tour/ratings.jsonl"), Some("ratings")),
];

/// Views of rewritten texts: a collection, and the field that the text comes from, which also names the view.
const REWRITTEN: &[(&str, &str)] = &[("notes", "asks"), ("people", "origin")];

/// The most frequent words of the bundled model's vocabulary, one a line.
const WORDS: &str = include_str!("tour/words.txt");

/// What one statement of a stop answered.
pub(in crate::cli) struct Answered {
    /// What it asks, in words.
    pub(in crate::cli) caption: &'static str,
    /// As it is written.
    pub(in crate::cli) statement: &'static str,
    /// The answer.
    pub(in crate::cli) reply: Reply,
}

/// Makes the tour's store at `path` and fills it in one commit.
///
/// # Errors
/// When something is there already, or cannot be written.
pub(in crate::cli) fn make_store(path: &Path) -> Result<Store> {
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
    for view in views_of(name) {
        batch.add_view(name, view)?;
    }
    let rewritten = REWRITTEN.iter().filter(|(collection, _)| *collection == name);
    let spec = ImportSpec {
        vector_field: vector_key.map(str::to_string),
        view_texts: rewritten.map(|(_, field)| (field.to_string(), field.to_string())).collect(),
        ..ImportSpec::default()
    };
    let mut writer = batch.collection(name)?;
    for line in lines.lines() {
        let record = parse_line(line.as_bytes(), &spec).map_err(|error| Error::invalid(error.to_string()))?;
        writer.insert(record)?;
    }
    Ok(())
}

/// Further views of a collection.
fn views_of(collection: &str) -> Vec<ViewSpec> {
    let rewritten = REWRITTEN.iter().filter(|(name, _)| *name == collection);
    let mut views: Vec<ViewSpec> = rewritten.map(|(_, field)| ViewSpec::text_from(*field, *field)).collect();
    if collection == "people" {
        views.push(ViewSpec::template("nationality", "Nationality of {text}"));
    }
    views
}

/// Asks the questions of one stop.
///
/// # Errors
/// Those of the statements.
pub(in crate::cli) fn ask(session: &mut Session, stop: &Stop) -> Result<Vec<Answered>> {
    stop.questions
        .iter()
        .map(|&(caption, statement)| Ok(Answered { caption, statement, reply: session.run(statement)? }))
        .collect()
}
