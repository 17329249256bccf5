//! The one integration binary; what it holds is in the modules.
//!
//! `tidy` reads the sources, `cli` drives the program.
#![allow(clippy::unwrap_used, reason = "a failing unwrap in a test is a failing test")]

mod query;
mod tidy;
