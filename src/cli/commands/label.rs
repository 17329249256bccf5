//! `simile label`: labels of a collection in one respect: from files, from a field, or from a person at a terminal.
//!
//! Owns the arguments and which of these is meant. Asking a person is `session`'s work, choosing what to ask is
//! `candidates`', reading keys is `keys`'.

mod args;
mod candidates;
mod keys;
mod lists;
mod session;

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, one_line, safe};
use crate::cli::shared_args::missing_collection;
use crate::error::{Error, Result};
use crate::interchange::labels::{LabelFiles, LabelImport, put_labels};
use crate::store::Store;
use args::Choice;
pub(in crate::cli) use args::Label;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bad lines that are shown to a person; `--json` lists all of them.
const SHOWN_LINES: usize = 20;

/// Hits of a lens that a person is to judge.
pub(super) struct ToJudge<'a> {
    pub(super) collection: &'a str,
    pub(super) respect: &'a str,
    pub(super) lens: &'a str,
    /// Without these, records drawn at random are the questions.
    pub(super) queries: Option<&'a Path>,
    pub(super) query_vectors: Option<&'a Path>,
    /// Hits of each question that take part.
    pub(super) depth: u32,
    /// Answers to ask for, at most; drawn from all hits, as a calibration is to hold for all that are shown.
    pub(super) number: u64,
    /// Judged pairs of at least two questions that have to come together with those that are stored: where that cannot
    /// be, nothing is asked.
    pub(super) least: u64,
    pub(super) seed: u64,
}

/// Questions drawn from the records of a collection, at most.
const DRAWN_RECORDS: u64 = 1_000;

/// Has a person judge hits, as `label` does; every answer is kept at once.
///
/// # Errors
/// As the search for the hits; where an answer cannot be stored.
pub(super) fn judge(asked: &ToJudge<'_>, console: &mut Console, store: &Store) -> Result<()> {
    let drawn = asked.queries.is_none();
    let label = Label {
        store: PathBuf::new(),
        collection: asked.collection.to_string(),
        respect: asked.respect.to_string(),
        queries: asked.queries.map(Path::to_path_buf),
        qrels: None,
        query_vectors: asked.query_vectors.map(Path::to_path_buf),
        view: String::new(),
        pairs: None,
        same_field: None,
        skip_bad: false,
        query: Vec::new(),
        sample: None,
        records: drawn.then_some(asked.number.min(DRAWN_RECORDS) as u32),
        lens: Some(asked.lens.to_string()),
        strategy: Choice::Random,
        depth: asked.depth,
        count: Some(asked.number),
        seed: asked.seed,
        conflicts: false,
        list: false,
        drop: false,
        least: asked.least,
    };
    session::ask(&label, console, store)
}

impl Run for Label {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        if self.conflicts || self.list {
            let store = console.open_reader(&self.store)?;
            let labels = store.snapshot()?.labels(&self.collection, &self.respect)?;
            let list = if self.conflicts { lists::conflicts } else { lists::labels };
            return list(console, &self.collection, &labels);
        }
        let store = console.open_writer(&self.store)?;
        if store.snapshot()?.collections().iter().all(|def| def.name != self.collection) {
            return Err(missing_collection(&store, &self.collection));
        }
        if self.drop {
            return self.forget(console, &store);
        }
        if let Some(field) = &self.same_field {
            return self.classes(console, &store, field);
        }
        match self.files() {
            Some(files) => self.import(console, &store, &files),
            None => session::run(&self, console, &store),
        }
    }
}

impl Label {
    /// The files whose labels are to be stored, where there are any.
    fn files(&self) -> Option<LabelFiles> {
        if let Some(pairs) = &self.pairs {
            return Some(LabelFiles::Pairs(pairs.clone()));
        }
        let (Some(queries), Some(qrels)) = (&self.queries, &self.qrels) else { return None };
        let vectors = self.query_vectors.as_ref().map(|path| (path.clone(), self.view.clone()));
        Some(LabelFiles::Beir { queries: queries.clone(), vectors, qrels: qrels.clone() })
    }

