//! What the fuzz targets run: one function for each, panicking where something does not hold.
//!
//! `fuzz/` calls these under libFuzzer, and `cargo test` runs them over the committed corpora, so that an input once
//! found stays found. No part of the public interface.

use crate::error::QueryError;
use crate::query::{parse, parse_expr, print, print_expr};

/// Any text is a statement that comes back from its canonical text, or an error that can be shown and whose
/// repaired statement parses. The same for conditions alone.
///
/// # Panics
/// Where that does not hold.
pub fn query_roundtrip(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    round_trip(&text, parse, |tree| print(tree));
    round_trip(&text, parse_expr, |tree| print_expr(tree));
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
