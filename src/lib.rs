//! simile: an embedded vector store in which every search says what it means by "similar".
//!
//! A [`Store`] is a folder. A [`Batch`](store::Batch) writes to it, durably and all or nothing; a [`Snapshot`] reads
//! one commit of it. A search names its lens: which text of a record (a view), what is done to the vectors (steps),
//! and the metric.
//!
//! ```
//! use simile::{Lens, Record, Source, Store};
//!
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("notes.simile");
//! let store = Store::create(&path)?;
//! let mut batch = store.begin()?;
//! let mut notes = batch.collection("notes")?;
//! notes.insert(Record::new("n1", "They are in my pocket.").field("year", 2024))?;
//! notes.insert(Record::new("n2", "The cat is asleep.").field("year", 2019))?;
//! batch.commit()?;
//!
//! let snapshot = store.snapshot()?;
//! // In the query language, with a value bound to a name,
//! let answer = snapshot.query("find $q in notes | where year > 2020 | top 5")?.bind("q", "pockets").run()?;
//! assert_eq!(answer.hits()[0].id(), "n1");
//! // or with a builder that makes the same tree.
//! let lens = Lens::view("raw").center_corpus().cosine();
//! let answer = snapshot.find(Source::text("a kitten")).in_collection("notes").lens(lens).top(5).run()?;
//! assert_eq!(answer.hits()[0].id(), "n2");
//! println!("{}", answer.statement); // what it meant, every default included
//! # Ok::<(), simile::Error>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failing unwrap in a test is a failing test"))]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files of their own"))]

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod bench_support;
pub(crate) mod catalog;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod error;
pub(crate) mod exec;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod interchange;
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
    Agreement, Analysis, AnalyzedStatistic, Answer, Background, BackgroundHeader, BlendHeader, CalibratedValue,
    CalibrationHeader, Change, Comparison, CslsHeader, Explanation, Filter, FindBuilder, Hit, Lens, LensHeader,
    Listing, Materialized, Memory, Pair, PairRecord, Pairs, PairsBuilder, Param, Params, PinnedHeader, Place, PlanInfo,
    ProjectionHeader, Query, Reply, SampleHeader, Saved, SearchPath, Session, Source, Stage, Standing, Why, WhyPart,
    WhyStep, WhyTerm, is_write, materialize,
};
pub use store::{Snapshot, Store};
pub use types::{Record, Value};

/// The README's code runs, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
