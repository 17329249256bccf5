//! One line of JSONL to one record.
//!
//! Owns which keys become id, text, vector, view texts and metadata, and the wording of what is wrong with a line.
//! [`parse_line`] is a pure function: no store, no file, no line number of its own. It never panics, whatever the
//! bytes; the fuzz target `import_line` holds it to that.

use super::nested::{compact, nested_values};
use crate::types::limits::{DIMENSION, ID_BYTES, TEXT_BYTES};
use crate::types::{Record, Value};
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Which keys of a line mean what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSpec {
    /// The key of the id; `None`: `id`, and `_id` where there is no `id`.
    pub id: Option<String>,
    /// The key of the text.
    pub text: String,
    /// The key of a supplied vector, a list of numbers; it is not kept as metadata.
    pub vector_field: Option<String>,
    /// The view a supplied vector belongs to.
    pub vector_view: String,
    /// Rewrite views: (key of the line, view whose text it is). The key stays metadata as well.
    pub view_texts: Vec<(String, String)>,
    /// Read id and vector only; every other key is passed over.
    pub only_vectors: bool,
}

impl Default for ImportSpec {
    fn default() -> Self {
        ImportSpec {
            id: None,
            text: "text".to_string(),
            vector_field: None,
            vector_view: "raw".to_string(),
            view_texts: Vec::new(),
            only_vectors: false,
        }
    }
}

/// What is wrong with a line of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line's number in the file, from 1; 0 until the caller that counts lines sets it.
    pub line: u64,
    /// The key at fault, where one is.
    pub field: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

/// Most characters of a key or a reason in a complaint: either may quote a line of megabytes.
const QUOTED: usize = 200;

fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(QUOTED).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

impl LineError {
    pub(super) fn new(field: Option<&str>, reason: impl AsRef<str>) -> Self {
        LineError { line: 0, field: field.map(shortened), reason: shortened(reason.as_ref()) }
    }

    /// The same complaint about line `line`.
    #[must_use]
    pub fn at(mut self, line: u64) -> Self {
        self.line = line;
        self
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "line {} `{field}`: {}", self.line, self.reason),
            None => write!(f, "line {}: {}", self.line, self.reason),
        }
    }
}

impl std::error::Error for LineError {}

/// Reads one line: a JSON object without its line end.
///
/// Numbers of a vector are rounded to the nearest f32 in one step, so that what a program printed from an f32 comes
/// back bit for bit. Whole numbers beyond 64 bits become floats; numbers beyond f64 are refused.
///
/// # Errors
/// A [`LineError`] with line 0 that names the key at fault where there is one.
pub fn parse_line(bytes: &[u8], spec: &ImportSpec) -> Result<Record, LineError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| LineError::new(None, format!("byte {} is not UTF-8", error.valid_up_to() + 1)))?;
    let mut draft = Draft { spec, key: None, id: None, under_id: None, record: Record::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = deserializer.deserialize_any(&mut draft).and_then(|()| {
        draft.key = None;
        deserializer.end()
    });
    if let Err(error) = parsed {
        return Err(LineError::new(draft.key.as_deref(), reword(&error)));
    }
    let mut record = draft.finish()?;
    if record.fields.values().any(|value| matches!(value, Value::Json(_))) {
        keep_as_written(&mut record, text)?;
    }
    Ok(record)
}

/// Puts nested values into a record as the line has them: the parser rounds their numbers, sorts their keys, and keeps
/// the last of equal keys.
fn keep_as_written(record: &mut Record, line: &str) -> Result<(), LineError> {
    let twice = |path: String| LineError::new(Some(&path), "is given twice in one line");
    for (key, written) in nested_values(line).map_err(twice)? {
        if let Some(Value::Json(json)) = record.fields.get_mut(&key) {
            *json = written;
        }
    }
    Ok(())
}

