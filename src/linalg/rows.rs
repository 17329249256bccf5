//! Borrowed rows of a view, whatever their element type.
//!
//! Owns [`RowsRef`], the one shape in which vectors travel from segments to kernels. Rows start `stride` elements
//! apart so that files can align them; `widen` has their elements as `f32` and `f64`.

use half::f16;
use std::ops::Range;

/// Borrowed rows of one element type, `stride` elements apart (`stride >= dimension`; padding is zero and unread).
///
/// The last row may come without its padding.
#[derive(Clone, Copy, Debug)]
pub enum RowsRef<'a> {
    /// 32-bit rows.
    F32 {
        /// The elements, row after row.
        data: &'a [f32],
        /// Distance between the starts of two rows, in elements.
        stride: usize,
        /// Elements of one row that count.
        dimension: usize,
    },
    /// 16-bit rows (IEEE 754 binary16).
    F16 {
        /// The elements, row after row.
        data: &'a [f16],
        /// Distance between the starts of two rows, in elements.
        stride: usize,
        /// Elements of one row that count.
        dimension: usize,
    },
}

/// One borrowed row.
#[derive(Clone, Copy, Debug)]
pub enum RowRef<'a> {
    /// A 32-bit row.
    F32(&'a [f32]),
    /// A 16-bit row.
    F16(&'a [f16]),
}

impl<'a> RowsRef<'a> {
    /// `(length of the data, stride, dimension)`.
    fn shape(&self) -> (usize, usize, usize) {
        match *self {
            RowsRef::F32 { data, stride, dimension } => (data.len(), stride, dimension),
            RowsRef::F16 { data, stride, dimension } => (data.len(), stride, dimension),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        let (length, stride, dimension) = self.shape();
        if dimension == 0 || stride < dimension || length < dimension { 0 } else { (length - dimension) / stride + 1 }
    }

    /// Whether there is no row.
    #[cfg(feature = "testing")]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of one row that count.
    pub fn dimension(&self) -> usize {
        self.shape().2
    }

    /// The rows of `range`.
    ///
    /// # Panics
    /// When `range` reaches past the last row.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> RowsRef<'a> {
        assert!(range.start <= range.end && range.end <= self.len(), "rows {range:?} of {}", self.len());
        let (length, stride, _) = self.shape();
        let elements = range.start * stride..(range.end * stride).min(length);
        let elements = if range.is_empty() { 0..0 } else { elements };
        match *self {
            RowsRef::F32 { data, stride, dimension } => RowsRef::F32 { data: &data[elements], stride, dimension },
            RowsRef::F16 { data, stride, dimension } => RowsRef::F16 { data: &data[elements], stride, dimension },
        }
    }

    /// Row `idx`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, idx: usize) -> RowRef<'a> {
        match *self {
            RowsRef::F32 { data, stride, dimension } => RowRef::F32(&data[idx * stride..idx * stride + dimension]),
            RowsRef::F16 { data, stride, dimension } => RowRef::F16(&data[idx * stride..idx * stride + dimension]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_slices_skip_the_padding() {
        let data = [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 5.0, 6.0];
        let rows = RowsRef::F32 { data: &data, stride: 3, dimension: 2 };
        assert_eq!((rows.len(), rows.dimension()), (3, 2));
        let mut out = Vec::new();
        rows.row_f64(2, &mut out);
        assert_eq!(out, [5.0, 6.0]);
        let tail = rows.slice(1..3);
        assert_eq!(tail.len(), 2);
        tail.row_f64(0, &mut out);
        assert_eq!(out, [3.0, 4.0]);
        assert!(rows.slice(3..3).is_empty());
        let halves: Vec<f16> = data.iter().map(|&x| f16::from_f32(x)).collect();
        let mut narrow = Vec::new();
        RowsRef::F16 { data: &halves, stride: 3, dimension: 2 }.row_f32(1, &mut narrow);
        assert_eq!(narrow, [3.0, 4.0]);
    }

    #[test]
    fn shapes_without_rows_are_empty() {
        assert!(RowsRef::F32 { data: &[], stride: 4, dimension: 3 }.is_empty());
        assert!(RowsRef::F32 { data: &[1.0], stride: 0, dimension: 0 }.is_empty());
    }
}