    fn import(&self, console: &mut Console, store: &Store, files: &LabelFiles) -> Result<Outcome> {
        let start = Instant::now();
        let mut batch = store.begin()?;
        let import = put_labels(&mut batch, &self.collection, &self.respect, files, self.skip_bad)?;
        let commit = batch.commit()?.0;
        let seconds = start.elapsed().as_secs_f64();
        if !console.json {
            self.print_import(console, &import, seconds)?;
            return Ok(Outcome::Done);
        }
        let skipped: Vec<_> = import
            .skipped
            .iter()
            .map(|line| json!({"line": line.line, "field": line.field, "reason": line.reason}))
            .collect();
        console.document(&json!({
            "respect": self.respect,
            "collection": self.collection,
            "read": import.read,
            "labels": import.stored.labels,
            "unchanged": import.stored.unchanged,
            "new_pairs": import.stored.new_pairs,
            "new_queries": import.stored.new_queries,
            "contradicting": import.stored.contradicting,
            "unused_queries": import.unused_queries,
            "skipped": skipped,
            "commit": commit,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }))?;
        Ok(Outcome::Done)
    }

    fn print_import(&self, console: &mut Console, import: &LabelImport, seconds: f64) -> Result<()> {
        let stored = &import.stored;
        let mut parts = vec![
            format!("{} in {seconds:.1} s", count(stored.labels, "label")),
            count(stored.new_pairs, "new pair"),
            count(stored.new_queries, "new question"),
        ];
        if stored.unchanged > 0 {
            parts.push(format!("{} there already", count(stored.unchanged, "label")));
        }
        if !import.skipped.is_empty() {
            parts.push(format!("{} skipped", count(import.skipped.len() as u64, "line")));
        }
        console.line(parts.join(" · "))?;
        for problem in import.skipped.iter().take(SHOWN_LINES) {
            console.line(format!("  {}", safe(&problem.to_string())))?;
        }
        if import.skipped.len() > SHOWN_LINES {
            console.line(format!("  and {} more (--json lists all)", import.skipped.len() - SHOWN_LINES))?;
        }
        if import.unused_queries > 0 {
            console.line(format!("note: {} without a judgement, not stored", count(import.unused_queries, "query")))?;
        }
        if stored.contradicting > 0 {
            console.line(format!(
                "note: {} what was said before (see label --conflicts)",
                contradict(stored.contradicting)
            ))?;
        }
        Ok(())
    }

    fn classes(&self, console: &mut Console, store: &Store, field: &str) -> Result<Outcome> {
        let mut batch = store.begin()?;
        batch.put_class_respect(&self.collection, &self.respect, field)?;
        let commit = batch.commit()?.0;
        let labels = store.snapshot()?.labels(&self.collection, &self.respect)?;
        let shared = labels.classes.iter().filter(|class| class.rows.len() > 1).count();
        let mut rows: Vec<u32> = labels.classes.iter().flat_map(|class| class.rows.iter().map(|row| row.0)).collect();
        rows.sort_unstable();
        rows.dedup();
        if console.json {
            console.document(&json!({
                "respect": self.respect, "collection": self.collection, "field": field,
                "classes": labels.classes.len(), "shared": shared, "records": rows.len(), "commit": commit,
            }))?;
        } else {
            console.line(format!(
                "{} in {} of field {}, {} of them shared",
                count(rows.len() as u64, "record"),
                if labels.classes.len() == 1 {
                    "1 class".to_string()
                } else {
                    format!("{} classes", labels.classes.len())
                },
                one_line(field),
                shared
            ))?;
        }
        Ok(Outcome::Done)
    }

    fn forget(&self, console: &mut Console, store: &Store) -> Result<Outcome> {
        let mut batch = store.begin()?;
        if !batch.drop_respect(&self.collection, &self.respect)? {
            drop(batch);
            // The error lists the respects that exist.
            store.snapshot()?.labels(&self.collection, &self.respect)?;
            return Err(Error::not_found(format!("there is no respect {:?}", self.respect)));
        }
        let commit = batch.commit()?.0;
        if console.json {
            console.document(&json!({"dropped": self.respect, "collection": self.collection, "commit": commit}))?;
        } else {
            console.line(format!("dropped respect {:?} (commit {commit})", one_line(&self.respect)))?;
        }
        Ok(Outcome::Done)
    }
}

/// `1 label contradicts`, `3 labels contradict`.
fn contradict(number: u64) -> String {
    let verb = if number == 1 { "contradicts" } else { "contradict" };
    format!("{} {verb}", count(number, "label"))
}
