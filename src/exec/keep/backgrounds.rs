//! The values of random pairs that are stored of a saved lens, for every collection that it fits.
//!
//! Owns when they are computed and what they are stored with; the sample is `tell::background`'s.

use crate::error::Result;
use crate::exec::run::rows::view_of;
use crate::exec::settle::search::resolve;
use crate::exec::tell::background::{statistics_of, table};
use crate::query::ast::{self, Find, LensBase, LensExpr, Output};
use crate::store::Snapshot;
use crate::types::control::Control;
use crate::types::{BackgroundDef, CollectionId, CommitNumber, LensDef, LensRecord, Step};

/// The background of `lens`, about to be saved or pinned anew with this snapshot's statistics, in every collection that
/// it fits (of those that `wanted` names). Its version and, where steps take statistics, their commit are filled in.
///
/// # Errors
/// Rows that cannot be read, and a set cancellation token.
pub(crate) fn of_fresh(
    snapshot: &Snapshot,
    lens: &LensDef,
    version: u32,
    wanted: impl Fn(CollectionId) -> bool,
    control: &Control,
) -> Result<Vec<(CollectionId, BackgroundDef)>> {
    let takes = lens.steps.iter().any(Step::takes_statistics);
    let statistics = if takes { snapshot.commit() } else { CommitNumber(0) };
    in_collections(snapshot, &LensExpr::from(lens), version, Some(statistics), wanted, control)
}

/// The background of the saved lens `saved` as it is, in every collection that it fits.
///
/// # Errors
/// Rows that cannot be read, and a set cancellation token.
pub(crate) fn of_saved(
    snapshot: &Snapshot,
    saved: &LensRecord,
    control: &Control,
) -> Result<Vec<(CollectionId, BackgroundDef)>> {
    let expr = LensExpr { base: LensBase::Using(saved.name.clone().into()), ..LensExpr::default() };
    in_collections(snapshot, &expr, saved.version, None, |_| true, control)
}

fn in_collections(
    snapshot: &Snapshot,
    lens: &LensExpr,
    version: u32,
    statistics: Option<CommitNumber>,
    wanted: impl Fn(CollectionId) -> bool,
    control: &Control,
) -> Result<Vec<(CollectionId, BackgroundDef)>> {
    let mut found = Vec::new();
    for def in snapshot.collections().iter().filter(|def| wanted(def.id)) {
        let source = ast::Source::default().into();
        let collection = def.name.clone().into();
        let find = Find { source, collection, lens: lens.clone(), output: Output::default() };
        // A collection that the lens does not fit has none.
        let Ok(plan) = resolve(snapshot, &find, "") else { continue };
        let Some(table) = snapshot.install(|| table(&plan, control))? else { continue };
        let Some(lens) = plan.own_lens() else { continue };
        found.push((
            def.id,
            BackgroundDef {
                lens_version: version,
                revision: view_of(&plan, lens)?.def().revision,
                statistics: statistics.unwrap_or_else(|| statistics_of(lens)),
                pairs: table.count(),
                quantiles: table.quantiles(),
            },
        ));
    }
    Ok(found)
}
