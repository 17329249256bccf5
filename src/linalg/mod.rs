//! Level 1: numbers. Borrowed rows, matrices, eigenvectors, reference kernels, SIMD kernels, sums, and the best k of
//! many.
//!
//! Owns every loop over vector elements that has to be fast or has to be reproducible. It knows no lens, no store
//! and no file. Two promises hold here: what is computed in `f64` has one fixed order of operations, so that it is
//! the same bits for any number of threads and any instruction set; what is computed in `f32` comes with a stated
//! bound on its error.

pub mod dense;
pub mod eigen;
pub mod matrix;
pub mod random;
pub mod rows;
pub mod scalar;
pub mod simd;
pub mod stats;
pub mod team;
pub mod topk;
mod widen;

pub use matrix::Matrix;
pub use rows::RowsRef;
