//! Statements of every kind, one after the other, as a command line or a REPL has them.
//!
//! Owns [`Session`] and [`Reply`]: searches, `explain`, and the statements around them (`let`, `drop`, `show`).
//! Each statement sees the store's latest commit. What a later version will do parses, and is refused by name.

use super::answer::Answer;
use super::background;
use super::compare::{Comparison, compare};
use super::explain::Explanation;
use super::names::Site;
use super::pairs::{self, Pairs};
use super::params::{Param, Params};
use super::pinned::pin;
use super::prepared::Query;
use super::resolve::{can_be_saved, flatten, no_such_lens};
use super::why::{Why, why};
use crate::error::{Error, Result};
use crate::query::ast::{Find, LensExpr, Name, Show, Spanned, Statement};
use crate::query::{parse, print, print_lens};
use crate::store::{CANDIDATE, DerivedInfo, Snapshot, Store, fit_summary, loses_on_new_classes};
use crate::types::control::Control;
use crate::types::{CollectionId, CommitNumber, DerivedKind, LensDef, RowId, RowSet, Step, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

/// What a statement answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// `find`
    Answer(Box<Answer>),
    /// `compare`
    Comparison(Box<Comparison>),
    /// `pairs`
    Pairs(Box<Pairs>),
    /// `why`
    Why(Box<Why>),
    /// `explain`
    Explanation(Box<Explanation>),
    /// `let`
    Saved(Saved),
    /// `drop`
    Dropped {
        /// The lens.
        name: String,
        /// The commit that dropped it.
        commit: CommitNumber,
    },
    /// `show`
    Listing(Listing),
}

/// A lens that was saved.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Saved {
    /// Its name.
    pub name: String,
    /// The statement in canonical form, with everything it stands for.
    pub statement: String,
    /// What it means.
    pub lens: LensDef,
    /// 1 for a new lens; one more each time it is defined again.
    pub version: u32,
    /// The commit that saved it.
    pub commit: CommitNumber,
    /// Collections for which statistics were pinned.
    pub pinned_collections: Vec<String>,
    /// Remarks on the chain.
    pub notes: Vec<String>,
}

/// A table of what there is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listing {
    /// What is listed: `collections`, `views`, `fields`, `lenses`, `projections`, `samples`, `respects`,
    /// `undirected`.
    pub what: &'static str,
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// One value for each column.
    pub rows: Vec<Vec<Value>>,
}

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
                "`{}` is the name of a learned lens: its history would speak of another; take another name, or `drop` it first \
                 (`simile history STORE {own}`)",
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
        let found = background::of_fresh(snapshot, &record.lens, record.version, |_| true, &self.control)?;
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
            Show::Collections => show_collections(snapshot),
            Show::Views => show_views(snapshot),
            Show::Fields => Ok(show_fields(snapshot)),
            Show::Lenses => show_lenses(snapshot),
            Show::Projections => show_projections(snapshot),
            Show::Samples => show_samples(snapshot),
            Show::Respects => show_respects(snapshot),
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

