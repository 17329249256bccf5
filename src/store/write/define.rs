//! Which collections and views there are: what a batch makes of them, and hands out to be written to.

use crate::error::{Error, ErrorKind, Result};
use crate::store::names::counted_up;
use crate::store::options::{CollectionSpec, EmbedderChoice, ViewSpec};
use crate::store::write::append::{Embedded, ViewState};
use crate::store::write::batch::Batch;
use crate::store::write::fill;
use crate::store::write::state::{CollectionState, Slot};
use crate::store::write::validate::check_name;
use crate::store::write::writer::CollectionWriter;
use crate::types::{CollectionDef, CollectionId, ElementType, FieldType, ViewDef, ViewKind, limits};
use std::collections::BTreeMap;

impl Batch {
    /// The collection of that name, made with the store's embedder when it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name the query language could not say.
    pub fn collection(&mut self, name: &str) -> Result<CollectionWriter<'_>> {
        match self.load(name)? {
            Some(idx) => Ok(CollectionWriter::new(self, idx)),
            None => self.create_collection(name, CollectionSpec::new()),
        }
    }

    /// The collection of that name, which must be there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], with the nearest name and the names that exist.
    pub fn existing_collection(&mut self, name: &str) -> Result<CollectionWriter<'_>> {
        let idx = self.require(name)?;
        Ok(CollectionWriter::new(self, idx))
    }

    /// Whether there is a collection of that name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn has_collection(&mut self, name: &str) -> Result<bool> {
        Ok(self.load(name)?.is_some())
    }

    /// Makes a collection with one view, `raw`.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] for a name in use, [`ErrorKind::Invalid`] for one the query language could not say,
    /// [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn create_collection(&mut self, name: &str, spec: CollectionSpec) -> Result<CollectionWriter<'_>> {
        check_name("collection", name)?;
        if self.load(name)?.is_some() {
            return Err(Error::new(ErrorKind::Exists, format!("collection {name} exists already")));
        }
        let embedder = match &spec.embedder {
            EmbedderChoice::StoreDefault => self.meta.embedder.clone(),
            EmbedderChoice::Supplied => None,
            EmbedderChoice::Named(name) => Some(self.shared.embedder(name)?.name().to_string()),
        };
        let raw = ViewDef {
            id: self.next_view(),
            name: "raw".to_string(),
            kind: ViewKind::Raw,
            embedder,
            dimension: None,
            element: spec.element,
            rows: 0,
            revision: 0,
        };
        let def = CollectionDef {
            id: CollectionId(self.meta.next_collection),
            name: name.to_string(),
            fields: BTreeMap::new(),
            rows: 0,
            live: 0,
            next_key: 0,
            views: vec![raw],
        };
        self.meta.next_collection = counted_up(self.meta.next_collection)?;
        self.changed = true;
        let mut state = CollectionState::new(def);
        state.is_embedder_default = spec.embedder == EmbedderChoice::StoreDefault;
        let idx = self.add_state(state);
        Ok(CollectionWriter::new(self, idx))
    }

    /// Adds a view to a collection. Its vectors come with later records, through [`CollectionWriter::set_vector`], or
    /// from [`Batch::embed`]; a view that takes its texts from a field takes those of the records that are there now.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] for a name in use, [`ErrorKind::Invalid`] for a name the query language could not say or a
    /// template without `{text}`, [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn add_view(&mut self, collection: &str, spec: ViewSpec) -> Result<()> {
        let idx = self.require(collection)?;
        check_name("view", &spec.name)?;
        let ViewSpec { name, kind, embedder, element } = spec;
        if let ViewKind::Template(template) = &kind {
            if !template.contains("{text}") {
                let message = format!("the template {template:?} does not say where the text goes: it needs {{text}}");
                return Err(Error::invalid(message).with_field("template"));
            }
            if template.len() > limits::TEXT_BYTES {
                return Err(Error::new(ErrorKind::Limit, "the template is too long").with_field("template"));
            }
        }
        // Views with a text are embedded; views of supplied vectors have an embedder only for queries, if any.
        let embedder = match (embedder, &kind) {
            (None, ViewKind::VectorsOnly) => None,
            (None, _) => self.meta.embedder.clone(),
            (Some(name), _) => Some(self.shared.embedder(&name)?.name().to_string()),
        };
        let state = self.state(idx)?;
        if let ViewKind::TextFrom(field) = &kind
            && let Some(found) = state.def.fields.get(field).filter(|found| **found != FieldType::Text)
        {
            let message = format!("field {field} is {}: a view takes its texts from a field of text", found.as_str());
            return Err(Error::invalid(message).with_field(field));
        }
        let field = match &kind {
            ViewKind::TextFrom(field) => Some(field.clone()),
            _ => None,
        };
        self.push_view(idx, name, kind, embedder, element)?;
        field.map_or(Ok(()), |field| self.change(|batch| fill::take_texts(batch, idx, &field)))
    }

    /// Adds a view as another store has it, whether its embedder is known here or not.
    pub(in crate::store) fn add_unchecked_view(&mut self, collection: &str, spec: ViewSpec) -> Result<()> {
        let idx = self.require(collection)?;
        self.push_view(idx, spec.name, spec.kind, spec.embedder, spec.element)
    }

    fn push_view(
        &mut self,
        idx: usize,
        name: String,
        kind: ViewKind,
        embedder: Option<String>,
        element: ElementType,
    ) -> Result<()> {
        let state = self.state(idx)?;
        if state.def.views.iter().any(|view| view.name == name) {
            let collection = &state.def.name;
            return Err(Error::new(ErrorKind::Exists, format!("collection {collection} has a view {name} already")));
        }
        let id = self.next_view();
        let state = self.state(idx)?;
        state.def.views.push(ViewDef { id, name, kind, embedder, dimension: None, element, rows: 0, revision: 0 });
        state.views.push(ViewState::default());
        for row in &mut state.pending {
            row.slots.push(Slot::Absent);
        }
        state.changed = true;
        self.changed = true;
        Ok(())
    }

    /// Embeds what has no vector yet in `view`, or in every view that has an embedder. Answers with the number of
    /// vectors made; rows that a rewrite view has no text for stay absent, and so do texts that the embedder knows no
    /// word of.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown collection or view, [`ErrorKind::Invalid`] for a view of supplied
    /// vectors, [`ErrorKind::Unsupported`] for an embedder that this process does not have.
    pub fn embed(&mut self, collection: &str, view: Option<&str>) -> Result<u64> {
        Ok(self.embed_missing(collection, view)?.vectors())
    }

    /// As [`Batch::embed`], with what came of all the texts it looked at.
    ///
    /// # Errors
    /// As [`Batch::embed`].
    pub fn embed_missing(&mut self, collection: &str, view: Option<&str>) -> Result<Embedded> {
        let idx = self.require(collection)?;
        let views = fill::views_to_fill(&self.state(idx)?.def, view)?;
        self.change(|batch| fill::embed_missing(batch, idx, &views))
    }
}
