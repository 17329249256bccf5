//! What the catalog says of derived rows: whose they are, and whether they are those of the lens as it is.

use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::types::{CollectionId, CommitNumber, DerivedDef, LensRecord, ViewDef, ViewKind};
use std::collections::HashMap;

/// Derived rows as the view that their segments belong to.
pub(in crate::store) fn view_def(def: &DerivedDef) -> ViewDef {
    ViewDef {
        id: def.id,
        name: format!("{} of lens {}", def.kind.as_str(), def.lens),
        kind: ViewKind::VectorsOnly,
        embedder: None,
        dimension: Some(def.dimension),
        element: def.element,
        rows: def.rows,
        revision: 0,
    }
}

/// The commit of the oldest statistic that `lens` pins for a collection; 0 where it pins none.
pub(in crate::store) fn oldest(lens: &LensRecord, collection: CollectionId) -> CommitNumber {
    let pinned = lens.pinned.iter().filter(|place| place.collection == collection);
    pinned.map(|place| place.commit).min().unwrap_or_default()
}

/// Whether `def` belongs to `lens` and its statistics as they are.
pub(in crate::store) fn is_current(def: &DerivedDef, lens: &LensRecord) -> bool {
    def.lens == lens.name && def.lens_version == lens.version && def.statistics == oldest(lens, def.collection)
}

/// What is kept derived, by collection: the table is gone through once for all of them.
pub(in crate::store) fn by_collection(catalog: &impl CatalogRead) -> Result<HashMap<CollectionId, Vec<DerivedDef>>> {
    let mut found: HashMap<CollectionId, Vec<DerivedDef>> = HashMap::new();
    catalog.for_each(&tables::DERIVED, .., |_, def| {
        found.entry(def.collection).or_default().push(def);
        Ok(())
    })?;
    Ok(found)
}
