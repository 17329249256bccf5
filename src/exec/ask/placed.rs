//! A tree made by hand, checked as a written statement is.
//!
//! Owns the printed form that its answers and errors show.

use crate::error::{QueryError, Result};
use crate::query::ast::Statement;
use crate::query::{bounds, parse, print};
use crate::types::limits::STATEMENT_BYTES;

/// A tree made by hand, checked as a written one is, and its printed form for answers and errors to show. What it means
/// never depends on that text: where it is as short as a statement may be, errors have places in it, else they have
/// none.
///
/// # Errors
/// The first limit that the tree breaks.
pub(crate) fn placed(statement: Statement) -> Result<(Statement, String)> {
    let checked = bounds::check(&statement);
    // What is too deep or too long is not followed to be printed.
    let text = match &checked {
        Err(fault) if fault.too_large => String::new(),
        _ => print(&statement),
    };
    let parsed = if text.len() <= STATEMENT_BYTES { Some(parse(&text)) } else { None };
    let Err(fault) = checked else {
        let placed = parsed.and_then(Result::ok).filter(|parsed| *parsed == statement);
        return Ok((placed.unwrap_or(statement), text));
    };
    Err(match parsed {
        // The same, with its place and what would have worked.
        Some(Err(error)) if error.code == fault.code => error,
        _ => {
            let error = QueryError::new(fault.code, fault.message, "", 0..0);
            fault.hint.into_iter().fold(error, QueryError::hint)
        }
    }
    .into())
}
