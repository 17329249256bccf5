//! The scan against the oracle, for random lenses over random and hostile rows.

use super::finish::rescore;
use super::*;
use crate::error::Result;
use crate::lens::memory::MemoryRows;
use crate::lens::oracle::{self, Verdict};
use crate::lens::program::Traveller;
use crate::lens::step::SampleRows;
use crate::lens::{Chain, Known, Prepared, ProcessedQuery, Projection, ResolvedStep, RowProcessor, VectorMetric};
use crate::linalg::team::Team;
use crate::types::{ElementType, ProjectionDef, RowSet};
use proptest::prelude::*;
use rayon::ThreadPool;
use std::sync::LazyLock;

/// splitmix64: rows are made from a seed, so that a failing case is a few numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Roughly normal: the sum of four uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..4).map(|_| self.next() as f64 / u64::MAX as f64 - 0.5).sum::<f64>() * 1.73
    }
}

/// What sort of rows.
#[derive(Debug, Clone, Copy)]
enum Profile {
    Plain,
    /// A common mean a thousand times the spread.
    FarMean,
    /// Copies of a few rows with noise from 1e-2 down to nothing.
    NearDuplicates,
    /// Row norms from 1e-36 to 1e36.
    MixedMagnitudes,
    /// Rows so small, or so large, that squares and reciprocals leave `f32`.
    Extreme(i32),
    /// Small integers: many exact ties.
    Ties,
    /// Dimensions of unequal scales, some with an offset far beyond their spread, some the same everywhere.
    Unequal,
}

/// A dimension of [`Profile::Unequal`].
struct Column {
    offset: f64,
    spread: f64,
}

fn column(case: &Case, random: &mut Random) -> Column {
    let (least, powers) = if case.element == ElementType::F16 { (-3, 6) } else { (-6, 16) };
    let spread = 10f64.powi(random.below(powers) as i32 + least);
    // From none at all to one that leaves a few units of single precision for the spread, or less than one.
    let offset = match random.below(4) {
        0 => 0.0,
        1 => spread * 10f64.powi(random.below(9) as i32),
        2 => spread * f64::from(1 << 22) * (1.0 + random.below(8) as f64),
        _ => spread * random.normal(),
    };
    Column { offset, spread: if random.below(5) == 0 { 0.0 } else { spread } }
}

#[derive(Debug, Clone)]
enum StepChoice {
    Center,
    CenterCorpus,
    Normalize,
    CenterSides(u64),
    Standardize,
    Whiten(Option<u64>),
    Drop(u64),
    Truncate(u64),
    Project { k: usize, seed: u64, pair: bool, scale: i32 },
}

#[derive(Debug, Clone)]
struct Case {
    dimension: usize,
    rows: usize,
    profile: Profile,
    element: ElementType,
    seed: u64,
    block_rows: u32,
    steps: Vec<StepChoice>,
    metric: VectorMetric,
    /// How many of how many queries, for the correction of hubs.
    csls: Option<(usize, u64)>,
    k: usize,
    /// Keep about one in so many rows.
    filter: u64,
    with_bound: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let dimension = prop_oneof![
        6 => 1usize..=20, 3 => prop::sample::select(vec![31usize, 32, 33, 63, 64, 65, 127, 128, 129, 256]),
        1 => 257usize..=513
    ];
    let rows = prop_oneof![1 => 0usize..4, 6 => 4usize..200, 2 => 200usize..2000];
    let profile = prop_oneof![
        4 => Just(Profile::Plain), 3 => Just(Profile::FarMean), 3 => Just(Profile::NearDuplicates),
        2 => Just(Profile::MixedMagnitudes), 1 => prop::sample::select(vec![-44, -41, -38, 37, 39]).prop_map(Profile::Extreme),
        2 => Just(Profile::Ties), 6 => Just(Profile::Unequal),
    ];
    let step = prop_oneof![
        Just(StepChoice::Center),
        Just(StepChoice::CenterCorpus),
        Just(StepChoice::Normalize),
        any::<u64>().prop_map(StepChoice::CenterSides),
        Just(StepChoice::Standardize),
        any::<Option<u64>>().prop_map(StepChoice::Whiten),
        any::<u64>().prop_map(StepChoice::Drop),
        any::<u64>().prop_map(StepChoice::Truncate),
        (1usize..=40, any::<u64>(), any::<bool>(), prop::sample::select(vec![0, 0, 0, -9, 9]))
            .prop_map(|(k, seed, pair, scale)| StepChoice::Project { k, seed, pair, scale }),
    ];
    let metric = prop::sample::select(vec![
        VectorMetric::Cosine,
        VectorMetric::Dot,
        VectorMetric::Pearson,
        VectorMetric::Euclidean,
    ]);
    let shape =
        (dimension, rows, profile, prop::sample::select(vec![ElementType::F32, ElementType::F32, ElementType::F16]));
    let rest = (any::<u64>(), 1u32..300, prop::collection::vec(step, 0..=5), metric);
    let ask = (
        prop_oneof![4 => 0usize..20, 1 => 20usize..3000],
        prop::sample::select(vec![1u64, 1, 2, 10, 100]),
        prop::bool::weighted(0.3),
        prop::option::weighted(0.25, (1usize..8, any::<u64>())),
    );
    (shape, rest, ask).prop_map(
        |((dimension, rows, profile, element), (seed, block_rows, steps, metric), (k, filter, with_bound, csls))| {
            // The oracle is slow: long rows come in small numbers.
            let whole = |step: &StepChoice| matches!(step, StepChoice::Whiten(_) | StepChoice::Drop(_));
            let elements = if steps.iter().any(whole) { 20_000 } else { 60_000 };
            let rows = rows.min(elements / dimension);
            Case { dimension, rows, profile, element, seed, block_rows, steps, metric, csls, k, filter, with_bound }
        },
    )
}

