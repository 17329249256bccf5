//! Scalars after a mean has moved: one product for each row in place of a matrix product.
//!
//! Owns [`Moved`]: for chains that come down to one norm (`shape`) whose matrices are what they were. With `u` the row,
//! or the row divided by its norm, and `y = L u + c` before and `y' = L u + c'` now, `v = c' - c`,
//!
//! ```text
//! |y'|^2 = |y|^2 + 2 <L'v, u> + <v, c' + c>
//! ```
//!
//! and `|y|` is known. It is the identity `|L (x - m)|^2 = |L x|^2 - 2 <L'L m, x> + |L m|^2` around the mean before
//! instead of around zero, so that nothing large cancels where a long mean moves a little, and nothing more has to be
//! kept.
//!
//! # The bound
//! With `e`, `k`, `t`, `F`, `s_0` as in `fold`, and `a` the relative error of the norms before:
//!
//! - `|y|^2`, from `1 / |y|` or as it is, is off by at most `2.1 (a + e)` of itself, as long as `a` is small;
//! - the `f32` product by `(k + 2 e) |L'v| |u|`;
//! - `v`, `L'v` and the last term, all in `f64`, by `t (s_0 + s_0')` on the side of `v`: together
//!   `2 t (s_0 + s_0') (F |u| + s_0 + s_0')`, twice that for the fold.
//!
//! `| |y'| - |y'|computed |` is at most the sum of these divided by the computed norm, and what `f64` may lose of
//! `|y'|` itself is added as in `quick`. Rows for which that is too large a part are computed anew.

use super::quick::{Bound, LARGEST_ERROR, QuickScalars, Reference, judge};
use super::shape::{End, Shape};
use super::values::Scalars;
use crate::lens::fold::{self, Adjoint};
use crate::lens::program::{Op, Program, Traveller, Undirected};
use crate::linalg::rows::{RowRef, RowsRef};
use crate::linalg::{simd, stats};
use crate::types::RowSet;

/// Norms with a larger relative error are no ground to stand on: they are computed anew, and errors do not add up from
/// commit to commit.
const LARGEST_EARLIER: f64 = LARGEST_ERROR * 0.75;

/// What turns the scalars of an earlier commit into this one's.
pub(in crate::lens) struct Moved<'a> {
    earlier: &'a Scalars,
    /// Rows with scalars that can be moved.
    pub known: RowSet,
    unit: bool,
    end: End,
    /// `L'v / scale`.
    folded: Vec<f32>,
    scale: f64,
    /// `|L'v|`.
    folded_norm: f64,
    /// `<v, c' + c>`.
    constant: f64,
    /// `2 t (s_0 + s_0') (F |u| + s_0 + s_0')`, twice.
    lost: Bound,
    /// `t F` and `t s_0'`.
    rounding: Bound,
    reference: Reference,
    dot_error: f64,
}

