//! Kernels are held to the portable loops, in every length up to 257.

use super::*;
use crate::linalg::matrix::{self, Matrix};
use crate::linalg::simd::{LANES, add_scaled, dot_f64, squared_distance_f64, squared_norm};

/// A small generator, so that a failure names its dimension and nothing else is needed to see it again.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as f32 / u32::MAX as f32 - 0.5) * if state.is_multiple_of(7) { 100.0 } else { 1.0 }
    };
    (0..n).map(|_| next()).collect()
}

fn size(a: &[f32]) -> f64 {
    scalar::dot_f32(a, a).sqrt()
}

#[test]
fn f32_kernels_stay_within_their_stated_error() {
    for d in 1..=257usize {
        let w = values(d, d as u32);
        let stride = d + d % 5;
        let data = values(stride * 3 - (stride - d), 1000 + d as u32);
        let rows = RowsRef::F32 { data: &data, stride, dimension: d };
        let mut out = [0.0; 3];
        dot_rows(&w, rows, &mut out);
        for (i, &dot) in out.iter().enumerate() {
            let row = &data[i * stride..i * stride + d];
            let (exact, scale) = (scalar::dot_f32(&w, row), size(&w) * size(row));
            assert!((f64::from(dot) - exact).abs() <= dot_error(d) * scale, "dimension {d} row {i}");
            assert!((f64::from(fallback_f32(&w, row)) - exact).abs() <= any_order_error(d) * scale, "simsimd {d}");
            assert_eq!(dot, dot_row(&w, rows.row(i)), "one row or many are the same");
        }
        let mut listed = [0.0; 2];
        dot_listed(&w, &[rows.row(0), rows.row(2)], &mut listed);
        assert_eq!(listed, [out[0], out[2]], "listed rows are the same");
    }
}

#[test]
fn products_side_by_side_stay_within_their_stated_error() {
    for d in [1usize, 2, 7, 8, 9, 31, 64, 100, 257] {
        for count in [1, 2, 17, 63, 64] {
            let queries = values(d * count, (d * count) as u32);
            let rows: Vec<Vec<f32>> = (0..GROUP_ROWS).map(|i| values(d + i, (90 + i) as u32)).collect();
            let rows: [&[f32]; GROUP_ROWS] = std::array::from_fn(|i| &rows[i][..]);
            let panel = Panel::new(&queries, d);
            let mut found = vec![[f32::NAN; GROUP_ROWS * LANES]; 3];
            panel.products(&rows, &mut found[0]);
            panel.scalar_products(&rows, &mut found[1]);
            #[cfg(target_arch = "x86_64")]
            if crate::linalg::simd::arch::has_avx2() {
                x86::products_256(&panel, &rows, &mut found[2]);
            } else {
                found.pop();
            }
            for found in &found {
                for (row, found) in rows.iter().zip(found.chunks(LANES)) {
                    let row = &row[..d];
                    for (query, &product) in queries.chunks(d).zip(found) {
                        let (exact, scale) = (scalar::dot_f32(query, row), size(query) * size(row));
                        assert!((f64::from(product) - exact).abs() <= any_order_error(d) * scale, "{d} {count}");
                    }
                    assert!(found[count..].iter().all(|&product| product == 0.0));
                }
            }
        }
    }
}

#[test]
fn lines_side_by_side_reach_what_they_reach_alone() {
    let (products, shifts, errors) = (values(LANES, 1), values(LANES, 2), values(LANES, 3));
    let (thresholds, factors, terms) = (values(LANES, 4), values(LANES, 5), values(40, 6));
    let mut lines = Lines::new(1);
    let line = |lane: usize| Line { shift: shifts[lane], error: errors[lane], offset: 0.25, scale: 2.0 };
    for lane in 0..LANES {
        lines.set(lane, &line(lane), &factors[lane..=lane]);
        lines.raise(lane, line(lane).threshold(f64::from(thresholds[lane])));
    }
    let mut both = [false; 2];
    for &term in &terms {
        let (alpha, reach) = ([1.5 + term], [term * term]);
        let reached = lines.reached(&products, alpha[0], reach[0], &[term]);
        for lane in 0..LANES {
            let (mut out, bonus) = (Vec::new(), [term * factors[lane]]);
            let row = RowTerms { alpha: &alpha, reach: &reach, bonus: &bonus };
            reaching(&line(lane), f64::from(thresholds[lane]), &products[lane..=lane], row, &mut out);
            assert_eq!(reached >> lane & 1 == 1, out == [0], "lane {lane}");
            both[out.len()] = true;
        }
    }
    assert_eq!(both, [true, true], "some reach and some do not");
    assert_eq!(lines.reached(&products, f32::NAN, 1.0, &[0.0]), u64::MAX, "what is not a number is let through");
}

