//! The language in code: every step applied to every record, one after another, in plain `f64` loops.
//!
//! Deliberately naive, and deliberately without a line shared with what it judges: no folding, no scalars, no tiles,
//! no kernels. Besides each score it tells the size of the terms that the score is made of, so that a test can say
//! how far rounding alone may carry two right answers apart.

use super::statistics::PlacedStatistic;
use super::{Projection, ResolvedStep, VectorMetric};
use crate::linalg::Matrix;
use crate::types::Statistic;

/// What the language says about one query and all records.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Whether the query has a direction wherever one is needed.
    pub query_directed: bool,
    /// By row: the score (or distance); `None` for rows without a vector or a direction, and if the query has none.
    pub values: Vec<Option<f64>>,
    /// By row: the size of the terms of the value.
    pub sizes: Vec<f64>,
    /// Rows with a vector and without a direction.
    pub undirected: Vec<u32>,
    /// Whether something came so close to a line (between direction and none, between variance and none) that
    /// rounding decides.
    pub on_the_line: bool,
    /// Whether no query of a sample reached the step that needs its mean.
    pub sample_lost: bool,
}

/// A vector under way.
#[derive(Debug, Clone)]
struct State {
    y: Vec<f64>,
    /// By coordinate: how far rounding may have moved it, from the first subtraction since the vector last had unit
    /// length.
    noise: Vec<f64>,
    /// By coordinate: the largest numbers that went into subtractions since then, through the steps behind them.
    entered: Vec<f64>,
    /// Size of the terms that `y` is made of.
    size: f64,
}

/// What a step takes from everybody before it looks at one.
#[derive(Debug, Default)]
struct Taken {
    /// Mean of the records.
    mean: Vec<f64>,
    /// Mean of the sample's queries, where the step has one.
    sample_mean: Option<Vec<f64>>,
    divisor: Vec<f64>,
    /// Row by row.
    directions: Vec<Vec<f64>>,
    /// Mean size of the records.
    usual: f64,
}

/// Applies `steps` and `metric` to `query` and to `records` (row by row, `None`: no vector or not live).
///
/// Principal directions are defined up to sign, and up to rotation where variances are equal, so they are handed in
/// with `statistics`; that they are orthonormal, sorted, and diagonalise the covariance is checked here.
pub(crate) fn evaluate(
    steps: &[ResolvedStep],
    metric: VectorMetric,
    records: &[Option<Vec<f64>>],
    query: &[f64],
    statistics: &[PlacedStatistic],
) -> Verdict {
    let start =
        |x: &Vec<f64>| State { y: x.clone(), noise: vec![0.0; x.len()], entered: vec![0.0; x.len()], size: length(x) };
    let mut states: Vec<Option<State>> = records.iter().map(|record| record.as_ref().map(start)).collect();
    let mut asker = Some(start(&query.to_vec()));
    let mut samples: Vec<Vec<Option<State>>> = steps.iter().map(|step| sample(step, start)).collect();
    let (mut on_the_line, mut sample_lost) = (false, false);
    let mut steps = steps.to_vec();
    match metric {
        VectorMetric::Cosine => steps.push(ResolvedStep::Normalize),
        VectorMetric::Pearson => steps.extend([ResolvedStep::Center, ResolvedStep::Normalize]),
        VectorMetric::Dot | VectorMetric::Euclidean => {}
    }
    for (idx, step) in steps.iter().enumerate() {
        let given = statistics.iter().find(|placed| placed.step_idx == idx).map(|placed| &*placed.statistic);
        let here = samples.get_mut(idx).map(std::mem::take).unwrap_or_default();
        let mut taken = take(step, &states, given, &mut on_the_line);
        if let ResolvedStep::CenterSides(_) = step {
            sample_lost |= here.iter().flatten().count() == 0;
            taken.sample_mean = Some(mean_of(&here));
        }
        let later = samples.iter_mut().flatten();
        for state in std::iter::once(&mut asker).chain(later) {
            *state = state.take().and_then(|s| apply(step, s, &taken, true, &mut on_the_line));
        }
        for state in &mut states {
            *state = state.take().and_then(|s| apply(step, s, &taken, false, &mut on_the_line));
        }
    }
    let undirected = (0..records.len()).filter(|&row| records[row].is_some() && states[row].is_none());
    let value = |state: &Option<State>| Some(compare(metric, asker.as_ref()?, state.as_ref()?));
    let size = |state: &Option<State>| match (&asker, state) {
        (Some(u), Some(y)) if metric.is_distance() => u.size + y.size,
        (Some(u), Some(y)) => u.size * y.size,
        _ => 0.0,
    };
    Verdict {
        query_directed: asker.is_some(),
        values: states.iter().map(value).collect(),
        sizes: states.iter().map(size).collect(),
        undirected: undirected.map(|row| row as u32).collect(),
        on_the_line,
        sample_lost,
    }
}

