//! What each statistic is, and each scalar, on rows whose answer one can check by hand, and the few cases a random lens
//! seldom meets.

use super::memory::MemoryRows;
use super::program::Traveller;
use super::scalars::passes;
use super::scalars::quick::{Quick, Scratch};
use super::statistics::PlacedStatistic;
use super::step::SampleRows;
use super::{Chain, FewRecords, Known, Prepared, Projection, ResolvedStep, RowSource, StoredScalars, VectorMetric};
use crate::linalg::simd;
use crate::types::{ElementType, ProjectionDef, RowSet, Statistic};
use std::sync::Arc;

/// Rows of a few dimensions with unlike spreads, correlated, around a mean that is not zero.
fn rows(n: usize, d: usize, scale: f64) -> Vec<f32> {
    let mut state = 7u64;
    let mut normal = || {
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        (0..4).map(|_| uniform()).sum::<f64>()
    };
    let mut data = Vec::new();
    for _ in 0..n {
        let common = normal();
        data.extend((0..d).map(|i| ((3.0 + common + normal() * (1.0 + i as f64)) * scale) as f32));
    }
    data
}

fn prepare(data: &[f32], d: usize, steps: Vec<ResolvedStep>, metric: VectorMetric) -> (MemoryRows, Prepared) {
    let source = MemoryRows::new(data, d, ElementType::F32, 100);
    let live = RowSet::from_range(0..(data.len() / d) as u32);
    let chain = Chain::new(steps, metric, d).unwrap();
    let prepared = Prepared::compute(&chain, &source, &live).unwrap();
    (source, prepared)
}

/// The processed records, one after another: dot products with the unit vectors.
fn processed(source: &MemoryRows, prepared: &Prepared) -> Vec<Vec<f64>> {
    let mut row = Vec::new();
    let rows = source.rows();
    let run = |idx| {
        rows.row_f64(idx, &mut row);
        let mut traveller = Traveller::new(row.clone());
        assert!(prepared.record_program().run(&mut traveller, super::program::Undirected::Stop));
        traveller.vector
    };
    (0..rows.len()).map(run).collect()
}

fn covariance(rows: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (n, d) = (rows.len() as f64, rows[0].len());
    let mean: Vec<f64> = (0..d).map(|i| rows.iter().map(|r| r[i]).sum::<f64>() / n).collect();
    let entry = |i: usize, j: usize| rows.iter().map(|r| (r[i] - mean[i]) * (r[j] - mean[j])).sum::<f64>() / n;
    let matrix = (0..d).map(|i| (0..d).map(|j| entry(i, j)).collect()).collect();
    (mean, matrix)
}

#[test]
fn standardized_records_have_mean_zero_and_deviation_one() {
    for scale in [1.0, 1e19, 1e-19] {
        let (source, prepared) = prepare(&rows(500, 6, scale), 6, vec![ResolvedStep::Standardize], VectorMetric::Dot);
        let (mean, matrix) = covariance(&processed(&source, &prepared));
        for i in 0..6 {
            assert!(
                mean[i].abs() < 1e-12 && (matrix[i][i] - 1.0).abs() < 1e-12,
                "{scale}: {} {}",
                mean[i],
                matrix[i][i]
            );
        }
        assert_eq!(prepared.statistics()[0].count, 500);
    }
}

#[test]
fn whitened_records_have_the_identity_as_their_covariance() {
    for (k, scale) in [(None, 1.0), (Some(2), 1.0), (None, 1e19), (None, 1e-19)] {
        let (source, prepared) = prepare(&rows(500, 6, scale), 6, vec![ResolvedStep::Whiten(k)], VectorMetric::Dot);
        let (mean, matrix) = covariance(&processed(&source, &prepared));
        assert_eq!(matrix.len(), k.unwrap_or(6));
        for (i, row) in matrix.iter().enumerate() {
            assert!(mean[i].abs() < 1e-10);
            for (j, x) in row.iter().enumerate() {
                assert!((x - f64::from(u8::from(i == j))).abs() < 1e-9, "{k:?} {scale}: {i} {j} {x}");
            }
        }
    }
}

