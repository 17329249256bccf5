//! The contract of everything that turns text into vectors.

use crate::error::Result;

/// Turns text into a vector.
pub trait Embedder: Send + Sync + std::fmt::Debug {
    /// A stable name such as `static-256`. A store keeps it as the provenance of its vectors, so two embedders
    /// that give different vectors must have different names.
    fn name(&self) -> &str;

    /// The number of coordinates of every vector.
    fn dimension(&self) -> usize;

    /// Appends one row of [`dimension`](Embedder::dimension) numbers per text to `out`, in the order of `texts`.
    ///
    /// A row of zeros says that the model knows nothing of the text, which is not an error: whoever stores or compares
    /// vectors takes such a text for one without a vector.
    ///
    /// # Errors
    /// When the model cannot answer; `out` is then as long as it was before. The bundled model always answers.
    fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()>;

    /// Whether the model knows anything of `text`, asked before the text is put into a template: the words around an
    /// unknown text must not stand in for it. True unless a model says otherwise.
    fn knows(&self, text: &str) -> bool {
        let _ = text;
        true
    }
}

/// The rows that [`Embedder::embed`] gave for texts, one for each; `None` for those it knows nothing of. `rows` holds
/// `dimension` numbers for each.
pub(crate) fn known_rows(rows: &[f32], dimension: usize) -> impl Iterator<Item = Option<&[f32]>> {
    rows.chunks_exact(dimension.max(1)).map(|row| row.iter().any(|value| *value != 0.0).then_some(row))
}
