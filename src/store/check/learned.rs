//! What `check` sees of learned lenses and of backgrounds: they stand under their own names and belong to what is there.
//!
//! Owns the invariants: a fit is of a collection that is there and holds finite numbers, a background is of a saved lens
//! in a version that it had. Whether they are out of date is no damage. It changes nothing.

use super::Checker;
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::types::{CollectionDef, LearnedDef, Lift};

impl Checker<'_> {
    /// The history of fits, and what random pairs score.
    pub(super) fn check_learned(&mut self, defs: &[CollectionDef]) -> Result<()> {
        let listed = self.core.read.range(&tables::LEARNED, ..);
        for ((lens, fit), def) in self.keep(listed)?.unwrap_or_default() {
            let what = format!("fit {fit} of lens {lens}");
            if def.lens != lens || def.fit != fit || fit == 0 {
                let found = format!("fit {} of lens {}", def.fit, def.lens);
                self.find(what.clone(), "a fit under its own number".to_string(), found);
            }
            if !defs.iter().any(|found| found.id == def.collection) {
                let found = format!("number {}", def.collection);
                self.find(what.clone(), "a collection that is there".to_string(), found);
            }
            if !is_finite(&def) {
                self.find(what, "finite numbers".to_string(), "others".to_string());
            }
        }
        self.check_backgrounds(defs)
    }

    fn check_backgrounds(&mut self, defs: &[CollectionDef]) -> Result<()> {
        let listed = self.core.read.range(&tables::BACKGROUNDS, ..);
        for ((collection, lens), background) in self.keep(listed)?.unwrap_or_default() {
            let what = format!("background of lens {lens} in collection {collection}");
            let saved = self.core.read.get(&tables::LENSES, &lens);
            let version = self.keep(saved)?.flatten().map(|lens| lens.version);
            if version.is_none_or(|version| background.lens_version > version) {
                let expected =
                    version.map_or("a lens of that name".to_string(), |version| format!("version {version}"));
                self.find(what.clone(), expected, format!("version {}", background.lens_version));
            }
            if !defs.iter().any(|found| found.id == collection) {
                self.find(what.clone(), "a collection that is there".to_string(), format!("number {collection}"));
            }
            let quantiles = &background.quantiles;
            if quantiles.len() != 1_001 || !quantiles.is_sorted() || quantiles.iter().any(|value| value.is_nan()) {
                self.find(what, "1,001 ascending numbers".to_string(), format!("{} numbers", quantiles.len()));
            }
        }
        Ok(())
    }
}

fn is_finite(def: &LearnedDef) -> bool {
    // A spread of nothing has no finite z.
    let lift = |lift: &Lift| lift.mean.is_finite() && lift.plain.is_finite();
    let validation = def.validation.is_none_or(|(plain, learned)| plain.is_finite() && learned.is_finite());
    validation && [&def.known_records, &def.new_records].into_iter().flatten().all(lift)
}
