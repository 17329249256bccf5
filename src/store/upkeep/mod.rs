//! Work on a whole store, through its handle: making it smaller, copying it, and saving what is left of it.

pub(in crate::store) mod backup;
pub(in crate::store) mod compact;
pub(in crate::store) mod salvage;
