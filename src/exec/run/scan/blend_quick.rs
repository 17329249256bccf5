//! The quick test of a blend: what the weighted sum of several lenses is at most, in a few operations for each row.
//!
//! Owns [`QuickSum`]. The test of one lens (`quick`) says that a record whose score is `s` satisfies
//!
//! ```text
//! scale (S_0 (p + h_0) + r e + ... ) + offset  >=  s
//! ```
//!
//! for what is computed in `f32` inside of the brackets. A positive weight times that bounds `w s`; for a negative one
//! the test is that of the query turned around, whose score is `-s`. The sum over the lenses is taken in `f64`, where
//! it rounds by less than [`ROUNDING`] of the sizes of its terms, which is added. What the shown sum may be off by, `8
//! (n + 1) 2^-53` of the sizes of the scores (`blend`), is a widened tolerance of each test, since that is times the
//! same sizes.

use super::quick::{Terms, Test};
use super::weighted::WeightedLens;
use crate::lens::{ProcessedQuery, VectorMetric};
use crate::linalg::simd::{self, Line, RowTerms, Wide};

/// Relative error of a sum of at most a few dozen terms in `f64`, and much to spare.
const ROUNDING: f64 = 1e-13;

/// The tests of the lenses that are over the same rows.
pub(super) struct QuickSum<'a> {
    lenses: Vec<LensTest<'a>>,
    /// The sum of what does not depend on the row.
    constant: f64,
}

struct LensTest<'a> {
    terms: Terms<'a>,
    test: Test,
    /// Of the weight.
    sign: f32,
    /// The size of the weight, times the scale.
    factor: f64,
}

impl<'a> QuickSum<'a> {
    /// Of `parts`, out of `count` lenses of the whole blend; `None` where one of them has no such test.
    pub(super) fn new(parts: &[WeightedLens<'a>], count: usize, dot_error: f64) -> Option<Self> {
        let mut sum = QuickSum { lenses: Vec::with_capacity(parts.len()), constant: 0.0 };
        for part in parts {
            let negative = part.weight < 0.0;
            // A correction for hubs is of one sign, and only an upper end of the other is known.
            if negative && (part.prepared.chain().csls().is_some() || part.query.metric == VectorMetric::Euclidean) {
                return None;
            }
            let shown = if count == 1 { 0.0 } else { (8 * (count + 1)) as f64 * (f64::EPSILON / 2.0) };
            let query = turned(part.query, negative, shown);
            let terms = Terms::new(part.prepared, &query);
            let test = terms.test(&query, dot_error)?;
            let size = part.weight.abs();
            // Terms that vanish below the smallest `f32` are made up for.
            let vanished = test.line.scale * 32.0 * f64::from(f32::from_bits(1));
            let constant = size * (test.line.offset + vanished);
            sum.constant += constant + constant.abs() * ROUNDING + size * f64::MIN_POSITIVE;
            let factor = size * test.line.scale;
            sum.lenses.push(LensTest { terms, test, sign: if negative { -1.0 } else { 1.0 }, factor });
        }
        sum.constant.is_finite().then_some(sum)
    }

    /// Adds to `upper` what the sum of the lenses is at most, for the rows from `first` on; `products` has a run for
    /// each lens, `bonus` is room to work in.
    pub(super) fn add(&self, products: &[f32], first: usize, upper: &mut [f64], bonus: &mut Vec<f32>) {
        upper.iter_mut().for_each(|upper| *upper += self.constant + (self.constant + *upper).abs() * ROUNDING);
        for (lens, products) in self.lenses.iter().zip(products.chunks_exact(upper.len().max(1))) {
            let terms = lens.terms.of_run(&lens.test, first, upper.len(), bonus);
            simd::widely(Add { lens, line: &lens.test.line, products, terms, upper });
        }
    }
}

/// `query`, turned around where it is asked for the opposite, its tolerance widened.
fn turned(query: &ProcessedQuery, negative: bool, tolerance: f64) -> ProcessedQuery {
    let mut turned = query.clone();
    turned.tolerance += tolerance;
    if negative {
        turned.shifts.iter_mut().for_each(|shift| shift.product = -shift.product);
    }
    turned
}

/// Adds one lens's part to each row.
struct Add<'a> {
    lens: &'a LensTest<'a>,
    line: &'a Line,
    products: &'a [f32],
    terms: RowTerms<'a>,
    upper: &'a mut [f64],
}

impl Wide for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Add { lens, line, products, terms, upper } = self;
        let RowTerms { alpha, reach, bonus } = terms;
        let part = |product: f32, alpha: f32, reach: f32, bonus: f32| {
            let bound = alpha * (lens.sign * product + line.shift) + reach * line.error + bonus;
            let bound = f64::from(bound) * lens.factor;
            bound + bound.abs() * ROUNDING
        };
        let rows = upper.iter_mut().zip(products).zip(reach);
        match (alpha.is_empty(), bonus.is_empty()) {
            (true, true) => rows.for_each(|((upper, &p), &r)| *upper += part(p, 1.0, r, 0.0)),
            (true, false) => rows.zip(bonus).for_each(|(((upper, &p), &r), &b)| *upper += part(p, 1.0, r, b)),
            (false, true) => rows.zip(alpha).for_each(|(((upper, &p), &r), &a)| *upper += part(p, a, r, 0.0)),
            (false, false) => {
                let rows = rows.zip(alpha.iter().zip(bonus));
                rows.for_each(|(((upper, &p), &r), (&a, &b))| *upper += part(p, a, r, b));
            }
        }
    }
}