#[test]
fn what_drop_removes_is_the_most_variance_and_the_rest_stays() {
    let data = rows(500, 6, 1.0);
    let (source, plain) = prepare(&data, 6, vec![ResolvedStep::CenterCorpus], VectorMetric::Dot);
    let total: f64 = (0..6).map(|i| covariance(&processed(&source, &plain)).1[i][i]).sum();
    let (_, whitened) = prepare(&data, 6, vec![ResolvedStep::Whiten(None)], VectorMetric::Dot);
    let Statistic::Directions { divisor, .. } = &*whitened.statistics()[0].statistic else { panic!("directions") };
    assert!(divisor.is_sorted_by(|a, b| a >= b));
    for k in 1..6 {
        let (_, dropped) = prepare(&data, 6, vec![ResolvedStep::Drop(k)], VectorMetric::Dot);
        let left = processed(&source, &dropped);
        assert_eq!(left[0].len(), 6, "drop keeps the dimension");
        let left: f64 = (0..6).map(|i| covariance(&left).1[i][i]).sum();
        let removed: f64 = divisor[..k].iter().map(|sd| sd * sd).sum();
        assert!((total - removed - left).abs() < 1e-9 * total, "drop {k}");
    }
}

#[test]
fn a_constant_dimension_and_too_few_records_stay_finite() {
    let mut data = rows(50, 4, 1.0);
    data.chunks_mut(4).for_each(|row| row[2] = 0.1);
    for step in [ResolvedStep::Standardize, ResolvedStep::Whiten(None), ResolvedStep::Drop(1)] {
        for n in [0usize, 1, 2, 3, 50] {
            let metric = VectorMetric::Euclidean;
            let (source, prepared) = prepare(&data[..n * 4], 4, vec![step.clone()], metric);
            let query = prepared.process(&[1.0, -2.0, 0.2, 0.5]).unwrap();
            assert!(query.processed().iter().all(|x| x.is_finite()));
            let found = processed(&source, &prepared);
            assert!(found.iter().flatten().all(|x| x.abs() < 100.0), "{step} of {n}: {found:?}");
        }
        // Of one record nothing but the mean is there: no direction is left.
        let (_, prepared) = prepare(&data[..4], 4, vec![step.clone()], VectorMetric::Cosine);
        assert_eq!(prepared.undirected().iter().collect::<Vec<_>>(), [0], "{step}");
    }
    // A query that differs where no record does keeps a floored share of it, whatever the step divides by.
    let (_, prepared) = prepare(&data, 4, vec![ResolvedStep::Standardize], VectorMetric::Dot);
    let Statistic::Scale { divisor, .. } = &*prepared.statistics()[0].statistic else { panic!("divisors") };
    let mut others = [divisor[0], divisor[1], divisor[3]];
    others.sort_by(f64::total_cmp);
    // The median of four with one zero is the mean of the two least of the others.
    assert!((divisor[2] - 0.01 * (others[0] + others[1]) / 2.0).abs() < 1e-12, "{divisor:?}");
}

#[test]
fn identical_records_are_divided_by_one() {
    let data: Vec<f32> = [0.1f32, 0.7, 3.3].repeat(5000);
    for step in [ResolvedStep::Standardize, ResolvedStep::Whiten(None)] {
        let (_, prepared) = prepare(&data, 3, vec![step], VectorMetric::Dot);
        let (Statistic::Scale { divisor, .. } | Statistic::Directions { divisor, .. }) =
            &*prepared.statistics()[0].statistic
        else {
            panic!("divisors")
        };
        assert_eq!(divisor, &[1.0; 3]);
    }
}

