//! Everything that turns text into something else.
//!
//! Owns [`embed`] (text to vector). It knows nothing of stores, views or queries: text goes in, rows of numbers
//! come out, and the same text gives the same numbers on every machine.

pub mod embed;
