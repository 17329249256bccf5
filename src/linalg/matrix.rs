//! Row-major matrices as projections use them.
//!
//! Owns [`Matrix`] (`k x d`, `f32` as stored) with its products: one vector in reproducible `f64`, its transpose,
//! and tiles of many rows through faer. It knows no lens.

use super::simd::{self, Wide};
use super::{scalar, stats};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use std::hash::Hasher;
use xxhash_rust::xxh3::Xxh3;

/// A `rows x columns` matrix, row-major, `f32`.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
    /// Asked for with every search, so computed once.
    frobenius: f64,
    fingerprint: u128,
}

impl Matrix {
    /// A matrix of `rows * columns` elements; `None` when `data` has another length or the matrix is empty.
    pub fn new(rows: usize, columns: usize, data: Vec<f32>) -> Option<Self> {
        let fits = rows > 0 && columns > 0 && rows.checked_mul(columns) == Some(data.len());
        fits.then(|| {
            let frobenius = frobenius(&data, columns);
            let mut hash = Xxh3::new();
            hash.write_usize(rows);
            hash.update(bytemuck::cast_slice(&data));
            Matrix { rows, columns, frobenius, fingerprint: hash.digest128(), data }
        })
    }

    /// Output dimension `k`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input dimension `d`.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The elements, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// `out = M v`: one `f64` inner product for each row of the matrix.
    pub fn apply(&self, v: &[f64], out: &mut Vec<f64>) {
        debug_assert_eq!(v.len(), self.columns);
        out.clear();
        simd::products_mixed(&self.data, v, out);
    }

    /// [`Matrix::apply`] for up to [`TOGETHER`] vectors, which read the matrix together; the bits are those of each
    /// alone.
    pub fn apply_together(&self, vectors: &[&[f64]], out: &mut [Vec<f64>]) {
        out.iter_mut().for_each(Vec::clear);
        match (vectors, out) {
            ([a, b], [x, y]) => together(&self.data, [a, b], [x, y]),
            ([a, b, c], [x, y, z]) => together(&self.data, [a, b, c], [x, y, z]),
            ([a, b, c, d], [w, x, y, z]) => together(&self.data, [a, b, c, d], [w, x, y, z]),
            ([a, b, c, d, e], [v, w, x, y, z]) => together(&self.data, [a, b, c, d, e], [v, w, x, y, z]),
            (vectors, out) => {
                vectors.iter().zip(out).for_each(|(vector, out)| simd::products_mixed(&self.data, vector, out));
            }
        }
    }

    /// `out = M' u`.
    pub fn apply_transposed(&self, u: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.resize(self.columns, 0.0);
        for (row, &factor) in self.data.chunks_exact(self.columns).zip(u) {
            simd::add_scaled(out, factor, row);
        }
    }

    /// Frobenius norm: an upper bound of how much longer a vector can get.
    pub fn frobenius(&self) -> f64 {
        self.frobenius
    }

    /// A number that differs, but for one chance in 2^128, between matrices of different shapes or elements.
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// The elements in `f64`, for [`product_f64`].
    pub fn to_f64(&self) -> Vec<f64> {
        self.data.iter().map(|&x| f64::from(x)).collect()
    }
}

/// Vectors that [`Matrix::apply_together`] takes at a time: as many as have room in the registers.
pub const TOGETHER: usize = 5;

struct Together<'a, const V: usize> {
    matrix: &'a [f32],
    vectors: [&'a [f64]; V],
    out: [&'a mut Vec<f64>; V],
}

impl<const V: usize> Wide for Together<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        scalar::products_together(self.matrix, self.vectors, self.out);
    }
}

fn together<const V: usize>(matrix: &[f32], vectors: [&[f64]; V], out: [&mut Vec<f64>; V]) {
    simd::widely(Together { matrix, vectors, out });
}

fn frobenius(data: &[f32], columns: usize) -> f64 {
    let rows = data.chunks_exact(columns).map(|row| {
        let wide: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        stats::norm(&wide)
    });
    stats::norm(&rows.collect::<Vec<_>>())
}