#[test]
fn rows_reach_as_the_portable_form_says() {
    let line = Line { shift: 0.125, error: 0.25, offset: 0.0, scale: 1.0 };
    for count in 0..=130usize {
        let (mut products, alpha) = (values(count, 1), values(count, 2));
        let (reach, bonus) = (values(count, 3), values(count, 4));
        if count > 40 {
            (products[count / 2], products[count - 1]) = (f32::NAN, f32::INFINITY);
        }
        let some: [&[f32]; 2] = [&[], &alpha];
        for (alpha, bonus) in some.into_iter().flat_map(|alpha| [(alpha, &[][..]), (alpha, &bonus[..])]) {
            let terms = RowTerms { alpha, reach: &reach, bonus };
            for threshold in [f64::NEG_INFINITY, 0.1, 0.9, f64::INFINITY] {
                let (mut fast, mut portable) = (Vec::new(), Vec::new());
                reaching(&line, threshold, &products, terms, &mut fast);
                scalar_reaching(&line, line.threshold(threshold), &products, terms, 0, &mut portable);
                assert_eq!(fast, portable, "{count} rows, threshold {threshold}");
                assert!(threshold > 0.0 || fast.len() == count, "all reach what is below all");
            }
        }
    }
}

#[test]
fn f16_kernels_stay_within_their_stated_error() {
    for d in 1..=257usize {
        let w = values(d, d as u32);
        let stride = d + d % 3;
        let data: Vec<f16> = values(stride * 2, 7 + d as u32).into_iter().map(f16::from_f32).collect();
        let rows = RowsRef::F16 { data: &data, stride, dimension: d };
        let mut out = [0.0; 2];
        dot_rows(&w, rows, &mut out);
        for (i, &dot) in out.iter().enumerate() {
            let row = &data[i * stride..i * stride + d];
            let mut wide = vec![0.0; d];
            widen_f16(row, &mut wide);
            assert!(wide.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_f32().to_bits()), "widening {d}");
            let (exact, scale) = (scalar::dot_f16(&w, row), size(&w) * size(&wide));
            assert!((f64::from(dot) - exact).abs() <= dot_error(d) * scale, "dimension {d} row {i}");
            assert!((f64::from(fallback_f16(&w, row)) - exact).abs() <= any_order_error(d) * scale, "{d}");
        }
    }
}

#[test]
fn f64_kernels_are_the_portable_bits() {
    for d in 0..=257usize {
        let narrow = values(d, 3 + d as u32);
        let a: Vec<f64> = narrow.iter().map(|&x| f64::from(x) * 1.1).collect();
        let b: Vec<f64> = values(d, 90 + d as u32).iter().map(|&x| f64::from(x) / 3.0).collect();
        assert_eq!(dot_f64(&a, &b).to_bits(), scalar::dot_f64(&a, &b).to_bits());
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        // Groups of four rows, and what is left over: each product is that of its row alone.
        for count in (1..=6).filter(|_| d > 0) {
            let rows = values(d * count, 7 + d as u32);
            let mut fast = Vec::new();
            products_mixed(&rows, &b, &mut fast);
            let alone: Vec<f64> = rows.chunks(d).map(|row| scalar::dot_mixed(row, &b)).collect();
            assert_eq!(bits(&fast), bits(&alone), "{count} x {d}");
        }
        // Vectors that meet a matrix together: each is what it is alone.
        let matrix = (d > 0).then(|| Matrix::new(3, d, values(3 * d, 5 + d as u32)).unwrap());
        for count in (1..=matrix::TOGETHER + 1).filter(|_| d > 0) {
            let vectors: Vec<Vec<f64>> =
                (0..count as u32).map(|i| values(d, i + 60).iter().map(|&x| f64::from(x) / 7.0).collect()).collect();
            let vectors: Vec<&[f64]> = vectors.iter().map(Vec::as_slice).collect();
            let mut together = vec![vec![9.0]; count];
            matrix.iter().for_each(|matrix| matrix.apply_together(&vectors, &mut together));
            for (vector, found) in vectors.iter().zip(&together) {
                let rows = matrix.iter().flat_map(|matrix| matrix.data().chunks(d));
                let alone: Vec<f64> = rows.map(|row| scalar::dot_mixed(row, vector)).collect();
                assert_eq!(bits(found), bits(&alone), "{count} vectors of {d}");
            }
        }
        let (mut fast, mut plain) = (a.clone(), a.clone());
        add_scaled(&mut fast, 0.7, &narrow);
        scalar::add_scaled(&mut plain, 0.7, &narrow);
        assert_eq!(bits(&fast), bits(&plain));
        assert_eq!(squared_norm(&narrow).to_bits(), scalar::squared_norm(&narrow).to_bits());
        let (fast, plain) = (squared_distance_f64(&a, &b), scalar::squared_distance_f64(&a, &b));
        assert_eq!(fast.to_bits(), plain.to_bits());
    }
}

/// What simsimd's functions mean: its successor swapped some of them.
#[test]
fn simsimd_dot_is_a_product_and_its_others_are_distances() {
    let (a, b) = ([1.0f32, 2.0, 3.0], [4.0f32, 5.0, 6.0]);
    assert_eq!(<f32 as SpatialSimilarity>::dot(&a, &b), Some(32.0));
    let cos = <f32 as SpatialSimilarity>::cos(&a, &a).unwrap();
    assert!(cos.abs() < 1e-6, "cos is one minus the cosine");
    assert_eq!(<f32 as SpatialSimilarity>::l2sq(&a, &b), Some(27.0));
    assert_eq!(<f32 as SpatialSimilarity>::dot(&a, &b[..2]), None);
}
