//! `simile new`: an empty store.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::safe;
use crate::error::Result;
use crate::store::Store;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `new`.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// Folder to make; nothing may be there yet
    store: PathBuf,
}

impl Run for New {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = Store::create(&self.store)?;
        if console.json {
            let info = store.info()?;
            console.document(&json!({"path": self.store, "format": info.format}))?;
        } else {
            console.line(format!("made {}", safe(&self.store.display().to_string())))?;
        }
        Ok(Outcome::Done)
    }
}