#[test]
fn sides_have_means_of_their_own_behind_the_steps_before() {
    let sample = SampleRows::new("asked", 2, vec![0.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
    let steps = vec![ResolvedStep::Normalize, ResolvedStep::CenterSides(sample.clone())];
    let (_, prepared) = prepare(&[2.0, 0.0, 4.0, 0.0], 2, steps, VectorMetric::Dot);
    // The zero query has no direction, so that the mean is of (0, 1) and (1, 0).
    let expected = Statistic::Sides { queries: vec![0.5, 0.5], records: vec![1.0, 0.0] };
    assert_eq!(*prepared.statistics()[0].statistic, expected);
    let nobody = SampleRows::new("asked", 2, vec![0.0; 2]);
    let chain = Chain::new(vec![ResolvedStep::Normalize, ResolvedStep::CenterSides(nobody)], VectorMetric::Dot, 2);
    let source = MemoryRows::new(&[1.0, 2.0], 2, ElementType::F32, 10);
    let error = Prepared::compute(&chain.unwrap(), &source, &RowSet::from_range(0..1)).unwrap_err();
    assert!(error.message().starts_with("step 2: no query of sample asked arrives"), "{error}");
}

#[test]
fn given_statistics_are_used_as_they_are_and_checked() {
    let given = |statistic| PlacedStatistic { step_idx: 0, statistic: Arc::new(statistic), count: 9 };
    let source = MemoryRows::new(&[1.0, 2.0, 3.0, 5.0], 2, ElementType::F32, 10);
    let live = RowSet::from_range(0..2);
    let chain = Chain::new(vec![ResolvedStep::Standardize], VectorMetric::Dot, 2).unwrap();
    let fine = given(Statistic::Scale { mean: vec![1.0, 1.0], divisor: vec![2.0, 4.0] });
    let prepared = Prepared::compute_pinned(&chain, &source, &live, &[fine]).unwrap();
    assert_eq!(processed(&source, &prepared), [[0.0, 0.25], [1.0, 1.0]]);
    assert_eq!(prepared.statistics()[0].count, 9);
    let tiny = given(Statistic::Scale { mean: vec![1.0, 1.0], divisor: vec![1e-200, 1.0] });
    let error = Prepared::compute_pinned(&chain, &source, &live, &[tiny]).unwrap_err();
    assert!(error.message().contains("values beyond 1e148"), "{error}");
    assert!(Prepared::compute_pinned(&chain, &source, &live, &[given(Statistic::Mean(vec![0.0; 2]))]).is_err());
}

#[test]
fn an_undirected_query_names_the_step_that_left_nothing() {
    let steps = vec![ResolvedStep::Whiten(None), ResolvedStep::Truncate(1), ResolvedStep::Normalize];
    let (_, prepared) = prepare(&[1.0, 2.0, 3.0, 2.0], 2, steps, VectorMetric::Cosine);
    let error = prepared.process(&[2.0, 2.0]).unwrap_err();
    assert!(error.message().ends_with("nothing is left of it at step 3 (normalize)"), "{error}");
}

#[test]
fn hubs_lose_half_of_what_they_are_close_to_on_average() {
    let sample = SampleRows::new("asked", 2, vec![1.0, 0.0, 0.0, 0.0, 3.0, 4.0]);
    let source = MemoryRows::new(&[2.0, 0.0, 0.0, 5.0, 0.0, 0.0], 2, ElementType::F32, 10);
    let live = RowSet::from_range(0..3);
    let chain = Chain::new(vec![], VectorMetric::Cosine, 2).unwrap();
    let r = |k, row| {
        let chain = chain.clone().with_csls(k, sample.clone()).unwrap();
        let prepared = Prepared::compute(&chain, &source, &live).unwrap();
        assert_eq!(prepared.undirected().iter().collect::<Vec<_>>(), [2]);
        prepared.hubness(source.rows().row(row)).unwrap()
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
    near(r(1, 0), 1.0);
    near(r(1, 1), 0.8);
    // Two queries have a direction: more than these cannot count.
    near(r(2, 0), (1.0 + 0.6) / 2.0);
    near(r(9, 1), (0.0 + 0.8) / 2.0);
    let nobody = SampleRows::new("asked", 2, vec![0.0; 4]);
    let error = Prepared::compute(&chain.clone().with_csls(1, nobody).unwrap(), &source, &live).unwrap_err();
    assert!(error.message().starts_with("csls: no query of sample asked has a direction under this lens"), "{error}");
}

/// The scalars of chains with one normalization, at the end, come from `f32` products where that is safe.
#[test]
fn quick_scalars_are_within_their_stated_error() {
    let d = 200;
    let projection = |k: usize| {
        let query: Vec<f32> = rows(k, d, 0.1).iter().map(|x| x - 0.3).collect();
        let (rows, columns) = (k as u32, d as u32);
        let def = ProjectionDef {
            name: "m".into(),
            rows,
            columns,
            query,
            record: None,
            origin: String::new(),
            fitted_on: None,
        };
        ResolvedStep::Project(Projection::from_def(&def).unwrap())
    };
    let project = projection(8);
    let center = || ResolvedStep::CenterCorpus;
    let unit = || ResolvedStep::Normalize;
    use VectorMetric::{Cosine, Dot, Euclidean, Pearson};
    let chains = [
        (Cosine, vec![]),
        (Pearson, vec![]),
        (Euclidean, vec![]),
        (Dot, vec![]),
        (Cosine, vec![center()]),
        (Pearson, vec![center()]),
        (Euclidean, vec![center()]),
        (Cosine, vec![ResolvedStep::Center, center()]),
        (Cosine, vec![center(), project.clone()]),
        (Euclidean, vec![center(), project.clone()]),
        (Dot, vec![center(), project.clone()]),
        (Cosine, vec![project.clone(), ResolvedStep::Center]),
        (Cosine, vec![center(), projection(64)]),
        (Cosine, vec![projection(119), center()]),
        (Cosine, vec![ResolvedStep::Whiten(Some(20))]),
        (Euclidean, vec![ResolvedStep::Whiten(Some(20))]),
        (Cosine, vec![ResolvedStep::Drop(3)]),
        (Cosine, vec![ResolvedStep::Standardize, projection(64)]),
        // Rows of length 1 first of all.
        (Cosine, vec![unit()]),
        (Cosine, vec![unit(), center()]),
        (Pearson, vec![unit(), center()]),
        (Euclidean, vec![unit(), center()]),
        (Dot, vec![unit(), center()]),
        (Cosine, vec![unit(), project.clone()]),
        (Cosine, vec![unit(), center(), projection(64)]),
        (Euclidean, vec![unit(), projection(64), center()]),
        (Dot, vec![unit(), center(), projection(64)]),
        // Lengths that another normalization makes up for.
        (Cosine, vec![center(), unit(), projection(64)]),
        (Cosine, vec![unit(), center(), unit(), project.clone()]),
        (Cosine, vec![ResolvedStep::Center, unit(), project.clone(), unit(), ResolvedStep::Center]),
    ];
    for (element, (metric, steps)) in
        [ElementType::F32, ElementType::F16].into_iter().flat_map(|e| chains.iter().map(move |chain| (e, chain)))
    {
        let mut data = rows(300, d, 0.01);
        // A zero row, one that squares out of the range of `f32`, a constant one.
        data[..d].fill(0.0);
        data[d..2 * d].iter_mut().for_each(|x| *x *= 1e-5);
        data[2 * d..3 * d].fill(0.5);
        let source = MemoryRows::new(&data, d, element, 70);
        let live = RowSet::from_range(0..300).and_not(&RowSet::from_rows([7, 100]));
        let chain = Chain::new(steps.clone(), *metric, d).unwrap();
        let prepared = Prepared::compute(&chain, &source, &live).unwrap();
        let squares = *metric == Euclidean;
        let program = prepared.record_program();
        let expected = passes::scalars_in_full(&source, &live, program, squares).unwrap();
        assert_eq!(expected.undirected, *prepared.undirected(), "{chain:?}");
        assert_eq!(expected.extreme, *prepared.extreme(), "{chain:?}");
        let (found, expected) = (prepared.scalars(), expected.scalars);
        assert!(found.norm_error <= 1.0 / 512.0, "{chain:?} {}", found.norm_error);
        let quick = Quick::of(program, squares, d).expect("a chain that comes down to one norm");
        let mut quickly = 0;
        for block in 0..source.block_count() {
            quick.block(source.block(block).unwrap(), &mut Scratch::default(), |_, row| {
                quickly += usize::from(row.is_some())
            });
        }
        assert!(quickly > 250, "{chain:?}: {quickly} rows");
        let close = |name: &str, found: &[f32], expected: &[f32], error: f64| {
            assert_eq!(found.len(), expected.len());
            for row in prepared.directed().and_not(prepared.extreme()).iter() {
                let Some(&value) = expected.get(row as usize) else { continue };
                let off = (f64::from(found[row as usize]) / f64::from(value) - 1.0).abs();
                assert!(
                    off <= error + 1.5e-7 || value == 0.0,
                    "{chain:?} {row}, {name}: off by {off:e}, said {error:e}"
                );
            }
        };
        // Where the length of what the chain makes of a row is asked for, `S_0` is the row's own, which is exact.
        let ends = program.ops.last().is_some_and(|op| matches!(op, super::program::Op::Normalize));
        close("alpha", &found.alpha, &expected.alpha, if ends { found.norm_error } else { 0.0 });
        // Plain norms are from single precision as well, and say so.
        assert!(!ends || program.ops.len() > 1 || found.norm_error >= simd::dot_error(d), "{}", found.norm_error);
        close("square", &found.squares, &expected.squares, 2.1 * found.norm_error);
        assert_eq!(found.extras.len(), expected.extras.len());
        for ((group, found), (of, expected)) in found.extras.iter().zip(&expected.extras) {
            assert_eq!(group, of);
            close("extra", found, expected, prepared.scalars().norm_error);
        }
        for row in prepared.directed().and_not(prepared.extreme()).iter().map(|row| row as usize) {
            let (found, least) = (f64::from(found.reach[row]), f64::from(expected.reach[row]));
            assert!(found >= least * (1.0 - 4e-7) && found <= 1.01 * least, "{chain:?} {row}: reach {found} {least}");
        }
        assert!(
            prepared.undirected().contains(0) || !matches!(program.ops.first(), Some(super::program::Op::Normalize))
        );
    }
}

/// A normalization that another one makes up for still says which rows have a direction, and a mean between two is
/// subtracted from what is left: rows at the mean are in neither.
#[test]
fn a_normalization_that_is_left_out_has_its_say() {
    let d = 64;
    let matrix: Vec<f32> = (0..d * d).map(|i| f32::from(u8::from(i % (d + 1) == 0))).collect();
    let def = |query| ProjectionDef {
        name: "m".to_string(),
        rows: d as u32,
        columns: d as u32,
        query,
        record: None,
        origin: String::new(),
        fitted_on: None,
    };
    let project = ResolvedStep::Project(Projection::from_def(&def(matrix)).unwrap());
    let mut data = vec![0.0; 400 * d];
    for (n, row) in data.chunks_exact_mut(d).enumerate() {
        row.iter_mut().enumerate().for_each(|(i, x)| *x = 1e4 + i as f32);
        // Every other row stands where the mean is, but for what single precision cannot tell.
        row[1] += if n % 2 == 0 { 1e-3 } else { [-64.0, 64.0][n / 2 % 2] };
    }
    let (source, live) = (MemoryRows::new(&data, d, ElementType::F32, 70), RowSet::from_range(0..400));
    let steps = vec![ResolvedStep::CenterCorpus, ResolvedStep::Normalize, project];
    let chain = Chain::new(steps, VectorMetric::Cosine, d).unwrap();
    let prepared = Prepared::compute(&chain, &source, &live).unwrap();
    let expected: Vec<u32> = (0..400).filter(|n| n % 2 == 0).collect();
    assert_eq!(prepared.undirected().iter().collect::<Vec<_>>(), expected);
}

/// The scores of `query` by row, `None` where there is no direction.
fn scores(data: &[f32], d: usize, steps: Vec<ResolvedStep>, metric: VectorMetric, query: usize) -> Vec<Option<f64>> {
    let (source, prepared) = prepare(data, d, steps, metric);
    let wide: Vec<f64> = data[query * d..(query + 1) * d].iter().map(|&x| f64::from(x)).collect();
    let query = prepared.process(&wide).expect("the query has a direction");
    let mut traveller = Traveller::default();
    let mut score = |row: u32| prepared.exact(&query, source.rows().row(row as usize), &mut traveller);
    (0..(data.len() / d) as u32).map(|row| prepared.directed().contains(row).then(|| score(row))).collect()
}

#[test]
fn a_large_column_does_not_hide_the_directions_of_small_ones() {
    let rows: [[f32; 3]; 8] = [
        [0.2, 0.9, 20_000.0],
        [0.5, 0.7, 90_000.0],
        [0.3, 0.1, 35_000.0],
        [0.4, 0.6, 5_000_000.0],
        [0.9, 0.5, 60_000.0],
        [0.1, 0.3, 400_000.0],
        [0.8, 0.8, 900_000.0],
        [0.6, 0.2, 2_000_000.0],
    ];
    // a d b h c e f g
    let found = scores(rows.as_flattened(), 3, vec![ResolvedStep::Standardize], VectorMetric::Cosine, 0);
    let expected = [1.0, 0.736, -0.319, -0.174, -0.415, 0.200, 0.095, -0.972];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.unwrap() - expected).abs() < 5e-4, "{found:?} {expected}");
    }
}

