//! Conditions on metadata, by precedence climbing: `or` binds weakest, then `and`, then `not`.

use super::common::{bad_number, end, is_number, number, spanned};
use crate::query::ast::{CompareOp, Expr, Literal, Name, Spanned};
use crate::query::bounds::Fault;
use crate::query::mistake::{Fix, Mistake, Parsed};
use crate::query::name::RESERVED_IN_CONDITIONS;
use crate::query::scene::Edit;
use crate::query::token::{Kind, Token, Tokens};
use crate::query::{blame, repair};
use crate::types::limits::{LIST_VALUES, NESTING};
use nom::Parser;

/// The words that join conditions, weakest first; the position is the binding power.
const JOINS: [&str; 2] = ["or", "and"];

/// A condition inside a statement.
pub(super) fn condition(i: Tokens<'_>) -> Parsed<'_, Expr> {
    joined(i, 0, 0)
}

/// A text that is one condition and nothing else.
pub(in crate::query) fn whole_condition(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let first = i.first();
    if first.kind == Kind::End {
        return Mistake::at(&first, "parse::empty", "the condition is empty")
            .expected("a condition such as `year > 2020`")
            .fail();
    }
    let field = compare_op(i.peek(1).kind).is_some() || i.peek(1).is_any(&["in", "has", "is"]);
    if first.is("where") && !field {
        return Mistake::at(&first, "parse::unexpected", "the condition stands alone, without `where`")
            .fix(Fix::edit(Edit::delete(first.start..i.peek(1).start)))
            .fail();
    }
    let (i, expr) = condition(i)?;
    if i.first().kind != Kind::End {
        return blame::behind_condition(i).fail();
    }
    let (i, ()) = end(i)?;
    Ok((i, expr))
}

/// Operands joined by `JOINS[power]`, each of them joined by what binds more strongly.
fn joined(i: Tokens<'_>, power: usize, depth: usize) -> Parsed<'_, Expr> {
    let Some(word) = JOINS.get(power) else { return negated(i, depth) };
    let (mut i, first) = joined(i, power + 1, depth)?;
    if !i.first().is(word) {
        return Ok((i, first));
    }
    let mut operands = vec![first];
    while i.first().is(word) {
        let (rest, operand) = joined(i.rest(), power + 1, depth)?;
        operands.push(operand);
        i = rest;
    }
    Ok((i, if power == 0 { Expr::Or(operands) } else { Expr::And(operands) }))
}

/// `{ not } ( "(" condition ")" | comparison )`
fn negated(i: Tokens<'_>, depth: usize) -> Parsed<'_, Expr> {
    let token = i.first();
    let nests = token.is("not") || token.kind == Kind::Open;
    if !nests {
        return comparison(i);
    }
    if depth == NESTING {
        return Mistake::of(Fault::nesting(), token.span()).fail();
    }
    if token.is("not") {
        let (i, inner) = negated(i.rest(), depth + 1)?;
        return Ok((i, Expr::Not(Box::new(inner))));
    }
    let (i, inner) = joined(i.rest(), 0, depth + 1)?;
    if i.first().kind == Kind::Close { Ok((i.rest(), inner)) } else { blame::unclosed_group(i).fail() }
}

/// `field OP value` and the other conditions on one field.
fn comparison(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let (i, field) = field(i)?;
    let token = i.first();
    let rest = i.rest();
    if let Some(op) = compare_op(token.kind) {
        let next = rest.first();
        if next.is("null") && matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return blame::compared_with_null(&token, &next, op == CompareOp::Ne).fail();
        }
        let (i, value) = value(rest)?;
        return Ok((i, Expr::Compare { field, op, value }));
    }
    match token.text.to_ascii_lowercase().as_str() {
        "in" => list(rest).map(|(i, values)| (i, Expr::In { field, values })),
        "has" => value(rest).map(|(i, value)| (i, Expr::Has { field, value })),
        "is" => is_null(rest).map(|(i, negated)| (i, Expr::IsNull { field, negated })),
        _ => blame::no_operator(i).fail(),
    }
}

fn compare_op(kind: Kind) -> Option<CompareOp> {
    Some(match kind {
        Kind::Equal => CompareOp::Eq,
        Kind::NotEqual => CompareOp::Ne,
        Kind::Less => CompareOp::Lt,
        Kind::LessEqual => CompareOp::Le,
        Kind::Greater => CompareOp::Gt,
        Kind::GreaterEqual => CompareOp::Ge,
        _ => return None,
    })
}

/// A field: a bare word that is not reserved here, or any name in backticks.
fn field(i: Tokens<'_>) -> Parsed<'_, Name> {
    let token = i.first();
    match token.kind {
        Kind::Backtick => Ok((i.rest(), spanned(token.content(), token.span()))),
        Kind::Word if !token.is_any(RESERVED_IN_CONDITIONS) => {
            Ok((i.rest(), spanned(token.text.to_string(), token.span())))
        }
        _ => blame::no_field(i).fail(),
    }
}

/// `null` or `not null`, behind `is`.
fn is_null(i: Tokens<'_>) -> Parsed<'_, bool> {
    let (negated, at) = if i.first().is("not") { (true, i.rest()) } else { (false, i) };
    if at.first().is("null") { Ok((at.rest(), negated)) } else { blame::not_null(i, negated).fail() }
}

/// A constant.
fn value(i: Tokens<'_>) -> Parsed<'_, Spanned<Literal>> {
    let token = i.first();
    let literal = match token.kind {
        Kind::Text => Literal::Text(token.content()),
        Kind::Param => Literal::Param(token.content()),
        Kind::Word if token.is("true") => Literal::Bool(true),
        Kind::Word if token.is("false") => Literal::Bool(false),
        Kind::Number if !is_number(token.text) => return bad_value(&token).fail(),
        Kind::Number | Kind::Minus => return numeric(i),
        _ => return blame::no_value(i).fail(),
    };
    Ok((i.rest(), spanned(literal, token.span())))
}

fn numeric(i: Tokens<'_>) -> Parsed<'_, Spanned<Literal>> {
    let (i, number) = number("a value").parse(i)?;
    let literal = if number.is_integer() {
        Literal::Integer(number.integer().map_err(nom::Err::Failure)?)
    } else {
        Literal::Float(number.float().map_err(nom::Err::Failure)?)
    };
    Ok((i, spanned(literal, number.span())))
}

/// A number token that is none; dates and versions are text.
fn bad_value(token: &Token<'_>) -> Mistake {
    let mistake = bad_number(token, "a value");
    if token.text.contains(['-', ':']) || token.text.matches('.').count() > 1 {
        return mistake.hint("dates are text, in quotes").fix(Fix::replace(token, format!("\"{}\"", token.text)));
    }
    if matches!(mistake.fix, Fix::None) {
        return mistake.hint("text stands in quotes").fix(Fix::replace(token, format!("\"{}\"", token.text)));
    }
    mistake
}

/// `(value, value, ...)`
fn list(i: Tokens<'_>) -> Parsed<'_, Vec<Spanned<Literal>>> {
    let open = i.first();
    if open.kind != Kind::Open {
        return blame::no_list(i).fail();
    }
    let mut i = i.rest();
    let mut values = Vec::new();
    loop {
        let token = i.first();
        if token.kind == Kind::Close {
            return blame::early_close(&open, &token, !values.is_empty()).fail();
        }
        if values.len() == LIST_VALUES {
            return Mistake::of(Fault::list(), token.span()).fail();
        }
        let (rest, value) = value(i)?;
        values.push(value);
        let separator = rest.first();
        i = match separator.kind {
            Kind::Comma => rest.rest(),
            Kind::Close => return Ok((rest.rest(), values)),
            Kind::Text | Kind::Number | Kind::Minus | Kind::Param => {
                return Mistake::missing(&separator, "`,` between values").fix(Fix::By(repair::separate)).fail();
            }
            _ => return blame::unclosed_group(rest).fail(),
        };
    }
}
