//! What a record must be before it may change anything: ids, lengths, field types, vectors.
//!
//! It looks at the collection's definition and the record, and answers which field types the record would set.
//! Every refusal names the field it is about.

use crate::error::{Error, ErrorKind, Result};
use crate::query;
use crate::store::names::find_view;
use crate::types::{CollectionDef, ElementType, FieldType, Record, Value, ViewDef, ViewKind, limits};
use half::f16;

/// What a valid record changes in the collection's definition.
#[derive(Debug, Default, PartialEq)]
pub(in crate::store) struct FieldChanges(pub(in crate::store) Vec<(String, FieldType)>);

/// Asked of a field of lists that meets another kind of list: whether all lists that it holds are empty.
pub(in crate::store) type AllEmpty<'a> = dyn FnMut(&str) -> Result<bool> + 'a;

/// Checks everything about `record`; of other records it only asks `all_empty`.
///
/// # Errors
/// `Invalid` or `Limit`, with [`Error::field`] set; what `all_empty` fails with.
pub(in crate::store) fn check_record(
    def: &CollectionDef,
    record: &Record,
    all_empty: &mut AllEmpty<'_>,
) -> Result<FieldChanges> {
    check_id(&record.id)?;
    check_text("text", &record.text)?;
    let changes = check_fields(def, record, all_empty)?;
    for (name, vector) in &record.vectors {
        check_vector(find_view(def, name)?, vector)?;
    }
    for (name, text) in &record.view_texts {
        let view = find_view(def, name)?;
        if !matches!(view.kind, ViewKind::TextFrom(_)) {
            let message = format!("view {name} takes no text of its own: it is a {} view", view.kind.as_str());
            return Err(Error::invalid(message).with_field(name));
        }
        check_text(name, text)?;
    }
    Ok(changes)
}

/// Refuses ids that are empty or too long.
pub(in crate::store) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::invalid("the id is empty").with_field("id"));
    }
    if id.len() > limits::ID_BYTES {
        let message = format!("the id has {} bytes, more than {}", id.len(), limits::ID_BYTES);
        return Err(Error::new(ErrorKind::Limit, message).with_field("id"));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<()> {
    if text.len() > limits::TEXT_BYTES {
        let message = format!("{field} has {} bytes, more than {}", text.len(), limits::TEXT_BYTES);
        return Err(Error::new(ErrorKind::Limit, message).with_field(field));
    }
    Ok(())
}

fn check_fields(def: &CollectionDef, record: &Record, all_empty: &mut AllEmpty<'_>) -> Result<FieldChanges> {
    let mut changes = FieldChanges::default();
    let mut bytes = 0;
    for (name, value) in &record.fields {
        if name.is_empty() || name.len() > limits::NAME_BYTES {
            let message = format!("a field's name has 1 to {} bytes, not {}", limits::NAME_BYTES, name.len());
            return Err(Error::invalid(message).with_field(name));
        }
        bytes += name.len() + value_bytes(value);
        let Some(found) = field_type_of(name, value)? else { continue };
        match def.fields.get(name) {
            Some(&known) if known == found => {}
            Some(FieldType::Float) if found == FieldType::Integer => {}
            Some(FieldType::Integer) if found == FieldType::Float => changes.0.push((name.clone(), found)),
            // A list of nothing fits any list, and had nothing to say about what the field's lists hold.
            Some(FieldType::TextList | FieldType::Json) if value.is_empty_list() => {}
            Some(known) if is_other_list(*known, found) && all_empty(name)? => changes.0.push((name.clone(), found)),
            Some(known) => {
                let message = format!("field {name} holds {} values, not {}", known.as_str(), found.as_str());
                return Err(Error::invalid(message).with_field(name));
            }
            None => changes.0.push((name.clone(), found)),
        }
    }
    let new = changes.0.iter().filter(|(name, _)| !def.fields.contains_key(name)).count();
    if def.fields.len() + new > limits::FIELD_COUNT {
        let message = format!("the collection would have more than {} fields", limits::FIELD_COUNT);
        let field = changes.0.last().map_or("", |(name, _)| name);
        return Err(Error::new(ErrorKind::Limit, message).with_field(field));
    }
    if bytes > limits::FIELDS_BYTES {
        let message = format!("the metadata has {bytes} bytes, more than {}", limits::FIELDS_BYTES);
        let largest = record.fields.iter().max_by_key(|(_, value)| value_bytes(value));
        return Err(Error::new(ErrorKind::Limit, message).with_field(largest.map_or("", |(name, _)| name)));
    }
    Ok(changes)
}

fn is_other_list(known: FieldType, found: FieldType) -> bool {
    matches!((known, found), (FieldType::TextList, FieldType::Json) | (FieldType::Json, FieldType::TextList))
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Integer(_) | Value::Float(_) => 8,
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::TextList(items) => items.iter().map(|item| item.len() + 8).sum(),
    }
}

fn field_type_of(name: &str, value: &Value) -> Result<Option<FieldType>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(_) => FieldType::Bool,
        Value::Integer(_) => FieldType::Integer,
        Value::Float(number) if !number.is_finite() => {
            return Err(Error::invalid(format!("field {name} is {number}, which is no number")).with_field(name));
        }
        Value::Float(_) => FieldType::Float,
        Value::Text(_) => FieldType::Text,
        Value::TextList(_) => FieldType::TextList,
        Value::Json(_) if value.is_empty_list() => FieldType::TextList,
        Value::Json(_) => FieldType::Json,
    }))
}

/// Refuses vectors that are empty, of another dimension, not finite, or out of a half float's range.
pub(in crate::store) fn check_vector(view: &ViewDef, vector: &[f32]) -> Result<()> {
    let refuse =
        |why: String| Error::invalid(format!("the vector for view {} {why}", view.name)).with_field(&view.name);
    if vector.is_empty() {
        return Err(refuse("is empty".to_string()));
    }
    if vector.len() > limits::DIMENSION {
        let message = format!("a vector has at most {} dimensions, this one {}", limits::DIMENSION, vector.len());
        return Err(Error::new(ErrorKind::Limit, message).with_field(&view.name));
    }
    if let Some(dimension) = view.dimension.filter(|&dimension| dimension as usize != vector.len()) {
        return Err(refuse(format!("has {} dimensions, the view has {dimension}", vector.len())));
    }
    if let Some(at) = vector.iter().position(|value| !value.is_finite()) {
        return Err(refuse(format!("has {} at position {at}", vector.get(at).copied().unwrap_or(f32::NAN))));
    }
    if view.element == ElementType::F16
        && let Some(at) = vector.iter().position(|&value| !f16::from_f32(value).is_finite())
    {
        return Err(refuse(format!("has a number at position {at} that is too large for f16")));
    }
    Ok(())
}

/// Refuses a name that statements could not use as it stands; `what` is what it would name.
pub(in crate::store) fn check_name(what: &str, name: &str) -> Result<()> {
    query::check_name(name).map_err(|error| error.with_field(what))
}
