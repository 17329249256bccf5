//! Whether a lens can be saved: the checks that `let` makes, for whoever saves one through the library.
//!
//! Owns no meaning of its own: names are looked up in the batch, numbers are held to the limits of the language, and
//! dimensions are followed through the chain as a search would follow them. It changes nothing.

use crate::catalog::{CatalogRead, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::lens::chain::dimension_after;
use crate::query::{bounds, print_step, suggest};
use crate::store::write::batch::Batch;
use crate::store::write::derived::resolved;
use crate::types::{CollectionDef, LensDef, Metric, PinnedStatistic, ProjectionRef, Statistic, Step};
use std::collections::BTreeSet;

impl Batch {
    /// Refuses a lens that could not be searched anywhere in the store.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a view, projection or sample that is not there, [`ErrorKind::Invalid`] for numbers
    /// and dimensions that cannot be, for `probability`, and for steps before `levenshtein`.
    pub(in crate::store) fn check_lens(&self, name: &str, lens: &LensDef) -> Result<()> {
        self.check_parts(lens).map_err(|error| error.context(format_args!("lens {name}")))
    }

    fn check_parts(&self, lens: &LensDef) -> Result<()> {
        if lens.metric == Metric::Probability {
            let message = "a calibration belongs to its lens: `score probability` is written where the lens is used";
            return Err(Error::invalid(message));
        }
        if let (Metric::Levenshtein, Some(step)) = (lens.metric, lens.steps.first()) {
            let message = format!("`score levenshtein` compares texts; `{}` works on vectors", print_step(step));
            return Err(Error::invalid(message));
        }
        lens.steps.iter().try_for_each(|step| self.check_step(step))?;
        self.check_samples_of(lens)?;
        self.check_csls(lens)?;
        self.check_view(lens)
    }

    fn check_step(&self, step: &Step) -> Result<()> {
        let refused = |message: String| Err(Error::invalid(format!("`{}`: {message}", print_step(step))));
        match step {
            Step::Drop(0) => return refused("it removes nothing: it takes at least 1 direction".to_string()),
            Step::Project(ProjectionRef::One(name)) => self.check_projection_named(name)?,
            Step::Project(ProjectionRef::Pair(query, record)) => {
                self.check_projection_named(query)?;
                self.check_projection_named(record)?;
            }
            _ => {}
        }
        bounds::check_step(step).or_else(|fault| refused(fault.message))
    }

    fn check_projection_named(&self, name: &str) -> Result<()> {
        let tx = self.tx()?;
        if tx.get(&tables::PROJECTIONS, &name.to_string())?.is_some() {
            return Ok(());
        }
        let names: Vec<String> = tx.range(&tables::PROJECTIONS, ..)?.into_iter().map(|(name, _)| name).collect();
        Err(no_such("projection", name, &names))
    }

    fn check_csls(&self, lens: &LensDef) -> Result<()> {
        let Some((neighbours, sample)) = &lens.csls else { return Ok(()) };
        if lens.metric.is_distance() {
            let metric = lens.metric.as_str();
            return Err(Error::invalid(format!("`csls` corrects a similarity, and `score {metric}` is a distance")));
        }
        bounds::check_csls(*neighbours).map_err(|fault| Error::invalid(format!("`csls`: {}", fault.message)))?;
        let stored = self.tx()?.get(&tables::SAMPLES, sample)?;
        let queries = stored.map_or(0, |stored| stored.ids.len());
        if queries < *neighbours as usize {
            let message =
                format!("`csls {neighbours}` takes at least {neighbours} queries; sample {sample} has {queries}");
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// Some collection has the view, and the chain fits its vectors where it has any.
    fn check_view(&self, lens: &LensDef) -> Result<()> {
        let stored = self.tx()?.range(&tables::COLLECTIONS, ..)?;
        let open = |def: &CollectionDef| self.collections.iter().any(|state| state.def.id == def.id);
        let stored = stored.iter().map(|(_, def)| def).filter(|def| !open(def));
        let defs: Vec<&CollectionDef> = stored.chain(self.collections.iter().map(|state| &state.def)).collect();
        let views = || defs.iter().flat_map(|def| &def.views);
        let of_lens: BTreeSet<Option<u32>> =
            views().filter(|view| view.name == lens.view).map(|view| view.dimension).collect();
        // In an empty store `raw` is what the first collection will have.
        if of_lens.is_empty() && lens.view != "raw" {
            let mut names: Vec<String> = views().map(|view| view.name.clone()).collect();
            names.sort_unstable();
            names.dedup();
            return Err(no_such("view", &lens.view, &names));
        }
        let mut refused = None;
        for dimension in of_lens {
            let Some(dimension) = dimension else { return Ok(()) };
            match self.follow_dimensions(lens, dimension) {
                Ok(()) => return Ok(()),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn follow_dimensions(&self, lens: &LensDef, dimension: u32) -> Result<()> {
        let mut arriving = dimension as usize;
        for step in &lens.steps {
            let found = resolved(self.tx()?, step, dimension).and_then(|step| dimension_after(&step, arriving));
            arriving = found.map_err(|error| error.context(format_args!("`{}`", print_step(step))))?;
        }
        Ok(())
    }
}

/// Refuses statistics that belong to no step of the lens, or are not made of numbers.
pub(in crate::store) fn check_pinned(
    name: &str,
    lens: &LensDef,
    pinned: &[(PinnedStatistic, Statistic)],
) -> Result<()> {
    for (place, statistic) in pinned {
        if place.step_idx as usize >= lens.steps.len() || !statistic.is_finite() {
            let (step, steps) = (u64::from(place.step_idx) + 1, lens.steps.len());
            let message =
                format!("lens {name}: the statistic of step {step} of {steps} belongs to no step or is not finite");
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

fn no_such(what: &str, name: &str, names: &[String]) -> Error {
    let meant = suggest(name, names.iter().map(String::as_str));
    let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
    let listed = if names.is_empty() { "none yet".to_string() } else { names.join(", ") };
    Error::new(ErrorKind::NotFound, format!("there is no {what} {name:?}{meant} ({what}s: {listed})"))
}
