//! simile: an embedded vector store in which every search says what it means by "similar".
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failing unwrap in a test is a failing test"))]

#[doc(hidden)]
pub mod bench_support;
pub(crate) mod catalog;
pub mod error;
pub(crate) mod exec;
pub(crate) mod interchange;
pub(crate) mod lens;
pub(crate) mod linalg;
pub mod query;
pub(crate) mod segment;
pub(crate) mod storage;
pub mod text;
pub mod types;

pub use error::{Damage, Error, ErrorKind, QueryError, Result};
pub use types::{Record, Value};
