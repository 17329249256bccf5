//! The few numbers that folding needs of each record, row by row.

#[cfg(test)]
use super::shape::{End, Shape};
use crate::lens::fold::RecordScalars;
#[cfg(test)]
use crate::lens::program::Program;
use crate::types::RowSet;

/// Scalars by row; entries of rows that are not directed mean nothing.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Scalars {
    /// `S_0`; empty where it is 1 for every record.
    pub alpha: Vec<f32>,
    /// `S_0 |x|`, rounded up.
    pub reach: Vec<f32>,
    /// `(g, S_g)` for later groups that have shifts.
    pub extras: Vec<(usize, Vec<f32>)>,
    /// `|y|^2`, for distances.
    pub squares: Vec<f32>,
    /// Largest relative error of the norms that scalars come from, beyond rounding, see `quick`.
    pub norm_error: f64,
    /// `r(x)` and its error, for `csls`.
    pub hubs: (Vec<f32>, Vec<f32>),
}

impl Scalars {
    /// Takes the scalars that `other` has of the rows of `rows`.
    pub(in crate::lens) fn take(&mut self, other: &Scalars, rows: &RowSet) {
        let copy = |to: &mut [f32], from: &[f32]| {
            for row in rows.iter().map(|row| row as usize) {
                if let (Some(to), Some(from)) = (to.get_mut(row), from.get(row)) {
                    *to = *from;
                }
            }
        };
        copy(&mut self.alpha, &other.alpha);
        copy(&mut self.reach, &other.reach);
        self.extras.iter_mut().zip(&other.extras).for_each(|((_, to), (_, from))| copy(to, from));
        copy(&mut self.squares, &other.squares);
        self.norm_error = self.norm_error.max(other.norm_error);
    }

    /// Takes what `earlier` has for all rows but those of `fresh`.
    pub(in crate::lens) fn keep(&mut self, earlier: &Scalars, fresh: &RowSet) {
        keep(&mut self.alpha, &earlier.alpha, fresh);
        keep(&mut self.reach, &earlier.reach, fresh);
        for ((_, values), (_, earlier)) in self.extras.iter_mut().zip(&earlier.extras) {
            keep(values, earlier, fresh);
        }
        keep(&mut self.squares, &earlier.squares, fresh);
        self.norm_error = self.norm_error.max(earlier.norm_error);
    }

    /// The scalars of `row`; `extras` is room for the later groups'.
    #[inline]
    pub fn of<'a>(&self, row: usize, extras: &'a mut Vec<(usize, f64)>) -> RecordScalars<'a> {
        extras.clear();
        extras.extend(self.extras.iter().map(|(group, values)| (*group, f64::from(values[row]))));
        RecordScalars {
            alpha: self.alpha.get(row).map_or(1.0, |&a| f64::from(a)),
            reach: f64::from(self.reach[row]),
            extras,
            square: self.squares.get(row).map_or(0.0, |&s| f64::from(s)),
            norm_error: self.norm_error,
            hub: self.hubs.0.get(row).map_or(0.0, |&r| f64::from(r)),
            hub_error: self.hubs.1.get(row).map_or(0.0, |&e| f64::from(e)),
        }
    }
}

/// Copies the start of `values` from `earlier`, but for the rows of `fresh`.
pub(in crate::lens) fn keep(values: &mut [f32], earlier: &[f32], fresh: &RowSet) {
    let mut start = 0;
    for row in fresh.iter_range(0..earlier.len() as u32) {
        let row = row as usize;
        values[start..row].copy_from_slice(&earlier[start..row]);
        start = row + 1;
    }
    values[start..earlier.len()].copy_from_slice(&earlier[start..]);
}

#[cfg(test)]
impl Scalars {
    /// Scalars of `program` whose norms are off by nearly `error` of themselves, and which say so: every other row's
    /// too long.
    pub(in crate::lens) fn disturbed(mut self, program: &Program, squares: bool, error: f64) -> Self {
        let Some(shape) = Shape::of(program, squares).filter(|shape| shape.end != End::Nothing) else { return self };
        self.norm_error += error;
        let off = |row: usize| (1.0 + error * if row.is_multiple_of(2) { 0.99 } else { -0.99 }) as f32;
        let divide = |values: &mut [f32]| values.iter_mut().enumerate().for_each(|(row, value)| *value /= off(row));
        if shape.end == End::Direction {
            divide(&mut self.alpha);
            self.extras.iter_mut().for_each(|(_, values)| divide(values));
            self.reach.iter_mut().for_each(|reach| *reach *= 1.0 + 2.0 * error as f32);
        }
        self.squares.iter_mut().enumerate().for_each(|(row, square)| *square *= off(row) * off(row));
        self
    }
}
