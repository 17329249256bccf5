//! Writing: the batch, what it changes of collections and views, and the order of its commit.

pub(in crate::store) mod alike;
pub(in crate::store) mod append;
pub(in crate::store) mod batch;
pub(in crate::store) mod commit;
pub(in crate::store) mod define;
pub(in crate::store) mod derived;
pub(in crate::store) mod fill;
pub(in crate::store) mod flush;
pub(in crate::store) mod garbage;
pub(in crate::store) mod state;
pub(in crate::store) mod validate;
pub(in crate::store) mod writer;
