//! What `check` sees of learned lenses and of backgrounds: they stand under their own names and belong to what is
//! there.
//!
//! Owns the invariants: a fit is of a collection that is there, holds finite numbers and tells what became of it from
//! its beginning on, a background is of a saved lens in a version that it had. Whether they are out of date is no
//! damage. It changes nothing.

use super::Checker;
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::store::kept::backgrounds::check_background;
use crate::store::kept::learned::{check_figures, check_fit_figures, has_beginning};
use crate::types::{CollectionDef, CollectionId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Checker<'_> {
    /// The history of fits, and what random pairs score.
    pub(super) fn check_learned(&mut self, defs: &[CollectionDef]) -> Result<()> {
        let known: HashSet<CollectionId> = defs.iter().map(|def| def.id).collect();
        let listed = self.core.read.range(&tables::LEARNED, ..);
        for ((lens, fit), def) in self.keep(listed)?.unwrap_or_default() {
            let what = format!("fit {fit} of lens {lens}");
            if def.lens != lens || def.fit != fit || fit == 0 {
                let found = format!("fit {} of lens {}", def.fit, def.lens);
                self.find(what.clone(), "a fit under its own number".to_string(), found);
            }
            if !known.contains(&def.collection) {
                let found = format!("number {}", def.collection);
                self.find(what.clone(), "a collection that is there".to_string(), found);
            }
            if let Err(error) = check_figures(&def) {
                self.find(what.clone(), "finite numbers".to_string(), error.to_string());
            }
            if !has_beginning(&def) {
                let expected = "what became of it, from its beginning on".to_string();
                self.find(what, expected, format!("{:?}", def.events));
            }
        }
        self.check_fit_figures()?;
        self.check_backgrounds(&known)
    }

    fn check_fit_figures(&mut self) -> Result<()> {
        let listed = self.core.read.range(&tables::FIT_FIGURES, ..);
        for (key, figures) in self.keep(listed)?.unwrap_or_default() {
            let what = format!("figures of fit {} of lens {}", key.1, key.0);
            let fit = self.core.read.get(&tables::LEARNED, &key);
            if self.keep(fit)?.flatten().is_none() {
                self.find(what.clone(), "a fit in the history".to_string(), "none".to_string());
            }
            if let Err(error) = check_fit_figures(&key, &figures) {
                self.find(what, "finite numbers".to_string(), error.to_string());
            }
        }
        Ok(())
    }

    fn check_backgrounds(&mut self, known: &HashSet<CollectionId>) -> Result<()> {
        let core = Arc::clone(&self.core);
        let mut versions = HashMap::new();
        let walked = core.read.for_each(&tables::LENSES, .., |name, lens| {
            versions.insert(name, lens.version);
            Ok(())
        });
        self.keep(walked)?;
        let walked = core.read.for_each(&tables::BACKGROUNDS, .., |(collection, lens), background| {
            let what = format!("background of lens {lens} in collection {collection}");
            let version = versions.get(&lens).copied();
            if version.is_none_or(|version| background.lens_version > version) {
                let expected =
                    version.map_or("a lens of that name".to_string(), |version| format!("version {version}"));
                self.find(what.clone(), expected, format!("version {}", background.lens_version));
            }
            if !known.contains(&collection) {
                self.find(what.clone(), "a collection that is there".to_string(), format!("number {collection}"));
            }
            if let Err(error) = check_background(&background) {
                self.find(what, "1,001 ascending numbers".to_string(), error.to_string());
            }
            Ok(())
        });
        self.keep(walked)?;
        Ok(())
    }
}
