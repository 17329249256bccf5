//! Rows of segments as kernels take them, and copies of single ones.

use crate::linalg::RowsRef;
use crate::segment::SegmentRows;
use crate::types::ElementType;
use half::f16;

/// Rows of a segment as kernels take them.
pub(in crate::store) fn rows_ref<'a>(rows: &SegmentRows<'a>) -> RowsRef<'a> {
    match *rows {
        SegmentRows::F32 { data, stride, dimension } => RowsRef::F32 { data, stride, dimension },
        SegmentRows::F16 { data, stride, dimension } => RowsRef::F16 { data, stride, dimension },
    }
}

/// Appends row `idx` of `rows` to `out`, halves widened exactly.
pub(in crate::store) fn push_row(rows: &SegmentRows<'_>, idx: usize, out: &mut Vec<f32>) {
    match *rows {
        SegmentRows::F32 { data, stride, dimension } => {
            out.extend_from_slice(data.get(idx * stride..idx * stride + dimension).unwrap_or_default());
        }
        SegmentRows::F16 { data, stride, dimension } => {
            let row = data.get(idx * stride..idx * stride + dimension).unwrap_or_default();
            out.extend(row.iter().map(|value| value.to_f32()));
        }
    }
}

/// `value` as a view of this element type stores it.
pub(in crate::store) fn rounded(element: ElementType, value: f32) -> f32 {
    match element {
        ElementType::F32 => value,
        ElementType::F16 => f16::from_f32(value).to_f32(),
    }
}
