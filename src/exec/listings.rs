//! Tables of what there is, as `show` lists them.
//!
//! Owns the columns of each. It reads definitions and heads, and no record.

use super::reply::Listing;
use crate::error::Result;
use crate::query::print_lens;
use crate::store::{DerivedInfo, Snapshot, fit_summary, loses_on_new_classes};
use crate::types::{DerivedKind, Step, Value};
use std::collections::{BTreeSet, HashMap};

fn count(number: u64) -> Value {
    // Counts of rows and bytes stay far below 2^63.
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(crate) fn show_collections(snapshot: &Snapshot) -> Result<Listing> {
    let rows = snapshot
        .collections()
        .iter()
        .map(|def| {
            let views: Vec<&str> = def.views.iter().map(|view| view.name.as_str()).collect();
            vec![def.name.as_str().into(), count(def.live.into()), views.join(", ").into()]
        })
        .collect();
    Ok(Listing { what: "collections", columns: vec!["collection", "records", "views"], rows })
}

pub(crate) fn show_views(snapshot: &Snapshot) -> Result<Listing> {
    let mut rows = Vec::new();
    for def in snapshot.collections() {
        let collection = snapshot.collection(&def.name)?;
        for view in collection.views() {
            let view_def = view.def();
            rows.push(vec![
                def.name.as_str().into(),
                view_def.name.as_str().into(),
                view_def.kind.as_str().into(),
                view_def.dimension.map_or(Value::Null, |dimension| count(dimension.into())),
                view_def.embedder.as_deref().map_or(Value::Null, Value::from),
                count(view.present().len()),
            ]);
        }
    }
    let columns = vec!["collection", "view", "kind", "dimension", "embedder", "vectors"];
    Ok(Listing { what: "views", columns, rows })
}

pub(crate) fn show_fields(snapshot: &Snapshot) -> Listing {
    let rows = snapshot
        .collections()
        .iter()
        .flat_map(|def| {
            def.fields.iter().map(|(field, field_type)| {
                vec![def.name.as_str().into(), field.as_str().into(), field_type.as_str().into()]
            })
        })
        .collect();
    Listing { what: "fields", columns: vec!["collection", "field", "type"], rows }
}

pub(crate) fn show_lenses(snapshot: &Snapshot) -> Result<Listing> {
    let mut derived = snapshot.derived_infos()?;
    let rows = snapshot
        .lenses()?
        .into_iter()
        .map(|lens| {
            let pinned = lens.pinned.iter().map(|statistic| statistic.commit.0).min();
            let behind = pinned.map_or(Value::Null, |_| count(snapshot.commits_behind(&lens)));
            let calibration = snapshot.calibration(&lens.name)?.map_or(Value::Null, |found| found.origin.into());
            let materialized = materialized(derived.remove(&lens.name).unwrap_or_default());
            let held_out = snapshot.fit_of(&lens.name)?.map_or(Value::Null, |(fit, figures)| {
                let warning = figures.as_ref().and_then(loses_on_new_classes);
                let warning = warning.map_or(String::new(), |warning| format!("; {warning}"));
                format!("{}{warning}", fit_summary(&fit, figures.as_ref())).into()
            });
            Ok(vec![
                lens.name.into(),
                print_lens(&lens.lens).into(),
                count(lens.version.into()),
                pinned.map_or(Value::Null, count),
                behind,
                calibration,
                materialized,
                held_out,
            ])
        })
        .collect::<Result<_>>()?;
    let columns = vec![
        "lens",
        "stages",
        "version",
        "statistics of commit",
        "commits behind",
        "calibration",
        "materialized",
        "held out",
    ];
    Ok(Listing { what: "lenses", columns, rows })
}

/// The processed rows that are kept of a lens, in words: `packages: 64 f32, 3.8 MB`.
fn materialized(derived: Vec<DerivedInfo>) -> Value {
    let rows = derived.into_iter().filter(|info| info.kind == DerivedKind::Rows);
    let kept: Vec<String> = rows
        .map(|info| {
            let (element, megabytes) = (info.element.as_str(), info.bytes as f64 / 1e6);
            format!("{}: {} {element}, {megabytes:.1} MB", info.collection, info.dimension)
        })
        .collect();
    if kept.is_empty() { Value::Null } else { kept.join("; ").into() }
}

pub(crate) fn show_samples(snapshot: &Snapshot) -> Result<Listing> {
    let mut used_by: HashMap<String, Vec<String>> = HashMap::new();
    for lens in snapshot.lenses()? {
        let of_steps = lens.lens.steps.iter().filter_map(|step| match step {
            Step::CenterSides(name) => Some(name),
            _ => None,
        });
        let samples: BTreeSet<&String> = of_steps.chain(lens.lens.csls.iter().map(|(_, name)| name)).collect();
        for sample in samples {
            used_by.entry(sample.clone()).or_default().push(lens.name.clone());
        }
    }
    let rows = snapshot
        .sample_heads()?
        .into_iter()
        .map(|(name, head)| {
            let used_by = used_by.remove(&name).unwrap_or_default();
            let (view, dimension) = head.vectors.unzip();
            vec![
                name.into(),
                snapshot.collection_name(head.collection).into(),
                count(head.queries),
                view.map_or(Value::Null, Value::from),
                dimension.map_or(Value::Null, |dimension| count(dimension.into())),
                used_by.join(", ").into(),
            ]
        })
        .collect();
    let columns = vec!["sample", "collection", "queries", "vectors for view", "dimension", "used by"];
    Ok(Listing { what: "samples", columns, rows })
}

pub(crate) fn show_respects(snapshot: &Snapshot) -> Result<Listing> {
    let mut rows = Vec::new();
    for def in snapshot.collections() {
        for info in snapshot.respect_infos(&def.name)? {
            rows.push(vec![
                info.name.into(),
                def.name.as_str().into(),
                count(info.pairs),
                count(info.queries),
                info.field.map_or(Value::Null, Value::from),
            ]);
        }
    }
    let columns = vec!["respect", "collection", "pairs", "queries", "classes of field"];
    Ok(Listing { what: "respects", columns, rows })
}

pub(crate) fn show_projections(snapshot: &Snapshot) -> Result<Listing> {
    let rows = snapshot
        .projection_heads()?
        .into_iter()
        .map(|(name, head)| {
            let sides = if head.pair { "query, record" } else { "both" };
            vec![name.into(), count(head.columns.into()), count(head.rows.into()), sides.into(), head.origin.into()]
        })
        .collect();
    let columns = vec!["projection", "from", "to", "sides", "origin"];
    Ok(Listing { what: "projections", columns, rows })
}