/// [`evaluate`] with its scores corrected for hubs: from each, half the mean of the record's `k` highest scores with
/// the queries of `sample` (all of them where they are fewer; those without a direction do not count) is subtracted.
pub(crate) fn evaluate_csls(
    steps: &[ResolvedStep],
    metric: VectorMetric,
    records: &[Option<Vec<f64>>],
    query: &[f64],
    statistics: &[PlacedStatistic],
    (k, sample): (usize, &[Vec<f64>]),
) -> Verdict {
    let mut verdict = evaluate(steps, metric, records, query, statistics);
    let others: Vec<Verdict> = sample.iter().map(|q| evaluate(steps, metric, records, q, statistics)).collect();
    verdict.on_the_line |= others.iter().any(|other| other.on_the_line);
    verdict.sample_lost |= others.iter().all(|other| !other.query_directed);
    for row in 0..records.len() {
        let mut scores: Vec<f64> = others.iter().filter_map(|other| other.values[row]).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.truncate(k);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        verdict.values[row] = verdict.values[row].map(|value| value - 0.5 * mean);
        verdict.sizes[row] += others.iter().map(|other| other.sizes[row]).fold(0.0, f64::max);
    }
    verdict
}

/// The queries of a step's own sample at the start of the chain.
fn sample(step: &ResolvedStep, start: impl Fn(&Vec<f64>) -> State) -> Vec<Option<State>> {
    let ResolvedStep::CenterSides(sample) = step else { return Vec::new() };
    let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect();
    sample.rows().chunks(sample.dimension).map(|row| Some(start(&wide(row)))).collect()
}

/// The mean of the vectors that are still there; zero where there are none.
fn mean_of(states: &[Option<State>]) -> Vec<f64> {
    let count = states.iter().flatten().count() as f64;
    let mut mean: Vec<f64> = Vec::new();
    // Twice: the second round finds what rounding left of the first.
    for _ in 0..2 {
        let mut rest = vec![0.0; states.iter().flatten().next().map_or(0, |s| s.y.len())];
        mean.resize(rest.len(), 0.0);
        for state in states.iter().flatten() {
            for i in 0..rest.len() {
                rest[i] += state.y[i] - mean[i];
            }
        }
        for i in 0..rest.len() {
            mean[i] += rest[i] / count;
        }
    }
    mean
}

