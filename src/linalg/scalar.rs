//! Reference kernels in plain Rust: no instruction set is named here.
//!
//! Owns the `f64` kernels that every shown score is made of, and the plain `f32` product that the SIMD kernels are
//! tested against. An `f64` kernel adds in eight lanes and folds them in one fixed order; it never fuses a
//! multiplication with an addition. The compiler may put the lanes into registers of any width, so its result is the
//! same bits everywhere.

#[cfg(test)]
use half::f16;

/// Lanes of the `f64` kernels.
pub(super) const LANES: usize = 8;

/// Adds up lanes in the one order that all `f64` kernels use.
#[inline(always)]
pub(super) fn fold(lanes: [f64; LANES]) -> f64 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Sum over `i < min(len)` of `term(a[i], b[i])`, in lanes.
#[inline(always)]
fn lanes<A: Copy, B: Copy>(a: &[A], b: &[B], term: impl Fn(A, B) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(x, y);
    }
    fold(sums)
}

/// Inner product of two `f64` vectors of equal length.
#[inline(always)]
pub fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    lanes(a, b, |x, y| x * y)
}

/// Inner product of an `f32` vector, widened, and an `f64` vector of equal length.
#[inline(always)]
pub fn dot_mixed(a: &[f32], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    lanes(a, b, |x, y| f64::from(x) * y)
}

/// `out = M v`: [`dot_mixed`] of each row of a row-major matrix.
#[inline(always)]
pub fn products_mixed(matrix: &[f32], v: &[f64], out: &mut Vec<f64>) {
    out.extend(matrix.chunks_exact(v.len().max(1)).map(|row| dot_mixed(row, v)));
}

/// [`products_mixed`] of `V` vectors of one length: each element of the matrix is read and widened once for all of
/// them. The bits are those of each vector alone.
#[inline(always)]
pub fn products_together<const V: usize>(matrix: &[f32], vectors: [&[f64]; V], mut out: [&mut Vec<f64>; V]) {
    let length = vectors.first().map_or(0, |v| v.len());
    let (chunks, rests) = (vectors.map(|v| v.as_chunks::<LANES>().0), vectors.map(|v| v.as_chunks::<LANES>().1));
    // Side by side, the vectors are read from one place, and no test for their lengths is left in the loop.
    let side_by_side: Vec<[[f64; LANES]; V]> = (0..length / LANES).map(|at| chunks.map(|chunks| chunks[at])).collect();
    for row in matrix.chunks_exact(length.max(1)) {
        let (whole, rest) = row.as_chunks::<LANES>();
        let mut sums = [[0.0; LANES]; V];
        for (m, x) in whole.iter().zip(&side_by_side) {
            let m = m.map(f64::from);
            for (sums, x) in sums.iter_mut().zip(x) {
                for lane in 0..LANES {
                    sums[lane] += m[lane] * x[lane];
                }
            }
        }
        for ((mut sums, x), out) in sums.into_iter().zip(&rests).zip(&mut out) {
            sums.iter_mut().zip(rest.iter().zip(*x)).for_each(|(sum, (&m, &x))| *sum += f64::from(m) * x);
            out.push(fold(sums));
        }
    }
}

/// Squared Euclidean distance of two `f64` vectors of equal length.
#[inline(always)]
pub fn squared_distance_f64(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    lanes(a, b, |x, y| (x - y) * (x - y))
}

/// Sum of the squares of `factor a + b`, `a` widened.
#[inline(always)]
pub fn squared_sum(a: &[f32], factor: f64, b: &[f64]) -> f64 {
    lanes(a, b, |x, y| {
        let sum = f64::from(x) * factor + y;
        sum * sum
    })
}

/// Sum of the squares of the elements, widened.
#[inline(always)]
pub fn squared_norm(a: &[f32]) -> f64 {
    lanes(a, a, |x, _| f64::from(x) * f64::from(x))
}

/// Sum of the elements.
#[inline(always)]
pub fn sum_f64(a: &[f64]) -> f64 {
    lanes(a, a, |x, _| x)
}

/// `y += x`, element by element.
#[inline(always)]
pub fn add(y: &mut [f64], x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
}

/// `y += x x`, element by element.
#[inline(always)]
pub fn add_squares(y: &mut [f64], x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x * x);
}

/// `y -= x`, element by element.
#[inline(always)]
pub fn subtract(y: &mut [f64], x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y -= x);
}

/// `y -= x` from each element.
#[inline(always)]
pub fn subtract_number(y: &mut [f64], x: f64) {
    y.iter_mut().for_each(|y| *y -= x);
}

/// `y /= x`, element by element.
#[inline(always)]
pub fn divide(y: &mut [f64], x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y /= x);
}

/// `y /= x`, each element.
#[inline(always)]
pub fn divide_by_number(y: &mut [f64], x: f64) {
    y.iter_mut().for_each(|y| *y /= x);
}

/// `out = row`, widened; both are of one length.
#[inline(always)]
pub fn widen(row: &[f32], out: &mut [f64]) {
    out.iter_mut().zip(row).for_each(|(out, x)| *out = f64::from(*x));
}

/// `y += factor * x`, for an `f32` vector `x`, widened.
#[inline(always)]
pub fn add_scaled(y: &mut [f64], factor: f64, x: &[f32]) {
    debug_assert_eq!(y.len(), x.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y += factor * f64::from(x);
    }
}

/// `sum += (f_0 a + f_2 c) + (f_1 b + f_3 d)`, for four `f32` vectors, widened.
#[inline(always)]
pub fn add_four(sum: &mut [f64], [a, b, c, d]: [&[f32]; 4], factors: [f64; 4]) {
    let scaled = |x: f32, factor: f64| f64::from(x) * factor;
    let rows = a.iter().zip(b).zip(c.iter().zip(d));
    for (sum, ((&a, &b), (&c, &d))) in sum.iter_mut().zip(rows) {
        *sum += (scaled(a, factors[0]) + scaled(c, factors[2])) + (scaled(b, factors[1]) + scaled(d, factors[3]));
    }
}

/// Inner product of two `f32` vectors of equal length, in `f64` and in order: what SIMD is tested against.
#[cfg(test)]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// [`dot_f32`] with 16-bit elements on the right.
#[cfg(test)]
pub fn dot_f16(a: &[f32], b: &[f16]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y.to_f32())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_cover_every_length() {
        for n in 0..40 {
            let a: Vec<f64> = (0..n).map(|i| f64::from(i) + 1.0).collect();
            let b: Vec<f64> = (0..n).map(|i| f64::from(i * i)).collect();
            // Small integers: every order of addition gives the same exact sum.
            let expected: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            assert_eq!(dot_f64(&a, &b), expected);
            let narrow: Vec<f32> = a.iter().map(|&x| x as f32).collect();
            assert_eq!(dot_mixed(&narrow, &b), expected);
            let squares = a.iter().zip(&b).map(|(x, y)| (2.0 * x + y) * (2.0 * x + y)).sum::<f64>();
            assert_eq!(squared_sum(&narrow, 2.0, &b), squares);
            assert_eq!(squared_norm(&narrow), a.iter().map(|x| x * x).sum::<f64>());
            assert_eq!(sum_f64(&b), b.iter().sum::<f64>());
            assert_eq!(squared_distance_f64(&a, &b), a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>());
        }
    }
}
