//! The folder beside an exported JSONL: vectors of every view, and what the JSONL cannot say.
//!
//! Owns `views.json` (fields, views, which file holds what), and the reading of such a folder in step with the lines of
//! the JSONL. Row i of a view's matrix belongs to line i, or, where records have no vector in the view, to line i of
//! its list of ids; texts of a view that stand in no field are a list of their own. The folder comes from outside: no
//! name in it leads out of it, and rows, ids and texts that no line comes for are an error.

use super::input::{LineReader, open};
use super::jsonl::ImportSpec;
use super::npy::NpyReader;
use crate::error::{Error, Result};
use crate::types::{CollectionDef, ElementType, FieldType, Record, ViewDef, ViewId, ViewKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that says what the others are.
const VIEWS: &str = "views.json";
/// The layout of that file.
const VERSION: u32 = 1;

/// What an export says about its collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Folder {
    simile_export: u32,
    /// Lines of the JSONL.
    pub(crate) records: u64,
    /// Key of the id in each line.
    pub(crate) id: String,
    /// Key of the text in each line.
    pub(crate) text: String,
    /// Names of field types, by field.
    fields: BTreeMap<String, String>,
    pub(crate) views: Vec<FolderView>,
}

/// One view of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderView {
    name: String,
    /// `raw`, `template`, `rewrite` or `vectors`.
    kind: String,
    /// Of a template.
    template: Option<String>,
    /// Of rewritten texts.
    field: Option<String>,
    embedder: Option<String>,
    dimension: Option<u32>,
    #[serde(rename = "type")]
    element: String,
    /// Its matrix; none where the view never had a vector.
    pub(crate) vectors: Option<String>,
    /// The ids of the records that its rows belong to; none where every record has one.
    pub(crate) ids: Option<String>,
    /// Texts of the view that stand in no field, by id.
    pub(crate) texts: Option<String>,
}

impl Folder {
    /// What there is to say of a collection; which files were written is filled in by whoever writes them.
    pub(crate) fn of(def: &CollectionDef, records: u64, id: &str, text: &str) -> Folder {
        let fields = def.fields.iter().map(|(name, kind)| (name.clone(), kind.as_str().to_string()));
        Folder {
            simile_export: VERSION,
            records,
            id: id.to_string(),
            text: text.to_string(),
            fields: fields.collect(),
            views: def.views.iter().map(FolderView::of).collect(),
        }
    }

    /// The text of the file, and where it stands.
    pub(crate) fn written(&self, folder: &Path) -> Result<(PathBuf, String)> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::invalid("the views cannot be written as JSON").with_source(source))?;
        Ok((folder.join(VIEWS), text))
    }

    /// Reads what an export has left in `folder`.
    ///
    /// # Errors
    /// When it is not there, or says what no export says.
    pub(crate) fn read(folder: &Path) -> Result<Folder> {
        let path = folder.join(VIEWS);
        let refuse = |why: String| Error::invalid(format!("{}: {why}", path.display())).with_path(&path);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut open(&path)?, &mut text)
            .map_err(|source| Error::io("read", &path, source))?;
        let folder: Folder =
            serde_json::from_str(&text).map_err(|error| refuse(format!("not what `simile export` writes: {error}")))?;
        if folder.simile_export != VERSION {
            return Err(refuse(format!("layout {}, only {VERSION} is known here", folder.simile_export)));
        }
        let files = folder.views.iter().flat_map(|view| [&view.vectors, &view.ids, &view.texts]).flatten();
        if let Some(outside) = files.into_iter().find(|file| file.contains(['/', '\\', ':']) || file.starts_with('.')) {
            return Err(refuse(format!("{outside:?} is no name of a file in this folder")));
        }
        Ok(folder)
    }

    /// Fields and views, as a collection is made of them.
    ///
    /// # Errors
    /// For types and kinds that are not known.
    pub(crate) fn definition(&self) -> Result<(BTreeMap<String, FieldType>, Vec<ViewDef>)> {
        let known = [
            FieldType::Text,
            FieldType::Integer,
            FieldType::Float,
            FieldType::Bool,
            FieldType::TextList,
            FieldType::Json,
        ];
        let fields = self.fields.iter().map(|(name, kind)| {
            let found = known.iter().find(|known| known.as_str() == kind);
            let found = found.ok_or_else(|| Error::invalid(format!("{VIEWS}: no field is of type {kind:?}")))?;
            Ok((name.clone(), *found))
        });
        Ok((fields.collect::<Result<_>>()?, self.views.iter().map(FolderView::def).collect::<Result<_>>()?))
    }

    /// The keys of the lines: the export's own, unless others are asked for.
    pub(crate) fn keys(&self, spec: &ImportSpec) -> ImportSpec {
        let text = if spec.text == ImportSpec::default().text { self.text.clone() } else { spec.text.clone() };
        ImportSpec { id: spec.id.clone().or_else(|| Some(self.id.clone())), text, ..spec.clone() }
    }
}

impl FolderView {
    fn of(def: &ViewDef) -> FolderView {
        let (template, field) = match &def.kind {
            ViewKind::Template(template) => (Some(template.clone()), None),
            ViewKind::TextFrom(field) => (None, Some(field.clone())),
            ViewKind::Raw | ViewKind::VectorsOnly => (None, None),
        };
        FolderView {
            name: def.name.clone(),
            kind: def.kind.as_str().to_string(),
            template,
            field,
            embedder: def.embedder.clone(),
            dimension: def.dimension,
            element: def.element.as_str().to_string(),
            vectors: None,
            ids: None,
            texts: None,
        }
    }

