//! What is kept beside records: lenses with their projections, samples, labels and what was learned.

pub(in crate::store) mod backgrounds;
pub(in crate::store) mod fit;
pub(in crate::store) mod heads;
pub(in crate::store) mod labels;
pub(in crate::store) mod learned;
pub(in crate::store) mod lenses;
pub(in crate::store) mod question;
pub(in crate::store) mod samples;
