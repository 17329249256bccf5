//! Tokens to the typed tree, with nom.
//!
//! Every function looks at the token ahead, commits, and never returns: a mistake behind a keyword is a failure
//! with a message of its own (nom's `cut`), so parsing is linear and no message is lost to an alternative.

mod common;
mod condition;
mod source;
mod stage;

use super::ast::{Find, Name, Pairs, Show, Statement};
use super::mistake::{Fix, Mistake, Parsed, described, shown};
use super::name::is_keyword;
use super::printer::print_id;
use super::repair;
use super::scene::Edit;
use super::stages::Context;
use super::suggest;
use super::token::{Kind, Tokens};
use common::{end, is_misspelt, keyword, kind, name, required, spanned};
pub(super) use condition::whole_condition;
use nom::Parser;
use nom::combinator::opt;
use stage::{lens_stages, search_stages};

/// Every word a statement begins with.
const STATEMENTS: [&str; 8] = ["find", "pairs", "explain", "compare", "why", "let", "drop", "show"];

/// Words of other languages for ours.
const STATEMENT_ALIASES: [(&str, &str); 12] = [
    ("select", "find"),
    ("search", "find"),
    ("query", "find"),
    ("get", "find"),
    ("match", "find"),
    ("nearest", "find"),
    ("duplicates", "pairs"),
    ("list", "show"),
    ("describe", "show"),
    ("delete", "drop"),
    ("define", "let"),
    ("set", "let"),
];

/// One whole statement.
pub(super) fn statement(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let first = i.first();
    let word = first.text.to_ascii_lowercase();
    let rest = i.rest();
    let (i, statement) = match word.as_str() {
        "find" => find(i).map(|(i, find)| (i, Statement::Find(find)))?,
        "pairs" => pairs(rest)?,
        "explain" => explain(rest)?,
        "compare" => compare(rest)?,
        "why" => why(rest)?,
        "let" => definition(rest)?,
        "drop" => {
            let (i, name) = name("the name of a lens").parse(rest)?;
            (i, Statement::Drop { name })
        }
        "show" => show(rest)?,
        _ => return no_statement(i).fail(),
    };
    let (i, ()) = end(i)?;
    Ok((i, statement))
}

