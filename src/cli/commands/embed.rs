//! `simile embed`: vectors for texts that have none yet.

use super::Run;
use super::view::missing_collection;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::count;
use crate::error::Result;
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
        let embedded = batch.embed(&self.collection, self.view.as_deref())?;
        // Nothing to do is no reason for a commit.
        let commit = if embedded > 0 { Some(batch.commit()?) } else { None };
        if commit.is_some() {
            reporter.commit(embedded);
        }
        reporter.clear();
        let seconds = start.elapsed().as_secs_f64();
        if console.json {
            let seconds = (seconds * 1000.0).round() / 1000.0;
            console.document(
                &json!({"embedded": embedded, "commit": commit.map(|commit| commit.0), "seconds": seconds}),
            )?;
        } else {
            console.line(format!("{} embedded in {seconds:.1} s", count(embedded, "text")))?;
        }
        Ok(Outcome::Done)
    }
}
