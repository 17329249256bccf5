//! The scan: the best k rows of a view under a prepared lens.
//!
//! One pass over the allowed rows computes one `f32` product each and keeps the rows that may be among the best
//! (`screen`, with `quick` tests); those are scored again in `f64` from the raw row (`finish`), and only these scores
//! are compared and shown. So an answer is the same bits for any number of threads, for one query or many, filtered or
//! not. `one_lens` is that for a lens alone, `stand_in` over rows that are kept of it, `blend` for a weighted sum of
//! lenses, `pairs` for all rows against each other. It knows no records and no names.

mod bits;
mod blend;
mod blend_quick;
#[cfg(test)]
mod blend_tests;
mod finish;
mod one_lens;
mod pairs;
#[cfg(test)]
mod pairs_tests;
mod quick;
mod screen;
mod stand_in;
#[cfg(test)]
mod tests;
mod wanted;
mod watched;
mod weighted;

pub use blend::{count_before, scan_blend};
pub use one_lens::{scan, scan_batch};
pub use pairs::{PairScan, scan_pairs};
pub use stand_in::{StandIn, scan_stand_in};
pub use wanted::{ScanResult, Scored};
pub use watched::Watched;
pub use weighted::{Blend, KeptRows, WeightedLens};