#[test]
fn what_a_column_leaves_says_nothing_about_those_beside_it() {
    // Unit columns beside one that is the same everywhere, one of timestamps, and one of their rounding.
    let columns = [[0.2f32, 0.9], [0.5, 0.7], [0.3, 0.1], [0.9, 0.5]];
    let beside = |third: fn(usize) -> f32| -> Vec<f32> {
        columns.iter().enumerate().flat_map(|(n, [a, b])| [*a, *b, third(n)]).collect()
    };
    let matrix = vec![1.0, 0.5, 1.0, -0.5, 1.0, 1.0];
    let def = ProjectionDef {
        name: "m".into(),
        rows: 2,
        columns: 3,
        query: matrix,
        record: None,
        origin: String::new(),
        fitted_on: None,
    };
    let project = ResolvedStep::Project(Projection::from_def(&def).unwrap());
    let plain = scores(columns.as_flattened(), 2, vec![ResolvedStep::CenterCorpus], VectorMetric::Cosine, 0);
    let constant: fn(usize) -> f32 = |_| 1.7e9;
    let late: fn(usize) -> f32 = |n| 1.7e9 + 86_400.0 * n as f32;
    for (third, steps, same) in [
        (constant, vec![ResolvedStep::CenterCorpus], true),
        (constant, vec![ResolvedStep::CenterCorpus, ResolvedStep::Truncate(2)], true),
        (constant, vec![ResolvedStep::Truncate(2), ResolvedStep::CenterCorpus], true),
        (constant, vec![ResolvedStep::CenterCorpus, ResolvedStep::CenterCorpus], true),
        (constant, vec![ResolvedStep::CenterCorpus, project.clone()], false),
        (constant, vec![ResolvedStep::Standardize], false),
        (late, vec![ResolvedStep::CenterCorpus, ResolvedStep::Truncate(2)], true),
        (late, vec![ResolvedStep::Truncate(2), ResolvedStep::CenterCorpus], true),
        (late, vec![ResolvedStep::CenterCorpus], false),
        (late, vec![ResolvedStep::Standardize], false),
        (late, vec![ResolvedStep::Whiten(None)], false),
        (late, vec![ResolvedStep::CenterCorpus, project], false),
    ] {
        let found = scores(&beside(third), 3, steps.clone(), VectorMetric::Cosine, 0);
        assert!(found.iter().all(Option::is_some), "{steps:?}: {found:?}");
        if same {
            let close = |(a, b): (&Option<f64>, &Option<f64>)| (a.unwrap() - b.unwrap()).abs() < 1e-12;
            assert!(found.iter().zip(&plain).all(close), "{steps:?}: {found:?} {plain:?}");
        }
    }
}

