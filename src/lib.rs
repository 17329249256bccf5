//! simile: an embedded vector store in which every search says what it means by "similar".
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failing unwrap in a test is a failing test"))]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files of their own"))]

#[doc(hidden)]
pub mod bench_support;
pub(crate) mod catalog;
#[doc(hidden)]
pub mod cli;
pub mod error;
pub(crate) mod exec;
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod interchange;
pub mod learn;
pub(crate) mod lens;
pub(crate) mod linalg;
pub mod query;
pub(crate) mod segment;
pub(crate) mod storage;
pub mod store;
pub mod text;
pub mod types;

pub use error::{Damage, Error, ErrorKind, QueryError, Result};
pub use exec::{
    Answer, Explanation, Filter, FindBuilder, Hit, Lens, LensHeader, Listing, Param, Params, PinnedHeader, PlanInfo,
    ProjectionHeader, Query, Reply, Saved, Session, Source, Stage, is_write,
};
pub use store::{Snapshot, Store};
pub use types::{Record, Value};
