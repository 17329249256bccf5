//! A pass over the rows under a blend: the source through every lens's own view, one scan over all of them.
//!
//! A record takes part when it has a vector and a direction under **every** lens of the blend, one of weight 0
//! included.

use super::batch::Found;
use super::clock::Clock;
use super::notes::notes_on_few;
use super::ready::{Ready, Unready};
use super::rows::Rows;
use super::scan::scan_blend;
use crate::error::Result;
use crate::exec::reply::SearchPath;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::types::RowSet;
use crate::types::control::Control;

/// Looks for the source of `params` under all lenses of `plan`.
///
/// # Errors
/// As for any search; a query without direction under one of the lenses has none under the blend.
pub(crate) fn pass(plan: &Plan, params: &Params, rows: &Rows, clock: &mut Clock, control: &Control) -> Result<Found> {
    let ready = match Ready::new(plan, params, Some(&rows.scanned), control)? {
        Ok(ready) => ready,
        Err(Unready::NoDirection(error)) => return Err(error),
        Err(Unready::Nothing(note)) => {
            let (hits, notes) = (vec![Ok(Vec::new())], vec![vec![note]]);
            return Ok(Found { hits, notes, path: SearchPath::Scan, undirected: RowSet::new() });
        }
    };
    clock.timings.fold = clock.lap();
    control.checkpoint()?;
    let (skip, top) = plan.window();
    let (sources, allowed) = (ready.sources(control), rows.scanned.and_not(&rows.left_out));
    let found = scan_blend(&ready.blend(&sources), &allowed, skip + top, plan.scan_bound());
    let found = found.map_err(|error| ready.advise(error))?;
    let mut notes: Vec<String> = Vec::new();
    for note in ready.lenses().iter().flat_map(|lens| notes_on_few(&lens.prepared)) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    Ok(Found {
        hits: vec![Ok(found.hits)],
        notes: vec![notes],
        path: if ready.is_materialized() { SearchPath::Materialized } else { SearchPath::Scan },
        undirected: ready.undirected(&rows.scanned),
    })
}
