//! The teacher: all-MiniLM-L6-v2, a six-layer BERT with mean pooling, run with candle on the processor.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear};
use rayon::prelude::*;
use simile::text::embed::Vocabulary;

use crate::corpus::{TEACHER_TOKENS, read_texts};
use crate::matrix::Matrix;
use crate::{Result, npy};

/// Texts per part; a part is computed, written and, after an interruption, never computed again.
const PART: usize = 5_000;
/// Tokens per batch, padding included: short texts come many at a time, long ones few.
const BATCH_TOKENS: usize = 1_024;

/// Embeds the texts, or each token of the vocabulary, and writes the vectors.
///
/// # Errors
/// If a file cannot be read or written or the model is not such a BERT.
pub fn teach(model: &Path, texts: Option<&Path>, out: &Path) -> Result<()> {
    let path = model.join("vocab.txt");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let vocabulary = Vocabulary::parse(&text)?;
    let teacher = Teacher::load(model, &vocabulary)?;
    let ids: Vec<Vec<u32>> = match texts {
        Some(path) => read_texts(path)?.par_iter().map(|text| vocabulary.encode(text)).collect(),
        None => (0u32..).take(vocabulary.len()).map(|id| vec![id]).collect(),
    };
    let start = Instant::now();
    let mut vectors = Vec::new();
    let mut parts = Vec::new();
    for (number, part) in ids.chunks(PART).enumerate() {
        let path = part_path(out, number);
        if !path.exists() {
            npy::write(&path, &teacher.embed(part)?)?;
            let done = number * PART + part.len();
            println!("{done} of {} texts, {:.0} s", ids.len(), start.elapsed().as_secs_f64());
        }
        vectors.extend_from_slice(npy::read(&path)?.data());
        parts.push(path);
    }
    npy::write(out, &Matrix::new(teacher.width, vectors))?;
    parts.iter().try_for_each(fs::remove_file)?;
    Ok(())
}

fn part_path(out: &Path, number: usize) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_os_string();
    name.push(format!(".part{number:04}.npy"));
    out.with_file_name(name)
}

/// The model's weights.
struct Teacher {
    words: Embedding,
    places: Embedding,
    /// The vector of the first segment, which is every text's.
    segment: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
    width: usize,
    /// The ids of `[CLS]` and `[SEP]`.
    frame: (u32, u32),
}

/// One transformer block.
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    joined: Linear,
    norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    last_norm: LayerNorm,
}

impl Teacher {
    fn load(folder: &Path, vocabulary: &Vocabulary<'_>) -> Result<Self> {
        let config_path = folder.join("config.json");
        let config = fs::read_to_string(&config_path).map_err(|e| format!("{}: {e}", config_path.display()))?;
        let config: serde_json::Value = serde_json::from_str(&config)?;
        let number = |name: &str| {
            let found = config.get(name).and_then(serde_json::Value::as_u64);
            found.map(|n| n as usize).ok_or_else(|| format!("{}: no number {name:?}", config_path.display()))
        };
        let (width, inner, heads) =
            (number("hidden_size")?, number("intermediate_size")?, number("num_attention_heads")?);
        let weights_path = folder.join("model.safetensors");
        let weights = fs::read(&weights_path).map_err(|e| format!("{}: {e}", weights_path.display()))?;
        let all = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let epsilon = 1e-12;
        let base = all.pp("embeddings");
        let layer = |i: usize| -> Result<Layer> {
            let at = all.pp(format!("encoder.layer.{i}"));
            let attention = at.pp("attention");
            Ok(Layer {
                query: linear(width, width, attention.pp("self.query"))?,
                key: linear(width, width, attention.pp("self.key"))?,
                value: linear(width, width, attention.pp("self.value"))?,
                joined: linear(width, width, attention.pp("output.dense"))?,
                norm: layer_norm(width, epsilon, attention.pp("output.LayerNorm"))?,
                inner: linear(width, inner, at.pp("intermediate.dense"))?,
                outer: linear(inner, width, at.pp("output.dense"))?,
                last_norm: layer_norm(width, epsilon, at.pp("output.LayerNorm"))?,
            })
        };
        let id = |name: &str| {
            let found = (0u32..).take(vocabulary.len()).find(|&id| vocabulary.token(id) == Some(name));
            found.ok_or_else(|| format!("the vocabulary has no {name}"))
        };
        Ok(Teacher {
            words: embedding(number("vocab_size")?, width, base.pp("word_embeddings"))?,
            places: embedding(number("max_position_embeddings")?, width, base.pp("position_embeddings"))?,
            segment: base.pp("token_type_embeddings").get((number("type_vocab_size")?, width), "weight")?.get(0)?,
            norm: layer_norm(width, epsilon, base.pp("LayerNorm"))?,
            layers: (0..number("num_hidden_layers")?).map(layer).collect::<Result<_>>()?,
            heads,
            width,
            frame: (id("[CLS]")?, id("[SEP]")?),
        })
    }

