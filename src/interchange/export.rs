//! A collection as JSONL and `.npy`, in a form that import takes back.
//!
//! Owns the choice of keys: metadata stands beside id and text, and the text of a rewrite view under the field the view
//! takes it from. Row i of a matrix belongs to line i of the JSONL; where records have no vector in a view, the matrix
//! has rows for the others only, and a list of their ids is written beside it. With a folder of vectors the whole
//! collection can be made again by one import (see `folder`). It streams row by row.

use super::folder::Folder;
use super::jsonl::json_text;
use super::npy::NpyWriter;
use super::output::{TextFile, Written, publish};
use crate::error::{Error, Result};
use crate::store::{CollectionSnapshot, Snapshot, ViewSnapshot, text_from};
use crate::types::control::Control;
use crate::types::{ElementType, RowId, ViewDef, ViewKind};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What an export wrote.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Records, one a line.
    pub records: u64,
    /// The key of the id in each line.
    pub id_key: String,
    /// The key of the text in each line.
    pub text_key: String,
    /// Matrices that were written.
    pub matrices: Vec<ExportedMatrix>,
    /// Views that only a folder of vectors would keep: all but a `raw` that is embedded.
    pub other_views: Vec<String>,
}

/// A `.npy` file that was written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExportedMatrix {
    /// The view.
    pub view: String,
    /// The file.
    pub file: PathBuf,
    /// Rows of the matrix.
    pub rows: u64,
    /// Numbers in a row.
    pub dimension: u32,
    /// Records without a vector in the view, which have no row.
    pub absent: u64,
    /// Where records are absent: the file that says which record each row belongs to.
    pub ids: Option<PathBuf>,
}

impl Snapshot {
    /// Writes `collection` as JSONL to the file `out` (packed if its name ends in `.gz`) and, with `vectors`, its
    /// views' vectors and what else it takes to make the collection again by one import into that folder. All files are
    /// written beside their places, which they take when all of them are whole; none is written into a store.
    ///
    /// ```
    /// use simile::interchange::ImportOptions;
    /// use simile::types::Control;
    /// use simile::{Record, Store};
    ///
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// # let folder = folder.path();
    /// let store = Store::create(folder.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "They are in my pocket."))?;
    /// batch.commit()?;
    /// let (lines, vectors) = (folder.join("notes.jsonl"), folder.join("vectors"));
    /// let report = store.snapshot()?.export_jsonl("notes", &lines, Some(&vectors), &Control::new())?;
    /// assert_eq!(report.records, 1);
    ///
    /// let mut options = ImportOptions::from_file(&lines);
    /// options.vectors = Some(vectors);
    /// let again = Store::create(folder.join("again.simile"))?;
    /// assert_eq!(again.import_jsonl("notes", &options, &Control::new())?.inserted, 1);
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the collection does not exist, is damaged, or a file cannot be written; [`ErrorKind::Cancelled`]. What
    /// stood in the files' places before then still does.
    ///
    /// [`ErrorKind::Cancelled`]: crate::ErrorKind::Cancelled
    pub fn export_jsonl(
        &self,
        collection: &str,
        out: impl AsRef<Path>,
        vectors: Option<&Path>,
        control: &Control,
    ) -> Result<ExportReport> {
        // A name that does not exist must not leave an empty file behind.
        self.collection(collection)?;
        let mut file = TextFile::create(out.as_ref())?;
        let (report, files) = export(self, collection, &mut |line| file.line(line), vectors, control)?;
        publish(files.into_iter().chain([file.finish()?]))?;
        Ok(report)
    }
}

