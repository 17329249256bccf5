//! A collection as JSONL and `.npy`, in a form that import takes back.
//!
//! Owns the choice of keys: metadata stands beside id and text, and the text of a rewrite view under the field the view
//! takes it from. Row i of a matrix belongs to line i of the JSONL; where records have no vector in a view, the
//! matrix has rows for the others only, and a list of their ids is written beside it. It streams row by row.

use super::jsonl::json_of;
use super::npy::NpyWriter;
use super::output::TextFile;
use crate::error::{Error, Result};
use crate::store::{CollectionSnapshot, Snapshot, ViewSnapshot};
use crate::types::control::Control;
use crate::types::{ElementType, RowId, ViewKind};
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};

/// What an export wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExportReport {
    /// Records, one a line.
    pub records: u64,
    /// The key of the id in each line.
    pub id_key: String,
    /// The key of the text in each line.
    pub text_key: String,
    /// Matrices that were written.
    pub matrices: Vec<ExportedMatrix>,
}

/// A `.npy` file that was written.
#[derive(Debug, Clone, PartialEq)]
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

/// Writes `collection` to `out` (packed if it ends in `.gz`) and its views' vectors into the folder `vectors`.
///
/// # Errors
/// When the collection does not exist, is damaged, or a file cannot be written.
pub fn export(
    snapshot: &Snapshot,
    collection: &str,
    out: &mut dyn FnMut(&str) -> Result<()>,
    vectors: Option<&Path>,
    control: &Control,
) -> Result<ExportReport> {
    let collection = snapshot.collection(collection)?;
    let mut report = write_records(&collection, out, control)?;
    if let Some(folder) = vectors {
        super::output::create_folder(folder)?;
        for view in collection.views() {
            report.matrices.extend(write_matrix(&collection, view, folder, control)?);
        }
    }
    Ok(report)
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
        let mut rest = Map::new();
        for (name, value) in &record.fields {
            rest.insert(name.clone(), json_of(value));
        }
        for (field, view) in &rewrites {
            if !rest.contains_key(*field)
                && let Some(text) = collection.view_text(view, RowId(row))?
            {
                rest.insert((*field).clone(), Json::from(text));
            }
        }
        out(&line(&[(&id_key, Json::from(record.id)), (&text_key, Json::from(record.text))], &rest))?;
        records += 1;
        control.report("records", records, Some(total));
    }
    Ok(ExportReport { records, id_key, text_key, matrices: Vec::new() })
}

/// One JSON object on one line: `first` in order, then `rest`.
fn line(first: &[(&str, Json)], rest: &Map<String, Json>) -> String {
    let mut line = String::from("{");
    let pairs =
        first.iter().map(|(key, value)| (*key, value)).chain(rest.iter().map(|(key, value)| (key.as_str(), value)));
    for (position, (key, value)) in pairs.enumerate() {
        if position > 0 {
            line.push(',');
        }
        line.push_str(&Json::from(key).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push('}');
    line
}

fn write_matrix(
    collection: &CollectionSnapshot,
    view: &ViewSnapshot,
    folder: &Path,
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
            id_file.line(&line(&[("id", Json::from(collection.record(RowId(row))?.id))], &Map::new()))?;
        }
        control.report("vectors", done as u64 + 1, Some(rows));
    }
    matrix.finish()?;
    if let Some(id_file) = id_file {
        id_file.finish()?;
    }
    Ok(Some(ExportedMatrix { view: def.name.clone(), file, rows, dimension, absent, ids }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_order_and_escapes_its_keys() {
        let rest: Map<String, Json> = [("a\"b".to_string(), Json::from(1))].into_iter().collect();
        let text = line(&[("id", Json::from("x\n")), ("text", Json::from(""))], &rest);
        assert_eq!(text, r#"{"id":"x\n","text":"","a\"b":1}"#);
    }
}
