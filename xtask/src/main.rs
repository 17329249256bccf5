//! Makes and measures the table of simile's bundled embedder, and measures the gate of learned lenses.
//!
//! The way from nothing to `assets/static.simtable`: `texts` takes training texts out of WordNet, `teach` embeds
//! them (and every token of the vocabulary) with a transformer, `train` fits the table, `evaluate` measures it.
//! `assets/README.md` has the exact commands. Cutting texts into tokens and the file's layout are simile's own code.

mod corpus;
mod evaluate;
mod gate;
mod matrix;
mod npy;
mod random;
mod refine;
mod ridge;
mod sets;
#[cfg(feature = "teacher")]
mod teacher;
mod train;
mod wordnet;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// What every step of this tool returns; the message says which file and why.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Makes and measures the table of simile's bundled embedder, and measures the gate of learned lenses.
#[derive(Parser)]
enum Command {
    /// Write WordNet's lemmas, definitions and examples, one text a line.
    Texts {
        /// The folder with `data.noun`, `data.verb`, `data.adj` and `data.adv`.
        #[arg(long)]
        wordnet: PathBuf,
        /// One text per sense instead: its lemmas, definition, examples, and the definition of what it is a kind of.
        #[arg(long)]
        long: bool,
        /// Only the first so many; long texts stand in the order of their hashes, so these are a random sample.
        #[arg(long)]
        take: Option<usize>,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    #[cfg(feature = "teacher")]
    /// Embed texts with the teacher; without `--texts`, every token of the vocabulary by itself.
    Teach {
        /// The teacher's folder: `model.safetensors`, `vocab.txt`, `config.json`.
        #[arg(long)]
        model: PathBuf,
        /// The texts: `.txt` (one a line), `.jsonl` or `.jsonl.gz` (their field `text`).
        #[arg(long)]
        texts: Option<PathBuf>,
        /// The `.npy` file to write, half floats; parts already in the folder beside it are not computed again.
        #[arg(long)]
        out: PathBuf,
    },
    /// Fit a table to what the teacher said.
    Train(train::Options),
    /// Measure a table on data that must never be trained on.
    Evaluate {
        /// The table file.
        #[arg(long)]
        table: PathBuf,
        /// Sentence pairs with human similarity: `.jsonl` or `.jsonl.gz` with `a`, `b`, `score`.
        #[arg(long)]
        sts: PathBuf,
        /// A folder with `queries.jsonl`, `docs.jsonl` and `qrels.jsonl`.
        #[arg(long)]
        faq: PathBuf,
    },
    /// Hold what `learn` prints against records, questions and classes that no fit saw.
    Gate(gate::Options),
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Texts { wordnet, long, take, out } => wordnet::write_texts(&wordnet, long, take, &out),
        #[cfg(feature = "teacher")]
        Command::Teach { model, texts, out } => teacher::teach(&model, texts.as_deref(), &out),
        Command::Train(options) => train::train(&options),
        Command::Evaluate { table, sts, faq } => evaluate::print(&table, &sts, &faq),
        Command::Gate(options) => gate::print(&options),
    }
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
