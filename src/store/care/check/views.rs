//! Checking a view: absent rows, segments with all their blocks, vectors that are finite, stored texts.

use super::{Checker, Counts};
use crate::catalog::sums::{SUMS_PER_CHUNK, read_block_sums};
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::segment::{self, SegmentReader, SegmentRows};
use crate::store::read::rows::read_row_set;
use crate::store::read::segments::read_segments;
use crate::types::{CollectionDef, RowSet, SegmentEntry, ViewDef, ViewKind};

/// Rows looked at between two reports of progress.
const ROWS_AT_ONCE: u32 = 4_096;

impl Checker<'_> {
    pub(super) fn check_view(
        &mut self,
        def: &CollectionDef,
        view: &ViewDef,
        live: &RowSet,
        counts: &mut Counts,
    ) -> Result<()> {
        self.check_view_files(view, counts)?;
        if matches!(view.kind, ViewKind::TextFrom(_)) {
            self.check_texts(def, view, live, counts)?;
        }
        Ok(())
    }

    /// Absent rows and segments.
    pub(super) fn check_view_files(&mut self, view: &ViewDef, counts: &mut Counts) -> Result<()> {
        let absent = read_row_set(&self.core.read, &tables::ABSENT, view.id, view.rows);
        let absent = self.keep(absent)?;
        counts.absent_chunks += absent.as_ref().map_or(0, RowSet::chunk_count);
        let segments = read_segments(&self.core.read, view);
        for entry in self.keep(segments)?.unwrap_or_default() {
            counts.segments += 1;
            self.check_segment(view, &entry, absent.as_ref(), counts)?;
        }
        Ok(())
    }

    fn check_segment(
        &mut self,
        view: &ViewDef,
        entry: &SegmentEntry,
        absent: Option<&RowSet>,
        counts: &mut Counts,
    ) -> Result<()> {
        self.control.checkpoint()?;
        self.report.segments += 1;
        if entry.id.0 >= self.core.meta.next_segment {
            let what = format!("view {}: the number of a segment was never given", view.name);
            self.find(what, format!("below {}", self.core.meta.next_segment), entry.id.to_string());
        }
        let blocks = segment::full_blocks(entry.rows, entry.dimension, entry.element);
        counts.sum_chunks += blocks.div_ceil(SUMS_PER_CHUNK);
        let sums = read_block_sums(&self.core.read, entry.id, blocks);
        let Some(sums) = self.keep(sums)? else { return Ok(()) };
        let reader = SegmentReader::open(&*self.shared.storage, view.id, entry, sums);
        let Some(reader) = self.keep(reader)? else { return Ok(()) };
        let before = self.report.findings.len();
        let mut findings = Vec::new();
        reader.verify_all(&mut findings, || self.control.checkpoint())?;
        findings.into_iter().for_each(|damage| super::push(&mut self.report, damage));
        let bytes = u64::from(entry.rows) * segment::stride_bytes(entry.dimension, entry.element);
        self.report.bytes_checked += bytes + segment::header::HEADER_BYTES as u64;
        self.control.report("bytes", self.report.bytes_checked, None);
        if self.report.findings.len() == before {
            // What a damaged block holds says nothing about the rest.
            self.check_rows(view, &reader, absent)?;
        }
        Ok(())
    }

    /// Rows hold finite numbers, and rows without a vector nothing but zeros.
    fn check_rows(&mut self, view: &ViewDef, reader: &SegmentReader, absent: Option<&RowSet>) -> Result<()> {
        let entry = reader.entry().clone();
        let mut start = 0;
        while start < entry.rows {
            self.control.checkpoint()?;
            let end = entry.rows.min(start + ROWS_AT_ONCE);
            let rows = reader.rows(start..end)?;
            for offset in start..end {
                let row = entry.first_row + offset;
                let is_absent = absent.is_some_and(|absent| absent.contains(row));
                if !row_is_sound(&rows, (offset - start) as usize, is_absent) {
                    let what = format!("view {}, row {row}", view.name);
                    let expected = if is_absent { "zeros, because it is absent" } else { "finite numbers" };
                    self.find(what, expected.to_string(), "other numbers".to_string());
                }
            }
            start = end;
        }
        Ok(())
    }

    fn check_texts(&mut self, def: &CollectionDef, view: &ViewDef, live: &RowSet, counts: &mut Counts) -> Result<()> {
        let mut row = 0;
        while row < def.rows {
            self.control.checkpoint()?;
            let text = self.core.read.get(&tables::VIEW_TEXTS, &(view.id, row));
            row = match self.keep(text)? {
                Some(Some(_)) => {
                    counts.view_texts += 1;
                    row + 1
                }
                Some(None) => {
                    self.next_number(&tables::VIEW_TEXTS, row..def.rows, |row| (view.id, row), |(_, row)| row)?
                }
                // An entry that cannot be read is an entry all the same.
                None => {
                    counts.view_texts += u64::from(live.contains(row) || row < view.rows);
                    self.step_over(row, def.rows)
                }
            };
        }
        Ok(())
    }
}

fn row_is_sound(rows: &SegmentRows<'_>, idx: usize, is_absent: bool) -> bool {
    match *rows {
        SegmentRows::F32 { data, stride, dimension } => {
            let row = data.get(idx * stride..idx * stride + dimension).unwrap_or_default();
            if is_absent {
                row.iter().all(|value| value.to_bits() == 0)
            } else {
                row.iter().all(|value| value.is_finite())
            }
        }
        SegmentRows::F16 { data, stride, dimension } => {
            let row = data.get(idx * stride..idx * stride + dimension).unwrap_or_default();
            if is_absent {
                row.iter().all(|value| value.to_bits() == 0)
            } else {
                row.iter().all(|value| value.is_finite())
            }
        }
    }
}
