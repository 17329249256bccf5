//! The arguments of `simile label`.

use crate::learn::judge::Strategy;
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `label`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args([
    "queries", "query", "sample", "records", "pairs", "same_field", "conflicts", "list", "drop",
])))]
pub(in crate::cli) struct Label {
    /// The store
    pub(super) store: PathBuf,
    /// The collection
    #[arg(long = "in", value_name = "COLLECTION")]
    pub(super) collection: String,
    /// The respect in which records are alike or answer, in plain words; made when it is not there
    #[arg(long, value_name = "NAME")]
    pub(super) respect: String,
    /// Queries as BEIR has them: {"_id": ..., "text": ...} a line. With --qrels they are stored with their judgements,
    /// without, their hits are shown to be judged
    #[arg(long, value_name = "queries.jsonl")]
    pub(super) queries: Option<PathBuf>,
    /// Judgements to store: query-id, corpus-id and score with tabs between, after a header line
    #[arg(long, value_name = "qrels.tsv", requires = "queries")]
    pub(super) qrels: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "queries.npy", requires = "queries")]
    pub(super) query_vectors: Option<PathBuf>,
    /// The view whose hits are shown without --lens, and that the vectors are for
    #[arg(long, value_name = "VIEW", default_value = "raw")]
    pub(super) view: String,
    /// Pairs to store: {"query": "...", "record": "id", "grade": 1} a line; also with "query_id" or "query_record"
    #[arg(long, value_name = "pairs.jsonl")]
    pub(super) pairs: Option<PathBuf>,
    /// Records are alike that share a value of this field
    #[arg(long, value_name = "FIELD")]
    pub(super) same_field: Option<String>,
    /// Store the good lines and list the bad ones
    #[arg(long)]
    pub(super) skip_bad: bool,
    /// A question to judge the hits of; may be given more than once
    #[arg(long, value_name = "TEXT")]
    pub(super) query: Vec<String>,
    /// Judge the hits of a stored sample of queries
    #[arg(long, value_name = "NAME")]
    pub(super) sample: Option<String>,
    /// Judge what is similar to this many records, drawn at random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) records: Option<u32>,
    /// The lens whose hits are shown: a saved one, or stages as in 'view raw | center corpus | score cosine'
    #[arg(long, value_name = "LENS")]
    pub(super) lens: Option<String>,
    /// Which pairs come first
    #[arg(long, value_name = "HOW", default_value = "top")]
    pub(super) strategy: Choice,
    /// Pairs come from this many hits of each question
    #[arg(long, value_name = "K", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) depth: u32,
    /// Stop after so many answers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Seed of what is drawn at random
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) seed: u64,
    /// List the labels that contradict each other
    #[arg(long)]
    pub(super) conflicts: bool,
    /// List the labels, as --pairs reads them
    #[arg(long)]
    pub(super) list: bool,
    /// Forget the respect with all its labels
    #[arg(long)]
    pub(super) drop: bool,
    /// Judged pairs that whoever asked for the labels needs
    #[arg(skip)]
    pub(super) least: u64,
}

/// A strategy, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Choice {
    /// What ranks highest and is not judged yet
    Top,
    /// What is nearest to a probability of 0.5, or to the middle of the scores
    Uncertain,
    /// Any of the hits
    Random,
}

impl From<Choice> for Strategy {
    fn from(choice: Choice) -> Strategy {
        match choice {
            Choice::Top => Strategy::Top,
            Choice::Uncertain => Strategy::Uncertain,
            Choice::Random => Strategy::Random,
        }
    }
}
