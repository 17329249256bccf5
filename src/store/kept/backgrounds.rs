//! Scores of random pairs under saved lenses, in a batch and in a snapshot.
//!
//! Owns where they are kept and that they are dropped with their lens. Whether what is kept is still true (the lens's
//! version, the view's revision, the statistics) is for who reads it to say; drawing pairs is decided above.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, Result};
use crate::store::read::snapshot::Snapshot;
use crate::store::write::batch::Batch;
use crate::types::{BackgroundDef, CollectionId};

/// Quantiles of a background: 0, 0.1, 0.2 ... 100 per cent.
const QUANTILES: usize = 1001;

impl Batch {
    /// Stores what random pairs of `collection` score under the saved lens `lens`, in place of what was stored before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a lens or a collection that is not there,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a version that the lens never had, and for quantiles that
    /// are not 1,001 ascending numbers.
    pub fn put_background(&mut self, lens: &str, collection: CollectionId, background: BackgroundDef) -> Result<()> {
        self.put_backgrounds(lens, [(collection, background)])
    }

    /// As [`Batch::put_background`], for several collections.
    ///
    /// # Errors
    /// As [`Batch::put_background`]; what came before the one that is refused is in the batch.
    pub fn put_backgrounds(
        &mut self,
        lens: &str,
        found: impl IntoIterator<Item = (CollectionId, BackgroundDef)>,
    ) -> Result<()> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &lens.to_string())? else {
            return Err(Error::not_found(format!("there is no lens {lens:?}")));
        };
        for (collection, background) in found {
            self.require_number(collection)?;
            if background.lens_version > record.version {
                let (given, newest) = (background.lens_version, record.version);
                let message = format!("a background of version {given} of lens {lens}, which has {newest}");
                return Err(Error::invalid(message));
            }
            check_background(&background)?;
            let result = self.tx()?.put(&tables::BACKGROUNDS, &(collection, lens.to_string()), &background);
            self.changed = true;
            self.note(result)?;
        }
        Ok(())
    }

    /// Forgets the backgrounds of a lens.
    pub(in crate::store) fn forget_backgrounds(&mut self, lens: &str) -> Result<()> {
        if self.tx()?.count(&tables::BACKGROUNDS)? == 0 {
            return Ok(());
        }
        // They are looked for under the numbers of collections: those of other lenses need not be read.
        let numbers: Vec<CollectionId> = self.numbers()?.keys().copied().collect();
        for collection in numbers {
            self.tx()?.remove(&tables::BACKGROUNDS, &(collection, lens.to_string()))?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// What was stored of random pairs of `collection` under the saved lens `lens`; it may be out of date.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn background(&self, lens: &str, collection: CollectionId) -> Result<Option<BackgroundDef>> {
        self.core().read.get(&tables::BACKGROUNDS, &(collection, lens.to_string()))
    }
}

/// Refuses quantiles that are none.
pub(in crate::store) fn check_background(background: &BackgroundDef) -> Result<()> {
    let quantiles = &background.quantiles;
    if quantiles.len() != QUANTILES || background.pairs == 0 || quantiles.iter().any(|value| value.is_nan()) {
        let message = format!("a background is {QUANTILES} numbers over at least one pair, not {}", quantiles.len());
        return Err(Error::invalid(message));
    }
    if !quantiles.is_sorted() {
        return Err(Error::invalid("the quantiles of a background ascend"));
    }
    Ok(())
}
