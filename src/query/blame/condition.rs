//! Mistakes in conditions: operators of other languages, missing quotes, unclosed groups.

use crate::query::bounds::Fault;
use crate::query::mistake::{Fix, Mistake, described, shown};
use crate::query::printer::print_field;
use crate::query::scene::Edit;
use crate::query::stages::lookup;
use crate::query::token::{Kind, Token, Tokens};
use crate::query::{repair, suggest};

/// Operators of other languages for ours.
const OPERATORS: [(&str, &str); 26] = [
    ("==", "="),
    (":", "="),
    ("<>", "!="),
    ("=<", "<="),
    ("=>", ">="),
    ("~", "has"),
    ("eq", "="),
    ("equals", "="),
    ("equal", "="),
    ("ne", "!="),
    ("neq", "!="),
    ("lt", "<"),
    ("lte", "<="),
    ("le", "<="),
    ("before", "<"),
    ("gt", ">"),
    ("gte", ">="),
    ("ge", ">="),
    ("after", ">"),
    ("contains", "has"),
    ("contain", "has"),
    ("include", "has"),
    ("includes", "has"),
    ("having", "has"),
    ("isnull", "is null"),
    ("exists", "is not null"),
];

/// What can stand behind a field.
const AFTER_FIELD: [&str; 9] = ["=", "!=", "<", "<=", ">", ">=", "in", "has", "is"];

fn compares(token: &Token<'_>) -> bool {
    use Kind::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    matches!(token.kind, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
}

fn operates(token: &Token<'_>) -> bool {
    compares(token) || token.is_any(&["in", "has", "is"]) || token.is_foreign("==") || token.is_foreign("<>")
}

/// A condition has ended, and what follows looks like more of it.
pub(super) fn continued_condition(i: Tokens<'_>) -> Option<Mistake> {
    let (token, next, third) = (i.first(), i.peek(1), i.peek(2));
    let joined = |word: &'static str| {
        let message = format!("conditions are joined by `{word}`, not by {}", shown(token.text));
        Mistake::at(&token, "parse::join", message).expected(word).fix(Fix::replace(&token, word))
    };
    let continues = next.kind == Kind::Open || next.is("not") || operates(&third) || next.is_foreign("!");
    if token.is_foreign("&&") || token.is_foreign("&") {
        return Some(joined("and"));
    }
    if token.is_foreign("||") && continues {
        return Some(joined("or"));
    }
    if token.kind == Kind::Comma && continues {
        return Some(joined("and"));
    }
    if token.kind == Kind::Word && lookup(token.text).is_none() {
        if operates(&next) {
            return Some(
                Mistake::missing(&token, "`and` or `or`")
                    .expected_any(["and", "or"])
                    .fix(Fix::edit(Edit::insert(token.start, "and "))),
            );
        }
        if let Some(word) = suggest(token.text, ["and", "or"].into_iter()).filter(|_| continues) {
            return Some(Mistake::missing(&token, "`and` or `or`").did_you_mean(&token, &word));
        }
    }
    None
}

/// A condition that stands alone has ended, and something follows.
pub(in crate::query) fn behind_condition(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    if let Some(mistake) = continued_condition(i) {
        return mistake;
    }
    let mistake = Mistake::missing(&token, "`and`, `or` or the end").expected_any(["and", "or"]);
    match token.kind {
        Kind::Close => mistake.hint("there is no `(` to close").fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Foreign if token.text == ";" => mistake.fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Pipe => mistake.hint("only a condition can stand here"),
        _ => mistake,
    }
}

/// A `(` whose `)` is missing.
pub(in crate::query) fn unclosed_group(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    if let Some(mistake) = continued_condition(i) {
        return mistake;
    }
    let message = format!("expected `)`, found {}", described(&token));
    Mistake::at(&token, "parse::unclosed", message).expected(")").fix(Fix::By(repair::close_group))
}

/// `= null` and `!= null`.
pub(in crate::query) fn compared_with_null(op: &Token<'_>, null: &Token<'_>, negated: bool) -> Mistake {
    let meant = if negated { "is not null" } else { "is null" };
    Mistake::new("parse::null", "nothing equals null", op.start..null.end())
        .expected(meant)
        .hint(format!("did you mean `{meant}`?"))
        .fix(Fix::edit(Edit::replace(op.start..null.end(), meant)))
}

/// Something else stands where a field should.
pub(in crate::query) fn no_field(i: Tokens<'_>) -> Mistake {
    let (token, next) = (i.first(), i.peek(1));
    let mistake = Mistake::missing(&token, "a condition").expected_any(["a field", "not", "("]);
    match token.kind {
        Kind::Text | Kind::Number | Kind::Param
            if compares(&next) && matches!(i.peek(2).kind, Kind::Word | Kind::Backtick) =>
        {
            mistake.hint("the field stands first").fix(Fix::By(repair::flip))
        }
        Kind::Text if operates(&next) => {
            let field = print_field(&token.content());
            mistake.hint("a field stands without quotes, or in backticks").fix(Fix::replace(&token, field))
        }
        Kind::Foreign if token.text == "!" => mistake.did_you_mean(&token, "not").fix(Fix::replace(&token, "not ")),
        Kind::Pipe | Kind::End | Kind::Close => mistake.fix(Fix::By(repair::drop_join)),
        _ if token.is_any(&["and", "or"]) => mistake.fix(Fix::edit(Edit::delete(token.span()))),
        _ if operates(&token) => mistake.hint("each condition names its field").fix(Fix::By(repair::repeat_field)),
        _ => mistake,
    }
}

