//! A search put together in Rust: the same tree that the parser makes.
//!
//! Owns [`Source`], [`Lens`] and [`FindBuilder`]. Nothing is looked up here; names are settled when the search
//! runs, with the same errors as for a written statement.

use super::answer::Answer;
use super::compare::{Comparison, compare_tree};
use super::params::{Param, Params};
use super::prepared::Query;
use super::why::{Why, why_tree};
use crate::error::Result;
use crate::query::ast::{Bound, CompareOp, Expr, Find, LensBase, LensExpr, Literal, Operand, Output, Term};
use crate::query::ast::{Name, Source as SourceTree, Spanned};
use crate::store::Snapshot;
use crate::types::control::Control;
use crate::types::limits::NESTING;
use crate::types::{Metric, ProjectionRef, Step, Value};

/// What to look for: a text, a record's own vector, a vector, or a weighted sum of these.
///
/// ```
/// use simile::Source;
/// let queen = Source::id("king") - Source::id("man") + 0.5 * Source::text("woman");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    terms: Vec<(f64, Operand)>,
}

impl Source {
    /// A text, embedded as the view embeds its records.
    pub fn text(text: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Text(text.into()))] }
    }

    /// The vector of the record with this id.
    pub fn id(id: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Id(id.into()))] }
    }

    /// A vector of the view.
    pub fn vector(vector: &[f32]) -> Self {
        Source { terms: vec![(1.0, Operand::Vector(vector.iter().map(|&v| f64::from(v)).collect()))] }
    }

    /// A parameter, bound later by [`Query::bind`].
    pub fn param(name: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Param(name.into()))] }
    }

    fn tree(self) -> SourceTree {
        SourceTree {
            terms: self.terms.into_iter().map(|(weight, operand)| Term { weight, operand: operand.into() }).collect(),
        }
    }
}

impl std::ops::Mul<Source> for f64 {
    type Output = Source;

    fn mul(self, mut source: Source) -> Source {
        for (weight, _) in &mut source.terms {
            *weight *= self;
        }
        source
    }
}

impl std::ops::Add for Source {
    type Output = Source;

    fn add(mut self, other: Source) -> Source {
        self.terms.extend(other.terms);
        self
    }
}

impl std::ops::Sub for Source {
    type Output = Source;

    fn sub(self, other: Source) -> Source {
        self + -1.0 * other
    }
}

/// In what respect records are compared: a view or a saved lens, steps in the order they run, a metric.
///
/// ```
/// use simile::Lens;
/// let lens = Lens::view("raw").center_corpus().truncate(64).cosine();
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lens {
    expr: LensExpr,
}

impl Lens {
    /// Starts from a view. Without a metric it ends in cosine.
    pub fn view(name: impl Into<String>) -> Self {
        Lens { expr: LensExpr { base: LensBase::View(name.into().into()), ..LensExpr::default() } }
    }

    /// Starts from a saved lens; steps are added to its own, a metric replaces its own.
    pub fn saved(name: impl Into<String>) -> Self {
        Lens { expr: LensExpr { base: LensBase::Using(name.into().into()), ..LensExpr::default() } }
    }

    /// A weighted sum of saved lenses' scores. It takes no steps and no metric of its own; `plain` (view `raw`, cosine)
    /// needs no saving.
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::blend([(0.7, "topic"), (0.3, "nationality")]);
    /// ```
    pub fn blend<N: Into<String>>(parts: impl IntoIterator<Item = (f64, N)>) -> Self {
        let parts = parts.into_iter().map(|(weight, name)| (weight, name.into().into())).collect();
        Lens { expr: LensExpr { base: LensBase::Blend(parts), ..LensExpr::default() } }
    }

    fn step(mut self, step: Step) -> Self {
        self.expr.steps.push(step.into());
        self
    }

    fn metric(mut self, metric: Metric) -> Self {
        self.expr.metric = Some(metric.into());
        self.expr.csls = None;
        self
    }

    /// Subtracts from each vector its own mean.
    #[must_use]
    pub fn center(self) -> Self {
        self.step(Step::Center)
    }

    /// Subtracts the mean vector of the view's records.
    #[must_use]
    pub fn center_corpus(self) -> Self {
        self.step(Step::CenterCorpus)
    }

    /// Subtracts from queries the mean of the stored sample of queries of this name, from records the mean of the
    /// view's records.
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::view("raw").center_sides("asked").csls(10, "asked");
    /// ```
    #[must_use]
    pub fn center_sides(self, sample: impl Into<String>) -> Self {
        self.step(Step::CenterSides(sample.into()))
    }

