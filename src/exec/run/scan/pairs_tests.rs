//! Pairs against two naive loops over the oracle, and against every pair scored in full.

use super::pairs::{Limits, PairScan, ScoredPair, scan_in_parts, scan_pairs};
use super::wanted::Wanted;
use crate::error::ErrorKind;
use crate::lens::memory::MemoryRows;
use crate::lens::program::Traveller;
use crate::lens::step::SampleRows;
use crate::lens::{Chain, Prepared, Projection, ResolvedStep, VectorMetric, oracle};
use crate::types::control::{CancelToken, Control};
use crate::types::{ElementType, ProjectionDef, RowSet};
use proptest::prelude::*;
use rayon::ThreadPool;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static POOLS: LazyLock<Vec<ThreadPool>> =
    LazyLock::new(|| [1, 2, 7].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap()).into());

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn number(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }
}

#[derive(Debug, Clone, Copy)]
enum Profile {
    Plain,
    /// Small integers and copies.
    Ties,
    /// A mean a thousand times the spread.
    FarMean,
    /// Row norms from 1e-35 to 1e35.
    Mixed,
    /// Dimensions of unequal scales, with means a thousand times the spread, every third the same everywhere.
    Unequal,
}

#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    dimension: usize,
    half: bool,
    profile: Profile,
    seed: u64,
    steps: u8,
    csls: bool,
    metric: VectorMetric,
    k: usize,
    filter: u64,
    with_bound: bool,
    part_rows: usize,
    unscored: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let metric = prop::sample::select(vec![
        VectorMetric::Cosine,
        VectorMetric::Dot,
        VectorMetric::Pearson,
        VectorMetric::Euclidean,
    ]);
    let profile =
        prop::sample::select(vec![Profile::Plain, Profile::Ties, Profile::FarMean, Profile::Mixed, Profile::Unequal]);
    let rows = prop_oneof![1 => 0usize..4, 8 => 4usize..70];
    let shape = (rows, 2usize..20, any::<bool>(), profile, any::<u64>());
    let lens = (0u8..9, any::<bool>(), metric);
    let ask = (0usize..40, prop::bool::weighted(0.1), prop::sample::select(vec![1u64, 1, 2, 8]), any::<bool>());
    let limits = (prop::sample::select(vec![5usize, 20, 1000]), prop::sample::select(vec![10usize, 1 << 20]));
    (shape, lens, ask, limits).prop_map(
        |((rows, dimension, half, profile, seed), (steps, csls, metric), (k, all, filter, with_bound), limits)| {
            let half = half && !matches!(profile, Profile::Mixed | Profile::Unequal);
            let k = if all { 10_000 } else { k };
            let (part_rows, unscored) = limits;
            Case {
                rows,
                dimension,
                half,
                profile,
                seed,
                steps,
                csls: csls && !metric.is_distance(),
                metric,
                k,
                filter,
                with_bound,
                part_rows,
                unscored,
            }
        },
    )
}

fn rows(case: &Case, random: &mut Random) -> Vec<f32> {
    let mean: Vec<f32> = (0..case.dimension).map(|_| random.number() * 1000.0).collect();
    let scales: Vec<f32> = (0..case.dimension).map(|_| 10f32.powi(random.below(16) as i32 - 6)).collect();
    let mut data: Vec<f32> = Vec::new();
    for row in 0..case.rows {
        let kind = random.below(12);
        let magnitude = 10f32.powi(random.below(71) as i32 - 35);
        for (i, mean) in mean.iter().enumerate() {
            data.push(match (kind, case.profile) {
                (0, _) => 0.0,
                (1, _) => 0.5,
                (2 | 3, _) if row > 0 => data[(row - 1) * case.dimension + i],
                (_, Profile::Ties) => random.below(3) as f32 - 1.0,
                (_, Profile::FarMean) => mean + random.number(),
                (_, Profile::Unequal) if i % 3 == 2 => mean * scales[i],
                (_, Profile::Unequal) => (mean + random.number()) * scales[i],
                (_, Profile::Mixed) => random.number() * magnitude,
                (_, Profile::Plain) => random.number(),
            });
        }
    }
    data
}

