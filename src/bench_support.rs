//! What the benchmarks need of the crate's inside. No part of the public interface: anything here may change.

pub use crate::exec::scan::{ScanResult, Scored, scan, scan_batch, scan_pairs};
pub use crate::lens::memory::MemoryRows;
pub use crate::lens::{
    Chain, Known, Prepared, ProcessedQuery, Projection, ResolvedStep, RowForm, RowSource, RowSums, VectorMetric,
};
pub use crate::linalg::RowsRef;
pub use crate::linalg::matrix::product_f32;
pub use crate::linalg::simd::dot_rows;
pub use crate::types::control::Control;
pub use crate::types::{ElementType, ProjectionDef, RowSet};