    /// Subtracts the records' mean and divides each dimension by its standard deviation over the records (at least a
    /// hundredth of the median one, so that dead dimensions stay dead).
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::view("raw").standardize().euclidean();
    /// ```
    #[must_use]
    pub fn standardize(self) -> Self {
        self.step(Step::Standardize)
    }

    /// Subtracts the records' mean and turns to the records' principal coordinates, each divided by its standard
    /// deviation (with a floor); the first `k` of them, or all.
    ///
    /// ```
    /// use simile::Lens;
    /// let (some, all) = (Lens::view("raw").whiten(64), Lens::view("raw").whiten(None));
    /// ```
    #[must_use]
    pub fn whiten(self, k: impl Into<Option<u32>>) -> Self {
        self.step(Step::Whiten(k.into()))
    }

    /// Subtracts the records' mean and removes the `k` directions in which the records vary most (Mu & Viswanath 2018);
    /// the dimension stays.
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::view("raw").drop_directions(2).cosine();
    /// ```
    #[must_use]
    pub fn drop_directions(self, k: u32) -> Self {
        self.step(Step::Drop(k))
    }

    /// Scales to unit Euclidean length.
    #[must_use]
    pub fn normalize(self) -> Self {
        self.step(Step::Normalize)
    }

    /// Keeps the first `k` dimensions.
    #[must_use]
    pub fn truncate(self, k: u32) -> Self {
        self.step(Step::Truncate(k))
    }

    /// Multiplies with the stored projection of this name.
    #[must_use]
    pub fn project(self, name: impl Into<String>) -> Self {
        self.step(Step::Project(ProjectionRef::One(name.into())))
    }

    /// Multiplies queries with one stored matrix and records with another.
    #[must_use]
    pub fn project_pair(self, query: impl Into<String>, record: impl Into<String>) -> Self {
        self.step(Step::Project(ProjectionRef::Pair(query.into(), record.into())))
    }

    /// Scores by the cosine of the angle.
    #[must_use]
    pub fn cosine(self) -> Self {
        self.metric(Metric::Cosine)
    }

    /// Scores by the inner product.
    #[must_use]
    pub fn dot(self) -> Self {
        self.metric(Metric::Dot)
    }

    /// Scores by Pearson's correlation.
    #[must_use]
    pub fn pearson(self) -> Self {
        self.metric(Metric::Pearson)
    }

    /// Ranks by Euclidean distance.
    #[must_use]
    pub fn euclidean(self) -> Self {
        self.metric(Metric::Euclidean)
    }

    /// Ranks by the edit distance of the texts.
    #[must_use]
    pub fn levenshtein(self) -> Self {
        self.metric(Metric::Levenshtein)
    }

    /// Shows the score of a saved, calibrated lens as a probability, 0 to 1, and ranks by the score.
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::saved("answering").probability();
    /// ```
    #[must_use]
    pub fn probability(self) -> Self {
        self.metric(Metric::Probability)
    }

    /// Corrects the metric for hubs: takes off half the mean of the record's `neighbours` highest scores with the
    /// queries of a stored sample (Conneau et al. 2018). Choose the metric first; where none was, it is the cosine.
    ///
    /// ```
    /// use simile::Lens;
    /// let lens = Lens::view("raw").cosine().csls(10, "asked");
    /// ```
    #[must_use]
    pub fn csls(mut self, neighbours: u32, sample: impl Into<String>) -> Self {
        self.expr.metric.get_or_insert(Metric::Cosine.into());
        self.expr.csls = Some((neighbours, sample.into()).into());
        self
    }

    pub(crate) fn into_expr(self) -> LensExpr {
        self.expr
    }
}

/// A condition on metadata, for [`FindBuilder::filter`]. It nests as deep as a written one may, 64 `not` or groups; a search
/// refuses what goes deeper.
///
/// ```
/// use simile::Filter;
/// let recent = Filter::ge("year", 2020).and(Filter::eq("draft", true).not());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Never deeper than one more than statements may nest: so deep it is refused when it is used, and what would go deeper
    /// is not taken in. However many are put into each other, nothing that follows the tree runs out of stack.
    expr: Expr,
    /// How deep it nests.
    depth: usize,
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(field: impl Into<String>, value: impl Into<Value>) -> Self {
                let value = literal(value.into());
                Filter::of_field(Expr::Compare { field: name(field), op: CompareOp::$op, value })
            }
        )*
    };
}

impl Filter {
    pub(crate) fn into_expr(self) -> Expr {
        self.expr
    }

    fn of_field(expr: Expr) -> Self {
        Filter { expr, depth: 0 }
    }

