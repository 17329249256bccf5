//! Text to vector: the [`Embedder`] contract and the model that is compiled into the crate.
//!
//! The bundled model is static: a text is split into WordPiece tokens, each token has one row in a table, and the
//! mean of the rows is the vector. `normalize` cleans and splits, `wordpiece` segments, [`table`] reads the bytes,
//! `pooled` adds the rows up. Invariant: a text's vector depends on that text and the table alone, never on its
//! neighbours in a batch, the number of threads or the machine.

mod embedder;
mod normalize;
mod pooled;
pub mod table;
mod wordpiece;

use std::sync::Arc;
#[cfg(feature = "model")]
use std::sync::OnceLock;

pub use embedder::Embedder;
pub(crate) use embedder::known_rows;
pub use pooled::StaticEmbedder;
pub use wordpiece::Vocabulary;

/// The bytes of the bundled model; `assets/README.md` says where they come from and under which licences.
#[cfg(feature = "model")]
static BUNDLED_TABLE: &[u8] = include_bytes!("../../../assets/static.simtable");

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
