//! The one error type of the crate, and the shape of a query error.
//!
//! Owns [`Error`], [`ErrorKind`] and [`QueryError`]. It is a leaf: it imports nothing of ours, and no
//! dependency's type appears in it. Messages say what happened, where, and what to do; the source chain keeps
//! the operating system's or a dependency's own words.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong. More kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused a read, a write, a sync or a lock.
    Io,
    /// Bytes on disk are not what was written: the message names file, offset, expected and found.
    Corrupt,
    /// The store was written by a newer format, or needs a feature this build does not know.
    Version,
    /// Another process or handle holds what is needed (the writer's lock).
    Locked,
    /// A name or id does not exist.
    NotFound,
    /// A name or id exists already.
    Exists,
    /// The input (a record, a vector, a file, an argument) is not acceptable.
    Invalid,
    /// A statement of the query language cannot be understood or run; see [`Error::query`].
    Query,
    /// A stated limit (length, count, nesting) is exceeded.
    Limit,
    /// The store or handle cannot write: read-only, or poisoned by an earlier failed write.
    ReadOnly,
    /// The caller's cancellation token was set.
    Cancelled,
    /// A batch cannot go on: an earlier call on it failed half way, or a panic passed through it. It has changed
    /// nothing.
    Broken,
    /// Valid, but not available in this version or build.
    Unsupported,
}

impl ErrorKind {
    /// The kind as one lower-case word, as it stands in `--json` errors.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Io => "io",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Version => "version",
            ErrorKind::Locked => "locked",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Exists => "exists",
            ErrorKind::Invalid => "invalid",
            ErrorKind::Query => "query",
            ErrorKind::Limit => "limit",
            ErrorKind::ReadOnly => "read_only",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Broken => "broken",
            ErrorKind::Unsupported => "unsupported",
        }
    }
}

/// Where in a file bytes were found damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the store's folder where it is inside one.
    pub file: PathBuf,
    /// Byte offset of the damaged unit (page, block, header, value).
    pub offset: u64,
    /// What is wrong, in a few words.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} offset {}: {}: expected {}, found {}",
            self.file.display(),
            self.offset,
            self.what,
            self.expected,
            self.found
        )
    }
}

/// A statement that cannot be understood or run: where, what was expected, what would have worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Stable code such as `parse::unknown_stage` or `resolve::no_such_lens`.
    pub code: &'static str,
    /// One sentence without the position.
    pub message: String,
    /// The statement as typed.
    pub text: String,
    /// Byte range in `text` that is underlined; empty ranges point between bytes.
    pub span: Range<usize>,
    /// What could stand there, most likely first.
    pub expected: Vec<String>,
    /// What stands there.
    pub found: String,
    /// Further lines: did-you-mean, names that exist, notes.
    pub hints: Vec<String>,
    /// The whole statement, repaired, where that is possible.
    pub corrected: Option<String>,
}

impl QueryError {
    /// An error with `code` and `message` at `span` of `text`; the rest is empty.
    pub fn new(code: &'static str, message: impl Into<String>, text: &str, span: Range<usize>) -> Self {
        let found = text.get(span.clone()).unwrap_or("").to_string();
        QueryError {
            code,
            message: message.into(),
            text: text.to_string(),
            span,
            expected: Vec::new(),
            found,
            hints: Vec::new(),
            corrected: None,
        }
    }

    /// Adds what could stand at the span.
    pub fn expected<S: Into<String>>(mut self, expected: impl IntoIterator<Item = S>) -> Self {
        self.expected.extend(expected.into_iter().map(Into::into));
        self
    }

    /// Adds one line of help.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the repaired statement.
    pub fn corrected(mut self, corrected: impl Into<String>) -> Self {
        self.corrected = Some(corrected.into());
        self
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for QueryError {}

/// What went wrong, with enough context to act on it.
///
/// Opaque: ask [`Error::kind`], [`Error::damage`] and [`Error::query`].
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    damage: Option<Damage>,
    query: Option<QueryError>,
    field: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                path: None,
                damage: None,
                query: None,
                field: None,
                source: None,
            }),
        }
    }

    /// An error of kind [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, message)
    }

    /// An error of kind [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::NotFound, message)
    }

    /// An error of kind [`ErrorKind::Corrupt`] at a place in a file.
    pub fn corrupt(damage: Damage) -> Self {
        let mut error = Error::new(ErrorKind::Corrupt, damage.to_string());
        error.inner.damage = Some(damage);
        error
    }

    /// An error of kind [`ErrorKind::Io`] while doing `action` (such as "read") to `path`.
    pub fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        Error::new(ErrorKind::Io, format!("cannot {action} {}: {source}", path.display()))
            .with_path(path)
            .with_source(source)
    }

    /// Names the file or folder the error is about.
    #[must_use]
    pub fn with_path(mut self, path: &Path) -> Self {
        self.inner.path = Some(path.to_path_buf());
        self
    }

    /// Names the part of a record the error is about: `id`, `text`, a metadata field, a view.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.inner.field = Some(field.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(source));
        self
    }

    /// Puts `context` and a colon before the message, as in `line 7: ...`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// Puts `rest` behind the message, as in `...; nothing was imported`.
    #[must_use]
    pub fn followed_by(mut self, rest: impl fmt::Display) -> Self {
        self.inner.message = format!("{}{rest}", self.inner.message);
        self
    }

    /// What sort of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message without its causes.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The file or folder the error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// The part of a record the error is about: `id`, `text`, a metadata field, a view; where there is one.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// The damaged place, for [`ErrorKind::Corrupt`].
    pub fn damage(&self) -> Option<&Damage> {
        self.inner.damage.as_ref()
    }

    /// Span, expected, found and hints, for [`ErrorKind::Query`].
    pub fn query(&self) -> Option<&QueryError> {
        self.inner.query.as_ref()
    }
}

impl From<QueryError> for Error {
    fn from(query: QueryError) -> Self {
        let mut error = Error::new(ErrorKind::Query, query.message.clone());
        error.inner.query = Some(query);
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