    /// How deep it nests where a condition of several stands in parentheses.
    fn depth_in(&self, groups: impl Fn(&Expr) -> bool) -> usize {
        self.depth + usize::from(groups(&self.expr))
    }

    comparison! {
        /// `field = value`
        eq => Eq;
        /// `field != value`; records without the field are not among them.
        ne => Ne;
        /// `field < value`
        lt => Lt;
        /// `field <= value`
        le => Le;
        /// `field > value`
        gt => Gt;
        /// `field >= value`
        ge => Ge;
    }

    /// `field in (values)`
    pub fn one_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(|value| literal(value.into())).collect();
        Filter::of_field(Expr::In { field: name(field), values })
    }

    /// `field has item`: the list contains it.
    pub fn has(field: impl Into<String>, item: impl Into<String>) -> Self {
        Filter::of_field(Expr::Has { field: name(field), value: Literal::Text(item.into()).into() })
    }

    /// `field is null`
    pub fn is_null(field: impl Into<String>) -> Self {
        Filter::of_field(Expr::IsNull { field: name(field), negated: false })
    }

    /// `field is not null`
    pub fn is_not_null(field: impl Into<String>) -> Self {
        Filter::of_field(Expr::IsNull { field: name(field), negated: true })
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Filter) -> Self {
        let groups = |expr: &Expr| matches!(expr, Expr::And(_) | Expr::Or(_));
        let own = if matches!(self.expr, Expr::And(_)) { self.depth } else { self.depth_in(groups) };
        let depth = own.max(other.depth_in(groups));
        if depth > NESTING + 1 {
            return if own >= depth { self } else { other };
        }
        let mut parts = match self.expr {
            Expr::And(parts) => parts,
            single => vec![single],
        };
        parts.push(other.expr);
        Filter { expr: Expr::And(parts), depth }
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Filter) -> Self {
        let groups = |expr: &Expr| matches!(expr, Expr::Or(_));
        let depth = self.depth.max(other.depth_in(groups));
        if depth > NESTING + 1 {
            return if self.depth >= depth { self } else { other };
        }
        let mut parts = match self.expr {
            Expr::Or(parts) => parts,
            single => vec![single],
        };
        parts.push(other.expr);
        Filter { expr: Expr::Or(parts), depth }
    }

    /// The opposite; what is unknown stays unknown.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it stands beside `and` and `or`, which are methods too")]
    pub fn not(self) -> Self {
        let depth = 1 + self.depth_in(|expr| matches!(expr, Expr::And(_) | Expr::Or(_)));
        if depth > NESTING + 2 {
            return self;
        }
        Filter { expr: Expr::Not(Box::new(self.expr)), depth }
    }
}

fn name(name: impl Into<String>) -> Name {
    Spanned::from(name.into())
}

/// A value as a constant. What no condition can be compared with becomes text of itself, which the type check
/// refuses for any field it does not fit.
fn literal(value: Value) -> Spanned<Literal> {
    Spanned::from(match value {
        Value::Null => Literal::Null,
        Value::Bool(v) => Literal::Bool(v),
        Value::Integer(v) => Literal::Integer(v),
        Value::Float(v) => Literal::Float(v),
        Value::Text(v) => Literal::Text(v),
        other @ (Value::TextList(_) | Value::Json(_)) => Literal::Text(other.to_string()),
    })
}

/// A search being put together; made by [`Snapshot::find`].
#[derive(Debug, Clone)]
#[must_use = "nothing is searched before `run`"]
pub struct FindBuilder {
    snapshot: Snapshot,
    find: Find,
    params: Params,
    control: Control,
}

impl FindBuilder {
    pub(crate) fn new(snapshot: &Snapshot, source: Source) -> Self {
        let find = Find {
            source: source.tree().into(),
            collection: String::new().into(),
            lens: LensExpr::default(),
            output: Output::default(),
        };
        FindBuilder { snapshot: snapshot.clone(), find, params: Params::new(), control: Control::default() }
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
        self.find.output.filter = Some(filter.expr);
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
        compare_tree(&self.snapshot, lenses, self.find, &self.params, &self.control)
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
        why_tree(&self.snapshot, id.into(), self.find, &self.params, &self.control)
    }

    /// The prepared search, to be run more than once.
    ///
    /// # Errors
    /// As [`Snapshot::query`].
    pub fn prepare(self) -> Result<Query> {
        Ok(Query::from_tree(&self.snapshot, self.find, self.params)?.control(self.control))
    }

    /// Runs the search. [`FindBuilder::prepare`] gives a search that can also say percentiles.
    ///
    /// # Errors
    /// As [`Query::run`].
    pub fn run(self) -> Result<Answer> {
        self.prepare()?.run()
    }
}