impl<'a> Moved<'a> {
    /// From the first program, with the scalars of `earlier`, known for the rows of `known`, to the second, both the
    /// record's side on rows of `dimension`; `squares`: whether squared norms are asked for. `None` where more than
    /// shifts has changed, where the chain is of another form, and where the numbers leave the range of `f32`.
    pub fn of(
        earlier: &'a Scalars,
        known: RowSet,
        programs: [&Program; 2],
        squares: bool,
        dimension: usize,
    ) -> Option<Self> {
        let same = programs[0].ops.len() == programs[1].ops.len()
            && programs[0].ops.iter().zip(&programs[1].ops).all(|(a, b)| moves_only(a, b));
        if !same || known.is_empty() || earlier.norm_error > LARGEST_EARLIER {
            return None;
        }
        let [before, now] = [Shape::of(programs[0], squares)?, Shape::of(programs[1], squares)?];
        // Whether a row still has a direction at a normalization that was left out is not known.
        if now.end == End::Nothing || !now.directed.is_empty() {
            return None;
        }
        // Without a shift behind the first normalization only the product of both is kept, but then nothing moves
        // either.
        if now.end == End::Direction && now.unit != (earlier.extras.len() == 1) {
            return None;
        }
        let [old, new] = [&before, &now].map(|shape| constant(&shape.affine, dimension));
        let moved: Vec<f64> = new.iter().zip(&old).map(|(new, old)| new - old).collect();
        let both: Vec<f64> = new.iter().zip(&old).map(|(new, old)| new + old).collect();
        let Adjoint { vector, shifts, growth, tolerance } = fold::adjoint(moved.clone(), &now.affine, dimension);
        let Adjoint { shifts: earlier_shifts, .. } = fold::adjoint(moved.clone(), &before.affine, dimension);
        let (folded_norm, size) = (stats::norm(&vector), shifts[0].size + earlier_shifts[0].size);
        let scale = stats::power_of_two_above(folded_norm);
        let factor = 4.0 * tolerance * size;
        // Far from where squares overflow, or products of reciprocals vanish.
        let ordinary = |x: f64| x < 1e30;
        (ordinary(folded_norm) && ordinary(size) && ordinary(growth)).then(|| Moved {
            earlier,
            known,
            unit: now.unit,
            end: now.end,
            folded: vector.iter().map(|x| (x / scale) as f32).collect(),
            scale,
            folded_norm,
            constant: simd::dot_f64(&moved, &both),
            lost: Bound { slope: factor * growth, offset: factor * size },
            rounding: Bound { slope: tolerance * growth, offset: tolerance * shifts[0].size },
            reference: Reference::behind(&now.affine.ops),
            dot_error: simd::dot_error(dimension) * 1.01 + 2.0 * simd::UNIT_F32,
        })
    }

    /// Hands the scalars of each known row of a block to `each`; `None` where they have to be computed anew. `products`
    /// is room to work in.
    pub fn block(
        &self,
        rows: RowsRef<'_>,
        first: u32,
        products: &mut Vec<f32>,
        mut each: impl FnMut(u32, Option<QuickScalars>),
    ) {
        products.resize(rows.len(), 0.0);
        simd::dot_rows(&self.folded, rows, products);
        let mut wide = Vec::new();
        for row in self.known.iter_range(first..first + rows.len() as u32) {
            let place = (row - first) as usize;
            let length = if !self.unit {
                1.0
            } else if let RowRef::F32(elements) = rows.row(place) {
                simd::squared_norm(elements).sqrt()
            } else {
                rows.row_f32(place, &mut wide);
                simd::squared_norm(&wide).sqrt()
            };
            each(row, self.row(row as usize, products[place], length));
        }
    }

    /// The scalars of a row of norm `length`, where that is divided by first, else 1.
    fn row(&self, row: usize, product: f32, length: f64) -> Option<QuickScalars> {
        let Scalars { alpha, reach, extras, squares, norm_error, .. } = self.earlier;
        let reach = f64::from(reach[row]);
        // `1 / |y|`, where that is known.
        let inverse = extras.first().map_or(alpha, |(_, second)| second).get(row).map_or(1.0, |&x| f64::from(x));
        let (square, raw) = match self.end {
            End::Square => (f64::from(squares[row]), reach),
            _ => (1.0 / (inverse * inverse), reach / inverse),
        };
        // A reach is at least the product with its error, and then rounded up.
        let raw = if self.unit { 1.0 + 1e-9 } else { raw * (1.0 + 4.0 * simd::UNIT_F32) };
        let moved = square + 2.0 * f64::from(product) * self.scale / length + self.constant;
        let error = 2.1 * (norm_error + simd::UNIT_F32 * 1.01) * square
            + 2.0 * self.dot_error * self.folded_norm * raw
            + self.lost.at(raw);
        let norm = moved.max(0.0).sqrt();
        let norm = judge(norm, error / norm + self.rounding.at(raw), raw, self.reference)?;
        Some(QuickScalars::new(self.end, norm, raw, length))
    }
}

/// Whether two operations differ in what they subtract, and in nothing else.
fn moves_only(a: &Op, b: &Op) -> bool {
    match (a, b) {
        (Op::OwnMean, Op::OwnMean) | (Op::Shift(_), Op::Shift(_)) | (Op::Normalize, Op::Normalize) => true,
        (Op::Truncate { to: a, .. }, Op::Truncate { to: b, .. }) => a == b,
        (Op::Matrix(a), Op::Matrix(b)) => a.fingerprint() == b.fingerprint(),
        (Op::Divide(a), Op::Divide(b)) => a == b,
        (Op::Coordinates(a), Op::Coordinates(b)) | (Op::Remove(a), Op::Remove(b)) => a.rows() == b.rows(),
        _ => false,
    }
}