fn steps(case: &Case, random: &mut Random) -> Vec<ResolvedStep> {
    let mut project = |pair: bool| {
        let rows = 1 + random.below(6) as u32;
        let columns = case.dimension as u32;
        let mut matrix = || -> Vec<f32> { (0..rows * columns).map(|_| random.number()).collect() };
        let (query, record) = (matrix(), pair.then(&mut matrix));
        let def =
            ProjectionDef { name: "m".into(), rows, columns, query, record, origin: String::new(), fitted_on: None };
        ResolvedStep::Project(Projection::from_def(&def).unwrap())
    };
    match case.steps {
        0 | 1 => vec![],
        2 => vec![ResolvedStep::CenterCorpus],
        3 => vec![ResolvedStep::Normalize, ResolvedStep::CenterCorpus],
        4 => vec![project(false)],
        5 => vec![ResolvedStep::CenterCorpus, project(true)],
        8 => vec![ResolvedStep::Standardize],
        6 => vec![project(true)],
        _ => vec![ResolvedStep::Center, ResolvedStep::Truncate(1 + case.dimension / 2)],
    }
}

/// Every pair's better direction, scored as a search scores it, best first.
fn in_full(source: &MemoryRows, prepared: &Prepared, allowed: &RowSet) -> (Vec<ScoredPair>, RowSet) {
    let (mut row, mut traveller) = (Vec::new(), Traveller::default());
    let mut undirected = allowed.and(prepared.undirected());
    let mut queries = Vec::new();
    for a in allowed.and(prepared.directed()).iter() {
        source.rows().row_f64(a as usize, &mut row);
        match prepared.process(&row) {
            Ok(query) => queries.push((a, query)),
            Err(_) => {
                undirected.insert(a);
            }
        }
    }
    let sign = if prepared.chain().metric().is_distance() { -1.0 } else { 1.0 };
    let mut pairs = Vec::new();
    for (i, (a, query)) in queries.iter().enumerate() {
        for (b, other) in &queries[i + 1..] {
            let there = prepared.exact(query, source.rows().row(*b as usize), &mut traveller);
            let back = prepared.exact(other, source.rows().row(*a as usize), &mut traveller);
            let (a, b, value) = if sign * back > sign * there { (*b, *a, back) } else { (*a, *b, there) };
            pairs.push(ScoredPair { a, b, value });
        }
    }
    let place = |pair: &ScoredPair| (pair.a.min(pair.b), pair.a.max(pair.b));
    pairs.sort_by(|x, y| (sign * y.value + 0.0).total_cmp(&(sign * x.value + 0.0)).then(place(x).cmp(&place(y))));
    (pairs, undirected)
}

fn bits(hits: &[ScoredPair]) -> Vec<(u32, u32, u64)> {
    hits.iter().map(|pair| (pair.a, pair.b, (pair.value + 0.0).to_bits())).collect()
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let mut random = Random(case.seed);
    let data = rows(case, &mut random);
    let element = if case.half { ElementType::F16 } else { ElementType::F32 };
    let source = MemoryRows::new(&data, case.dimension, element, 1 + random.below(30) as u32);
    let live: RowSet = (0..case.rows as u32).filter(|_| random.below(12) > 0).collect();
    let allowed = live.and(&(0..case.rows as u32).filter(|_| random.below(case.filter) == 0).collect());
    let chain = Chain::new(steps(case, &mut random), case.metric, case.dimension).unwrap();
    let sample: Vec<f32> = (0..5 * case.dimension).map(|_| random.number() + 0.01).collect();
    let chain = if case.csls {
        let sample = SampleRows::new("asked", case.dimension, sample);
        chain.with_csls(2, sample).unwrap()
    } else {
        chain
    };
    let Ok(prepared) = Prepared::compute(&chain, &source, &live) else {
        return Err(TestCaseError::reject("no query of the sample has a direction"));
    };
    let (full, undirected) = in_full(&source, &prepared, &allowed);
    agrees_with_the_oracle(case, &source, &prepared, &live, &full)?;
    let bound = (case.with_bound && !full.is_empty()).then(|| full[case.seed as usize % full.len()].value);
    let reaches = |pair: &&ScoredPair| match bound {
        Some(bound) if case.metric.is_distance() => pair.value <= bound,
        Some(bound) => pair.value >= bound,
        None => true,
    };
    let expected: Vec<ScoredPair> = full.iter().filter(reaches).take(case.k).copied().collect();
    let limits = Limits { part_rows: case.part_rows, unscored: case.unscored };
    let wanted = Wanted { k: case.k, bound };
    for pool in POOLS.iter() {
        let control = Control::new();
        let found: PairScan =
            pool.install(|| scan_in_parts(&source, &prepared, &allowed, wanted, limits, &control)).unwrap();
        prop_assert_eq!(bits(&found.hits), bits(&expected));
        prop_assert_eq!(&found.undirected, &undirected);
    }
    Ok(())
}

