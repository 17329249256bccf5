//! Searches that are written once and run many times.
//!
//! Owns [`Query`]. A query holds on to its snapshot: to see later commits, prepare it again on a new one.

use super::placed::placed;
use crate::error::{Error, QueryError, Result};
use crate::exec::reply::{Answer, Explanation};
use crate::exec::run::clock::Run;
use crate::exec::run::search::{run_all, undirected_ids};
use crate::exec::settle::names::Site;
use crate::exec::settle::params::{Param, Params};
use crate::exec::settle::plan::{Plan, param_names};
use crate::exec::settle::search::resolve;
use crate::exec::tell::background;
use crate::exec::tell::explain::explain;
use crate::query::ast::{Find, Statement};
use crate::query::parse;
use crate::store::Snapshot;
use crate::types::control::Control;
use std::sync::Arc;

/// A prepared search.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("simile-doc-query-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use simile::{Record, Store};
/// let store = Store::create(dir.join("notes.simile"))?;
/// let mut batch = store.begin()?;
/// batch.collection("notes")?.insert(Record::new("n1", "I left them in my pocket"))?;
/// batch.commit()?;
/// let snapshot = store.snapshot()?;
/// let query = snapshot.query("find $q in notes | top 5")?;
/// let answer = query.clone().bind("q", "Where are my keys?").run()?;
/// assert_eq!(answer.hits()[0].id(), "n1");
/// let answers = query.run_batch(&["keys".into(), "a pocket".into()])?;
/// assert_eq!(answers.len(), 2);
/// # drop((query, snapshot, store));
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), simile::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is searched before `run`"]
pub struct Query {
    plan: Arc<Plan>,
    params: Params,
    control: Control,
    percentiles: bool,
}

impl Query {
    /// Prepares a tree made by hand.
    pub(crate) fn from_tree(snapshot: &Snapshot, find: Find, params: Params) -> Result<Query> {
        let (Statement::Find(find), text) = placed(Statement::Find(find))? else {
            return Err(Error::invalid("a search prints as a search"));
        };
        Query::from_find(snapshot, &find, &text, params)
    }

    pub(crate) fn from_find(snapshot: &Snapshot, find: &Find, text: &str, params: Params) -> Result<Query> {
        let plan = Arc::new(resolve(snapshot, find, text)?);
        Ok(Query { plan, params, control: Control::default(), percentiles: false })
    }

    /// The search in canonical form, defaults included; parameters stand as written.
    pub fn statement(&self) -> &str {
        &self.plan.statement
    }

    /// Names of its parameters in order of appearance, without the `$`.
    pub fn params(&self) -> Vec<String> {
        param_names(&self.plan.find.source.node, self.plan.find.output.filter.as_ref())
    }

    /// Gives a parameter its value, in place of an earlier one. Names that the search does not have change nothing.
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<Param>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Lets `control` stop the search.
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Whether hits get their percentile among random pairs of records under the same lens, and the answer its
    /// [`Answer::background`]. The pairs are drawn once for each lens and state of the records, and kept; a search that
    /// does not ask for them pays nothing.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-percentiles-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # use simile::{Record, Store};
    /// # let store = Store::create(dir.join("notes.simile"))?;
    /// # let mut batch = store.begin()?;
    /// # for (id, text) in [("n1", "I left them in my pocket"), ("n2", "A cat"), ("n3", "Rain in the morning")] {
    /// #     batch.collection("notes")?.insert(Record::new(id, text))?;
    /// # }
    /// # batch.commit()?;
    /// let answer = store.snapshot()?.query("find \"pockets\" in notes")?.percentiles(true).run()?;
    /// assert!(answer.hits()[0].percentile().is_some());
    /// assert_eq!(answer.background.unwrap().pairs, 6); // all ordered pairs of three records
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    pub fn percentiles(mut self, wanted: bool) -> Self {
        self.percentiles = wanted;
        self
    }

