//! `simile analyze`: pinned statistics of saved lenses, brought up to date.

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::text::{count, one_line, thousands};
use crate::error::Result;
use crate::exec::AnalyzedStatistic;
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Analyze {
    /// The store
    store: PathBuf,
    /// Only this collection
    collection: Option<String>,
}

impl Run for Analyze {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let reporter = console.reporter("analyzing");
        let analysis = store.analyze(self.collection.as_deref(), &reporter.control())?;
        if analysis.commit.is_some() {
            reporter.commit(analysis.statistics.iter().map(|statistic| statistic.records).max().unwrap_or(0));
        }
        reporter.clear();
        if console.json {
            console.document(&json!({
                "analyzed": analysis.statistics.iter().map(statistic_json).collect::<Vec<_>>(),
                "unchanged": analysis.unchanged,
                "commit": analysis.commit.map(|commit| commit.0),
            }))?;
            return Ok(Outcome::Done);
        }
        for statistic in &analysis.statistics {
            console.line(line(statistic))?;
        }
        match (analysis.commit, analysis.unchanged) {
            (None, 0) => console.line("nothing to do: no saved lens takes statistics of these records")?,
            (None, unchanged) => {
                console.line(format!("nothing to do: {} up to date", plural(unchanged)))?;
            }
            (Some(commit), 0) => console.line(format!("commit {commit}"))?,
            (Some(commit), unchanged) => {
                console.line(format!("commit {commit} · {} up to date before", plural(unchanged)))?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn plural(statistics: u64) -> String {
    if statistics == 1 { "1 statistic is".to_string() } else { format!("{} statistics are", thousands(statistics)) }
}

fn statistic_json(statistic: &AnalyzedStatistic) -> Json {
    json!({
        "lens": statistic.lens,
        "collection": statistic.collection,
        "step": statistic.step_idx + 1,
        "statistic": statistic.what,
        "records": statistic.records,
        "commit": statistic.commit.0,
        "before": statistic.before.map(|(commit, behind)| json!({"commit": commit.0, "commits_behind": behind})),
    })
}

fn line(statistic: &AnalyzedStatistic) -> String {
    let before = match statistic.before {
        Some((commit, behind)) => format!("was of commit {commit}, {} old", count(behind, "commit")),
        None => "not pinned before".to_string(),
    };
    format!(
        "lens {}, step {}: {} of {} of {} ({before})",
        one_line(&statistic.lens),
        statistic.step_idx + 1,
        statistic.what,
        count(statistic.records, "record"),
        one_line(&statistic.collection)
    )
}
