//! Texts cut into tokens, and the teacher's vectors of them.

use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use simile::text::embed::Vocabulary;

use crate::matrix::Matrix;
use crate::{Result, npy};

/// The teacher reads this many tokens of a text and no more, so a table must not be blamed for the rest.
pub const TEACHER_TOKENS: usize = 126;

/// Rows of tokens and what the teacher made of them.
#[derive(Debug)]
pub struct Corpus {
    /// Where each text's tokens start in `tokens`, and one more at the end.
    offsets: Vec<usize>,
    tokens: Vec<u32>,
    /// One unit vector per text.
    pub targets: Matrix,
}

impl Corpus {
    /// Reads pairs of a file of texts and a file of vectors of `width` numbers; texts without a known token are left
    /// out.
    ///
    /// # Errors
    /// If a file cannot be read, or a pair has different numbers of rows.
    pub fn read(vocabulary: &Vocabulary<'_>, pairs: &[(PathBuf, PathBuf)], width: usize) -> Result<Self> {
        let mut corpus = Corpus { offsets: vec![0], tokens: Vec::new(), targets: Matrix::zeros(0, width) };
        let mut targets = Vec::new();
        for (texts_path, vectors_path) in pairs {
            let (texts, vectors) = (read_texts(texts_path)?, npy::read(vectors_path)?);
            if (texts.len(), width) != (vectors.rows(), vectors.cols()) {
                let (rows, cols) = (vectors.rows(), vectors.cols());
                return Err(format!(
                    "{}: {rows} x {cols} vectors for {} texts of {}",
                    vectors_path.display(),
                    texts.len(),
                    texts_path.display()
                )
                .into());
            }
            let ids: Vec<Vec<u32>> = texts.par_iter().map(|text| vocabulary.encode(text)).collect();
            for (i, ids) in ids.into_iter().enumerate() {
                corpus.push(ids.into_iter().filter(|&id| id != vocabulary.unknown()), vectors.row(i), &mut targets);
            }
        }
        corpus.targets = Matrix::new(width, targets);
        corpus.targets.normalize_rows();
        Ok(corpus)
    }

    fn push(&mut self, ids: impl Iterator<Item = u32>, target: &[f32], targets: &mut Vec<f32>) {
        let before = self.tokens.len();
        self.tokens.extend(ids.take(TEACHER_TOKENS));
        if self.tokens.len() > before {
            self.offsets.push(self.tokens.len());
            targets.extend_from_slice(target);
        }
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The tokens of text `i`.
    pub fn tokens(&self, i: usize) -> &[u32] {
        &self.tokens[self.offsets[i]..self.offsets[i + 1]]
    }

    /// How often each token occurs.
    pub fn counts(&self, token_count: usize) -> Vec<usize> {
        let mut counts = vec![0; token_count];
        self.tokens.iter().for_each(|&token| counts[token as usize] += 1);
        counts
    }

    /// For each token the texts it stands in, once per occurrence, ascending.
    pub fn texts_of_tokens(&self, token_count: usize) -> Vec<Vec<u32>> {
        let mut texts = vec![Vec::new(); token_count];
        for i in 0..self.len() {
            self.tokens(i).iter().for_each(|&token| texts[token as usize].push(i as u32));
        }
        texts
    }
}

/// Whether a token can come out of cutting Latin-script text: not a special name, and no other script.
///
/// Rows of other scripts are left out of the table: the teacher knows English, and an honest zero vector is better
/// than noise.
pub fn is_word_piece(vocabulary: &Vocabulary<'_>, id: u32) -> bool {
    let Some(token) = vocabulary.token(id) else { return false };
    let piece = token.strip_prefix("##").unwrap_or(token);
    let is_special = token.len() > 2 && token.starts_with('[') && token.ends_with(']');
    let is_latin = |c: char| matches!(c, '!'..='~' | '\u{a1}'..='\u{24f}' | '\u{2010}'..='\u{20bf}');
    !is_special && piece.chars().all(is_latin)
}

/// The texts of a file: lines of `.txt`, or the field `text` of each line of `.jsonl` or `.jsonl.gz`.
///
/// # Errors
/// If the file cannot be read or a line has no such field.
pub fn read_texts(path: &Path) -> Result<Vec<String>> {
    let all = read_to_string(path)?;
    if path.extension().is_some_and(|extension| extension == "txt") {
        return Ok(all.lines().map(str::to_string).collect());
    }
    json_lines(path)?.iter().map(|line| field(line, "text", path)).collect()
}

/// Every line of a `.jsonl` or `.jsonl.gz` file.
///
/// # Errors
/// If the file cannot be read or a line is not JSON.
pub fn json_lines(path: &Path) -> Result<Vec<serde_json::Value>> {
    let lines = read_to_string(path)?;
    let parse = |(number, line)| {
        serde_json::from_str(line).map_err(|e| format!("{} line {}: {e}", path.display(), number + 1).into())
    };
    lines.lines().enumerate().map(parse).collect()
}

/// A text field of a JSON line.
///
/// # Errors
/// If there is none of that name.
pub fn field(line: &serde_json::Value, name: &str, path: &Path) -> Result<String> {
    let text = line.get(name).and_then(serde_json::Value::as_str);
    text.map(str::to_string).ok_or_else(|| format!("{}: a line without text in {name:?}", path.display()).into())
}

fn read_to_string(path: &Path) -> Result<String> {
    let say = |e| format!("{}: {e}", path.display());
    let bytes = std::fs::read(path).map_err(say)?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).map_err(say)?;
    } else {
        (&bytes[..]).read_to_string(&mut text).map_err(say)?;
    }
    Ok(text)
}
