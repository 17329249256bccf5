//! Labels from files into a respect of a collection: BEIR's queries and judgements, or one pair a line.
//!
//! Owns what an import of labels means: all or nothing, or the good lines and a list of the bad ones; what is bad is a
//! line that cannot be read, a judgement of a query that is not in the file, and a record that is not in the
//! collection. What a label is, is the store's business.

use super::beir::{each_line, read_qrels, read_queries};
use super::jsonl::LineError;
use super::npy::NpyReader;
use crate::error::{Error, Result};
use crate::store::{Batch, LabelsStored, NewLabels, Question, Store};
use crate::types::limits::TEXT_BYTES;
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Bad lines that an error quotes.
const QUOTED_LINES: usize = 3;

/// Where labels come from.
#[derive(Debug, Clone)]
pub enum LabelFiles {
    /// BEIR's form.
    Beir {
        /// `{"_id": ..., "text": ...}` a line.
        queries: PathBuf,
        /// Vectors of the queries, row i of line i, and the view they are for.
        vectors: Option<(PathBuf, String)>,
        /// query-id, corpus-id and score with tabs between.
        qrels: PathBuf,
    },
    /// `{"query": "...", "record": "id", "grade": 1}` a line; `query_id` and `query_record` in place of `query`, or
    /// beside it.
    Pairs(PathBuf),
}

/// What an import of labels did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelImport {
    /// Judgements that were read.
    pub read: u64,
    /// What became of them.
    pub stored: LabelsStored,
    /// Lines that were passed over, with the reason.
    pub skipped: Vec<LineError>,
    /// Queries of the file that no judgement names; they are not stored.
    pub unused_queries: u64,
}

impl Store {
    /// Stores the labels of `files` under `respect` of `collection`, in one commit: all, or with `skip_bad` the good
    /// lines and a list of the others. Waits its turn behind other writers.
    ///
    /// # Errors
    /// When a file cannot be read; without `skip_bad` for the first bad line; as [`Batch::put_labels`].
    pub fn import_labels(
        &self,
        collection: &str,
        respect: &str,
        files: &LabelFiles,
        skip_bad: bool,
    ) -> Result<LabelImport> {
        let imported = self.write(|batch| put_labels(batch, collection, respect, files, skip_bad))?;
        Ok(imported.0)
    }
}

/// Stores the labels of `files` in `batch`, under the name of the file that holds the judgements as their source.
///
/// # Errors
/// When a file cannot be read; without `skip_bad` for the first bad line, with the number of others; as
/// [`Batch::put_labels`].
pub(crate) fn put_labels(
    batch: &mut Batch,
    collection: &str,
    respect: &str,
    files: &LabelFiles,
    skip_bad: bool,
) -> Result<LabelImport> {
    let path = match files {
        LabelFiles::Beir { qrels, .. } => qrels,
        LabelFiles::Pairs(pairs) => pairs,
    };
    let mut work = Work {
        collection,
        records: Records { batch, collection, known: HashMap::new() },
        labels: NewLabels::from_source(source_of(path)),
        import: LabelImport::default(),
    };
    match files {
        LabelFiles::Beir { queries, vectors, qrels } => work.read_beir(queries, vectors.as_ref(), qrels)?,
        LabelFiles::Pairs(pairs) => work.read_pairs(pairs)?,
    }
    let Work { labels, mut import, .. } = work;
    if !skip_bad && !import.skipped.is_empty() {
        return Err(refused(path, &import.skipped));
    }
    if labels.is_empty() && import.skipped.is_empty() {
        return Err(Error::invalid(format!("{} holds no labels", path.display())).with_path(path));
    }
    import.stored = batch.put_labels(collection, respect, &labels)?;
    Ok(import)
}

/// A file as the source of labels: its name, with the name of the folder it stands in.
fn source_of(path: &Path) -> String {
    let mut parts: Vec<String> = path
        .components()
        .rev()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .take(2)
        .collect();
    parts.reverse();
    parts.join("/")
}

fn refused(path: &Path, bad: &[LineError]) -> Error {
    let quoted: Vec<String> = bad.iter().take(QUOTED_LINES).map(ToString::to_string).collect();
    let more = match bad.len().saturating_sub(QUOTED_LINES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "{}: {}{more}; nothing was stored (`simile label --skip-bad` keeps the good lines and lists the others)",
        path.display(),
        quoted.join("; ")
    );
    Error::invalid(message).with_path(path)
}

/// Which records there are.
struct Records<'a> {
    batch: &'a mut Batch,
    collection: &'a str,
    known: HashMap<String, bool>,
}

