//! What the fuzz targets run: one function for each, panicking where something does not hold.
//!
//! `fuzz/` calls these under libFuzzer, and `cargo test` runs them over the committed corpora, so that an input once
//! found stays found. No part of the public interface.

#[cfg_attr(not(test), allow(dead_code, reason = "only tests carry out all of it"))]
mod accounts;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests carry out all of it"))]
mod crash;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests carry out all of it"))]
mod damage;
#[cfg(test)]
mod declared;
mod forged;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests carry out all of it"))]
mod learned;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod mixtures;
#[cfg_attr(not(test), allow(dead_code, reason = "only tests carry out all of it"))]
mod ops;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turns;

pub use forged::forged_store;
pub use store::{decode_catalog_value, open_store, ops_with_crash, segment_header};

use crate::error::QueryError;
use crate::interchange::jsonl::{ImportSpec, json_text, parse_line};
use crate::query::{parse, parse_expr, print, print_expr};
use crate::types::limits::{DIMENSION, ID_BYTES, TEXT_BYTES};
use crate::types::{Record, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Lets a fuzzer's hook, which ends the process, hear of no panic that comes from the catalog's engine: on damaged
/// files these are expected, caught where the engine is called, and become errors.
pub fn spare_caught_panics() {
    let ends = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("/redb-")) {
            ends(panic);
        }
    }));
}

/// Any text is a statement that comes back from its canonical text, or an error that can be shown and whose
/// repaired statement parses. The same for conditions alone.
///
/// # Panics
/// Where that does not hold.
pub fn query_roundtrip(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    round_trip(&text, parse, print);
    round_trip(&text, parse_expr, print_expr);
}

fn round_trip<T: PartialEq>(text: &str, parse: fn(&str) -> Result<T, QueryError>, print: fn(&T) -> String) {
    let tree = match parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(error.text.get(error.span.clone()).is_some(), "a span off the statement: {error:?}");
            assert!(!error.message.contains(char::is_control), "a message with control characters: {error:?}");
            if let Some(corrected) = &error.corrected {
                assert!(parse(corrected).is_ok(), "a correction that does not parse: {error:?}");
            }
            return;
        }
    };
    let printed = print(&tree);
    assert!(!printed.contains(char::is_control), "control characters in {printed:?}");
    match parse(&printed) {
        // A statement at the limit may become too long by its canonical quotes and spaces.
        Err(error) => assert!(error.code == "limit::statement", "{printed:?} does not parse: {error:?}"),
        Ok(again) => {
            assert!(again == tree, "{printed:?} is another tree than {text:?}");
            assert!(print(&again) == printed, "{printed:?} prints differently");
        }
    }
}

/// Any line is a record within the limits that comes back from its own JSON, or an error without control characters.
/// The first byte chooses what is asked of the line: named fields, a vector, a rewrite view, vectors only.
///
/// # Panics
/// Where that does not hold.
pub fn import_line(data: &[u8]) {
    let (choice, line) = data.split_first().map_or((0, data), |(choice, line)| (*choice, line));
    let wants = |bit: u8| choice & bit != 0;
    let spec = ImportSpec {
        id: wants(1).then(|| "key".to_string()),
        vector_field: wants(2).then(|| "v".to_string()),
        view_texts: if wants(4) { vec![("short".to_string(), "rewritten".to_string())] } else { Vec::new() },
        only_vectors: wants(8),
        ..ImportSpec::default()
    };
    let record = match parse_line(line, &spec) {
        Ok(record) => record,
        Err(error) => {
            assert!(!error.reason.is_empty() && error.to_string().len() < 4096, "{error:?}");
            return;
        }
    };
    assert!((1..=ID_BYTES).contains(&record.id.len()) && record.text.len() <= TEXT_BYTES, "{record:?}");
    for vector in record.vectors.values() {
        assert!((1..=DIMENSION).contains(&vector.len()) && vector.iter().all(|n| n.is_finite()), "{record:?}");
    }
    for value in record.fields.values() {
        assert!(!matches!(value, Value::Float(number) if !number.is_finite()), "{record:?}");
    }
    let again = parse_line(line_of(&record, &spec).as_bytes(), &spec);
    assert!(again.as_ref() == Ok(&record), "{record:?} came back as {again:?}");
}

/// The record as a line that `spec` reads.
fn line_of(record: &Record, spec: &ImportSpec) -> String {
    let mut line: BTreeMap<String, String> =
        record.fields.iter().map(|(name, value)| (name.clone(), json_text(value))).collect();
    let mut insert = |key: &str, value: Json| line.insert(key.to_string(), value.to_string());
    insert(spec.id.as_deref().unwrap_or("id"), Json::from(record.id.as_str()));
    if !spec.only_vectors {
        insert(&spec.text, Json::from(record.text.as_str()));
    }
    if let (Some(field), Some(vector)) = (&spec.vector_field, record.vectors.get(&spec.vector_view)) {
        insert(field, Json::from(vector.iter().map(|&n| f64::from(n)).collect::<Vec<_>>()));
    }
    let pairs: Vec<String> = line.iter().map(|(key, value)| format!("{}:{value}", Json::from(key.as_str()))).collect();
    format!("{{{}}}", pairs.join(","))
}