/// Everything a case stands for.
struct World {
    source: MemoryRows,
    live: RowSet,
    allowed: RowSet,
    records: Vec<Option<Vec<f64>>>,
    queries: Vec<Vec<f64>>,
    chain: Chain,
}

fn projection(k: usize, d: usize, seed: u64, pair: bool, scale: i32) -> Projection {
    let mut random = Random(seed);
    let mut matrix = || -> Vec<f32> {
        // One in three has fewer independent rows than rows, as learned and hand-made ones do.
        let rank = if random.below(3) == 0 { k.div_ceil(2) } else { k };
        let rows: Vec<Vec<f32>> =
            (0..rank).map(|_| (0..d).map(|_| (random.normal() * 10f64.powi(scale)) as f32).collect()).collect();
        (0..k).flat_map(|i| rows[i % rank].clone()).collect()
    };
    let (query, record) = (matrix(), pair.then(&mut matrix));
    let (rows, columns) = (k as u32, d as u32);
    let def = ProjectionDef { name: "m".into(), rows, columns, query, record, origin: String::new(), fitted_on: None };
    Projection::from_def(&def).unwrap()
}

/// Some queries: near records, far from them, or zero.
fn sample(records: &[Option<Vec<f64>>], dimension: usize, seed: u64) -> SampleRows {
    let mut random = Random(seed);
    let present: Vec<&Vec<f64>> = records.iter().flatten().collect();
    let mut rows = Vec::new();
    for _ in 0..1 + random.below(6) {
        let near = (!present.is_empty()).then(|| present[random.below(present.len() as u64) as usize]);
        let kind = random.below(4);
        rows.extend((0..dimension).map(|i| match (kind, near) {
            (0, _) => 0.0,
            (1 | 2, Some(near)) => (near[i] * (1.0 + 0.1 * random.normal())).clamp(-1e38, 1e38) as f32,
            _ => random.normal() as f32,
        }));
    }
    SampleRows::new("asked", dimension, rows)
}

