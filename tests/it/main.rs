//! The one integration binary; what it holds is in the modules.
//!
//! `store`, `store_model` and `store_damage` hold the store to its promises, `beside` runs readers beside a writer,
//! `query` shows what users see of mistakes, `cli` drives the program, `regressions` has what went wrong elsewhere,
//! `library` is an app with failing code of its own, `fixture` opens a store of format 1, `hostile` has what attacks on
//! a store folder did, `fuzz_replay` runs the fuzz corpora, `tidy` reads the sources.
#![allow(clippy::unwrap_used, reason = "a failing unwrap in a test is a failing test")]
#![allow(clippy::disallowed_methods, reason = "tests look at files behind the back of the code")]

mod beside;
mod cli;
mod fixture;
mod fuzz_replay;
mod hostile;
mod library;
mod query;
mod regressions;
mod store;
mod store_damage;
mod store_model;
mod tidy;
mod tour;
mod turns;
