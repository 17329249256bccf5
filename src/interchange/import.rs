//! Carrying a stream of JSONL, with or without a matrix of vectors, into a collection.
//!
//! Owns what import means: all or nothing for the whole input or for each batch, bad lines passed over or fatal, ids
//! that exist refused, replaced or skipped, and the pairing of line i with row i. At most one batch is held. What it
//! says is data; rendering it is the caller's business.

use super::folder::{Folder, FolderReader};
use super::input::{LineReader, Position, Source, open, open_with_position};
use super::jsonl::{ImportSpec, LineError, parse_line};
use super::npy::NpyReader;
use super::npy_header::Element;
use super::placed::Placed;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::input::is_folder;
use crate::store::{Batch, CollectionSpec, CollectionWriter, Embedded, Outcome, Store, ViewSpec};
use crate::types::control::Control;
use crate::types::{ElementType, Record, Value, ViewKind};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::Path;

mod options;
mod parts;

pub use options::{ImportListener, ImportOptions, ImportReport};
use parts::{open_folder, prepare_alike, without_words};

impl Store {
    /// Imports JSONL into `collection`, which is made when it is not there: all or nothing, or with
    /// [`ImportOptions::batch`] a durable commit for each so many records. `control` hears of lines, and may stop it:
    /// what was committed before stays.
    ///
    /// ```
    /// use simile::Store;
    /// use simile::interchange::ImportOptions;
    /// use simile::types::Control;
    ///
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// # let (path, file) = (folder.path().join("notes.simile"), folder.path().join("notes.jsonl"));
    /// let line = "{\"id\": 1, \"text\": \"My keys are in my pocket.\", \"year\": 2024}\n";
    /// std::fs::write(&file, line).expect("a full disk?");
    /// let store = Store::create(&path)?;
    /// let report = store.import_jsonl("notes", &ImportOptions::from_file(&file), &Control::new())?;
    /// assert_eq!((report.inserted, report.commits), (1, 1));
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first bad line (unless [`ImportOptions::skip_bad`]) with its number and field, what the store refuses, and
    /// [`ErrorKind::Cancelled`]. The message says what stays: nothing, or with batches the records that were committed
    /// before.
    pub fn import_jsonl(&self, collection: &str, options: &ImportOptions, control: &Control) -> Result<ImportReport> {
        import(self, collection, options, control, &mut Told(control))
    }

    /// As [`Store::import_jsonl`], with somebody who hears of each line and each commit.
    ///
    /// # Errors
    /// As [`Store::import_jsonl`].
    pub fn import_jsonl_with(
        &self,
        collection: &str,
        options: &ImportOptions,
        control: &Control,
        listener: &mut dyn ImportListener,
    ) -> Result<ImportReport> {
        import(self, collection, options, control, listener)
    }
}

/// Passes on to a control which line is read.
struct Told<'a>(&'a Control);

impl ImportListener for Told<'_> {
    fn line(&mut self, read: u64, share: &dyn Fn() -> Option<f64>) {
        if read.is_multiple_of(1024) {
            let total = share().filter(|share| *share > 0.0).map(|share| (read as f64 / share) as u64);
            self.0.report("lines", read, total);
        }
    }
}

/// Why one line did not go in.
enum Refusal {
    /// The line is bad; the batch is as it was.
    Line(LineError, ErrorKind),
    /// Nothing more can be done.
    Fatal(Error),
}

/// Imports into `collection`, which is made when it is not there.
///
/// # Errors
/// The first bad line (unless bad lines are passed over) with its number and field, or what the store refuses. The
/// message says what stays: nothing, or with batches the records that were acknowledged before.
fn import(
    store: &Store,
    collection: &str,
    options: &ImportOptions,
    control: &Control,
    listener: &mut dyn ImportListener,
) -> Result<ImportReport> {
    let (mut vectors, mut folder) = (None, None);
    match options.vectors.as_deref() {
        Some(path) if is_folder(path) => {
            let described = open_folder(path, options)?;
            check_counts(described.0.records, options)?;
            folder = Some(described);
        }
        Some(path) => {
            let matrix = NpyReader::open(path)?;
            check_counts(matrix.rows(), options)?;
            vectors = Some(matrix);
        }
        None => {}
    }
    let (source, position) = open_with_position(&options.input)?;
    let mut run = Run::new(options, source, position, vectors, folder);
    match run.all(store, collection, control, listener) {
        Ok(()) => Ok(run.finish()),
        Err(error) => Err(run.explain(error)),
    }
}

