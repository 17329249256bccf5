//! Standard error, for whoever has no console.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes to standard error; nobody is left to tell when that is closed.
pub(super) fn to_stderr(text: impl Display) {
    let _ = write!(io::stderr(), "{text}");
}