#[test]
fn a_spread_counts_from_two_units_in_the_last_place_on() {
    let directed = |rows: &[f32]| {
        let (_, prepared) = prepare(rows, 1, vec![ResolvedStep::CenterCorpus], VectorMetric::Cosine);
        prepared.directed().len()
    };
    // One unit at 2^24 is 2; the mean stands in the middle.
    let at = 16_777_216.0;
    assert_eq!(directed(&[at, at + 2.0, at + 4.0]), 0, "as rounding leaves it");
    assert_eq!(directed(&[at, at + 8.0, at + 16.0]), 2, "all but the one at the mean");
    assert_eq!(directed(&[1e6, 1e6 + 1.0, 1e6 + 2.0]), 2);
    assert_eq!(directed(&[3e-7; 4]), 0);
    // The same in a unit that nothing can be seen in.
    assert_eq!(directed(&[3e-37, 4e-37, 8e-37]), 3);
}

/// Divided by their deviations in all directions, fewer records than dimensions are all equally far from each other,
/// and a few more are nearly so.
#[test]
fn whitening_few_records_keeps_their_neighbourhoods() {
    let d = 40;
    let whiten = |k: Option<usize>| vec![ResolvedStep::Whiten(k)];
    for n in [24, 40, 41, 44, 56, 80] {
        let noise = rows(n, d, 0.002);
        let data: Vec<f32> = (0..n * d).map(|at| noise[at] + f32::from(u8::from(at % d == at / d % 3))).collect();
        for k in [None, Some(30)] {
            let found = scores(&data, d, whiten(k), VectorMetric::Cosine, 0);
            let least =
                |of: u32| (1..n as u32).filter(move |row| row % 3 == of).map(|row| found[row as usize].unwrap());
            let (near, far) = (least(0).fold(1.0, f64::min), least(1).chain(least(2)).fold(-1.0, f64::max));
            assert!(near > far + 0.1, "{n}: {near} {far}: {found:?}");
        }
        let (_, prepared) = prepare(&data, d, whiten(None), VectorMetric::Cosine);
        let expected = FewRecords { step: "whiten".into(), records: n as u64, dimensions: d };
        assert_eq!(prepared.of_few_records(), [expected]);
    }
    for n in [24, 50] {
        let (_, enough) = prepare(&rows(n, 6, 1.0), 6, whiten(None), VectorMetric::Cosine);
        assert!(enough.of_few_records().is_empty());
    }
}

