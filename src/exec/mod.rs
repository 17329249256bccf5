//! Level 4: statements against a snapshot, from names to answers.
//!
//! One type per stage: `resolve` turns a parsed search into a plan, `run` takes the plan through `filter`,
//! `source`, the scans and the records into an [`Answer`], `explain` says what that does. [`Query`] and
//! [`Session`] are what callers hold; `builder` makes the same tree as the parser. It renders nothing.

pub mod scan;

mod answer;
mod builder;
mod condition;
mod explain;
mod filter;
mod matching;
mod names;
mod params;
mod pinned;
mod plan;
mod prepared;
mod ready;
mod resolve;
mod run;
mod session;
mod source;
mod steps;
mod texts;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Hit, LensHeader, PinnedHeader, PlanInfo, ProjectionHeader};
pub use builder::{Filter, FindBuilder, Lens, Source};
pub use explain::{Explanation, Memory, Stage};
pub use params::{Param, Params};
pub use prepared::Query;
pub use session::{Listing, Reply, Saved, Session, is_write};
