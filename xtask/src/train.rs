//! From texts and teacher vectors to a table file: centering, principal directions, ridge, refinement, choice of rows.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use simile::text::embed::Vocabulary;
use simile::text::embed::table::{self, Parts};

use crate::corpus::{Corpus, is_word_piece};
use crate::matrix::Matrix;
use crate::{Result, evaluate, npy, refine, ridge};

/// Conjugate-gradient steps of the first fit; refinement does the rest, more steps did not change where it ends.
const RIDGE_STEPS: usize = 12;
/// The first fit's penalty on leaving the first guess.
const RIDGE_PENALTY: f32 = 30.0;

/// What `train` wants to know.
#[derive(Args)]
pub struct Options {
    /// The teacher's vocabulary, one token a line.
    #[arg(long)]
    vocabulary: PathBuf,
    /// The teacher's vectors of each token by itself (`teach` without `--texts`).
    #[arg(long)]
    tokens: PathBuf,
    /// Texts and their vectors as `TEXTS=VECTORS`; may be given many times.
    #[arg(long = "pair", value_parser = parse_pair)]
    pairs: Vec<(PathBuf, PathBuf)>,
    /// Coordinates per row.
    #[arg(long, default_value_t = 208)]
    dimension: usize,
    /// Passes of refinement over all texts.
    #[arg(long, default_value_t = 6)]
    epochs: usize,
    /// The file may not be larger; the rarest tokens lose their rows.
    #[arg(long, default_value_t = 6_000_000)]
    max_bytes: usize,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// Measure the table after every pass, on these sentence pairs (see `evaluate`); has no influence on training.
    #[arg(long, requires = "faq")]
    sts: Option<PathBuf>,
    /// And on this folder of questions and answers.
    #[arg(long, requires = "sts")]
    faq: Option<PathBuf>,
}

fn parse_pair(text: &str) -> std::result::Result<(PathBuf, PathBuf), String> {
    let (texts, vectors) = text.split_once('=').ok_or("expected TEXTS=VECTORS")?;
    Ok((texts.into(), vectors.into()))
}

/// Fits a table and writes it.
///
/// # Errors
/// If a file cannot be read or written, or the inputs do not fit each other.
pub fn train(options: &Options) -> Result<()> {
    let start = Instant::now();
    let say = |what: &str| println!("{:6.1} s  {what}", start.elapsed().as_secs_f64());
    let text =
        std::fs::read_to_string(&options.vocabulary).map_err(|e| format!("{}: {e}", options.vocabulary.display()))?;
    let vocabulary = Vocabulary::parse(&text)?;
    let singles = npy::read(&options.tokens)?;
    if singles.rows() != vocabulary.len() {
        return Err(format!("{} token vectors for {} tokens", singles.rows(), vocabulary.len()).into());
    }
    let mut corpus = Corpus::read(&vocabulary, &options.pairs, singles.cols())?;
    say(&format!("{} texts, {} vocabulary tokens", corpus.len(), vocabulary.len()));

    let mean = corpus.targets.mean();
    corpus.targets.subtract_from_rows(&mean);
    let directions = corpus.targets.covariance().principal_directions(options.dimension)?;
    let mut near = corpus.targets.times(&directions);
    let mut table = first_guess(singles, &directions);
    say("principal directions");
    ridge::solve(&corpus, &near, &mut table, RIDGE_PENALTY, RIDGE_STEPS);
    say("least squares");
    corpus.targets.normalize_rows();
    near.normalize_rows();

    let rows = rows_to_keep(&vocabulary, &corpus.counts(vocabulary.len()), text.len(), options);
    let mut written = Ok(());
    refine::refine(&corpus, &near, &mut table, options.epochs, |epoch, table| {
        let encoded = encode(&text, table, &rows);
        let figures = encoded.and_then(|bytes| match (&options.sts, &options.faq) {
            (Some(sts), Some(faq)) => Ok((evaluate::figures(&bytes, sts, faq)?.to_string(), bytes)),
            _ => Ok((String::new(), bytes)),
        });
        match figures {
            Ok((figures, bytes)) => {
                say(&format!("pass {} of {}  {figures}", epoch + 1, options.epochs));
                written =
                    std::fs::write(&options.out, bytes).map_err(|e| format!("{}: {e}", options.out.display()).into());
            }
            Err(error) => written = Err(error),
        }
    });
    say(&format!("{} rows of {} in {}", rows.len(), options.dimension, options.out.display()));
    written
}

/// The teacher's vectors of the single tokens, centered among themselves, frequent tokens shorter: a token's number
/// grows with its rarity.
fn first_guess(mut singles: Matrix, directions: &Matrix) -> Matrix {
    let mean = singles.mean();
    singles.subtract_from_rows(&mean);
    let mut table = singles.times(directions);
    for id in 0..table.rows() {
        // About the length that least squares gives to well-known words.
        let weight = 0.3 * (1.0 + id as f32).ln();
        table.row_mut(id).iter_mut().for_each(|x| *x *= weight);
    }
    table
}

/// The tokens that get a row, ascending: all Latin pieces if they fit, else those that training saw most often.
fn rows_to_keep(vocabulary: &Vocabulary<'_>, counts: &[usize], text_bytes: usize, options: &Options) -> Vec<u32> {
    let mut ids: Vec<u32> = (0u32..).take(vocabulary.len()).filter(|&id| is_word_piece(vocabulary, id)).collect();
    // Equally often means by id, and a lower id was more frequent where the vocabulary was made.
    ids.sort_by_key(|&id| (std::cmp::Reverse(counts[id as usize]), id));
    let overhead = 64 + text_bytes + vocabulary.len().div_ceil(8);
    ids.truncate(options.max_bytes.saturating_sub(overhead) / (options.dimension + 4));
    ids.sort_unstable();
    ids
}

fn encode(vocabulary: &str, table: &Matrix, rows: &[u32]) -> Result<Vec<u8>> {
    let name = format!("static-{}", table.cols());
    let rows = rows.iter().map(|&id| (id, table.row(id as usize))).collect();
    Ok(table::encode(&Parts { name: &name, dimension: table.cols(), normalize: true, vocabulary, rows })?)
}
