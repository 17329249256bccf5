//! Level 4: statements against a snapshot, from names to answers.
//!
//! One type per stage: `resolve` turns a parsed search into a plan, `run` takes the plan through `filter`,
//! `source`, the scans and the records into an [`Answer`], `explain` says what that does. [`Query`] and
//! [`Session`] are what callers hold; `builder` makes the same tree as the parser. It renders nothing.

pub mod scan;

mod analyze;
mod answer;
mod background;
mod blend;
mod builder;
mod compare;
mod condition;
mod explain;
mod filter;
mod held;
mod instant;
mod matching;
mod materialize;
mod names;
mod pairs;
mod params;
mod path;
mod pinned;
mod plan;
mod prepared;
mod probability;
mod questions;
mod ready;
mod resolve;
mod run;
mod sample;
mod session;
mod source;
mod steps;
mod texts;
mod why;

#[cfg(test)]
mod tests;

pub use analyze::{Analysis, AnalyzedStatistic};
pub use answer::{
    Answer, BackgroundHeader, BlendHeader, CalibrationHeader, CslsHeader, Hit, LensHeader, PinnedHeader, PlanInfo,
    ProjectionHeader,
};
pub(crate) use background::of_saved as backgrounds_of;
pub use builder::{Filter, FindBuilder, Lens, Source};
pub use compare::{Agreement, Comparison};
pub use explain::{Explanation, Memory, Stage};
pub use materialize::{Materialized, materialize};
pub use pairs::{Pair, PairRecord, Pairs, PairsBuilder};
pub use params::{Param, Params};
pub(crate) use pinned::pin_chain;
pub use prepared::Query;
pub(crate) use probability::{map_text, probability as probability_of, probability_error};
pub use sample::SampleHeader;
pub use session::{Listing, Reply, Saved, Session, is_write};
pub(crate) use source::embed_texts;
pub use why::{Background, CalibratedValue, Change, Place, Standing, Why, WhyPart, WhyStep, WhyTerm};
