//! Statements of every kind, one after the other, as a command line or a REPL has them.
//!
//! Owns [`Session`]: searches, `explain`, and the statements around them (`let`, `drop`, `show`).
//! Each statement sees the store's latest commit. What a later version will do parses, and is refused by name.

use super::ask::Query;
use super::keep::backgrounds;
use super::keep::pin::pin;
use super::listings;
use super::reply::{Listing, Reply, Saved};
use super::settle::lens::{can_be_saved, flatten, no_such_lens};
use super::settle::names::Site;
use super::settle::params::{Param, Params};
use super::tell::compare::compare;
use super::tell::pairs;
use super::tell::why::why;
use crate::error::{Error, Result};
use crate::query::ast::{Find, LensExpr, Name, Show, Spanned, Statement};
use crate::query::{parse, print};
use crate::store::{CANDIDATE, Snapshot, Store};
use crate::types::control::Control;
use crate::types::{CollectionId, RowId, RowSet};
use std::collections::HashSet;
use std::ops::Range;

/// Runs statements against a store, remembering what the next one may ask about.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-session-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use simile::{Record, Reply, Session, Store};
/// let store = Store::create(dir.join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
/// batch.commit()?;
/// let mut session = Session::new(&store);
/// session.run("let plain = view raw | score cosine")?;
/// let reply = session.run("find \"pockets\" in notes | using plain | top 1")?;
/// let Reply::Answer(answer) = reply else { panic!("a search answers") };
/// assert_eq!(answer.header.name.as_deref(), Some("plain"));
/// # drop((session, store));
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    store: Store,
    params: Params,
    control: Control,
    undirected: Option<Undirected>,
    percentiles: bool,
    /// Whether `held` is kept between statements.
    holds: bool,
    held: Option<Snapshot>,
}

/// Records without direction in the last search.
#[derive(Debug, Clone)]
struct Undirected {
    collection: String,
    rows: RowSet,
    /// Rows keep their numbers within one generation of the store's files.
    generation: u64,
}

/// Whether a statement changes the store, so that it must be open for writing. Text that does not parse does not.
pub fn is_write(text: &str) -> bool {
    matches!(parse(text), Ok(Statement::Let { .. } | Statement::Drop { .. }))
}

impl Session {
    /// A session with nothing bound.
    pub fn new(store: &Store) -> Self {
        Session {
            store: store.clone(),
            params: Params::new(),
            control: Control::default(),
            undirected: None,
            percentiles: false,
            holds: false,
            held: None,
        }
    }

    /// Whether the last snapshot stays open between statements, which spares the next one what it has loaded (the
    /// columns of a filter). An open snapshot keeps the catalog from reusing the space of what was replaced since, so
    /// a session that waits for a person lets go of it, which is the default. Statements see new commits either way.
    pub fn hold_snapshot(&mut self, holds: bool) {
        self.holds = holds;
        self.held = None;
    }

    /// Runs later statements against another handle of the store, as a REPL does when it becomes a writer.
    pub fn set_store(&mut self, store: &Store) {
        self.store = store.clone();
        self.held = None;
    }

    /// Gives a parameter its value for all statements to come.
    pub fn bind(&mut self, name: impl Into<String>, value: impl Into<Param>) {
        self.params.insert(name.into(), value.into());
    }

    /// Whether hits of later searches get their percentile, see [`Query::percentiles`].
    pub fn set_percentiles(&mut self, wanted: bool) {
        self.percentiles = wanted;
    }

    /// Lets `control` stop statements.
    pub fn set_control(&mut self, control: Control) {
        self.control = control;
    }