fn rows_of(case: &Case, random: &mut Random) -> Vec<f32> {
    let d = case.dimension;
    let mut far: Vec<f64> = (0..d).map(|_| random.normal()).collect();
    let largest = if case.element == ElementType::F16 { 100.0 } else { 1000.0 };
    far.iter_mut().for_each(|x| *x *= largest);
    let seeds: Vec<Vec<f64>> = (0..5).map(|_| (0..d).map(|_| random.normal()).collect()).collect();
    let mut data: Vec<f32> = Vec::with_capacity(case.rows * d);
    let unequal = if matches!(case.profile, Profile::Unequal) { d } else { 0 };
    let columns: Vec<Column> = (0..unequal).map(|_| column(case, random)).collect();
    for row in 0..case.rows {
        let kind = random.below(40);
        let magnitude = match case.profile {
            Profile::MixedMagnitudes => 10f64.powi(random.below(73) as i32 - 36),
            Profile::Extreme(exponent) => 10f64.powi(exponent),
            _ => 1.0,
        };
        let noise = 10f64.powi(-(random.below(9) as i32) - 1);
        for i in 0..d {
            let x = match (kind, case.profile) {
                (0, _) => 0.0,
                (1, _) => 0.75 * magnitude,
                (2, _) if row > 0 => f64::from(data[(row - 1) * d + i]),
                (_, Profile::FarMean) => far[i] + random.normal(),
                (_, Profile::NearDuplicates) => {
                    seeds[row % 5][i] * (1.0 + if row % 3 == 0 { 0.0 } else { noise * random.normal() })
                }
                (_, Profile::Ties) => random.below(3) as f64 - 1.0,
                // Nothing but the offset, which is about the mean.
                (2..=5, Profile::Unequal) => columns[i].offset,
                (_, Profile::Unequal) => columns[i].offset + columns[i].spread * random.normal(),
                _ => random.normal() * magnitude,
            };
            let largest = if case.element == ElementType::F16 { 65504.0 } else { f64::from(f32::MAX) };
            data.push(x.clamp(-largest, largest) as f32);
        }
    }
    data
}

fn world(case: &Case) -> World {
    let mut random = Random(case.seed);
    let data = rows_of(case, &mut random);
    let source = MemoryRows::new(&data, case.dimension, case.element, case.block_rows);
    let live: RowSet = (0..case.rows as u32).filter(|_| random.below(10) > 0).collect();
    let allowed: RowSet =
        (0..case.rows as u32).filter(|_| random.below(case.filter) == 0).collect::<RowSet>().and(&live);
    let mut row = Vec::new();
    let records: Vec<Option<Vec<f64>>> = (0..case.rows)
        .map(|i| {
            source.rows().row_f64(i, &mut row);
            live.contains(i as u32).then(|| row.clone())
        })
        .collect();
    let mut d = case.dimension;
    let mut steps = Vec::new();
    for step in &case.steps {
        steps.push(match step {
            StepChoice::Center => ResolvedStep::Center,
            StepChoice::CenterCorpus => ResolvedStep::CenterCorpus,
            StepChoice::Normalize => ResolvedStep::Normalize,
            StepChoice::CenterSides(seed) => ResolvedStep::CenterSides(sample(&records, case.dimension, *seed)),
            StepChoice::Standardize => ResolvedStep::Standardize,
            StepChoice::Whiten(None) => ResolvedStep::Whiten(None),
            StepChoice::Whiten(Some(k)) => {
                d = 1 + (*k % d as u64) as usize;
                ResolvedStep::Whiten(Some(d))
            }
            // One dimension has nothing to drop and to keep.
            StepChoice::Drop(_) if d == 1 => ResolvedStep::CenterCorpus,
            StepChoice::Drop(k) => ResolvedStep::Drop(1 + (*k % (d as u64 - 1)) as usize),
            StepChoice::Truncate(k) => {
                d = 1 + (*k % d as u64) as usize;
                ResolvedStep::Truncate(d)
            }
            StepChoice::Project { k, seed, pair, scale } => {
                let projection = projection(*k, d, *seed, *pair, *scale);
                d = *k;
                ResolvedStep::Project(projection)
            }
        });
    }
    let mut chain = Chain::new(steps, case.metric, case.dimension).unwrap();
    if let (Some((k, seed)), false) = (case.csls, case.metric.is_distance()) {
        chain = chain.with_csls(k, sample(&records, case.dimension, seed)).unwrap();
    }
    let known = records.iter().flatten().nth(random.below(7) as usize).cloned();
    let mut queries = vec![known.unwrap_or_else(|| vec![1.0; case.dimension])];
    let near = queries[0].iter().map(|x| x * (1.0 + 1e-3 * random.normal()) + 1e-30).collect();
    queries.push(near);
    queries.push((0..case.dimension).map(|_| random.normal()).collect());
    World { source, live, allowed, records, queries, chain }
}

static POOLS: LazyLock<Vec<ThreadPool>> =
    LazyLock::new(|| [1, 2, 7].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap()).into());

/// Threads that ask for themselves, with as many helpers as the pools have.
static TEAMS: [Team; 3] = [Team::new(1), Team::new(2), Team::new(7)];