impl Records<'_> {
    fn contains(&mut self, id: &str) -> Result<bool> {
        if let Some(known) = self.known.get(id) {
            return Ok(*known);
        }
        let found = self.batch.existing_collection(self.collection)?.contains(id)?;
        self.known.insert(id.to_string(), found);
        Ok(found)
    }
}

struct Work<'a> {
    collection: &'a str,
    records: Records<'a>,
    labels: NewLabels,
    import: LabelImport,
}

impl Work<'_> {
    fn skip(&mut self, line: u64, field: &str, reason: impl AsRef<str>) {
        self.import.skipped.push(LineError::new(Some(field), reason).at(line));
    }

    /// Whether there is such a record; where not, the line is passed over.
    fn has_record(&mut self, line: u64, field: &str, id: &str) -> Result<bool> {
        let found = self.records.contains(id)?;
        if !found {
            let collection = self.collection;
            self.skip(line, field, format!("{collection} has no record {id:?}"));
        }
        Ok(found)
    }

    fn read_beir(&mut self, queries: &Path, vectors: Option<&(PathBuf, String)>, qrels: &Path) -> Result<()> {
        let judgements = read_qrels(qrels)?;
        self.import.read = judgements.len() as u64;
        let judged: HashSet<&str> = judgements.iter().map(|judgement| judgement.query.as_str()).collect();
        let mut places = HashMap::new();
        let lines = read_queries(queries)?;
        let mut rows = vectors.map(|(path, _)| open_vectors(path, lines.len())).transpose()?;
        for line in lines {
            let vector = rows.as_mut().map(next_vector).transpose()?;
            if !judged.contains(line.id.as_str()) {
                self.import.unused_queries += 1;
                continue;
            }
            let mut question = Question::new(&line.id);
            if !line.text.is_empty() {
                question = question.with_text(line.text);
            }
            if let (Some(vector), Some((_, view))) = (vector, vectors) {
                question = question.with_vector(view, vector);
            }
            places.insert(line.id, self.labels.question(question));
        }
        for judgement in &judgements {
            let Some(question) = places.get(&judgement.query) else {
                let file = queries.display();
                self.skip(judgement.line, "query-id", format!("{file} has no query {:?}", judgement.query));
                continue;
            };
            if self.has_record(judgement.line, "corpus-id", &judgement.record)? {
                self.labels.say(*question, &judgement.record, judgement.grade);
            }
        }
        Ok(())
    }

    fn read_pairs(&mut self, path: &Path) -> Result<()> {
        let mut lines = Vec::new();
        each_line(path, |number, bytes| {
            lines.push((number, parse_pair(bytes)));
            Ok(())
        })?;
        let mut asked: HashMap<String, (usize, Asked)> = HashMap::new();
        let mut questions: Vec<Question> = Vec::new();
        let mut said = Vec::new();
        for (line, parsed) in lines {
            self.import.read += 1;
            let pair = match parsed {
                Ok(pair) => pair,
                Err(problem) => {
                    self.import.skipped.push(problem.at(line));
                    continue;
                }
            };
            let is_there = self.has_record(line, "record", &pair.record)?;
            let asks = match &pair.asked.record {
                Some(record) => self.has_record(line, "query_record", record)?,
                None => true,
            };
            if !is_there || !asks {
                continue;
            }
            let next = questions.len();
            let (idx, first) = asked.entry(pair.id.clone()).or_insert_with(|| (next, Asked::default()));
            if let Err(field) = first.join(pair.asked) {
                self.skip(line, field, format!("question {:?} had another one before", pair.id));
                continue;
            }
            if *idx == next {
                questions.push(Question::new(&pair.id));
            }
            said.push((*idx, pair.record, pair.grade));
        }
        for (id, (idx, asked)) in asked {
            if let Some(slot) = questions.get_mut(idx) {
                *slot = asked.question(&id);
            }
        }
        let places: Vec<usize> = questions.into_iter().map(|question| self.labels.question(question)).collect();
        for (idx, record, grade) in said {
            if let Some(place) = places.get(idx) {
                self.labels.say(*place, record, grade);
            }
        }
        Ok(())
    }
}

/// One line of a file of pairs.
#[derive(Debug, PartialEq)]
struct PairLine {
    /// The question's id.
    id: String,
    asked: Asked,
    record: String,
    grade: i64,
}

/// What the lines say of one question.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    text: Option<String>,
    record: Option<String>,
}

impl Asked {
    /// Takes in what another line says; the key where both say something else.
    fn join(&mut self, other: Asked) -> Result<(), &'static str> {
        if self.text.is_some() && other.text.is_some() && self.text != other.text {
            return Err("query");
        }
        if self.record.is_some() && other.record.is_some() && self.record != other.record {
            return Err("query_record");
        }
        self.text = self.text.take().or(other.text);
        self.record = self.record.take().or(other.record);
        Ok(())
    }

    fn question(self, id: &str) -> Question {
        let question = match self.record {
            Some(record) => Question::record(record).with_id(id),
            None => Question::new(id),
        };
        self.text.into_iter().fold(question, Question::with_text)
    }
}