    /// One unit vector per text, in order; texts of like length go through the model together.
    fn embed(&self, texts: &[Vec<u32>]) -> Result<Matrix> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| texts[i].len());
        let mut vectors = Matrix::zeros(texts.len(), self.width);
        let mut rest = &order[..];
        while let Some(&first) = rest.first() {
            let length = texts[first].len().min(TEACHER_TOKENS) + 2;
            let (batch, later) = rest.split_at((BATCH_TOKENS / length).clamp(8, 128).min(rest.len()));
            let pooled = self.embed_batch(texts, batch)?.to_vec2::<f32>()?;
            batch.iter().zip(&pooled).for_each(|(&i, vector)| vectors.row_mut(i).copy_from_slice(vector));
            rest = later;
        }
        vectors.normalize_rows();
        Ok(vectors)
    }

    /// The sums over each text's token vectors.
    fn embed_batch(&self, texts: &[Vec<u32>], batch: &[usize]) -> Result<Tensor> {
        let framed: Vec<Vec<u32>> = batch
            .iter()
            .map(|&i| [&[self.frame.0], &texts[i][..texts[i].len().min(TEACHER_TOKENS)], &[self.frame.1]].concat())
            .collect();
        let (count, longest) = (batch.len(), framed.iter().map(Vec::len).max().unwrap_or(0));
        let padded = |fill: &dyn Fn(&[u32], usize) -> f32| -> Vec<f32> {
            framed.iter().flat_map(|ids| (0..longest).map(move |at| fill(ids, at))).collect()
        };
        let ids: Vec<u32> =
            framed.iter().flat_map(|ids| (0..longest).map(|at| ids.get(at).copied().unwrap_or(0))).collect();
        let device = &Device::Cpu;
        let ids = Tensor::from_vec(ids, (count, longest), device)?;
        let mask = padded(&|ids, at| if at < ids.len() { 1.0 } else { 0.0 });
        let mask = Tensor::from_vec(mask, (count, longest, 1), device)?;
        let hidden = padded(&|ids, at| if at < ids.len() { 0.0 } else { -1e9 });
        let hidden = Tensor::from_vec(hidden, (count, 1, 1, longest), device)?;
        let places = self.places.forward(&Tensor::arange(0, u32::try_from(longest)?, device)?)?;
        let mut x = self.words.forward(&ids)?.broadcast_add(&places)?.broadcast_add(&self.segment)?;
        x = self.norm.forward(&x)?;
        for layer in &self.layers {
            x = layer.forward(&x, &hidden, self.heads)?;
        }
        Ok(x.broadcast_mul(&mask)?.sum(1)?)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, hidden: &Tensor, heads: usize) -> Result<Tensor> {
        let (count, length, width) = x.dims3()?;
        let split = |x: Tensor| -> Result<Tensor> {
            Ok(x.reshape((count, length, heads, width / heads))?.transpose(1, 2)?.contiguous()?)
        };
        let query = split(self.query.forward(x)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let scores = (query.matmul(&key.t()?.contiguous()?)? * scale)?.broadcast_add(hidden)?;
        let mixed = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&value)?;
        let mixed = mixed.transpose(1, 2)?.contiguous()?.reshape((count, length, width))?;
        let x = self.norm.forward(&(x + self.joined.forward(&mixed)?)?)?;
        let inner = self.inner.forward(&x)?.gelu_erf()?;
        Ok(self.last_norm.forward(&(&x + self.outer.forward(&inner)?)?)?)
    }
}