/// `out = A B'` in `f64` on the calling thread: `a` is `n x d`, `b` is `k x d`, `out` is `n x k`, all row-major.
pub fn product_f64(a: &[f64], b: &[f64], out: &mut [f64], dimension: usize) {
    let (n, k) = (a.len() / dimension, b.len() / dimension);
    if n == 0 || k == 0 {
        return;
    }
    let a = MatRef::from_row_major_slice(a, n, dimension);
    let b = MatRef::from_row_major_slice(b, k, dimension);
    let out = MatMut::from_row_major_slice_mut(out, n, k);
    matmul(out, Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
}

/// `c -= A B` in `f64` on the calling thread: `a` is `n x k`, `b` is `k x d`, `c` is `n x d`, all row-major.
pub fn subtract_product_f64(a: &[f64], b: &[f64], c: &mut [f64], dimension: usize) {
    let (n, k) = (c.len() / dimension, b.len() / dimension);
    if n == 0 || k == 0 {
        return;
    }
    let a = MatRef::from_row_major_slice(a, n, k);
    let b = MatRef::from_row_major_slice(b, k, dimension);
    matmul(MatMut::from_row_major_slice_mut(c, n, dimension), Accum::Add, a, b, -1.0, Par::Seq);
}

/// `gram += A'A` in `f64` on the calling thread: `a` is `n x d`, row-major; of `gram`, column-major, the lower half
/// is written.
pub fn add_gram_f64(a: &[f64], gram: &mut [f64], dimension: usize) {
    let a = MatRef::from_row_major_slice(a, a.len() / dimension, dimension);
    let gram = MatMut::from_column_major_slice_mut(gram, dimension, dimension);
    let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    triangular::matmul(gram, lower, Accum::Add, a.transpose(), whole, a, whole, 1.0, Par::Seq);
}

/// `out = A B'` in `f32` on the calling thread: `a` is `n` rows `stride` apart of which `dimension` elements count,
/// `b` is `q x dimension` row-major, `out` is `q x n`: one contiguous run of `n` products for each row of `b`.
///
/// The error of one product is at most that of adding its terms in any order, see [`simd::any_order_error`].
pub fn product_f32(a: &[f32], n: usize, stride: usize, b: &[f32], out: &mut [f32], dimension: usize) {
    let q = b.len() / dimension;
    if n == 0 || q == 0 {
        return;
    }
    // A row-major matrix with a stride is a column-major one, transposed. Its last row may lack the padding.
    let a = if n == 1 || stride == dimension {
        MatRef::from_row_major_slice(&a[..n * dimension], n, dimension)
    } else {
        MatRef::from_row_major_slice_with_stride(&a[..(n - 1) * stride + dimension], n, dimension, stride)
    };
    let b = MatRef::from_row_major_slice(b, q, dimension);
    let out = MatMut::from_column_major_slice_mut(out, n, q);
    matmul(out, Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
}

/// Terms of a product that [`product_f32_in_chunks`] adds up before it adds them to the rest.
const CHUNK: usize = 192;

/// [`product_f32`] with less error, for long rows: chunks of the terms are added up first.
pub fn product_f32_in_chunks(a: &[f32], n: usize, stride: usize, b: &[f32], out: &mut [f32], dimension: usize) {
    let q = b.len() / dimension;
    if n == 0 || q == 0 {
        return;
    }
    for start in (0..dimension).step_by(CHUNK) {
        let count = CHUNK.min(dimension - start);
        let accum = if start == 0 { Accum::Replace } else { Accum::Add };
        // The last row may lack its padding.
        let a = if n == 1 {
            MatRef::from_row_major_slice(&a[start..start + count], 1, count)
        } else {
            MatRef::from_row_major_slice_with_stride(&a[start..(n - 1) * stride + start + count], n, count, stride)
        };
        let b = MatRef::from_row_major_slice(b, q, dimension).subcols(start, count);
        matmul(MatMut::from_column_major_slice_mut(out, n, q), accum, a, b.transpose(), 1.0, Par::Seq);
    }
}

/// Bound on the error of one product of [`product_f32_in_chunks`], relative to the norms of its factors.
pub fn chunks_error(dimension: usize) -> f64 {
    simd::any_order_error(CHUNK.min(dimension) + dimension.div_ceil(CHUNK))
}

#[cfg(test)]
mod tests {
    use super::super::scalar;
    use super::*;

    fn matrix(rows: usize, columns: usize) -> Matrix {
        let data = (0..rows * columns).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        Matrix::new(rows, columns, data).unwrap()
    }

    #[test]
    fn shapes_are_checked() {
        assert!(Matrix::new(2, 3, vec![0.0; 5]).is_none());
        assert!(Matrix::new(0, 3, vec![]).is_none());
    }

    #[test]
    fn products_agree_with_each_other() {
        // Small integers: all products are exact, so equality is.
        let m = matrix(5, 9);
        let vectors: Vec<f64> = (0..3 * 9).map(|i| f64::from(i % 4) - 1.0).collect();
        let mut tile = vec![0.0; 15];
        product_f64(&vectors, &m.to_f64(), &mut tile, 9);
        for (row, v) in vectors.chunks(9).enumerate() {
            let mut one = Vec::new();
            m.apply(v, &mut one);
            assert_eq!(one, tile[row * 5..row * 5 + 5]);
            let u: Vec<f64> = (0..5).map(|i| f64::from(i) - 2.0).collect();
            let mut back = Vec::new();
            m.apply_transposed(&u, &mut back);
            assert_eq!(scalar::dot_f64(&u, &one), scalar::dot_f64(&back, v), "<u, Mv> = <M'u, v>");
        }
        let narrow: Vec<f32> = vectors.iter().map(|&x| x as f32).collect();
        let mut turned = vec![0.0; 15];
        product_f32(&narrow, 3, 9, m.data(), &mut turned, 9);
        let mut chunked = vec![0.0; 15];
        product_f32_in_chunks(&narrow, 3, 9, m.data(), &mut chunked, 9);
        assert_eq!(chunked, turned);
        for row in 0..3 {
            for q in 0..5 {
                assert_eq!(f64::from(turned[q * 3 + row]), tile[row * 5 + q]);
            }
        }
    }

    #[test]
    fn grams_and_differences_of_small_integers_are_exact() {
        let a: Vec<f64> = (0..7 * 3).map(|i| f64::from(i % 5) - 2.0).collect();
        let mut gram = vec![1.0; 9];
        add_gram_f64(&a, &mut gram, 3);
        let b: Vec<f64> = (0..2 * 3).map(f64::from).collect();
        let (mut products, mut rest) = (vec![0.0; 14], a.clone());
        product_f64(&a, &b, &mut products, 3);
        subtract_product_f64(&products, &b, &mut rest, 3);
        for i in 0..3 {
            for j in 0..=i {
                let sum: f64 = a.chunks(3).map(|row| row[i] * row[j]).sum();
                assert_eq!(gram[j * 3 + i], 1.0 + sum);
            }
            assert!((0..i).all(|j| gram[i * 3 + j] == 1.0), "the upper half stays");
            for (row, (p, r)) in a.chunks(3).zip(products.chunks(2).zip(rest.chunks(3))) {
                assert_eq!(r[i], row[i] - p[0] * b[i] - p[1] * b[3 + i]);
            }
        }
    }

    #[test]
    fn chunks_stay_within_their_stated_error() {
        for d in [1usize, 191, 192, 193, 384, 400, 513] {
            let value = |i: usize| (((i * 7919) % 1000) as f32 - 500.0) / 333.0;
            let stride = d + 3;
            let a: Vec<f32> = (0..4 * stride + d).map(value).collect();
            let b: Vec<f32> = (0..3 * d).map(|i| value(i * 31 + 5)).collect();
            let mut out = vec![f32::NAN; 15];
            product_f32_in_chunks(&a, 5, stride, &b, &mut out, d);
            for (q, b) in b.chunks(d).enumerate() {
                for row in 0..5 {
                    let a = &a[row * stride..row * stride + d];
                    let size = (scalar::dot_f32(a, a) * scalar::dot_f32(b, b)).sqrt();
                    let error = (f64::from(out[q * 5 + row]) - scalar::dot_f32(a, b)).abs();
                    assert!(error <= chunks_error(d) * size, "{d}");
                }
            }
        }
    }

    #[test]
    fn a_stride_is_skipped_and_the_last_row_may_lack_its_padding() {
        let a = [1.0, 2.0, 99.0, 3.0, 4.0];
        let mut out = [0.0; 2];
        product_f32(&a, 2, 3, &[1.0, 10.0], &mut out, 2);
        assert_eq!(out, [21.0, 43.0]);
    }

    #[test]
    fn the_norm_of_a_scaled_identity() {
        let mut data = vec![0.0; 16];
        (0..4).for_each(|i| data[i * 4 + i] = 3.0);
        let m = Matrix::new(4, 4, data).unwrap();
        assert!((m.frobenius() - 6.0).abs() < 1e-12);
    }
}