/// What `step` takes of the records that have come so far.
fn take(step: &ResolvedStep, states: &[Option<State>], given: Option<&Statistic>, on_the_line: &mut bool) -> Taken {
    let whiten = match step {
        ResolvedStep::CenterCorpus | ResolvedStep::CenterSides(_) | ResolvedStep::Standardize => None,
        ResolvedStep::Whiten(_) => Some(true),
        ResolvedStep::Drop(_) => Some(false),
        _ => return Taken::default(),
    };
    let present: Vec<&State> = states.iter().flatten().collect();
    let n = present.len().max(1) as f64;
    let mean = mean_of(states);
    let usual = present.iter().map(|s| s.size).sum::<f64>() / n;
    let mut taken = Taken { usual, ..Taken::default() };
    let rest: Vec<Vec<f64>> = present.iter().map(|s| s.y.iter().zip(&mean).map(|(y, m)| y - m).collect()).collect();
    if let ResolvedStep::Standardize = step {
        let sd = |i: usize| {
            let sd = (rest.iter().map(|r| r[i].powi(2)).sum::<f64>() / n).sqrt();
            let scale = (present.iter().map(|s| s.y[i].powi(2) + s.entered[i].powi(2)).sum::<f64>() / n).sqrt();
            zero_below(sd, 1e-12 * scale, on_the_line)
        };
        let sds: Vec<f64> = (0..mean.len()).map(sd).collect();
        // Where most do not vary: by the middle one of those that do.
        let (all, some) = (middle(&sds), middle(&varying(&sds)));
        let divisor = |sd: &f64| match all {
            0.0 if *sd == 0.0 => some,
            0.0 => sd.max(0.01 * some),
            _ => sd.max(0.01 * all),
        };
        taken.divisor = sds.iter().map(divisor).map(|by| if by > 0.0 { by } else { 1.0 }).collect();
    }
    if let (Some(whiten), Some(Statistic::Directions { mean: of, directions, .. })) = (whiten, given) {
        taken.directions = directions.chunks(of.len().max(1)).map(<[f64]>::to_vec).collect();
        let scale =
            present.iter().map(|s| length(&s.entered).max(length(&s.y)).max(length(&mean)).powi(2)).sum::<f64>() / n;
        let sizes = present.iter().map(|s| s.size.powi(2)).sum::<f64>() / n;
        let variances = check_directions(&taken.directions, &rest, n, sizes);
        let noise = (1e-24 * scale).max(1e-12 * variances.first().copied().unwrap_or_default());
        let variances: Vec<f64> = variances.iter().map(|&v| zero_below(v, noise, on_the_line)).collect();
        let varying = varying(&variances);
        let typical = varying.iter().sum::<f64>() / varying.len().max(1) as f64;
        let least = (1.0 - (mean.len() as f64 / n).sqrt()).max(0.0).powi(2);
        let floor = match middle(&variances) {
            0.0 => typical,
            median => (1e-4 * median).max((1.0 - 4.0 * least).max(0.0) * typical),
        };
        let divisor = |v: &f64| if v.max(floor) > 0.0 { v.max(floor).sqrt() } else { 1.0 };
        if whiten {
            taken.divisor = variances.iter().take(taken.directions.len()).map(divisor).collect();
        }
    }
    taken.mean = mean;
    taken
}

/// `x`, or zero where it is at most `noise`.
fn zero_below(x: f64, noise: f64, on_the_line: &mut bool) -> f64 {
    *on_the_line |= noise > 0.0 && (0.05..20.0).contains(&(x / noise));
    if x <= noise { 0.0 } else { x }
}

/// The median; 0 of none.
fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

/// Those that are not zero.
fn varying(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|&x| x > 0.0).collect()
}

