//! What is learned, from what, and how: the choices of one learning, before it runs.

use super::fit::LearnProgress;
use crate::store::Store;
use crate::types::control::Control;
use crate::types::{Accept, LearnMethod, LearnMode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Fewer labels than this, yes and no together, are not held out: what is fitted is marked as untested. With fewer that
/// say yes the closed form is fitted.
pub(crate) const LEAST_LABELS: u64 = 50;
/// Learns a lens from the labels of a respect.
///
/// ```no_run
/// use simile::Store;
/// use simile::learn::Learner;
/// let store = Store::open("notes.simile")?;
/// let report = Learner::new(&store, "answering").in_collection("notes").respect("answers the question").run()?;
/// println!("{} {}", report.name, if report.fit.accepted { "is used by name" } else { "is a candidate" });
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is learned before `run`"]
pub struct Learner {
    pub(super) store: Store,
    pub(super) lens: String,
    pub(super) collection: String,
    pub(super) view: String,
    pub(super) respect: String,
    pub(super) mode: Option<LearnMode>,
    pub(super) method: Option<LearnMethod>,
    pub(super) accept: Accept,
    pub(super) seed: u64,
    pub(super) time: Option<Duration>,
    pub(super) gated: bool,
    pub(super) control: Control,
    pub(super) listener: Option<Arc<dyn Fn(LearnProgress) + Send + Sync>>,
}

impl Learner {
    /// Will learn `lens` from the respect of that name, over view `raw`, gated by new records.
    pub fn new(store: &Store, lens: impl Into<String>) -> Learner {
        let lens = lens.into();
        Learner {
            store: store.clone(),
            respect: lens.clone(),
            lens,
            collection: String::new(),
            view: "raw".to_string(),
            mode: None,
            method: None,
            accept: Accept::NewRecords,
            seed: 0,
            time: None,
            gated: true,
            control: Control::default(),
            listener: None,
        }
    }

    /// The collection whose labels it learns from.
    pub fn in_collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = collection.into();
        self
    }

    /// The view whose vectors it learns over.
    pub fn view(mut self, view: impl Into<String>) -> Self {
        self.view = view.into();
        self
    }

    /// The respect whose labels it learns from, where it is not named like the lens.
    pub fn respect(mut self, respect: impl Into<String>) -> Self {
        self.respect = respect.into();
        self
    }

    /// A matrix for each side, or one for both; without this, one for both where the questions are records.
    pub fn mode(mut self, mode: LearnMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The method; without this, whichever validates best.
    pub fn method(mut self, method: LearnMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Which lift must be there for the lens to be accepted.
    pub fn accept(mut self, accept: Accept) -> Self {
        self.accept = accept;
        self
    }

    /// Where chance comes from; the same seed gives the same bits.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long it may take: training stops early, and a gate that is not done accepts nothing.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Whether held-out labels are asked; without, what is learned stays a candidate.
    pub fn gated(mut self, gated: bool) -> Self {
        self.gated = gated;
        self
    }

    /// Lets `control` stop it: what is there by then is kept as a candidate.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Hears how it is getting on, possibly from several threads.
    pub fn on_progress(mut self, listener: impl Fn(LearnProgress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }
}

impl fmt::Debug for Learner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learner")
            .field("lens", &self.lens)
            .field("collection", &self.collection)
            .field("view", &self.view)
            .field("respect", &self.respect)
            .field("method", &self.method)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
