//! A search put together in Rust: the same tree that the parser makes.
//!
//! Owns [`FindBuilder`]. Nothing is looked up here; names are settled when the search runs, with the same errors as for
//! a written statement.

use super::filter::Filter;
use super::lens::Lens;
use super::placed::placed;
use super::query::Query;
use super::source::Source;
use crate::error::{Error, Result};
use crate::exec::reply::{Answer, Comparison, Why};
use crate::exec::settle::params::{Param, Params};
use crate::exec::tell::compare::compare;
use crate::exec::tell::why::why;
use crate::query::ast::{Bound, Find, LensExpr, Output, Statement};
use crate::store::Snapshot;
use crate::types::control::Control;

/// A search being put together; made by [`Snapshot::find`].
#[derive(Debug, Clone)]
#[must_use = "nothing is searched before `run`"]
pub struct FindBuilder {
    snapshot: Snapshot,
    find: Find,
    filter: Option<Filter>,
    params: Params,
    control: Control,
}

impl Snapshot {
    /// Begins a search put together in Rust.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-snapshot-find-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # use simile::{Lens, Record, Source, Store};
    /// # let store = Store::create(dir.join("notes.simile"))?;
    /// # let mut batch = store.begin()?;
    /// # batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// # batch.collection("notes")?.insert(Record::new("n2", "The locksmith opens at nine"))?;
    /// # batch.commit()?;
    /// # let snapshot = store.snapshot()?;
    /// let lens = Lens::view("raw").center_corpus().cosine();
    /// let answer = snapshot.find(Source::text("pockets")).in_collection("notes").lens(lens).top(1).run()?;
    /// assert_eq!(answer.statement, r#"find "pockets" in notes | view raw | center corpus | score cosine | top 1"#);
    /// # drop((snapshot, store));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    pub fn find(&self, source: Source) -> FindBuilder {
        FindBuilder::new(self, source)
    }
}

impl FindBuilder {
    pub(crate) fn new(snapshot: &Snapshot, source: Source) -> Self {
        let find = Find {
            source: source.tree().into(),
            collection: String::new().into(),
            lens: LensExpr::default(),
            output: Output::default(),
        };
        FindBuilder {
            snapshot: snapshot.clone(),
            find,
            filter: None,
            params: Params::new(),
            control: Control::default(),
        }
    }

    /// With its condition in its tree.
    fn whole(mut self) -> Result<Self> {
        self.find.output.filter = self.filter.take().map(Filter::into_expr).transpose()?;
        Ok(self)
    }

    /// The collection to search.
    pub fn in_collection(mut self, name: impl Into<String>) -> Self {
        self.find.collection = name.into().into();
        self
    }

    /// In what respect; view `raw` and cosine where this is not called.
    pub fn lens(mut self, lens: Lens) -> Self {
        self.find.lens = lens.into_expr();
        self
    }

    /// Searches only records that satisfy `filter`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Lists only scores of at least `score`.
    pub fn above(mut self, score: f64) -> Self {
        self.find.output.bound = Some(Bound::Above(score).into());
        self
    }

    /// Lists only distances of at most `distance`.
    pub fn within(mut self, distance: f64) -> Self {
        self.find.output.bound = Some(Bound::Within(distance).into());
        self
    }

    /// Leaves out the first `count` hits.
    pub fn skip(mut self, count: u64) -> Self {
        self.find.output.skip = Some(count.into());
        self
    }

    /// Lists at most `count` hits; 10 where this is not called.
    pub fn top(mut self, count: u64) -> Self {
        self.find.output.top = Some(count.into());
        self
    }

    /// Keeps the records that the source names.
    pub fn including_self(mut self) -> Self {
        self.find.output.including_self = true;
        self
    }

    /// Gives a parameter its value.
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<Param>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Lets `control` stop the search.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Runs the search through each of these lenses, side by side; it has no lens of its own. `plain` (view `raw`,
    /// cosine) needs no saving.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-compare-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # use simile::{Record, Session, Source, Store};
    /// # let store = Store::create(dir.join("notes.simile"))?;
    /// # let mut batch = store.begin()?;
    /// # batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// # batch.collection("notes")?.insert(Record::new("n2", "The locksmith opens at nine"))?;
    /// # batch.commit()?;
    /// Session::new(&store).run("let topic = center corpus")?;
    /// let find = store.snapshot()?.find(Source::text("pockets")).in_collection("notes").top(2);
    /// let compared = find.compare(["plain", "topic"])?;
    /// assert_eq!(compared.columns[1].hits()[0].id(), "n1");
    /// assert_eq!(compared.agreements[0].overlap, Some(1.0));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::run`]; a lens that is not there, fewer than two of them, and a search with a lens of its own.
    pub fn compare<N: Into<String>>(self, lenses: impl IntoIterator<Item = N>) -> Result<Comparison> {
        let lenses = lenses.into_iter().map(|name| name.into().into()).collect();
        let FindBuilder { snapshot, find, params, control, .. } = self.whole()?;
        match placed(Statement::Compare { lenses, find })? {
            (Statement::Compare { lenses, find }, text) => compare(&snapshot, &lenses, &find, &text, &params, &control),
            _ => Err(Error::invalid("a comparison prints as a comparison")),
        }
    }

    /// Says where the score of the record `id` comes from.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-why-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # use simile::{Lens, Record, Source, Store};
    /// # let store = Store::create(dir.join("notes.simile"))?;
    /// # let mut batch = store.begin()?;
    /// # batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// # batch.collection("notes")?.insert(Record::new("n2", "The locksmith opens at nine"))?;
    /// # batch.commit()?;
    /// let find = store.snapshot()?.find(Source::text("pockets")).in_collection("notes");
    /// let why = find.lens(Lens::view("raw").center_corpus().cosine()).why("n2")?;
    /// assert_eq!(why.rank, Some(2));
    /// assert!((why.parts[0].sum.unwrap() - why.value.unwrap()).abs() < 1e-12);
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::run`]; an id that the collection does not have.
    pub fn why(self, id: impl Into<String>) -> Result<Why> {
        let FindBuilder { snapshot, find, params, control, .. } = self.whole()?;
        match placed(Statement::Why { id: id.into().into(), find })? {
            (Statement::Why { id, find }, text) => why(&snapshot, &id, &find, &text, &params, &control),
            _ => Err(Error::invalid("a reason prints as a reason")),
        }
    }

    /// The prepared search, to be run more than once.
    ///
    /// # Errors
    /// As [`Snapshot::query`].
    pub fn prepare(self) -> Result<Query> {
        let FindBuilder { snapshot, find, params, control, .. } = self.whole()?;
        Ok(Query::from_tree(&snapshot, find, params)?.control(control))
    }

    /// Runs the search. [`FindBuilder::prepare`] gives a search that can also say percentiles.
    ///
    /// # Errors
    /// As [`Query::run`].
    pub fn run(self) -> Result<Answer> {
        self.prepare()?.run()
    }
}
