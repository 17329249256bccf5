//! `simile sample`: a set of queries under a name.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, one_line};
use crate::cli::shared_args::missing_collection;
use crate::error::{Error, Result};
use crate::interchange::NpyReader;
use crate::interchange::read_queries;
use crate::store::{Store, Stored};
use crate::types::{SampleDef, SampleVectors};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `sample`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Sample {
    /// The store
    store: PathBuf,
    /// Name of the sample
    name: String,
    /// The collection that the queries ask
    #[arg(long = "in", value_name = "COLLECTION", required_unless_present = "drop")]
    collection: Option<String>,
    /// Queries as BEIR has them, plain or .gz: {"_id": ..., "text": ...} a line
    #[arg(long, value_name = "queries.jsonl", required_unless_present = "drop")]
    queries: Option<PathBuf>,
    /// Vectors of the queries; row i belongs to line i
    #[arg(long, value_name = "V.npy")]
    query_vectors: Option<PathBuf>,
    /// The view that the vectors are for [default: raw]
    #[arg(long, value_name = "VIEW", requires = "query_vectors")]
    view: Option<String>,
    /// Forget the sample of this name
    #[arg(long, conflicts_with_all = ["collection", "queries", "query_vectors", "view"])]
    drop: bool,
}

impl Run for Sample {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let (Some(collection), Some(queries)) = (&self.collection, &self.queries) else {
            return self.forget(console);
        };
        let queries = read_queries(queries)?;
        if queries.is_empty() {
            return Err(Error::invalid("the file holds no queries"));
        }
        let vectors = match &self.query_vectors {
            Some(path) => Some(self.vectors(path, queries.len())?),
            None => None,
        };
        let store = console.open_writer(&self.store)?;
        let snapshot = store.snapshot()?;
        if snapshot.collections().iter().all(|def| def.name != *collection) {
            return Err(missing_collection(&store, collection));
        }
        let target = snapshot.collection(collection)?;
        let (ids, texts) = queries.into_iter().map(|query| (query.id, query.text)).unzip();
        let def = SampleDef { ids, texts, vectors, ..SampleDef::new(&self.name, target.def().id) };
        let (queries, came) =
            (def.ids.len() as u64, def.vectors.as_ref().map(|came| (came.view.clone(), came.dimension)));
        let mut batch = store.begin()?;
        let stored = batch.put_sample(def)?;
        let commit = batch.commit()?;
        if came.is_none() && target.views().iter().all(|view| view.def().embedder.is_none()) {
            console.note(format!(
                "note: no view of {} takes text: without --query-vectors nothing can use this sample",
                one_line(collection)
            ));
        }
        if console.json {
            console.document(&json!({
                "sample": self.name, "collection": collection, "queries": queries,
                "view": came.as_ref().map(|(view, _)| view), "dimension": came.as_ref().map(|(_, dimension)| dimension),
                "replaced": stored == Stored::Replaced, "unchanged": stored == Stored::Unchanged, "commit": commit.0,
            }))?;
        } else {
            let vectors = came.map_or("texts".to_string(), |(view, dimension)| {
                format!("vectors of {dimension} numbers for view {}", one_line(&view))
            });
            let how = match stored {
                Stored::New => format!("commit {commit}"),
                Stored::Replaced => format!("in place of another, commit {commit}"),
                Stored::Unchanged => "there already, unchanged".to_string(),
            };
            let name = one_line(&self.name);
            console.line(format!(
                "sample {name}: {} of {}, {vectors} ({how})",
                count(queries, "query"),
                one_line(collection)
            ))?;
        }
        Ok(Outcome::Done)
    }
}

impl Sample {
    fn vectors(&self, path: &Path, queries: usize) -> Result<SampleVectors> {
        let mut reader = NpyReader::open(path)?;
        if reader.rows() != queries as u64 {
            let rows = reader.rows();
            return Err(Error::invalid(format!("{queries} queries, but {rows} vectors: row i belongs to line i")));
        }
        let dimension = u32::try_from(reader.columns()).unwrap_or(u32::MAX);
        let view = self.view.clone().unwrap_or_else(|| "raw".to_string());
        Ok(SampleVectors { view, dimension, data: reader.read_rest()? })
    }

    fn forget(&self, console: &mut Console) -> Result<Outcome> {
        let store = console.open_writer(&self.store)?;
        let mut batch = store.begin()?;
        if !batch.drop_sample(&self.name)? {
            drop(batch);
            return Err(missing_sample(&store, &self.name)?);
        }
        let commit = batch.commit()?;
        if console.json {
            console.document(&json!({"dropped": self.name, "commit": commit.0}))?;
        } else {
            console.line(format!("dropped sample {} (commit {commit})", one_line(&self.name)))?;
        }
        Ok(Outcome::Done)
    }
}

fn missing_sample(store: &Store, name: &str) -> Result<Error> {
    let names: Vec<String> = store.snapshot()?.sample_heads()?.into_keys().collect();
    let listed = if names.is_empty() { "there are none".to_string() } else { format!("samples: {}", names.join(", ")) };
    Ok(Error::not_found(format!("there is no sample {name:?} ({listed})")))
}