/// Reads one line of a file of pairs. A pair without a grade is relevant: `"grade": 1`.
fn parse_pair(bytes: &[u8]) -> Result<PairLine, LineError> {
    let mut line: Map<String, Json> =
        serde_json::from_slice(bytes).map_err(|error| LineError::new(None, format!("no JSON object: {error}")))?;
    let mut text = |key: &'static str| match line.remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Err(LineError::new(Some(key), "is empty")),
        Some(Json::String(text)) if text.len() > TEXT_BYTES => Err(LineError::new(Some(key), "is too long")),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(Json::Number(number)) if number.is_i64() && key != "query" => Ok(Some(number.to_string())),
        Some(_) => Err(LineError::new(Some(key), "expected text")),
    };
    let (query, id, asking, record) = (text("query")?, text("query_id")?, text("query_record")?, text("record")?);
    let record = record.ok_or_else(|| LineError::new(Some("record"), "is missing: the id of the judged record"))?;
    let grade = match line.remove("grade") {
        None => 1,
        Some(Json::Bool(relevant)) => i64::from(relevant),
        Some(grade) => grade.as_i64().ok_or_else(|| LineError::new(Some("grade"), "expected a whole number"))?,
    };
    let id = match (id, &asking, &query) {
        (Some(id), ..) => id,
        (None, Some(asking), _) => Question::record(asking).id().to_string(),
        (None, None, Some(query)) => Question::text(query).id().to_string(),
        (None, None, None) => {
            let reason = "is missing: the question's text, or `query_id` or `query_record`";
            return Err(LineError::new(Some("query"), reason));
        }
    };
    Ok(PairLine { id, asked: Asked { text: query, record: asking }, record, grade })
}

/// Opens the vectors of `queries` queries.
///
/// # Errors
/// When the file is none, or has another number of rows.
pub(crate) fn open_vectors(path: &Path, queries: usize) -> Result<NpyReader> {
    let reader = NpyReader::open(path)?;
    if reader.rows() != queries as u64 {
        let rows = reader.rows();
        return Err(Error::invalid(format!("{queries} queries, but {rows} vectors: row i belongs to line i")));
    }
    Ok(reader)
}

/// The vector of the next query.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn next_vector(vectors: &mut NpyReader) -> Result<Vec<f32>> {
    let mut row = Vec::new();
    if vectors.next_row(&mut row)? { Ok(row) } else { Err(Error::invalid("the vectors end before the queries")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_says_who_asks_and_what_answers() {
        let parse = |line: &str| parse_pair(line.as_bytes());
        let pair = parse(r#"{"query": "keys?", "record": "n8", "grade": 2, "more": []}"#).unwrap();
        let asked = Asked { text: Some("keys?".to_string()), record: None };
        assert_eq!(pair, PairLine { id: "keys?".to_string(), asked, record: "n8".to_string(), grade: 2 });
        let pair = parse(r#"{"query": "keys?", "query_id": 7, "record": 8}"#).unwrap();
        assert_eq!((pair.id.as_str(), pair.record.as_str(), pair.grade), ("7", "8", 1));
        let pair = parse(r#"{"query_record": "n1", "record": "n8", "grade": false}"#).unwrap();
        assert_eq!((pair.id.as_str(), pair.asked.record.as_deref(), pair.grade), ("#n1", Some("n1"), 0));
        for (line, field) in [
            ("[]", None),
            ("{", None),
            (r#"{"record": "n8"}"#, Some("query")),
            (r#"{"query": "", "record": "n8"}"#, Some("query")),
            (r#"{"query": 1, "record": "n8"}"#, Some("query")),
            (r#"{"query": "keys?"}"#, Some("record")),
            (r#"{"query": "keys?", "record": "n8", "grade": "yes"}"#, Some("grade")),
            (r#"{"query": "keys?", "record": "n8", "grade": 0.5}"#, Some("grade")),
        ] {
            assert_eq!(parse(line).unwrap_err().field.as_deref(), field, "{line}");
        }
    }

    #[test]
    fn a_source_is_a_file_with_its_folder() {
        assert_eq!(source_of(Path::new("/a/b/qrels/train.tsv")), "qrels/train.tsv");
        assert_eq!(source_of(Path::new("../pairs.jsonl")), "pairs.jsonl");
        assert_eq!(source_of(Path::new("-")), "-");
    }
}
