//! Rows in the element types that computing asks for. Widening is exact.

use super::rows::{RowRef, RowsRef};
use super::simd;

impl RowRef<'_> {
    /// The row in `f32`, over what `out` holds; lengths are equal. Widening is exact.
    pub fn widen_f32(&self, out: &mut [f32]) {
        match self {
            RowRef::F32(row) => out.copy_from_slice(row),
            RowRef::F16(row) => simd::widen_f16(row, out),
        }
    }

    /// The row in `f64`, in place of what `out` held. Widening is exact.
    pub fn widen_f64(&self, out: &mut Vec<f64>) {
        match self {
            RowRef::F32(row) => {
                out.resize(row.len(), 0.0);
                simd::widen(row, out);
            }
            RowRef::F16(row) => {
                out.clear();
                out.extend(row.iter().map(|&x| f64::from(x.to_f32())));
            }
        }
    }
}

impl RowsRef<'_> {
    /// Row `idx` in `f32`, in place of what `out` held. Widening is exact.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row_f32(&self, idx: usize, out: &mut Vec<f32>) {
        out.clear();
        match self.row(idx) {
            RowRef::F32(row) => out.extend_from_slice(row),
            RowRef::F16(row) => out.extend(row.iter().map(|x| x.to_f32())),
        }
    }

    /// Row `idx` in `f64`, in place of what `out` held. Widening is exact.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row_f64(&self, idx: usize, out: &mut Vec<f64>) {
        self.row(idx).widen_f64(out);
    }
}
