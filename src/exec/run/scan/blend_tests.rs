//! Blends against naive loops over the oracle, and places in a ranking against sorting everything.

use super::*;
use crate::error::Result;
use crate::lens::memory::MemoryRows;
use crate::lens::oracle::{self, Verdict};
use crate::lens::{Chain, Prepared, Projection, ResolvedStep, RowSource, SampleRows, VectorMetric};
use crate::types::{ElementType, ProjectionDef, RowSet};
use proptest::prelude::*;
use rayon::ThreadPool;
use std::sync::LazyLock;

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

#[derive(Debug, Clone)]
struct LensCase {
    view: usize,
    weight: f64,
    steps: u8,
    metric: VectorMetric,
}

#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    dimensions: Vec<usize>,
    half: bool,
    block_rows: u32,
    seed: u64,
    lenses: Vec<LensCase>,
    k: usize,
    filter: u64,
    with_bound: bool,
    /// Small integers: many ties and duplicates.
    ties: bool,
    /// Row norms from 1e-35 to 1e35.
    mixed: bool,
    /// Dimensions of unequal scales, every third the same everywhere.
    unequal: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let weight = prop_oneof![
        3 => (-20i32..=20).prop_map(|w| f64::from(w) / 8.0),
        1 => Just(0.0),
        1 => prop::sample::select(vec![1e6, -1e6, 1e-9, 1.0, 0.7, 0.3]),
    ];
    let metric = prop::sample::select(vec![VectorMetric::Cosine, VectorMetric::Dot, VectorMetric::Pearson]);
    let lens = (0usize..3, weight, 0u8..8, metric).prop_map(|(view, weight, steps, metric)| LensCase {
        view,
        weight,
        steps,
        metric,
    });
    let shape = (
        prop_oneof![1 => 0usize..3, 6 => 3usize..150, 1 => 150usize..900],
        prop::collection::vec(prop_oneof![3 => 2usize..24, 1 => 60usize..140], 1..=3),
        any::<bool>(),
        1u32..200,
    );
    let ask = (0usize..40, prop::sample::select(vec![1u64, 1, 2, 10, 50]), prop::bool::weighted(0.3));
    let kinds = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.3));
    let rest = (any::<u64>(), prop::collection::vec(lens, 1..=4), kinds);
    (shape, ask, rest).prop_map(
        |(
            (rows, dimensions, half, block_rows),
            (k, filter, with_bound),
            (seed, mut lenses, (ties, mixed, unequal)),
        )| {
            lenses.iter_mut().for_each(|lens| lens.view %= dimensions.len());
            let half = half && !mixed && !unequal;
            Case { rows, dimensions, half, block_rows, seed, lenses, k, filter, with_bound, ties, mixed, unequal }
        },
    )
}

struct View {
    source: MemoryRows,
    live: RowSet,
    records: Vec<Option<Vec<f64>>>,
    query: Vec<f64>,
}

fn view(case: &Case, dimension: usize, random: &mut Random) -> View {
    let scales: Vec<f32> = (0..dimension).map(|_| 10f32.powi(random.below(16) as i32 - 6)).collect();
    let mut data: Vec<f32> = Vec::with_capacity(case.rows * dimension);
    for row in 0..case.rows {
        let kind = random.below(20);
        let magnitude = if case.mixed { 10f32.powi(random.below(71) as i32 - 35) } else { 1.0 };
        for i in 0..dimension {
            data.push(match kind {
                0 => 0.0,
                1 => 0.5,
                2 if row > 0 => data[(row - 1) * dimension + i],
                _ if case.unequal && i % 3 == 2 => scales[i],
                _ if case.unequal => (1.0 + 0.1 * random.number()) * scales[i],
                _ if case.ties => random.below(3) as f32 - 1.0,
                _ => random.number() * magnitude,
            });
        }
    }
    let element = if case.half { ElementType::F16 } else { ElementType::F32 };
    let source = MemoryRows::new(&data, dimension, element, case.block_rows);
    let live: RowSet = (0..case.rows as u32).filter(|_| random.below(12) > 0).collect();
    let mut row = Vec::new();
    let records = (0..case.rows).map(|i| {
        source.rows().row_f64(i, &mut row);
        live.contains(i as u32).then(|| row.clone())
    });
    let records = records.collect();
    let query = (0..dimension).map(|_| f64::from(random.number()) + 0.1).collect();
    View { source, live, records, query }
}

