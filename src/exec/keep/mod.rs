//! What is kept of a saved lens, computed from the records: statistics, the values of random pairs, processed rows.
//!
//! Lowest first: `pin` and `backgrounds` compute, `analyze` brings up to date, `materialize` keeps rows. The store
//! writes it.

mod analyze;
mod materialize;

pub(crate) mod backgrounds;
pub(crate) mod pin;

pub use materialize::materialize;