/// What is said of few records, with its numbers.
#[test]
fn notes_on_few_records_have_their_numbers() {
    let note = |records, dimensions| FewRecords { step: "whiten".into(), records, dimensions }.to_string();
    assert_eq!(
        note(200, 384),
        "whiten has 200 record(s) in 384 dimensions: they differ in at most 199 directions, and no variance counts as \
         less than the mean of these; of so few, `center corpus` is often the better lens"
    );
    assert_eq!(
        note(768, 384),
        "whiten has 768 record(s) in 384 dimensions: as little as 8.6 % of a small variance is found, and none counts \
         as less than 0.66 of the mean one; of so few, `center corpus` is often the better lens"
    );
}

/// Where most columns are the same everywhere, a query that differs there is measured as where records differ.
#[test]
fn standardizing_columns_that_mostly_do_not_vary_does_not_blow_them_up() {
    let mut data = rows(50, 5, 1.0);
    data.chunks_mut(5).for_each(|row| row[..3].copy_from_slice(&[0.1, 0.2, 0.3]));
    let (_, prepared) = prepare(&data, 5, vec![ResolvedStep::Standardize], VectorMetric::Dot);
    let Statistic::Scale { divisor, .. } = &*prepared.statistics()[0].statistic else { panic!("divisors") };
    let wide: Vec<Vec<f64>> = data.chunks(5).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let deviation: Vec<f64> = covariance(&wide).1.iter().enumerate().map(|(i, row)| row[i].sqrt()).collect();
    let typical = (deviation[3] + deviation[4]) / 2.0;
    let expected = [typical, typical, typical, deviation[3], deviation[4]];
    assert!(divisor.iter().zip(expected).all(|(by, expected)| (by - expected).abs() < 1e-12), "{divisor:?}");
}

