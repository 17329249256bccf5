//! A record as a user hands it in or gets it back.

use super::value::Value;
use std::collections::BTreeMap;

/// A record: an id, a text, metadata, and optionally supplied vectors and supplied view texts.
///
/// ```
/// use simile::Record;
/// let record = Record::new("n1", "I left them in my pocket").field("year", 2024);
/// assert_eq!(record.id, "n1");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Record {
    /// 1 to 512 bytes, unique in its collection.
    pub id: String,
    /// The raw text; may be empty.
    pub text: String,
    /// Metadata by field name.
    pub fields: BTreeMap<String, Value>,
    /// Supplied vectors by view name; kept bit for bit (see the view's element type).
    pub vectors: BTreeMap<String, Vec<f32>>,
    /// Supplied texts of rewrite views by view name.
    pub view_texts: BTreeMap<String, String>,
}

impl Record {
    /// A record without metadata.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Record { id: id.into(), text: text.into(), ..Record::default() }
    }

    /// Sets one metadata field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Supplies the vector of one view.
    #[must_use]
    pub fn vector(mut self, view: impl Into<String>, vector: Vec<f32>) -> Self {
        self.vectors.insert(view.into(), vector);
        self
    }

    /// Supplies the text of one rewrite view.
    #[must_use]
    pub fn view_text(mut self, view: impl Into<String>, text: impl Into<String>) -> Self {
        self.view_texts.insert(view.into(), text.into());
        self
    }
}