/// Something else stands where an operator should.
pub(in crate::query) fn no_operator(i: Tokens<'_>) -> Mistake {
    let (token, next) = (i.first(), i.peek(1));
    let mistake = Mistake::missing(&token, "an operator").expected_any(AFTER_FIELD);
    if let Some((_, meant)) = OPERATORS.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(token.text)) {
        return mistake.did_you_mean(&token, meant);
    }
    match token.kind {
        Kind::Text | Kind::Number | Kind::Param => mistake.fix(Fix::edit(Edit::insert(token.start, "= "))),
        Kind::Foreign if token.text == "!" && next.kind == Kind::Equal => {
            mistake.fix(Fix::edit(Edit::replace(token.start..next.end(), "!=")))
        }
        Kind::End | Kind::Pipe | Kind::Close => {
            mistake.hint("a boolean field is compared with `true`").fix(Fix::By(repair::compare_with_true))
        }
        Kind::Word if token.is_any(&["and", "or"]) => {
            mistake.hint("a boolean field is compared with `true`").fix(Fix::By(repair::compare_with_true))
        }
        Kind::Word if token.is("not") => mistake.hint("`not` stands before the field").fix(Fix::By(repair::not_first)),
        Kind::Word if token.is("between") => mistake.hint("a range is two conditions").fix(Fix::By(repair::between)),
        Kind::Word if token.is_any(&["like", "ilike", "matches", "startswith", "starts", "regexp", "rlike"]) => {
            mistake.hint("text is compared as a whole; to look for words, search for them")
        }
        Kind::Word => match suggest(token.text, ["in", "has", "is"].into_iter()) {
            Some(word) => mistake.did_you_mean(&token, &word),
            None if operates(&next) => {
                mistake.hint("a field with a space in its name stands in backticks").fix(Fix::By(repair::quote_field))
            }
            None => mistake,
        },
        _ => mistake,
    }
}

/// Something else than `null` stands behind `is` or `is not`.
pub(in crate::query) fn not_null(i: Tokens<'_>, negated: bool) -> Mistake {
    let token = if negated { i.peek(1) } else { i.first() };
    let mistake = Mistake::missing(&token, if negated { "`null`" } else { "`null` or `not null`" })
        .expected_any(if negated { &["null"][..] } else { &["null", "not null"][..] }.iter().copied());
    let value = matches!(token.kind, Kind::Text | Kind::Number | Kind::Param | Kind::Minus);
    if value || token.is_any(&["true", "false"]) {
        return mistake.hint("values are compared by `=` and `!=`").fix(Fix::By(repair::is_to_equal));
    }
    if token.is_any(&["none", "nil", "empty", "missing", "undefined", "na", "nan"])
        || (token.kind == Kind::Word && suggest(token.text, std::iter::once("null")).is_some())
    {
        return mistake.did_you_mean(&token, "null");
    }
    mistake
}

/// Something else stands where a value should.
pub(in crate::query) fn no_value(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    let mistake =
        Mistake::missing(&token, "a value").expected_any(["a text in quotes", "a number", "true", "false", "$param"]);
    match token.kind {
        Kind::Word if token.is("null") => {
            mistake.hint("nothing equals null; `is null` finds records without the field")
        }
        Kind::Word if token.is_any(&["nan", "inf", "infinity"]) => Mistake::of(Fault::not_finite(), token.span())
            .expected("a value")
            .hint("text stands in quotes")
            .fix(Fix::By(repair::quote_value)),
        Kind::Word | Kind::Id | Kind::Backtick => {
            mistake.hint("text stands in quotes").fix(Fix::By(repair::quote_value))
        }
        Kind::Open | Kind::OpenBracket => mistake.hint("lists stand behind `in`").fix(Fix::By(repair::equal_to_in)),
        Kind::Equal | Kind::Greater | Kind::Less => mistake.fix(Fix::By(repair::join_operator)),
        Kind::Plus => mistake.hint("only a minus can be a sign").fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Foreign => mistake.fix(Fix::edit(Edit::delete(token.span()))),
        _ => mistake,
    }
}

/// Something else than `(` stands behind `in`.
pub(in crate::query) fn no_list(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    let mistake = Mistake::missing(&token, "`(` and a list").expected("(").hint("as in `year in (2020, 2021)`");
    match token.kind {
        Kind::OpenBracket => mistake.fix(Fix::By(repair::round_brackets)),
        Kind::Text | Kind::Number | Kind::Minus | Kind::Param | Kind::Word => mistake.fix(Fix::By(repair::wrap_list)),
        _ => mistake,
    }
}

/// `)` stands where a value of a list should.
pub(in crate::query) fn early_close(open: &Token<'_>, close: &Token<'_>, after_comma: bool) -> Mistake {
    if after_comma {
        return Mistake::missing(close, "a value").fix(Fix::By(repair::drop_comma));
    }
    Mistake::of(Fault::empty_list(), open.start..close.end())
}
