//! The stages behind a source: base, steps, score, and what restricts the answer, in their order.

use super::common::{count, is_misspelt, keyword, kind, name, number, required, spanned};
use super::condition::condition;
use crate::query::ast::{Bound, LensBase, LensExpr, Name, Output, Spanned};
use crate::query::bounds::{DIMENSIONS, DIRECTIONS, HITS, NEIGHBOURS};
use crate::query::mistake::{Fix, Mistake, Parsed, described, shown};
use crate::query::name::METRICS;
use crate::query::scene::Edit;
use crate::query::stages::{Context, Order, Rank, lookup};
use crate::query::token::{Kind, Token, Tokens};
use crate::query::{blame, repair};
use crate::types::{Metric, ProjectionRef, Step};
use nom::Parser;
use nom::combinator::opt;
use nom::sequence::preceded;

/// What has been read so far.
struct Draft {
    lens: LensExpr,
    output: Output,
    order: Order,
}

impl Draft {
    fn new(context: Context) -> Draft {
        Draft { lens: LensExpr::default(), output: Output::default(), order: Order::new(context) }
    }
}

/// `{ | stage }` up to the end of the statement.
pub(super) fn search_stages(mut i: Tokens<'_>) -> Parsed<'_, (LensExpr, Output)> {
    let mut draft = Draft::new(Context::Search);
    loop {
        i = match i.first().kind {
            Kind::End => return Ok((i, (draft.lens, draft.output))),
            Kind::Pipe => stage(i.rest(), &mut draft)?.0,
            _ => return blame::no_pipe(i, &draft.order).fail(),
        };
    }
}

/// `stage { | stage }`, the body of `let`.
pub(super) fn lens_stages(i: Tokens<'_>) -> Parsed<'_, LensExpr> {
    let mut draft = Draft::new(Context::Lens);
    let mut i = stage(i, &mut draft)?.0;
    loop {
        i = match i.first().kind {
            Kind::End => return Ok((i, draft.lens)),
            Kind::Pipe => stage(i.rest(), &mut draft)?.0,
            _ => return blame::no_pipe(i, &draft.order).fail(),
        };
    }
}

/// One stage, behind its `|`.
fn stage<'a>(i: Tokens<'a>, draft: &mut Draft) -> Parsed<'a, ()> {
    let token = i.first();
    let known = if token.kind == Kind::Word { lookup(token.text) } else { None };
    let Some((word, rank)) = known else { return blame::unknown_stage(i, &draft.order).fail() };
    if let Err(why) = draft.order.enter(word, rank) {
        return blame::misplaced(&token, word, why).fail();
    }
    let rest = i.rest();
    match rank {
        Rank::Base => base(rest, word).map(|(i, base)| (i, draft.lens.base = base)),
        Rank::Step => {
            let (i, step) = step(rest, word)?;
            let end = token.end().max(end_before(rest, i));
            draft.lens.steps.push(spanned(step, token.start..end));
            Ok((i, ()))
        }
        Rank::Score => score(rest, &mut draft.lens),
        _ => restriction(i, word, &mut draft.output),
    }
}

/// The end of the last token between `start` and `rest`.
fn end_before(start: Tokens<'_>, rest: Tokens<'_>) -> usize {
    let taken = start.0.len() - rest.0.len();
    start.0[..taken].last().map_or(0, Token::end)
}

fn base<'a>(i: Tokens<'a>, word: &str) -> Parsed<'a, LensBase> {
    match word {
        "view" => name("the name of a view").map(LensBase::View).parse(i),
        "using" => name("the name of a lens").map(LensBase::Using).parse(i),
        _ => blend(i).map(|(i, parts)| (i, LensBase::Blend(parts))),
    }
}

/// `W * LENS { (+|-) W * LENS }`
fn blend(mut i: Tokens<'_>) -> Parsed<'_, Vec<(f64, Name)>> {
    let mut parts = Vec::new();
    let mut negative = false;
    loop {
        let token = i.first();
        if matches!(token.kind, Kind::Word | Kind::Backtick) {
            return Mistake::missing(&token, "a weight")
                .hint("as in `blend 0.7 * topic + 0.3 * nationality`")
                .fix(Fix::edit(Edit::insert(token.start, "1 * ")))
                .fail();
        }
        let (rest, weight) = number("a weight").parse(i)?;
        let weight = weight.float().map_err(nom::Err::Failure)?;
        let (rest, star) = opt(kind(Kind::Star)).parse(rest)?;
        if star.is_none() {
            let token = rest.first();
            return Mistake::missing(&token, "`*`").fix(Fix::edit(Edit::insert(token.start, "* "))).fail();
        }
        let (rest, lens) = name("the name of a lens").parse(rest)?;
        parts.push((if negative { -weight } else { weight }, lens));
        negative = match rest.first().kind {
            Kind::Plus => false,
            Kind::Minus => true,
            Kind::Comma => {
                let token = rest.first();
                return Mistake::missing(&token, "`+`").fix(Fix::replace(&token, " +")).fail();
            }
            _ => return Ok((rest, parts)),
        };
        i = rest.rest();
    }
}

fn step<'a>(i: Tokens<'a>, word: &str) -> Parsed<'a, Step> {
    match word {
        "center" => center(i),
        "normalize" => Ok((i, Step::Normalize)),
        "standardize" => Ok((i, Step::Standardize)),
        "whiten" if matches!(i.first().kind, Kind::Number | Kind::Minus) => {
            count(DIMENSIONS.0, 1, DIMENSIONS.1).map(|k| Step::Whiten(Some(k.node as u32))).parse(i)
        }
        "whiten" => Ok((i, Step::Whiten(None))),
        "drop" => count(DIRECTIONS.0, 0, DIRECTIONS.1).map(|k| Step::Drop(k.node as u32)).parse(i),
        "truncate" => count(DIMENSIONS.0, 1, DIMENSIONS.1).map(|k| Step::Truncate(k.node as u32)).parse(i),
        _ => project(i),
    }
}

