//! What statements answer: plain data that outlives the store it came from.
//!
//! Owns the public results and how they describe themselves. Nothing here is computed or looked up; `header` says in
//! what respect records were compared, the others what was found, and `statement` and `kept` what was done.

mod answer;
mod comparison;
mod explanation;
mod header;
mod kept;
mod pairs;
mod statement;
mod why;

pub(super) use answer::NOTHING_SIMILAR;
pub use answer::{Answer, Hit, PlanInfo, SearchPath};
pub use comparison::{Agreement, Comparison};
pub use explanation::{Explanation, Memory, Stage};
pub use header::{
    BackgroundHeader, BlendHeader, CalibrationHeader, CslsHeader, LensHeader, PinnedHeader, ProjectionHeader,
    SampleHeader,
};
pub use kept::{Analysis, AnalyzedStatistic, Materialized};
pub use pairs::{Pair, PairRecord, Pairs};
pub use statement::{Listing, Reply, Saved};
pub use why::{Background, CalibratedValue, Change, Place, Standing, Why, WhyPart, WhyStep, WhyTerm};