/// Refuses a file with another number of lines than there are rows for, before anything is written. Lines of a pipe
/// cannot be counted beforehand; they are when it ends.
fn check_counts(rows: u64, options: &ImportOptions) -> Result<()> {
    if options.input == Path::new("-") {
        return Ok(());
    }
    let mut reader = LineReader::new(open(&options.input)?);
    let mut lines = 0;
    while reader.next_line().map_err(|source| Error::io("read", &options.input, source))?.is_some() {
        lines += 1;
    }
    if lines == rows { Ok(()) } else { Err(other_count(options, lines, rows)) }
}

fn other_count(options: &ImportOptions, lines: u64, rows: u64) -> Error {
    let name = options.vectors.as_deref().unwrap_or(Path::new("")).display();
    let input = options.input.display();
    Error::invalid(format!("{input} has {lines} records, {name} has {rows} rows: row i belongs to line i"))
}

/// One import under way.
struct Run<'o> {
    options: &'o ImportOptions,
    spec: ImportSpec,
    lines: LineReader,
    position: Position,
    vectors: Option<NpyReader>,
    folder: Option<(Folder, FolderReader)>,
    report: ImportReport,
    /// Records of the commits so far.
    committed: u64,
    /// Which lines the rows written so far came from.
    placed: Placed,
    /// Lines whose record took the place of an earlier line's: how many, and the first with that earlier line.
    again: Option<(u64, u64, u64)>,
    any_text: bool,
    /// Records that came without a vector for a view whose vectors are supplied.
    without_vector: u64,
    /// What came of the texts of each view that embeds: (view, its embedder, counts).
    embedded: Vec<(String, String, Embedded)>,
    /// Vectors that came along.
    supplied: u64,
    /// The first whole number that no integer holds: its line and field.
    large: Option<(u64, String)>,
    at_end: bool,
}

impl<'o> Run<'o> {
    fn new(
        options: &'o ImportOptions,
        source: Source,
        position: Position,
        vectors: Option<NpyReader>,
        folder: Option<(Folder, FolderReader)>,
    ) -> Self {
        let spec = folder.as_ref().map_or_else(|| options.spec.clone(), |(folder, _)| folder.keys(&options.spec));
        let mut report = ImportReport::default();
        if vectors.as_ref().is_some_and(|vectors| vectors.element() == Element::F8) {
            let path = options.vectors.as_deref().unwrap_or(Path::new("")).display();
            report.notes.push(format!("{path} holds f8: its numbers were rounded to f4"));
        }
        Run {
            options,
            spec,
            lines: LineReader::new(source),
            position,
            vectors,
            folder,
            report,
            committed: 0,
            placed: Placed::default(),
            again: None,
            any_text: false,
            without_vector: 0,
            embedded: Vec::new(),
            supplied: 0,
            large: None,
            at_end: false,
        }
    }

    fn all(
        &mut self,
        store: &Store,
        collection: &str,
        control: &Control,
        listener: &mut dyn ImportListener,
    ) -> Result<()> {
        while !self.at_end {
            let mut batch = store.begin_with(control.clone())?;
            self.prepare(&mut batch, collection)?;
            let before = self.report.kept();
            let mut writer =
                batch.existing_collection(collection)?.no_embed(self.options.no_embed || self.folder.is_some());
            writer = writer.keep_vectors(self.options.keep_vectors);
            self.fill(&mut writer, control, listener)?;
            self.check_rows()?;
            self.count_embedded(writer.embedded()?);
            // The last, empty batch of a batched import would be a commit of nothing.
            if self.report.commits > 0 && self.report.kept() == before {
                break;
            }
            self.report.commit = Some(batch.commit()?);
            self.report.commits += 1;
            self.committed = self.report.kept();
            listener.commit(self.committed);
        }
        Ok(())
    }

    /// Adds what came of a batch's texts to that of earlier ones.
    fn count_embedded(&mut self, more: Vec<(String, String, Embedded)>) {
        for (view, embedder, counts) in more {
            match self.embedded.iter_mut().find(|(known, ..)| *known == view) {
                Some((.., all)) => *all = all.and(counts),
                None => self.embedded.push((view, embedder, counts)),
            }
        }
    }

    /// Refuses rows that no line came for: a pipe's lines could not be counted beforehand.
    fn check_rows(&self) -> Result<()> {
        if let Some((folder, reader)) = self.folder.as_ref().filter(|_| self.at_end) {
            reader.check_end()?;
            if folder.records != self.report.read {
                return Err(other_count(self.options, self.report.read, folder.records));
            }
        }
        match &self.vectors {
            Some(vectors) if self.at_end && vectors.rows() != self.report.read => {
                Err(other_count(self.options, self.report.read, vectors.rows()))
            }
            _ => Ok(()),
        }
    }

