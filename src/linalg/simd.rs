//! Kernels over vector elements, and the one place where an instruction set is chosen.
//!
//! Owns the dispatch: on x86-64 with AVX2, FMA and F16C (found out at run time) our own lanes; everywhere else
//! simsimd for `f32` rows and portable lanes for `f16` rows. Which kernel runs changes nothing but the speed of what
//! is `f64`, and stays inside [`dot_error`] for what is `f32`.
//!
//! Why not simsimd everywhere: on a quiet two-core EPYC (Zen 3), one thread over 200,000 x 384, our lanes read `f32`
//! rows at 26 GB/s and simsimd at 22 of a possible 27, and `f16` rows at 32 against 16. On a loaded machine the two do
//! not differ. `cargo bench --bench scan` prints both again, beside the bandwidth of the same run.

use super::rows::{RowRef, RowsRef};
use super::scalar;
use half::f16;
use simsimd::SpatialSimilarity;

/// Half the distance between 1 and the next `f32`: the relative error of one rounding.
pub const UNIT_F32: f64 = 1.0 / (1 << 24) as f64;

/// Rounding errors on the longest path from a term to the result in our own lanes, beyond `dimension / 32`: up to
/// three single chunks, the fold of four accumulators of eight lanes (5) and a tail of up to seven elements.
#[cfg(target_arch = "x86_64")]
const LANES_DEPTH: usize = 16;

/// The error of a sum whose terms pass through at most `depth` roundings, relative to the sum of their sizes:
/// `n u / (1 - n u)` (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
fn depth_error(depth: usize) -> f64 {
    let nu = depth as f64 * UNIT_F32;
    nu / (1.0 - nu)
}

/// Bound on `|computed - <w, x>| / (|w| |x|)` for an `f32` product whose terms are added in any order.
pub fn any_order_error(dimension: usize) -> f64 {
    depth_error(dimension + 1)
}

/// Bound on `|computed - <w, x>| / (|w| |x|)` for [`dot_rows`] and [`dot_row`] on this machine.
pub fn dot_error(dimension: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return depth_error(dimension / 32 + LANES_DEPTH);
    }
    any_order_error(dimension)
}

/// `out[i] = <w, row i>` in `f32` for every row; `out` is as long as there are rows.
///
/// # Panics
/// When `w` or `out` has the wrong length.
pub fn dot_rows(w: &[f32], rows: RowsRef<'_>, out: &mut [f32]) {
    assert!(w.len() == rows.dimension() && out.len() == rows.len(), "shapes of a scan");
    match rows {
        RowsRef::F32 { data, stride, .. } => {
            #[cfg(target_arch = "x86_64")]
            if x86::available() {
                return x86::dot_rows_f32(w, data, stride, out);
            }
            for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
                *out = fallback_f32(w, &row[..w.len()]);
            }
        }
        RowsRef::F16 { data, stride, .. } => {
            #[cfg(target_arch = "x86_64")]
            if x86::available() {
                return x86::dot_rows_f16(w, data, stride, out);
            }
            for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
                *out = fallback_f16(w, &row[..w.len()]);
            }
        }
    }
}

/// `<w, row>` in `f32`.
///
/// # Panics
/// When `w` has another length than the row.
pub fn dot_row(w: &[f32], row: RowRef<'_>) -> f32 {
    let mut out = [0.0];
    let stride = w.len();
    match row {
        RowRef::F32(data) => dot_rows(w, RowsRef::F32 { data, stride, dimension: data.len() }, &mut out),
        RowRef::F16(data) => dot_rows(w, RowsRef::F16 { data, stride, dimension: data.len() }, &mut out),
    }
    out[0]
}

/// Inner product in `f64`; the bits of [`scalar::dot_f64`].
pub fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::dot_f64(a, b);
    }
    scalar::dot_f64(a, b)
}

/// Inner product of an `f32` and an `f64` vector in `f64`; the bits of [`scalar::dot_mixed`].
pub fn dot_mixed(a: &[f32], b: &[f64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::dot_mixed(a, b);
    }
    scalar::dot_mixed(a, b)
}

/// Squared distance in `f64`; the bits of [`scalar::squared_distance_f64`].
pub fn squared_distance_f64(a: &[f64], b: &[f64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::squared_distance_f64(a, b);
    }
    scalar::squared_distance_f64(a, b)
}

/// Adds four `f32` vectors to a sum in `f64`; the bits of [`scalar::add_four`].
pub fn add_four(sum: &mut [f64], rows: [&[f32]; 4]) {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::add_four(sum, rows);
    }
    scalar::add_four(sum, rows);
}

