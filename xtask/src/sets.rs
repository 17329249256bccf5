//! Labelled sets: unit rows, and who answers whom.
//!
//! Owns their reading from the folders of the shared data; nothing here knows what is done with them.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::corpus::json_lines;
use crate::matrix::Matrix;
use crate::{Result, npy};

/// Who answers whom.
pub enum Labels {
    /// Classes of each record.
    Classes(Vec<Vec<usize>>),
    /// Questions, and the records that answer each.
    Pairs {
        /// Unit rows.
        queries: Matrix,
        /// Records by question.
        answers: Vec<Vec<usize>>,
    },
}

/// A labelled set.
pub struct Set {
    /// What it is called.
    pub name: String,
    /// Unit rows.
    pub records: Matrix,
    /// What is labelled.
    pub labels: Labels,
}

/// The sets in `data` whose names begin with `only`.
///
/// # Errors
/// If a file cannot be read.
pub fn sets(data: &Path, only: &str) -> Result<Vec<Set>> {
    let mut sets = Vec::new();
    let mut add = |name: &str, make: &dyn Fn() -> Result<Set>| -> Result<()> {
        if name.starts_with(only) {
            sets.push(make()?);
        }
        Ok(())
    };
    add("clinc150", &|| classes(&data.join("clinc150"), "items.jsonl", "items.npy", "label", "clinc150"))?;
    for facet in ["implemented_in", "works_with", "uitoolkit", "interface", "role"] {
        let name = format!("debtags {facet}");
        add(&name, &|| classes(&data.join("debtags"), "records.jsonl.gz", "minilm.npy", facet, &name))?;
    }
    for name in ["nl2bash", "stackfaq"] {
        add(name, &|| pairs(&data.join(name), name))?;
    }
    add("intents", &|| intents(&data.join("clinc150")))?;
    Ok(sets)
}

/// Records by the values of a field; those that have none are left out.
fn classes(folder: &Path, texts: &str, vectors: &str, field: &str, name: &str) -> Result<Set> {
    let rows = npy::read(&folder.join(vectors))?;
    let mut names: HashMap<String, usize> = HashMap::new();
    let (mut kept, mut classes) = (Vec::new(), Vec::new());
    for (row, line) in json_lines(&folder.join(texts))?.into_iter().enumerate() {
        let values: Vec<String> = match &line[field] {
            Json::String(one) => vec![one.clone()],
            Json::Array(several) => several.iter().filter_map(|value| value.as_str().map(str::to_string)).collect(),
            _ => continue,
        };
        let mut of: Vec<usize> = Vec::new();
        for value in values {
            let next = names.len();
            of.push(*names.entry(value).or_insert(next));
        }
        if !of.is_empty() {
            kept.push(row);
            classes.push(of);
        }
    }
    Ok(Set { name: name.to_string(), records: united(rows.pick(&kept)), labels: Labels::Classes(classes) })
}

/// Questions and their answers by number.
fn pairs(folder: &Path, name: &str) -> Result<Set> {
    let queries = united(npy::read(&folder.join("queries.npy"))?);
    let mut answers = vec![Vec::new(); queries.rows()];
    for line in json_lines(&folder.join("qrels.jsonl"))? {
        let at = |field: &str| line[field].as_u64().map(|number| number as usize).ok_or(format!("{name}: no {field}"));
        answers[at("q")?].push(at("d")?);
    }
    let records = united(npy::read(&folder.join("docs.npy"))?);
    Ok(Set { name: name.to_string(), records, labels: Labels::Pairs { queries, answers } })
}

/// Utterances as questions about the names of intents.
fn intents(folder: &Path) -> Result<Set> {
    let queries = united(npy::read(&folder.join("items.npy"))?);
    let names: HashMap<String, usize> = json_lines(&folder.join("names.jsonl"))?
        .iter()
        .enumerate()
        .filter_map(|(at, line)| line["id"].as_str().map(|id| (id.to_string(), at)))
        .collect();
    let items = json_lines(&folder.join("items.jsonl"))?;
    let answer = |line: &Json| line["label"].as_str().and_then(|label| names.get(label).copied()).into_iter().collect();
    let answers = items.iter().map(answer).collect();
    let records = united(npy::read(&folder.join("names.npy"))?);
    Ok(Set { name: "intents".to_string(), records, labels: Labels::Pairs { queries, answers } })
}

fn united(mut rows: Matrix) -> Matrix {
    rows.normalize_rows();
    rows
}
