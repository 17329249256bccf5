//! Errors that point into a statement: names that do not exist, what does, and the corrected line.
//!
//! Owns how a mistake found after parsing is worded. It changes no statement and looks nothing up; callers hand
//! in the names that exist.

use crate::error::QueryError;
use crate::query::{print_field, print_name, suggest};
use std::ops::Range;

/// Most names listed in an error; further ones are counted.
const LISTED: usize = 20;

/// The statement an error points into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    text: &'a str,
}

impl<'a> Site<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Site { text }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// A plain error at `span`.
    pub(crate) fn error(&self, code: &'static str, message: impl Into<String>, span: &Range<usize>) -> QueryError {
        QueryError::new(code, message, self.text, span.clone())
    }

    /// An error for a name that is not there: lists what is, and repairs the line with the nearest.
    pub(crate) fn no_such<'n>(
        &self,
        code: &'static str,
        kind: &str,
        message: &str,
        span: &Range<usize>,
        name: &str,
        existing: impl IntoIterator<Item = &'n str>,
    ) -> QueryError {
        let existing: Vec<&str> = existing.into_iter().collect();
        let mut error = self.error(code, message, span);
        error.found = name.to_string();
        let nearest = suggest(name, existing.iter().copied());
        if let Some(nearest) = &nearest {
            error = error.hint(format!("did you mean `{nearest}`?"));
        }
        error = error.hint(listed(kind, &existing)).expected(existing.iter().take(LISTED).copied());
        match nearest {
            Some(nearest) => {
                let written = if kind == "field" { print_field(&nearest) } else { print_name(&nearest) };
                self.respell(error, &[(span.clone(), written)])
            }
            None => error,
        }
    }

    /// An error for a parameter that nothing was bound to.
    pub(crate) fn unbound(&self, name: &str, span: &Range<usize>) -> QueryError {
        self.error("resolve::unbound_param", format!("`${name}` has no value"), span).hint(format!(
            "bind it: `.bind(\"{name}\", ...)` in the library, `--param {name}=TEXT` on the command line"
        ))
    }

    /// Adds the statement with `changes` made to it; they are ascending, disjoint and inside the text. A tree
    /// that was not parsed has no places to change and gets no correction.
    pub(crate) fn respell(&self, error: QueryError, changes: &[(Range<usize>, String)]) -> QueryError {
        let mut line = String::with_capacity(self.text.len() + 16);
        let mut done = 0;
        for (range, replacement) in changes {
            let (Some(kept), true) = (self.text.get(done..range.start), range.end > 0) else { return error };
            if self.text.get(range.clone()).is_none() {
                return error;
            }
            line.push_str(kept);
            line.push_str(replacement);
            done = range.end;
        }
        line.push_str(self.text.get(done..).unwrap_or(""));
        error.corrected(line.trim().to_string())
    }
}

/// `lenses: answering, plain, topic`, or that there are none.
pub(crate) fn listed(kind: &str, names: &[&str]) -> String {
    let plural = plural(kind);
    if names.is_empty() {
        return format!("there are no {plural} yet");
    }
    let more = names.len().saturating_sub(LISTED);
    let shown = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{plural}: {shown} and {more} more") } else { format!("{plural}: {shown}") }
}

fn plural(kind: &str) -> String {
    if kind.ends_with('s') { format!("{kind}es") } else { format!("{kind}s") }
}

/// `a, b or c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