/// `out[i]` = row elements widened to `f32`; lengths are equal.
pub fn widen_f16(row: &[f16], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::widen_f16(row, out);
    }
    for (out, x) in out.iter_mut().zip(row) {
        *out = x.to_f32();
    }
}

/// A quick test whether a product can belong to a row that reaches a threshold, in `f32`; see [`reaching`].
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

/// Appends the positions whose `alpha * (product + shift) + reach * error` is at least the threshold (as `line`
/// converts it). An empty `alpha` stands for ones. All slices have the length of `products`.
pub fn reaching(line: &Line, threshold: f64, products: &[f32], alpha: &[f32], reach: &[f32], out: &mut Vec<u32>) {
    // Rounded down, so that no row is lost to the conversion.
    let threshold = (((threshold - line.offset) / line.scale) as f32).next_down();
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::reaching(line, threshold, products, alpha, reach, out);
    }
    scalar_reaching(line, threshold, products, alpha, reach, out);
}

/// Positions looked at together: nearly always none of them reaches the threshold.
const TOGETHER: usize = 32;

#[inline(always)]
fn scalar_reaching(line: &Line, threshold: f32, products: &[f32], alpha: &[f32], reach: &[f32], out: &mut Vec<u32>) {
    let Line { shift, error, .. } = *line;
    for (chunk, products) in products.chunks(TOGETHER).enumerate() {
        let start = chunk * TOGETHER;
        let reach = &reach[start..start + products.len()];
        let alpha = if alpha.is_empty() { alpha } else { &alpha[start..start + products.len()] };
        let upper = |i: usize| {
            let factor = if alpha.is_empty() { 1.0 } else { alpha[i] };
            factor * (products[i] + shift) + reach[i] * error
        };
        let any = (0..products.len()).fold(false, |any, i| any | (upper(i) >= threshold));
        if any {
            out.extend((0..products.len()).filter(|&i| upper(i) >= threshold).map(|i| (start + i) as u32));
        }
    }
}

/// The product of one `f32` row where our own lanes do not run. simsimd's `dot` is the inner product itself (its
/// `cos` and `l2sq` would be distances) and `None` only for unequal lengths, which the callers have checked.
fn fallback_f32(w: &[f32], row: &[f32]) -> f32 {
    <f32 as SpatialSimilarity>::dot(w, row).unwrap_or_default() as f32
}

