//! Edit distance over the texts of a view: the one metric that compares no vectors.
//!
//! Owns `score levenshtein`. Texts are read from the catalog and compared as characters (Unicode scalar values)
//! on all cores; the order is by distance, then row, whatever the number of threads. It resolves no names.

use super::scan::Scored;
use crate::error::Result;
use crate::store::CollectionSnapshot;
use crate::types::control::Control;
use crate::types::{RowId, RowSet, ViewDef, ViewKind};
use rapidfuzz::distance::levenshtein::{Args, BatchComparator};
use rayon::prelude::*;

/// Rows that one task reads and compares.
const TASK_ROWS: usize = 256;

/// What a scan over texts found.
#[derive(Debug, Default)]
pub(crate) struct TextScan {
    /// The nearest rows, by distance and row.
    pub(crate) hits: Vec<Scored>,
    /// Matched rows that have a text in the view.
    pub(crate) scanned: u64,
    /// Live rows without a text in the view.
    pub(crate) absent: u64,
}

/// Which rows take part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextRows<'a> {
    /// Live rows that the condition keeps.
    pub(crate) matched: &'a RowSet,
    /// Rows the source names, unless they are wanted.
    pub(crate) left_out: &'a RowSet,
}

/// The text of the record at `row` as `view` has it; `None` where the view has no text for it.
///
/// # Errors
/// Only where the catalog cannot be read.
pub(crate) fn text_of(collection: &CollectionSnapshot, view: &ViewDef, row: u32) -> Result<Option<String>> {
    let row = RowId(row);
    match &view.kind {
        ViewKind::Raw => Ok(Some(collection.record(row)?.text)),
        ViewKind::Template(_) => {
            let text = collection.record(row)?.text;
            Ok(Some(collection.view(&view.name).map_or_else(|| text.clone(), |view| view.prepare_text(&text))))
        }
        ViewKind::TextFrom(_) => collection.view_text(view, row),
        ViewKind::VectorsOnly => Ok(None),
    }
}

/// The `count` rows whose text in `view` is nearest to `query`, none farther than `within`.
///
/// # Errors
/// What reading fails with; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub(crate) fn scan_texts(
    collection: &CollectionSnapshot,
    view: &ViewDef,
    query: &str,
    rows: TextRows<'_>,
    count: usize,
    within: Option<f64>,
    control: &Control,
) -> Result<TextScan> {
    // Raw and template texts exist for every record; which rewrites are missing is only known by looking.
    let may_lack_text = !matches!(view.kind, ViewKind::Raw | ViewKind::Template(_));
    let looked_at = if may_lack_text { collection.live() } else { rows.matched };
    let looked_at: Vec<u32> = looked_at.iter().collect();
    let comparator = BatchComparator::new(query.chars());
    // Distances are whole numbers: a bound between two of them is the lower one.
    let cutoff = within.map(|within| if within >= 0.0 { within.floor() as usize } else { 0 });
    let parts: Vec<TextScan> = looked_at
        .par_chunks(TASK_ROWS)
        .map(|chunk| {
            let mut part = TextScan::default();
            for &row in chunk {
                control.checkpoint()?;
                let Some(text) = text_of(collection, view, row)? else {
                    part.absent += 1;
                    continue;
                };
                if !rows.matched.contains(row) {
                    continue;
                }
                part.scanned += 1;
                if !rows.left_out.contains(row)
                    && let Some(distance) = distance(&comparator, &text, cutoff)
                {
                    part.hits.push(Scored { row, value: distance as f64 });
                }
            }
            keep_nearest(&mut part.hits, count);
            Ok(part)
        })
        .collect::<Result<_>>()?;
    let mut whole = TextScan::default();
    for part in parts {
        whole.scanned += part.scanned;
        whole.absent += part.absent;
        whole.hits.extend(part.hits);
    }
    if within.is_some_and(|within| within < 0.0) {
        whole.hits.clear();
    }
    keep_nearest(&mut whole.hits, count);
    Ok(whole)
}

fn distance(comparator: &BatchComparator<char>, text: &str, cutoff: Option<usize>) -> Option<usize> {
    match cutoff {
        Some(cutoff) => comparator.distance_with_args(text.chars(), &Args::default().score_cutoff(cutoff)),
        None => Some(comparator.distance(text.chars())),
    }
}

fn keep_nearest(hits: &mut Vec<Scored>, count: usize) {
    hits.sort_unstable_by(|a, b| a.value.total_cmp(&b.value).then(a.row.cmp(&b.row)));
    hits.truncate(count);
}