/// Asserts that `directions` are orthonormal principal directions of the rows `rest` by falling variance; all variances
/// by falling size, found by another algorithm. `sizes`: mean square of the size of the terms of a row.
fn check_directions(directions: &[Vec<f64>], rest: &[Vec<f64>], n: f64, sizes: f64) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let d = directions.first().map_or(0, Vec::len);
    // The covariance `R'R / n` and `R R' / n` have the same variances but for zeros: take the smaller.
    let few = rest.len() < d;
    let side = if few { rest.len() } else { d };
    let element = |i: usize, j: usize| {
        if few { dot(&rest[i], &rest[j]) / n } else { rest.iter().map(|r| r[i] * r[j]).sum::<f64>() / n }
    };
    let mut variances = jacobi((0..side).map(|i| (0..side).map(|j| element(i, j)).collect()).collect());
    variances.resize(d, 0.0);
    let largest = variances.first().copied().unwrap_or_default();
    let slack = 1e-9 * largest + 1e-10 * (largest * sizes).sqrt() + 1e-20 * sizes;
    for (i, v) in directions.iter().enumerate() {
        for (j, w) in directions.iter().enumerate().take(i + 1) {
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((dot(v, w) - expected).abs() < 1e-10, "directions {i} and {j} are orthonormal");
        }
        let mut along = vec![0.0; d];
        for r in rest {
            let factor = dot(r, v) / n;
            along.iter_mut().zip(r).for_each(|(a, r)| *a += factor * r);
        }
        let off: Vec<f64> = along.iter().zip(v).map(|(a, v)| a - variances[i] * v).collect();
        assert!(length(&off) <= slack, "direction {i} of {d} has variance {}: {} {slack}", variances[i], length(&off));
    }
    variances
}

/// Eigenvalues by falling size: cyclic Jacobi rotations (Golub and Van Loan, section 8.5).
fn jacobi(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    let total = (0..n).map(|i| a[i][i].abs()).sum::<f64>();
    for _ in 0..60 {
        let off = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].abs()).fold(0.0, f64::max);
        if off <= 1e-17 * total {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() <= 1e-18 * total {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (upper, lower) = a.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i][i].max(0.0)).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// One step on one vector; `None` where it needs a direction and finds none.
fn apply(step: &ResolvedStep, mut s: State, taken: &Taken, is_query: bool, on_the_line: &mut bool) -> Option<State> {
    match step {
        ResolvedStep::Center => {
            let own = s.y.iter().sum::<f64>() / s.y.len() as f64;
            let what = vec![own; s.y.len()];
            take_away(&mut s, &what, on_the_line, |errors| {
                vec![errors.iter().sum::<f64>() / errors.len() as f64; errors.len()]
            });
        }
        ResolvedStep::CenterCorpus => subtract(&mut s, &taken.mean, taken.usual, on_the_line),
        ResolvedStep::CenterSides(_) => {
            let sample = taken.sample_mean.as_ref().filter(|_| is_query);
            let mean = sample.unwrap_or(&taken.mean);
            subtract(&mut s, mean, taken.usual + length(mean), on_the_line);
        }
        ResolvedStep::Standardize => {
            subtract(&mut s, &taken.mean, taken.usual, on_the_line);
            divide(&mut s, &taken.divisor);
        }
        ResolvedStep::Whiten(_) => {
            subtract(&mut s, &taken.mean, taken.usual, on_the_line);
            through(&mut s, &taken.directions);
            divide(&mut s, &taken.divisor);
        }
        ResolvedStep::Drop(_) => {
            subtract(&mut s, &taken.mean, taken.usual, on_the_line);
            take_along(&mut s, &taken.directions, on_the_line);
        }
        ResolvedStep::Normalize => {
            let norm = length(&s.y);
            let counts = |(y, n): (&f64, &f64)| y.abs() > 2.0 * n;
            let ratios = s.y.iter().zip(&s.noise).map(|(y, n)| y.abs() / (2.0 * n));
            *on_the_line |= (ratios.fold(0.0, f64::max) - 1.0).abs() < 1e-4;
            if norm < 1e-290 || !s.y.iter().zip(&s.noise).any(counts) {
                return None;
            }
            for y in &mut s.y {
                *y /= norm;
            }
            s.size /= norm;
            s.noise.fill(0.0);
            s.entered.fill(0.0);
        }
        ResolvedStep::Truncate(k) => {
            for numbers in [&mut s.y, &mut s.noise, &mut s.entered] {
                numbers.truncate(*k);
            }
        }
        ResolvedStep::Project(projection) => {
            let (matrix, frobenius) = side(projection, is_query);
            let wide = |row: &[f32]| row.iter().map(|&x| f64::from(x)).collect();
            let rows: Vec<Vec<f64>> = matrix.data().chunks(matrix.columns()).map(wide).collect();
            through(&mut s, &rows);
            s.size *= frobenius;
        }
    }
    Some(s)
}

