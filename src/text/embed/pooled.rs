//! Adds the rows of a text's tokens up to one vector.
//!
//! Weights of tokens need no place here: they are part of the rows, because dividing the sum by the number of
//! tokens or by anything else leaves the direction as it is. Invariant: additions happen in the order of the
//! tokens and in `f32` without fused steps, so equal texts give equal bits everywhere.

use rayon::prelude::*;

use super::embedder::Embedder;
use super::table::Table;
use crate::error::Result;

/// Batches of fewer texts than this are embedded by the calling thread: waking others would take longer.
const PARALLEL_TEXTS: usize = 64;

/// A model that is one table: the vector of a text is the mean of its tokens' rows, divided by its length if the
/// table says so.
#[derive(Debug)]
pub struct StaticEmbedder<'a> {
    table: Table<'a>,
}

/// What one thread reuses from text to text.
#[derive(Debug, Default)]
struct Scratch {
    cleaned: String,
    tokens: Vec<u32>,
}

impl<'a> StaticEmbedder<'a> {
    /// The model in the bytes of a table file.
    ///
    /// # Errors
    /// As [`Table::decode`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        Ok(StaticEmbedder { table: Table::decode(bytes)? })
    }

    /// The table behind the model.
    pub fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// Writes the vector of `text` over `row`, which holds `dimension` zeros.
    fn embed_one(&self, text: &str, scratch: &mut Scratch, row: &mut [f32]) {
        self.table.vocabulary.encode_apart(text, &mut scratch.cleaned, &mut scratch.tokens);
        let mut known = 0u32;
        for (scale, numbers) in scratch.tokens.iter().filter_map(|&token| self.table.row(token)) {
            known += 1;
            for (sum, &number) in row.iter_mut().zip(numbers) {
                *sum += scale * f32::from(number);
            }
        }
        let divisor = if self.table.normalize { length(row) } else { f64::from(known) };
        if divisor > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / divisor) as f32);
        }
    }
}

impl Embedder for StaticEmbedder<'_> {
    fn knows(&self, text: &str) -> bool {
        let mut scratch = Scratch::default();
        self.table.vocabulary.encode_apart(text, &mut scratch.cleaned, &mut scratch.tokens);
        scratch.tokens.iter().any(|&token| self.table.row(token).is_some())
    }

    fn name(&self) -> &str {
        self.table.name
    }

    fn dimension(&self) -> usize {
        self.table.dimension
    }

    fn embed(&self, texts: &[&str], out: &mut Vec<f32>) -> Result<()> {
        let start = out.len();
        out.resize(start + texts.len() * self.table.dimension, 0.0);
        let rows = &mut out[start..];
        if texts.len() < PARALLEL_TEXTS {
            let mut scratch = Scratch::default();
            for (text, row) in texts.iter().zip(rows.chunks_exact_mut(self.table.dimension)) {
                self.embed_one(text, &mut scratch, row);
            }
        } else {
            rows.par_chunks_exact_mut(self.table.dimension)
                .zip(texts)
                .for_each_init(Scratch::default, |scratch, (row, text)| self.embed_one(text, scratch, row));
        }
        Ok(())
    }
}

/// The Euclidean length of a row.
fn length(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}
