//! How a search is asked for in Rust: the same tree that the parser makes, and searches to be run more than once.
//!
//! `lens`, `filter` and `source` are the parts of a search, `find` and `pairs` put one together, and `placed` checks
//! what was made by hand as a written statement is. `query` runs a search again and again; `matching` asks a condition
//! alone.

mod filter;
mod find;
mod lens;
mod matching;
mod pairs;
mod placed;
mod query;
mod source;

pub use filter::Filter;
pub use find::FindBuilder;
pub use lens::Lens;
pub use pairs::PairsBuilder;
pub use query::Query;
pub use source::Source;