/// A threshold that cuts through the values, sometimes exactly at one of them.
fn bound(case: &Case, verdict: &Verdict) -> Option<f64> {
    let values: Vec<f64> = verdict.values.iter().flatten().copied().collect();
    (case.with_bound && !values.is_empty()).then(|| values[case.seed as usize % values.len()])
}

/// Rows with the bits of their scores, and how many rows were looked at.
type Bits = (Vec<(u32, u64)>, u64);

fn bits(result: &ScanResult) -> Bits {
    (result.hits.iter().map(|hit| (hit.row, hit.value.to_bits())).collect(), result.scanned)
}

/// All allowed rows scored in full, sorted and cut: the answer that candidates must not change.
fn in_full(world: &World, prepared: &Prepared, query: &ProcessedQuery, k: usize, bound: Option<f64>) -> Vec<Scored> {
    let rows: Vec<u32> = world.allowed.and(prepared.directed()).iter().collect();
    let mut hits = rescore(&world.source, prepared, query, &rows).unwrap();
    let sign = if prepared.chain().metric().is_distance() { -1.0 } else { 1.0 };
    hits.retain(|hit| bound.is_none_or(|bound| sign * hit.value >= sign * bound));
    hits.sort_by(|a, b| (sign * b.value).total_cmp(&(sign * a.value)).then(a.row.cmp(&b.row)));
    hits.truncate(k);
    hits
}

/// The scores of `hits` agree with the oracle's, and no better row is missing, but for rounding.
fn agrees(
    world: &World,
    verdict: &Verdict,
    hits: &[Scored],
    k: usize,
    bound: Option<f64>,
) -> Result<(), TestCaseError> {
    let sign = if world.chain.metric().is_distance() { -1.0 } else { 1.0 };
    let slack = |row: u32| 1e-9 * verdict.sizes[row as usize] + 1e-300;
    for hit in hits {
        let truth = verdict.values[hit.row as usize].expect("a hit has a value");
        prop_assert!(!hit.value.is_nan());
        prop_assert!((hit.value - truth).abs() <= slack(hit.row), "row {}: {} is {truth}", hit.row, hit.value);
    }
    let worst = if hits.len() == k { hits.last().map(|hit| hit.value) } else { bound };
    for row in world.allowed.iter() {
        let Some(value) = verdict.values[row as usize] else { continue };
        if hits.iter().any(|hit| hit.row == row) {
            continue;
        }
        let Some(worst) = worst else {
            prop_assert!(k == 0, "row {row} is missing");
            continue;
        };
        let worst_slack = hits.last().map_or(0.0, |hit| slack(hit.row));
        prop_assert!(sign * value <= sign * worst + slack(row) + worst_slack, "row {row} with {value} is missing");
    }
    Ok(())
}

/// The one reason for which a chain that fits its dimensions may be refused for its rows.
fn refused(world: &World, case: &Case, error: &crate::Error) -> Result<(), TestCaseError> {
    if error.message().starts_with("csls: no query of sample asked has a direction") {
        // Statistics would have to be handed in; the message is tested by itself.
        return Err(TestCaseError::reject("nobody to compare with"));
    }
    let ours = error.message().contains("no query of sample asked arrives there");
    prop_assert!(ours, "{}", error);
    // What comes after the lost mean would have to be handed in, and is not there.
    let until = world.chain.steps().iter().position(|step| matches!(step, ResolvedStep::CenterSides(_))).unwrap();
    let takes = |step: &ResolvedStep| matches!(step, ResolvedStep::Whiten(_) | ResolvedStep::Drop(_));
    if !world.chain.steps()[..until].iter().any(takes) {
        let verdict = oracle::evaluate(world.chain.steps(), case.metric, &world.records, &world.queries[0], &[]);
        prop_assert!(verdict.sample_lost || verdict.on_the_line);
    }
    Ok(())
}

