//! Level 4: statements against a snapshot, from names to answers.
//!
//! Each folder looks only at those before it. `reply`: what statements answer, plain data. `settle`: a parsed search
//! becomes a typed plan. `run`: a plan is run over the rows. `tell`: what can be told of a search beyond its hits.
//! `ask`: searches put together in Rust. `keep`: what is kept of a saved lens. [`Session`] runs statements of every
//! kind, with `listings` for `show`. It renders nothing.

mod ask;
mod keep;
mod listings;
mod reply;
mod run;
mod session;
mod settle;
mod tell;

#[cfg(test)]
mod tests;

pub use ask::{Filter, FindBuilder, Lens, PairsBuilder, Query, Source};
pub(crate) use keep::backgrounds::of_saved as backgrounds_of;
pub use keep::materialize;
pub(crate) use keep::pin::pin_chain;
pub use reply::{
    Agreement, Analysis, AnalyzedStatistic, Answer, Background, BackgroundHeader, BlendHeader, CalibratedValue,
    CalibrationHeader, Change, Comparison, CslsHeader, Explanation, Hit, LensHeader, Listing, Materialized, Memory,
    Pair, PairRecord, Pairs, PinnedHeader, Place, PlanInfo, ProjectionHeader, Reply, SampleHeader, Saved, SearchPath,
    Stage, Standing, Why, WhyPart, WhyStep, WhyTerm,
};
pub use run::scan;
pub use session::{Session, is_write};
pub(crate) use settle::embed::embed_texts;
pub use settle::params::{Param, Params};
#[cfg(feature = "cli")]
pub(crate) use settle::probability::map_text;
pub(crate) use settle::probability::{probability as probability_of, probability_error};
