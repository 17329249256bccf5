//! A row-major matrix of single floats, and the few operations that training needs of it.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of a product that are computed together.
const BLOCK_ROWS: usize = 256;

/// Rows of equal length, one after the other.
#[derive(Debug, Clone)]
pub struct Matrix {
    cols: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// A matrix over `data`, whose length is a multiple of `cols`.
    pub fn new(cols: usize, data: Vec<f32>) -> Self {
        Matrix { cols, data }
    }

    /// Zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Matrix { cols, data: vec![0.0; rows * cols] }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.cols.max(1)
    }

    /// The length of each row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All numbers, row after row.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`, to be changed.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// All rows at once, for parallel work.
    pub fn par_rows_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        self.data.par_chunks_exact_mut(self.cols)
    }

    /// The rows with these numbers.
    pub fn pick(&self, rows: &[usize]) -> Matrix {
        let mut picked = Matrix::zeros(rows.len(), self.cols);
        picked.par_rows_mut().zip(rows).for_each(|(to, &from)| to.copy_from_slice(self.row(from)));
        picked
    }

    /// The mean of all rows.
    pub fn mean(&self) -> Vec<f32> {
        let mut sum = vec![0f64; self.cols];
        for row in self.data.chunks_exact(self.cols) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        sum.iter().map(|sum| (sum / self.rows().max(1) as f64) as f32).collect()
    }

    /// Takes `vector` away from every row.
    pub fn subtract_from_rows(&mut self, vector: &[f32]) {
        self.par_rows_mut().for_each(|row| row.iter_mut().zip(vector).for_each(|(x, v)| *x -= v));
    }

    /// Gives every row length 1; rows of zeros stay.
    pub fn normalize_rows(&mut self) {
        self.par_rows_mut().for_each(|row| {
            let length = dot(row, row).sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x /= length);
            }
        });
    }

    /// `self * other`.
    pub fn times(&self, other: &Matrix) -> Matrix {
        let mut product = Matrix::zeros(self.rows(), other.cols);
        self.add_product_to(1.0, other.view(), &mut product);
        product
    }

    /// Rows as columns.
    pub fn transposed(&self) -> Matrix {
        let mut across = Matrix::zeros(self.cols, self.rows());
        for row in 0..self.rows() {
            self.row(row).iter().enumerate().for_each(|(column, x)| across.row_mut(column)[row] = *x);
        }
        across
    }

    /// Adds `factor * self * self'` to the square matrix `to`.
    pub fn add_gram_to(&self, factor: f32, to: &mut Matrix) {
        self.add_product_to(factor, self.view().transpose(), to);
    }

    /// `self' * self`.
    pub fn covariance(&self) -> Matrix {
        let mut sum = Matrix::zeros(self.cols, self.cols);
        sum.view_mut(|sum| matmul(sum, Accum::Add, self.view().transpose(), self.view(), 1.0, Par::Seq));
        sum
    }

    /// Adds `factor * self * other` to `to`, in blocks of rows side by side.
    fn add_product_to(&self, factor: f32, other: MatRef<'_, f32>, to: &mut Matrix) {
        let cols = to.cols;
        let blocks = to.data.par_chunks_mut(BLOCK_ROWS * cols).zip(self.data.par_chunks(BLOCK_ROWS * self.cols));
        blocks.for_each(|(to, block)| {
            let rows = to.len() / cols;
            let (to, block) = (
                MatMut::from_row_major_slice_mut(to, rows, cols),
                MatRef::from_row_major_slice(block, rows, self.cols),
            );
            matmul(to, Accum::Add, block, other, factor, Par::Seq);
        });
    }

    /// The `count` directions along which the rows of a matrix with this covariance vary most, as columns,
    /// the strongest first.
    pub fn principal_directions(&self, count: usize) -> crate::Result<Matrix> {
        let eigen = self.view().self_adjoint_eigen(faer::Side::Lower).map_err(|e| format!("eigenvectors: {e:?}"))?;
        let vectors = eigen.U();
        let mut directions = Matrix::zeros(self.cols, count);
        for i in 0..self.cols {
            for j in 0..count {
                // Eigenvalues ascend, so the strongest direction is the last column.
                directions.row_mut(i)[j] = vectors[(i, self.cols - 1 - j)];
            }
        }
        Ok(directions)
    }

    fn view(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.data, self.rows(), self.cols)
    }

    fn view_mut(&mut self, change: impl FnOnce(MatMut<'_, f32>)) {
        let rows = self.rows();
        change(MatMut::from_row_major_slice_mut(&mut self.data, rows, self.cols));
    }
}

/// The inner product, in eight lanes that a compiler can keep in one register.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Adds `factor * from` to `to`.
pub fn add(factor: f32, from: &[f32], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_textbook_ones() {
        let a = Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = Matrix::new(2, vec![0.0, 1.0, 1.0, 2.0]);
        assert_eq!(a.times(&b).data(), [2.0, 5.0, 4.0, 11.0, 6.0, 17.0]);
        assert_eq!(a.covariance().data(), [35.0, 44.0, 44.0, 56.0]);
        let mut gram = Matrix::zeros(3, 3);
        a.add_gram_to(-1.0, &mut gram);
        assert_eq!(gram.data(), [-5.0, -11.0, -17.0, -11.0, -25.0, -39.0, -17.0, -39.0, -61.0]);
        assert_eq!(dot(&[1.0; 19], &[2.0; 19]), 38.0);
    }

    #[test]
    fn the_strongest_direction_comes_first() {
        let directions = Matrix::new(2, vec![1.0, 0.0, 0.0, 9.0]).principal_directions(2).expect("eigenvectors");
        assert!(directions.row(1)[0].abs() > 0.99 && directions.row(0)[1].abs() > 0.99);
    }
}
