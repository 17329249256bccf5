//! `simile embed`: vectors for texts that have none yet.

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::text::{count, thousands};
use crate::cli::shared_args::missing_collection;
use crate::error::Result;
use crate::store::Embedded;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Embed {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// Only this view [default: every view that has an embedder]
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
}

impl Run for Embed {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let reporter = console.reporter(&format!("embedding {}", self.collection));
        let start = Instant::now();
        let mut batch = store.begin_with(reporter.control())?;
        if !batch.has_collection(&self.collection)? {
            return Err(missing_collection(&store, &self.collection));
        }
        let found = batch.embed_missing(&self.collection, self.view.as_deref())?;
        let embedded = found.vectors();
        // Nothing to do is no reason for a commit.
        let commit = if embedded > 0 { Some(batch.commit()?) } else { None };
        if commit.is_some() {
            reporter.commit(embedded);
        }
        reporter.clear();
        let seconds = start.elapsed().as_secs_f64();
        if console.json {
            let seconds = (seconds * 1000.0).round() / 1000.0;
            console.document(&json!({
                "embedded": embedded, "without_words": found.without_words, "without_text": found.without_text,
                "commit": commit.map(|commit| commit.0), "seconds": seconds,
            }))?;
        } else {
            console.line(format!("{} embedded in {seconds:.1} s", count(embedded, "text")))?;
            for line in without(&found) {
                console.line(format!("  {line}"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// Why some records stay without a vector, a line for each reason.
pub(in crate::cli::commands) fn without(found: &Embedded) -> Vec<String> {
    let mut lines = Vec::new();
    if found.without_words > 0 {
        let verb = if found.without_words == 1 { "holds" } else { "hold" };
        let empty = if found.empty > 0 { format!(" ({} empty)", thousands(found.empty)) } else { String::new() };
        let texts = count(found.without_words, "text");
        lines.push(format!("{texts} {verb} no word the embedder knows{empty}: without a vector, also next time"));
    }
    if found.without_text > 0 {
        lines.push(format!("{} without a text for it", count(found.without_text, "record")));
    }
    lines
}
