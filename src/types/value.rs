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
    /// Whether it is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, of a text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, of a whole number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, of a number; a whole one beyond 2^53 is rounded to the nearest.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// `true` or `false`, of one of them.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The texts, of a list of texts.
    pub fn as_list(&self) -> Option<&[String]> {
        match self {
            Value::TextList(items) => Some(items),
            _ => None,
        }
    }

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
    i16 => |v| Value::Integer(i64::from(v));
    i8 => |v| Value::Integer(i64::from(v));
    u32 => |v| Value::Integer(i64::from(v));
    u16 => |v| Value::Integer(i64::from(v));
    u8 => |v| Value::Integer(i64::from(v));
    f64 => |v| Value::Float(v);
    f32 => |v| Value::Float(f64::from(v));
    &str => |v| Value::Text(v.to_string());
    String => |v| Value::Text(v);
    Vec<String> => |v| Value::TextList(v);
    Vec<&str> => |v| Value::TextList(v.into_iter().map(str::to_string).collect());
}

/// `None` is no value, as a field that is missing.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_of_what_programs_have_and_give_it_back() {
        assert_eq!(Value::from(7_u8), Value::Integer(7));
        assert_eq!(Value::from(u32::MAX), Value::Integer(4_294_967_295));
        assert_eq!(Value::from(0.5_f32), Value::Float(0.5));
        assert_eq!(Value::from(None::<i64>), Value::Null);
        assert_eq!(Value::from(Some("a")), Value::Text("a".to_string()));
        assert_eq!(Value::from("a").as_str(), Some("a"));
        assert_eq!(Value::from(3).as_i64(), Some(3));
        assert_eq!((Value::from(3).as_f64(), Value::from(0.5).as_f64()), (Some(3.0), Some(0.5)));
        assert_eq!(Value::from(true).as_bool(), Some(true));
        assert_eq!(Value::from(vec!["a", "b"]).as_list().map(<[String]>::len), Some(2));
        assert!(Value::from(None::<bool>).is_null());
        // One kind is never read as another, but for whole numbers as floats.
        assert_eq!(
            (Value::from(0.5).as_i64(), Value::from("3").as_i64(), Value::from(1).as_bool()),
            (None, None, None)
        );
        assert_eq!((Value::Null.as_str(), Value::from("a").as_list()), (None, None));
        // 2^53 + 1 is no f64: it is the nearest.
        assert_eq!(Value::Integer((1 << 53) + 1).as_f64(), Some(9_007_199_254_740_992.0));
    }

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
