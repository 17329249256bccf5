//! `simile info`: what is in a store.

use super::materialize::derived_json;
use crate::cli::Outcome;
use crate::cli::commands::Run;
use crate::cli::console::{Console, Style};
use crate::cli::render::shapes::damage_json;
use crate::cli::render::table::{Column, lines};
use crate::cli::render::text::{bytes, count, one_line, safe, thousands};
use crate::error::Result;
use crate::query::print_lens;
use crate::store::{CollectionInfo, LensInfo, ProjectionInfo, RespectInfo, SampleInfo, StoreInfo, ViewInfo};
use crate::types::{CommitNumber, DerivedKind};
use clap::Args;
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

/// Share of dead rows from which on `info` offers to compact the store.
const WORTH_COMPACTING: f64 = 0.3;

/// Arguments of `info`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Info {
    /// The store
    store: PathBuf,
}

impl Run for Info {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let info = console.open_reader(&self.store)?.info()?;
        if console.json {
            console.document(&store_json(&info))?;
        } else {
            for line in render(&info, console.style) {
                console.line(line)?;
            }
        }
        Ok(if info.damaged.is_empty() { Outcome::Done } else { Outcome::Nothing })
    }
}

fn store_json(info: &StoreInfo) -> Json {
    json!({
        "format": info.format,
        "path": info.path.display().to_string(),
        "commit": info.commit.0,
        "dead_share": info.dead_share,
        "bytes": info.bytes,
        "held": info.held.iter().map(held_json).collect::<Vec<_>>(),
        "embedder": info.embedder,
        "collections": info.collections.iter().map(collection_json).collect::<Vec<_>>(),
        "projections": info.projections.iter().map(projection_json).collect::<Vec<_>>(),
        "lenses": info.lenses.iter().map(lens_json).collect::<Vec<_>>(),
        "samples": info.samples.iter().map(sample_json).collect::<Vec<_>>(),
        "damaged": info.damaged.iter().map(damage_json).collect::<Vec<_>>(),
        "leftovers": info.leftovers,
    })
}

fn held_json((commit, snapshots): &(CommitNumber, u64)) -> Json {
    json!({"commit": commit.0, "snapshots": snapshots})
}

fn collection_json(collection: &CollectionInfo) -> Json {
    let fields: Map<String, Json> =
        collection.fields.iter().map(|(name, kind)| (name.clone(), Json::from(kind.as_str()))).collect();
    json!({
        "name": collection.name,
        "records": collection.records,
        "removed": collection.removed - collection.replaced,
        "replaced": collection.replaced,
        "views": collection.views.iter().map(view_json).collect::<Vec<_>>(),
        "fields": fields,
        "respects": collection.respects.iter().map(respect_json).collect::<Vec<_>>(),
    })
}

fn respect_json(respect: &RespectInfo) -> Json {
    json!({"name": respect.name, "labels": respect.pairs, "queries": respect.queries, "field": respect.field})
}

fn view_json(view: &ViewInfo) -> Json {
    json!({
        "name": view.name,
        "kind": view.kind.as_str(),
        "dimension": view.dimension,
        "embedder": view.embedder,
        "rows": view.rows,
        "bytes": view.bytes,
        "absent": view.absent,
        "zero_vectors": view.zero,
        "type": view.element.as_str(),
        "segments": view.segments,
    })
}

fn projection_json(projection: &ProjectionInfo) -> Json {
    json!({
        "name": projection.name,
        "rows": projection.rows,
        "columns": projection.columns,
        "pair": projection.pair,
        "origin": projection.origin,
    })
}

fn lens_json(lens: &LensInfo) -> Json {
    json!({
        "name": lens.record.name,
        "lens": print_lens(&lens.record.lens),
        "version": lens.record.version,
        "commit": lens.record.commit.0,
        "pinned_at": lens.pinned_at.map(|commit| commit.0),
        "stale_commits": lens.stale_commits,
        "calibration": lens.calibration,
        "derived": lens.derived.iter().map(derived_json).collect::<Vec<_>>(),
        "held_out": lens.held_out,
        "warning": lens.warning,
    })
}

fn sample_json(sample: &SampleInfo) -> Json {
    json!({
        "name": sample.name,
        "collection": sample.collection,
        "queries": sample.queries,
        "view": sample.view,
        "dimension": sample.dimension,
        "commit": sample.commit.0,
    })
}