fn steps(choice: u8, dimension: usize, random: &mut Random) -> Vec<ResolvedStep> {
    let mut project = || {
        let rows = 1 + random.below(6) as u32;
        let columns = dimension as u32;
        let query = (0..rows * columns).map(|_| random.number()).collect();
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
    match choice {
        0 | 1 => vec![],
        2 => vec![ResolvedStep::CenterCorpus],
        3 => vec![ResolvedStep::Normalize, ResolvedStep::CenterCorpus],
        4 => vec![project()],
        5 => vec![ResolvedStep::CenterCorpus, project()],
        6 => vec![ResolvedStep::Center, ResolvedStep::Normalize],
        _ => vec![ResolvedStep::Truncate(1 + dimension / 2)],
    }
}

fn bits(result: &ScanResult) -> (Vec<(u32, u64)>, u64) {
    (result.hits.iter().map(|hit| (hit.row, hit.value.to_bits())).collect(), result.scanned)
}

/// Rows with a value under every lens, with the naive weighted sum and its size, best first.
fn truth(case: &Case, verdicts: &[Verdict], allowed: &RowSet) -> Vec<(u32, f64, f64)> {
    let mut ranking: Vec<(u32, f64, f64)> = allowed
        .iter()
        .filter_map(|row| {
            let (mut sum, mut size) = (0.0, 0.0);
            for (lens, verdict) in case.lenses.iter().zip(verdicts) {
                sum += lens.weight * verdict.values[row as usize]?;
                size += lens.weight.abs() * verdict.sizes[row as usize];
            }
            Some((row, sum, size))
        })
        .collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let mut random = Random(case.seed);
    let views: Vec<View> = case.dimensions.iter().map(|&d| view(case, d, &mut random)).collect();
    let all = RowSet::from_range(0..case.rows as u32);
    let present = views.iter().fold(all, |rows, view| rows.and(&view.live));
    let allowed = present.and(&(0..case.rows as u32).filter(|_| random.below(case.filter) == 0).collect());
    let (mut prepared, mut queries, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for lens in &case.lenses {
        let View { source, live, records, query } = &views[lens.view];
        let steps = steps(lens.steps, source.dimension(), &mut random);
        let chain = Chain::new(steps, lens.metric, source.dimension()).unwrap();
        let ready = Prepared::compute(&chain, source, live).unwrap();
        let verdict = oracle::evaluate(chain.steps(), lens.metric, records, query, ready.statistics());
        if verdict.on_the_line {
            return Err(TestCaseError::reject("rounding decides what has a direction"));
        }
        let Ok(query) = ready.process(query) else {
            prop_assert!(!verdict.query_directed);
            return Ok(());
        };
        queries.push(query);
        prepared.push(ready);
        verdicts.push(verdict);
    }
    let parts = case.lenses.iter().zip(prepared.iter().zip(&queries)).map(|(lens, (prepared, query))| WeightedLens {
        source_idx: lens.view,
        prepared,
        query,
        weight: lens.weight,
        kept: None,
    });
    let sources = views.iter().map(|view| &view.source as &dyn RowSource).collect();
    let blend = Blend { sources, parts: parts.collect() };
    let truth = truth(case, &verdicts, &allowed);
    let bound = (case.with_bound && !truth.is_empty()).then(|| truth[case.seed as usize % truth.len()].1);
    // All of them scored as they are shown, sorted and cut.
    let rows: Vec<u32> = truth.iter().map(|t| t.0).collect();
    let mut whole = blend.score(&rows).unwrap();
    for (hit, (row, value, size)) in whole.iter().zip(&truth) {
        prop_assert!((hit.value - value).abs() <= 1e-9 * size + 1e-300, "row {row}: {} is {value}", hit.value);
    }
    whole.sort_by(|a, b| finish::order(a, b, false));
    let listed = whole.iter().filter(|hit| bound.is_none_or(|bound| hit.value >= bound)).take(case.k).copied();
    let expected = bits(&ScanResult { hits: listed.collect(), scanned: truth.len() as u64 });
    for pool in POOLS.iter() {
        let found = pool.install(|| scan_blend(&blend, &allowed, case.k, bound)).unwrap();
        prop_assert_eq!(&bits(&found), &expected);
        for (place, hit) in whole.iter().enumerate().step_by(1 + whole.len() / 5) {
            let before = pool.install(|| count_before(&blend, &allowed, *hit)).unwrap();
            prop_assert_eq!(before, place as u64, "of row {}", hit.row);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, max_global_rejects: 3000, ..ProptestConfig::default() })]

    #[test]
    fn blends_are_the_weighted_sum_of_the_oracles_scores(case in case()) {
        check(&case)?;
    }
}

#[test]
fn places_under_a_distance_count_the_nearer_rows() {
    let data: Vec<f32> = (0..600).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
    let source = MemoryRows::new(&data, 3, ElementType::F32, 16);
    let live = RowSet::from_range(0..200);
    let chain = Chain::new(vec![], VectorMetric::Euclidean, 3).unwrap();
    let prepared = Prepared::compute(&chain, &source, &live).unwrap();
    let query = prepared.process(&[1.0, 0.5, -2.0]).unwrap();
    let hits = scan(&source, &prepared, &query, &live, 200, None).unwrap().hits;
    let part = WeightedLens { source_idx: 0, prepared: &prepared, query: &query, weight: 1.0, kept: None };
    let blend = Blend { sources: vec![&source], parts: vec![part] };
    for (place, hit) in hits.into_iter().enumerate() {
        assert_eq!(count_before(&blend, &live, hit).unwrap(), place as u64);
    }
}

#[test]
fn a_correction_for_hubs_may_be_taken_away() {
    let mut random = Random(3);
    let data: Vec<f32> = (0..900 * 8).map(|_| random.number()).collect();
    let source = MemoryRows::new(&data, 8, ElementType::F32, 50);
    let live = RowSet::from_range(0..900);
    let sample = SampleRows::new("asked", 8, data[..40 * 8].iter().map(|x| x + 0.2).collect::<Vec<f32>>());
    let plain = Chain::new(vec![], VectorMetric::Cosine, 8).unwrap();
    let corrected = plain.clone().with_csls(3, sample).unwrap();
    let prepared = [&plain, &corrected].map(|chain| Prepared::compute(chain, &source, &live).unwrap());
    let query: Vec<f64> = (0..8).map(|i| f64::from(i) - 3.0).collect();
    let queries = prepared.each_ref().map(|prepared| prepared.process(&query).unwrap());
    for weights in [[1.0, -1.0], [0.2, -2.0], [1.0, 1.0], [-1.0, 0.5], [0.0, -1.0]] {
        let part = |i: usize| WeightedLens {
            source_idx: 0,
            prepared: &prepared[i],
            query: &queries[i],
            weight: weights[i],
            kept: None,
        };
        let blend = Blend { sources: vec![&source], parts: vec![part(0), part(1)] };
        let rows: Vec<u32> = live.iter().collect();
        let mut expected = blend.score(&rows).unwrap();
        expected.sort_by(|a, b| finish::order(a, b, false));
        expected.truncate(10);
        assert_eq!(scan_blend(&blend, &live, 10, None).unwrap().hits, expected, "{weights:?}");
    }
}

/// A view whose last records have no vector ends before the others do, in the middle of a block of theirs.
#[test]
fn views_may_end_before_each_other() {
    let mut random = Random(5);
    let chain = Chain::new(vec![], VectorMetric::Dot, 8).unwrap();
    let (counts, weights) = ([190, 300], [1.0, 1.0]);
    let sources = counts.map(|count| {
        // The rows that matter are the last ones of the shorter view, by what that view says of them.
        let size = |row| if count == 190 && row >= 160 { 10.0 } else { 0.1 };
        let data: Vec<f32> = (0..count * 8).map(|i| size(i / 8) * (1.5 + random.number())).collect();
        MemoryRows::new(&data, 8, ElementType::F32, 50)
    });
    let live = counts.map(|count| RowSet::from_range(0..count as u32));
    let prepared = [0, 1].map(|i| Prepared::compute(&chain, &sources[i], &live[i]).unwrap());
    let queries = prepared.each_ref().map(|prepared| prepared.process(&[1.0; 8]).unwrap());
    for order in [[0, 1], [1, 0]] {
        let parts = order.into_iter().enumerate().map(|(source_idx, i)| WeightedLens {
            source_idx,
            prepared: &prepared[i],
            query: &queries[i],
            weight: weights[i],
            kept: None,
        });
        let blend = Blend { sources: order.map(|i| &sources[i] as &dyn RowSource).into(), parts: parts.collect() };
        let rows: Vec<u32> = live[0].iter().collect();
        let mut expected = blend.score(&rows).unwrap();
        expected.sort_by(|a, b| finish::order(a, b, false));
        assert!(expected[..5].iter().all(|hit| hit.row >= 160));
        for pool in POOLS.iter() {
            let found = pool.install(|| scan_blend(&blend, &live[0], 5, None)).unwrap();
            assert_eq!(found.hits, expected[..5], "{order:?}");
        }
        for (place, hit) in expected.iter().enumerate().step_by(7) {
            assert_eq!(count_before(&blend, &live[0], *hit).unwrap(), place as u64);
        }
    }
}
