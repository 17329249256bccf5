//! `simile promote`, `simile demote` and `simile history`: a learned lens on its way, and what became of its fits.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::learned::{held_out, history_json};
use crate::cli::render::text::{date, one_line};
use crate::error::Result;
use crate::store::{candidate_of, loses_on_new_classes, not_learned};
use crate::types::{FitFigures, LearnedDef};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// The store
    store: PathBuf,
    /// The lens, without @candidate
    lens: String,
}

/// Arguments of `demote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Demote {
    /// The store
    store: PathBuf,
    /// The lens
    lens: String,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// The store
    store: PathBuf,
    /// The lens, without @candidate
    lens: String,
}

impl Run for Promote {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let mut batch = store.begin()?;
        let def = batch.promote(&self.lens)?;
        let commit = batch.commit()?;
        let figures = store.snapshot()?.fit_figures(&def.lens, def.fit)?;
        let warning = figures.as_ref().and_then(loses_on_new_classes);
        if console.json {
            let notes: Vec<&String> = warning.iter().collect();
            console.document(&json!({
                "lens": self.lens, "promoted": true, "accepted": def.accepted, "fit": def.fit, "commit": commit.0,
                "notes": notes,
            }))?;
            return Ok(Outcome::Done);
        }
        if let Some(warning) = warning {
            console.note(format!("note: {warning}"));
        }
        if !def.accepted {
            console.note("note: no held-out test has accepted this fit; searches by its name use it all the same");
        }
        console.line(format!("lens {} is fit {} now (commit {commit})", one_line(&self.lens), def.fit))?;
        Ok(Outcome::Done)
    }
}

impl Run for Demote {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let mut batch = store.begin()?;
        let def = batch.demote(&self.lens)?;
        let commit = batch.commit()?;
        let candidate = candidate_of(&self.lens);
        if console.json {
            console.document(&json!({"lens": candidate, "promoted": false, "fit": def.fit, "commit": commit.0}))?;
            return Ok(Outcome::Done);
        }
        console.line(format!(
            "lens {} is {} now (commit {commit}); `simile promote` takes it back",
            one_line(&self.lens),
            one_line(&candidate)
        ))?;
        Ok(Outcome::Done)
    }
}

impl Run for History {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_reader(&self.store)?;
        let snapshot = store.snapshot()?;
        let fits = snapshot.learned(&self.lens)?;
        if fits.is_empty() {
            let names = snapshot.all_learned()?.into_iter().map(|def| def.lens).collect();
            return Err(not_learned(&self.lens, names));
        }
        if console.json {
            let mut listed = Vec::with_capacity(fits.len());
            for def in &fits {
                listed.push(history_json(def, snapshot.fit_figures(&def.lens, def.fit)?.as_ref()));
            }
            console.document(&json!({"lens": self.lens, "fits": listed}))?;
            return Ok(Outcome::Done);
        }
        for def in &fits {
            for line in lines(def, snapshot.fit_figures(&def.lens, def.fit)?.as_ref()) {
                console.line(line)?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn lines(def: &LearnedDef, figures: Option<&FitFigures>) -> Vec<String> {
    let mut lines = vec![format!(
        "fit {} · {} · commit {} · {} (labels {:016x}) · view {} ({})",
        def.fit,
        date(def.time),
        def.commit,
        one_line(&def.fitted_on.how),
        def.label_hash,
        one_line(&def.fitted_on.view),
        one_line(def.fitted_on.embedder.as_deref().unwrap_or("supplied vectors")),
    )];
    lines.extend(held_out(def, figures).into_iter().map(|line| format!("  {line}")));
    for (what, commit) in &def.events {
        lines.push(format!("  {what} (commit {commit})"));
    }
    lines
}
