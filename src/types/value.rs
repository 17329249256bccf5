//! A metadata value of a record, free of any serialization library.

use std::fmt;

/// One metadata value, as it came from JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value; treated as if the field were missing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Integer(i64),
    /// Any other finite number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list of text.
    TextList(Vec<String>),
    /// A nested object or another list, kept as compact JSON text: shown, but not filterable.
    Json(String),
}

impl Value {
    /// Whether it is a list without any text or number in it, `[]` or `[null, null]`: such a list fits every field of
    /// lists, and says nothing about what the field's lists hold.
    pub fn is_empty_list(&self) -> bool {
        match self {
            Value::TextList(items) => items.is_empty(),
            Value::Json(json) => holds_nothing(json),
            _ => false,
        }
    }
}

/// Whether JSON text is a list of nothing, or of nothing but nulls.
fn holds_nothing(json: &str) -> bool {
    let inner = json.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim().is_empty() || inner.split(',').all(|item| item.trim() == "null"))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(v) => v.fmt(f),
            Value::Integer(v) => v.fmt(f),
            Value::Float(v) => v.fmt(f),
            Value::Text(v) => f.write_str(v),
            Value::TextList(v) => f.write_str(&v.join(", ")),
            Value::Json(v) => f.write_str(v),
        }
    }
}

macro_rules! from {
    ($($from:ty => |$v:ident| $to:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $to
            }
        })*
    };
}

from! {
    bool => |v| Value::Bool(v);
    i64 => |v| Value::Integer(v);
    i32 => |v| Value::Integer(i64::from(v));
    f64 => |v| Value::Float(v);
    &str => |v| Value::Text(v.to_string());
    String => |v| Value::Text(v);
    Vec<String> => |v| Value::TextList(v);
    Vec<&str> => |v| Value::TextList(v.into_iter().map(str::to_string).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_nothing_are_told_from_others() {
        for nothing in ["[]", "[null]", "[null,null]", " [ null , null ] ", "[ ]"] {
            assert!(Value::Json(nothing.to_string()).is_empty_list(), "{nothing}");
        }
        for something in ["{}", "[[]]", "[null,1]", "[\"null\"]", "[,]", "null", "", "["] {
            assert!(!Value::Json(something.to_string()).is_empty_list(), "{something}");
        }
        assert!(Value::TextList(Vec::new()).is_empty_list());
        assert!(!Value::from(vec![""]).is_empty_list());
        assert!(!Value::Null.is_empty_list());
    }
}
