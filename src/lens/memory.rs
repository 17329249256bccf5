//! Rows held in memory, as a source of a scan.
//!
//! Owns [`MemoryRows`]: what benchmarks measure and tests examine without a store around it.

use super::RowSource;
use crate::error::Result;
use crate::linalg::RowsRef;
use crate::types::{CommitNumber, ElementType, ViewId};
use half::f16;
use std::ops::Range;

/// Rows of one dimension in one allocation, cut into blocks of equal size.
#[derive(Debug, Clone)]
pub struct MemoryRows {
    elements: Elements,
    dimension: usize,
    stride: usize,
    rows: u32,
    block_rows: u32,
}

#[derive(Debug, Clone)]
enum Elements {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

impl MemoryRows {
    /// Rows of `dimension` elements from `data`, row-major without gaps; `f16` rounds each element. Rows are kept at
    /// multiples of 64 bytes, in blocks of `block_rows`.
    ///
    /// # Panics
    /// When `data` is not a whole number of rows, or `dimension` or `block_rows` is zero.
    pub fn new(data: &[f32], dimension: usize, element: ElementType, block_rows: u32) -> Self {
        assert!(dimension > 0 && block_rows > 0 && data.len().is_multiple_of(dimension), "the shape of the rows");
        let stride = dimension.next_multiple_of(64 / element.size_bytes());
        let rows = data.chunks_exact(dimension);
        let count = rows.len();
        let elements = match element {
            ElementType::F32 => {
                let mut padded = vec![0.0; count * stride];
                padded.chunks_exact_mut(stride).zip(rows).for_each(|(to, row)| to[..dimension].copy_from_slice(row));
                Elements::F32(padded)
            }
            ElementType::F16 => {
                let mut padded = vec![f16::ZERO; count * stride];
                for (to, row) in padded.chunks_exact_mut(stride).zip(rows) {
                    to.iter_mut().zip(row).for_each(|(to, &x)| *to = f16::from_f32(x));
                }
                Elements::F16(padded)
            }
        };
        MemoryRows { elements, dimension, stride, rows: count as u32, block_rows }
    }

    /// All rows at once.
    pub fn rows(&self) -> RowsRef<'_> {
        let (stride, dimension) = (self.stride, self.dimension);
        match &self.elements {
            Elements::F32(data) => RowsRef::F32 { data, stride, dimension },
            Elements::F16(data) => RowsRef::F16 { data, stride, dimension },
        }
    }
}

impl RowSource for MemoryRows {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn row_count(&self) -> u32 {
        self.rows
    }

    fn block_count(&self) -> usize {
        self.rows.div_ceil(self.block_rows) as usize
    }

    fn block_range(&self, block: usize) -> Range<u32> {
        let start = block as u32 * self.block_rows;
        start..self.rows.min(start.saturating_add(self.block_rows))
    }

    fn block(&self, block: usize) -> Result<RowsRef<'_>> {
        let range = self.block_range(block);
        Ok(self.rows().slice(range.start as usize..range.end as usize))
    }

    fn identity(&self) -> (ViewId, CommitNumber) {
        (ViewId(0), CommitNumber(0))
    }
}
