//! Kernels over vector elements, and the one place where an instruction set is chosen.
//!
//! Owns the dispatch: on x86-64 with AVX2, FMA and F16C (found out at run time) our own lanes; everywhere else
//! simsimd for `f32` rows and portable lanes for `f16` rows. Which kernel runs changes nothing but the speed of what
//! is `f64`, and stays inside [`dot_error`] for what is `f32`.
//!
//! Why not simsimd everywhere: on a quiet two-core EPYC (Zen 3), one thread over 200,000 x 384, our lanes read `f32`
//! rows at 26 GB/s and simsimd at 22 of a possible 27, and `f16` rows at 32 against 16. On a loaded machine the two do
//! not differ. `cargo bench --bench scan` prints both again, beside the bandwidth of the same run.

use super::line::scalar_reaching;
pub use super::line::{Line, Lines, RowTerms};
#[cfg(target_arch = "x86_64")]
use super::panel::RUN;
pub use super::panel::{GROUP_ROWS, GroupProducts, LANES, Panel};
use super::rows::{RowRef, RowsRef};
use super::scalar;
pub use super::wide::{
    add, add_four, add_scaled, add_squares, divide, divide_by_number, dot_f64, squared_distance_f64, squared_norm,
    subtract, subtract_number, sum_f64, widen,
};
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

/// `out[i] = <w, rows[i]>` in `f32`, as [`dot_rows`] computes it, for rows that lie anywhere.
///
/// # Panics
/// When `out` or a row has the wrong length.
pub fn dot_listed(w: &[f32], rows: &[RowRef<'_>], out: &mut [f32]) {
    assert!(out.len() == rows.len(), "shapes of a scan");
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::dot_listed(w, rows, out);
    }
    for (out, &row) in out.iter_mut().zip(rows) {
        *out = dot_row(w, row);
    }
}

/// Asks for elements that will be read soon, so that memory is on its way while other work is done. A hint: it changes
/// nothing but the time that the read takes.
#[inline]
pub fn prefetch<T>(elements: &[T]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(elements);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = elements;
}

/// [`prefetch`] of a row.
#[inline]
pub fn prefetch_row(row: RowRef<'_>) {
    match row {
        RowRef::F32(row) => prefetch(row),
        RowRef::F16(row) => prefetch(row),
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

/// `out = M v` for a row-major matrix of rows as long as `v`; the bits of [`scalar::products_mixed`].
pub fn products_mixed(matrix: &[f32], v: &[f64], out: &mut Vec<f64>) {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::products_mixed(matrix, v, out);
    }
    scalar::products_mixed(matrix, v, out);
}

/// `out[i]` = row elements widened to `f32`; lengths are equal.
pub fn widen_f16(row: &[f16], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::widen_f16(row, out);
    }
    out.iter_mut().zip(row).for_each(|(out, x)| *out = x.to_f32());
}

/// A loop that is compiled once more for wide registers, where it is `#[inline(always)]`. FMA is left off on purpose: nothing
/// may be fused, so the bits stay those of the portable loop.
pub trait Wide {
    /// What it answers with.
    type Output;

    /// The loop.
    fn run(self) -> Self::Output;
}

/// Runs a loop in wide registers, where there are such; the bits are those of [`Wide::run`].
pub fn widely<W: Wide>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return if x86::available_512() { x86::widely_512(work) } else { x86::widely_256(work) };
    }
    work.run()
}

/// Appends the positions whose `alpha * (product + shift) + reach * error + bonus` is at least the threshold (as
/// `line` converts it), or is not a number. An empty `alpha` stands for ones, an empty `bonus` for zeros; all other
/// slices have the length of `products`.
pub fn reaching(line: &Line, threshold: f64, products: &[f32], terms: RowTerms<'_>, out: &mut Vec<u32>) {
    let threshold = line.threshold(threshold);
    #[cfg(target_arch = "x86_64")]
    if x86::available() {
        return x86::reaching(line, threshold, products, terms, out);
    }
    scalar_reaching(line, threshold, products, terms, 0, out);
}

/// Products of a group of rows with a panel of queries, on this machine's widest registers.
pub(super) fn panel_products(panel: &Panel, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts) {
    #[cfg(target_arch = "x86_64")]
    {
        if x86::available_512() {
            return x86::products_512(panel, rows, out);
        }
        if x86::available() {
            return x86::products_256(panel, rows, out);
        }
    }
    panel.scalar_products(rows, out);
}

