//! What `check` sees of saved lenses: what they pin, their calibrations, samples of queries.
//!
//! Owns the invariants between these tables: a lens pins exactly the statistics that are stored for it, a calibration
//! belongs to its lens's version, a sample to a collection, and what a lens takes from samples is there. It changes
//! nothing.

use super::Checker;
use crate::catalog::{CatalogRead, tables};
use crate::error::Result;
use crate::store::kept::heads;
use crate::store::kept::lenses::check_calibration;
use crate::store::kept::samples::{check_sample, samples_of};
use crate::types::{CollectionId, LensRecord, SampleHead};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

impl Checker<'_> {
    /// Lenses and what hangs on them.
    pub(super) fn check_lenses(&mut self) -> Result<()> {
        let lenses = self.core.read.range(&tables::LENSES, ..);
        let lenses: BTreeMap<String, LensRecord> = self.keep(lenses)?.unwrap_or_default().into_iter().collect();
        let mut pinned_count = 0;
        for (name, lens) in &lenses {
            if *name != lens.name {
                self.find(format!("lens {name}"), format!("a lens named {name}"), lens.name.clone());
            }
            pinned_count += lens.pinned.len() as u64;
            self.check_pinned(lens)?;
        }
        self.check_count(&tables::STATISTICS, pinned_count)?;
        self.check_calibrations(&lenses)?;
        self.check_samples(&lenses)
    }

    /// Every statistic that a lens pins is there, with finite numbers.
    fn check_pinned(&mut self, lens: &LensRecord) -> Result<()> {
        for place in &lens.pinned {
            let key = (place.collection, lens.name.clone(), place.step_idx);
            let statistic = self.core.read.get(&tables::STATISTICS, &key);
            let Some(statistic) = self.keep(statistic)? else { continue };
            let what = format!("lens {}, step {}, collection {}", lens.name, place.step_idx + 1, place.collection);
            match statistic {
                None => self.find(what, "a statistic".to_string(), "none".to_string()),
                Some(statistic) if !statistic.is_finite() => {
                    self.find(what, "finite numbers".to_string(), "others".to_string());
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn check_calibrations(&mut self, lenses: &BTreeMap<String, LensRecord>) -> Result<()> {
        let calibrations = self.core.read.range(&tables::CALIBRATIONS, ..);
        for (name, calibration) in self.keep(calibrations)?.unwrap_or_default() {
            let what = format!("calibration of lens {name}");
            let version = lenses.get(&name).map(|lens| lens.version);
            if version != Some(calibration.lens_version) {
                let expected =
                    version.map_or("a lens of that name".to_string(), |version| format!("version {version}"));
                self.find(what.clone(), expected, format!("version {}", calibration.lens_version));
            }
            if let Err(error) = check_calibration(&calibration.map) {
                self.find(what, "a map that never falls".to_string(), error.to_string());
            }
        }
        Ok(())
    }

    fn check_samples(&mut self, lenses: &BTreeMap<String, LensRecord>) -> Result<()> {
        let core = Arc::clone(&self.core);
        let mut known: HashSet<CollectionId> = HashSet::new();
        let walked = core.read.for_each(&tables::COLLECTIONS, .., |_, def| {
            known.insert(def.id);
            Ok(())
        });
        self.keep(walked)?;
        let mut samples = HashSet::new();
        let heads = heads::SAMPLES.stored(&core.read);
        let mut heads = self.keep(heads)?.flatten();
        let walked = core.read.for_each(&tables::SAMPLES, .., |name, sample| {
            self.control.checkpoint()?;
            let what = format!("sample {name}");
            let head = SampleHead::of(&sample);
            if let Some(found) = heads.as_mut().map(|heads| heads.remove(&name)).filter(|found| *found != Some(head)) {
                self.find(what.clone(), "its own head".to_string(), format!("{found:?}"));
            }
            if name != sample.name {
                self.find(what.clone(), format!("a sample named {name}"), sample.name.clone());
            }
            if let Err(error) = check_sample(&sample) {
                self.find(what.clone(), "queries with texts or finite vectors".to_string(), error.to_string());
            }
            if !known.contains(&sample.collection) {
                self.find(what, "a collection that is there".to_string(), format!("number {}", sample.collection));
            }
            samples.insert(name);
            Ok(())
        });
        self.keep(walked)?;
        if let Some(name) = heads.and_then(|heads| heads.into_keys().next()) {
            self.find(format!("head of sample {name}"), "a sample of that name".to_string(), "none".to_string());
        }
        for (name, lens) in lenses {
            for sample in samples_of(&lens.lens).filter(|sample| !samples.contains(*sample)) {
                let expected = format!("the sample {sample} that it takes queries from");
                self.find(format!("lens {name}"), expected, "none".to_string());
            }
        }
        Ok(())
    }
}
