//! How answers, listings and errors look.
//!
//! Owns everything between a result and the characters on a screen: tables that fit the width, escaped control
//! characters, carets under mistakes, the JSON shapes. It asks nothing of a store.

pub(crate) mod answer;
pub(crate) mod comparison;
pub(crate) mod error;
pub(crate) mod explanation;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod learned;
pub(crate) mod pairs;
pub(crate) mod shapes;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod why;
