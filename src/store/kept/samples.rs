//! Samples of queries, in a batch and in a snapshot.
//!
//! Owns what makes a sample one: as many texts and vectors as queries, for a view that its collection has. A sample
//! that a saved lens uses (`center sides`, `csls`) cannot change under it. What it means to a view is decided above.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::store::kept::heads;
use crate::store::names::find_view;
use crate::store::read::snapshot::Snapshot;
use crate::store::write::batch::Batch;
use crate::store::write::validate::check_name;
use crate::types::{CollectionDef, CollectionId, LensDef, SampleDef, Step, limits};

/// What became of something that was stored under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// There was none of that name.
    New,
    /// It took the place of another.
    Replaced,
    /// The very same was there; nothing was written.
    Unchanged,
}

impl Batch {
    /// Stores a sample of queries, in place of one of the same name that no saved lens uses; its commit is filled in
    /// here.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-sample-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// use simile::types::SampleDef;
    /// use simile::{Record, Store};
    /// let store = Store::create(dir.join("notes.simile"))?;
    /// let mut batch = store.begin()?;
    /// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// batch.commit()?;
    /// let collection = store.snapshot()?.collection("notes")?.def().id;
    /// let (ids, texts) = (vec!["q1".to_string()], vec!["Where are my keys?".to_string()]);
    /// let mut batch = store.begin()?;
    /// batch.put_sample(SampleDef { ids, texts, ..SampleDef::new("asked", collection) })?;
    /// batch.commit()?;
    /// let answer = store.snapshot()?.query("find \"pockets\" in notes | center sides from asked | score dot")?.run()?;
    /// assert_eq!(answer.hits().len(), 1);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name the query language could not say, for a sample without queries, for vectors
    /// that are not one for each query or do not fit their view, and for a replacement that would change the meaning
    /// of a saved lens; [`ErrorKind::NotFound`] for a collection or view that is not there; [`ErrorKind::Limit`] for a
    /// sample that is too large.
    pub fn put_sample(&mut self, mut sample: SampleDef) -> Result<Stored> {
        check_sample(&sample)?;
        self.check_place(&sample)?;
        let old = self.tx()?.get(&tables::SAMPLES, &sample.name)?;
        if old.as_ref().is_some_and(|old| old.is_same(&sample)) {
            return Ok(Stored::Unchanged);
        }
        if old.is_some() {
            let instead = "store the queries under another name";
            self.refuse_under_lenses(&sample.name, &format!("drop the lens first, or {instead}"))?;
        }
        sample.commit = self.next_commit();
        let result = heads::SAMPLES.put(self.tx()?, &sample.name, &sample);
        self.changed = true;
        self.note(result)?;
        Ok(if old.is_some() { Stored::Replaced } else { Stored::New })
    }

    /// Forgets a sample; false where there was none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a sample that a saved lens uses.
    pub fn drop_sample(&mut self, name: &str) -> Result<bool> {
        if self.tx()?.get(&tables::SAMPLES, &name.to_string())?.is_none() {
            return Ok(false);
        }
        self.refuse_under_lenses(name, "drop the lens first")?;
        let result = heads::SAMPLES.remove(self.tx()?, name);
        self.changed = true;
        self.note(result)
    }