/// The words of a JSON error with its place as a column: a line of JSONL is always "line 1" to the parser.
fn reword(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let words = whole.strip_suffix(&place).unwrap_or(&whole);
    if error.is_data() {
        return words.to_string();
    }
    // What serde_json says of `\ud83d` without its other half, and of `\ude00` without the one before it.
    if words.contains("unexpected end of hex escape") || words.contains("lone leading surrogate") {
        let column = error.column();
        return format!(
            "half of a surrogate pair before column {column} is no character; `\\ufffd` can stand in its place"
        );
    }
    format!("not valid JSON: {words} at column {}", error.column())
}

/// A record in the making, and the key being read, for complaints.
struct Draft<'s> {
    spec: &'s ImportSpec,
    key: Option<String>,
    id: Option<Id>,
    /// The value of `_id`: the id if no `id` comes, metadata otherwise.
    under_id: Option<Id>,
    record: Record,
}

impl Draft<'_> {
    /// Takes the value of `key` out of `map` and puts it where it belongs.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if self.spec.vector_field.as_deref() == Some(key) {
            if let Some(vector) = map.next_value_seed(VectorSeed)? {
                self.record.vectors.insert(self.spec.vector_view.clone(), vector);
            }
            return Ok(());
        }
        match (&self.spec.id, key) {
            (Some(id), key) if id == key => self.id = Some(map.next_value_seed(IdSeed)?),
            (None, "id") => self.id = Some(map.next_value_seed(IdSeed)?),
            (None, "_id") => self.under_id = Some(map.next_value_seed(IdSeed)?),
            _ if self.spec.only_vectors => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value = map.next_value_seed(ValueSeed)?;
                self.place(key, value).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }

    /// Puts the value of a key that is neither id nor vector into the record.
    fn place(&mut self, key: &str, value: Value) -> Result<(), String> {
        if key == self.spec.text {
            self.record.text = text_of(value)?.unwrap_or_default();
            return Ok(());
        }
        for (field, view) in &self.spec.view_texts {
            if field == key
                && let Some(text) = text_of(value.clone())?
            {
                self.record.view_texts.insert(view.clone(), text);
            }
        }
        if key.is_empty() {
            return Err("a field needs a name".to_string());
        }
        self.record.fields.insert(key.to_string(), value);
        Ok(())
    }

    /// The record, once the line has been read.
    fn finish(mut self) -> Result<Record, LineError> {
        let (key, value) = match (self.id.take(), self.under_id.take()) {
            (Some(id), None) => (self.spec.id.as_deref().unwrap_or("id"), id),
            (Some(id), Some(other)) => {
                self.record.fields.insert("_id".to_string(), other.into());
                ("id", id)
            }
            (None, Some(id)) => ("_id", id),
            (None, None) => {
                let (field, reason) = match &self.spec.id {
                    Some(field) => (field.as_str(), "is missing"),
                    None => ("id", "is missing (another field can be the id: --id FIELD)"),
                };
                return Err(LineError::new(Some(field), reason));
            }
        };
        self.record.id = id_of(value).map_err(|reason| LineError::new(Some(key), reason))?;
        Ok(self.record)
    }
}

/// The text of a string or null.
fn text_of(value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) if text.len() > TEXT_BYTES => {
            Err(format!("{} bytes of text, at most {TEXT_BYTES} are allowed", text.len()))
        }
        Value::Text(text) => Ok(Some(text)),
        other => Err(format!("expected text, found {}", describe(&other))),
    }
}

/// What may be an id: a value, or a whole number that only an unsigned integer holds (hashes are such numbers).
enum Id {
    Value(Value),
    Large(u64),
}

impl From<Id> for Value {
    fn from(id: Id) -> Value {
        match id {
            Id::Value(value) => value,
            Id::Large(number) => Value::Float(number as f64),
        }
    }
}

/// Reads a value that may be an id.
struct IdSeed;

impl<'de> DeserializeSeed<'de> for IdSeed {
    type Value = Id;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Id, D::Error> {
        let json = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
        match json.as_u64() {
            Some(number) if i64::try_from(number).is_err() => Ok(Id::Large(number)),
            _ => Ok(Id::Value(value_of(json))),
        }
    }
}

