//! Why a fit is what it is and what would help it, in words. It computes nothing.

use super::lift::{ACCEPTED_Z, LEAST_CLASSES, LEAST_GROUPS, LEAST_QUERIES, Missing};
use super::report::LearnReport;
use crate::types::{Accept, LearnMethod, Lift};

/// Why `auto` chose the method it did; nothing where there was no choice.
pub(crate) fn why(report: &LearnReport) -> Option<String> {
    let chosen = report.fit.method;
    let own = report.tried.iter().find(|(method, _)| *method == chosen)?.1;
    let others: Vec<&(LearnMethod, f64)> = report.tried.iter().filter(|(method, _)| *method != chosen).collect();
    let name = chosen.as_str();
    let listed: Vec<String> = others.iter().map(|(method, of)| format!("{} {of:.3}", method.as_str())).collect();
    let best =
        others.iter().map(|(_, of)| *of).fold(None, |best: Option<f64>, of| Some(best.map_or(of, |b| b.max(of))))?;
    let (all, same) = report.chosen.iter().fold((0, 0), |(all, same), (method, folds)| {
        (all + folds, if *method == chosen { same + folds } else { same })
    });
    let folds = if all > 0 { format!("; so did {same} of the {all} held-out fits") } else { String::new() };
    let (listed, metric) = (listed.join(", "), &report.figures.metric);
    let reason = if own >= best {
        ""
    } else if report.left_for_classes {
        ", which ranks new classes worse than plain cosine"
    } else if chosen == LearnMethod::InfoNce {
        ", which is no clear difference, and training did better on every set it was measured on"
    } else {
        ", which puts the nearest records less well"
    };
    Some(format!("auto chose {name}: {metric} {own:.3} on held-back labels, {listed}{reason}{folds}"))
}

/// What would help a lens that was not accepted, most useful first.
pub(crate) fn advice(report: &LearnReport) -> Vec<String> {
    let mut advice = Vec::new();
    let def = &report.fit;
    if def.accepted {
        return advice;
    }
    if report.interrupted {
        advice.push("it was stopped before the held-out test was done: learn again without a stop".to_string());
        return advice;
    }
    if !report.gated {
        advice.push("no held-out labels were asked: learn again without `--no-gate` to have it tested".to_string());
        return advice;
    }
    let (said, least) = (report.said, super::learner::LEAST_LABELS);
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
    let asked = match def.accept {
        Accept::NewRecords => def.new_records,
        Accept::KnownRecords => def.known_records,
        Accept::NewClasses => report.figures.new_classes,
    };
    advice.push(match (asked, report.missing) {
        (Some(lift), _) => short_of(report, &lift),
        (None, Some(missing)) => not_measured(report, missing),
        (None, None) => {
            "no label is of a class: `--accept new-classes` goes with a field, or with answers that several questions \
                         share"
                .to_string()
        }
    });
    if def.accept == Accept::NewRecords && def.known_records.is_some_and(|lift| lift.z > ACCEPTED_Z) {
        let what = if report.classes {
            "new records asked about labelled ones do gain: where that is what is asked, use `--accept known-records`"
        } else {
            "new questions about known records do gain: where the records are fixed, use `--accept known-records`"
        };
        advice.push(what.to_string());
    }
    advice
}

/// What would help where the lift was measured and is not clear.
fn short_of(report: &LearnReport, lift: &Lift) -> String {
    let metric = &report.figures.metric;
    let nearest = report.figures.nearest.filter(|nearest| *nearest < 0.0);
    match nearest {
        Some(nearest) if lift.z > ACCEPTED_Z => format!(
            "{metric} gains over the whole ranking, but the nearest record is of the class less often (1 / rank of the \
             first {nearest:+.3}): in a larger collection that is what is seen; more labels of each class may help"
        ),
        _ if lift.mean > 0.0 => format!(
            "the gain of {:+.3} {metric} is within the noise of {} questions (95 %: {:+.3} to {:+.3}); about {} would \
             show it if it is real",
            lift.mean,
            lift.queries,
            lift.low,
            lift.high,
            needed(lift)
        ),
        _ => {
            "held-out questions did not gain: more labels of the kind that searches get wrong may help, more of those \
             it gets right will not"
                .to_string()
        }
    }
}

/// What would help where the lift could not be measured.
fn not_measured(report: &LearnReport, missing: Missing) -> String {
    let (def, classes) = (&report.fit, report.classes);
    match (def.accept, missing) {
        (Accept::NewClasses, Missing::FewGroups(found)) => {
            format!("{found} classes could be held out, {LEAST_CLASSES} are needed: label records of other classes")
        }
        (Accept::KnownRecords, Missing::FewGroups(groups)) if !classes => format!(
            "many questions share their record, but nearly all of them with near-duplicates of themselves: {groups} \
             say something else than another one about the same record, {LEAST_GROUPS} are needed; label questions in \
             other words"
        ),
        (_, Missing::FewGroups(groups)) => {
            let (what, share, other) = match classes {
                true => ("records", "near-duplicates", "records that say something else"),
                false => ("questions", "shared records and near-duplicates", "questions that are about something else"),
            };
            format!(
                "the {} {what} hang together by {share} in {groups} group{}, {LEAST_GROUPS} are needed to hold some \
                 out: label {other}",
                def.queries,
                if groups == 1 { "" } else { "s" }
            )
        }
        (_, Missing::FewQuestions(_)) if (def.queries as usize) < LEAST_QUERIES => format!(
            "{} questions with an answer are too few to hold some out: {LEAST_QUERIES} are needed; label hits of other \
             questions",
            def.queries
        ),
        (_, Missing::FewQuestions(asked)) if classes => format!(
            "{asked} records that were held out have another of their class beside them, {LEAST_QUERIES} are needed: \
             label more records of each class"
        ),
        (Accept::KnownRecords, Missing::FewQuestions(asked)) => format!(
            "{asked} questions could be held out that share their record with another, {LEAST_QUERIES} are needed: \
             label several questions for each record"
        ),
        (_, Missing::FewQuestions(asked)) => format!(
            "{asked} questions could be held out with their records, {LEAST_QUERIES} are needed: label questions about \
             other records"
        ),
    }
}

/// Questions at which a lift of this size would exceed the gate's z, rounded up to tens.
fn needed(lift: &Lift) -> u64 {
    let factor = (ACCEPTED_Z / lift.z.max(0.2)).powi(2);
    ((lift.queries as f64 * factor / 10.0).ceil() as u64 * 10).max(lift.queries)
}