/// What the language says.
fn verdict(world: &World, query: &[f64], prepared: &Prepared) -> Verdict {
    let (steps, metric, records) = (world.chain.steps(), world.chain.metric(), &world.records);
    let Some(csls) = world.chain.csls() else {
        return oracle::evaluate(steps, metric, records, query, prepared.statistics());
    };
    let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect();
    let sample: Vec<Vec<f64>> = csls.sample.rows().chunks(csls.sample.dimension).map(wide).collect();
    oracle::evaluate_csls(steps, metric, records, query, prepared.statistics(), (csls.k, &sample))
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let world = world(case);
    let prepared = match POOLS[2].install(|| Prepared::compute(&world.chain, &world.source, &world.live)) {
        Ok(prepared) => prepared,
        Err(error) => return refused(&world, case, &error),
    };
    let single = POOLS[0].install(|| Prepared::compute(&world.chain, &world.source, &world.live)).unwrap();
    prop_assert_eq!(prepared.statistics(), single.statistics(), "statistics do not depend on threads");
    let (mut processed, mut expected) = (Vec::new(), Vec::new());
    let mut limit = None;
    for query in &world.queries {
        let verdict = verdict(&world, query, &prepared);
        prop_assert!(!verdict.sample_lost);
        if verdict.on_the_line {
            return Err(TestCaseError::reject("rounding decides what has a direction"));
        }
        prop_assert_eq!(prepared.undirected().iter().collect::<Vec<_>>(), verdict.undirected.clone());
        match prepared.process(query) {
            Err(error) => {
                prop_assert!(!verdict.query_directed, "{}", error);
                prop_assert!(error.message().starts_with("the query has no direction under this lens"));
            }
            Ok(query) => {
                prop_assert!(verdict.query_directed);
                // The whole batch has one bound, so all of its queries do.
                let bound = *limit.get_or_insert_with(|| bound(case, &verdict));
                let full = in_full(&world, &prepared, &query, case.k, bound);
                agrees(&world, &verdict, &full, case.k, bound)?;
                let expected_bits =
                    bits(&ScanResult { hits: full, scanned: world.allowed.and(prepared.directed()).len() });
                for pool in POOLS.iter() {
                    let found =
                        pool.install(|| scan(&world.source, &prepared, &query, &world.allowed, case.k, bound)).unwrap();
                    prop_assert_eq!(&bits(&found), &expected_bits);
                }
                for team in &TEAMS {
                    let found =
                        team.with(|| scan(&world.source, &prepared, &query, &world.allowed, case.k, bound)).unwrap();
                    prop_assert_eq!(&bits(&found), &expected_bits);
                }
                processed.push(query);
                expected.push(expected_bits);
            }
        }
    }
    for pool in POOLS.iter() {
        let batch = pool
            .install(|| scan_batch(&world.source, &single, &processed, &world.allowed, case.k, limit.flatten()))
            .unwrap();
        prop_assert_eq!(&batch.iter().map(bits).collect::<Vec<_>>(), &expected);
    }
    check_some(case, &world, &prepared, &processed, &expected, limit.flatten())?;
    let disturbed = single.disturbed(1e-3);
    for (query, expected) in processed.iter().zip(&expected) {
        let found = scan(&world.source, &disturbed, query, &world.allowed, case.k, limit.flatten()).unwrap();
        prop_assert_eq!(&bits(&found), expected, "norms within their stated error cost a row its place");
    }
    let batch = scan_batch(&world.source, &disturbed, &processed, &world.allowed, case.k, limit.flatten()).unwrap();
    prop_assert_eq!(&batch.iter().map(bits).collect::<Vec<_>>(), &expected);
    let found = by_stand_in(case, &world, &prepared, &processed, limit.flatten());
    prop_assert!(found.is_none_or(|found| found == expected), "materialized rows answer otherwise");
    Ok(())
}

/// What was prepared for the allowed rows alone, at once or half of them after the others, answers like what was
/// prepared for all.
fn check_some(
    case: &Case,
    world: &World,
    all: &Prepared,
    queries: &[ProcessedQuery],
    expected: &[Bits],
    bound: Option<f64>,
) -> Result<(), TestCaseError> {
    let only = |rows: &RowSet, earlier: Option<&Prepared>| {
        let pinned = earlier.map(|earlier| earlier.statistics().to_vec()).unwrap_or_default();
        let known = Known { pinned: &pinned, earlier, only: Some(rows), ..Known::default() };
        Prepared::compute_known(&world.chain, &world.source, &world.live, &known).unwrap()
    };
    let half: RowSet = world.allowed.iter().filter(|row| row % 2 == 0).collect();
    let first = only(&half, None);
    for some in [only(&world.allowed, None), only(&world.allowed, Some(&first))] {
        prop_assert_eq!(some.statistics(), all.statistics());
        prop_assert_eq!(some.directed(), &all.directed().and(&world.allowed));
        prop_assert_eq!(some.undirected(), &all.undirected().and(&world.allowed));
        for (query, expected) in queries.iter().zip(expected) {
            let found = scan(&world.source, &some, query, &world.allowed, case.k, bound).unwrap();
            prop_assert_eq!(&bits(&found), expected, "scalars of some rows answer otherwise");
        }
    }
    Ok(())
}