/// Writes `collection` to `out` and its views' vectors into the folder `vectors`; the files of the folder come back, to
/// be published together with what `out` writes.
///
/// # Errors
/// When the collection does not exist, is damaged, or a file cannot be written.
pub(crate) fn export(
    snapshot: &Snapshot,
    collection: &str,
    out: &mut dyn FnMut(&str) -> Result<()>,
    vectors: Option<&Path>,
    control: &Control,
) -> Result<(ExportReport, Vec<Written>)> {
    let collection = snapshot.collection(collection)?;
    // A folder that is refused is refused before the records are written.
    vectors.map_or(Ok(()), super::output::create_folder)?;
    let mut report = write_records(&collection, out, vectors.is_some(), control)?;
    let mut files = Vec::new();
    if let Some(folder) = vectors {
        let mut described = Folder::of(collection.def(), report.records, &report.id_key, &report.text_key);
        for (view, described) in collection.views().iter().zip(&mut described.views) {
            let matrix = write_matrix(&collection, view, folder, &mut files, control)?;
            described.texts = write_texts(&collection, view, folder, &mut files, control)?.as_deref().and_then(name_of);
            described.vectors = matrix.as_ref().and_then(|matrix| name_of(&matrix.file));
            described.ids = matrix.as_ref().and_then(|matrix| matrix.ids.as_deref()).and_then(name_of);
            report.matrices.extend(matrix);
        }
        let (path, text) = described.written(folder)?;
        let mut file = TextFile::create(&path)?;
        file.line(&text)?;
        files.push(file.finish()?);
    } else {
        let is_made_anew = |view: &ViewDef| view.name == "raw" && (view.embedder.is_some() || view.rows == 0);
        let lost = collection.def().views.iter().filter(|view| !is_made_anew(view));
        report.other_views = lost.map(|view| view.name.clone()).collect();
    }
    Ok((report, files))
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The first of `wanted`, `_wanted`, `__wanted`, ... that no field of the collection has.
fn free_key(collection: &CollectionSnapshot, wanted: &str) -> String {
    let mut key = wanted.to_string();
    while collection.def().fields.contains_key(&key) {
        key.insert(0, '_');
    }
    key
}

fn write_records(
    collection: &CollectionSnapshot,
    out: &mut dyn FnMut(&str) -> Result<()>,
    has_folder: bool,
    control: &Control,
) -> Result<ExportReport> {
    let (id_key, text_key) = (free_key(collection, "id"), free_key(collection, "text"));
    let rewrites: Vec<_> = collection
        .views()
        .iter()
        .filter_map(|view| match &view.def().kind {
            ViewKind::TextFrom(field) => Some((field, view.def())),
            _ => None,
        })
        .collect();
    let total = collection.live().len();
    let mut records = 0;
    for row in collection.live().iter() {
        control.checkpoint()?;
        let record = collection.record(RowId(row))?;
        // Id and text come first for whoever looks at the file; a map would sort them in between.
        let mut rest = BTreeMap::new();
        for (name, value) in &record.fields {
            rest.insert(name.clone(), json_text(value));
        }
        // Beside a folder, texts that no field says are a list of their own: here they would become fields.
        for (field, view) in rewrites.iter().filter(|_| !has_folder) {
            if !rest.contains_key(*field)
                && let Some(text) = collection.view_text(view, RowId(row))?
                && text_from(&record.fields, &record.text, field).as_ref() != Some(&text)
            {
                rest.insert((*field).clone(), Json::from(text).to_string());
            }
        }
        out(&line(&[(&id_key, Json::from(record.id)), (&text_key, Json::from(record.text))], &rest))?;
        records += 1;
        control.report("records", records, Some(total));
    }
    Ok(ExportReport { records, id_key, text_key, ..ExportReport::default() })
}

/// One JSON object on one line: `first` in order, then `rest`, whose values are JSON text.
fn line(first: &[(&str, Json)], rest: &BTreeMap<String, String>) -> String {
    let mut line = String::from("{");
    let first = first.iter().map(|(key, value)| (*key, value.to_string()));
    let pairs = first.chain(rest.iter().map(|(key, value)| (key.as_str(), value.clone())));
    for (position, (key, value)) in pairs.enumerate() {
        if position > 0 {
            line.push(',');
        }
        line.push_str(&Json::from(key).to_string());
        line.push(':');
        line.push_str(&value);
    }
    line.push('}');
    line
}

/// Where a view's texts are listed that its field does not say; `None` where there are none.
fn write_texts(
    collection: &CollectionSnapshot,
    view: &ViewSnapshot,
    folder: &Path,
    files: &mut Vec<Written>,
    control: &Control,
) -> Result<Option<PathBuf>> {
    let def = view.def();
    let ViewKind::TextFrom(field) = &def.kind else { return Ok(None) };
    let path = folder.join(format!("{}.texts.jsonl", def.name));
    let mut file = None;
    for row in collection.live().iter() {
        control.checkpoint()?;
        let Some(kept) = collection.view_text(def, RowId(row))? else { continue };
        let record = collection.record(RowId(row))?;
        if text_from(&record.fields, &record.text, field).as_ref() == Some(&kept) {
            continue;
        }
        let file = match &mut file {
            Some(file) => file,
            None => file.insert(TextFile::create(&path)?),
        };
        file.line(&line(&[("id", Json::from(record.id)), ("text", Json::from(kept))], &BTreeMap::new()))?;
    }
    let is_made = file.is_some();
    files.extend(file.map(TextFile::finish).transpose()?);
    Ok(is_made.then_some(path))
}

fn write_matrix(
    collection: &CollectionSnapshot,
    view: &ViewSnapshot,
    folder: &Path,
    files: &mut Vec<Written>,
    control: &Control,
) -> Result<Option<ExportedMatrix>> {
    let def = view.def();
    let Some(dimension) = def.dimension else { return Ok(None) };
    if def.name.contains(['/', '\\']) || def.name.starts_with('.') {
        return Err(Error::invalid(format!("view {:?} cannot name a file", def.name)));
    }
    let rows = view.present().len();
    let absent = collection.live().len() - rows;
    let file = folder.join(format!("{}.npy", def.name));
    let mut matrix = NpyWriter::create(&file, rows, dimension as usize, def.element == ElementType::F16)?;
    let ids = (absent > 0).then(|| folder.join(format!("{}.ids.jsonl", def.name)));
    let mut id_file = ids.as_deref().map(TextFile::create).transpose()?;
    for (done, row) in view.present().iter().enumerate() {
        control.checkpoint()?;
        let Some(vector) = view.vector(row)? else { continue };
        matrix.row(&vector)?;
        if let Some(id_file) = &mut id_file {
            id_file.line(&line(&[("id", Json::from(collection.record(RowId(row))?.id))], &BTreeMap::new()))?;
        }
        control.report("vectors", done as u64 + 1, Some(rows));
    }
    files.push(matrix.finish()?);
    files.extend(id_file.map(TextFile::finish).transpose()?);
    Ok(Some(ExportedMatrix { view: def.name.clone(), file, rows, dimension, absent, ids }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_order_and_escapes_its_keys() {
        let rest = BTreeMap::from([("a\"b".to_string(), "1".to_string())]);
        let text = line(&[("id", Json::from("x\n")), ("text", Json::from(""))], &rest);
        assert_eq!(text, r#"{"id":"x\n","text":"","a\"b":1}"#);
    }
}
