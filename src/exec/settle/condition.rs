//! Conditions whose fields exist and whose constants fit them: `where` after names and types are settled.
//!
//! Owns the typing rules of `where` and every error they can end in. It knows no column and no row: `filter` runs
//! what stands here. A [`Condition`] never compares a field with a constant of another kind, so running one can
//! only fail on damaged bytes.

use super::instant::OwnedInstant;
use super::names::{Site, one_of};
use super::params::{Param, Params};
use crate::error::{QueryError, Result};
use crate::query::ast::{CompareOp, Expr, Literal, Name, Spanned};
use crate::types::FieldType;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

/// A number of the language, kept apart so that whole numbers are compared exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    /// Compares without rounding: 2^53 + 1 is greater than 2^53 as a float.
    pub(crate) fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
            // No NaN reaches a column or a statement; were there one, it would sort after every number.
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())),
            (Number::Integer(a), Number::Float(b)) => integer_with_float(a, b),
            (Number::Float(a), Number::Integer(b)) => integer_with_float(b, a).reverse(),
        }
    }
}

fn integer_with_float(integer: i64, float: f64) -> Ordering {
    // 2^63 is a float, the largest i64 is not: everything from 2^63 on is above all integers.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() || float >= TOO_LARGE {
        return Ordering::Less;
    }
    if float < -TOO_LARGE {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    // In range by the two checks above, so the cast is exact.
    integer.cmp(&(whole as i64)).then_with(|| {
        let rest = float - whole;
        if rest > 0.0 {
            Ordering::Less
        } else if rest < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

/// What is asked of one value that is not null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// Text against text that is no date or time, by its bytes.
    Text(CompareOp, String),
    /// Text against a date or time, which stands behind it as it was written: as instants where the text is one as
    /// well, else by its bytes.
    Instant(CompareOp, OwnedInstant, String),
    /// Text equal to one of these, or the same instant as one of those, which ascend.
    TextIn(HashSet<String>, Vec<OwnedInstant>),
    /// A number against a number, exactly.
    Number(CompareOp, Number),
    /// A number equal to one of these, ascending.
    NumberIn(Vec<Number>),
    /// A boolean equal to this (`true`) or different from it (`false` first).
    Bool(bool, bool),
    /// A boolean equal to one of these.
    BoolIn(Vec<bool>),
    /// A list of text that contains this.
    Has(String),
}

/// A condition that is ready to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// A test of one field; unknown where the field is null.
    Field {
        field: String,
        test: Test,
    },
    /// Whether a field is null (`true`) or not; never unknown.
    IsNull {
        field: String,
        wanted: bool,
    },
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// Whether `ordering` of field to constant satisfies `op`.
pub(crate) fn holds(op: CompareOp, ordering: Ordering) -> bool {
    match op {
        CompareOp::Eq => ordering.is_eq(),
        CompareOp::Ne => ordering.is_ne(),
        CompareOp::Lt => ordering.is_lt(),
        CompareOp::Le => ordering.is_le(),
        CompareOp::Gt => ordering.is_gt(),
        CompareOp::Ge => ordering.is_ge(),
    }
}

/// Settles names and types of `expr` against a collection's fields.
///
/// # Errors
/// A query error at the field or constant that does not fit, with what would.
pub(crate) fn check(
    expr: &Expr,
    fields: &BTreeMap<String, FieldType>,
    params: &Params,
    site: &Site<'_>,
) -> Result<Condition> {
    let checker = Checker { fields, params, site };
    checker.expr(expr)
}

struct Checker<'a> {
    fields: &'a BTreeMap<String, FieldType>,
    params: &'a Params,
    site: &'a Site<'a>,
}

impl Checker<'_> {
    fn expr(&self, expr: &Expr) -> Result<Condition> {
        Ok(match expr {
            Expr::Compare { field, op, value } => self.compare(field, *op, value)?,
            Expr::In { field, values } => self.one_of(field, values)?,
            Expr::Has { field, value } => self.has(field, value)?,
            Expr::IsNull { field, negated } => {
                self.field(field)?;
                Condition::IsNull { field: field.node.clone(), wanted: !negated }
            }
            Expr::Not(inner) => Condition::Not(Box::new(self.expr(inner)?)),
            Expr::And(parts) => Condition::And(parts.iter().map(|part| self.expr(part)).collect::<Result<_>>()?),
            Expr::Or(parts) => Condition::Or(parts.iter().map(|part| self.expr(part)).collect::<Result<_>>()?),
        })
    }

    /// The field's type; unknown and unfilterable fields are errors.
    fn field(&self, name: &Name) -> Result<FieldType> {
        match self.fields.get(&name.node) {
            Some(FieldType::Json) => fail(
                self.site
                    .error(
                        "resolve::field_not_filterable",
                        format!("`{}` holds nested values: they are kept and shown, but cannot be filtered", name.node),
                        &name.span,
                    )
                    .expected(self.fields.iter().filter(|(_, t)| **t != FieldType::Json).map(|(n, _)| n.as_str())),
            ),
            Some(field_type) => Ok(*field_type),
            None => fail(self.site.no_such(
                "resolve::no_such_field",
                "field",
                &format!("no field `{}` in this collection", name.node),
                &name.span,
                &name.node,
                self.fields.keys().map(String::as_str),
            )),
        }
    }

    fn compare(&self, field: &Name, op: CompareOp, value: &Spanned<Literal>) -> Result<Condition> {
        let field_type = self.field(field)?;
        let literal = self.literal(value, field_type)?;
        if literal == Literal::Null {
            return fail(self.compared_with_null(field, op, value));
        }
        if field_type == FieldType::TextList {
            let wanted = if op == CompareOp::Ne { "not " } else { "" };
            return fail(self.list_needs_has(
                field,
                &format!("`{}` compares single values", symbol(op)),
                &[value],
                wanted,
            ));
        }
        let test = match (field_type, literal) {
            (FieldType::Text, Literal::Text(text)) => match OwnedInstant::parse(&text) {
                Some(instant) => Test::Instant(op, instant, text),
                None => Test::Text(op, text),
            },
            (FieldType::Integer, Literal::Integer(v)) => Test::Number(op, Number::Integer(v)),
            // Integers in a field that has become one of floats are floats, and so is what they are compared with.
            (FieldType::Float, Literal::Integer(v)) => Test::Number(op, Number::Float(v as f64)),
            (FieldType::Integer | FieldType::Float, Literal::Float(v)) => Test::Number(op, Number::Float(v)),
            (FieldType::Bool, Literal::Bool(v)) => match op {
                CompareOp::Eq => Test::Bool(true, v),
                CompareOp::Ne => Test::Bool(false, v),
                _ => {
                    return fail(
                        self.site
                            .error("resolve::no_order", "true and false have no order", &field.span)
                            .expected(["=", "!="]),
                    );
                }
            },
            (field_type, literal) => return fail(self.mismatch(field, field_type, &literal, value)),
        };
        Ok(Condition::Field { field: field.node.clone(), test })
    }

    fn one_of(&self, field: &Name, values: &[Spanned<Literal>]) -> Result<Condition> {
        let field_type = self.field(field)?;
        if field_type == FieldType::TextList {
            let values: Vec<_> = values.iter().collect();
            return fail(self.list_needs_has(field, "`in` compares single values", &values, ""));
        }
        let mut texts = HashSet::new();
        let mut instants = Vec::new();
        let mut numbers = Vec::new();
        let mut bools = Vec::new();
        for value in values {
            match (field_type, self.literal(value, field_type)?) {
                (_, Literal::Null) => {
                    return fail(
                        self.site
                            .error("resolve::null_comparison", "nothing equals null, also not in a list", &value.span)
                            .hint(format!("`{} is null` finds the records without it", field.node)),
                    );
                }
                (FieldType::Text, Literal::Text(text)) => match OwnedInstant::parse(&text) {
                    Some(instant) => instants.push(instant),
                    None => {
                        texts.insert(text);
                    }
                },
                (FieldType::Integer, Literal::Integer(v)) => numbers.push(Number::Integer(v)),
                (FieldType::Float, Literal::Integer(v)) => numbers.push(Number::Float(v as f64)),
                (FieldType::Integer | FieldType::Float, Literal::Float(v)) => numbers.push(Number::Float(v)),
                (FieldType::Bool, Literal::Bool(v)) => bools.push(v),
                (field_type, literal) => return fail(self.mismatch(field, field_type, &literal, value)),
            }
        }
        let test = match field_type {
            FieldType::Text => {
                instants.sort();
                Test::TextIn(texts, instants)
            }
            FieldType::Bool => Test::BoolIn(bools),
            _ => {
                numbers.sort_by(|a, b| a.compare(*b));
                Test::NumberIn(numbers)
            }
        };
        Ok(Condition::Field { field: field.node.clone(), test })
    }

    fn has(&self, field: &Name, value: &Spanned<Literal>) -> Result<Condition> {
        let field_type = self.field(field)?;
        let literal = self.literal(value, field_type)?;
        if field_type != FieldType::TextList {
            let error = self.site.error(
                "resolve::has_needs_list",
                format!("`{}` is {}; `has` asks a list", field.node, with_article(field_type)),
                &field.span,
            );
            let between = field.span.end..value.span.start;
            return fail(
                self.site.respell(error.hint(format!("write `{} =`", field.node)), &[(between, " = ".into())]),
            );
        }
        match literal {
            Literal::Text(text) => Ok(Condition::Field { field: field.node.clone(), test: Test::Has(text) }),
            other => fail(self.mismatch(field, field_type, &other, value)),
        }
    }

    /// The constant, with a parameter replaced by its value. Command lines and forms have only text to bind, so a
    /// bound text counts as a number or a boolean where the field is one and the text reads as one.
    fn literal(&self, value: &Spanned<Literal>, field_type: FieldType) -> Result<Literal> {
        let Literal::Param(name) = &value.node else { return Ok(value.node.clone()) };
        match self.params.get(name) {
            Some(Param::Text(text)) => Ok(read_as(text, field_type).unwrap_or_else(|| Literal::Text(text.clone()))),
            Some(Param::Integer(v)) => Ok(Literal::Integer(*v)),
            Some(Param::Float(v)) if v.is_finite() => Ok(Literal::Float(*v)),
            Some(Param::Float(v)) => {
                fail(self.site.error("resolve::param_type", format!("`${name}` is {v}, not a number"), &value.span))
            }
            Some(Param::Bool(v)) => Ok(Literal::Bool(*v)),
            Some(Param::Vector(_)) => fail(self.site.error(
                "resolve::param_type",
                format!("`${name}` is a vector; a condition takes text, a number or a boolean"),
                &value.span,
            )),
            None => fail(self.site.unbound(name, &value.span)),
        }
    }

    fn compared_with_null(&self, field: &Name, op: CompareOp, value: &Spanned<Literal>) -> QueryError {
        let instead = if op == CompareOp::Ne { " is not null" } else { " is null" };
        let error = self
            .site
            .error("resolve::null_comparison", "a comparison with null is never true", &value.span)
            .hint(format!("write `{}{instead}`", field.node));
        self.site.respell(error, &[(field.span.end..value.span.end, instead.into())])
    }

    /// `=`, `!=`, `<` or `in` on a list of text.
    fn list_needs_has(&self, field: &Name, why: &str, values: &[&Spanned<Literal>], prefix: &str) -> QueryError {
        let error = self
            .site
            .error("resolve::list_needs_has", format!("`{}` is a list of text; {why}", field.node), &field.span)
            .hint(format!("`{} has \"...\"` finds the lists that contain a value", field.node));
        match values {
            [value] if !value.span.is_empty() && value.span.start >= field.span.end => self.site.respell(
                error,
                &[
                    (field.span.start..field.span.start, prefix.into()),
                    // A list of one value ends in a parenthesis, which the splice must not orphan.
                    (field.span.end..value.span.start, " has ".into()),
                    (value.span.end..self.after_list(value.span.end, field.span.end..value.span.start), String::new()),
                ],
            ),
            _ => error,
        }
    }

    /// Where the list that opened in `before` closes, when it does right after `end`; else `end`.
    fn after_list(&self, end: usize, before: Range<usize>) -> usize {
        let opened = self.site.text().get(before).is_some_and(|between| between.contains('('));
        let rest = self.site.text().get(end..).unwrap_or("");
        let blanks = rest.len() - rest.trim_start().len();
        if opened && rest.trim_start().starts_with(')') { end + blanks + 1 } else { end }
    }

    fn mismatch(&self, field: &Name, field_type: FieldType, literal: &Literal, value: &Spanned<Literal>) -> QueryError {
        let error = self
            .site
            .error(
                "resolve::type_mismatch",
                format!(
                    "`{}` is {} and cannot be compared with {}",
                    field.node,
                    with_article(field_type),
                    kind(literal)
                ),
                &field.span,
            )
            .expected([constant_of(field_type)]);
        let written = matches!(value.node, Literal::Param(_)).then_some(());
        match (written, field_type, literal) {
            (None, FieldType::Integer | FieldType::Float, Literal::Text(text)) if text.parse::<f64>().is_ok() => {
                let error = error.hint(format!("numbers are written without quotes: {text}"));
                self.site.respell(error, &[(value.span.clone(), text.clone())])
            }
            (
                None,
                FieldType::Text | FieldType::TextList,
                Literal::Integer(_) | Literal::Float(_) | Literal::Bool(_),
            ) => {
                let quoted = format!("\"{}\"", self.site.text().get(value.span.clone()).unwrap_or_default());
                let error = error.hint(format!("text is written in quotes: {quoted}"));
                self.site.respell(error, &[(value.span.clone(), quoted)])
            }
            (None, FieldType::Bool, _) => error.hint(format!("booleans are written {}", one_of(&["true", "false"]))),
            _ => error,
        }
    }
}

