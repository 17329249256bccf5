//! Labels listed: those that contradict each other, and all of them in the form that `--pairs` reads.

use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, cut, one_line, shown_id};
use crate::error::Result;
use crate::learn::labels::contradictions;
use crate::store::{LabelledQuery, Labels};
use crate::types::Verdict;
use serde_json::{Map, Value as Json, json};

/// Lists what contradicts itself.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn conflicts(console: &mut Console, collection: &str, labels: &Labels) -> Result<Outcome> {
    let found = contradictions(labels);
    if console.json {
        let list: Vec<Json> = found
            .iter()
            .map(|found| {
                let said = found.said.iter().map(|(id, verdict)| {
                    let mut json = verdict_json(verdict);
                    json.insert("query_id".to_string(), json!(id));
                    Json::Object(json)
                });
                json!({"query": found.asked, "record": found.record, "said": said.collect::<Vec<_>>()})
            })
            .collect();
        console.document(&json!({
            "respect": labels.respect.name, "collection": collection, "contradictions": list,
            "pairs": labels.respect.pairs, "orphans": labels.orphans,
        }))?;
        return Ok(Outcome::Done);
    }
    for found in &found {
        let room = console.style.width.saturating_sub(4);
        console.line(cut(&format!("{}  {}", shown_id(&found.record), one_line(&found.asked)), room))?;
        for (id, verdict) in &found.said {
            let (id, source) = (one_line(id), one_line(&verdict.source));
            let id = if id == one_line(&found.asked) { String::new() } else { format!(", question {id}") };
            console.line(format!("  grade {} from {source}, commit {}{id}", verdict.grade, verdict.commit))?;
        }
    }
    let pairs = count(labels.respect.pairs, "labelled pair");
    console.line(match found.len() as u64 {
        0 => format!("nothing contradicts itself in {pairs}"),
        found => format!("{found} of {pairs} contradict themselves or each other; the last word counts"),
    })?;
    if labels.orphans > 0 {
        console.line(format!("note: {} of records that are gone", count(labels.orphans, "pair")))?;
    }
    Ok(Outcome::Done)
}

/// Lists every label, one JSON object a line.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn labels(console: &mut Console, collection: &str, labels: &Labels) -> Result<Outcome> {
    let mut list = Vec::new();
    for pair in &labels.pairs {
        let Some(query) = labels.queries.get(pair.query_idx) else { continue };
        for verdict in &pair.said {
            let mut line = question_json(query);
            line.insert("record".to_string(), json!(pair.record.id));
            line.extend(verdict_json(verdict));
            list.push(Json::Object(line));
        }
    }
    for class in &labels.classes {
        list.push(json!({"class": class.value, "records": class.rows.len()}));
    }
    let is_empty = list.is_empty();
    if console.json {
        console.document(&json!({
            "respect": labels.respect.name, "collection": collection, "field": labels.respect.field,
            "labels": list, "orphans": labels.orphans,
        }))?;
    } else {
        for line in list {
            console.line(line)?;
        }
    }
    Ok(if is_empty { Outcome::Nothing } else { Outcome::Done })
}

fn question_json(query: &LabelledQuery) -> Map<String, Json> {
    let mut json = Map::new();
    json.insert("query_id".to_string(), json!(query.query.id));
    if let Some(text) = &query.query.text {
        json.insert("query".to_string(), json!(text));
    }
    if let Some(record) = &query.query.record {
        json.insert("query_record".to_string(), json!(record.id));
    }
    json
}

fn verdict_json(verdict: &Verdict) -> Map<String, Json> {
    let mut json = Map::new();
    json.insert("grade".to_string(), json!(verdict.grade));
    json.insert("source".to_string(), json!(verdict.source));
    json.insert("time".to_string(), json!(verdict.time));
    json.insert("commit".to_string(), json!(verdict.commit.0));
    json
}