/// The id a value stands for: text, or a whole number in digits.
fn id_of(id: Id) -> Result<String, String> {
    let id = match id {
        Id::Large(id) => id.to_string(),
        Id::Value(Value::Text(id)) => id,
        Id::Value(Value::Integer(id)) => id.to_string(),
        // JSON has it without a fraction, but its digits are lost.
        Id::Value(Value::Float(id)) if id.fract() == 0.0 && id.abs() >= 9.2e18 => {
            return Err("a whole number beyond 64 bits: written as text, in quotes, it can be an id".to_string());
        }
        Id::Value(other) => return Err(format!("expected text or a whole number, found {}", describe(&other))),
    };
    match id.len() {
        0 => Err("is empty".to_string()),
        1..=ID_BYTES => Ok(id),
        bytes => Err(format!("{bytes} bytes long, at most {ID_BYTES} are allowed")),
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a float",
        Value::Text(_) => "text",
        Value::TextList(_) => "a list",
        Value::Json(json) if json.starts_with('[') => "a list",
        Value::Json(_) => "an object",
    }
}

impl<'de> Visitor<'de> for &mut Draft<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"id\": \"n1\", \"text\": \"...\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.key = Some(key.clone());
            if seen.contains(&key) {
                return Err(A::Error::custom("is given twice in one line"));
            }
            self.take(&key, &mut map)?;
            seen.insert(key);
            self.key = None;
        }
        Ok(())
    }
}

/// Reads a list of numbers, or null for no vector.
struct VectorSeed;

impl<'de> DeserializeSeed<'de> for VectorSeed {
    type Value = Option<Vec<f32>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VectorSeed {
    type Value = Option<Vec<f32>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut vector = Vec::new();
        loop {
            match list.next_element::<f32>() {
                Ok(Some(number)) if number.is_finite() && vector.len() < DIMENSION => vector.push(number),
                Ok(Some(number)) if number.is_finite() => {
                    return Err(A::Error::custom(format!("more than {DIMENSION} numbers")));
                }
                Ok(None) if vector.is_empty() => return Err(A::Error::custom("a vector needs at least one number")),
                Ok(None) => return Ok(Some(vector)),
                Ok(Some(_)) => {
                    return Err(A::Error::custom(format!("number {} is beyond 32-bit floats", vector.len() + 1)));
                }
                Err(error) => return Err(A::Error::custom(format!("number {}: {error}", vector.len() + 1))),
            }
        }
    }
}

/// Reads any JSON value as metadata.
pub(crate) struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let json = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
        Ok(value_of(json))
    }
}

/// Metadata from JSON: lists of nothing but text are filterable, other lists and objects are kept as JSON.
pub(crate) fn value_of(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        // A number of serde_json is an i64, a u64 beyond it, or a finite f64.
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Integer(value),
            None => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(value) => Value::Text(value),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            let texts = items.into_iter().filter_map(|item| match item {
                Json::String(text) => Some(text),
                _ => None,
            });
            Value::TextList(texts.collect())
        }
        nested => Value::Json(nested.to_string()),
    }
}

/// The JSON text of metadata on one line, for output: nested values as they are kept.
pub(crate) fn json_text(value: &Value) -> String {
    match value {
        Value::Json(json) if is_on_one_line(json) => json.clone(),
        // What was put in through the library may be set in lines, or be no JSON at all: that is shown as text.
        Value::Json(json) => compact(json).unwrap_or_else(|| serde_json::Value::from(json.as_str()).to_string()),
        other => json_of(other).to_string(),
    }
}

/// Whether it is JSON that may stand in a line as it is.
fn is_on_one_line(json: &str) -> bool {
    !json.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// JSON from metadata that is no nested value; of a nested one, what is left of it by the parser.
pub(crate) fn json_of(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
        Value::TextList(values) => Json::from(values.as_slice()),
        // Kept as text by us; a value that is no JSON was put in through the library and is shown as text.
        Value::Json(json) => serde_json::from_str(json).unwrap_or_else(|_| Json::from(json.as_str())),
    }
}

#[cfg(test)]
mod tests;
