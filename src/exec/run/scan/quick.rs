//! The quick test: whether a product can belong to a row that reaches a threshold, in a few `f32` operations.
//!
//! Owns [`Terms`]. The upper end of a record's interval (`ProcessedQuery::interval`) is, in units of the folded
//! vector's scale, a sum of products of one number of the query with one of the record:
//!
//! ```text
//! S_0 (p + h_0) + r e + S_1 c_1 + ... + S_J-1 c_J-1 - last  >=  (threshold - offset) / scale
//! ```
//!
//! `e` and `c_g` are widened by everything that `interval` allows for and by the roundings of the test itself: each
//! term passes through at most `6 + 2 terms` of them, each relative to a term's own size. The last part is there for
//! squared distances, halved: `|y|^2 / 2 - 4 t size(y)^2`, as `4 t (|u| + size)^2 <= 8 t (|u|^2 + size^2)` parts query
//! and record; and for `csls`: half of `r(x)` less its error. So the test passes whatever reaches the threshold; what
//! it lets through is looked at again by `interval`. What `S_0` may be off by lowers the threshold.

use crate::lens::{Prepared, ProcessedQuery, VectorMetric};
use crate::linalg::simd::{self, Line, RowTerms, Wide};
use std::ops::Range;

/// Relative error of one `f32` rounding, with a hundredth to spare.
const ROUND: f64 = simd::UNIT_F32 * 1.01;

/// What the test takes of the records.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    alpha: &'a [f32],
    reach: &'a [f32],
    /// Scalars of later groups that have shifts.
    extras: Vec<(usize, &'a [f32])>,
    last: Last<'a>,
    /// Relative error of norms, see `fold`.
    norm_error: f64,
}

/// The last term, which only some lenses have.
#[derive(Debug)]
enum Last<'a> {
    None,
    Distance(Distance<'a>),
    Hub(Hub<'a>),
}

/// The record's part of `csls`.
#[derive(Debug)]
struct Hub<'a> {
    hubness: &'a [f32],
    errors: &'a [f32],
    /// Of the sizes of both.
    slack: f32,
}

/// The record's part of a squared distance.
#[derive(Debug)]
struct Distance<'a> {
    squares: &'a [f32],
    /// A little less than a half.
    half: f32,
    /// `4 t`, and a little more.
    tolerance: f32,
    /// What bounds `size(y)`: times the reach, times `S_0`, times each extra, and alone.
    growth: f32,
    first: f32,
    others: Vec<f32>,
    last: f32,
}

/// The test of one query.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) line: Line,
    /// Of the further terms, in their order.
    pub(super) factors: Vec<f32>,
}

impl<'a> Terms<'a> {
    /// The terms of all records under `prepared`; `query` is any of its queries.
    pub(super) fn new(prepared: &'a Prepared, query: &ProcessedQuery) -> Self {
        let scalars = prepared.scalars();
        let extras: Vec<_> = scalars.extras.iter().map(|(group, values)| (*group, &values[..])).collect();
        let up = |x: f64| (x as f32 * 1.001).next_up();
        let last = query.shifts.len() - 1;
        let slack = roundings(extras.len() + 1) * ROUND;
        let distance = || Distance {
            squares: &scalars.squares,
            half: (0.5 * (1.0 - slack) - 1.06 * (query.row_error + scalars.norm_error)) as f32,
            tolerance: up(4.0 * query.tolerance),
            growth: up(query.growth),
            first: up(query.shifts[0].size),
            others: extras.iter().map(|&(group, _)| up(query.shifts[group].size)).collect(),
            last: if last > 0 { up(query.shifts[last].size) } else { 0.0 },
        };
        let last = match (query.metric, &scalars.hubs) {
            (VectorMetric::Euclidean, _) => Last::Distance(distance()),
            (_, (hubness, _)) if hubness.is_empty() => Last::None,
            (_, (hubness, errors)) => Last::Hub(Hub { hubness, errors, slack: up(slack) }),
        };
        Terms { alpha: &scalars.alpha, reach: &scalars.reach, extras, last, norm_error: scalars.norm_error }
    }

    /// How many terms a row has beyond `S_0` and its reach.
    pub(super) fn further(&self) -> usize {
        self.extras.len() + usize::from(!matches!(self.last, Last::None))
    }