/// Rows that count how often a block of them is asked for.
struct Counted {
    rows: MemoryRows,
    reads: std::sync::atomic::AtomicUsize,
}

impl RowSource for Counted {
    fn dimension(&self) -> usize {
        self.rows.dimension()
    }

    fn row_count(&self) -> u32 {
        self.rows.row_count()
    }

    fn block_count(&self) -> usize {
        self.rows.block_count()
    }

    fn block_range(&self, block: usize) -> std::ops::Range<u32> {
        self.rows.block_range(block)
    }

    fn block(&self, block: usize) -> crate::error::Result<crate::linalg::RowsRef<'_>> {
        self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.rows.block(block)
    }

    fn identity(&self) -> (crate::types::ViewId, crate::types::CommitNumber) {
        self.rows.identity()
    }
}

/// A search of few rows does not look at the others: a condition that keeps none reads nothing, unless statistics are
/// asked for.
#[test]
fn only_the_rows_that_are_asked_for_are_read() {
    let rows = MemoryRows::new(&rows(5_000, 6, 1.0), 6, ElementType::F32, 100);
    let live = RowSet::from_range(0..5_000);
    let reads = |steps: Vec<ResolvedStep>, only: &[u32], pinned: &[PlacedStatistic]| {
        let source = Counted { rows: rows.clone(), reads: std::sync::atomic::AtomicUsize::new(0) };
        let chain = Chain::new(steps, VectorMetric::Cosine, 6).unwrap();
        let only = RowSet::from_rows(only.iter().copied());
        let known = Known { pinned, only: Some(&only), ..Known::default() };
        Prepared::compute_known(&chain, &source, &live, &known).unwrap();
        source.reads.into_inner()
    };
    assert_eq!(reads(vec![], &[], &[]), 0);
    assert_eq!(reads(vec![], &[7], &[]), 1);
    assert_eq!(reads(vec![], &[7, 8, 4_999], &[]), 2);
    let mean = PlacedStatistic { step_idx: 0, statistic: Arc::new(Statistic::Mean(vec![3.0; 6])), count: 5_000 };
    assert_eq!(reads(vec![ResolvedStep::CenterCorpus], &[], &[mean]), 0);
    assert_eq!(reads(vec![ResolvedStep::CenterCorpus], &[], &[]), 50);
}

