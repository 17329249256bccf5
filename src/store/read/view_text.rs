//! Where a view of rewritten texts finds the text of a record: in a field, or within a nested one.
//!
//! Owns [`text_from`]. A field of exactly that name comes first; else the name is a path, as in `meta.summary`, whose
//! keys may hold dots themselves. `text` is the record's own text where no field has that name.

use crate::types::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The text at `path` of a record with these fields and this text; `None` where there is none.
pub(crate) fn text_from(fields: &BTreeMap<String, Value>, text: &str, path: &str) -> Option<String> {
    match fields.get(path) {
        Some(Value::Text(found)) => return Some(found.clone()),
        Some(Value::Null) | None => {}
        Some(_) => return None,
    }
    for (at, _) in path.match_indices('.') {
        if let Some(Value::Json(json)) = fields.get(&path[..at])
            && let Ok(json) = serde_json::from_str::<Json>(json)
            && let Some(Json::String(found)) = leaf(&json, &path[at + 1..])
        {
            return Some(found.clone());
        }
    }
    (path == "text").then(|| text.to_string())
}

/// The value at `path` within an object.
fn leaf<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    let object = json.as_object()?;
    let deeper = || {
        let dots = path.match_indices('.');
        dots.filter_map(|(at, _)| leaf(object.get(&path[..at])?, &path[at + 1..])).next()
    };
    object.get(path).or_else(deeper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_into_nested_fields() {
        let meta = r#"{"a": {"b": "deep", "n": 1}, "a.c": "dotted", "s": "flat", "l": ["x"], "none": null}"#;
        let fields = BTreeMap::from([
            ("meta".to_string(), Value::Json(meta.to_string())),
            ("meta.s".to_string(), Value::Null),
            ("own.name".to_string(), Value::from("exact")),
            ("n".to_string(), Value::from(5)),
        ]);
        let cases = [
            ("meta.a.b", Some("deep")),
            ("meta.a.c", Some("dotted")),
            ("meta.s", Some("flat")),
            ("own.name", Some("exact")),
            ("text", Some("the text")),
            ("meta.a.n", None),
            ("meta.a", None),
            ("meta.l", None),
            ("meta.none", None),
            ("n", None),
            ("n.m", None),
            ("gone", None),
            ("meta.", None),
            (".meta", None),
        ];
        for (path, expected) in cases {
            assert_eq!(text_from(&fields, "the text", path).as_deref(), expected, "{path}");
        }
    }
}