    /// The test of `query`; `None` where its constants leave the range of `f32`.
    pub(super) fn test(&self, query: &ProcessedQuery, dot_error: f64) -> Option<Test> {
        let (first, last) = (query.shifts[0], query.shifts.len() - 1);
        let slack = roundings(self.further()) * ROUND;
        let tolerance = query.tolerance * query.norm;
        let widened = |product: f64, size: f64| (product + product.abs() * slack + tolerance * size) / query.scale;
        let shift = widened(first.product, first.size);
        let error = query.folded_norm * (dot_error * 1.01 + slack + query.row_error) + tolerance * query.growth;
        let error = error / query.scale;
        let mut factors: Vec<f64> = self
            .extras
            .iter()
            .map(|&(group, _)| widened(query.shifts[group].product, query.shifts[group].size))
            .collect();
        let mut line = Line { shift: 0.0, error: (error as f32).next_up(), offset: 0.0, scale: query.scale };
        if last > 0 {
            line.offset = query.shifts[last].product + tolerance * query.shifts[last].size;
        }
        if !matches!(self.last, Last::None) {
            factors.push(-1.0 / query.scale);
        }
        if !matches!(self.last, Last::Distance(_)) {
            line.offset += self.norm_error * query.norm * 1.01;
        } else {
            line.offset = 2.0 * line.offset - query.norm * query.norm * (1.0 - 8.0 * query.tolerance);
            line.scale *= 2.0;
        }
        // Times a scalar of at most 1e30 nothing overflows to the wrong side.
        let ordinary = |x: f64| x.abs() < 1e6 && (x == 0.0 || x.abs() > 1e-25);
        line.shift = (shift as f32).next_up();
        let factors_fit = factors.iter().all(|&factor| factor.abs() < 1e7);
        let factors =
            factors.iter().map(|&factor| if factor < 0.0 { factor as f32 } else { (factor as f32).next_up() });
        (ordinary(shift) && error < 1e6 && factors_fit).then(|| Test { line, factors: factors.collect() })
    }

    /// `S_0` and the reach of `row`; its further terms in `out`.
    #[inline]
    pub(super) fn of_row(&self, row: usize, out: &mut Vec<f32>) -> (f32, f32) {
        let (alpha, reach) = (if self.alpha.is_empty() { 1.0 } else { self.alpha[row] }, self.reach[row]);
        if self.further() > 0 {
            out.clear();
            out.extend(self.extras.iter().map(|(_, values)| values[row]));
            match &self.last {
                Last::None => {}
                Last::Distance(distance) => {
                    let extras: f32 = out.iter().zip(&distance.others).map(|(scalar, size)| scalar * size).sum();
                    out.push(distance.of(distance.squares[row], alpha, reach, extras));
                }
                Last::Hub(hub) => out.push(hub.of(hub.hubness[row], hub.errors[row])),
            }
        }
        (alpha, reach)
    }

    /// The terms of the consecutive rows from `first` on; `bonus` is room for those of `test`.
    pub(super) fn of_run<'b>(
        &'b self,
        test: &Test,
        first: usize,
        count: usize,
        bonus: &'b mut Vec<f32>,
    ) -> RowTerms<'b> {
        let run = first..first + count;
        bonus.clear();
        if self.further() > 0 {
            bonus.resize(count, 0.0);
            simd::widely(Further { terms: self, test, run: run.clone(), bonus });
        }
        RowTerms { alpha: self.alpha.get(run.clone()).unwrap_or(&[]), reach: &self.reach[run], bonus }
    }
}

/// The further terms of a run of rows, times their factors; `bonus` begins with zeros.
struct Further<'a> {
    terms: &'a Terms<'a>,
    test: &'a Test,
    run: Range<usize>,
    bonus: &'a mut [f32],
}

impl Wide for Further<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Further { terms, test, run, bonus } = self;
        let factor = test.factors.last().copied().unwrap_or_default();
        match &terms.last {
            Last::None => {}
            Last::Hub(hub) => {
                let values = hub.hubness[run.clone()].iter().zip(&hub.errors[run.clone()]);
                bonus.iter_mut().zip(values).for_each(|(bonus, (&r, &error))| *bonus = factor * hub.of(r, error));
            }
            Last::Distance(distance) => {
                // First what the extras add to the size, then the term itself.
                for ((_, values), size) in terms.extras.iter().zip(&distance.others) {
                    bonus.iter_mut().zip(&values[run.clone()]).for_each(|(bonus, scalar)| *bonus += scalar * size);
                }
                let rows = distance.squares[run.clone()].iter().zip(&terms.reach[run.clone()]);
                let rows = bonus.iter_mut().zip(rows);
                if terms.alpha.is_empty() {
                    rows.for_each(|(bonus, (&square, &reach))| {
                        *bonus = factor * distance.of(square, 1.0, reach, *bonus);
                    });
                } else {
                    rows.zip(&terms.alpha[run.clone()]).for_each(|((bonus, (&square, &reach)), &alpha)| {
                        *bonus = factor * distance.of(square, alpha, reach, *bonus);
                    });
                }
            }
        }
        for ((_, values), factor) in terms.extras.iter().zip(&test.factors) {
            bonus.iter_mut().zip(&values[run.clone()]).for_each(|(bonus, scalar)| *bonus += scalar * factor);
        }
    }
}

impl Hub<'_> {
    /// `r / 2` less its error, rounded down.
    #[inline(always)]
    fn of(&self, r: f32, error: f32) -> f32 {
        0.5 * (r - error) - self.slack * (r.abs() + error)
    }
}

impl Distance<'_> {
    /// `|y|^2 / 2 - 4 t size(y)^2`, rounded down.
    #[inline(always)]
    fn of(&self, square: f32, alpha: f32, reach: f32, extras: f32) -> f32 {
        let size = reach * self.growth + alpha * self.first + extras + self.last;
        square * self.half - self.tolerance * size * size
    }
}

/// Roundings to allow for with `further` terms, those of stored scalars included.
fn roundings(further: usize) -> f64 {
    (10 + 2 * further) as f64
}
