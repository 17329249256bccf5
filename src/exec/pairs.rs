//! `pairs`: the most similar pairs of a collection under a lens.
//!
//! Owns [`Pairs`], the builder for it, and what the statement does not take. A pair counts once, a record is never
//! paired with itself, `where` holds for both, and the same settled lens is used as for a search.

use super::answer::{LensHeader, PlanInfo};
use super::builder::{Filter, Lens};
use super::names::Site;
use super::params::{Param, Params};
use super::plan::Plan;
use super::prepared::placed;
use super::resolve::{DEFAULT_TOP, resolve};
use super::run::{matched, notes_on_few, prepared_for, scannable, view_of};
use super::scan::{PairScan, scan_pairs};
use crate::error::{Error, Result};
use crate::query::ast::{self, Bound, Find, LensBase, LensExpr, Output, Statement};
use crate::query::print;
use crate::store::Snapshot;
use crate::types::control::Control;
use crate::types::{Metric, RowId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SIDES_NOTE: &str = "the lens treats queries and records differently: `a` is on the query side, and of the two \
                          directions of a pair the more similar one counts";

/// The most similar pairs of a collection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pairs {
    /// The statement in canonical form, defaults included.
    pub statement: String,
    /// The collection.
    pub collection: String,
    /// In what respect records were compared.
    pub header: LensHeader,
    /// What was counted: `scanned` rows were compared, each with each.
    pub plan: PlanInfo,
    /// Remarks.
    pub notes: Vec<String>,
    /// The pairs, from most to least similar.
    pub pairs: Vec<Pair>,
    /// Time from binding to answer.
    pub elapsed: Duration,
}

/// Two records and how similar they are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pair {
    /// Place in the whole answer, from 1.
    pub rank: u64,
    /// The record that came first; under a lens whose sides differ, the one on the query side.
    pub a: PairRecord,
    /// The other.
    pub b: PairRecord,
    /// The metric.
    pub metric: Metric,
    /// The score, or the distance where the metric is one: what `a` as a query finds `b` with.
    pub value: f64,
}

impl Pair {
    /// The distance, lower is more similar; `None` where the metric is a score.
    pub fn distance(&self) -> Option<f64> {
        self.metric.is_distance().then_some(self.value)
    }
}

/// A record of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairRecord {
    /// Its id.
    pub id: String,
    /// Its own text, whichever view was compared.
    pub text: String,
}

/// Runs `pairs`, parsed from `text`.
///
/// # Errors
/// Query errors as for a search; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub(crate) fn run(
    snapshot: &Snapshot,
    pairs: &ast::Pairs,
    text: &str,
    params: &Params,
    control: &Control,
) -> Result<Pairs> {
    let begun = Instant::now();
    let plan = settle(snapshot, pairs, text)?;
    let matched = matched(&plan, params, control)?;
    let scanned = scannable(&plan, &matched);
    let view = view_of(&plan)?;
    let (skip, top) = plan.window();
    let bound = plan.find.output.bound.as_ref().map(|bound| match bound.node {
        Bound::Above(bound) | Bound::Within(bound) => bound,
    });
    let scan_bound = bound.and_then(|bound| plan.lens.scan_bound(bound));
    let mut notes = plan.notes.clone();
    let mut found = plan.snapshot.install(|| match prepared_for(&plan, view, &scanned, control)? {
        Some(prepared) => {
            notes.extend(notes_on_few(&prepared));
            scan_pairs(view, &prepared, &scanned, skip + top, scan_bound, control)
        }
        None => {
            notes.push(format!("view `{}` has no vectors yet", view.def().name));
            Ok(PairScan { symmetric: true, ..PairScan::default() })
        }
    })?;
    let metric = plan.lens.shown_metric();
    found.hits.iter_mut().for_each(|pair| pair.value = plan.lens.shown(pair.value));
    let reaches = |value: f64, bound: f64| if metric.is_distance() { value <= bound } else { value >= bound };
    found.hits.retain(|pair| bound.is_none_or(|bound| reaches(pair.value, bound)));
    if !found.symmetric {
        notes.push(SIDES_NOTE.to_string());
    }
    let live = plan.collection.live();
    Ok(Pairs {
        statement: plan.statement.clone(),
        collection: plan.collection.def().name.clone(),
        header: plan.header(),
        plan: PlanInfo {
            path: "pairs",
            exact: true,
            rows: live.len(),
            matched: matched.len(),
            scanned: scanned.len(),
            undirected: found.undirected.len(),
            absent: live.and_not(view.present()).len(),
            left_out: 0,
            commit: plan.snapshot.commit(),
        },
        notes,
        pairs: records(&plan, &found, skip, top)?,
        elapsed: begun.elapsed(),
    })
}

