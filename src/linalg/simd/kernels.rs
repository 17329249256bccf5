//! Kernels over vector elements, each beside what runs where its instructions are missing.
//!
//! Which of them runs changes nothing but the speed of what is `f64`, and stays inside [`dot_error`] for what is `f32`.
//! On x86-64 with AVX2, FMA and F16C these are our own lanes; everywhere else simsimd for `f32` rows and portable lanes
//! for `f16` rows.
//!
//! Why not simsimd everywhere: on a quiet two-core EPYC (Zen 3), one thread over 200,000 x 384, our lanes read `f32`
//! rows at 26 GB/s and simsimd at 22 of a possible 27, and `f16` rows at 32 against 16. On a loaded machine the two do
//! not differ. `cargo bench --bench scan` prints both again, beside the bandwidth of the same run.

use super::arch::best;
use super::line::{Line, Lines, RowTerms, scalar_reaching};
use super::panel::{GROUP_ROWS, GroupProducts, Panel};
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::linalg::rows::{RowRef, RowsRef};
use crate::linalg::scalar;
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
    best!(avx2: depth_error(dimension / 32 + LANES_DEPTH); else any_order_error(dimension))
}

/// `out[i] = <w, row i>` in `f32` for every row; `out` is as long as there are rows.
///
/// # Panics
/// When `w` or `out` has the wrong length.
pub fn dot_rows(w: &[f32], rows: RowsRef<'_>, out: &mut [f32]) {
    assert!(w.len() == rows.dimension() && out.len() == rows.len(), "shapes of a scan");
    match rows {
        RowsRef::F32 { data, stride, .. } => {
            best!(avx2: x86::dot_rows_f32(w, data, stride, out); else {
                for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
                    *out = fallback_f32(w, &row[..w.len()]);
                }
            });
        }
        RowsRef::F16 { data, stride, .. } => {
            best!(avx2: x86::dot_rows_f16(w, data, stride, out); else {
                for (out, row) in out.iter_mut().zip(data.chunks(stride)) {
                    *out = fallback_f16(w, &row[..w.len()]);
                }
            });
        }
    }
}

/// `out[i] = <w, rows[i]>` in `f32`, as [`dot_rows`] computes it, for rows that lie anywhere.
///
/// # Panics
/// When `out` or a row has the wrong length.
pub fn dot_listed(w: &[f32], rows: &[RowRef<'_>], out: &mut [f32]) {
    assert!(out.len() == rows.len(), "shapes of a scan");
    best!(avx2: x86::dot_listed(w, rows, out); else {
        for (out, &row) in out.iter_mut().zip(rows) {
            *out = dot_row(w, row);
        }
    });
}

/// Asks for elements that will be read soon, so that memory is on its way while other work is done. A hint: it changes
/// nothing but the time that the read takes.
#[inline]
fn prefetch<T>(elements: &[T]) {
    best!(any: x86::prefetch(elements); else {
        let _ = elements;
    });
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
    best!(avx2: x86::products_mixed(matrix, v, out); else scalar::products_mixed(matrix, v, out));
}

/// `out[i]` = row elements widened to `f32`; lengths are equal.
pub fn widen_f16(row: &[f16], out: &mut [f32]) {
    best!(avx2: x86::widen_f16(row, out); else out.iter_mut().zip(row).for_each(|(out, x)| *out = x.to_f32()));
}

/// Appends the positions whose `alpha * (product + shift) + reach * error + bonus` is at least the threshold (as
/// `line` converts it), or is not a number. An empty `alpha` stands for ones, an empty `bonus` for zeros; all other
/// slices have the length of `products`.
pub fn reaching(line: &Line, threshold: f64, products: &[f32], terms: RowTerms<'_>, out: &mut Vec<u32>) {
    let threshold = line.threshold(threshold);
    best!(
        avx2: x86::reaching(line, threshold, products, terms, out);
        else scalar_reaching(line, threshold, products, terms, 0, out)
    );
}

impl Panel {
    /// `out[r * LANES + q] = <query q, rows[r]>` in `f32`, within [`any_order_error`]: each product is one chain of
    /// additions in the order of the elements.
    ///
    /// # Panics
    /// When a row is shorter than the queries.
    pub fn products(&self, rows: &[&[f32]; GROUP_ROWS], out: &mut GroupProducts) {
        assert!(self.fits(rows), "rows as long as queries");
        best!(
            avx512: x86::products_512(self, rows, out);
            avx2: x86::products_256(self, rows, out);
            else self.scalar_products(rows, out)
        );
    }
}

impl Lines {
    /// One bit for each lane whose `alpha * (product + shift) + reach * error + terms * factors` is not below its
    /// threshold. `products` has [`LANES`] elements.
    #[inline]
    pub fn reached(&self, products: &[f32], alpha: f32, reach: f32, terms: &[f32]) -> u64 {
        best!(
            avx512: x86::reached_512(self, products, alpha, reach, terms);
            avx2: x86::reached_256(self, products, alpha, reach, terms);
            else self.scalar_reached(products, alpha, reach, terms)
        )
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

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
