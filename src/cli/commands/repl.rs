//! `simile repl`: statements typed one after the other.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::repl;
use crate::error::Result;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `repl`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Repl {
    /// The store
    pub(in crate::cli) store: PathBuf,
    /// Neither read nor keep the history of earlier sessions
    #[arg(long)]
    pub(in crate::cli) no_history: bool,
}

impl Run for Repl {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        repl::run(&self.store, !self.no_history, console)
    }
}
