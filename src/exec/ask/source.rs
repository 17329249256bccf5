//! What to look for, put together in Rust.
//!
//! Owns [`Source`]. Nothing is looked up here; names are settled when the search runs.

use crate::query::ast::{Operand, Source as SourceTree, Term};

/// What to look for: a text, a record's own vector, a vector, or a weighted sum of these.
///
/// ```
/// use simile::Source;
/// let queen = Source::id("king") - Source::id("man") + 0.5 * Source::text("woman");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    terms: Vec<(f64, Operand)>,
}

impl Source {
    /// A text, embedded as the view embeds its records.
    pub fn text(text: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Text(text.into()))] }
    }

    /// The vector of the record with this id.
    pub fn id(id: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Id(id.into()))] }
    }

    /// A vector of the view.
    pub fn vector(vector: &[f32]) -> Self {
        Source { terms: vec![(1.0, Operand::Vector(vector.iter().map(|&v| f64::from(v)).collect()))] }
    }

    /// A parameter, bound later by [`Query::bind`](crate::Query::bind).
    pub fn param(name: impl Into<String>) -> Self {
        Source { terms: vec![(1.0, Operand::Param(name.into()))] }
    }

    pub(super) fn tree(self) -> SourceTree {
        SourceTree {
            terms: self.terms.into_iter().map(|(weight, operand)| Term { weight, operand: operand.into() }).collect(),
        }
    }
}

impl std::ops::Mul<Source> for f64 {
    type Output = Source;

    fn mul(self, mut source: Source) -> Source {
        for (weight, _) in &mut source.terms {
            *weight *= self;
        }
        source
    }
}

impl std::ops::Add for Source {
    type Output = Source;

    fn add(mut self, other: Source) -> Source {
        self.terms.extend(other.terms);
        self
    }
}

impl std::ops::Sub for Source {
    type Output = Source;

    fn sub(self, other: Source) -> Source {
        self + -1.0 * other
    }
}