    /// Makes collection and view as far as they are missing, and learns which fields are texts of rewrite views.
    fn prepare(&mut self, batch: &mut Batch, collection: &str) -> Result<()> {
        let view = self.spec.vector_view.clone();
        let supplies = self.vectors.is_some() || self.spec.vector_field.is_some();
        if let Some((folder, _)) = &self.folder {
            prepare_alike(batch, collection, folder, self.committed > 0 || self.options.resume)?;
        }
        if !self.spec.only_vectors && !batch.has_collection(collection)? {
            let mut spec = CollectionSpec::new();
            if supplies && view == "raw" {
                spec = spec.supplied_vectors().element(self.element());
            }
            batch.create_collection(collection, spec)?;
        }
        let def = batch.existing_collection(collection)?.def().clone();
        match def.views.iter().find(|known| known.name == view) {
            Some(known) => {
                if let Some(element) =
                    self.options.element.filter(|element| *element != known.element && self.committed == 0)
                    && (known.dimension.is_some() || view != "raw")
                {
                    let (known, element) = (known.element.as_str(), element.as_str());
                    return Err(Error::invalid(format!(
                        "view {view} stores {known}, not {element}; --type is for new views"
                    )));
                }
            }
            None if supplies => batch.add_view(collection, ViewSpec::vectors_only(&view).element(self.element()))?,
            None => {}
        }
        self.spec.view_texts = def
            .views
            .iter()
            .filter_map(|view| match &view.kind {
                ViewKind::TextFrom(field) => Some((field.clone(), view.name.clone())),
                _ => None,
            })
            .collect();
        Ok(())
    }

    fn element(&self) -> ElementType {
        let halves = self.vectors.as_ref().is_some_and(|vectors| vectors.element() == Element::F2);
        self.options.element.unwrap_or(if halves { ElementType::F16 } else { ElementType::F32 })
    }

    /// Reads lines into the batch until it is full or the input ends.
    fn fill(
        &mut self,
        writer: &mut CollectionWriter<'_>,
        control: &Control,
        listener: &mut dyn ImportListener,
    ) -> Result<()> {
        let end = self.options.batch.map_or(u64::MAX, |records| self.report.kept().saturating_add(records.max(1)));
        while self.report.kept() < end {
            control.checkpoint()?;
            let Some((number, parsed)) = self.next_record()? else {
                self.at_end = true;
                return Ok(());
            };
            let brings = parsed.as_ref().ok().and_then(|record| record.vectors.get(&self.spec.vector_view));
            let (brings, is_zero) = (brings.is_some(), brings.is_some_and(|row| row.iter().all(|value| *value == 0.0)));
            let done = parsed.and_then(|record| self.apply(writer, record, number));
            if matches!(done, Ok(Outcome::Inserted)) && !brings && self.folder.is_none() && self.takes_vectors(writer) {
                self.without_vector += 1;
            }
            if done.is_ok() {
                self.supplied += u64::from(brings);
                self.report.zero_vectors += u64::from(is_zero);
            }
            self.keep_place(writer, &done, number);
            match done {
                // A vector for a record that was there is a change of that record.
                Ok(Outcome::Inserted) if self.spec.only_vectors => self.report.updated += 1,
                Ok(Outcome::Inserted) => self.report.inserted += 1,
                Ok(Outcome::Updated) => self.report.updated += 1,
                Ok(Outcome::Unchanged) => self.report.unchanged += 1,
                Err(Refusal::Fatal(error)) => return Err(error),
                Err(Refusal::Line(problem, kind)) => {
                    self.report.skipped.push(problem);
                    if !self.options.skip_bad {
                        return Err(self.bad_line(kind));
                    }
                }
            }
            listener.line(self.report.read, &|| self.position.share());
        }
        Ok(())
    }

    /// Whether the vectors of the view at hand are supplied, and so absent where none comes.
    fn takes_vectors(&self, writer: &CollectionWriter<'_>) -> bool {
        let mut views = writer.def().views.iter();
        views.any(|view| view.name == self.spec.vector_view && view.embedder.is_none())
    }

