//! A score read as a probability.
//!
//! Owns the map itself, what a bound on a probability says about the score below it, and how a map is written down. The
//! ranking is the score's: a map never falls, but it may make ties. Who has a map is `calibration`'s business.

use crate::query::print_number;
use crate::types::{Calibration, CalibrationMap, LensDef, Metric};

/// The probability that `map` gives a score (minus the distance, where the metric is one), 0 to 1.
pub(crate) fn probability(map: &CalibrationMap, score: f64) -> f64 {
    match map {
        CalibrationMap::Logistic { scale, bias } => 1.0 / (1.0 + (-(scale * score + bias)).exp()),
        CalibrationMap::Isotonic { scores, probabilities } => {
            let at = scores.partition_point(|from| *from <= score).saturating_sub(1);
            probabilities.get(at).copied().unwrap_or(0.0)
        }
    }
}

/// How far the probability of `score` may be off under a logistic map with this covariance of scale and bias: half of
/// the 95 % interval, by the delta method on the logit.
pub(crate) fn probability_error(map: &CalibrationMap, (a, ab, b): (f64, f64, f64), score: f64) -> Option<f64> {
    let CalibrationMap::Logistic { scale, bias } = map else { return None };
    let variance = (a * score * score + 2.0 * ab * score + b).max(0.0);
    let reach = 1.96 * variance.sqrt();
    let at = |bias: f64| probability(&CalibrationMap::Logistic { scale: *scale, bias }, score);
    let half = (at(bias + reach) - at(bias - reach)) / 2.0;
    half.is_finite().then_some(half)
}

/// Which scores can have a probability of at least some bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// All of them.
    Everything,
    /// None below this one; some from it on may not have it either.
    From(f64),
    /// None.
    Nothing,
}

/// Which scores can reach a probability of `least` under `map`. A logistic map is inverted with room for the rounding
/// of both directions, so that what reaches it is never missed; [`probability`] then decides.
pub(crate) fn reach(map: &CalibrationMap, least: f64) -> Reach {
    if least <= 0.0 {
        return Reach::Everything;
    }
    if least > 1.0 {
        return Reach::Nothing;
    }
    match map {
        CalibrationMap::Logistic { scale, bias } => {
            // A few roundings below the bound: near 1 many exponents give the same probability.
            let below = least * (1.0 - 8.0 * f64::EPSILON);
            let exponent = below.ln() - (-below).ln_1p();
            let room = 1e-12 * (1.0 + exponent.abs() + bias.abs());
            match (exponent - room - bias) / scale {
                score if score == f64::NEG_INFINITY => Reach::Everything,
                score if score == f64::INFINITY => Reach::Nothing,
                score => Reach::From(score),
            }
        }
        CalibrationMap::Isotonic { scores, probabilities } => {
            let at = probabilities.partition_point(|probability| *probability < least);
            match scores.get(at) {
                // The first step reaches down without end.
                _ if at == 0 => Reach::Everything,
                Some(&score) => Reach::From(score),
                None => Reach::Nothing,
            }
        }
    }
}

/// The map in words, over the score below it.
pub(crate) fn map_text(calibration: &Calibration, lens: &LensDef) -> String {
    let metric = match (&lens.csls, lens.metric.is_distance()) {
        (Some(_), _) => "csls".to_string(),
        (None, true) => format!("-{}", lens.metric.as_str()),
        (None, false) => lens.metric.as_str().to_string(),
    };
    match &calibration.map {
        CalibrationMap::Logistic { scale, bias } => {
            let operator = if bias.is_sign_negative() { "-" } else { "+" };
            let (scale, bias) = (shown(*scale), shown(bias.abs()));
            format!("1 / (1 + exp(-({scale} * {metric} {operator} {bias})))")
        }
        CalibrationMap::Isotonic { scores, .. } => format!("{} steps over {metric}", scores.len()),
    }
}

/// A coefficient to five digits: what lies behind them is far below its error.
fn shown(x: f64) -> String {
    print_number(format!("{x:.4e}").parse().unwrap_or(x))
}

/// What a search shows: the probability, or the lens's own metric.
pub(crate) fn shown_metric(lens: &LensDef, calibration: Option<&Calibration>) -> Metric {
    if calibration.is_some() { Metric::Probability } else { lens.metric }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Vec<CalibrationMap> {
        let logistic = |scale, bias| CalibrationMap::Logistic { scale, bias };
        vec![
            logistic(4.0, -2.0),
            logistic(0.01, 0.0),
            logistic(1e6, -3e5),
            logistic(1e-9, 40.0),
            logistic(37.5, -1e-3),
            CalibrationMap::Isotonic { scores: vec![-0.5, 0.0, 0.0, 0.7], probabilities: vec![0.1, 0.1, 0.4, 1.0] },
            CalibrationMap::Isotonic { scores: vec![0.25], probabilities: vec![0.5] },
        ]
    }

    #[test]
    fn no_score_that_has_the_probability_is_missed() {
        let scores: Vec<f64> = (-2000..=2000).map(|step| f64::from(step) / 811.0).chain([-1e9, 1e9, 0.0]).collect();
        for map in maps() {
            for &score in &scores {
                let least = probability(&map, score);
                assert!((0.0..=1.0).contains(&least), "{map:?} {score}");
                let reached = match reach(&map, least) {
                    Reach::Everything => true,
                    Reach::From(from) => from <= score,
                    Reach::Nothing => false,
                };
                assert!(reached, "{map:?}: {score} has {least}, which {:?}", reach(&map, least));
            }
        }
    }

    #[test]
    fn what_is_far_below_is_not_even_scanned() {
        let map = CalibrationMap::Logistic { scale: 4.0, bias: -2.0 };
        assert_eq!(probability(&map, 0.5), 0.5);
        assert!(matches!(reach(&map, 0.5), Reach::From(from) if (from - 0.5).abs() < 1e-9));
        assert_eq!(
            (reach(&map, 1.5), reach(&map, -1.0), reach(&map, 0.0)),
            (Reach::Nothing, Reach::Everything, Reach::Everything)
        );
        let steps = &maps()[5];
        assert_eq!((reach(steps, 0.4), reach(steps, 0.05)), (Reach::From(0.0), Reach::Everything));
        assert_eq!(reach(&maps()[6], 0.6), Reach::Nothing);
        let of = |score| probability(steps, score);
        assert_eq!(
            [of(-9.0), of(-0.5), of(-0.1), of(0.0), of(0.69), of(0.7), of(9.0)],
            [0.1, 0.1, 0.1, 0.4, 0.4, 1.0, 1.0]
        );
    }

    #[test]
    fn maps_never_fall() {
        for map in maps() {
            let mut last = 0.0;
            for step in -4000..=4000 {
                let now = probability(&map, f64::from(step) / 1000.0);
                assert!(now >= last, "{map:?} at {step}");
                last = now;
            }
        }
    }
}
