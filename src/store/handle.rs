//! The store's handle: open, create, snapshot, begin.