    /// Remembers which row the line became, and whether it took the place of an earlier line's.
    fn keep_place(&mut self, writer: &CollectionWriter<'_>, done: &Result<Outcome, Refusal>, number: u64) {
        let row = writer.def().rows.saturating_sub(1);
        match done {
            Ok(Outcome::Inserted | Outcome::Updated) if !self.spec.only_vectors => {}
            _ => return,
        }
        if let (Ok(Outcome::Updated), Some(earlier)) =
            (done, writer.replaced_row().and_then(|row| self.placed.line_of(row)))
        {
            self.again.get_or_insert((0, number, earlier)).0 += 1;
        }
        self.placed.note(row, number);
    }

    /// The next line as a record with its row of the matrix; a bad line still uses up its row.
    fn next_record(&mut self) -> Result<Option<(u64, Result<Record, Refusal>)>> {
        let failed = |source| Error::io("read", &self.options.input, source);
        let Some(line) = self.lines.next_line().map_err(failed)? else { return Ok(None) };
        self.report.read += 1;
        let number = line.number;
        let parsed = if line.too_long {
            let reason = format!("longer than {} bytes", super::input::LINE_BYTES);
            Err(LineError { line: number, field: None, reason })
        } else {
            parse_line(line.bytes, &self.spec).map_err(|problem| problem.at(number))
        };
        let mut row = Vec::new();
        if let Some(vectors) = &mut self.vectors
            && !vectors.next_row_as_it_is(&mut row)?
        {
            return Err(
                other_count(self.options, self.report.read, vectors.rows()).context("the vectors end too early")
            );
        }
        let mut parsed = parsed;
        if let (Some((_, reader)), Ok(record)) = (&mut self.folder, &mut parsed) {
            reader.fill(record)?;
        }
        let beyond = self.vectors.as_ref().and_then(NpyReader::beyond_f4);
        let fits = parsed.and_then(|record| match beyond {
            Some(reason) => Err(LineError { line: number, field: Some("vectors".to_string()), reason }),
            None => Ok(record),
        });
        let with_row = fits.map(|mut record| {
            if self.vectors.is_some() {
                record.vectors.insert(self.spec.vector_view.clone(), row);
            }
            self.any_text |= !record.text.is_empty();
            if let Some(field) = beyond_integers(&record, line.bytes) {
                self.large.get_or_insert_with(|| (number, field.to_string()));
            }
            record
        });
        Ok(Some((number, with_row.map_err(|problem| Refusal::Line(problem, ErrorKind::Invalid)))))
    }

    /// Gives a record to the store.
    fn apply(&self, writer: &mut CollectionWriter<'_>, mut record: Record, number: u64) -> Result<Outcome, Refusal> {
        let id = record.id.clone();
        let done = if self.spec.only_vectors {
            let Some(vector) = record.vectors.remove(&self.spec.vector_view) else {
                let field = self.spec.vector_field.clone();
                let problem = LineError { line: number, field, reason: "is missing".to_string() };
                return Err(Refusal::Line(problem, ErrorKind::Invalid));
            };
            if self.options.update {
                writer.replace_vector(&id, &self.spec.vector_view, vector)
            } else {
                writer.set_vector(&id, &self.spec.vector_view, vector)
            }
        } else if self.options.update {
            writer.upsert(record)
        } else if self.options.resume {
            writer.insert_or_skip(record)
        } else {
            writer.insert(record).map(|()| Outcome::Inserted)
        };
        done.map_err(|error| self.refusal(writer, error, &id, number))
    }

    /// Tells what is wrong with a record from what is wrong with the store.
    fn refusal(&self, writer: &CollectionWriter<'_>, error: Error, id: &str, number: u64) -> Refusal {
        use ErrorKind::{Exists, Invalid, Limit, NotFound};
        if !matches!(error.kind(), Exists | Invalid | Limit | NotFound) {
            return Refusal::Fatal(error);
        }
        // The store knows views; whoever wrote the line knows the field or the file that the vector came from.
        let field = match error.field() {
            Some(view) if view == self.spec.vector_view && self.spec.vector_field.is_some() => {
                self.spec.vector_field.clone()
            }
            Some(view) if view == self.spec.vector_view && self.vectors.is_some() => Some("vectors".to_string()),
            Some("text") => Some(self.spec.text.clone()),
            Some(field) => Some(field.to_string()),
            None if matches!(error.kind(), Exists | NotFound) => Some("id".to_string()),
            None => None,
        };
        let mut reason = error.message().to_string();
        if error.kind() == Exists && !self.spec.only_vectors {
            match writer.row_of(id).ok().flatten().and_then(|row| self.placed.line_of(row)) {
                Some(line) => reason = format!("already taken by line {line}"),
                None => reason.push_str(" (--update replaces, --resume skips what is identical)"),
            }
        }
        Refusal::Line(LineError { line: number, field, reason }, error.kind())
    }