/// Takes away what lies along `directions`, one after the other; what is known of a coordinate spreads along them.
fn take_along(s: &mut State, directions: &[Vec<f64>], on_the_line: &mut bool) {
    let mut along = vec![0.0; s.y.len()];
    for v in directions {
        let rest: Vec<f64> = s.y.iter().zip(&along).map(|(y, a)| y - a).collect();
        let factor: f64 = v.iter().zip(&rest).map(|(v, y)| v * y).sum();
        along.iter_mut().zip(v).for_each(|(a, v)| *a += factor * v);
    }
    // Directions are known to double precision.
    let lost = length(&s.y) / 2f64.powi(40);
    take_away(s, &along, on_the_line, |errors| {
        let mut spread = vec![0.0; errors.len()];
        for v in directions {
            let of = v.iter().zip(errors).map(|(v, e)| v.abs() * e).sum::<f64>();
            spread.iter_mut().zip(v).for_each(|(s, v)| *s += v.abs() * of);
        }
        spread.iter().map(|s| s + lost).collect()
    });
}

/// Multiplies by a matrix, given row by row; bounds by absolute values.
fn through(s: &mut State, rows: &[Vec<f64>]) {
    let product = |v: &[f64]| rows.iter().map(|row| row.iter().zip(v).map(|(w, x)| w * x).sum()).collect();
    let absolute = |v: &[f64]| rows.iter().map(|row| row.iter().zip(v).map(|(w, x)| w.abs() * x).sum()).collect();
    (s.y, s.noise, s.entered) = (product(&s.y), absolute(&s.noise), absolute(&s.entered));
}

/// Subtracts `what`, whose own errors `spread` tells from those of the vector. Numbers are rounded to single precision
/// (a part of 2^-24 of each), so that two of them may leave 2^-23 of the larger for nothing; up to twice that counts as
/// nothing, and then what is left is all that rounding can have put there.
fn take_away(s: &mut State, what: &[f64], on_the_line: &mut bool, spread: impl Fn(&[f64]) -> Vec<f64>) {
    for (j, what) in what.iter().enumerate() {
        let larger = s.y[j].abs().max(what.abs());
        s.noise[j] = s.noise[j].max(larger / 2f64.powi(23));
        s.entered[j] = s.entered[j].max(larger);
        s.y[j] -= what;
    }
    let (more_noise, more_entered) = (spread(&s.noise), spread(&s.entered));
    for j in 0..s.y.len() {
        s.noise[j] += more_noise[j];
        s.entered[j] += more_entered[j];
        let ratio = s.y[j].abs() / (2.0 * s.noise[j]);
        *on_the_line |= (ratio - 1.0).abs() < 1e-5;
        if ratio <= 1.0 {
            s.noise[j] = s.y[j].abs().max(s.noise[j] / 2f64.powi(17));
        }
    }
}

/// Subtracts `mean`, a sum of which errs by the size `usual` of what went into it, even where that cancels.
fn subtract(s: &mut State, mean: &[f64], usual: f64, on_the_line: &mut bool) {
    // Nothing minus what rounding left of a mean.
    *on_the_line |= length(mean) > 0.0 && length(mean).max(length(&s.y)) < 1e-9 * usual;
    let mean = if mean.is_empty() { vec![0.0; s.y.len()] } else { mean.to_vec() };
    take_away(s, &mean, on_the_line, |errors| vec![0.0; errors.len()]);
    s.size += usual;
}

/// Divides element by element.
fn divide(s: &mut State, divisor: &[f64]) {
    if divisor.is_empty() {
        return;
    }
    s.y.iter_mut().zip(divisor).for_each(|(y, by)| *y /= by);
    s.size /= divisor.iter().copied().fold(f64::INFINITY, f64::min);
    for numbers in [&mut s.noise, &mut s.entered] {
        numbers.iter_mut().zip(divisor).for_each(|(x, by)| *x /= by);
    }
}

