//! What a fit is called and what would help it, in words.
//!
//! Owns the names of methods, modes and lifts as they are typed and printed, and the advice that goes with a refusal. It
//! computes nothing.

use super::gate::LEAST_QUERIES;
use super::report::LearnReport;
use crate::types::{Accept, LearnMethod, LearnMode, Lift};

/// `infonce`, `ridge`, `lda`.
pub(crate) fn method_name(method: LearnMethod) -> &'static str {
    match method {
        LearnMethod::InfoNce => "infonce",
        LearnMethod::Ridge => "ridge",
        LearnMethod::Lda => "lda",
    }
}

/// `pair`, `same`.
pub(crate) fn mode_name(mode: LearnMode) -> &'static str {
    match mode {
        LearnMode::Pair => "pair",
        LearnMode::Same => "same",
    }
}

/// `new-records`, `known-records`.
pub(crate) fn accept_name(accept: Accept) -> &'static str {
    match accept {
        Accept::NewRecords => "new-records",
        Accept::KnownRecords => "known-records",
    }
}

/// Why `auto` chose the method it did; nothing where there was no choice.
pub(crate) fn why(report: &LearnReport) -> Option<String> {
    let chosen = report.fit.method;
    let own = report.tried.iter().find(|(method, _)| *method == chosen)?.1;
    let others: Vec<&(LearnMethod, f64)> = report.tried.iter().filter(|(method, _)| *method != chosen).collect();
    let name = method_name(chosen);
    let listed: Vec<String> = others.iter().map(|(method, of)| format!("{} {of:.3}", method_name(*method))).collect();
    let best =
        others.iter().map(|(_, of)| *of).fold(None, |best: Option<f64>, of| Some(best.map_or(of, |b| b.max(of))))?;
    let (all, same) = report.chosen.iter().fold((0, 0), |(all, same), (method, folds)| {
        (all + folds, if *method == chosen { same + folds } else { same })
    });
    let folds = if all > 0 { format!("; so did {same} of the {all} held-out fits") } else { String::new() };
    let listed = listed.join(", ");
    Some(if own >= best {
        format!("auto chose {name}: {own:.3} on held-back labels, {listed}{folds}")
    } else {
        format!(
            "auto chose {name}: {own:.3} on held-back labels, {listed}, which is no clear difference, and training did \
             better on every set it was measured on{folds}"
        )
    })
}

/// What would help a lens that was not accepted, most useful first.
pub(crate) fn advice(report: &LearnReport) -> Vec<String> {
    let mut advice = Vec::new();
    let def = &report.fit;
    if def.accepted {
        return advice;
    }
    let (asked, other) = match def.accept {
        Accept::NewRecords => (def.new_records, def.known_records),
        Accept::KnownRecords => (def.known_records, def.new_records),
    };
    if report.interrupted {
        advice.push("it was stopped before the held-out test was done: learn again without a stop".to_string());
        return advice;
    }
    if !report.gated {
        advice.push("no held-out labels were asked: learn again without `--no-gate` to have it tested".to_string());
        return advice;
    }
    let (said, least) = (report.said, super::learn::LEAST_LABELS);
    if said < least {
        advice.push(format!("{said} labels are too few to hold some out: from {least} on a fit is tested"));
        return advice;
    }
    if report.found_first * 10 >= report.questions * 9 {
        advice.push(format!(
            "{} of {} questions already find their answer first: there is little left to learn",
            report.found_first, report.questions
        ));
    }
    match asked {
        None if (def.queries as usize) < LEAST_QUERIES => advice.push(format!(
            "{} questions with an answer are too few to hold some out: {LEAST_QUERIES} are needed; label hits of other questions",
            def.queries
        )),
        None if def.accept == Accept::NewRecords => advice.push(
            "the labels hang together in too few groups to hold records out: label questions about other records".to_string(),
        ),
        None => advice.push(
            "too few questions share their records with others: label several questions for each record".to_string(),
        ),
        Some(lift) if lift.mean > 0.0 => advice.push(format!(
            "the gain of {:+.1} is within the noise of {} questions (95 %: {:+.1} to {:+.1}); about {} would show it if it is real",
            100.0 * lift.mean,
            lift.queries,
            100.0 * lift.low,
            100.0 * lift.high,
            needed(&lift)
        )),
        Some(_) => advice.push(
            "held-out questions did not gain: more labels of the kind that searches get wrong may help, more of those it gets right will not".to_string(),
        ),
    }
    if def.accept == Accept::NewRecords && other.is_some_and(|lift| lift.z > super::gate::ACCEPTED_Z) {
        advice.push(
            "new questions about known records do gain: where the records are fixed, use `--accept known-records`"
                .to_string(),
        );
    }
    advice
}

/// Questions at which a lift of this size would exceed the gate's z, rounded up to tens.
fn needed(lift: &Lift) -> u64 {
    let factor = (super::gate::ACCEPTED_Z / lift.z.max(0.2)).powi(2);
    ((lift.queries as f64 * factor / 10.0).ceil() as u64 * 10).max(lift.queries)
}
