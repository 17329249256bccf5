//! Scores of random pairs under saved lenses, in a batch and in a snapshot.
//!
//! Owns where they are kept and that they are dropped with their lens. Whether what is kept is still true (the lens's
//! version, the view's revision, the statistics) is for who reads it to say; drawing pairs is decided above.

use super::batch::Batch;
use super::snapshot::Snapshot;
use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, Result};
use crate::types::{BackgroundDef, CollectionId};

/// Quantiles of a background: 0, 0.1, 0.2 ... 100 per cent.
const QUANTILES: usize = 1001;

impl Batch {
    /// Stores what random pairs of `collection` score under the saved lens `lens`, in place of what was stored before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a lens or a collection that is not there,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a version that the lens never had, and for quantiles that are
    /// not 1,001 ascending numbers.
    pub fn put_background(&mut self, lens: &str, collection: CollectionId, background: BackgroundDef) -> Result<()> {
        let Some(record) = self.tx()?.get(&tables::LENSES, &lens.to_string())? else {
            return Err(Error::not_found(format!("there is no lens {lens:?}")));
        };
        self.collection_numbered(collection)?;
        if background.lens_version > record.version {
            let (given, newest) = (background.lens_version, record.version);
            return Err(Error::invalid(format!("a background of version {given} of lens {lens}, which has {newest}")));
        }
        check_background(&background)?;
        let result = self.tx()?.put(&tables::BACKGROUNDS, &(collection, lens.to_string()), &background);
        self.changed = true;
        self.note(result)
    }

    /// Forgets the backgrounds of a lens.
    pub(super) fn forget_backgrounds(&mut self, lens: &str) -> Result<()> {
        let of_lens = self.tx()?.range(&tables::BACKGROUNDS, ..)?.into_iter().filter(|((_, name), _)| name == lens);
        let keys: Vec<(CollectionId, String)> = of_lens.map(|(key, _)| key).collect();
        for key in keys {
            self.tx()?.remove(&tables::BACKGROUNDS, &key)?;
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
pub(super) fn check_background(background: &BackgroundDef) -> Result<()> {
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