fn side(projection: &Projection, is_query: bool) -> (&Matrix, f64) {
    let matrix = if is_query { projection.query() } else { projection.record() };
    let wide: Vec<f64> = matrix.data().iter().map(|&x| f64::from(x)).collect();
    (matrix, length(&wide))
}

fn compare(metric: VectorMetric, u: &State, y: &State) -> f64 {
    if metric.is_distance() {
        let difference: Vec<f64> = u.y.iter().zip(&y.y).map(|(a, b)| a - b).collect();
        return length(&difference);
    }
    u.y.iter().zip(&y.y).map(|(a, b)| a * b).sum()
}

/// Euclidean length, scaled so that no square overflows or vanishes.
fn length(v: &[f64]) -> f64 {
    let largest = v.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    if largest == 0.0 { 0.0 } else { v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt() * largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the language's page in numbers one can check by hand.
    #[test]
    fn three_records_by_hand() {
        let records = vec![Some(vec![1.0, 0.0]), Some(vec![3.0, 0.0]), None, Some(vec![2.0, 3.0])];
        let centered = evaluate(&[ResolvedStep::CenterCorpus], VectorMetric::Dot, &records, &[2.0, 2.0], &[]);
        // The mean is (2, 1): the query becomes (0, 1), the records (-1, -1), (1, -1), (0, 2).
        assert_eq!(centered.values, [Some(-1.0), Some(-1.0), None, Some(2.0)]);
        let distance = evaluate(&[], VectorMetric::Euclidean, &records, &[1.0, 4.0], &[]);
        assert_eq!(distance.values[0], Some(4.0));
        let pearson = evaluate(&[], VectorMetric::Pearson, &records, &[0.0, 5.0], &[]);
        assert!((pearson.values[3].unwrap() - 1.0).abs() < 1e-15);
        assert!((pearson.values[0].unwrap() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn standardized_and_sided_by_hand() {
        let records = vec![Some(vec![1.0, 5.0]), Some(vec![3.0, 5.0]), Some(vec![5.0, 5.0])];
        let scaled = evaluate(&[ResolvedStep::Standardize], VectorMetric::Dot, &records, &[3.0 + 8.0, 6.0], &[]);
        // Mean (3, 5), sd (sqrt(8/3), 0): half of the median is the floor's measure, so the second divisor is small.
        let sd = (8.0f64 / 3.0).sqrt();
        assert!((scaled.values[2].unwrap() - 8.0 / sd * 2.0 / sd).abs() < 1e-12, "{scaled:?}");
        let rows = vec![1.0f32, 1.0, 3.0, 1.0];
        let sample = crate::lens::step::SampleRows::new("s", 2, rows);
        let sided = evaluate(&[ResolvedStep::CenterSides(sample)], VectorMetric::Dot, &records, &[3.0, 2.0], &[]);
        // The query becomes (1, 1), the records (-2, 0), (0, 0), (2, 0).
        assert_eq!(sided.values, [Some(-2.0), Some(0.0), Some(2.0)]);
        assert_eq!(jacobi(vec![vec![2.0, 1.0], vec![1.0, 2.0]]).iter().map(|x| x.round()).sum::<f64>(), 4.0);
    }

    #[test]
    fn vectors_without_a_direction_are_left_out_of_later_means() {
        let records = vec![Some(vec![2.0, 2.0]), Some(vec![1.0, 0.0]), Some(vec![0.0, 0.0])];
        let steps = [ResolvedStep::Center, ResolvedStep::Normalize, ResolvedStep::CenterCorpus];
        let verdict = evaluate(&steps, VectorMetric::Euclidean, &records, &[4.0, 0.0], &[]);
        assert_eq!(verdict.undirected, [0, 2]);
        assert_eq!(verdict.values, [None, Some(0.0), None]);
    }
}
