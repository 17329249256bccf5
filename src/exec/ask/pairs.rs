//! A list of similar pairs put together in Rust.
//!
//! Owns [`PairsBuilder`]; names are settled when it runs, with the same errors as for a written statement.

use super::filter::Filter;
use super::lens::Lens;
use super::placed::placed;
use crate::error::{Error, Result};
use crate::exec::reply::Pairs;
use crate::exec::settle::params::{Param, Params};
use crate::exec::tell::pairs::run;
use crate::query::ast::{self, Bound, LensExpr, Output, Statement};
use crate::store::Snapshot;
use crate::types::control::Control;

/// A list of pairs being put together; made by [`Snapshot::pairs`].
#[derive(Debug, Clone)]
#[must_use = "nothing is compared before `run`"]
pub struct PairsBuilder {
    snapshot: Snapshot,
    pairs: ast::Pairs,
    filter: Option<Filter>,
    params: Params,
    control: Control,
}

impl Snapshot {
    /// Begins a list of the most similar pairs of a collection.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-pairs-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # use simile::{Lens, Record, Store};
    /// # let store = Store::create(dir.join("notes.simile"))?;
    /// # let mut batch = store.begin()?;
    /// # batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
    /// # batch.collection("notes")?.insert(Record::new("n2", "The locksmith opens at nine"))?;
    /// # batch.collection("notes")?.insert(Record::new("n3", "I left them in the pocket"))?;
    /// # batch.commit()?;
    /// let found = store.snapshot()?.pairs("notes").lens(Lens::view("raw").cosine()).above(0.5).run()?;
    /// assert_eq!((found.pairs[0].a.id.as_str(), found.pairs[0].b.id.as_str()), ("n1", "n3"));
    /// assert_eq!(found.statement, "pairs in notes | view raw | score cosine | above 0.5 | top 10");
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    pub fn pairs(&self, collection: impl Into<String>) -> PairsBuilder {
        let pairs =
            ast::Pairs { collection: collection.into().into(), lens: LensExpr::default(), output: Output::default() };
        PairsBuilder { snapshot: self.clone(), pairs, filter: None, params: Params::new(), control: Control::default() }
    }
}

impl PairsBuilder {
    /// In what respect; view `raw` and cosine where this is not called.
    pub fn lens(mut self, lens: Lens) -> Self {
        self.pairs.lens = lens.into_expr();
        self
    }

    /// Pairs only records that satisfy `filter`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Lists only scores of at least `score`.
    pub fn above(mut self, score: f64) -> Self {
        self.pairs.output.bound = Some(Bound::Above(score).into());
        self
    }

    /// Lists only distances of at most `distance`.
    pub fn within(mut self, distance: f64) -> Self {
        self.pairs.output.bound = Some(Bound::Within(distance).into());
        self
    }

    /// Leaves out the first `count` pairs.
    pub fn skip(mut self, count: u64) -> Self {
        self.pairs.output.skip = Some(count.into());
        self
    }

    /// Lists at most `count` pairs; 10 where this is not called.
    pub fn top(mut self, count: u64) -> Self {
        self.pairs.output.top = Some(count.into());
        self
    }

    /// Gives a parameter of the filter its value.
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<Param>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Reports to `control`, and stops when it says so.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Lists the pairs.
    ///
    /// # Errors
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) for names that do not exist and clauses that do not fit;
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled).
    pub fn run(self) -> Result<Pairs> {
        let mut pairs = self.pairs;
        pairs.output.filter = self.filter.map(Filter::into_expr).transpose()?;
        match placed(Statement::Pairs(pairs))? {
            (Statement::Pairs(pairs), text) => run(&self.snapshot, &pairs, &text, &self.params, &self.control),
            _ => Err(Error::invalid("a list of pairs prints as one")),
        }
    }
}
