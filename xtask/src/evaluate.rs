//! How well a table does on data that it was not trained on.

use std::fmt;
use std::path::Path;

use rayon::prelude::*;
use simile::text::embed::{Embedder, StaticEmbedder};

use crate::Result;
use crate::corpus::{field, json_lines};
use crate::matrix::{Matrix, dot};

/// The two figures that a table is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Spearman's correlation of cosine and human similarity over all sentence pairs.
    pub spearman: f64,
    /// Mean reciprocal rank of the best right answer to each question among all answers.
    pub mrr: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sts spearman {:.4}  faq mrr {:.4}", self.spearman, self.mrr)
    }
}

/// Prints the figures of a table file.
///
/// # Errors
/// If a file cannot be read.
pub fn print(table: &Path, sts: &Path, faq: &Path) -> Result<()> {
    let bytes = std::fs::read(table).map_err(|e| format!("{}: {e}", table.display()))?;
    let model = StaticEmbedder::decode(&bytes)?;
    println!(
        "{}: {} rows, {} bytes  {}",
        model.name(),
        model.table().row_count(),
        bytes.len(),
        figures(&bytes, sts, faq)?
    );
    Ok(())
}

/// Measures the table in `bytes`.
///
/// # Errors
/// If the bytes are no table or a file cannot be read.
pub fn figures(bytes: &[u8], sts: &Path, faq: &Path) -> Result<Figures> {
    let model = StaticEmbedder::decode(bytes)?;
    let rows = |path: &Path, name: &str| -> Result<Matrix> {
        let lines = json_lines(path)?;
        let texts = lines.iter().map(|line| field(line, name, path)).collect::<Result<Vec<_>>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut out = Vec::new();
        model.embed(&texts, &mut out)?;
        Ok(Matrix::new(model.dimension(), out))
    };
    let (a, b) = (rows(sts, "a")?, rows(sts, "b")?);
    let cosines: Vec<f64> = (0..a.rows()).map(|i| f64::from(dot(a.row(i), b.row(i)))).collect();
    let human = json_lines(sts)?;
    let human: Option<Vec<f64>> = human.iter().map(|pair| pair.get("score")?.as_f64()).collect();
    let human = human.ok_or("a sentence pair without a score")?;

    let (questions, answers) = (rows(&faq.join("queries.jsonl"), "text")?, rows(&faq.join("docs.jsonl"), "text")?);
    let mut right = vec![Vec::new(); questions.rows()];
    for line in json_lines(&faq.join("qrels.jsonl"))? {
        let number = |name: &str| line.get(name).and_then(serde_json::Value::as_u64).map(|n| n as usize);
        let (Some(question), Some(answer), Some(label)) = (number("q"), number("d"), number("label")) else {
            return Err("a judgement without q, d or label".into());
        };
        if label > 0 {
            right.get_mut(question).ok_or("a judgement of an unknown question")?.push(answer);
        }
    }
    let reciprocal = |(i, right): (usize, &Vec<usize>)| {
        let scores: Vec<f32> = (0..answers.rows()).map(|j| dot(questions.row(i), answers.row(j))).collect();
        let best = right.iter().filter_map(|&j| scores.get(j)).copied().fold(f32::MIN, f32::max);
        1.0 / (1 + scores.iter().filter(|&&score| score > best).count()) as f64
    };
    let mrr = right.par_iter().enumerate().map(reciprocal).sum::<f64>() / right.len() as f64;
    Ok(Figures { spearman: spearman(&cosines, &human), mrr })
}

/// Spearman's rank correlation; equal values share the mean of their ranks.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let shared = start as f64 + (group.len() - 1) as f64 / 2.0;
        group.iter().for_each(|&i| ranks[i] = shared);
        start += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearman_looks_at_order_only_and_shares_ties() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        assert!((spearman(&[1.0, 2.0, 3.0], &[1.0, 10.0, 11.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]) - 0.8).abs() < 1e-12);
    }
}