/// The pairs' scores are those that the language's naive evaluator gives `a` as a query for `b` as a record.
fn agrees_with_the_oracle(
    case: &Case,
    source: &MemoryRows,
    prepared: &Prepared,
    live: &RowSet,
    full: &[ScoredPair],
) -> Result<(), TestCaseError> {
    let mut row = Vec::new();
    let mut raw = |i: u32| {
        source.rows().row_f64(i as usize, &mut row);
        row.clone()
    };
    let records: Vec<Option<Vec<f64>>> = (0..case.rows as u32).map(|i| live.contains(i).then(|| raw(i))).collect();
    for pair in full.iter().step_by(1 + full.len() / 8) {
        let (chain, statistics) = (prepared.chain(), prepared.statistics());
        let verdict = match chain.csls() {
            None => oracle::evaluate(chain.steps(), case.metric, &records, &raw(pair.a), statistics),
            Some(csls) => {
                let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect();
                let sample: Vec<Vec<f64>> = csls.sample.rows().chunks(csls.sample.dimension).map(wide).collect();
                let asked = (csls.k, sample.as_slice());
                oracle::evaluate_csls(chain.steps(), case.metric, &records, &raw(pair.a), statistics, asked)
            }
        };
        if verdict.on_the_line {
            return Err(TestCaseError::reject("rounding decides what has a direction"));
        }
        let value = verdict.values[pair.b as usize].expect("a pair has a value");
        let slack = 1e-9 * verdict.sizes[pair.b as usize] + 1e-300;
        prop_assert!((pair.value - value).abs() <= slack, "{pair:?} is {value}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_global_rejects: 3000, ..ProptestConfig::default() })]

    #[test]
    fn pairs_are_every_pair_sorted(case in case()) {
        check(&case)?;
    }
}

fn plain(rows: usize, dimension: usize, value: impl FnMut(usize) -> f32) -> (MemoryRows, Prepared, RowSet) {
    let data: Vec<f32> = (0..rows * dimension).map(value).collect();
    let source = MemoryRows::new(&data, dimension, ElementType::F32, 300);
    let live = RowSet::from_range(0..rows as u32);
    let chain = Chain::new(vec![], VectorMetric::Cosine, dimension).unwrap();
    let prepared = Prepared::compute(&chain, &source, &live).unwrap();
    (source, prepared, live)
}

#[test]
fn pairs_of_several_tiles_are_all_there() {
    let mut random = Random(3);
    let (source, prepared, live) = plain(1500, 4, |_| random.number());
    let found = POOLS[1].install(|| scan_pairs(&source, &prepared, &live, 200, Some(0.9), &Control::new())).unwrap();
    let (full, _) = in_full(&source, &prepared, &live);
    assert_eq!(bits(&found.hits), bits(&full[..200]));
}

#[test]
fn equal_rows_by_the_thousand_take_bounded_memory() {
    let (source, prepared, live) = plain(1200, 3, |i| [1.0, 2.0, 3.0][i % 3]);
    let limits = Limits { part_rows: 500, unscored: 1000 };
    let wanted = Wanted { k: 5, bound: None };
    let found = scan_in_parts(&source, &prepared, &live, wanted, limits, &Control::new()).unwrap();
    let pairs: Vec<_> = found.hits.iter().map(|pair| (pair.a, pair.b)).collect();
    assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
}

#[test]
fn a_scan_for_pairs_reports_and_stops() {
    let (source, prepared, live) = plain(600, 4, |i| i as f32);
    let done = std::sync::Arc::new(AtomicU64::new(0));
    let (token, seen) = (CancelToken::new(), std::sync::Arc::clone(&done));
    let control = Control::new()
        .on_progress(move |progress| {
            assert_eq!(progress.total, Some(600 * 599 / 2));
            seen.fetch_max(progress.done, Ordering::Relaxed);
        })
        .cancelled_by(token.clone());
    scan_pairs(&source, &prepared, &live, 3, None, &control).unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 600 * 599 / 2);
    token.cancel();
    let stopped = scan_pairs(&source, &prepared, &live, 3, None, &control).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
}
