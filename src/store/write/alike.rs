//! A collection made as another one was: its fields and views stand before its records come.
//!
//! Owns [`Batch::create_alike`], which an import of an export's folder begins with. What a first record would decide is
//! decided already: types of fields that no record has now, dimensions, embedders that this process may not have.

use crate::error::{Error, Result};
use crate::store::options::{CollectionSpec, ViewSpec};
use crate::store::write::batch::Batch;
use crate::types::{FieldType, ViewDef, ViewKind, limits};
use std::collections::BTreeMap;

impl Batch {
    /// Makes an empty collection with these fields and views, `raw` first; of the views only name, kind, embedder,
    /// dimension and element type count.
    ///
    /// # Errors
    /// As [`Batch::create_collection`] and [`Batch::add_view`], but for embedders that are not here; `Invalid` for a
    /// definition that no collection has.
    pub(crate) fn create_alike(
        &mut self,
        name: &str,
        fields: &BTreeMap<String, FieldType>,
        views: &[ViewDef],
    ) -> Result<()> {
        let wrong = |why: &str| Err(Error::invalid(format!("no collection can be made like this: {why}")));
        let Some((raw, others)) = views.split_first() else { return wrong("it has no view") };
        if raw.name != "raw" || raw.kind != ViewKind::Raw {
            return wrong("its first view is not raw");
        }
        if fields.len() > limits::FIELD_COUNT {
            return wrong("it has too many fields");
        }
        if fields.keys().any(|name| name.is_empty() || name.len() > limits::NAME_BYTES) {
            return wrong("a field has no name, or too long a one");
        }
        let is_dimension = |dimension: u32| (1..=limits::DIMENSION).contains(&(dimension as usize));
        if views.iter().any(|view| view.dimension.is_some_and(|dimension| !is_dimension(dimension))) {
            return wrong("a view has a dimension that no vector has");
        }
        self.create_collection(name, CollectionSpec::new().supplied_vectors().element(raw.element))?;
        for view in others {
            let spec = match &view.kind {
                ViewKind::Template(template) => ViewSpec::template(&view.name, template),
                ViewKind::TextFrom(field) => ViewSpec::text_from(&view.name, field),
                ViewKind::VectorsOnly => ViewSpec::vectors_only(&view.name),
                ViewKind::Raw => return wrong("it has two views of the raw text"),
            };
            self.add_view(name, spec.element(view.element))?;
        }
        let idx = self.require(name)?;
        let state = self.state(idx)?;
        state.def.fields.clone_from(fields);
        state.is_embedder_default = false;
        for (new, old) in state.def.views.iter_mut().zip(views) {
            new.embedder.clone_from(&old.embedder);
            new.dimension = old.dimension;
        }
        Ok(())
    }
}
