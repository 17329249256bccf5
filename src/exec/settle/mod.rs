//! From a parsed search to a typed plan: every name settled, every default filled in, every mistake answered.
//!
//! Lowest first: `names` words the errors, `params` and `instant` are values, `condition` types what stands behind
//! `where`. `plan` is what comes out. `embed` and `sample` make vectors of stored questions, `steps` fetches what a
//! chain names, `probability` and `calibration` read a score as one, `lens` and `blend` settle in what respect records
//! are compared, and `search` puts all of it together, and `pairs` does so without a source; `header` and `statistics`
//! say what was settled. Definitions are read here, and no record and no row.

pub(crate) mod blend;
pub(crate) mod calibration;
pub(crate) mod condition;
pub(crate) mod embed;
pub(crate) mod header;
pub(crate) mod instant;
pub(crate) mod lens;
pub(crate) mod names;
pub(crate) mod pairs;
pub(crate) mod params;
pub(crate) mod plan;
pub(crate) mod probability;
pub(crate) mod sample;
pub(crate) mod search;
pub(crate) mod statistics;
pub(crate) mod steps;
