//! The quick test: can a product belong to a row that reaches a threshold? In `f32`, many rows or many queries at once.
//!
//! Owns the test's numbers and its portable form; `x86` compiles the same source for wider registers. It
//! knows no lens: what the numbers must be so that no row is lost is worked out where they are made.

use super::panel::LANES;

/// A quick test in `f32` whether a product can belong to a row that reaches a threshold; see
/// [`reaching`](super::reaching).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Added to each product.
    pub shift: f32,
    /// Times the reach of a row: more than the error of everything.
    pub error: f32,
    /// What the threshold is lowered by before it is compared.
    pub offset: f64,
    /// What the threshold is then divided by.
    pub scale: f64,
}

impl Line {
    /// The threshold in the units of products, rounded down so that no row is lost to the conversion, nor to terms
    /// that vanish below the smallest `f32`.
    pub fn threshold(&self, threshold: f64) -> f32 {
        (((threshold - self.offset) / self.scale) as f32).next_down() - 16.0 * f32::from_bits(1)
    }
}

/// What [`reaching`](super::reaching) takes of each row beside its product.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowTerms<'a> {
    /// Times the product.
    pub alpha: &'a [f32],
    /// Times the line's error.
    pub reach: &'a [f32],
    /// Added.
    pub bonus: &'a [f32],
}

/// [`reaching`](super::reaching) in plain Rust, for the rows from `first` on.
#[inline(always)]
pub(super) fn scalar_reaching(
    line: &Line,
    threshold: f32,
    products: &[f32],
    terms: RowTerms<'_>,
    first: usize,
    out: &mut Vec<u32>,
) {
    for (i, product) in products.iter().enumerate().skip(first) {
        // Slices that are empty stay so.
        let factor = terms.alpha.get(i).copied().unwrap_or(1.0);
        let bonus = terms.bonus.get(i).copied().unwrap_or(0.0);
        let upper = factor * (product + line.shift) + terms.reach[i] * line.error + bonus;
        // What is not a number is not below anything.
        let below = upper < threshold;
        if !below {
            out.push(i as u32);
        }
    }
}

/// [`Line`]s side by side, with the thresholds they are asked about.
#[derive(Debug, Clone)]
pub struct Lines {
    shift: [f32; LANES],
    error: [f32; LANES],
    threshold: [f32; LANES],
    /// What each further term of a row is multiplied by.
    factors: Vec<[f32; LANES]>,
}

impl Lines {
    /// Lines that nothing reaches, for rows with `terms` further terms.
    pub fn new(terms: usize) -> Self {
        let zeros = [0.0; LANES];
        Lines { shift: zeros, error: zeros, threshold: [f32::INFINITY; LANES], factors: vec![zeros; terms] }
    }

    /// Puts `line` into `lane`; `factors` belong to the further terms.
    pub fn set(&mut self, lane: usize, line: &Line, factors: &[f32]) {
        self.shift[lane] = line.shift;
        self.error[lane] = line.error;
        self.factors.iter_mut().zip(factors).for_each(|(lanes, &factor)| lanes[lane] = factor);
    }

    /// The threshold of `lane`, in the units of products (see [`Line::threshold`]).
    pub fn raise(&mut self, lane: usize, threshold: f32) {
        self.threshold[lane] = threshold;
    }

    /// [`Lines::reached`] in plain Rust.
    #[inline(always)]
    pub(super) fn scalar_reached(&self, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64 {
        let mut upper = [0.0f32; LANES];
        for (q, (upper, product)) in upper.iter_mut().zip(products).enumerate() {
            *upper = alpha * (product + self.shift[q]) + reach * self.error[q];
        }
        for (term, factors) in terms.iter().zip(&self.factors) {
            upper.iter_mut().zip(factors).for_each(|(upper, factor)| *upper += term * factor);
        }
        let all = upper.iter().zip(&self.threshold).fold(true, |all, (upper, threshold)| all & (upper < threshold));
        if all {
            return 0;
        }
        // What is not a number may be anything, and reaches.
        let reaches = |upper: &f32, threshold: &f32| upper >= threshold || upper.is_nan() || threshold.is_nan();
        let bit = |(q, (upper, threshold)): (usize, (&f32, &f32))| u64::from(reaches(upper, threshold)) << q;
        upper.iter().zip(&self.threshold).enumerate().map(bit).sum()
    }
}