/// `c`: what becomes of the zero vector.
fn constant(program: &Program, dimension: usize) -> Vec<f64> {
    let mut zero = Traveller::new(vec![0.0; dimension]);
    program.run(&mut zero, Undirected::GoOn);
    zero.vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lens::memory::MemoryRows;
    use crate::lens::program::Op;
    use crate::lens::scalars::passes;
    use crate::lens::{RowForm, RowSource, RowSums};
    use crate::linalg::Matrix;
    use crate::linalg::random::Random;
    use crate::types::ElementType;
    use std::sync::Arc;

    const DIMENSION: usize = 24;
    const ROWS: usize = 600;

    /// Rows of about the given spread around a point of about the given length, every seventh a thousand times as long.
    fn rows(spread: f64, length: f64) -> Vec<f32> {
        let mut random = Random::new(11);
        let mut unit = || random.below(2_000_001) as f64 / 1e6 - 1.0;
        let middle: Vec<f64> = (0..DIMENSION).map(|_| unit() * length).collect();
        let row = |i: usize| if i % 7 == 3 { 1e3 } else { 1.0 };
        let mut data = Vec::new();
        for i in 0..ROWS {
            data.extend(middle.iter().map(|m| (m + row(i) * spread * unit()) as f32));
        }
        data
    }

    /// What a chain divides by: nothing, the norms of rows first of all, and in the end.
    #[derive(Debug, Clone, Copy)]
    struct Lengths {
        unit: bool,
        direction: bool,
    }

    const END: Lengths = Lengths { unit: false, direction: true };
    const ALL: [Lengths; 4] = [
        END,
        Lengths { unit: true, direction: true },
        Lengths { unit: false, direction: false },
        Lengths { unit: true, direction: false },
    ];

    fn program(mean: &[f64], middle: &[Op], lengths: Lengths) -> Program {
        let mut ops = vec![Op::Normalize; usize::from(lengths.unit)];
        ops.push(Op::Shift(Arc::from(mean)));
        ops.extend_from_slice(middle);
        ops.resize(ops.len() + usize::from(lengths.direction), Op::Normalize);
        Program::new(ops)
    }

    fn matrix(scale: f32) -> Op {
        let mut random = Random::new(5);
        let data = (0..6 * DIMENSION).map(|_| scale * (random.below(2001) as f32 / 1e3 - 1.0)).collect();
        Op::Matrix(Arc::new(Matrix::new(6, DIMENSION, data).unwrap()))
    }

    /// Moves the scalars of rows whose mean moves by `part` of their spread; how many were moved, each of them within
    /// its error of what `f64` finds.
    fn moved((spread, length): (f64, f64), part: f64, middle: &[Op], lengths: Lengths, disturbed: f64) -> usize {
        let source = MemoryRows::new(&rows(spread, length), DIMENSION, ElementType::F32, 100);
        let live = RowSet::from_range(0..ROWS as u32);
        let form = if lengths.unit { RowForm::Unit } else { RowForm::Raw };
        let mean = RowSums::of(&source, &live, form, None).unwrap().total().mean();
        let squares = !lengths.direction;
        let spread = if lengths.unit { spread / length.max(spread) } else { spread };
        let shifted: Vec<f64> =
            mean.iter().enumerate().map(|(i, m)| m + part * spread * ((i % 3) as f64 - 0.6)).collect();
        let (before, now) = (program(&mean, middle, lengths), program(&shifted, middle, lengths));
        let found = |program: &Program| passes::scalars_in_full(&source, &live, program, squares).unwrap();
        let (mut earlier, expected) = (found(&before), found(&now));
        // What stood there before was within its error, too, and no better.
        earlier.scalars = earlier.scalars.disturbed(&before, squares, disturbed);
        let known = live.and_not(&earlier.undirected).and_not(&earlier.extreme);
        let Some(moved) = Moved::of(&earlier.scalars, known, [&before, &now], squares, DIMENSION) else { return 0 };
        let mut count = 0;
        for block in 0..source.block_count() {
            let (rows, first) = (source.block(block).unwrap(), source.block_range(block).start);
            moved.block(rows, first, &mut Vec::new(), |row, found| {
                let Some(found) = found else { return };
                let close = |name: &str, found: f64, values: &[f32], error: f64| {
                    let Some(&value) = values.get(row as usize) else { return };
                    let off = (found / f64::from(value) - 1.0).abs();
                    assert!(off <= error + 2.0 * simd::UNIT_F32, "row {row}, {name}: off by {off:e}, said {error:e}");
                };
                close("alpha", found.alpha, &expected.scalars.alpha, if squares { 0.0 } else { found.error });
                expected.scalars.extras.iter().for_each(|(_, all)| close("S_1", found.second, all, found.error));
                close("square", found.square, &expected.scalars.squares, 2.1 * found.error);
                let reach = f64::from(expected.scalars.reach[row as usize]);
                assert!(found.reach >= reach * (1.0 - 8.0 * simd::UNIT_F32), "row {row}: reach");
                assert!(!expected.undirected.contains(row), "row {row} has no direction");
                count += 1;
            });
        }
        count
    }

    #[test]
    fn moved_scalars_are_within_their_error() {
        for (spread, length) in [(1.0, 0.0), (1.0, 3.0), (1e-12, 1e-12), (1e12, 1e12), (1.0, 1e3)] {
            for middle in [vec![], vec![matrix(1.0)], vec![Op::OwnMean, matrix(1e-6), Op::OwnMean]] {
                for (part, lengths) in [0.0, 1e-9, 1e-3, 0.5].into_iter().flat_map(|p| ALL.map(|lengths| (p, lengths)))
                {
                    moved((spread, length), part, &middle, lengths, 1e-4);
                    let count = moved((spread, length), part, &middle, lengths, 0.0);
                    // Most rows of one length around a point far away are hardly off it, and squares leave `f32`.
                    let few =
                        lengths.unit && length > 10.0 * spread || !lengths.direction && !(1e-6..1e6).contains(&spread);
                    let least = if few { 0 } else { ROWS * 9 / 10 };
                    assert!(
                        count >= least,
                        "{count} rows: spread {spread:e}, length {length:e}, part {part:e}, {lengths:?}"
                    );
                }
            }
        }
        // Where nothing is left of a row, or its square would be rounding, it is not guessed at.
        assert!(moved((1e-6, 1e3), 1.0, &[], END, 0.0) < ROWS / 2);
    }

    #[test]
    fn what_is_more_than_a_shift_is_computed_anew() {
        let (scalars, known) =
            (Scalars { alpha: vec![1.0], reach: vec![1.0], ..Scalars::default() }, RowSet::from_range(0..1));
        let base = program(&[1.0; DIMENSION], &[matrix(1.0)], END);
        let of = |now: &Program| Moved::of(&scalars, known.clone(), [&base, now], false, DIMENSION).is_some();
        assert!(of(&program(&[2.0; DIMENSION], &[matrix(1.0)], END)));
        assert!(!of(&program(&[2.0; DIMENSION], &[matrix(2.0)], END)));
        assert!(!of(&program(&[2.0; DIMENSION], &[matrix(1.0), Op::OwnMean], END)));
        assert!(!of(&program(&[2.0; DIMENSION], &[Op::Normalize, matrix(1.0)], END)));
        assert!(!of(&Program::new(vec![Op::Shift(Arc::from([2.0; DIMENSION])), matrix(1.0)])));
        // Errors would add up from commit to commit.
        let rough = Scalars { norm_error: LARGEST_ERROR, ..scalars };
        assert!(Moved::of(&rough, known.clone(), [&base, &base], false, DIMENSION).is_none());
        // A normalization that was left out has to find a direction every time.
        let between = |x: f64| program(&[x; DIMENSION], &[Op::Normalize, matrix(1.0)], END);
        let programs = [between(1.0), between(2.0)];
        let known = RowSet::from_range(0..1);
        assert!(
            Moved::of(&Scalars { norm_error: 0.0, ..rough }, known, programs.each_ref(), false, DIMENSION).is_none()
        );
    }
}
