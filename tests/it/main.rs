//! Integration tests: one binary, a module for each subject.

mod fuzz_replay;
mod query;
mod store;
mod store_damage;
mod store_model;
mod tidy;
