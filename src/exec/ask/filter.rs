//! A condition on metadata, put together in Rust.
//!
//! Owns [`Filter`] and how deep one may nest. Fields and their types are settled when the search runs.

use crate::query::ast::{CompareOp, Expr, Literal, Name, Spanned};
use crate::types::Value;
use crate::types::limits::NESTING;

/// A condition on metadata, for [`FindBuilder::filter`](crate::FindBuilder::filter). It nests as deep as a written one may, 64 `not` or groups; a search
/// refuses what goes deeper.
///
/// ```
/// use simile::Filter;
/// let recent = Filter::ge("year", 2020).and(Filter::eq("draft", true).not());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Never deeper than one more than statements may nest: so deep it is refused when it is used, and what would go deeper
    /// is not taken in. However many are put into each other, nothing that follows the tree runs out of stack.
    expr: Expr,
    /// How deep it nests.
    depth: usize,
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(field: impl Into<String>, value: impl Into<Value>) -> Self {
                let value = literal(value.into());
                Filter::of_field(Expr::Compare { field: name(field), op: CompareOp::$op, value })
            }
        )*
    };
}

impl Filter {
    pub(super) fn into_expr(self) -> Expr {
        self.expr
    }

    fn of_field(expr: Expr) -> Self {
        Filter { expr, depth: 0 }
    }

    /// How deep it nests where a condition of several stands in parentheses.
    fn depth_in(&self, groups: impl Fn(&Expr) -> bool) -> usize {
        self.depth + usize::from(groups(&self.expr))
    }

    comparison! {
        /// `field = value`
        eq => Eq;
        /// `field != value`; records without the field are not among them.
        ne => Ne;
        /// `field < value`
        lt => Lt;
        /// `field <= value`
        le => Le;
        /// `field > value`
        gt => Gt;
        /// `field >= value`
        ge => Ge;
    }

    /// `field in (values)`
    pub fn one_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(|value| literal(value.into())).collect();
        Filter::of_field(Expr::In { field: name(field), values })
    }

    /// `field has item`: the list contains it.
    pub fn has(field: impl Into<String>, item: impl Into<String>) -> Self {
        Filter::of_field(Expr::Has { field: name(field), value: Literal::Text(item.into()).into() })
    }

    /// `field is null`
    pub fn is_null(field: impl Into<String>) -> Self {
        Filter::of_field(Expr::IsNull { field: name(field), negated: false })
    }

    /// `field is not null`
    pub fn is_not_null(field: impl Into<String>) -> Self {
        Filter::of_field(Expr::IsNull { field: name(field), negated: true })
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Filter) -> Self {
        let groups = |expr: &Expr| matches!(expr, Expr::And(_) | Expr::Or(_));
        let own = if matches!(self.expr, Expr::And(_)) { self.depth } else { self.depth_in(groups) };
        let depth = own.max(other.depth_in(groups));
        if depth > NESTING + 1 {
            return if own >= depth { self } else { other };
        }
        let mut parts = match self.expr {
            Expr::And(parts) => parts,
            single => vec![single],
        };
        parts.push(other.expr);
        Filter { expr: Expr::And(parts), depth }
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Filter) -> Self {
        let groups = |expr: &Expr| matches!(expr, Expr::Or(_));
        let depth = self.depth.max(other.depth_in(groups));
        if depth > NESTING + 1 {
            return if self.depth >= depth { self } else { other };
        }
        let mut parts = match self.expr {
            Expr::Or(parts) => parts,
            single => vec![single],
        };
        parts.push(other.expr);
        Filter { expr: Expr::Or(parts), depth }
    }

    /// The opposite; what is unknown stays unknown.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it stands beside `and` and `or`, which are methods too")]
    pub fn not(self) -> Self {
        let depth = 1 + self.depth_in(|expr| matches!(expr, Expr::And(_) | Expr::Or(_)));
        if depth > NESTING + 2 {
            return self;
        }
        Filter { expr: Expr::Not(Box::new(self.expr)), depth }
    }
}

fn name(name: impl Into<String>) -> Name {
    Spanned::from(name.into())
}

/// A value as a constant. What no condition can be compared with becomes text of itself, which the type check
/// refuses for any field it does not fit.
fn literal(value: Value) -> Spanned<Literal> {
    Spanned::from(match value {
        Value::Null => Literal::Null,
        Value::Bool(v) => Literal::Bool(v),
        Value::Integer(v) => Literal::Integer(v),
        Value::Float(v) => Literal::Float(v),
        Value::Text(v) => Literal::Text(v),
        other @ (Value::TextList(_) | Value::Json(_)) => Literal::Text(other.to_string()),
    })
}
