//! Every bound on what input and files may claim, in one place.

/// Longest record id, in bytes; the shortest is 1.
pub const ID_BYTES: usize = 512;
/// Longest id of a question of labels, in bytes; the shortest is 1.
pub const QUESTION_ID_BYTES: usize = 1_024;
/// Longest text of a record or of one view of it, in bytes.
pub const TEXT_BYTES: usize = 16 << 20;
/// Longest name of a collection, view, projection, lens or sample, in bytes.
pub const NAME_BYTES: usize = 128;
/// Longest metadata of one record as JSON, in bytes.
pub const FIELDS_BYTES: usize = 16 << 20;
/// Most metadata fields of one collection.
pub const FIELD_COUNT: usize = 1_024;
/// Largest dimension of a vector.
pub const DIMENSION: usize = 65_536;
/// Most dimensions of which principal directions are computed (`whiten`, `drop`): the covariance of more would not fit.
pub const DIRECTIONS_DIMENSION: usize = 4_096;
/// Most rows of one collection, dead ones included.
pub const ROWS: u64 = 1 << 31;
/// Longest statement, in bytes.
pub const STATEMENT_BYTES: usize = 64 << 10;
/// Deepest nesting of a `where` expression.
pub const NESTING: usize = 64;
/// Most values in a list of a statement, and most numbers in a vector literal (at least [`DIMENSION`] fits no
/// statement).
pub const LIST_VALUES: usize = 10_000;
/// Largest `top`.
pub const TOP: u64 = 1_000_000;
/// Most bytes one catalog value may decode to: a whitening of [`DIRECTIONS_DIMENSION`] is 128 MiB and a little. Larger
/// things are kept in chunks.
pub const VALUE_BYTES: usize = 136 << 20;
