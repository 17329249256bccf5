//! `simile remove`: records by id, or all that satisfy a condition.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, one_line, shown_id};
use crate::cli::shared_args::missing_collection;
use crate::error::Result;
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `remove`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "condition"])))]
pub(in crate::cli) struct Remove {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// Ids of the records
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Remove every record that satisfies a condition, as in 'year < 2000 and tag != "keep"'
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<String>,
}

impl Run for Remove {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let snapshot = store.snapshot()?;
        let mut batch = store.begin()?;
        if !batch.has_collection(&self.collection)? {
            return Err(missing_collection(&store, &self.collection));
        }
        let mut writer = batch.existing_collection(&self.collection)?;
        let mut removed = 0;
        let mut missing = Vec::new();
        match &self.condition {
            Some(condition) => removed = writer.remove_where(&snapshot, condition)?,
            None => {
                for id in &self.ids {
                    if writer.remove(id)? { removed += 1 } else { missing.push(id.as_str()) }
                }
            }
        }
        let commit = if removed > 0 { Some(batch.commit()?.0) } else { None };
        if console.json {
            console.document(&json!({"removed": removed, "not_found": missing, "commit": commit}))?;
        } else {
            console.line(format!("{} removed", count(removed, "record")))?;
            for id in &missing {
                console.note(format!("no record {} in {}", shown_id(id), one_line(&self.collection)));
            }
        }
        Ok(if removed > 0 { Outcome::Done } else { Outcome::Nothing })
    }
}
