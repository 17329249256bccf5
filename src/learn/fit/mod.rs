//! Fitting matrices to labelled pairs: numbers in, numbers out.
//!
//! Owns the loss, the closed forms, the training loop and the choice among them by validation. It works on plain arrays
//! (row-major `f32`, sums in `f64`) and knows no store, no label set and no gate. The same examples, order and seed
//! give the same bits whatever the number of threads; the formulas and settings are those that held up on public sets:
//! the loss of van den Oord et al. 2018 in both directions, from the identity, with means of both sides and a cosine at
//! the end.

pub(crate) mod examples;
mod infonce;
mod lda;
mod loops;
pub(crate) mod rank;
mod ridge;
pub(crate) mod select;
mod step;
pub(crate) mod watch;

#[cfg(test)]
mod tests;

pub(crate) use examples::{Examples, Relevance};
pub(crate) use rank::{Answered, Matrices, Pull, figures, pulls};
pub(crate) use select::{Fitted, Form, Order, fit, own_rows, with_peers};
pub use watch::LearnProgress;
pub(crate) use watch::Watch;
