//! The few numbers that folding needs of each record: what they are (`values`), and the ways to them.
//!
//! `passes` computes them in one pass, `quick` in single precision where a `shape` allows it, `moved` from earlier ones
//! after a mean has moved; `stored` takes them back from rows that `rows` wrote.

pub(in crate::lens) mod moved;
pub(in crate::lens) mod passes;
pub(in crate::lens) mod quick;
pub(in crate::lens) mod rows;
pub(in crate::lens) mod shape;
pub mod stored;
pub(in crate::lens) mod values;

pub(in crate::lens) use values::{Scalars, keep};
