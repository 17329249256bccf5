//! A record as it is shown: what a snapshot reads, and the handle keeps of those shown lately.

use crate::types::{RecordKey, Value};
use std::collections::BTreeMap;

/// A record without its views.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordData {
    /// The stable key.
    pub key: RecordKey,
    /// The id.
    pub id: String,
    /// The raw text.
    pub text: String,
    /// Metadata that is not null.
    pub fields: BTreeMap<String, Value>,
}
