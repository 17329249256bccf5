//! Values bound to the `$names` of a statement.
//!
//! A bound value never becomes query text, so what a user typed cannot change what a statement does.

use std::collections::BTreeMap;

/// A value for a `$name`: text or a vector as a source, anything but a vector in a condition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Param {
    /// Text: embedded through the view as a source. In a condition it is compared as text, or, where the field holds
    /// numbers or booleans and the text reads as one, as that.
    Text(String),
    /// A vector of the view, as a source.
    Vector(Vec<f32>),
    /// A whole number, in a condition.
    Integer(i64),
    /// A finite number, in a condition.
    Float(f64),
    /// A boolean, in a condition.
    Bool(bool),
}

/// Bound values by name, without the `$`.
pub type Params = BTreeMap<String, Param>;

macro_rules! from {
    ($($from:ty => |$v:ident| $to:expr;)*) => {
        $(impl From<$from> for Param {
            fn from($v: $from) -> Self {
                $to
            }
        })*
    };
}

from! {
    &str => |v| Param::Text(v.to_string());
    String => |v| Param::Text(v);
    &String => |v| Param::Text(v.clone());
    Vec<f32> => |v| Param::Vector(v);
    &[f32] => |v| Param::Vector(v.to_vec());
    i64 => |v| Param::Integer(v);
    i32 => |v| Param::Integer(i64::from(v));
    f64 => |v| Param::Float(v);
    bool => |v| Param::Bool(v);
}
