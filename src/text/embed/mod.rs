//! Text to vector: the [`Embedder`] contract and the model that is compiled into the crate.
//!
//! The bundled model is static: a text is split into WordPiece tokens, each token has one row in a table, and the
//! mean of the rows is the vector. `normalize` cleans and splits, `wordpiece` segments, [`table`] reads the bytes,
//! `pooled` adds the rows up. Invariant: a text's vector depends on that text and the table alone, never on its
//! neighbours in a batch, the number of threads or the machine.

mod normalize;
mod pooled;
pub mod table;
mod wordpiece;

use std::sync::Arc;
#[cfg(feature = "model")]
use std::sync::OnceLock;

use crate::error::Result;

pub use pooled::StaticEmbedder;
pub use wordpiece::Vocabulary;

/// The bytes of the bundled model; `assets/README.md` says where they come from and under which licences.
#[cfg(feature = "model")]
static BUNDLED_TABLE: &[u8] = include_bytes!("../../../assets/static.simtable");

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

/// The bundled model's name, which stores keep.
const BUNDLED_NAME: &str = "static-208";

/// The bundled model, where this build has it.
pub(crate) fn default_model() -> Option<Arc<dyn Embedder>> {
    #[cfg(feature = "model")]
    return Some(bundled());
    #[cfg(not(feature = "model"))]
    None
}

/// An embedder by its name, as a sentence has it: "the bundled English model", or "embedder NAME".
pub(crate) fn in_words(name: &str) -> String {
    match name == BUNDLED_NAME {
        true => "the bundled English model".to_string(),
        false => format!("embedder {name}"),
    }
}

/// The bundled model, decoded once per process. Only in builds with the feature `model`, which is on by default.
///
/// ```
/// use simile::text::embed::bundled;
///
/// let model = bundled();
/// let mut rows = Vec::new();
/// model.embed(&["a boat", "a ship", "a banana"], &mut rows)?;
/// let (boat, rest) = rows.split_at(model.dimension());
/// let (ship, banana) = rest.split_at(model.dimension());
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
/// assert!(dot(boat, ship) > dot(boat, banana));
/// # Ok::<(), simile::Error>(())
/// ```
///
/// # Panics
/// If the table compiled into this build is damaged, which a test of this module rules out.
#[cfg(feature = "model")]
pub fn bundled() -> Arc<dyn Embedder> {
    static MODEL: OnceLock<Arc<dyn Embedder>> = OnceLock::new();
    Arc::clone(MODEL.get_or_init(|| {
        let model = StaticEmbedder::decode(BUNDLED_TABLE).expect("the table compiled into this build is intact");
        Arc::new(model)
    }))
}

/// The embedder of that name, if this build has it.
pub fn by_name(name: &str) -> Option<Arc<dyn Embedder>> {
    default_model().filter(|model| model.name() == name)
}

#[cfg(test)]
mod tests;