fn count(number: u64) -> Value {
    // Counts of rows and bytes stay far below 2^63.
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn show_collections(snapshot: &Snapshot) -> Result<Listing> {
    let rows = snapshot
        .collections()
        .iter()
        .map(|def| {
            let views: Vec<&str> = def.views.iter().map(|view| view.name.as_str()).collect();
            vec![def.name.as_str().into(), count(def.live.into()), views.join(", ").into()]
        })
        .collect();
    Ok(Listing { what: "collections", columns: vec!["collection", "records", "views"], rows })
}

fn show_views(snapshot: &Snapshot) -> Result<Listing> {
    let mut rows = Vec::new();
    for def in snapshot.collections() {
        let collection = snapshot.collection(&def.name)?;
        for view in collection.views() {
            let view_def = view.def();
            rows.push(vec![
                def.name.as_str().into(),
                view_def.name.as_str().into(),
                view_def.kind.as_str().into(),
                view_def.dimension.map_or(Value::Null, |dimension| count(dimension.into())),
                view_def.embedder.as_deref().map_or(Value::Null, Value::from),
                count(view.present().len()),
            ]);
        }
    }
    let columns = vec!["collection", "view", "kind", "dimension", "embedder", "vectors"];
    Ok(Listing { what: "views", columns, rows })
}

fn show_fields(snapshot: &Snapshot) -> Listing {
    let rows = snapshot
        .collections()
        .iter()
        .flat_map(|def| {
            def.fields.iter().map(|(field, field_type)| {
                vec![def.name.as_str().into(), field.as_str().into(), field_type.as_str().into()]
            })
        })
        .collect();
    Listing { what: "fields", columns: vec!["collection", "field", "type"], rows }
}

fn show_lenses(snapshot: &Snapshot) -> Result<Listing> {
    let mut derived = snapshot.derived_infos()?;
    let rows = snapshot
        .lenses()?
        .into_iter()
        .map(|lens| {
            let pinned = lens.pinned.iter().map(|statistic| statistic.commit.0).min();
            let behind = pinned.map_or(Value::Null, |_| count(snapshot.commits_behind(&lens)));
            let calibration = snapshot.calibration(&lens.name)?.map_or(Value::Null, |found| found.origin.into());
            let materialized = materialized(derived.remove(&lens.name).unwrap_or_default());
            let held_out = snapshot.fit_of(&lens.name)?.map_or(Value::Null, |(fit, figures)| {
                let warning = figures.as_ref().and_then(loses_on_new_classes);
                let warning = warning.map_or(String::new(), |warning| format!("; {warning}"));
                format!("{}{warning}", fit_summary(&fit, figures.as_ref())).into()
            });
            Ok(vec![
                lens.name.into(),
                print_lens(&lens.lens).into(),
                count(lens.version.into()),
                pinned.map_or(Value::Null, count),
                behind,
                calibration,
                materialized,
                held_out,
            ])
        })
        .collect::<Result<_>>()?;
    let columns = vec![
        "lens",
        "stages",
        "version",
        "statistics of commit",
        "commits behind",
        "calibration",
        "materialized",
        "held out",
    ];
    Ok(Listing { what: "lenses", columns, rows })
}

/// The processed rows that are kept of a lens, in words: `packages: 64 f32, 3.8 MB`.
fn materialized(derived: Vec<DerivedInfo>) -> Value {
    let rows = derived.into_iter().filter(|info| info.kind == DerivedKind::Rows);
    let kept: Vec<String> = rows
        .map(|info| {
            let (element, megabytes) = (info.element.as_str(), info.bytes as f64 / 1e6);
            format!("{}: {} {element}, {megabytes:.1} MB", info.collection, info.dimension)
        })
        .collect();
    if kept.is_empty() { Value::Null } else { kept.join("; ").into() }
}

fn show_samples(snapshot: &Snapshot) -> Result<Listing> {
    let mut used_by: HashMap<String, Vec<String>> = HashMap::new();
    for lens in snapshot.lenses()? {
        let of_steps = lens.lens.steps.iter().filter_map(|step| match step {
            Step::CenterSides(name) => Some(name),
            _ => None,
        });
        let samples: BTreeSet<&String> = of_steps.chain(lens.lens.csls.iter().map(|(_, name)| name)).collect();
        for sample in samples {
            used_by.entry(sample.clone()).or_default().push(lens.name.clone());
        }
    }
    let rows = snapshot
        .sample_heads()?
        .into_iter()
        .map(|(name, head)| {
            let used_by = used_by.remove(&name).unwrap_or_default();
            let (view, dimension) = head.vectors.unzip();
            vec![
                name.into(),
                snapshot.collection_name(head.collection).into(),
                count(head.queries),
                view.map_or(Value::Null, Value::from),
                dimension.map_or(Value::Null, |dimension| count(dimension.into())),
                used_by.join(", ").into(),
            ]
        })
        .collect();
    let columns = vec!["sample", "collection", "queries", "vectors for view", "dimension", "used by"];
    Ok(Listing { what: "samples", columns, rows })
}

fn show_respects(snapshot: &Snapshot) -> Result<Listing> {
    let mut rows = Vec::new();
    for def in snapshot.collections() {
        for info in snapshot.respect_infos(&def.name)? {
            rows.push(vec![
                info.name.into(),
                def.name.as_str().into(),
                count(info.pairs),
                count(info.queries),
                info.field.map_or(Value::Null, Value::from),
            ]);
        }
    }
    let columns = vec!["respect", "collection", "pairs", "queries", "classes of field"];
    Ok(Listing { what: "respects", columns, rows })
}

fn show_projections(snapshot: &Snapshot) -> Result<Listing> {
    let rows = snapshot
        .projection_heads()?
        .into_iter()
        .map(|(name, head)| {
            let sides = if head.pair { "query, record" } else { "both" };
            vec![name.into(), count(head.columns.into()), count(head.rows.into()), sides.into(), head.origin.into()]
        })
        .collect();
    let columns = vec!["projection", "from", "to", "sides", "origin"];
    Ok(Listing { what: "projections", columns, rows })
}