    fn def(&self) -> Result<ViewDef> {
        let wrong = |why: String| Error::invalid(format!("{VIEWS}: view {:?} {why}", self.name));
        let kind = match (self.kind.as_str(), &self.template, &self.field) {
            ("raw", None, None) => ViewKind::Raw,
            ("vectors", None, None) => ViewKind::VectorsOnly,
            ("template", Some(template), None) => ViewKind::Template(template.clone()),
            ("rewrite", None, Some(field)) => ViewKind::TextFrom(field.clone()),
            _ => return Err(wrong(format!("is of no kind that is known: {:?}", self.kind))),
        };
        let element = [ElementType::F32, ElementType::F16].into_iter().find(|known| known.as_str() == self.element);
        Ok(ViewDef {
            id: ViewId(0),
            name: self.name.clone(),
            kind,
            embedder: self.embedder.clone(),
            dimension: self.dimension,
            element: element.ok_or_else(|| wrong(format!("has elements of type {:?}", self.element)))?,
            rows: 0,
            revision: 0,
        })
    }
}

/// Lines of a list beside a view: an id, and a text where it is a list of texts.
#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    text: String,
}

/// A list that is read in step with the records.
struct List {
    path: PathBuf,
    lines: LineReader,
    next: Option<Listed>,
}

impl List {
    fn open(path: PathBuf) -> Result<List> {
        let lines = LineReader::new(open(&path)?);
        let mut list = List { path, lines, next: None };
        list.advance()?;
        Ok(list)
    }

    fn advance(&mut self) -> Result<()> {
        let failed = |source| Error::io("read", &self.path, source);
        self.next = match self.lines.next_line().map_err(failed)? {
            None => None,
            Some(line) => {
                let listed = serde_json::from_slice(line.bytes).map_err(|error| {
                    let message = format!("{}: line {}: {error}", self.path.display(), line.number);
                    Error::invalid(message).with_path(&self.path)
                })?;
                Some(listed)
            }
        };
        Ok(())
    }

    /// The entry for the record with this id, if it is the next.
    fn take(&mut self, id: &str) -> Result<Option<Listed>> {
        if self.next.as_ref().is_none_or(|next| next.id != id) {
            return Ok(None);
        }
        let found = self.next.take();
        self.advance()?;
        Ok(found)
    }

    fn check_end(&self) -> Result<()> {
        match &self.next {
            None => Ok(()),
            Some(next) => {
                let message =
                    format!("{} names record {:?} where the lines do not have it", self.path.display(), next.id);
                Err(Error::invalid(message).with_path(&self.path))
            }
        }
    }
}

/// One view of the folder, read in step with the records.
struct Stream {
    view: String,
    matrix: Option<NpyReader>,
    left: u64,
    ids: Option<List>,
    texts: Option<List>,
}

/// All views of a folder, read in step with the records.
pub(crate) struct FolderReader {
    folder: PathBuf,
    views: Vec<Stream>,
}

impl FolderReader {
    /// Opens what `folder` names.
    ///
    /// # Errors
    /// For files that are not there or are no matrices of their view.
    pub(crate) fn open(path: &Path, folder: &Folder) -> Result<FolderReader> {
        let mut views = Vec::with_capacity(folder.views.len());
        for view in &folder.views {
            let matrix = view.vectors.as_ref().map(|file| NpyReader::open(&path.join(file))).transpose()?;
            let left = matrix.as_ref().map_or(0, NpyReader::rows);
            if view.ids.is_none() && matrix.is_some() && left != folder.records {
                let message = format!("view {} has {left} vectors for {} records", view.name, folder.records);
                return Err(Error::invalid(message).with_path(path));
            }
            let list = |file: &Option<String>| file.as_ref().map(|file| List::open(path.join(file))).transpose();
            let (ids, texts) = (list(&view.ids)?, list(&view.texts)?);
            views.push(Stream { view: view.name.clone(), matrix, left, ids, texts });
        }
        Ok(FolderReader { folder: path.to_path_buf(), views })
    }

    /// Gives the next line's record what the folder has for it.
    ///
    /// # Errors
    /// When a file cannot be read or ends too early.
    pub(crate) fn fill(&mut self, record: &mut Record) -> Result<()> {
        for stream in &mut self.views {
            if let Some(texts) = &mut stream.texts
                && let Some(listed) = texts.take(&record.id)?
            {
                record.view_texts.insert(stream.view.clone(), listed.text);
            }
            let Some(matrix) = &mut stream.matrix else { continue };
            let is_its_turn = match &mut stream.ids {
                Some(ids) => ids.take(&record.id)?.is_some(),
                None => true,
            };
            if !is_its_turn {
                continue;
            }
            let mut row = Vec::new();
            if !matrix.next_row(&mut row)? {
                let message = format!("the vectors of view {} end before its records", stream.view);
                return Err(Error::invalid(message).with_path(&self.folder));
            }
            stream.left -= 1;
            record.vectors.insert(stream.view.clone(), row);
        }
        Ok(())
    }

    /// Refuses what no line came for.
    ///
    /// # Errors
    /// For rows, ids and texts that are left.
    pub(crate) fn check_end(&self) -> Result<()> {
        for stream in &self.views {
            for list in stream.ids.iter().chain(&stream.texts) {
                list.check_end()?;
            }
            if stream.left > 0 {
                let message =
                    format!("view {} has {} vectors more than there are records for", stream.view, stream.left);
                return Err(Error::invalid(message).with_path(&self.folder));
            }
        }
        Ok(())
    }
}