/// `text` as a constant of a number or boolean field, if it reads as one.
fn read_as(text: &str, field_type: FieldType) -> Option<Literal> {
    match field_type {
        FieldType::Integer | FieldType::Float => {
            let integer = text.parse().map(Literal::Integer);
            let float = || text.parse().ok().filter(|v: &f64| v.is_finite()).map(Literal::Float);
            integer.ok().or_else(float)
        }
        FieldType::Bool => text.parse().ok().map(Literal::Bool),
        FieldType::Text | FieldType::TextList | FieldType::Json => None,
    }
}

fn fail<T>(error: QueryError) -> Result<T> {
    Err(error.into())
}

fn symbol(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "=",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

fn kind(literal: &Literal) -> &'static str {
    match literal {
        Literal::Text(_) => "text",
        Literal::Integer(_) => "an integer",
        Literal::Float(_) => "a float",
        Literal::Bool(_) => "a boolean",
        Literal::Null => "null",
        Literal::Param(_) => "a parameter",
    }
}

fn with_article(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text => "text",
        FieldType::Integer => "an integer",
        FieldType::Float => "a float",
        FieldType::Bool => "a boolean",
        FieldType::TextList => "a list of text",
        FieldType::Json => "a nested value",
    }
}

fn constant_of(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text | FieldType::TextList => "text in quotes",
        FieldType::Integer | FieldType::Float => "a number",
        FieldType::Bool => "true or false",
        FieldType::Json => "nothing",
    }
}
