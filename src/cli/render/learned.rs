//! A learned lens as text and as JSON: what was fitted, what the held-out labels said, what would help.
//!
//! Owns the wording. Figures come as they are; on a terminal they are shown in points of a hundred.

use super::text::{count, one_line, thousands};
use crate::cli::console::Style;
use crate::learn::{LearnReport, accept_name, method_name, mode_name};
use crate::types::{Accept, LearnMethod, LearnMode, LearnedDef, Lift};
use serde_json::{Value as Json, json};
use std::path::Path;

/// The answer of `learn --json`.
pub(crate) fn fit_json(report: &LearnReport) -> Json {
    let def = &report.fit;
    let tried = |found: &[(LearnMethod, f64)]| {
        found
            .iter()
            .map(|(method, figure)| (method_name(*method).to_string(), json!(figure)))
            .collect::<serde_json::Map<_, _>>()
    };
    let chosen: serde_json::Map<_, _> =
        report.chosen.iter().map(|(method, folds)| (method_name(*method).to_string(), json!(folds))).collect();
    json!({
        "lens": report.name,
        "promoted": def.accepted,
        "method": method_name(def.method),
        "mode": mode_name(def.mode),
        "accept": accept_name(def.accept),
        "labels": def.labels,
        "queries": def.queries,
        "records": def.records,
        "groups": def.groups,
        "judged_wrong": report.judged_wrong,
        "left_out": report.left_out,
        "found_first": report.found_first,
        "lift": {"known_records": lift_json(def.known_records), "new_records": lift_json(def.new_records)},
        "validation": validation_json(def.validation),
        "tried": tried(&report.tried),
        "chosen_in_folds": chosen,
        "setting": report.setting,
        "seed": def.seed,
        "fit": def.fit,
        "commit": def.commit.0,
        "interrupted": report.interrupted,
        "advice": report.advice,
        "notes": report.notes,
        "seconds": (report.seconds * 1000.0).round() / 1000.0,
    })
}

fn validation_json(validation: Option<(f64, f64)>) -> Json {
    validation.map_or(Json::Null, |(plain, learned)| json!({"plain": plain, "learned": learned}))
}

fn lift_json(lift: Option<Lift>) -> Json {
    lift.map_or(Json::Null, |lift| {
        json!({
            "mean": lift.mean, "low": lift.low, "high": lift.high, "z": lift.z, "plain": lift.plain,
            "queries": lift.queries,
        })
    })
}

/// One fit of a history as JSON.
pub(crate) fn history_json(def: &LearnedDef) -> Json {
    json!({
        "fit": def.fit,
        "method": method_name(def.method),
        "mode": mode_name(def.mode),
        "view": def.fitted_on.view,
        "embedder": def.fitted_on.embedder,
        "template": def.fitted_on.template,
        "respect": def.respect,
        "seed": def.seed,
        "labels": def.labels,
        "queries": def.queries,
        "records": def.records,
        "groups": def.groups,
        "label_hash": format!("{:016x}", def.label_hash),
        "accept": accept_name(def.accept),
        "accepted": def.accepted,
        "lift": {"known_records": lift_json(def.known_records), "new_records": lift_json(def.new_records)},
        "validation": validation_json(def.validation),
        "events": def.events.iter().map(|(what, commit)| json!({"what": what, "commit": commit.0})).collect::<Vec<_>>(),
        "time": def.time,
        "commit": def.commit.0,
    })
}

/// The lines of `learn` on a terminal.
pub(crate) fn lines(report: &LearnReport, store: &Path, style: &Style) -> Vec<String> {
    let def = &report.fit;
    let wrong = match report.judged_wrong {
        0 => String::new(),
        wrong => format!(" · {} judged wrong", thousands(wrong)),
    };
    let mut lines = vec![format!(
        "{} · {} · {} · {}{wrong}",
        count(
            def.labels,
            if def.mode == LearnMode::Same && def.labels == def.records { "labelled record" } else { "labelled pair" }
        ),
        count(def.queries, "question"),
        count(def.records, "record"),
        count(def.groups, "group")
    )];
    if report.left_out > 0 {
        lines.push(format!(
            "{} left out: no vector in view {}",
            thousands(report.left_out),
            one_line(&def.fitted_on.view)
        ));
    }
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.push(fitted(report));
    lines.extend(held_out(def));
    if def.known_records.is_none() && def.new_records.is_none() {
        lines.push("not tested on held-out labels".to_string());
    }
    let name = one_line(&report.name);
    if def.accepted {
        lines.push(format!("saved as lens `{}`  {:.1} s", style.bold(&name), report.seconds));
        lines.push(format!(
            "Scores are not probabilities yet: `simile calibrate {} {name} --label 200`",
            one_line(&store.display().to_string())
        ));
    } else {
        lines.push(format!("kept as `{}`; plain cosine stays.  {:.1} s", style.bold(&name), report.seconds));
    }
    lines.extend(report.advice.iter().map(|advice| format!("  {advice}")));
    lines
}

/// What was fitted and how it validated.
fn fitted(report: &LearnReport) -> String {
    let def = &report.fit;
    let matrices = if def.mode == LearnMode::Pair { "Q, K" } else { "M" };
    let how = match def.method {
        LearnMethod::InfoNce if report.setting == 0.0 => "no epoch was better than centering alone".to_string(),
        LearnMethod::InfoNce => format!("infonce, {}", count(report.setting as u64, "epoch")),
        method => format!("{} {}", method_name(method), report.setting),
    };
    let figure = if def.mode == LearnMode::Pair { "MRR@10" } else { "figure" };
    let validation = def
        .validation
        .map_or(String::new(), |(plain, learned)| format!(" · {figure} on validation {learned:.3} (plain {plain:.3})"));
    let mut others: Vec<String> = Vec::new();
    for (method, figure) in report.tried.iter().filter(|(method, _)| *method != def.method) {
        others.push(format!("{} {figure:.3}", method_name(*method)));
    }
    let others = if others.is_empty() { String::new() } else { format!(" · tried {}", others.join(", ")) };
    let stopped = if report.interrupted { " · stopped" } else { "" };
    format!("fitted {matrices} · {how}{validation}{others}{stopped}")
}

/// Both lifts, one to a line; the one that was asked for says what it decided.
pub(crate) fn held_out(def: &LearnedDef) -> Vec<String> {
    let mut lines = Vec::new();
    let rows = [
        ("new questions, known records", def.known_records, Accept::KnownRecords),
        ("new records", def.new_records, Accept::NewRecords),
    ];
    if rows.iter().all(|(_, lift, _)| lift.is_none()) {
        return lines;
    }
    lines.push("held out, five folds:".to_string());
    for (name, lift, accept) in rows {
        let decides = accept == def.accept;
        let verdict = |lift: &Lift| match (decides, def.accepted) {
            (true, true) => format!("     accepted (z = {:.1})", lift.z),
            (true, false) => format!("     not accepted (z = {:.1})", lift.z),
            (false, _) => String::new(),
        };
        lines.push(match lift {
            Some(lift) => format!(
                "  {name:<30} {:+5.1}  [{:+.1}, {:+.1}] of {:.1}{}",
                100.0 * lift.mean,
                100.0 * lift.low,
                100.0 * lift.high,
                100.0 * lift.plain,
                verdict(&lift)
            ),
            None => format!("  {name:<30} not measured{}", if decides { "     not accepted" } else { "" }),
        });
    }
    lines
}