/// `find source in COLLECTION { | stage }`
fn find(i: Tokens<'_>) -> Parsed<'_, Find> {
    let token = i.first();
    if !token.is("find") && token.kind == Kind::Word && !is_misspelt(&token, "find") {
        return Mistake::missing(&token, "`find`").expected("find").fail();
    }
    let (i, _) = required("find", &[]).parse(i)?;
    let (i, source) = source::source(i)?;
    let (i, collection) = place(i)?;
    let (i, (lens, output)) = search_stages(i)?;
    Ok((i, Find { source, collection, lens, output }))
}

/// `in COLLECTION`
fn place(i: Tokens<'_>) -> Parsed<'_, Name> {
    let token = i.first();
    if !token.is("in") {
        return no_place(i).fail();
    }
    name("the name of a collection").parse(i.rest())
}

fn no_place(i: Tokens<'_>) -> Mistake {
    let (token, next) = (i.first(), i.peek(1));
    let message = format!("expected `in` and the name of a collection, found {}", described(&token));
    let mistake = Mistake::at(&token, "parse::missing_in", message).expected("in");
    let names = matches!(next.kind, Kind::Word | Kind::Backtick | Kind::Text);
    match token.kind {
        Kind::Text | Kind::Id | Kind::Param | Kind::OpenBracket => {
            mistake.expected_any(["+", "-"]).fix(Fix::edit(Edit::insert(token.start, "+ ")))
        }
        Kind::Star => {
            mistake.expected_any(["+", "-"]).hint("a weight stands first: `2 * #id`").fix(Fix::By(repair::weight_first))
        }
        Kind::Word
            if names
                && (token.is_any(&["from", "into", "within", "among", "on", "of", "inside"])
                    || is_misspelt(&token, "in")) =>
        {
            mistake.did_you_mean(&token, "in")
        }
        Kind::Word | Kind::Backtick => mistake.fix(Fix::edit(Edit::insert(token.start, "in "))),
        _ => mistake.hint("a search says where: `find ... in COLLECTION`").fix(Fix::By(repair::move_place)),
    }
}

/// `pairs in COLLECTION { | stage }`
fn pairs(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let (i, collection) = place(i)?;
    let (i, (lens, output)) = search_stages(i)?;
    Ok((i, Statement::Pairs(Pairs { collection, lens, output })))
}

/// `explain [analyze] find`
fn explain(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let (i, analyze) = opt(keyword("analyze")).parse(i)?;
    let token = i.first();
    if analyze.is_none() && (token.is("analyse") || (is_misspelt(&token, "analyze") && !token.is("find"))) {
        return Mistake::missing(&token, "`find` or `analyze`")
            .expected_any(["find", "analyze"])
            .did_you_mean(&token, "analyze")
            .fail();
    }
    let (i, find) = find(i)?;
    Ok((i, Statement::Explain { analyze: analyze.is_some(), find }))
}

/// `compare NAME, NAME ...: find`
fn compare(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let (mut i, first) = name("the name of a lens").parse(i)?;
    let mut lenses = vec![first];
    loop {
        let token = i.first();
        match token.kind {
            Kind::Comma => {
                let (rest, lens) = name("the name of a lens").parse(i.rest())?;
                lenses.push(lens);
                i = rest;
            }
            Kind::Colon if lenses.len() >= 2 => break,
            Kind::Colon => {
                return Mistake::missing(&token, "`,` and a second lens to compare with").expected(",").fail();
            }
            _ => return no_colon(i, lenses.len()).fail(),
        }
    }
    let (i, find) = find(i.rest())?;
    Ok((i, Statement::Compare { lenses, find }))
}

/// Neither `,` nor `:` stands behind a lens to compare.
fn no_colon(i: Tokens<'_>, lenses: usize) -> Mistake {
    let token = i.first();
    let mistake = Mistake::missing(&token, "`,` or `:`");
    match token.kind {
        Kind::Word if token.is("find") => mistake.fix(Fix::By(repair::colon_before)),
        Kind::Word if token.is_any(&["and", "with", "to", "vs", "versus"]) => mistake.fix(Fix::By(repair::comma_for)),
        Kind::Plus => mistake.fix(Fix::replace(&token, ",")),
        Kind::Word if lenses == 1 || !is_keyword(token.text) => mistake.fix(Fix::By(repair::comma_before)),
        _ => mistake,
    }
}

/// `why #id: find`
fn why(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let token = i.first();
    if token.kind != Kind::Id {
        let mistake = Mistake::missing(&token, "#id");
        return match token.kind {
            Kind::Word if !token.is("find") => mistake.did_you_mean(&token, &print_id(token.text)).fail(),
            Kind::Text => mistake.did_you_mean(&token, &print_id(&token.content())).fail(),
            _ => mistake.fail(),
        };
    }
    let id = spanned(token.content(), token.span());
    let i = i.rest();
    let (rest, colon) = opt(kind(Kind::Colon)).parse(i)?;
    if colon.is_none() {
        let mistake = Mistake::missing(&i.first(), "`:`");
        let glued = token.text.len() > 5 && token.text.to_ascii_lowercase().ends_with(":find");
        let fix = if glued { Fix::By(repair::unglue_find) } else { Fix::By(repair::colon_before) };
        return mistake.fix(fix).fail();
    }
    let (i, find) = find(rest)?;
    Ok((i, Statement::Why { id, find }))
}

/// `let NAME = stages`
fn definition(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let (i, name) = name("the name of a lens").parse(i)?;
    let token = i.first();
    if token.kind != Kind::Equal {
        let mistake = Mistake::missing(&token, "`=`");
        let replace = token.kind == Kind::Colon || token.is_foreign("==") || token.is_any(&["be", "as", "is", "to"]);
        let fix = if replace { Fix::replace(&token, "=") } else { Fix::edit(Edit::insert(token.start, "= ")) };
        return mistake.fix(fix).fail();
    }
    let (i, lens) = lens_stages(i.rest())?;
    Ok((i, Statement::Let { name, lens }))
}

/// `show WHAT`
fn show(i: Tokens<'_>) -> Parsed<'_, Statement> {
    let token = i.first();
    if let Some(what) = Show::ALL.into_iter().find(|what| token.is(what.as_str())) {
        return Ok((i.rest(), Statement::Show(spanned(what, token.span()))));
    }
    let words = Show::ALL.into_iter().map(Show::as_str);
    let mistake = Mistake::missing(&token, "what to show").expected_any(words.clone());
    match suggest(token.text, words) {
        Some(word) if token.kind == Kind::Word => mistake.did_you_mean(&token, &word).fail(),
        _ => mistake.fail(),
    }
}

/// The statement begins with something else.
fn no_statement(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    let starts_source =
        matches!(token.kind, Kind::Text | Kind::Id | Kind::Param | Kind::Number | Kind::OpenBracket | Kind::Minus);
    if token.kind == Kind::End {
        return Mistake::at(&token, "parse::empty", "the statement is empty")
            .expected_any(STATEMENTS)
            .hint("a search is written `find \"lost keys\" in COLLECTION | top 5`");
    }
    let message = format!("a statement begins with a verb, not with {}", described(&token));
    let mistake = Mistake::at(&token, "parse::unknown_statement", message).expected_any(STATEMENTS);
    if starts_source {
        return mistake.hint("did you mean `find`?").fix(Fix::edit(Edit::insert(token.start, "find ")));
    }
    if token.kind != Kind::Word {
        return mistake;
    }
    let alias = STATEMENT_ALIASES.iter().find(|(alias, _)| token.is(alias)).map(|(_, word)| (*word).to_string());
    if let Some(word) = alias.or_else(|| suggest(token.text, STATEMENTS.into_iter())) {
        return mistake.did_you_mean(&token, &word);
    }
    if Context::Search.knows(token.text) {
        return mistake.hint(format!(
            "{} is a stage of a search: `find ... in COLLECTION | {} ...`",
            shown(token.text),
            token.text.to_lowercase()
        ));
    }
    mistake
}