    /// Runs one statement on the store's latest commit.
    ///
    /// # Errors
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) for what cannot be understood or run,
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly) for `let` and `drop` in a store open for reading.
    pub fn run(&mut self, text: &str) -> Result<Reply> {
        let statement = parse(text)?;
        let site = Site::new(text);
        let snapshot = self.store.snapshot()?;
        if self.holds {
            self.held = Some(snapshot.clone());
        }
        match statement {
            Statement::Find(find) => {
                let run = self.query(&snapshot, &find, text)?.percentiles(self.percentiles).run_whole()?;
                let generation = snapshot.meta().generation;
                let collection = run.answer.collection.clone();
                self.undirected = Some(Undirected { collection, rows: run.undirected, generation });
                Ok(Reply::Answer(Box::new(run.answer)))
            }
            Statement::Explain { analyze, find } => {
                let explanation = self.query(&snapshot, &find, text)?.explain(analyze)?;
                Ok(Reply::Explanation(Box::new(explanation)))
            }
            Statement::Let { name, lens } => self.save(&snapshot, &name, &lens, &site),
            Statement::Drop { name } => self.remove(&snapshot, &name, &site),
            Statement::Show(what) => Ok(Reply::Listing(self.show(&snapshot, &what, &site)?)),
            Statement::Pairs(pairs) => {
                let pairs = pairs::run(&snapshot, &pairs, text, &self.params, &self.control)?;
                Ok(Reply::Pairs(Box::new(pairs)))
            }
            Statement::Compare { lenses, find } => {
                let comparison = compare(&snapshot, &lenses, &find, text, &self.params, &self.control)?;
                Ok(Reply::Comparison(Box::new(comparison)))
            }
            Statement::Why { id, find } => {
                Ok(Reply::Why(Box::new(why(&snapshot, &id, &find, text, &self.params, &self.control)?)))
            }
        }
    }

    fn query(&self, snapshot: &Snapshot, find: &Find, text: &str) -> Result<Query> {
        Ok(Query::from_find(snapshot, find, text, self.params.clone())?.control(self.control.clone()))
    }

    fn save(&mut self, snapshot: &Snapshot, name: &Name, lens: &LensExpr, site: &Site<'_>) -> Result<Reply> {
        if name.node.ends_with(CANDIDATE)
            || snapshot.lens(&name.node)?.is_some() && !snapshot.learned(&name.node)?.is_empty()
        {
            let own = name.node.strip_suffix(CANDIDATE).unwrap_or(&name.node);
            let message = format!(
                "`{}` is the name of a learned lens: its history would speak of another; take another name, or `drop` \
                 it first (`simile history STORE {own}`)",
                name.node
            );
            return Err(site.error("resolve::learned_name", message, &name.span).into());
        }
        let flat = flatten(snapshot, lens, site)?;
        if let (Some(_), Some(metric)) = (&flat.calibration, &lens.metric) {
            let message = "a calibration belongs to its lens: `score probability` is written where the lens is used";
            return Err(site.error("resolve::probability_saved", message, &metric.span).into());
        }
        can_be_saved(snapshot, &flat, site)?;
        self.store.expect_turn()?;
        let pinned = pin(snapshot, &flat, site, &self.control)?;
        let places: HashSet<CollectionId> = pinned.iter().map(|(place, _)| place.collection).collect();
        let pinned_collections =
            snapshot.collections().iter().filter(|def| places.contains(&def.id)).map(|def| def.name.clone()).collect();
        let notes = crate::query::doubts(&flat.def.steps, flat.def.metric);
        let statement = print(&Statement::Let { name: name.node.clone().into(), lens: LensExpr::from(&flat.def) });
        let mut batch = self.store.begin_after_work(&self.control)?;
        let record = batch.put_lens(&name.node, flat.def, pinned)?;
        let found = backgrounds::of_fresh(snapshot, &record.lens, record.version, |_| true, &self.control)?;
        batch.put_backgrounds(&record.name, found)?;
        let commit = batch.commit()?;
        Ok(Reply::Saved(Saved {
            name: record.name,
            statement,
            lens: record.lens,
            version: record.version,
            commit,
            pinned_collections,
            notes,
        }))
    }

    fn remove(&mut self, snapshot: &Snapshot, name: &Name, site: &Site<'_>) -> Result<Reply> {
        if snapshot.lens(&name.node)?.is_none() {
            return Err(no_such_lens(snapshot, name, site)?.into());
        }
        let mut batch = self.store.begin()?;
        if !batch.drop_lens(&name.node)? {
            return Err(Error::not_found(format!("lens {} is gone already", name.node)));
        }
        let commit = batch.commit()?;
        Ok(Reply::Dropped { name: name.node.clone(), commit })
    }

    fn show(&self, snapshot: &Snapshot, what: &Spanned<Show>, site: &Site<'_>) -> Result<Listing> {
        match what.node {
            Show::Collections => listings::show_collections(snapshot),
            Show::Views => listings::show_views(snapshot),
            Show::Fields => Ok(listings::show_fields(snapshot)),
            Show::Lenses => listings::show_lenses(snapshot),
            Show::Projections => listings::show_projections(snapshot),
            Show::Samples => listings::show_samples(snapshot),
            Show::Respects => listings::show_respects(snapshot),
            Show::Undirected => self.show_undirected(snapshot, site, &what.span),
        }
    }

    fn show_undirected(&self, snapshot: &Snapshot, site: &Site<'_>, span: &Range<usize>) -> Result<Listing> {
        let Some(last) = &self.undirected else {
            let error = site
                .error("resolve::no_last_search", "nothing was searched yet", span)
                .hint("`show undirected` lists the records that had no direction in the last search");
            return Err(error.into());
        };
        if snapshot.meta().generation != last.generation {
            return Err(site
                .error("resolve::no_last_search", "the store was compacted since: search again", span)
                .into());
        }
        let collection = snapshot.collection(&last.collection)?;
        let mut rows = Vec::new();
        // Records removed since are gone from the list, too.
        for row in last.rows.and(collection.live()).iter() {
            let record = collection.record(RowId(row))?;
            rows.push(vec![record.id.into(), record.text.into()]);
        }
        Ok(Listing { what: "undirected", columns: vec!["id", "text"], rows })
    }
}
