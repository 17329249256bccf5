//! Definitions made up for what a damaged store still has of collections whose own definitions are lost.
//!
//! Owns how such collections and views are called: by the collection's own name where there is only one candidate, and
//! else `recovered_N` after their numbers. What a view was made from nobody knows any more, so its vectors come as
//! supplied ones. With more than one collection lost nobody can tell whose a view was, and vectors are left behind.

use super::Work;
use crate::catalog::{CATALOG_FILE, tables};
use crate::error::Damage;
use crate::store::read::record::RECORDS;
use crate::store::write::validate::check_name;
use crate::types::{CollectionDef, CollectionId, ElementType, SegmentEntry, ViewDef, ViewId, ViewKind};
use std::collections::{BTreeMap, BTreeSet};

impl Work<'_> {
    /// A definition for each collection that has records, and none among `known`.
    pub(super) fn lost_definitions(&mut self, known: &[(String, CollectionDef)]) -> Vec<CollectionDef> {
        let names: BTreeSet<&str> = known.iter().map(|(known, _)| known.as_str()).collect();
        let is_known = |name: &str| names.contains(name);
        let lost_names = self.source.keys_of_damaged(&tables::COLLECTIONS);
        if lost_names.is_empty() && self.source.count_of(&tables::COLLECTIONS) == Some(known.len() as u64) {
            return Vec::new();
        }
        let mut rows: BTreeMap<CollectionId, u32> = BTreeMap::new();
        let numbers: BTreeSet<CollectionId> = known.iter().map(|(_, def)| def.id).collect();
        for (collection, row) in self.source.keys(&RECORDS) {
            if !numbers.contains(&collection) {
                let rows = rows.entry(collection).or_default();
                *rows = (*rows).max(row.saturating_add(1));
            }
        }
        let found = self.lost_views(known);
        let (count, is_only) = (rows.len(), rows.len() == 1);
        let views = known.iter().flat_map(|(_, def)| &def.views).chain(&found);
        let first_unused = views.map(|view| view.id.0).max().unwrap_or(0).saturating_add(1);
        let define = |(idx, (id, rows)): (usize, (CollectionId, u32))| {
            let name = match lost_names.as_slice() {
                [name] if count == 1 && !is_known(name) && check_name("collection", name).is_ok() => name.clone(),
                _ => (0..).map(|more| recovered(id.0, more)).find(|name| !is_known(name)).unwrap_or_default(),
            };
            let raw = ViewDef {
                id: ViewId(first_unused.saturating_add(idx as u32)),
                name: "raw".to_string(),
                kind: ViewKind::Raw,
                embedder: None,
                dimension: None,
                element: ElementType::F32,
                rows: 0,
                revision: 0,
            };
            let views = std::iter::once(raw).chain(found.iter().filter(|_| is_only).cloned()).collect();
            CollectionDef { id, name, fields: BTreeMap::new(), rows, live: 0, next_key: 0, views }
        };
        let defs: Vec<CollectionDef> = rows.into_iter().enumerate().map(define).collect();
        for def in &defs {
            let views: Vec<&str> = def.views.iter().map(|view| view.name.as_str()).collect();
            self.source.note(Damage {
                file: CATALOG_FILE.into(),
                offset: 0,
                what: format!("the definition of collection {} is lost", def.id),
                expected: "its name, fields and views".to_string(),
                found: format!("its records, saved as collection {} with views {}", def.name, views.join(", ")),
            });
        }
        defs
    }

    /// A view for each run of segments that no definition names.
    fn lost_views(&mut self, known: &[(String, CollectionDef)]) -> Vec<ViewDef> {
        let mut named: BTreeSet<ViewId> =
            known.iter().flat_map(|(_, def)| def.views.iter().map(|view| view.id)).collect();
        named.extend(self.source.keys(&tables::DERIVED));
        let mut found: BTreeMap<ViewId, Vec<SegmentEntry>> = BTreeMap::new();
        for ((view, _), entry) in self.source.entries(&tables::SEGMENTS, |(view, _)| !named.contains(view)) {
            found.entry(view).or_default().push(entry);
        }
        let define = |(id, entries): (ViewId, Vec<SegmentEntry>)| {
            let first = entries.first()?;
            let rows = entries.iter().map(|entry| entry.first_row.saturating_add(entry.rows)).max()?;
            Some(ViewDef {
                id,
                name: recovered(id.0, 0),
                kind: ViewKind::VectorsOnly,
                embedder: None,
                dimension: Some(first.dimension),
                element: first.element,
                rows,
                revision: 0,
            })
        };
        found.into_iter().filter_map(define).collect()
    }
}

fn recovered(number: u32, more: u32) -> String {
    if more == 0 { format!("recovered_{number}") } else { format!("recovered_{number}_{more}") }
}
