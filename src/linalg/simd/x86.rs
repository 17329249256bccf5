//! Kernels in the registers of x86-64, the only intrinsics of the project.
//!
//! A function here may be called where `arch` says that its instructions exist, and from nowhere else; which one is
//! called is chosen in `kernels`.
#![expect(unsafe_code, reason = "intrinsics and run-time dispatch; each site says why it is sound")]

use super::arch::{Wide, has_avx2, has_avx512};
use super::line::{Line, Lines, RowTerms, scalar_reaching};
use super::panel::{GROUP_ROWS, GroupProducts, LANES, Panel, RUN};
use crate::linalg::rows::RowRef;
use crate::linalg::scalar;
use half::f16;
use std::arch::x86_64::{
    __m128i, __m256, __m256d, _CMP_NLT_UQ, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_ps,
    _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_prefetch, _mm256_add_pd, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cvtph_ps, _mm256_cvtps_pd, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_mul_pd, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// A wrapper that is sound to call because callers ask [`has_avx2`] (or [`has_avx512`], where the name says
/// so) first, and checks it in debug builds.
macro_rules! dispatched {
    ($($(#[$doc:meta])* $name:ident = $inner:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        $($(#[$doc])*
        #[inline]
        pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
            debug_assert!(has_avx2());
            // SAFETY: only `arch::best!` names these, in the files of this folder, the only ones that can, and it asks
            // `has_avx2()` or `has_avx512()` first.
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
    debug_assert!(has_avx2());
    // SAFETY: only `arch::best!` calls this, after `has_avx2()` has said that the instructions exist.
    unsafe { widely_avx2(work) }
}

/// As [`super::widely`], on a machine that has the widest registers.
#[inline]
pub(super) fn widely_512<W: Wide>(work: W) -> W::Output {
    debug_assert!(has_avx512());
    // SAFETY: only `arch::best!` calls this, after `has_avx512()` has said that the instructions exist.
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
    scalar_reaching(line, threshold, products, terms, whole, out);
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
            match later {
                RowRef::F32(row) => prefetch(row),
                RowRef::F16(row) => prefetch(row),
            }
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