/// What the processed rows of the lens's steps answer in place of the raw ones; `None` where none are kept of it.
fn by_stand_in(
    case: &Case,
    world: &World,
    prepared: &Prepared,
    queries: &[ProcessedQuery],
    bound: Option<f64>,
) -> Option<Vec<Bits>> {
    if world.chain.csls().is_some() {
        return None;
    }
    let element = if case.seed.is_multiple_of(2) { ElementType::F32 } else { ElementType::F16 };
    let steps = world.chain.steps().to_vec();
    let processor = RowProcessor::new(steps, case.dimension, prepared.statistics(), element).ok()?;
    let d = processor.dimension();
    let (mut traveller, mut data, mut kept) = (Traveller::default(), Vec::new(), RowSet::new());
    for row in 0..case.rows {
        let raw = world.source.rows().row(row);
        if world.live.contains(row as u32) && processor.process(raw, &mut traveller, &mut data) {
            kept.insert(row as u32);
        }
        data.resize((row + 1) * d, 0.0);
    }
    let source = MemoryRows::new(&data, d, element, case.block_rows);
    let chain = Chain::new(Vec::new(), case.metric, d).unwrap();
    let lens = Prepared::compute(&chain, &source, &kept).unwrap();
    let rows = StandIn { source: &source, prepared: &lens, element };
    let search = || scan_stand_in(&world.source, prepared, rows, queries, &world.allowed, case.k, bound).unwrap();
    Some(POOLS[1].install(search).iter().map(bits).collect())
}

/// Cases of one run; more where the environment asks for them.
fn cases() -> u32 {
    std::env::var("SIMILE_SCAN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

/// What was prepared for some of the rows and extended to all of them answers like what was prepared for all.
fn check_extended(case: &Case) -> Result<(), TestCaseError> {
    let world = world(case);
    let mut random = Random(case.seed ^ 1);
    let cut = random.below(case.rows as u64 + 1) as usize;
    let data: Vec<f32> = (0..case.rows)
        .flat_map(|row| {
            let mut out = Vec::new();
            world.source.rows().row_f32(row, &mut out);
            out
        })
        .collect();
    let before = MemoryRows::new(&data[..cut * case.dimension], case.dimension, case.element, case.block_rows);
    // Some of the rows went since, some had no vector yet.
    let earlier: RowSet = (0..cut as u32).filter(|_| random.below(4) > 0).collect();
    let Ok(full) = Prepared::compute(&world.chain, &world.source, &world.live) else { return Ok(()) };
    let pinned = if random.below(2) == 0 { full.statistics().to_vec() } else { Vec::new() };
    let Ok(early) = Prepared::compute_pinned(&world.chain, &before, &earlier, &pinned) else { return Ok(()) };
    let extended = early.extend(&world.source, &world.live, &pinned).unwrap();
    prop_assert_eq!(extended.statistics(), full.statistics());
    prop_assert_eq!(extended.undirected(), full.undirected());
    prop_assert_eq!(extended.directed(), full.directed());
    // Which rows are extreme may differ where rounding is all that is left of them: they are scored in full either way.
    for query in &world.queries {
        let (Ok(one), Ok(other)) = (full.process(query), extended.process(query)) else { continue };
        let expected = scan(&world.source, &full, &one, &world.allowed, case.k, None).unwrap();
        let found = scan(&world.source, &extended, &other, &world.allowed, case.k, None).unwrap();
        prop_assert_eq!(bits(&found), bits(&expected));
        prop_assert_eq!(in_full(&world, &full, &one, case.k, None), found.hits);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_global_rejects: 10 * cases(), ..ProptestConfig::default() })]

    #[test]
    fn folded_scans_are_the_oracle(case in case()) {
        check(&case)?;
    }

    #[test]
    fn what_is_extended_is_what_is_prepared_anew(case in case()) {
        check_extended(&case)?;
    }
}
