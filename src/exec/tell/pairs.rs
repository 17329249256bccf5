//! `pairs`: the most similar pairs of a collection under a lens.
//!
//! Owns what the statement does not take. A pair counts once, a record is never paired with itself, `where` holds for both,
//! and the same settled lens is used as for a search.

use crate::error::{Error, Result};
use crate::exec::reply::{Pair, PairRecord, Pairs, PlanInfo};
use crate::exec::run::notes::notes_on_few;
use crate::exec::run::prepare::prepared_for;
use crate::exec::run::rows::{matched, scannable, view_of};
use crate::exec::run::scan::{PairScan, scan_pairs};
use crate::exec::settle::names::Site;
use crate::exec::settle::params::Params;
use crate::exec::settle::plan::{DEFAULT_TOP, Plan};
use crate::exec::settle::search::resolve;
use crate::query::ast::{self, Bound, Find, LensBase, Statement};
use crate::query::print;
use crate::store::Snapshot;
use crate::types::control::Control;
use crate::types::{Metric, RowId};
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
    let plan = settle(snapshot, pairs, text)?;
    let matched = matched(&plan, params, control)?;
    let scanned = scannable(&plan, &matched);
    let view = view_of(&plan)?;
    let (skip, top) = plan.window();
    let bound = plan.find.output.bound.as_ref().map(|bound| match bound.node {
        Bound::Above(bound) | Bound::Within(bound) => bound,
    });
    let scan_bound = bound.and_then(|bound| plan.lens.scan_bound(bound));
    let mut notes = plan.notes.clone();
    let mut found = plan.snapshot.install(|| match prepared_for(&plan, view, &scanned, control)? {
        Some(prepared) => {
            notes.extend(notes_on_few(&prepared));
            scan_pairs(view, &prepared, &scanned, skip + top, scan_bound, control)
        }
        None => {
            notes.push(format!("view `{}` has no vectors yet", view.def().name));
            Ok(PairScan { symmetric: true, ..PairScan::default() })
        }
    })?;
    let metric = plan.lens.shown_metric();
    found.hits.iter_mut().for_each(|pair| pair.value = plan.lens.shown(pair.value));
    let reaches = |value: f64, bound: f64| if metric.is_distance() { value <= bound } else { value >= bound };
    found.hits.retain(|pair| bound.is_none_or(|bound| reaches(pair.value, bound)));
    if !found.symmetric {
        notes.push(SIDES_NOTE.to_string());
    }
    let live = plan.collection.live();
    Ok(Pairs {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: PlanInfo {
            path: "pairs",
            exact: true,
            rows: live.len(),
            matched: matched.len(),
            scanned: scanned.len(),
            undirected: found.undirected.len(),
            absent: live.and_not(view.present()).len(),
            left_out: 0,
            commit: plan.snapshot.commit(),
        },
        notes,
        pairs: records(&plan, &found, skip, top)?,
        elapsed: begun.elapsed(),
    })
}

/// The plan of a search with this lens and these clauses, without a source.
fn settle(snapshot: &Snapshot, pairs: &ast::Pairs, text: &str) -> Result<Plan> {
    let site = Site::new(text);
    if let LensBase::Blend(parts) = &pairs.lens.base {
        let span = parts.first().map_or(0..0, |(_, name)| name.span.clone());
        let error = site.error("resolve::pairs_lens", "`pairs` takes one lens, not a blend", &span);
        return Err(error.hint("list the pairs of each lens by itself").into());
    }
    if pairs.output.including_self {
        let message = "`including self` in `pairs`: a record is never paired with itself";
        return Err(site.error("resolve::pairs_self", message, &pairs.collection.span).into());
    }
    let mut pairs = pairs.clone();
    pairs.output.top.get_or_insert(DEFAULT_TOP.into());
    let find = Find {
        source: ast::Source::default().into(),
        collection: pairs.collection.clone(),
        lens: pairs.lens.clone(),
        output: pairs.output.clone(),
    };
    let not_vectors = |metric: Metric| {
        let span = pairs.lens.metric.as_ref().map_or(pairs.collection.span.clone(), |metric| metric.span.clone());
        let message = format!("`pairs` compares vectors by a score or a distance, not by `{}`", metric.as_str());
        site.error("resolve::pairs_lens", message, &span).expected(["cosine", "dot", "pearson", "euclidean"])
    };
    let mut plan = match resolve(snapshot, &find, text) {
        // An edit distance looks for its one text first.
        Err(error) if error.query().is_some_and(|error| error.code == "resolve::levenshtein_source") => {
            return Err(not_vectors(Metric::Levenshtein).into());
        }
        settled => settled?,
    };
    if plan.compares_texts() {
        return Err(not_vectors(Metric::Levenshtein).into());
    }
    pairs.lens = plan.find.lens.clone();
    plan.statement = print(&Statement::Pairs(pairs));
    Ok(plan)
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
    let metric = plan.lens.shown_metric();
    hits.into_iter()
        .map(|(place, pair)| {
            Ok(Pair { rank: place as u64 + 1, a: record(pair.a)?, b: record(pair.b)?, metric, value: pair.value })
        })
        .collect()
}
