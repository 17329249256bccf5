//! `simile materialize`: the processed rows of a saved lens, kept beside the raw ones.

use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::Console;
use crate::cli::render::text::{bytes, count, one_line, thousands};
use crate::error::{Error, Result};
use crate::exec::materialize;
use crate::store::DerivedInfo;
use crate::types::{DerivedKind, ElementType};
use clap::Args;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `materialize`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Materialize {
    /// The store
    store: PathBuf,
    /// The saved lens
    lens: String,
    /// How the rows are kept
    #[arg(long = "type", value_name = "TYPE", value_parser = ["f32", "f16"], default_value = "f32")]
    #[arg(conflicts_with = "drop")]
    element: String,
    /// Forget the rows that are kept
    #[arg(long)]
    drop: bool,
}

impl Run for Materialize {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let name = one_line(&self.lens);
        if self.drop {
            let mut batch = store.begin()?;
            if !batch.drop_materialized(&self.lens)? {
                return Err(Error::not_found(format!("lens {:?} is not materialized", self.lens)));
            }
            let commit = batch.commit()?;
            if console.json {
                console.document(&json!({"lens": self.lens, "dropped": true, "commit": commit.0}))?;
            } else {
                console.line(format!("lens {name} is not materialized any more"))?;
            }
            return Ok(Outcome::Done);
        }
        let element = if self.element == "f16" { ElementType::F16 } else { ElementType::F32 };
        let reporter = console.reporter(&format!("materializing {name}"));
        let start = Instant::now();
        let done = materialize(&store, &self.lens, element, reporter.control())?;
        let rows: Vec<&DerivedInfo> = done.rows.iter().filter(|info| info.kind == DerivedKind::Rows).collect();
        reporter.commit(rows.iter().map(|info| info.rows).sum());
        reporter.clear();
        let seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        if console.json {
            let rows: Vec<Json> = rows.into_iter().map(derived_json).collect();
            console.document(&json!({
                "lens": done.lens, "materialized": rows, "pinned": done.pinned_collections, "commit": done.commit.0,
                "seconds": seconds,
            }))?;
            return Ok(Outcome::Done);
        }
        for info in rows {
            let unkept = match info.unkept {
                0 => String::new(),
                unkept => format!(", {} not kept", thousands(unkept)),
            };
            console.line(format!(
                "{name} in {}: {} of {} dimensions ({}), {}{unkept}, in {seconds:.1} s",
                one_line(&info.collection),
                count(info.rows, "row"),
                info.dimension,
                info.element.as_str(),
                bytes(info.bytes),
            ))?;
        }
        Ok(Outcome::Done)
    }
}

/// What is kept of a lens, as `info` and `materialize` print it.
pub(in crate::cli::commands) fn derived_json(info: &DerivedInfo) -> Json {
    json!({
        "collection": info.collection,
        "kind": info.kind.as_str(),
        "dimension": info.dimension,
        "type": info.element.as_str(),
        "rows": info.rows,
        "unkept": info.unkept,
        "segments": info.segments,
        "bytes": info.bytes,
    })
}
