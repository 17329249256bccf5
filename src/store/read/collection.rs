//! One collection in a snapshot: which rows are live, its records, texts and columns.
//!
//! Owns [`CollectionSnapshot`]. Columns come from their chunks in the catalog; rows behind the last full chunk are
//! read from the records, so that a small commit never rewrites a chunk. It only reads.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::store::names::no_such_view;
use crate::store::read::column::{CHUNK_ROWS, Column, ColumnChunk, ColumnSource};
use crate::store::read::core::Core;
use crate::store::read::derived_def::is_current;
use crate::store::read::derived_def::view_def;
use crate::store::read::record::RECORDS;
use crate::store::read::record::fill_template;
use crate::store::read::rows::{hold_claims, hold_view, read_row_set, view_present};
use crate::store::read::view::ViewSnapshot;
use crate::store::shared::record_data::RecordData;
use crate::types::{
    CollectionDef, CollectionId, Control, DerivedDef, DerivedKind, FieldType, LensRecord, RowId, RowSet, Value,
    ViewDef, ViewKind,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One collection at one commit.
pub struct CollectionSnapshot {
    core: Arc<Core>,
    def: CollectionDef,
    live: RowSet,
    views: Vec<ViewSnapshot>,
    columns: Mutex<HashMap<String, Arc<Column>>>,
    /// What is kept derived from the views, read when it is first asked for.
    derived: OnceLock<Vec<Derived>>,
}

/// What is kept ready of a saved lens for one collection.
#[derive(Debug)]
pub struct Derived {
    /// What it is of.
    pub(in crate::store) def: DerivedDef,
    /// Its rows, under the numbers of the records; present are live rows that are kept.
    pub(in crate::store) rows: ViewSnapshot,
}

impl CollectionSnapshot {
    pub(in crate::store) fn open(core: Arc<Core>, def: CollectionDef) -> Result<Self> {
        hold_claims(&core.read, &def)?;
        let live = read_row_set(&core.read, &tables::LIVE, def.id, def.rows)?.packed();
        let mut views = Vec::with_capacity(def.views.len());
        for view in &def.views {
            let present = view_present(&core.read, view, &live)?.packed();
            let segments = core.segments(view)?;
            views.push(ViewSnapshot::new(Arc::clone(&core), view.clone(), present, segments));
        }
        Ok(CollectionSnapshot { core, def, live, views, columns: Mutex::default(), derived: OnceLock::new() })
    }

    /// The collection's definition at this snapshot.
    pub fn def(&self) -> &CollectionDef {
        &self.def
    }

    /// Rows that are live.
    pub fn live(&self) -> &RowSet {
        &self.live
    }

    /// The views in the order they were made; `raw` is the first.
    pub fn views(&self) -> &[ViewSnapshot] {
        &self.views
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<&ViewSnapshot> {
        self.views.iter().find(|view| view.def().name == name)
    }

    /// The view of that name.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), with the views that there are.
    pub(crate) fn view_named(&self, name: &str) -> Result<&ViewSnapshot> {
        self.view(name).map_or_else(|| Err(no_such_view(self.def(), name)), Ok)
    }

    /// The processed rows that are kept of the saved lens `lens`, where they cover its view as it is and belong to the
    /// lens as it is: y(x) of its steps without the metric's own, under the numbers of the records. Live rows of the
    /// view that are not present here have no direction, or are none that can be kept.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn materialized(&self, lens: &LensRecord) -> Result<Option<&ViewSnapshot>> {
        let rows = self.view(&lens.lens.view).map(|view| view.def().rows);
        let found = self.derived_of(lens, DerivedKind::Rows)?;
        Ok(found.filter(|found| Some(found.def().rows) == rows))
    }

    /// The scalars that are kept of the saved lens `lens`, its own metric included, as it is: see `lens::stored`. Live
    /// rows that are not present here have to be computed.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn scalars(&self, lens: &LensRecord) -> Result<Option<&ViewSnapshot>> {
        self.derived_of(lens, DerivedKind::Scalars)
    }

    fn derived_of(&self, lens: &LensRecord, kind: DerivedKind) -> Result<Option<&ViewSnapshot>> {
        let Some(view) = self.view(&lens.lens.view) else { return Ok(None) };
        let found = self.derived()?.iter().find(|derived| {
            let def = &derived.def;
            def.kind == kind && is_current(def, lens) && def.source == view.def().id
        });
        Ok(found.map(|derived| &derived.rows))
    }

    /// Everything kept derived from the views of this collection.
    pub(in crate::store) fn derived(&self) -> Result<&[Derived]> {
        if let Some(known) = self.derived.get() {
            return Ok(known);
        }
        let mut found = Vec::new();
        for def in self.core.derived_of(self.def.id)? {
            let source = self.views.iter().find(|view| view.def().id == def.source);
            let Some(source) = source else { continue };
            found.push(self.open_derived(def, source)?);
        }
        Ok(self.derived.get_or_init(|| found))
    }

    /// What is kept derived from the view `source`, as `def` describes it.
    pub(in crate::store) fn open_derived(&self, def: &DerivedDef, source: &ViewSnapshot) -> Result<Derived> {
        let view = view_def(def);
        hold_view(&view, source.def().rows)?;
        let present = view_present(&self.core.read, &view, source.present())?;
        let segments = self.core.segments(&view)?;
        let rows = ViewSnapshot::new(Arc::clone(&self.core), view, present, segments);
        Ok(Derived { def: def.clone(), rows })
    }

    /// Whether no file that has been mapped was shortened meanwhile.
    pub(in crate::store) fn has_whole_files(&self) -> bool {
        let derived = self.derived.get().into_iter().flatten().map(|derived| &derived.rows);
        self.views.iter().chain(derived).all(ViewSnapshot::has_whole_files)
    }

    /// The row of the live record with this id.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn row_of(&self, id: &str) -> Result<Option<RowId>> {
        Ok(self.core.read.get(&tables::IDS, &(self.def.id, id.to_string()))?.map(RowId))
    }

    /// The record at `row`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the row is not in use,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where its bytes are damaged.
    pub fn record(&self, row: RowId) -> Result<RecordData> {
        let stored = self.core.read.get(&RECORDS, &(self.def.id, row.0))?;
        let mut stored =
            stored.ok_or_else(|| Error::not_found(format!("collection {} has no row {row}", self.def.name)))?;
        let (id, text) = (std::mem::take(&mut stored.id), std::mem::take(&mut stored.text));
        Ok(RecordData { key: stored.key, id, text, fields: stored.into_fields() })
    }

    /// [`CollectionSnapshot::record`] for records that are shown: those shown lately are kept decoded, and shared with
    /// whoever shows them.
    pub(crate) fn shown_record(&self, row: RowId) -> Result<Arc<RecordData>> {
        let whose = (self.core.meta.generation, self.def.id, row.0);
        if let Some(known) = self.core.shared.recent.get(whose) {
            return Ok(known);
        }
        let record = Arc::new(self.record(row)?);
        self.core.shared.recent.insert(whose, &record);
        Ok(record)
    }

    /// The records at `rows`, in that order.
    ///
    /// # Errors
    /// As [`CollectionSnapshot::record`].
    pub fn records(&self, rows: &[u32]) -> Result<Vec<RecordData>> {
        rows.iter().map(|&row| self.record(RowId(row))).collect()
    }

    /// The stored text of a rewrite view.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn view_text(&self, view: &ViewDef, row: RowId) -> Result<Option<String>> {
        self.core.read.get(&tables::VIEW_TEXTS, &(view.id, row.0))
    }

    /// The text of a record as `view` has it: raw as given, template filled in, rewrite as stored, else none.
    pub(in crate::store) fn view_text_of(&self, view: &ViewDef, row: RowId, text: &str) -> Result<Option<String>> {
        match &view.kind {
            ViewKind::Raw => Ok(Some(text.to_string())),
            ViewKind::Template(template) => Ok(Some(fill_template(template, text))),
            ViewKind::TextFrom(_) => self.view_text(view, row),
            ViewKind::VectorsOnly => Ok(None),
        }
    }

    /// The values of `field` by row; `None` where the collection never had such a field.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where a chunk or a record is damaged.
    pub fn column(&self, field: &str) -> Result<Option<Arc<Column>>> {
        self.column_until(field, &Control::default())
    }

    /// As [`CollectionSnapshot::column`], until `control` says to stop.
    pub(crate) fn column_until(&self, field: &str, control: &Control) -> Result<Option<Arc<Column>>> {
        let Some(&field_type) = self.def.fields.get(field) else { return Ok(None) };
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = columns.get(field) {
            return Ok(Some(Arc::clone(column)));
        }
        let column = Arc::new(self.load_column(field, field_type, control)?);
        columns.insert(field.to_string(), Arc::clone(&column));
        Ok(Some(column))
    }

    fn load_column(&self, field: &str, field_type: FieldType, control: &Control) -> Result<Column> {
        let tail = self.tail_chunk(field, field_type)?;
        let (core, field) = (Arc::clone(&self.core), field.to_string());
        let source = StoredColumn { core, collection: self.def.id, field, field_type, first_row: 0 };
        Column::load(field_type, self.def.rows, tail, Arc::new(source), control)
    }

    /// The field's values of the rows behind the last full chunk, from the records.
    fn tail_chunk(&self, field: &str, field_type: FieldType) -> Result<Option<ColumnChunk>> {
        let first_row = self.def.rows / CHUNK_ROWS * CHUNK_ROWS;
        let mut tail = ColumnChunk::builder(field_type);
        let mut next_row = first_row;
        let range = (self.def.id, first_row)..(self.def.id, self.def.rows);
        self.core.read.for_each(&RECORDS, range, |(_, row), mut stored| {
            (next_row..row).for_each(|_| tail.push(None));
            tail.push(stored.take_field(field, field_type).as_ref());
            next_row = row + 1;
            Ok(())
        })?;
        (next_row..self.def.rows).for_each(|_| tail.push(None));
        Ok(tail.finish())
    }
}

/// A field's column in the catalog, from row `first_row` on: full chunks, and values as their records have them.
pub(in crate::store) struct StoredColumn {
    pub(in crate::store) core: Arc<Core>,
    pub(in crate::store) collection: CollectionId,
    pub(in crate::store) field: String,
    pub(in crate::store) field_type: FieldType,
    pub(in crate::store) first_row: u32,
}

impl ColumnSource for StoredColumn {
    fn chunk(&self, chunk: u32) -> Result<Option<Arc<ColumnChunk>>> {
        self.core.column_chunk(self.collection, &self.field, self.first_row / CHUNK_ROWS + chunk)
    }

    fn value(&self, row: u32) -> Result<Option<Value>> {
        let row = self.first_row + row;
        let Some(mut stored) = self.core.read.get(&RECORDS, &(self.collection, row))? else {
            let message = format!("row {row} of collection {} is missing", self.collection);
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        Ok(stored.take_field(&self.field, self.field_type))
    }
}

impl fmt::Debug for CollectionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectionSnapshot").field("def", &self.def).finish_non_exhaustive()
    }
}
