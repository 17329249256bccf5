//! A condition on metadata, put together in Rust.
//!
//! Owns [`Filter`] and how deep one may nest. Fields and their types are settled when the search runs.

use crate::error::{QueryError, Result};
use crate::query::ast::{CompareOp, Expr, Literal, Name, Spanned};
use crate::types::Value;
use crate::types::limits::NESTING;

/// A condition on metadata, for [`FindBuilder::filter`](crate::FindBuilder::filter). It nests as deep as a written one
/// may, 64 `not` or groups; a search refuses what goes deeper.
///
/// ```
/// use simile::Filter;
/// let recent = Filter::ge("year", 2020).and(Filter::eq("draft", true).not());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// Never deeper than one more than statements may nest: so deep it is refused when it is used, and what would go
    /// deeper is not taken in. However many are put into each other, nothing that follows the tree runs out of stack.
    expr: Expr,
    /// How deep it nests.
    depth: usize,
    /// Why it is refused when it is used, in words: a constant of it is one that nothing can be compared with.
    refused: Option<String>,
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(field: impl Into<String>, value: impl Into<Value>) -> Self {
                let field = name(field);
                let mut refused = None;
                let value = literal(&field, value.into(), &mut refused);
                Filter { refused, ..Filter::of_field(Expr::Compare { field, op: CompareOp::$op, value }) }
            }
        )*
    };
}

impl Filter {
    /// The condition, unless a constant of it is a list or JSON.
    ///
    /// # Errors
    /// A query error that says what the field was compared with.
    pub(super) fn into_expr(self) -> Result<Expr> {
        let Some(message) = self.refused else { return Ok(self.expr) };
        let error = QueryError::new("resolve::type_mismatch", message, "", 0..0);
        Err(error.hint("`Filter::has` asks what a list contains, `Filter::one_of` for one of several values").into())
    }

    fn of_field(expr: Expr) -> Self {
        Filter { expr, depth: 0, refused: None }
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
        let field = name(field);
        let mut refused = None;
        let values = values.into_iter().map(|value| literal(&field, value.into(), &mut refused)).collect();
        Filter { refused, ..Filter::of_field(Expr::In { field, values }) }
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
        Filter { expr: Expr::And(parts), depth, refused: self.refused.or(other.refused) }
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
        Filter { expr: Expr::Or(parts), depth, refused: self.refused.or(other.refused) }
    }

    /// The opposite; what is unknown stays unknown.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it stands beside `and` and `or`, which are methods too")]
    pub fn not(self) -> Self {
        let depth = 1 + self.depth_in(|expr| matches!(expr, Expr::And(_) | Expr::Or(_)));
        if depth > NESTING + 2 {
            return self;
        }
        Filter { expr: Expr::Not(Box::new(self.expr)), depth, refused: self.refused }
    }
}

fn name(name: impl Into<String>) -> Name {
    Spanned::from(name.into())
}

/// A value as a constant for `field`, and in `refused` why it cannot be one.
fn literal(field: &Name, value: Value, refused: &mut Option<String>) -> Spanned<Literal> {
    let mut refuse = |what: &str| {
        refused.get_or_insert_with(|| format!("`{}` is compared with {what}, not with one value", field.node));
        Literal::Null
    };
    Spanned::from(match value {
        Value::Null => Literal::Null,
        Value::Bool(v) => Literal::Bool(v),
        Value::Integer(v) => Literal::Integer(v),
        Value::Float(v) => Literal::Float(v),
        Value::Text(v) => Literal::Text(v),
        Value::TextList(_) => refuse("a list"),
        Value::Json(_) => refuse("JSON"),
    })
}