/// `center`, `center corpus`, `center sides from SAMPLE`, behind `center`.
fn center(i: Tokens<'_>) -> Parsed<'_, Step> {
    let token = i.first();
    if token.is("corpus") {
        return Ok((i.rest(), Step::CenterCorpus));
    }
    if token.is("sides") {
        let (i, _) = required("from", &["by", "with", "of", "using"]).parse(i.rest())?;
        return name("the name of a sample").map(|sample| Step::CenterSides(sample.node)).parse(i);
    }
    if token.kind == Kind::Word && lookup(token.text).is_none() {
        return blame::bad_center(&token).fail();
    }
    Ok((i, Step::Center))
}

/// `project NAME` and `project A -> B`, behind `project`.
fn project(i: Tokens<'_>) -> Parsed<'_, Step> {
    const WHAT: &str = "the name of a projection";
    let (i, query) = name(WHAT).parse(i)?;
    let token = i.first();
    let meant =
        token.is_foreign("=>") || matches!(token.kind, Kind::Minus | Kind::Greater | Kind::Comma) || token.is("to");
    if meant {
        return Mistake::missing(&token, "`->` or `|`").expected("->").fix(Fix::replace(&token, " ->")).fail();
    }
    let (i, record) = opt(preceded(kind(Kind::Arrow), name(WHAT))).parse(i)?;
    let step = match record {
        Some(record) => ProjectionRef::Pair(query.node, record.node),
        None => ProjectionRef::One(query.node),
    };
    Ok((i, Step::Project(step)))
}

/// `METRIC [csls K from SAMPLE]`, behind `score`.
fn score<'a>(i: Tokens<'a>, lens: &mut LensExpr) -> Parsed<'a, ()> {
    let (i, metric) = metric(i)?;
    lens.metric = Some(metric);
    let (rest, csls) = opt(keyword("csls")).parse(i)?;
    let Some(csls) = csls else { return Ok((rest, ())) };
    let (rest, neighbours) = count(NEIGHBOURS.0, 1, NEIGHBOURS.1).parse(rest)?;
    let (rest, _) = required("from", &["of", "with", "by", "using"]).parse(rest)?;
    let (rest, sample) = name("the name of a sample").parse(rest)?;
    lens.csls = Some(spanned((neighbours.node as u32, sample.node), csls.start..sample.span.end));
    Ok((rest, ()))
}

fn metric(i: Tokens<'_>) -> Parsed<'_, Spanned<Metric>> {
    let token = i.first();
    match METRICS.into_iter().find(|metric| token.is(metric.as_str())) {
        Some(metric) => Ok((i.rest(), spanned(metric, token.span()))),
        None => blame::unknown_metric(i).fail(),
    }
}

/// The stages that restrict what is listed; `i` stands at the stage's word.
fn restriction<'a>(i: Tokens<'a>, word: &str, output: &mut Output) -> Parsed<'a, ()> {
    let token = i.first();
    let rest = i.rest();
    match word {
        "where" => condition(rest).map(|(i, filter)| (i, output.filter = Some(filter))),
        "above" | "within" => {
            let (i, number) = number("a number").parse(rest)?;
            let value = number.float().map_err(nom::Err::Failure)?;
            let bound = if word == "above" { Bound::Above(value) } else { Bound::Within(value) };
            output.bound = Some(spanned(bound, token.start..number.span().end));
            Ok((i, ()))
        }
        "skip" => count("a number of hits", 0, u64::MAX).parse(rest).map(|(i, n)| (i, output.skip = Some(n))),
        "top" => top(rest).map(|(i, n)| (i, output.top = Some(n))),
        "including" => required_self(rest).map(|(i, ())| (i, output.including_self = true)),
        _ => Ok((rest, output.exact = true)),
    }
}

/// The number behind `top`.
fn top(i: Tokens<'_>) -> Parsed<'_, Spanned<u64>> {
    let token = i.first();
    if matches!(token.kind, Kind::End | Kind::Pipe) {
        return Mistake::missing(&token, "a number of hits").fix(Fix::By(repair::top_ten)).fail();
    }
    let (rest, n) = count(HITS.0, 1, HITS.1).parse(i)?;
    let thousands = rest.first();
    if thousands.kind == Kind::Comma && rest.peek(1).kind == Kind::Number {
        return Mistake::at(&thousands, "parse::bad_number", "numbers have no separators")
            .fix(Fix::edit(Edit::delete(thousands.span())))
            .fail();
    }
    Ok((rest, n))
}

fn required_self(i: Tokens<'_>) -> Parsed<'_, ()> {
    let token = i.first();
    if token.is("self") {
        return Ok((i.rest(), ()));
    }
    let message = format!("expected `self` after `including`, found {}", described(&token));
    let mistake = Mistake::at(&token, "parse::expected", message).expected("self");
    if is_misspelt(&token, "self") {
        return mistake.did_you_mean(&token, "self").fail();
    }
    mistake.hint(format!("as in {}", shown("including self"))).fix(Fix::By(repair::say_self)).fail()
}