    /// The error for the first bad line.
    fn bad_line(&self, kind: ErrorKind) -> Error {
        let Some(problem) = self.report.skipped.last() else { return Error::invalid("a line is bad") };
        let error = Error::new(kind, problem.to_string()).with_path(&self.options.input);
        match &problem.field {
            Some(field) => error.with_field(field),
            None => error,
        }
    }

    /// Says what an import that failed leaves behind.
    fn explain(&self, error: Error) -> Error {
        let kept = match (self.options.batch, self.committed) {
            (Some(_), 0) | (None, _) => "nothing was imported".to_string(),
            (Some(_), records) => format!("{records} records of earlier batches are kept"),
        };
        error.followed_by(format_args!("; {kept}"))
    }

    fn finish(mut self) -> ImportReport {
        if let Some((count, line, earlier)) = self.again {
            let lines = if count == 1 { "1 line has".to_string() } else { format!("{count} lines have") };
            self.report.notes.push(format!(
                "{lines} the id of an earlier line of this input, and the later one counts: line {line} replaced line \
                 {earlier}"
            ));
        }
        let embeds = self.vectors.is_none() && self.spec.vector_field.is_none() && self.folder.is_none();
        if self.report.read == 0 {
            let input = &self.options.input;
            let name = if input == Path::new("-") { "standard input".into() } else { input.to_string_lossy() };
            self.report.notes.push(format!("{name} holds no records: it has no line that is not blank"));
        }
        if embeds && !self.any_text && self.report.kept() > 0 {
            let field = &self.spec.text;
            self.report.notes.push(format!("no record has a text in `{field}` (is it in another field? --text FIELD)"));
        }
        if self.without_vector > 0 {
            let (view, count) = (&self.spec.vector_view, self.without_vector);
            let records = if count == 1 { "1 record has".to_string() } else { format!("{count} records have") };
            self.report.notes.push(format!(
                "{records} no vector in view {view}, which takes supplied vectors: searches of it leave them out \
                 (--vectors X.npy or --vector-field FIELD, with --only-vectors for records that are there)"
            ));
        }
        self.report.without_words = self.embedded.iter().map(|(.., counts)| counts.without_words).sum();
        let unknown = self.embedded.iter().filter(|(.., counts)| counts.without_words > 0);
        let notes: Vec<String> =
            unknown.map(|(view, embedder, counts)| without_words(view, embedder, counts)).collect();
        self.report.notes.extend(notes);
        if self.report.zero_vectors > 0 {
            let (zero, all) = (self.report.zero_vectors, self.supplied);
            let verb = if zero == 1 { "is" } else { "are" };
            self.report.notes.push(format!(
                "{zero} of {all} supplied vectors {verb} zero: they have no direction, and a lens that needs one \
                 leaves their records out"
            ));
        }
        if let Some((line, field)) = &self.large {
            self.report.notes.push(format!(
                "line {line} `{field}`: a whole number beyond 64 bits was kept as the nearest float; as text it keeps \
                 its digits"
            ));
        }
        self.report
    }
}

/// The field of a record that came as a whole number too large for an integer, and so became a float.
fn beyond_integers<'r>(record: &'r Record, line: &[u8]) -> Option<&'r str> {
    let is_large = |value: &Value| matches!(value, Value::Float(value) if value.abs() >= 9.2e18);
    if !record.fields.values().any(is_large) {
        return None;
    }
    // Written with a point or an exponent it was meant as a float: the line tells, value by value.
    let mut fields = record.fields.iter().filter(|(field, value)| is_large(value) && written_whole(line, field));
    fields.next().map(|(field, _)| field.as_str())
}

/// Whether a JSON object that has been read as such says `"field": DIGITS` at its top.
fn written_whole(line: &[u8], field: &str) -> bool {
    let Ok(values) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(line) else { return false };
    let is_whole = |text: &str| text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    values.get(field).is_some_and(|value| is_whole(value.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_where_its_own_digits_say_so() {
        let line = br#" {"t": "12345678901234567890 \"n\": 3", "a" :12345678901234567890,"b":1e19 , "c":[12345678901234567890],
            "d": -12345678901234567890.0, "o": {"e": 12345678901234567890}, "\u00e9\\": -12345678901234567890}"#;
        for (field, whole) in
            [("a", true), ("b", false), ("c", false), ("d", false), ("e", false), ("é\\", true), ("t", false)]
        {
            assert_eq!(written_whole(line, field), whole, "{field}");
        }
    }
}
