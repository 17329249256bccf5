//! The segments of a view as the catalog lists them, checked to cover its rows.

use crate::catalog::tables::SEGMENTS;
use crate::catalog::{CATALOG_FILE, CatalogRead};
use crate::error::{Damage, Error, Result};
use crate::types::{SegmentEntry, SegmentId, ViewDef};

/// Segments of `view` in `catalog`, ascending by row.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where they leave a gap, overlap, or do not end at the view's rows.
pub(in crate::store) fn read_segments(catalog: &impl CatalogRead, view: &ViewDef) -> Result<Vec<SegmentEntry>> {
    let range = (view.id, SegmentId(0))..=(view.id, SegmentId(u32::MAX));
    let mut segments: Vec<SegmentEntry> =
        catalog.range(&SEGMENTS, range)?.into_iter().map(|(_, entry)| entry).collect();
    segments.sort_by_key(|entry| entry.first_row);
    let damaged = |expected: String, found: String| {
        Error::corrupt(Damage {
            file: CATALOG_FILE.into(),
            offset: 0,
            what: format!("table segments, view {}: segments do not fit together", view.id),
            expected,
            found,
        })
    };
    let mut next_row = 0_u32;
    for entry in &segments {
        if entry.first_row != next_row || entry.rows == 0 {
            return Err(damaged(
                format!("a segment from row {next_row}"),
                format!("{} rows from {} in segment {}", entry.rows, entry.first_row, entry.id),
            ));
        }
        if Some(entry.dimension) != view.dimension || entry.element != view.element {
            return Err(damaged(
                format!("dimension {} in {}", view.dimension.unwrap_or(0), view.element.as_str()),
                format!("{} in {} in segment {}", entry.dimension, entry.element.as_str(), entry.id),
            ));
        }
        next_row = next_row
            .checked_add(entry.rows)
            .ok_or_else(|| damaged("fewer rows".to_string(), format!("{} rows from {next_row}", entry.rows)))?;
    }
    if next_row != view.rows {
        return Err(damaged(format!("rows up to {}", view.rows), format!("rows up to {next_row}")));
    }
    Ok(segments)
}