    /// Runs the search.
    ///
    /// # Errors
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) for an unbound parameter, a source the view does not take, and
    /// a query without direction; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for damaged vectors.
    pub fn run(&self) -> Result<Answer> {
        Ok(self.run_whole()?.answer)
    }

    pub(crate) fn run_whole(&self) -> Result<Run> {
        let mut runs = self.run_with(&[&self.params])?;
        runs.pop().unwrap_or_else(|| Err(Error::invalid("one search has one answer")))
    }

    fn run_with(&self, all_params: &[&Params]) -> Result<Vec<Result<Run>>> {
        let mut runs = run_all(&self.plan, all_params, &self.control)?;
        if self.percentiles {
            background::attach(&self.plan, runs.iter_mut().flatten().map(|run| &mut run.answer), &self.control)?;
        }
        Ok(runs)
    }

    /// Ids of the records that the search leaves out of its ranking because they have no direction under its lens,
    /// in row order; `plan.undirected` of the answer counts them.
    ///
    /// # Errors
    /// As [`Query::run`]; the source may stay unbound.
    pub fn undirected(&self) -> Result<Vec<String>> {
        undirected_ids(&self.plan, &self.params)
    }

    /// Runs the search once for each value of its one open parameter, in one pass over the rows (vectors: one
    /// matrix product); answers come in the order of `values` and are those of [`Query::run`].
    ///
    /// # Errors
    /// As [`Query::run`]; the first search that fails fails all. See [`Query::run_each`].
    pub fn run_batch(&self, values: &[Param]) -> Result<Vec<Answer>> {
        let answers = self.run_each(values)?.into_iter().enumerate();
        answers.map(|(idx, answer)| answer.map_err(|error| error.context(format!("query {}", idx + 1)))).collect()
    }

    /// As [`Query::run_batch`], but a query without direction fails alone.
    ///
    /// # Errors
    /// As [`Query::run`], for what concerns all of them.
    pub fn run_each(&self, values: &[Param]) -> Result<Vec<Result<Answer>>> {
        let open: Vec<String> = self.params().into_iter().filter(|name| !self.params.contains_key(name)).collect();
        let [name] = open.as_slice() else {
            let found = if open.is_empty() { "none".to_string() } else { format!("${}", open.join(", $")) };
            let message = format!("a batch needs exactly one open parameter, this search has {found}");
            let span = self.plan.find.source.span.clone();
            return Err(Site::new(&self.plan.text).error("resolve::batch_param", message, &span).into());
        };
        let all: Vec<Params> = values
            .iter()
            .map(|value| {
                let mut params = self.params.clone();
                params.insert(name.clone(), value.clone());
                params
            })
            .collect();
        let runs = self.run_with(&all.iter().collect::<Vec<_>>())?;
        Ok(runs.into_iter().map(|run| run.map(|run| run.answer)).collect())
    }

    /// What running it would do; with `analyze`, what running it did.
    ///
    /// # Errors
    /// As [`Query::run`]; a source parameter may stay unbound where it is not run.
    pub fn explain(&self, analyze: bool) -> Result<Explanation> {
        explain(&self.plan, &self.params, analyze, &self.control)
    }
}

impl Snapshot {
    /// Prepares a search written in the query language.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("simile-doc-snapshot-query-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # let store = simile::Store::create(dir.join("notes.simile"))?;
    /// let error = store.snapshot()?.query("find \"keys\" in notes | top 5").unwrap_err();
    /// assert_eq!(error.query().unwrap().code, "resolve::no_such_collection");
    /// # drop(store);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), simile::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Query`](crate::ErrorKind::Query) with the place, what was expected, and a corrected line where
    /// there is one. Statements other than `find` are refused: a [`Session`](crate::Session) runs those.
    pub fn query(&self, text: &str) -> Result<Query> {
        match parse(text)? {
            Statement::Find(find) => Query::from_find(self, &find, text, Params::new()),
            _ => Err(not_a_search(text).into()),
        }
    }
}

fn not_a_search(text: &str) -> QueryError {
    let start = text.len() - text.trim_start().len();
    let end = text[start..].find(char::is_whitespace).map_or(text.len(), |length| start + length);
    Site::new(text)
        .error("resolve::not_a_search", "this is not a search", &(start..end))
        .expected(["find"])
        .hint("`Session::run` runs every statement")
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::exec::run::hits::hits;
    use crate::exec::run::scan::Scored;
    use crate::exec::tests::Fixture;
    use crate::store::CollectionSpec;
    use crate::types::{CancelToken, Control, Record};

    #[test]
    fn whoever_stops_is_heard_while_the_records_of_hits_are_read() {
        let fixture = Fixture::empty();
        let mut batch = fixture.store.begin().unwrap();
        let mut c = batch.create_collection("c", CollectionSpec::new().supplied_vectors()).unwrap();
        c.insert(Record::new("a", "").vector("raw", vec![1.0, 2.0])).unwrap();
        batch.commit().unwrap();
        let query = fixture.query("find [1, 2] in c");
        let token = CancelToken::new();
        let control = Control::new().cancelled_by(token.clone());
        let read = || hits(&query.plan, vec![Scored { row: 0, value: 1.0 }], &control);
        assert_eq!(read().unwrap().len(), 1);
        token.cancel();
        assert_eq!(read().unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
