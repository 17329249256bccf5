//! A learned lens as text and as JSON: what was fitted, what the held-out labels said, what would help.
//!
//! Owns the wording. Figures are fractions with the name of what they are, in text as in JSON.

use super::style::Style;
use super::text::{count, one_line, shell_word, thousands};
use crate::learn::LearnReport;
use crate::store::loses_on_new_classes;
use crate::types::{Accept, FitFigures, LearnMethod, LearnMode, LearnedDef, Lift};
use serde_json::{Value as Json, json};
use std::path::Path;

/// The answer of `learn --json`.
pub(crate) fn fit_json(report: &LearnReport) -> Json {
    let def = &report.fit;
    let tried = |found: &[(LearnMethod, f64)]| {
        found
            .iter()
            .map(|(method, figure)| (method.as_str().to_string(), json!(figure)))
            .collect::<serde_json::Map<_, _>>()
    };
    let chosen: serde_json::Map<_, _> =
        report.chosen.iter().map(|(method, folds)| (method.as_str().to_string(), json!(folds))).collect();
    json!({
        "lens": report.name,
        "promoted": def.accepted,
        "method": def.method.as_str(),
        "mode": def.mode.as_str(),
        "accept": def.accept.as_str(),
        "labels": def.labels,
        "queries": def.queries,
        "records": def.records,
        "groups": def.groups,
        "judged_wrong": report.judged_wrong,
        "contradictions": report.contradictions,
        "left_out": report.left_out,
        "found_first": report.found_first,
        "lift": lifts_json(def, Some(&report.figures)),
        "validation": validation_json(def.validation),
        "tried": tried(&report.tried),
        "why": report.why,
        "chosen_in_folds": chosen,
        "setting": report.setting,
        "averaged": report.averaged,
        "averaged_with_identity": report.halved,
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

/// Every lift with its metric and what it was ranked among.
fn lifts_json(def: &LearnedDef, figures: Option<&FitFigures>) -> Json {
    let metric = figures.map(|figures| figures.metric.as_str());
    let one = |lift: Option<Lift>, pool: Option<u64>| {
        lift.map_or(Json::Null, |lift| {
            json!({
                "metric": metric, "plain": lift.plain, "mean": lift.mean, "low": lift.low, "high": lift.high,
                "z": lift.z, "queries": lift.queries, "pool": pool,
            })
        })
    };
    let mut new = one(def.new_records, figures.map(|figures| figures.new_pool));
    if let (Some(fields), Some((plain, learned))) = (new.as_object_mut(), figures.and_then(|figures| figures.ten)) {
        fields.insert("P@10".to_string(), json!({"plain": plain, "mean": learned - plain}));
    }
    let mut lifts = json!({
        "known_records": one(def.known_records, figures.map(|figures| figures.known_pool)),
        "new_records": new,
    });
    if let (Some(fields), Some(figures)) = (lifts.as_object_mut(), figures.filter(|figures| figures.has_classes)) {
        fields.insert("new_classes".to_string(), one(figures.new_classes, Some(figures.classes_pool)));
    }
    lifts
}

/// One fit of a history as JSON.
pub(crate) fn history_json(def: &LearnedDef, figures: Option<&FitFigures>) -> Json {
    json!({
        "fit": def.fit,
        "method": def.method.as_str(),
        "mode": def.mode.as_str(),
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
        "accept": def.accept.as_str(),
        "accepted": def.accepted,
        "lift": lifts_json(def, figures),
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
        count(def.labels, if report.classes { "labelled record" } else { "labelled pair" }),
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
    if report.contradictions > 0 {
        let pairs = count(report.contradictions, "labelled pair");
        let verb = if report.contradictions == 1 { "contradicts itself" } else { "contradict each other" };
        lines.push(format!("{pairs} {verb}; the last word counts (see label --conflicts)"));
    }
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.push(fitted(report));
    lines.extend(report.why.iter().cloned());
    let held_out = held_out(def, Some(&report.figures));
    if held_out.is_empty() {
        lines.push("not tested on held-out labels".to_string());
    }
    lines.extend(held_out);
    let name = one_line(&report.name);
    if def.accepted {
        lines.push(format!("saved as lens `{}`  {:.1} s", style.bold(&name), report.seconds));
        // A lens that answers questions is calibrated on some that it was not learned from.
        let asked = if def.mode == LearnMode::Pair { " --queries new-questions.jsonl" } else { "" };
        let (store, name) = (shell_word(&store.display().to_string()), shell_word(&report.name));
        lines.push(format!("Scores are not probabilities yet: `simile calibrate {store} {name} --label 200{asked}`"));
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
        LearnMethod::InfoNce => {
            let with = match report.averaged {
                Some(pull) => format!(", averaged with ridge {pull}"),
                None if report.halved => ", averaged with the identity".to_string(),
                None => String::new(),
            };
            format!("infonce, {}{with}", count(report.setting as u64, "epoch"))
        }
        method => format!("{} {}", method.as_str(), report.setting),
    };
    let figure = &report.figures.metric;
    let validation = def
        .validation
        .map_or(String::new(), |(plain, learned)| format!(" · {figure} on validation {learned:.3} (plain {plain:.3})"));
    let stopped = if report.interrupted { " · stopped" } else { "" };
    format!("fitted {matrices} · {how}{validation}{stopped}")
}

/// The lifts, one to a line, and what each asks; the one that was asked for says what it decided.
pub(crate) fn held_out(def: &LearnedDef, figures: Option<&FitFigures>) -> Vec<String> {
    let of = |pool: fn(&FitFigures) -> u64| figures.map_or(0, pool);
    let asks =
        if def.mode == LearnMode::Pair { "known records (new questions)" } else { "known records (a new one asks)" };
    let mut rows = vec![
        (asks, def.known_records, of(|figures| figures.known_pool), Accept::KnownRecords),
        ("new records (both sides new)", def.new_records, of(|figures| figures.new_pool), Accept::NewRecords),
    ];
    if let Some(figures) = figures.filter(|figures| figures.has_classes) {
        rows.push(("new classes (none seen)", figures.new_classes, figures.classes_pool, Accept::NewClasses));
    }
    let mut lines = Vec::new();
    if rows.iter().all(|(_, lift, _, _)| lift.is_none()) {
        return lines;
    }
    // Of fits of before only that is known.
    let metric = figures.map_or("figure", |figures| figures.metric.as_str());
    lines.push(format!("held out:{:24}{metric:>7}   plain    lift  [95 %]             ranked", ""));
    for (name, lift, pool, accept) in rows {
        let decides = accept == def.accept;
        let verdict = |lift: &Lift| match (decides, def.accepted) {
            (true, true) => format!("  accepted (z = {:.1})", lift.z),
            (true, false) => format!("  not accepted (z = {:.1})", lift.z),
            (false, _) => String::new(),
        };
        let pool = if pool > 0 { thousands(pool) } else { "?".to_string() };
        lines.push(match lift {
            Some(lift) => format!(
                "  {name:<30} {:>7.3} {:>7.3}  {:+.3}  [{:+.3}, {:+.3}]  {pool:>6}{}",
                lift.plain + lift.mean,
                lift.plain,
                lift.mean,
                lift.low,
                lift.high,
                verdict(&lift)
            ),
            None => format!("  {name:<30} not measured{}", if decides { "   not accepted" } else { "" }),
        });
    }
    let ten = figures.and_then(|figures| figures.ten).filter(|_| def.new_records.is_some());
    lines.extend(ten.map(|(plain, learned)| {
        format!(
            "  {:<30} {learned:>7.3} {plain:>7.3}  {:+.3}  P@10, which grows with the collection",
            "",
            learned - plain
        )
    }));
    lines.extend(figures.and_then(loses_on_new_classes).map(|warning| format!("note: {warning}")));
    lines
}
