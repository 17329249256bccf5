//! What `explain` says of a blend: each lens, and which rows are read for it.

use crate::error::Result;
use crate::exec::reply::{SearchPath, Stage};
use crate::exec::run::path::{self, Path};
use crate::exec::run::rows::view_of;
use crate::exec::settle::plan::{Plan, PlannedLens};
use crate::lens::RowSource;
use crate::query::print_number;
use crate::store::ViewSnapshot;

/// Bytes of one record in the rows that a blend reads, out of `raw` in its views, and which rows these are where that
/// is worth a word; `measured` is the path that a search took.
pub(crate) fn rows_read(plan: &Plan, measured: Option<SearchPath>, raw: u64) -> Result<(u64, String)> {
    let parts = plan.lenses();
    let views: Vec<&ViewSnapshot> = parts.iter().map(|part| view_of(plan, &part.lens)).collect::<Result<_>>()?;
    let lenses: Vec<(&PlannedLens, &ViewSnapshot)> = parts.iter().map(|part| &part.lens).zip(views).collect();
    let bytes = |rows: &ViewSnapshot| rows.dimension() as u64 * rows.def().element.size_bytes() as u64;
    let (mut spared, mut read, mut names, mut whys, mut views) = (0, 0, Vec::new(), Vec::new(), Vec::new());
    for (part, ((_, view), path)) in parts.iter().zip(lenses.iter().zip(path::choose_all(plan, &lenses)?)) {
        match path {
            Path::Materialized(kept) => {
                read += bytes(kept);
                names.extend(part.name.as_deref().filter(|name| !names.contains(name)));
                if !views.contains(&view.def().id) {
                    views.push(view.def().id);
                    spared += bytes(view);
                }
            }
            Path::Folded(Some(why)) if !whys.contains(&why) => whys.push(why),
            Path::Folded(_) => {}
        }
    }
    let all = !names.is_empty() && lenses.iter().all(|(_, view)| views.contains(&view.def().id));
    if all && measured.is_some_and(|measured| measured != SearchPath::Materialized) {
        return Ok((raw, "; not the materialized rows: too many are not kept".to_string()));
    }
    if !names.is_empty() {
        let others = if all { "" } else { ", raw rows for the others" };
        whys.insert(0, format!("materialized rows of {}{others}; finalists from the raw rows", names.join(", ")));
    }
    Ok((raw + read - spared, whys.iter().map(|why| format!("; {why}")).collect()))
}

/// What `explain` says of a blend between the source and the filter.
pub(crate) fn stages(plan: &Plan, fold: impl Fn(&Plan, &PlannedLens) -> Result<Stage>) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for part in plan.lenses() {
        let mut stage = fold(plan, &part.lens)?;
        let lens = &part.lens.def;
        stage.text = format!(
            "{} * {} (view {}, score {}): {}",
            print_number(part.weight),
            part.name.as_deref().unwrap_or_default(),
            lens.view,
            lens.metric.as_str(),
            stage.text
        );
        stages.push(stage);
    }
    Ok(stages)
}
