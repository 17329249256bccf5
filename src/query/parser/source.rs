//! The source of a search: terms with weights.

use super::common::{bad_number, is_number, kind, number, spanned};
use crate::query::ast::{Operand, Source, Spanned, Term};
use crate::query::bounds::Fault;
use crate::query::mistake::{Fix, Mistake, Parsed, described};
use crate::query::repair;
use crate::query::scene::Edit;
use crate::query::token::{Kind, Token, Tokens};
use crate::types::limits::LIST_VALUES;
use nom::Parser;
use nom::combinator::opt;

/// `term { (+|-) term }`
pub(super) fn source(i: Tokens<'_>) -> Parsed<'_, Spanned<Source>> {
    let start = i.first().start;
    let (mut i, sign) = opt(kind(Kind::Minus)).parse(i)?;
    let mut negative = sign.is_some();
    let mut terms = Vec::new();
    loop {
        let (rest, term) = term(i, negative, terms.len())?;
        let end = term.operand.span.end;
        terms.push(term);
        let operator = rest.first();
        negative = match operator.kind {
            Kind::Plus => false,
            Kind::Minus if operator.spaced => true,
            Kind::Minus => return unspaced_minus(&operator).fail(),
            _ => return Ok((rest, spanned(Source { terms }, start..end))),
        };
        i = rest.rest();
    }
}

fn unspaced_minus(operator: &Token<'_>) -> Mistake {
    Mistake::at(operator, "parse::unspaced_minus", "a binary `-` has a space before it")
        .hint("ids may contain `-`, so the space tells them apart")
        .fix(Fix::edit(Edit::replace(operator.span(), " - ")))
}

/// `[number *] operand`; `negative` is the sign of the operator before it.
fn term(i: Tokens<'_>, negative: bool, position: usize) -> Parsed<'_, Term> {
    let signed = |weight: f64| if negative { -weight } else { weight };
    let first = i.first();
    let weighted = first.kind == Kind::Number || (first.kind == Kind::Minus && i.peek(1).kind == Kind::Number);
    if !weighted {
        let (i, operand) = operand(i, position)?;
        return Ok((i, Term { weight: signed(1.0), operand }));
    }
    let (rest, weight) = number("a weight").parse(i)?;
    let weight = signed(weight.float().map_err(nom::Err::Failure)?);
    let (rest, star) = opt(kind(Kind::Star)).parse(rest)?;
    if star.is_none() {
        let next = rest.first();
        let mistake =
            Mistake::at(&next, "parse::expected", format!("expected `*` after a weight, found {}", described(&next)));
        let starts_operand = matches!(next.kind, Kind::Text | Kind::Id | Kind::Param | Kind::OpenBracket);
        let fix =
            if starts_operand { Fix::edit(Edit::insert(next.start, "* ")) } else { Fix::By(repair::quote_source) };
        return mistake.expected("*").fix(fix).fail();
    }
    let (i, operand) = operand(rest, position)?;
    Ok((i, Term { weight, operand }))
}

/// A string, an id, a vector or a parameter.
fn operand(i: Tokens<'_>, position: usize) -> Parsed<'_, Spanned<Operand>> {
    let token = i.first();
    let operand = match token.kind {
        Kind::Text => Operand::Text(token.content()),
        Kind::Id => Operand::Id(token.content()),
        Kind::Param => Operand::Param(token.content()),
        Kind::OpenBracket => return vector(i),
        _ => return no_operand(i, position).fail(),
    };
    Ok((i.rest(), spanned(operand, token.span())))
}

fn no_operand(i: Tokens<'_>, position: usize) -> Mistake {
    let token = i.first();
    let mistake = Mistake::missing(&token, "something to look for").expected_any([
        "a text in quotes",
        "#id",
        "$param",
        "[numbers]",
    ]);
    match token.kind {
        Kind::Word if token.is("in") && position == 0 => {
            mistake.hint("as in `find \"lost keys\" in ...`").fix(Fix::edit(Edit::insert(token.start, "\"...\" ")))
        }
        Kind::Pipe | Kind::End | Kind::Invalid => mistake,
        Kind::Word if token.is("in") => mistake.fix(Fix::By(repair::drop_operator)),
        Kind::Word if position > 0 => mistake.hint("an id has a `#` before it").fix(Fix::By(repair::make_id)),
        Kind::Backtick => mistake.fix(Fix::By(repair::requote)),
        _ => mistake.hint("text stands in quotes").fix(Fix::By(repair::quote_source)),
    }
}

/// `[number, number, ...]`
fn vector(i: Tokens<'_>) -> Parsed<'_, Spanned<Operand>> {
    let open = i.first();
    let mut i = i.rest();
    let mut numbers = Vec::new();
    loop {
        let token = i.first();
        let starts_number = matches!(token.kind, Kind::Number | Kind::Minus);
        if !starts_number {
            return no_element(&open, &token, !numbers.is_empty()).fail();
        }
        if token.kind == Kind::Number && !is_number(token.text) {
            return bad_number(&token, "a number").fail();
        }
        let (rest, element) = number("a number").parse(i)?;
        if numbers.len() == LIST_VALUES {
            let message = format!("a vector in a statement has at most {LIST_VALUES} numbers");
            return Mistake::new("limit::list", message, element.span())
                .hint("longer ones are bound to a `$param`")
                .fail();
        }
        numbers.push(element.float().map_err(nom::Err::Failure)?);
        let separator = rest.first();
        match separator.kind {
            Kind::Comma => i = rest.rest(),
            Kind::CloseBracket => {
                let span = open.start..separator.end();
                return Ok((rest.rest(), spanned(Operand::Vector(numbers), span)));
            }
            Kind::Number | Kind::Minus => {
                return Mistake::missing(&separator, "`,` between numbers").fix(Fix::By(repair::separate)).fail();
            }
            _ => {
                return Mistake::missing(&separator, "`]`").fix(Fix::By(repair::close_bracket)).fail();
            }
        }
    }
}

/// Something else stands where an element of a vector should.
fn no_element(open: &Token<'_>, token: &Token<'_>, after_comma: bool) -> Mistake {
    let mistake = Mistake::missing(token, "a number");
    match token.kind {
        Kind::CloseBracket if after_comma => mistake.fix(Fix::By(repair::drop_comma)),
        Kind::CloseBracket => Mistake::of(Fault::empty_vector(), open.start..token.end()),
        Kind::Plus => mistake.hint("only a minus can be a sign").fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Word if token.is_any(&["nan", "inf", "infinity"]) => {
            Mistake::of(Fault::not_finite(), token.span()).expected("a number")
        }
        _ if after_comma => mistake.fix(Fix::By(repair::end_vector)),
        _ => mistake,
    }
}
