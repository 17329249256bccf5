//! BEIR's files: queries as JSONL, judgements as a table with tabs.
//!
//! Owns reading them into plain lists; which numbers come of them is `learn/`'s. Complaints name the line.

use super::input::{LineReader, open};
use super::jsonl::{ImportSpec, parse_line};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// One query of a file of queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLine {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// One line of a qrels file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Its line in the file.
    pub line: u64,
    /// The query's id.
    pub query: String,
    /// The record's id.
    pub record: String,
    /// The grade: 1 and more is relevant, 0 and less is not.
    pub grade: i64,
}

/// Reads a file of queries: `{"_id": ..., "text": ...}` a line; `id` serves as well.
///
/// # Errors
/// With the line, when one is malformed or an id comes twice.
pub fn read_queries(path: &Path) -> Result<Vec<QueryLine>> {
    let spec = ImportSpec::default();
    let (mut queries, mut seen) = (Vec::new(), HashSet::new());
    each_line(path, |number, bytes| {
        let record = parse_line(bytes, &spec).map_err(|problem| problem.at(number).to_string())?;
        if !seen.insert(record.id.clone()) {
            return Err(format!("line {number} `_id`: {:?} is given twice", record.id));
        }
        queries.push(QueryLine { id: record.id, text: record.text });
        Ok(())
    })?;
    Ok(queries)
}

/// Reads judgements: a header line, then `query-id<TAB>corpus-id<TAB>score`.
///
/// # Errors
/// With the line, when one is malformed.
pub fn read_qrels(path: &Path) -> Result<Vec<Judgement>> {
    let mut judgements = Vec::new();
    let mut first = true;
    each_line(path, |number, bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| format!("line {number}: is not UTF-8"))?;
        let header = std::mem::take(&mut first);
        match judgement(number, text) {
            Some(judgement) => judgements.push(judgement),
            None if header && is_header(text) => {}
            None => {
                return Err(format!("line {number}: expected query-id, corpus-id and a whole score with tabs between"));
            }
        }
        Ok(())
    })?;
    Ok(judgements)
}

/// Three columns, the last of which is no number: a first line that only looks wrong is not passed over.
fn is_header(line: &str) -> bool {
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    columns.len() == 3 && columns.iter().all(|column| !column.is_empty()) && columns[2].parse::<f64>().is_err()
}

fn judgement(number: u64, line: &str) -> Option<Judgement> {
    let mut columns = line.split('\t').map(str::trim);
    let (query, record, score) = (columns.next()?, columns.next()?, columns.next()?);
    if columns.next().is_some() || query.is_empty() || record.is_empty() {
        return None;
    }
    let grade = score.parse().ok()?;
    Some(Judgement { line: number, query: query.to_string(), record: record.to_string(), grade })
}

/// Calls `take` with the number and the bytes of each line that is not blank.
///
/// # Errors
/// When the file cannot be read, a line is too long, or `take` refuses one.
pub(super) fn each_line(path: &Path, mut take: impl FnMut(u64, &[u8]) -> Result<(), String>) -> Result<()> {
    let refuse = |reason: String| Error::invalid(format!("{}: {reason}", path.display())).with_path(path);
    let mut lines = LineReader::new(open(path)?);
    while let Some(line) = lines.next_line().map_err(|source| Error::io("read", path, source))? {
        if line.too_long {
            return Err(refuse(format!("line {}: is too long", line.number)));
        }
        take(line.number, line.bytes).map_err(refuse)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn queries_and_judgements() {
        let queries = read_queries(file("{\"_id\": \"q1\", \"text\": \"keys?\"}\n{\"_id\": 2}\n").path()).unwrap();
        assert_eq!(queries.iter().map(|query| query.id.as_str()).collect::<Vec<_>>(), ["q1", "2"]);
        let qrels = read_qrels(file("query-id\tcorpus-id\tscore\nq1\tn8\t1\r\nq1\tn9\t0\n").path()).unwrap();
        assert_eq!(qrels.len(), 2);
        assert_eq!(qrels[0], Judgement { line: 2, query: "q1".to_string(), record: "n8".to_string(), grade: 1 });
        let headless = read_qrels(file("q1\tn8\t2\n").path()).unwrap();
        assert_eq!(headless[0].grade, 2);
    }

    #[test]
    fn complaints_name_the_line() {
        let message = |error: Error| error.message().to_string();
        let twice = read_queries(file("{\"_id\": 1}\n\n{\"_id\": \"1\"}\n").path()).unwrap_err();
        assert!(message(twice).contains("line 3"));
        let bad = read_qrels(file("query-id\tcorpus-id\tscore\nq1 n8 1\n").path()).unwrap_err();
        assert!(message(bad).contains("line 2"));
        // What is no header is not taken for one.
        for first in ["q1 n8 1\n", "q1\tn8\n", "q1\tn8\t0.5\n", "q1\t0\tn8\t1\n"] {
            let bad = read_qrels(file(&format!("{first}q2\tn8\t1\n")).path()).unwrap_err();
            assert!(message(bad).contains("line 1"), "{first}");
        }
    }
}
