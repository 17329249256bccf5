//! `simile get`: one record, whole.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::shapes::{Fields, Number};
use crate::cli::render::text::{cut, one_line, safe, shown_id};
use crate::error::{Error, Result};
use crate::store::RecordView;
use clap::Args;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value as Json;
use std::path::PathBuf;

/// Numbers of a vector that are shown to a person without `--vectors`.
const SHOWN_NUMBERS: usize = 4;

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// The record's id
    id: String,
    /// Print vectors whole
    #[arg(long)]
    vectors: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    text: &'a str,
    fields: Fields<'a>,
    views: Views<'a>,
}

/// Views in their own order, vectors only where asked for.
struct Views<'a> {
    record: &'a RecordView,
    vectors: bool,
}

#[derive(Serialize)]
struct ViewDocument<'a> {
    text: Option<&'a str>,
    dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Option<Vec<Number>>>,
}

impl Serialize for Views<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.record.views.len()))?;
        for view in &self.record.views {
            let numbers = || view.vector.as_ref().map(|vector| vector.iter().copied().map(Number).collect());
            let document = ViewDocument {
                text: view.text.as_deref(),
                dimension: view.dimension,
                vector: self.vectors.then(numbers),
            };
            map.serialize_entry(&view.name, &document)?;
        }
        map.end()
    }
}

impl Run for Get {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_reader(&self.store)?;
        let Some(record) = store.snapshot()?.get(&self.collection, &self.id)? else {
            if console.json {
                console.document(&Json::Null)?;
                console.flush()?;
            }
            console.error(&Error::not_found(format!("no record {:?} in {}", self.id, self.collection)));
            return Ok(Outcome::Nothing);
        };
        if console.json {
            let views = Views { record: &record, vectors: self.vectors };
            console.document(&Document {
                id: &record.id,
                text: &record.text,
                fields: Fields(&record.fields),
                views,
            })?;
        } else {
            print(console, &record, self.vectors)?;
        }
        Ok(Outcome::Done)
    }
}

fn print(console: &mut Console, record: &RecordView, whole: bool) -> Result<()> {
    let style = console.style;
    console.line(style.bold(shown_id(&record.id)))?;
    if !record.text.is_empty() {
        console.line(safe(&record.text))?;
    }
    if !record.fields.is_empty() {
        console.line("")?;
    }
    for (name, value) in &record.fields {
        console.line(format!("  {}: {}", one_line(name), one_line(&value.to_string())))?;
    }
    console.line("")?;
    for view in &record.views {
        let dimension =
            view.dimension.map_or("no vectors yet".to_string(), |dimension| format!("{dimension} dimensions"));
        console.line(format!("  view {} ({}, {dimension})", style.bold(one_line(&view.name)), view.kind.as_str()))?;
        // The raw text stands above.
        if let Some(text) = view.text.as_deref().filter(|text| *text != record.text) {
            console.line(format!("    {}", cut(&one_line(text), style.width.saturating_sub(4))))?;
        }
        match &view.vector {
            Some(vector) => {
                let shown = if whole { vector.len() } else { SHOWN_NUMBERS.min(vector.len()) };
                let numbers: Vec<String> = vector.iter().take(shown).map(|number| format!("{number:?}")).collect();
                let rest = if shown < vector.len() { ", ... (--vectors prints all)" } else { "" };
                console.line(format!("    [{}{rest}]", numbers.join(", ")))?;
            }
            None => console.line("    no vector")?,
        }
    }
    Ok(())
}