/// The plan of a search with this lens and these clauses, without a source.
fn settle(snapshot: &Snapshot, pairs: &ast::Pairs, text: &str) -> Result<Plan> {
    let site = Site::new(text);
    if let LensBase::Blend(parts) = &pairs.lens.base {
        let span = parts.first().map_or(0..0, |(_, name)| name.span.clone());
        let error = site.error("resolve::pairs_lens", "`pairs` takes one lens, not a blend", &span);
        return Err(error.hint("list the pairs of each lens by itself").into());
    }
    if pairs.output.including_self {
        let message = "`including self` in `pairs`: a record is never paired with itself";
        return Err(site.error("resolve::pairs_self", message, &pairs.collection.span).into());
    }
    let mut pairs = pairs.clone();
    pairs.output.top.get_or_insert(DEFAULT_TOP.into());
    let find = Find {
        source: ast::Source::default().into(),
        collection: pairs.collection.clone(),
        lens: pairs.lens.clone(),
        output: pairs.output.clone(),
    };
    let not_vectors = |metric: Metric| {
        let span = pairs.lens.metric.as_ref().map_or(pairs.collection.span.clone(), |metric| metric.span.clone());
        let message = format!("`pairs` compares vectors by a score or a distance, not by `{}`", metric.as_str());
        site.error("resolve::pairs_lens", message, &span).expected(["cosine", "dot", "pearson", "euclidean"])
    };
    let mut plan = match resolve(snapshot, &find, text) {
        // An edit distance looks for its one text first.
        Err(error) if error.query().is_some_and(|error| error.code == "resolve::levenshtein_source") => {
            return Err(not_vectors(Metric::Levenshtein).into());
        }
        settled => settled?,
    };
    if plan.compares_texts() {
        return Err(not_vectors(Metric::Levenshtein).into());
    }
    pairs.lens = plan.find.lens.clone();
    plan.statement = print(&Statement::Pairs(pairs));
    Ok(plan)
}

fn records(plan: &Plan, found: &PairScan, skip: usize, top: usize) -> Result<Vec<Pair>> {
    let hits: Vec<_> = found.hits.iter().enumerate().skip(skip).take(top).collect();
    let mut records: BTreeMap<u32, PairRecord> = BTreeMap::new();
    for row in hits.iter().flat_map(|(_, pair)| [pair.a, pair.b]) {
        if let std::collections::btree_map::Entry::Vacant(entry) = records.entry(row) {
            let record = plan.collection.shown_record(RowId(row))?;
            entry.insert(PairRecord { id: record.id.clone(), text: record.text.clone() });
        }
    }
    let record = |row: u32| {
        let missing = || Error::invalid(format!("row {row} was read and is not there"));
        records.get(&row).cloned().ok_or_else(missing)
    };
    let metric = plan.lens.shown_metric();
    hits.into_iter()
        .map(|(place, pair)| {
            Ok(Pair { rank: place as u64 + 1, a: record(pair.a)?, b: record(pair.b)?, metric, value: pair.value })
        })
        .collect()
}

/// A list of pairs being put together; made by [`Snapshot::pairs`].
#[derive(Debug, Clone)]
#[must_use = "nothing is compared before `run`"]
pub struct PairsBuilder {
    snapshot: Snapshot,
    pairs: ast::Pairs,
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
        PairsBuilder { snapshot: self.clone(), pairs, params: Params::new(), control: Control::default() }
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
        self.pairs.output.filter = Some(filter.into_expr());
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
        match placed(Statement::Pairs(self.pairs))? {
            (Statement::Pairs(pairs), text) => run(&self.snapshot, &pairs, &text, &self.params, &self.control),
            _ => Err(Error::invalid("a list of pairs prints as one")),
        }
    }
}
