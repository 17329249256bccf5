//! In what respect records are compared, put together in Rust.
//!
//! Owns [`Lens`]. Nothing is looked up here; names are settled when the search runs, with the same errors as for a
//! written statement.

use crate::query::ast::{LensBase, LensExpr};
use crate::types::{Metric, ProjectionRef, Step};

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

    pub(super) fn into_expr(self) -> LensExpr {
        self.expr
    }
}
