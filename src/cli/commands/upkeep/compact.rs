//! `simile compact`: the space of removed and replaced records comes back.

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::text::{bytes, count, safe};
use crate::error::Result;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `compact`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Compact {
    /// The store
    store: PathBuf,
}

impl Run for Compact {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let reporter = console.reporter("compacting");
        let compacted = store.compact_with(&reporter.control());
        reporter.clear();
        let done = compacted?;
        if console.json {
            console.document(&json!({
                "bytes_before": done.bytes_before,
                "bytes_after": done.bytes_after,
                "bytes_waiting": done.bytes_waiting,
                "rows_removed": done.rows_removed,
                "commit": done.commit.0,
            }))?;
            return Ok(Outcome::Done);
        }
        console.line(format!(
            "{} · {} -> {} · {} gone",
            safe(&self.store.display().to_string()),
            bytes(done.bytes_before),
            bytes(done.bytes_after),
            count(done.rows_removed, "dead row")
        ))?;
        if done.bytes_waiting > 0 {
            let waiting = bytes(done.bytes_waiting);
            console.line(format!(
                "{waiting} more are still being read elsewhere; they come back with the first commit after that"
            ))?;
        }
        Ok(Outcome::Done)
    }
}
