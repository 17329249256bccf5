//! Checking what is derived from views: its own segments, what it belongs to, and every row computed again.
//!
//! A kept row is compared bit for bit with what the raw row gives under the lens as the catalog has it (scalars within
//! their rounding); a live row that is not kept must be one that is not to be kept.

use super::{Checker, Counts};
use crate::catalog::tables;
use crate::catalog::{CATALOG_FILE, CatalogRead};
use crate::error::{Damage, Result};
use crate::lens::RowSource;
use crate::linalg::RowsRef;
use crate::store::read::collection::{CollectionSnapshot, Derived};
use crate::store::read::derived_def::{is_current, view_def};
use crate::store::read::view::ViewSnapshot;
use crate::store::write::derived::{KnownLenses, Made, Maker, maker};
use crate::types::{CollectionDef, CollectionId, Control, DerivedDef, DerivedKind, LensRecord, RowSet, ViewDef};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Rows compared by one task.
const ROWS_AT_ONCE: usize = 256;

impl Checker<'_> {
    /// Everything in the table of derived rows.
    pub(super) fn check_derived(&mut self, collections: &[CollectionDef], counts: &mut Counts) -> Result<()> {
        let listed = self.core.read.range(&tables::DERIVED, ..);
        let mut listed = self.keep(listed)?.unwrap_or_default();
        // What belongs to one collection comes together, so that the collection is opened once.
        listed.sort_by_key(|(id, def)| (def.collection, *id));
        let by_id: HashMap<CollectionId, &CollectionDef> = collections.iter().map(|def| (def.id, def)).collect();
        let mut lenses = KnownLenses::default();
        let mut opened: Option<CollectionSnapshot> = None;
        for (id, def) in listed {
            let what = format!("{} derived from lens {}", def.kind.as_str(), def.lens);
            let collection = by_id.get(&def.collection).copied();
            let source = collection.and_then(|found| found.views.iter().find(|view| view.id == def.source));
            if id != def.id || id.0 >= self.core.meta.next_view {
                let expected = format!("number {id}, below {}", self.core.meta.next_view);
                self.find(what.clone(), expected, format!("number {}", def.id));
            }
            let core = Arc::clone(&self.core);
            let lens = lenses.of(&core.read, &def.lens, def.collection);
            let lens = self.keep(lens)?;
            match (collection, source) {
                (Some(collection), Some(source)) => {
                    self.check_one(collection, source, &def, lens.as_ref().map(Option::as_ref), &what);
                }
                _ => self.find(what.clone(), "a view that it comes from".to_string(), "none".to_string()),
            }
            let before = self.report.findings.len();
            self.check_view_files(&view_def(&def), counts)?;
            let lens = lens.flatten().filter(|lens| is_current(&def, lens));
            if let (Some(collection), Some(lens), true) = (collection, lens, self.report.findings.len() == before) {
                if opened.as_ref().is_none_or(|opened| opened.def().id != collection.id) {
                    let found = CollectionSnapshot::open(core, collection.clone());
                    opened = self.keep(found)?;
                }
                if let Some(opened) = &opened {
                    self.check_values(opened, &def, &lens)?;
                }
            }
        }
        Ok(())
    }

    /// It covers its view, and belongs to a lens as that lens is.
    fn check_one(
        &mut self,
        collection: &CollectionDef,
        source: &ViewDef,
        def: &DerivedDef,
        lens: Option<Option<&LensRecord>>,
        what: &str,
    ) {
        // Scalars follow some commits later.
        if def.rows > source.rows || def.kind == DerivedKind::Rows && def.rows < source.rows {
            let what = format!("collection {}: {what}", collection.name);
            self.find(what, format!("{} rows", source.rows), format!("{} rows", def.rows));
        }
        match lens {
            Some(Some(lens)) if !is_current(def, lens) => {
                let expected = format!("version {} of the lens and its statistics", lens.version);
                self.find(what.to_string(), expected, format!("version {} or other statistics", def.lens_version));
            }
            Some(None) => self.find(what.to_string(), "a lens of this name".to_string(), "none".to_string()),
            _ => {}
        }
    }

    /// Every row says what its raw row gives.
    fn check_values(&mut self, opened: &CollectionSnapshot, def: &DerivedDef, lens: &LensRecord) -> Result<()> {
        let collection = opened.def();
        let Some(source) = opened.views().iter().find(|view| view.def().id == def.source) else { return Ok(()) };
        let derived = opened.open_derived(def, source);
        let Some(derived) = &self.keep(derived)? else { return Ok(()) };
        let dimension = source.def().dimension.unwrap_or(0);
        let maker = maker(&self.core.read, lens, collection.id, dimension, def.kind, def.element);
        let Some(maker) = self.keep(maker)? else { return Ok(()) };
        for block in 0..derived.rows.block_count() {
            self.control.checkpoint()?;
            let control = self.control;
            let wrong = self.shared.install(|| wrong_rows(source, derived, block, &maker, control));
            // What cannot be read was found where the segments were checked.
            for row in wrong.unwrap_or_default().iter().take(1) {
                super::push(
                    &mut self.report,
                    Damage {
                        file: CATALOG_FILE.into(),
                        offset: 0,
                        what: format!(
                            "collection {}, {} of lens {}, row {row}",
                            collection.name,
                            def.kind.as_str(),
                            def.lens
                        ),
                        expected: "what its raw row gives under the lens".to_string(),
                        found: "other numbers".to_string(),
                    },
                );
            }
            let (done, total) = (derived.rows.block_range(block).end, derived.rows.row_count());
            self.control.report("rows", u64::from(done), Some(u64::from(total)));
        }
        // Nobody else asks for them soon: thousands of lenses' files would stay mapped.
        self.shared.readers.forget(derived.rows.segments().map(|entry| entry.id));
        Ok(())
    }
}

/// The live rows of a block that are not what their raw rows give.
fn wrong_rows(
    source: &ViewSnapshot,
    derived: &Derived,
    block: usize,
    maker: &Maker,
    control: &Control,
) -> Result<RowSet> {
    let range = derived.rows.block_range(block);
    let stored = derived.rows.block(block)?;
    let rows: Vec<u32> = source.present().iter_range(range.clone()).collect();
    let check = |rows: &[u32]| -> Result<Vec<u32>> {
        let (mut raw, mut dimension) = (Vec::new(), 0);
        for &row in rows {
            let vector = source.vector(row)?.unwrap_or_default();
            dimension = vector.len();
            raw.extend(vector);
        }
        // Halves were widened exactly.
        let raw = RowsRef::F32 { data: &raw, stride: dimension, dimension };
        let made = Made::of(maker, 0, &raw, &RowSet::from_range(0..rows.len() as u32), control)?;
        let mut found = Vec::new();
        let is_wrong = |(&row, made): (&u32, Option<&[f32]>)| {
            stored.row_f32((row - range.start) as usize, &mut found);
            let is_right = match made {
                None => !derived.rows.present().contains(row),
                Some(made) if derived.rows.present().contains(row) => maker.agree(made, &found),
                // Scalars of rows that came to life since are computed by whoever needs them.
                Some(_) => derived.def.kind == DerivedKind::Scalars,
            };
            (!is_right).then_some(row)
        };
        let made: Vec<Option<&[f32]>> = made.rows().map(|(_, vector)| vector).collect();
        Ok(rows.iter().zip(made).filter_map(is_wrong).collect())
    };
    let wrong: Vec<Vec<u32>> = rows.par_chunks(ROWS_AT_ONCE).map(check).collect::<Result<_>>()?;
    Ok(RowSet::from_rows(wrong.concat()))
}