/// Scalars of stores that were written by another rule for directions: what they call undirected is looked at again.
#[test]
fn a_kept_row_does_not_decide_that_a_record_has_no_direction() {
    let data = [0.2f32, 0.9, 2e4, 0.5, 0.7, 9e4, 0.3, 0.1, 3.5e4, 0.0, 0.0, 0.0];
    let source = MemoryRows::new(&data, 3, ElementType::F32, 2);
    let live = RowSet::from_range(0..4);
    let chain = Chain::new(vec![ResolvedStep::Standardize], VectorMetric::Cosine, 3).unwrap();
    let fresh = Prepared::compute(&chain, &source, &live).unwrap();
    let stored = |known: f32| -> Vec<f32> { [known, 0.0, 0.0, 0.0].repeat(4) };
    let kept = MemoryRows::new(&stored(1.0), 4, ElementType::F32, 3);
    let stored = StoredScalars { rows: &kept, known: &live };
    let prepared = Prepared::compute_stored(&chain, &source, &live, fresh.statistics(), Some(stored)).unwrap();
    assert_eq!(prepared.directed(), fresh.directed());
    assert_eq!(prepared.scalars().alpha, fresh.scalars().alpha);
    assert_eq!(prepared.scalars().reach, fresh.scalars().reach);
}