    /// Refuses to change a sample that gives a saved lens its meaning.
    fn refuse_under_lenses(&self, sample: &str, instead: &str) -> Result<()> {
        let lenses = self.tx()?.range(&tables::LENSES, ..)?;
        let uses = |step: &Step| matches!(step, Step::CenterSides(name) if name == sample);
        for (lens, record) in lenses {
            let how = if record.lens.steps.iter().any(uses) {
                "center sides"
            } else if record.lens.csls.as_ref().is_some_and(|(_, name)| name == sample) {
                "csls"
            } else {
                continue;
            };
            let message = format!("sample {sample} is part of the saved lens {lens} (`{how}`): {instead}");
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// The definition of a collection, as this batch has it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none of that number.
    pub(in crate::store) fn collection_numbered(&self, id: CollectionId) -> Result<CollectionDef> {
        if let Some(state) = self.collections.iter().find(|state| state.def.id == id) {
            return Ok(state.def.clone());
        }
        let name = self.numbers()?.get(&id);
        let found = name.map(|name| self.tx()?.get(&tables::COLLECTIONS, name)).transpose()?.flatten();
        found.ok_or_else(|| Error::not_found(format!("there is no collection number {id}")))
    }

    /// As [`Batch::collection_numbered`], where only that it is there is asked for.
    pub(in crate::store) fn require_number(&self, id: CollectionId) -> Result<()> {
        let is_here = self.numbers()?.contains_key(&id) || self.collections.iter().any(|state| state.def.id == id);
        if is_here { Ok(()) } else { Err(Error::not_found(format!("there is no collection number {id}"))) }
    }

    /// Refuses a lens that takes its queries' mean, or its `csls`, from a sample that is not there.
    pub(in crate::store) fn check_samples_of(&self, lens: &LensDef) -> Result<()> {
        for name in samples_of(lens) {
            if self.tx()?.get(&tables::SAMPLES, &name.to_string())?.is_none() {
                return Err(Error::not_found(format!("there is no sample {name:?}")));
            }
        }
        Ok(())
    }

    /// The collection is there, and so is the view the vectors are for.
    pub(in crate::store) fn check_place(&self, sample: &SampleDef) -> Result<()> {
        let def = self.collection_numbered(sample.collection)?;
        let Some(vectors) = &sample.vectors else { return Ok(()) };
        let view = find_view(&def, &vectors.view)?;
        match view.dimension {
            Some(dimension) if dimension != vectors.dimension => Err(Error::invalid(format!(
                "sample {} has vectors of {} numbers, view {} of {} has {dimension}",
                sample.name, vectors.dimension, view.name, def.name
            ))),
            _ => Ok(()),
        }
    }
}

impl Snapshot {
    /// The sample of that name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn sample(&self, name: &str) -> Result<Option<SampleDef>> {
        self.core().read.get(&tables::SAMPLES, &name.to_string())
    }

    /// All samples, by name.
    ///
    /// # Errors
    /// Only where the catalog cannot be read.
    pub fn samples(&self) -> Result<Vec<SampleDef>> {
        Ok(self.core().read.range(&tables::SAMPLES, ..)?.into_iter().map(|(_, sample)| sample).collect())
    }
}

/// Names of the samples that give a lens its meaning.
pub(in crate::store) fn samples_of(lens: &LensDef) -> impl Iterator<Item = &str> {
    let of_steps = lens.steps.iter().filter_map(|step| match step {
        Step::CenterSides(name) => Some(name.as_str()),
        _ => None,
    });
    of_steps.chain(lens.csls.iter().map(|(_, name)| name.as_str()))
}

/// Refuses a sample that is none.
pub(in crate::store) fn check_sample(sample: &SampleDef) -> Result<()> {
    check_name("sample", &sample.name)?;
    let refuse = |why: String| Err(Error::invalid(format!("sample {} {why}", sample.name)));
    let count = sample.ids.len();
    if count == 0 {
        return refuse("has no queries".to_string());
    }
    if sample.texts.len() != count {
        return refuse(format!("has {count} ids and {} texts", sample.texts.len()));
    }
    let Some(vectors) = &sample.vectors else {
        if sample.texts.iter().all(String::is_empty) {
            return refuse("has neither texts nor vectors".to_string());
        }
        return Ok(());
    };
    let dimension = vectors.dimension as usize;
    if dimension == 0 || dimension > limits::DIMENSION || vectors.data.len() != count * dimension {
        return refuse(format!(
            "has {count} queries and {} numbers of vectors of dimension {dimension}",
            vectors.data.len()
        ));
    }
    if vectors.data.iter().any(|value| !value.is_finite()) {
        return refuse("has a vector that is not finite".to_string());
    }
    // What the catalog may decode again later; ids and texts take their part of it.
    let texts: usize = sample.ids.iter().chain(&sample.texts).map(|text| text.len() + 9).sum();
    if vectors.data.len() * 4 + texts + 1_024 > limits::VALUE_BYTES {
        let most = limits::VALUE_BYTES >> 20;
        let message = format!("sample {} is larger than {most} MiB: a thousand queries are plenty", sample.name);
        return Err(Error::new(ErrorKind::Limit, message));
    }
    Ok(())
}
