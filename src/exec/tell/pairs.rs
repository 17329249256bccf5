//! `pairs`: the most similar pairs of a collection under a lens.
//!
//! A pair counts once, a record is never paired with itself, `where` holds for both,
//! and the same settled lens is used as for a search.

use crate::error::{Error, Result};
use crate::exec::reply::{Pair, PairRecord, Pairs, SearchPath};
use crate::exec::run::notes::{no_vectors_yet, notes_on_few};
use crate::exec::run::prepare::prepared_for;
use crate::exec::run::rows::{rows_of, view_of};
use crate::exec::run::scan::{PairScan, scan_pairs};
use crate::exec::settle::pairs::resolve_pairs;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::Plan;
use crate::query::ast;
use crate::store::Snapshot;
use crate::types::RowId;
use crate::types::control::Control;
use std::collections::BTreeMap;
use std::time::Instant;

const SIDES_NOTE: &str = "the lens treats queries and records differently: `a` is on the query side, and of the two \
                          directions of a pair the more similar one counts";

/// Runs `pairs`, parsed from `text`.
///
/// # Errors
/// Query errors as for a search; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub(crate) fn run(
    snapshot: &Snapshot,
    pairs: &ast::Pairs,
    text: &str,
    params: &Params,
    control: &Control,
) -> Result<Pairs> {
    let begun = Instant::now();
    let plan = resolve_pairs(snapshot, pairs, text)?;
    let Some(lens) = plan.own_lens() else { return Err(Error::invalid("`pairs` takes one lens")) };
    let rows = rows_of(&plan, params, control)?;
    let view = view_of(&plan, lens)?;
    let (skip, top) = plan.window();
    let mut notes = plan.notes.clone();
    let mut found = plan.snapshot.install(|| match prepared_for(&plan, lens, view, &rows.scanned, control)? {
        Some(prepared) => {
            notes.extend(notes_on_few(&prepared));
            scan_pairs(view, &prepared, &rows.scanned, skip + top, plan.scan_bound(), control)
        }
        None => {
            notes.push(no_vectors_yet(view));
            Ok(PairScan { symmetric: true, ..PairScan::default() })
        }
    })?;
    let metric = plan.shown_metric();
    found.hits.iter_mut().for_each(|pair| pair.value = plan.shown(pair.value));
    let reaches = |value: f64, bound: f64| if metric.is_distance() { value <= bound } else { value >= bound };
    found.hits.retain(|pair| plan.bound().is_none_or(|bound| reaches(pair.value, bound)));
    if !found.symmetric {
        notes.push(SIDES_NOTE.to_string());
    }
    Ok(Pairs {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: rows.counted(&plan, SearchPath::Pairs, &found.undirected),
        notes,
        pairs: records(&plan, &found, skip, top)?,
        elapsed: begun.elapsed(),
    })
}

fn records(plan: &Plan, found: &PairScan, skip: usize, top: usize) -> Result<Vec<Pair>> {
    let hits: Vec<_> = found.hits.iter().enumerate().skip(skip).take(top).collect();
    let mut records: BTreeMap<u32, PairRecord> = BTreeMap::new();
    for row in hits.iter().flat_map(|(_, pair)| [pair.a, pair.b]) {
        if let std::collections::btree_map::Entry::Vacant(entry) = records.entry(row) {
            let record = plan.collection.shown_record(RowId(row))?;
            entry.insert(PairRecord { id: record.id.clone(), text: record.text.clone() });
        }
    }
    let record = |row: u32| {
        let missing = || Error::invalid(format!("row {row} was read and is not there"));
        records.get(&row).cloned().ok_or_else(missing)
    };
    let metric = plan.shown_metric();
    hits.into_iter()
        .map(|(place, pair)| {
            Ok(Pair { rank: place as u64 + 1, a: record(pair.a)?, b: record(pair.b)?, metric, value: pair.value })
        })
        .collect()
}
