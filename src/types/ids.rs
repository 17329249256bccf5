//! Numeric names: newtypes, so that a row cannot be passed where a segment is meant.
//!
//! All of them are stored on disk; none is ever reused for something else within one store.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A collection of one store.
    CollectionId(u32)
);
id!(
    /// A view of one collection; unique within the store, it names the folder of the view's segments.
    ViewId(u32)
);
id!(
    /// A segment file of one view; unique within the store.
    SegmentId(u32)
);
id!(
    /// A row of a collection, shared by all its views. Rows only grow until `compact` numbers them anew.
    RowId(u32)
);
id!(
    /// A record's stable key: it survives `compact`, so labels and caches can hold on to it.
    RecordKey(u64)
);
id!(
    /// The number of a commit; the first commit of a store is 1.
    CommitNumber(u64)
);
