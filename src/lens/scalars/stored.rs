//! Per-record scalars as rows: their layout, and how they are taken back in place of being computed.
//!
//! Owns the layout of such a row: what is known of the record (0: its scalars, 1: it has no direction, 2: `f32` cannot
//! hold its magnitudes), the largest relative error of its norm beyond rounding, the reach, and, where the program has
//! them, `S_0`, the scalars of the later groups, and the squared norm. It knows neither files nor when a row is out of
//! date.

use super::passes::FinalPass;
use crate::error::{Error, ErrorKind, Result};
use crate::lens::RowSource;
use crate::types::RowSet;

/// Numbers that every row has: what is known, the error, the reach.
pub(in crate::lens) const FIXED: usize = 3;
/// Scalars that were written down.
#[derive(Clone, Copy)]
pub struct StoredScalars<'a> {
    /// The rows, under the numbers of the records.
    pub rows: &'a dyn RowSource,
    /// Those that are there and up to date.
    pub known: &'a RowSet,
}

impl StoredScalars<'_> {
    /// Puts what is known to where it would have been computed; the rows that are said to have no direction are left,
    /// and returned: what has one was decided by another rule when the first of them were written, and few rows have
    /// none.
    ///
    /// # Errors
    /// Rows that cannot be read, or are not scalars of this program.
    pub(in crate::lens) fn fill(&self, found: &mut FinalPass) -> Result<RowSet> {
        let scalars = &mut found.scalars;
        let width = FIXED
            + usize::from(!scalars.alpha.is_empty())
            + scalars.extras.len()
            + usize::from(!scalars.squares.is_empty());
        if !self.known.is_empty() && self.rows.dimension() != width {
            let message = format!("stored scalars have {} numbers a record, the lens {width}", self.rows.dimension());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let (mut undirected, mut extreme, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for block in 0..self.rows.block_count() {
            let range = self.rows.block_range(block);
            if self.known.count_range(range.clone()) == 0 {
                continue;
            }
            let stored = self.rows.block(block)?;
            for row in self.known.iter_range(range.clone()) {
                stored.row_f32((row - range.start) as usize, &mut values);
                match values[0] {
                    0.0 => {}
                    1.0 => {
                        undirected.push(row);
                        continue;
                    }
                    2.0 => extreme.push(row),
                    other => {
                        let message = format!("stored scalars of row {row} begin with {other}");
                        return Err(Error::new(ErrorKind::Corrupt, message));
                    }
                }
                let at = row as usize;
                scalars.norm_error = scalars.norm_error.max(f64::from(values[1]));
                scalars.reach[at] = values[2];
                let mut rest = values[FIXED..].iter().copied();
                let mut put = |slot: Option<&mut f32>| {
                    if let Some(slot) = slot {
                        *slot = rest.next().unwrap_or(0.0);
                    }
                };
                put(scalars.alpha.get_mut(at));
                scalars.extras.iter_mut().for_each(|(_, values)| put(values.get_mut(at)));
                put(scalars.squares.get_mut(at));
            }
        }
        found.extreme = found.extreme.or(&RowSet::from_rows(extreme));
        Ok(RowSet::from_rows(undirected))
    }
}

/// Whether the row `b` that was kept of a record agrees with `a`, which was made anew: what is known is the same, and
/// no number is further from the other than their errors, their rounding, and the rounding up of the reach allow. That
/// a record has no direction is not taken from a kept row, see [`StoredScalars::fill`].
pub fn agree(a: &[f32], b: &[f32]) -> bool {
    if b.first() == Some(&1.0) {
        return a.len() == b.len();
    }
    let (Some((a_known, a)), Some((b_known, b))) = (a.split_first(), b.split_first()) else { return false };
    let (Some((a_error, a)), Some((b_error, b))) = (a.split_first(), b.split_first()) else { return false };
    let allowed = 1e-6 + 3.0 * (a_error + b_error);
    a_known == b_known
        && allowed < 0.1
        && a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= a.abs().max(b.abs()) * allowed)
}