/// The product of one `f16` row where our own lanes do not run: simsimd's `f16` was measured at half of our speed.
fn fallback_f16(w: &[f32], row: &[f16]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (w, x) in w.chunks(8).zip(row.chunks(8)) {
        for (lane, (w, x)) in lanes.iter_mut().zip(w.iter().zip(x)) {
            *lane += w * x.to_f32();
        }
    }
    lanes.iter().sum()
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics and run-time dispatch; each site says why it is sound")]
mod x86 {
    use super::{Line, scalar};
    use half::f16;
    use std::arch::x86_64::{
        __m128i, __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps,
        _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };

    /// Whether this machine has every instruction used below. The answer is cached by the standard library.
    #[inline]
    pub(super) fn available() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
    }

    /// A wrapper that is sound to call because callers ask [`available`] first, and checks it in debug builds.
    macro_rules! dispatched {
        ($($(#[$doc:meta])* $name:ident = $inner:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
            $($(#[$doc])*
            #[inline]
            pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
                debug_assert!(available());
                // SAFETY: `dot_rows` and the other callers in the parent module, the only ones that can name this
                // private module, call this only after `available()` has said that the instructions exist.
                unsafe { $inner($($arg),*) }
            })*
        };
    }

    dispatched! {
        dot_rows_f32 = dot_rows_f32_avx2(w: &[f32], data: &[f32], stride: usize, out: &mut [f32]);
        dot_rows_f16 = dot_rows_f16_avx2(w: &[f32], data: &[f16], stride: usize, out: &mut [f32]);
        dot_f64 = dot_f64_avx2(a: &[f64], b: &[f64]) -> f64;
        dot_mixed = dot_mixed_avx2(a: &[f32], b: &[f64]) -> f64;
        squared_distance_f64 = squared_distance_f64_avx2(a: &[f64], b: &[f64]) -> f64;
        add_four = add_four_avx2(sum: &mut [f64], rows: [&[f32]; 4]);
        widen_f16 = widen_f16_avx2(row: &[f16], out: &mut [f32]);
        reaching = reaching_avx2(
            line: &Line, threshold: f32, products: &[f32], alpha: &[f32], reach: &[f32], out: &mut Vec<u32>
        );
    }

    // The same source as the portable kernels, compiled for wider registers. FMA is left off on purpose: nothing may
    // be fused, so the bits stay those of the portable kernels.
    #[target_feature(enable = "avx2")]
    fn dot_f64_avx2(a: &[f64], b: &[f64]) -> f64 {
        scalar::dot_f64(a, b)
    }

    #[target_feature(enable = "avx2")]
    fn dot_mixed_avx2(a: &[f32], b: &[f64]) -> f64 {
        scalar::dot_mixed(a, b)
    }

    #[target_feature(enable = "avx2")]
    fn squared_distance_f64_avx2(a: &[f64], b: &[f64]) -> f64 {
        scalar::squared_distance_f64(a, b)
    }

    #[target_feature(enable = "avx2")]
    fn add_four_avx2(sum: &mut [f64], rows: [&[f32]; 4]) {
        scalar::add_four(sum, rows);
    }

    #[target_feature(enable = "avx2")]
    fn reaching_avx2(line: &Line, threshold: f32, products: &[f32], alpha: &[f32], reach: &[f32], out: &mut Vec<u32>) {
        super::scalar_reaching(line, threshold, products, alpha, reach, out);
    }

    #[target_feature(enable = "avx2,fma")]
    fn dot_rows_f32_avx2(w: &[f32], data: &[f32], stride: usize, out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
            *out = dot_f32_avx2(w, &row[..w.len()]);
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn dot_rows_f16_avx2(w: &[f32], data: &[f16], stride: usize, out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
            *out = dot_f16_avx2(w, &row[..w.len()]);
        }
    }

    #[target_feature(enable = "avx2")]
    fn load_f32(chunk: &[f32]) -> __m256 {
        assert!(chunk.len() >= 8);
        // SAFETY: the slice has at least eight elements, and an unaligned load asks for no alignment.
        unsafe { _mm256_loadu_ps(chunk.as_ptr()) }
    }

    #[target_feature(enable = "avx2,f16c")]
    fn load_f16(chunk: &[f16]) -> __m256 {
        assert!(chunk.len() >= 8);
        // SAFETY: the slice has at least eight elements of 16 bits, and an unaligned load asks for no alignment.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>()) })
    }

    #[target_feature(enable = "avx2")]
    fn horizontal_sum(sums: [__m256; 4]) -> f32 {
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[2]), _mm256_add_ps(sums[1], sums[3]));
        let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    /// Writes the two kernels, which differ in how eight elements of a row are loaded and how one is widened.
    macro_rules! dot_kernel {
        ($name:ident, $features:literal, $element:ty, $load:ident, $widen:expr) => {
            #[target_feature(enable = $features)]
            fn $name(w: &[f32], row: &[$element]) -> f32 {
                let mut sums = [_mm256_setzero_ps(); 4];
                let (w_chunks, row_chunks) = (w.chunks_exact(32), row.chunks_exact(32));
                let (w_rest, row_rest) = (w_chunks.remainder(), row_chunks.remainder());
                for (w, x) in w_chunks.zip(row_chunks) {
                    sums[0] = _mm256_fmadd_ps(load_f32(&w[0..8]), $load(&x[0..8]), sums[0]);
                    sums[1] = _mm256_fmadd_ps(load_f32(&w[8..16]), $load(&x[8..16]), sums[1]);
                    sums[2] = _mm256_fmadd_ps(load_f32(&w[16..24]), $load(&x[16..24]), sums[2]);
                    sums[3] = _mm256_fmadd_ps(load_f32(&w[24..32]), $load(&x[24..32]), sums[3]);
                }
                let (w_chunks, row_chunks) = (w_rest.chunks_exact(8), row_rest.chunks_exact(8));
                let (w_rest, row_rest) = (w_chunks.remainder(), row_chunks.remainder());
                for (w, x) in w_chunks.zip(row_chunks) {
                    sums[0] = _mm256_fmadd_ps(load_f32(w), $load(x), sums[0]);
                }
                let tail = w_rest.iter().zip(row_rest).fold(0.0f32, |sum, (w, x)| $widen(*x).mul_add(*w, sum));
                horizontal_sum(sums) + tail
            }
        };
    }

    dot_kernel!(dot_f32_avx2, "avx2,fma", f32, load_f32, |x: f32| x);
    dot_kernel!(dot_f16_avx2, "avx2,fma,f16c", f16, load_f16, |x: f16| x.to_f32());

    #[target_feature(enable = "avx2,f16c")]
    fn widen_f16_avx2(row: &[f16], out: &mut [f32]) {
        let length = row.len().min(out.len());
        let whole = length / 8 * 8;
        for (x, out) in row[..whole].chunks_exact(8).zip(out[..whole].chunks_exact_mut(8)) {
            // SAFETY: `out` is a chunk of exactly eight elements, and an unaligned store asks for no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), load_f16(x)) }
        }
        for (x, out) in row[whole..length].iter().zip(&mut out[whole..length]) {
            *out = x.to_f32();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that a failure names its dimension and nothing else is needed to see it again.
    fn values(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state as f32 / u32::MAX as f32 - 0.5) * if state.is_multiple_of(7) { 100.0 } else { 1.0 }
        };
        (0..n).map(|_| next()).collect()
    }

    fn size(a: &[f32]) -> f64 {
        scalar::dot_f32(a, a).sqrt()
    }

    #[test]
    fn f32_kernels_stay_within_their_stated_error() {
        for d in 1..=257usize {
            let w = values(d, d as u32);
            let stride = d + d % 5;
            let data = values(stride * 3 - (stride - d), 1000 + d as u32);
            let rows = RowsRef::F32 { data: &data, stride, dimension: d };
            let mut out = [0.0; 3];
            dot_rows(&w, rows, &mut out);
            for (i, &dot) in out.iter().enumerate() {
                let row = &data[i * stride..i * stride + d];
                let (exact, scale) = (scalar::dot_f32(&w, row), size(&w) * size(row));
                assert!((f64::from(dot) - exact).abs() <= dot_error(d) * scale, "dimension {d} row {i}");
                assert!((f64::from(fallback_f32(&w, row)) - exact).abs() <= any_order_error(d) * scale, "simsimd {d}");
                assert_eq!(dot, dot_row(&w, rows.row(i)), "one row or many are the same");
            }
        }
    }

    #[test]
    fn f16_kernels_stay_within_their_stated_error() {
        for d in 1..=257usize {
            let w = values(d, d as u32);
            let stride = d + d % 3;
            let data: Vec<f16> = values(stride * 2, 7 + d as u32).into_iter().map(f16::from_f32).collect();
            let rows = RowsRef::F16 { data: &data, stride, dimension: d };
            let mut out = [0.0; 2];
            dot_rows(&w, rows, &mut out);
            for (i, &dot) in out.iter().enumerate() {
                let row = &data[i * stride..i * stride + d];
                let mut wide = vec![0.0; d];
                widen_f16(row, &mut wide);
                assert!(wide.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_f32().to_bits()), "widening {d}");
                let (exact, scale) = (scalar::dot_f16(&w, row), size(&w) * size(&wide));
                assert!((f64::from(dot) - exact).abs() <= dot_error(d) * scale, "dimension {d} row {i}");
                assert!((f64::from(fallback_f16(&w, row)) - exact).abs() <= any_order_error(d) * scale, "{d}");
            }
        }
    }

    #[test]
    fn f64_kernels_are_the_portable_bits() {
        for d in 0..=257usize {
            let narrow = values(d, 3 + d as u32);
            let a: Vec<f64> = narrow.iter().map(|&x| f64::from(x) * 1.1).collect();
            let b: Vec<f64> = values(d, 90 + d as u32).iter().map(|&x| f64::from(x) / 3.0).collect();
            assert_eq!(dot_f64(&a, &b).to_bits(), scalar::dot_f64(&a, &b).to_bits());
            assert_eq!(dot_mixed(&narrow, &b).to_bits(), scalar::dot_mixed(&narrow, &b).to_bits());
            let (fast, plain) = (squared_distance_f64(&a, &b), scalar::squared_distance_f64(&a, &b));
            assert_eq!(fast.to_bits(), plain.to_bits());
        }
    }

    /// What simsimd's functions mean: its successor swapped some of them.
    #[test]
    fn simsimd_dot_is_a_product_and_its_others_are_distances() {
        let (a, b) = ([1.0f32, 2.0, 3.0], [4.0f32, 5.0, 6.0]);
        assert_eq!(<f32 as SpatialSimilarity>::dot(&a, &b), Some(32.0));
        let cos = <f32 as SpatialSimilarity>::cos(&a, &a).unwrap();
        assert!(cos.abs() < 1e-6, "cos is one minus the cosine");
        assert_eq!(<f32 as SpatialSimilarity>::l2sq(&a, &b), Some(27.0));
        assert_eq!(<f32 as SpatialSimilarity>::dot(&a, &b[..2]), None);
    }
}