impl Lines {
    /// One bit for each lane whose `alpha * (product + shift) + reach * error + terms * factors` is not below its
    /// threshold. `products` has [`LANES`] elements.
    #[inline]
    pub fn reached(&self, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::available_512() {
                return x86::reached_512(self, products, alpha, reach, terms);
            }
            if x86::available() {
                return x86::reached_256(self, products, alpha, reach, terms);
            }
        }
        self.scalar_reached(products, alpha, reach, terms)
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
    use super::{GROUP_ROWS, GroupProducts, LANES, Line, Lines, Panel, RUN, RowRef, RowTerms, Wide, scalar};
    use half::f16;
    use std::arch::x86_64::{
        __m128i, __m256, __m256d, _CMP_NLT_UQ, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_ps,
        _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_prefetch, _mm256_add_pd, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cvtph_ps, _mm256_cvtps_pd, _mm256_extractf128_ps,
        _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_mul_pd, _mm256_mul_ps,
        _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    /// Whether this machine has every instruction used below. The answer is cached by the standard library.
    #[inline]
    pub(super) fn available() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
    }

    /// Whether it has the wide registers as well.
    #[inline]
    pub(super) fn available_512() -> bool {
        available() && is_x86_feature_detected!("avx512f")
    }

    /// A wrapper that is sound to call because callers ask [`available`] (or [`available_512`], where the name says
    /// so) first, and checks it in debug builds.
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
        dot_listed = dot_listed_avx2(w: &[f32], rows: &[RowRef<'_>], out: &mut [f32]);
        products_mixed = products_mixed_avx2(matrix: &[f32], v: &[f64], out: &mut Vec<f64>);
        widen_f16 = widen_f16_avx2(row: &[f16], out: &mut [f32]);
        reaching = reaching_avx2(
            line: &Line, threshold: f32, products: &[f32], terms: RowTerms<'_>, out: &mut Vec<u32>
        );
        products_256 = products_avx2(panel: &Panel, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts);
        products_512 = products_avx512(panel: &Panel, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts);
        reached_256 = reached_avx2(lines: &Lines, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64;
        reached_512 = reached_avx512(lines: &Lines, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64;
    }

    /// As [`super::widely`], on a machine that has the registers.
    #[inline]
    pub(super) fn widely_256<W: Wide>(work: W) -> W::Output {
        debug_assert!(available());
        // SAFETY: only `super::widely` calls this, after `available()` has said that the instructions exist.
        unsafe { widely_avx2(work) }
    }

    /// As [`super::widely`], on a machine that has the widest registers.
    #[inline]
    pub(super) fn widely_512<W: Wide>(work: W) -> W::Output {
        debug_assert!(available_512());
        // SAFETY: only `super::widely` calls this, after `available_512()` has said that the instructions exist.
        unsafe { widely_avx512(work) }
    }

    #[target_feature(enable = "avx2")]
    fn widely_avx2<W: Wide>(work: W) -> W::Output {
        work.run()
    }

    #[target_feature(enable = "avx512f")]
    fn widely_avx512<W: Wide>(work: W) -> W::Output {
        work.run()
    }

    /// Rows of a matrix that meet a vector together: one sum waits for itself, four do not.
    const MIXED_ROWS: usize = 4;

    #[target_feature(enable = "avx2")]
    fn products_mixed_avx2(matrix: &[f32], v: &[f64], out: &mut Vec<f64>) {
        let length = v.len().max(1);
        let mut groups = matrix.chunks_exact(length * MIXED_ROWS);
        for group in &mut groups {
            let (chunks, rest) = (v.chunks_exact(8), v.len() / 8 * 8);
            let mut sums = [[_mm256_setzero_pd(); 2]; MIXED_ROWS];
            for (at, x) in chunks.enumerate() {
                let x = [load_f64(&x[..4]), load_f64(&x[4..])];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let m = &group[row * length + at * 8..][..8];
                    // A product and a sum, never fused: the bits are those of the portable kernel.
                    sums[0] = _mm256_add_pd(sums[0], _mm256_mul_pd(load_widened(&m[..4]), x[0]));
                    sums[1] = _mm256_add_pd(sums[1], _mm256_mul_pd(load_widened(&m[4..]), x[1]));
                }
            }
            for (row, [low, high]) in sums.into_iter().enumerate() {
                let mut lanes = [0.0; scalar::LANES];
                // SAFETY: `lanes` has eight elements, and an unaligned store asks for no alignment.
                unsafe {
                    _mm256_storeu_pd(lanes.as_mut_ptr(), low);
                    _mm256_storeu_pd(lanes.as_mut_ptr().add(4), high);
                }
                let m = &group[row * length + rest..(row + 1) * length];
                for (lane, (&m, &x)) in lanes.iter_mut().zip(m.iter().zip(&v[rest..])) {
                    *lane += f64::from(m) * x;
                }
                out.push(scalar::fold(lanes));
            }
        }
        scalar::products_mixed(groups.remainder(), v, out);
    }

    /// Four elements.
    #[target_feature(enable = "avx2")]
    fn load_f64(x: &[f64]) -> __m256d {
        assert!(x.len() >= 4);
        // SAFETY: four elements are there (asserted above), and an unaligned load asks for no alignment.
        unsafe { _mm256_loadu_pd(x.as_ptr()) }
    }

    /// Four elements, widened.
    #[target_feature(enable = "avx2")]
    fn load_widened(x: &[f32]) -> __m256d {
        assert!(x.len() >= 4);
        // SAFETY: four elements are there (asserted above), and an unaligned load asks for no alignment.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(x.as_ptr())) }
    }

    /// Rows whose quick test is one branch: nearly always none of them reaches the threshold.
    const TESTED_ROWS: usize = 32;

    #[target_feature(enable = "avx2")]
    fn reaching_avx2(line: &Line, threshold: f32, products: &[f32], terms: RowTerms<'_>, out: &mut Vec<u32>) {
        let RowTerms { alpha, reach, bonus } = terms;
        let fits = |terms: &[f32]| terms.is_empty() || terms.len() == products.len();
        assert!(reach.len() == products.len() && fits(alpha) && fits(bonus));
        let (shift, error) = (_mm256_set1_ps(line.shift), _mm256_set1_ps(line.error));
        let limit = _mm256_set1_ps(threshold);
        let (ones, zeros) = (_mm256_set1_ps(1.0), _mm256_setzero_ps());
        let whole = products.len() / TESTED_ROWS * TESTED_ROWS;
        for start in (0..whole).step_by(TESTED_ROWS) {
            let mut reached = 0u32;
            for lane in (0..TESTED_ROWS).step_by(8) {
                let at = start + lane;
                // SAFETY: `at + 8 <= whole`, which is at most the length of `products`, of `reach`, and of `alpha` and
                // `bonus` where these are not empty (asserted above); an unaligned load asks for no alignment.
                let load = |from: &[f32]| unsafe { _mm256_loadu_ps(from.as_ptr().add(at)) };
                let factor = if alpha.is_empty() { ones } else { load(alpha) };
                let bonus = if bonus.is_empty() { zeros } else { load(bonus) };
                // Products and sums, never fused: what is tested is what the portable form tests.
                let product = _mm256_mul_ps(factor, _mm256_add_ps(load(products), shift));
                let upper = _mm256_add_ps(_mm256_add_ps(product, _mm256_mul_ps(load(reach), error)), bonus);
                // What is not a number is not below anything.
                let bits = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(upper, limit));
                reached |= (bits as u32) << lane;
            }
            while reached != 0 {
                out.push(start as u32 + reached.trailing_zeros());
                reached &= reached - 1;
            }
        }
        super::scalar_reaching(line, threshold, products, terms, whole, out);
    }

    #[target_feature(enable = "avx2")]
    fn reached_avx2(lines: &Lines, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64 {
        lines.scalar_reached(products, alpha, reach, terms)
    }

    #[target_feature(enable = "avx512f")]
    fn reached_avx512(lines: &Lines, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64 {
        lines.scalar_reached(products, alpha, reach, terms)
    }

    /// Writes the kernels of [`Panel::products`], which differ in the width of a register and how many of them hold
    /// the queries of one pass: rows times registers of sums stay in registers for the whole dimension.
    macro_rules! products_kernel {
        ($name:ident, $features:literal, $width:literal x $registers:literal,
         $zero:ident, $load:ident, $set:ident, $fmadd:ident, $store:ident) => {
            #[target_feature(enable = $features)]
            fn $name(panel: &Panel, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts) {
                let dimension = panel.dimension;
                assert!(panel.data.len() == dimension * LANES && rows.iter().all(|row| row.len() >= dimension));
                for pass in (0..LANES).step_by($width * $registers) {
                    let lane = |register: usize| pass + register * $width;
                    // SAFETY: the offset is that of element 0 of a lane below `LANES`, inside `data` (asserted above).
                    let starts: [*const f32; $registers] = std::array::from_fn(|register| unsafe {
                        let lane = lane(register);
                        panel.data.as_ptr().add(lane / RUN * dimension * RUN + lane % RUN)
                    });
                    let mut sums = [[$zero(); $registers]; GROUP_ROWS];
                    for k in 0..dimension {
                        let mut queries = [$zero(); $registers];
                        for (query, start) in queries.iter_mut().zip(starts) {
                            // SAFETY: `k` is below the dimension, so that this is line `k` of the lane's run, and
                            // `$width` lanes from here on are in it.
                            *query = unsafe { $load(start.add(k * RUN)) };
                        }
                        for (row, sums) in rows.iter().zip(&mut sums) {
                            // SAFETY: every row has at least `dimension` elements (asserted above).
                            let x = $set(unsafe { *row.as_ptr().add(k) });
                            for (sum, query) in sums.iter_mut().zip(queries) {
                                *sum = $fmadd(x, query, *sum);
                            }
                        }
                    }
                    for (row, sums) in sums.iter().enumerate() {
                        for (register, &sum) in sums.iter().enumerate() {
                            let run = &mut out[row * LANES + lane(register)..][..$width];
                            // SAFETY: `run` has exactly as many elements as the register, and the store asks for no
                            // alignment.
                            unsafe { $store(run.as_mut_ptr(), sum) }
                        }
                    }
                }
            }
        };
    }

    products_kernel!(
        products_avx2, "avx2,fma", 8 x 2,
        _mm256_setzero_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps
    );
    products_kernel!(
        products_avx512, "avx512f", 16 x 4,
        _mm512_setzero_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps
    );

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

    #[target_feature(enable = "avx2,fma,f16c")]
    fn dot_listed_avx2(w: &[f32], rows: &[RowRef<'_>], out: &mut [f32]) {
        for (idx, (out, row)) in out.iter_mut().zip(rows).enumerate() {
            if let Some(&later) = rows.get(idx + ROWS_AHEAD) {
                super::prefetch_row(later);
            }
            *out = match row {
                RowRef::F32(row) => dot_f32_avx2(w, &row[..w.len()]),
                RowRef::F16(row) => dot_f16_avx2(w, &row[..w.len()]),
            };
        }
    }

    /// How many rows before it is needed a row of a list is asked for. On their own, reads that jump from row to row
    /// wait for memory: 1 % of the rows of a large view took four times as long.
    const ROWS_AHEAD: usize = 4;

    /// Into the second-level cache: asked for into the first, a row that stands alone brings much of the next rows with it,
    /// and half of the rows at random took as long as all of them (now 0.7 of that).
    #[inline]
    pub(super) fn prefetch<T>(elements: &[T]) {
        for line in elements.chunks((64 / size_of::<T>()).max(1)) {
            // SAFETY: a hint that reads nothing and cannot fault; the address is that of a slice.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
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
        row[whole..length].iter().zip(&mut out[whole..length]).for_each(|(x, out)| *out = x.to_f32());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::{self, Matrix};

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
            let mut listed = [0.0; 2];
            dot_listed(&w, &[rows.row(0), rows.row(2)], &mut listed);
            assert_eq!(listed, [out[0], out[2]], "listed rows are the same");
        }
    }

    #[test]
    fn products_side_by_side_stay_within_their_stated_error() {
        for d in [1usize, 2, 7, 8, 9, 31, 64, 100, 257] {
            for count in [1, 2, 17, 63, 64] {
                let queries = values(d * count, (d * count) as u32);
                let rows: Vec<Vec<f32>> = (0..GROUP_ROWS).map(|i| values(d + i, (90 + i) as u32)).collect();
                let rows: [&[f32]; GROUP_ROWS] = std::array::from_fn(|i| &rows[i][..]);
                let panel = Panel::new(&queries, d);
                let mut found = vec![[f32::NAN; GROUP_ROWS * LANES]; 3];
                panel.products(&rows, &mut found[0]);
                panel.scalar_products(&rows, &mut found[1]);
                #[cfg(target_arch = "x86_64")]
                if x86::available() {
                    x86::products_256(&panel, &rows, &mut found[2]);
                } else {
                    found.pop();
                }
                for found in &found {
                    for (row, found) in rows.iter().zip(found.chunks(LANES)) {
                        let row = &row[..d];
                        for (query, &product) in queries.chunks(d).zip(found) {
                            let (exact, scale) = (scalar::dot_f32(query, row), size(query) * size(row));
                            assert!((f64::from(product) - exact).abs() <= any_order_error(d) * scale, "{d} {count}");
                        }
                        assert!(found[count..].iter().all(|&product| product == 0.0));
                    }
                }
            }
        }
    }

    #[test]
    fn lines_side_by_side_reach_what_they_reach_alone() {
        let (products, shifts, errors) = (values(LANES, 1), values(LANES, 2), values(LANES, 3));
        let (thresholds, factors, terms) = (values(LANES, 4), values(LANES, 5), values(40, 6));
        let mut lines = Lines::new(1);
        let line = |lane: usize| Line { shift: shifts[lane], error: errors[lane], offset: 0.25, scale: 2.0 };
        for lane in 0..LANES {
            lines.set(lane, &line(lane), &factors[lane..=lane]);
            lines.raise(lane, line(lane).threshold(f64::from(thresholds[lane])));
        }
        let mut both = [false; 2];
        for &term in &terms {
            let (alpha, reach) = ([1.5 + term], [term * term]);
            let reached = lines.reached(&products, alpha[0], reach[0], &[term]);
            for lane in 0..LANES {
                let (mut out, bonus) = (Vec::new(), [term * factors[lane]]);
                let row = RowTerms { alpha: &alpha, reach: &reach, bonus: &bonus };
                reaching(&line(lane), f64::from(thresholds[lane]), &products[lane..=lane], row, &mut out);
                assert_eq!(reached >> lane & 1 == 1, out == [0], "lane {lane}");
                both[out.len()] = true;
            }
        }
        assert_eq!(both, [true, true], "some reach and some do not");
        assert_eq!(lines.reached(&products, f32::NAN, 1.0, &[0.0]), u64::MAX, "what is not a number is let through");
    }

    #[test]
    fn rows_reach_as_the_portable_form_says() {
        let line = Line { shift: 0.125, error: 0.25, offset: 0.0, scale: 1.0 };
        for count in 0..=130usize {
            let (mut products, alpha) = (values(count, 1), values(count, 2));
            let (reach, bonus) = (values(count, 3), values(count, 4));
            if count > 40 {
                (products[count / 2], products[count - 1]) = (f32::NAN, f32::INFINITY);
            }
            let some: [&[f32]; 2] = [&[], &alpha];
            for (alpha, bonus) in some.into_iter().flat_map(|alpha| [(alpha, &[][..]), (alpha, &bonus[..])]) {
                let terms = RowTerms { alpha, reach: &reach, bonus };
                for threshold in [f64::NEG_INFINITY, 0.1, 0.9, f64::INFINITY] {
                    let (mut fast, mut portable) = (Vec::new(), Vec::new());
                    reaching(&line, threshold, &products, terms, &mut fast);
                    scalar_reaching(&line, line.threshold(threshold), &products, terms, 0, &mut portable);
                    assert_eq!(fast, portable, "{count} rows, threshold {threshold}");
                    assert!(threshold > 0.0 || fast.len() == count, "all reach what is below all");
                }
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
            let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            // Groups of four rows, and what is left over: each product is that of its row alone.
            for count in (1..=6).filter(|_| d > 0) {
                let rows = values(d * count, 7 + d as u32);
                let mut fast = Vec::new();
                products_mixed(&rows, &b, &mut fast);
                let alone: Vec<f64> = rows.chunks(d).map(|row| scalar::dot_mixed(row, &b)).collect();
                assert_eq!(bits(&fast), bits(&alone), "{count} x {d}");
            }
            // Vectors that meet a matrix together: each is what it is alone.
            let matrix = (d > 0).then(|| Matrix::new(3, d, values(3 * d, 5 + d as u32)).unwrap());
            for count in (1..=matrix::TOGETHER + 1).filter(|_| d > 0) {
                let vectors: Vec<Vec<f64>> = (0..count as u32)
                    .map(|i| values(d, i + 60).iter().map(|&x| f64::from(x) / 7.0).collect())
                    .collect();
                let vectors: Vec<&[f64]> = vectors.iter().map(Vec::as_slice).collect();
                let mut together = vec![vec![9.0]; count];
                matrix.iter().for_each(|matrix| matrix.apply_together(&vectors, &mut together));
                for (vector, found) in vectors.iter().zip(&together) {
                    let rows = matrix.iter().flat_map(|matrix| matrix.data().chunks(d));
                    let alone: Vec<f64> = rows.map(|row| scalar::dot_mixed(row, vector)).collect();
                    assert_eq!(bits(found), bits(&alone), "{count} vectors of {d}");
                }
            }
            let (mut fast, mut plain) = (a.clone(), a.clone());
            add_scaled(&mut fast, 0.7, &narrow);
            scalar::add_scaled(&mut plain, 0.7, &narrow);
            assert_eq!(bits(&fast), bits(&plain));
            assert_eq!(squared_norm(&narrow).to_bits(), scalar::squared_norm(&narrow).to_bits());
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
