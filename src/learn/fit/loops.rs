//! The loops over a batch that are no products of matrices, written so that the compiler can use wide registers.
//!
//! Owns the exponential, the sums beside it, lengths, slopes and the step of Adam. Each adds up in a fixed order of
//! lanes, so its bits are the same in narrow and in wide registers. What the numbers mean is decided above.

use crate::linalg::simd::{Wide, widely};

/// Lanes that sums run in, which are added up in a fixed order.
const LANES: usize = 8;
/// A row at most this long has no direction.
const SHORTEST: f32 = 1e-12;

/// An inner product.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    widely(Dot(a, b))
}

/// Divides a row by its length, and answers with that; a row without direction becomes zeros.
pub(super) fn unit(row: &mut [f32]) -> f32 {
    widely(Unit(row))
}

/// From the gradient by a unit row to that by the row of length `norm` that it was made of.
pub(super) fn tangent(slope: &mut [f32], unit: &[f32], norm: f32) {
    widely(Tangent { slope, unit, norm });
}

/// Turns cosines into `exp((cosine - 1) / tau)`, or 0 where masked; adds them to `columns` and answers with their sum.
pub(super) fn exponentials(cosines: &mut [f32], masked: &[bool], columns: &mut [f64], tau: f32) -> f64 {
    widely(Exponentials { cosines, masked, columns, by_tau: 1.0 / tau })
}

/// Multiplies each cell with `(by_row + its column's) scale`.
pub(super) fn weights(cells: &mut [f32], by_row: f32, by_column: &[f32], scale: f32) {
    widely(Weights { cells, by_row, by_column, scale });
}

/// Adam's moments (0.9 and 0.999) and his step.
pub(super) fn descent(matrix: &mut [f32], gradient: &[f32], moments: (&mut [f32], &mut [f32]), rate: f32, root: f32) {
    widely(Descent { matrix, gradient, moments, rate, root });
}

struct Dot<'a>(&'a [f32], &'a [f32]);

impl Wide for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        sum_of_products(self.0, self.1)
    }
}

#[inline(always)]
fn sum_of_products(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole, rest) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in whole.0.iter().zip(rest.0) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    let tail: f32 = whole.1.iter().zip(rest.1).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

struct Unit<'a>(&'a mut [f32]);

impl Wide for Unit<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let norm = sum_of_products(self.0, self.0).sqrt();
        let factor = if norm > SHORTEST { 1.0 / norm } else { 0.0 };
        self.0.iter_mut().for_each(|x| *x *= factor);
        norm
    }
}

struct Tangent<'a> {
    slope: &'a mut [f32],
    unit: &'a [f32],
    norm: f32,
}

impl Wide for Tangent<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let along = sum_of_products(self.slope, self.unit);
        let factor = if self.norm > SHORTEST { 1.0 / self.norm } else { 0.0 };
        self.slope.iter_mut().zip(self.unit).for_each(|(slope, unit)| *slope = (*slope - unit * along) * factor);
    }
}

struct Exponentials<'a> {
    cosines: &'a mut [f32],
    masked: &'a [bool],
    columns: &'a mut [f64],
    by_tau: f32,
}

impl Wide for Exponentials<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Exponentials { cosines, masked, columns, by_tau } = self;
        for ((cell, masked), column) in cosines.iter_mut().zip(masked).zip(columns) {
            let found = exp((*cell - 1.0) * by_tau);
            *cell = if *masked { 0.0 } else { found };
            *column += f64::from(*cell);
        }
        let mut lanes = [0.0_f64; LANES];
        let (whole, rest) = cosines.as_chunks::<LANES>();
        for cells in whole {
            lanes.iter_mut().zip(cells).for_each(|(lane, cell)| *lane += f64::from(*cell));
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|cell| f64::from(*cell)).sum::<f64>()
    }
}

/// `e^x` to within 2e-7 of it, for `x` from -87 to 88; 0 to within 2e-38 below that. By powers of two and a polynomial
/// for what is left (Moshier's Cephes, `expf`).
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a small number it leaves the nearest whole one in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let mut sum = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        sum = sum * rest + coefficient;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    fraction * f32::from_bits(exponent << 23)
}

struct Weights<'a> {
    cells: &'a mut [f32],
    by_row: f32,
    by_column: &'a [f32],
    scale: f32,
}

impl Wide for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Weights { cells, by_row, by_column, scale } = self;
        cells.iter_mut().zip(by_column).for_each(|(cell, by_column)| *cell *= (by_row + by_column) * scale);
    }
}

struct Descent<'a> {
    matrix: &'a mut [f32],
    gradient: &'a [f32],
    moments: (&'a mut [f32], &'a mut [f32]),
    rate: f32,
    root: f32,
}

impl Wide for Descent<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Descent { matrix, gradient, moments: (first, second), rate, root } = self;
        for (((x, g), m), v) in matrix.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *x -= rate * *m / (v.sqrt() * root + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::random::Random;

    fn uniform(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        for step in -8_600..8_800 {
            let x = step as f32 / 100.0;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 2e-7, "{x}: {} {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-200.0) < 2e-38 && exp(-200.0) >= 0.0);
    }

    #[test]
    fn wide_registers_give_the_same_bits() {
        let mut random = Random::of_stream(3, 0);
        for n in [1, 7, 8, 9, 31, 64, 257] {
            let (a, b) = (uniform(&mut random, n), uniform(&mut random, n));
            assert_eq!(dot(&a, &b).to_bits(), Dot(&a, &b).run().to_bits());
            let (mut wide, mut narrow) = (a.clone(), a.clone());
            assert_eq!(unit(&mut wide).to_bits(), Unit(&mut narrow).run().to_bits());
            assert_eq!(wide, narrow);
            let masked: Vec<bool> = (0..n).map(|at| at % 3 == 1).collect();
            let (mut columns, mut others) = (vec![0.5; n], vec![0.5; n]);
            let sum = exponentials(&mut wide, &masked, &mut columns, 0.1);
            let work = Exponentials { cosines: &mut narrow, masked: &masked, columns: &mut others, by_tau: 1.0 / 0.1 };
            assert_eq!(sum.to_bits(), work.run().to_bits());
            assert!(wide == narrow && columns == others);
            assert!(masked.iter().zip(&wide).all(|(masked, cell)| *masked == (*cell == 0.0)));
            let (mut m, mut v, mut m2, mut v2) = (b.clone(), vec![0.1; n], b.clone(), vec![0.1; n]);
            descent(&mut wide, &a, (&mut m, &mut v), 0.01, 1.5);
            let moments = (&mut m2[..], &mut v2[..]);
            Descent { matrix: &mut narrow, gradient: &a, moments, rate: 0.01, root: 1.5 }.run();
            assert!(wide == narrow && m == m2 && v == v2);
        }
    }

    #[test]
    fn what_has_no_direction_becomes_nothing() {
        let mut row = [0.0, 1e-20];
        assert!(unit(&mut row) < 1e-12);
        assert_eq!(row, [0.0; 2]);
        let mut slope = [1.0, 2.0];
        tangent(&mut slope, &row, 0.0);
        assert_eq!(slope, [0.0; 2]);
    }
}
