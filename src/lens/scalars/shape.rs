//! The form of a chain whose scalars come down to one norm: what single precision can find, and what moves with a mean.
//!
//! Owns [`Shape`]. Such a chain may divide rows by their own norms first; what follows is affine, `y = L u + c`, and
//! ends in a normalization, in a squared norm, or where no scalar depends on it. A normalization in between that no
//! shift follows only changes the length of what is normalized again: it is left out, but for its say in whether a row
//! has a direction.

use crate::lens::program::{Op, Program};

/// A program as far as scalars depend on it.
#[derive(Debug)]
pub(in crate::lens) struct Shape {
    /// Whether rows are divided by their norms first of all: `u = x / |x|`, else `u = x`.
    pub unit: bool,
    /// What makes `y` of `u`: no normalizations.
    pub affine: Program,
    /// What is asked of `y`.
    pub end: End,
    /// Programs that end in a normalization that was left out: where one finds no direction, there is none.
    pub directed: Vec<Program>,
}

/// What is asked of `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lens) enum End {
    /// `1 / |y|`.
    Direction,
    /// `|y|^2`.
    Square,
    /// Nothing: the scalars are those of `u`.
    Nothing,
}

impl Shape {
    /// The shape of `program`, a record's side with the metric's own steps; `squares`: whether squared norms are asked
    /// for. `None` where it is of no such form.
    pub fn of(program: &Program, squares: bool) -> Option<Self> {
        let (unit, rest) = match program.ops.split_first() {
            Some((Op::Normalize, rest)) => (true, rest),
            _ => (false, &program.ops[..]),
        };
        let (ops, end) = match (rest.split_last(), rest.iter().any(is_normalize)) {
            (_, has) if squares => return (!has).then(|| Shape::linear(unit, rest, End::Square)),
            (_, false) => return Some(Shape::linear(unit, &[], End::Nothing)),
            (Some((Op::Normalize, ops)), _) => (ops, End::Direction),
            // Behind the last normalization there is no bound on the length of a vector.
            _ => return None,
        };
        let mut shape = Shape::linear(unit, ops, end);
        for (idx, _) in ops.iter().enumerate().filter(|(_, op)| is_normalize(op)) {
            if ops[idx..].iter().any(|op| matches!(op, Op::Shift(_))) {
                return None;
            }
            let leading = unit.then_some(Op::Normalize);
            let before = Shape::linear(unit, &ops[..idx], end).affine.ops;
            shape.directed.push(Program::new(leading.into_iter().chain(before).chain([Op::Normalize]).collect()));
        }
        Some(shape)
    }

    /// `ops` without their normalizations.
    fn linear(unit: bool, ops: &[Op], end: End) -> Self {
        let affine = Program::new(ops.iter().filter(|op| !is_normalize(op)).cloned().collect());
        Shape { unit, affine, end, directed: Vec::new() }
    }
}

fn is_normalize(op: &Op) -> bool {
    matches!(op, Op::Normalize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn shape(ops: &[Op], squares: bool) -> Option<(bool, usize, End, usize)> {
        let shape = Shape::of(&Program::new(ops.to_vec()), squares)?;
        assert!(!shape.affine.ops.iter().any(is_normalize));
        Some((shape.unit, shape.affine.ops.len(), shape.end, shape.directed.len()))
    }

    #[test]
    fn chains_that_come_down_to_one_norm() {
        let (unit, own, shift) = (Op::Normalize, Op::OwnMean, Op::Shift(Arc::from([1.0, 2.0])));
        let of = |ops: &[&Op], squares| shape(&ops.iter().map(|&op| op.clone()).collect::<Vec<_>>(), squares);
        assert_eq!(of(&[], false), Some((false, 0, End::Nothing, 0)));
        assert_eq!(of(&[&shift, &own], false), Some((false, 0, End::Nothing, 0)));
        assert_eq!(of(&[&unit], false), Some((true, 0, End::Nothing, 0)));
        assert_eq!(of(&[&unit, &shift], false), Some((true, 0, End::Nothing, 0)));
        assert_eq!(of(&[&unit, &shift], true), Some((true, 1, End::Square, 0)));
        assert_eq!(of(&[&shift, &own], true), Some((false, 2, End::Square, 0)));
        assert_eq!(of(&[&shift, &own, &unit], false), Some((false, 2, End::Direction, 0)));
        assert_eq!(of(&[&unit, &shift, &unit], false), Some((true, 1, End::Direction, 0)));
        // A normalization that another one follows, and no shift in between.
        assert_eq!(of(&[&shift, &unit, &own, &unit], false), Some((false, 2, End::Direction, 1)));
        assert_eq!(of(&[&unit, &shift, &unit, &own, &unit], false), Some((true, 2, End::Direction, 1)));
        for (ops, squares) in [
            (&[&shift, &unit, &shift, &unit][..], false),
            (&[&shift, &unit, &own], false),
            (&[&unit, &shift, &unit, &shift, &unit], false),
            (&[&shift, &unit], true),
            (&[&unit, &unit], true),
        ] {
            assert_eq!(of(ops, squares), None, "{ops:?}");
        }
    }
}
