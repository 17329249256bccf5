//! `simile backup`: a consistent copy of a store that may be in use.

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::text::{bytes, count, safe};
use crate::error::Result;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// The store
    store: PathBuf,
    /// Where the copy goes; nothing may be there
    dest: PathBuf,
}

impl Run for Backup {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_reader(&self.store)?;
        let reporter = console.reporter("copying");
        let copied = store.backup_with(&self.dest, &reporter.control());
        reporter.clear();
        let done = copied?;
        if console.json {
            let (commit, segments) = (done.commit.0, done.segments);
            let path = self.dest.display().to_string();
            console.document(&json!({ "path": path, "commit": commit, "segments": segments, "bytes": done.bytes }))?;
        } else {
            console.line(format!(
                "{} · commit {} · {} · {}",
                safe(&self.dest.display().to_string()),
                done.commit,
                count(done.segments, "segment"),
                bytes(done.bytes)
            ))?;
        }
        Ok(Outcome::Done)
    }
}