fn render(info: &StoreInfo, style: Style) -> Vec<String> {
    let mut head = vec![safe(&info.path.display().to_string()).into_owned()];
    head.push(format!("commit {}", info.commit));
    head.push(bytes(info.bytes));
    if info.dead_share > 0.0 {
        head.push(format!("{:.1} % of the rows are dead", info.dead_share * 100.0));
    }
    let mut out = vec![head.join(" · ")];
    for damage in &info.damaged {
        out.push(safe(&format!("damaged: {}: {}", damage.file.display(), damage.what)).into_owned());
    }
    if !info.damaged.is_empty() {
        let path = info.path.display().to_string();
        out.push(format!("simile check {} lists what is lost, and saves the rest with --salvage", safe(&path)));
    }
    out.extend(render_held(info));
    out.extend(info.leftovers.iter().map(|left| safe(left).into_owned()));
    if info.dead_share > WORTH_COMPACTING {
        out.push(format!("simile compact {} gives their space back", safe(&info.path.display().to_string())));
    }
    if info.collections.is_empty() {
        out.push("no collections yet: simile import STORE COLLECTION FILE.jsonl".to_string());
    }
    for collection in &info.collections {
        out.push(String::new());
        out.extend(render_collection(collection, style));
    }
    if !info.projections.is_empty() {
        out.push(String::new());
        out.push("projections".to_string());
        for projection in &info.projections {
            let (name, origin) = (one_line(&projection.name), one_line(&projection.origin));
            let sides = if projection.pair { ", query and record side" } else { "" };
            out.push(format!("  {name}: {} -> {}{sides} ({origin})", projection.columns, projection.rows));
        }
    }
    if !info.lenses.is_empty() {
        out.push(String::new());
        out.push("lenses".to_string());
        for lens in &info.lenses {
            let age = match (lens.pinned_at, lens.stale_commits) {
                (None, _) => String::new(),
                (Some(commit), 0) => format!(" (statistics of commit {commit}, up to date)"),
                (Some(commit), stale) => format!(" (statistics of commit {commit}, {} old)", count(stale, "commit")),
            };
            let calibrated =
                lens.calibration.as_ref().map_or(String::new(), |from| format!(" (calibrated: {})", one_line(from)));
            let text = print_lens(&lens.record.lens);
            out.push(format!("  {}: {}{age}{}", one_line(&lens.record.name), one_line(&text), calibrated));
            out.extend(lens.held_out.iter().map(|line| format!("    {}", one_line(line))));
            out.extend(lens.warning.iter().map(|line| format!("    note: {}", one_line(line))));
            for info in lens.derived.iter().filter(|info| info.kind == DerivedKind::Rows) {
                out.push(format!(
                    "    materialized in {}: {} x {} {}, {}",
                    one_line(&info.collection),
                    thousands(info.rows),
                    info.dimension,
                    info.element.as_str(),
                    bytes(info.bytes)
                ));
            }
        }
    }
    if !info.samples.is_empty() {
        out.push(String::new());
        out.push("samples".to_string());
        out.extend(info.samples.iter().map(render_sample));
    }
    out
}

/// What the store grows by because older commits are still read.
fn render_held(info: &StoreInfo) -> Option<String> {
    let (oldest, _) = info.held.first()?;
    let snapshots = info.held.iter().map(|(_, snapshots)| *snapshots).sum();
    let since = info.commit.0.saturating_sub(oldest.0);
    Some(format!(
        "{} of older commits still open, the oldest {} back: pages replaced since then are not used again, so each \
         commit makes the catalog grow by all it writes",
        count(snapshots, "snapshot"),
        count(since, "commit")
    ))
}

fn render_sample(sample: &SampleInfo) -> String {
    let vectors = match (&sample.view, sample.dimension) {
        (Some(view), Some(dimension)) => format!(", vectors of {dimension} for view {}", one_line(view)),
        _ => String::new(),
    };
    let (name, collection) = (one_line(&sample.name), one_line(&sample.collection));
    format!("  {name}: {} of {collection}{vectors}", count(sample.queries, "query"))
}

fn render_collection(collection: &CollectionInfo, style: Style) -> Vec<String> {
    let mut removed = match collection.removed - collection.replaced {
        0 => String::new(),
        removed => format!(" · {} removed", thousands(removed)),
    };
    if collection.replaced > 0 {
        removed.push_str(&format!(" · {} replaced", count(collection.replaced, "older version")));
    }
    let title = style.bold(one_line(&collection.name));
    let mut out = vec![format!("{title} · {}{removed}", count(collection.records, "record"))];
    let columns = [
        Column::left("view", 24),
        Column::left("kind", 10),
        Column::right("dimension"),
        Column::right("vectors"),
        Column::right("size"),
        Column::left("embedder", usize::MAX),
    ];
    let rows: Vec<Vec<String>> = collection
        .views
        .iter()
        .map(|view| {
            let kind = if view.element.size_bytes() == 2 {
                format!("{} f16", view.kind.as_str())
            } else {
                view.kind.as_str().to_string()
            };
            vec![
                view.name.clone(),
                kind,
                view.dimension.map_or("-".to_string(), |dimension| dimension.to_string()),
                thousands(view.rows),
                bytes(view.bytes),
                view.embedder.clone().unwrap_or_else(|| "supplied vectors".to_string()),
            ]
        })
        .collect();
    out.extend(lines(&columns, &rows, style, 2));
    for view in collection.views.iter().filter(|view| view.absent > 0 && view.rows > 0) {
        let (records, name) = (count(view.absent, "record"), one_line(&view.name));
        out.push(style.dim(format!("  {records} without a vector in {name}")));
    }
    for view in &collection.views {
        if let Some(zero) = view.zero.filter(|zero| *zero > 0) {
            let (records, name) = (count(zero, "record"), one_line(&view.name));
            out.push(style.dim(format!("  {records} with a zero vector in {name}: it has no direction")));
        }
    }
    if !collection.fields.is_empty() {
        let fields: Vec<String> =
            collection.fields.iter().map(|(name, kind)| format!("{} ({})", one_line(name), kind.as_str())).collect();
        let wrapped = crate::cli::render::text::join_wrapped(&fields, style.width.saturating_sub(10));
        for (idx, line) in wrapped.into_iter().enumerate() {
            out.push(format!("  {}{line}", if idx == 0 { "fields  " } else { "        " }));
        }
    }
    for respect in &collection.respects {
        let labels = match &respect.field {
            Some(field) => format!("the classes of field {}", one_line(field)),
            None => format!("{}, {}", count(respect.pairs, "labelled pair"), count(respect.queries, "question")),
        };
        out.push(format!("  respect {:?}: {labels}", one_line(&respect.name)));
    }
    out
}
