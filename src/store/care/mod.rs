//! What keeps a store honest: putting it in order when it is opened, and checking it.

pub(in crate::store) mod check;
pub(in crate::store) mod recover;
