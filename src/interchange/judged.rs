//! Judged hits: one JSON object a line, or judgements as BEIR has them.
//!
//! Owns reading them into plain lists; what is learned from them is `learn/`'s. Complaints name the line.

use super::beir::read_qrels;
use super::input::{LineReader, open};
use crate::error::{Error, Result};
use serde_json::{Map, Value as Json};
use std::path::Path;

/// What a judged hit was found with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JudgedBy {
    /// A text.
    Text(String),
    /// A query of a file of queries.
    Id(String),
    /// A record that stands for itself.
    Record(String),
}

/// One judged hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedLine {
    /// What it was found with.
    pub query: JudgedBy,
    /// The record's id.
    pub record: String,
    /// The grade: 1 and more is relevant, 0 and less is not.
    pub grade: i64,
}

/// Reads judged hits: `{"query": TEXT, "record": ID, "grade": N}` a line, with `query_id` (of a file of queries) or
/// `query_record` in place of `query`, `id` in place of `record`, and `relevant` (true or false) in place of `grade`;
/// or query-id, corpus-id and score with tabs between.
///
/// # Errors
/// With the line, when one is malformed.
pub fn read_judged(path: &Path) -> Result<Vec<JudgedLine>> {
    let mut judged = Vec::new();
    let mut lines = LineReader::new(open(path)?);
    while let Some(line) = lines.next_line().map_err(|source| Error::io("read", path, source))? {
        let refuse = |reason: &str| {
            Error::invalid(format!("{}: line {}: {reason}", path.display(), line.number)).with_path(path)
        };
        if line.too_long {
            return Err(refuse("is too long"));
        }
        if judged.is_empty() && !line.bytes.trim_ascii_start().starts_with(b"{") {
            return of_qrels(path);
        }
        let object: Map<String, Json> =
            serde_json::from_slice(line.bytes).map_err(|error| refuse(&format!("is no JSON object ({error})")))?;
        judged.push(judged_line(&object).map_err(|reason| refuse(&reason))?);
    }
    Ok(judged)
}

fn of_qrels(path: &Path) -> Result<Vec<JudgedLine>> {
    let line = |judgement: super::beir::Judgement| JudgedLine {
        query: JudgedBy::Id(judgement.query),
        record: judgement.record,
        grade: judgement.grade,
    };
    Ok(read_qrels(path)?.into_iter().map(line).collect())
}

fn judged_line(object: &Map<String, Json>) -> Result<JudgedLine, String> {
    let text = |name: &str| match object.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(Json::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        Some(_) => Err(format!("`{name}` is no text")),
        None => Ok(None),
    };
    let asked = [
        text("query")?.map(JudgedBy::Text),
        text("query_id")?.map(JudgedBy::Id),
        text("query_record")?.map(JudgedBy::Record),
    ];
    let mut asked = asked.into_iter().flatten();
    let (Some(query), None) = (asked.next(), asked.next()) else {
        return Err("needs one of `query` (a text), `query_id` and `query_record`".to_string());
    };
    let record = text("record")?.or(text("id")?).ok_or("needs `record`, the id of the record that was judged")?;
    let grade = match (object.get("grade"), object.get("relevant")) {
        (Some(grade), None) => grade.as_i64().ok_or("`grade` is no whole number")?,
        (None, Some(relevant)) => i64::from(relevant.as_bool().ok_or("`relevant` is neither true nor false")?),
        _ => return Err("needs `grade` (above 0: relevant), or `relevant`".to_string()),
    };
    Ok(JudgedLine { query, record, grade })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(text: &str) -> Result<Vec<JudgedLine>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        read_judged(file.path())
    }

    #[test]
    fn both_forms_are_read() {
        let lines = read(
            "{\"query\": \"keys?\", \"record\": \"n8\", \"grade\": 2}\n\n{\"query_id\": 7, \"id\": \"n9\", \"grade\": \
             0}\n\
             {\"query_record\": \"n1\", \"record\": \"n2\", \"relevant\": true, \"note\": []}\n",
        )
        .unwrap();
        let line = |query, record: &str, grade| JudgedLine { query, record: record.to_string(), grade };
        let expected = [
            line(JudgedBy::Text("keys?".to_string()), "n8", 2),
            line(JudgedBy::Id("7".to_string()), "n9", 0),
            line(JudgedBy::Record("n1".to_string()), "n2", 1),
        ];
        assert_eq!(lines, expected);
        let qrels = read("query-id\tcorpus-id\tscore\nq1\tn8\t1\n").unwrap();
        assert_eq!(qrels, [line(JudgedBy::Id("q1".to_string()), "n8", 1)]);
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn complaints_name_the_line_and_what_is_missing() {
        let good = "{\"query\": \"keys?\", \"record\": \"n8\", \"grade\": 2}\n";
        for (line, told) in [
            ("{\"record\": \"n8\", \"grade\": 1}", "needs one of `query`"),
            ("{\"query\": \"a\", \"query_id\": \"b\", \"record\": \"n8\", \"grade\": 1}", "needs one of `query`"),
            ("{\"query\": \"a\", \"grade\": 1}", "needs `record`"),
            ("{\"query\": \"a\", \"record\": \"n8\"}", "needs `grade`"),
            ("{\"query\": \"a\", \"record\": \"n8\", \"grade\": 1.5}", "no whole number"),
            ("{\"query\": [], \"record\": \"n8\", \"grade\": 1}", "`query` is no text"),
            ("q1\tn8\t1", "no JSON object"),
        ] {
            let error = read(&format!("{good}{line}\n")).unwrap_err();
            assert!(error.message().contains("line 2") && error.message().contains(told), "{line}: {error}");
        }
    }
}
