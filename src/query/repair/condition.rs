//! Repairs of conditions: operators, groups, lists and values.

use super::common::{behind, close_with};
use super::stage::drop_stage;
use crate::query::printer::print_field;
use crate::query::scene::{Edit, Scene, Ways};
use crate::query::token::{Kind, Token};
use crate::query::word::quote_text;

/// Backticks around a field of two words.
pub(in crate::query) fn quote_field(scene: &Scene<'_>) -> Ways {
    let Some(first) = scene.before(1) else { return Vec::new() };
    let span = first.start..scene.token().end();
    let field = print_field(&scene.text[span.clone()]);
    vec![vec![Edit::replace(span, field)]]
}

/// A `)` that is missing, or stands as another bracket.
pub(in crate::query) fn close_group(scene: &Scene<'_>) -> Ways {
    close_with(scene, ")")
}

/// `5 < year` as `year > 5`.
pub(in crate::query) fn flip(scene: &Scene<'_>) -> Ways {
    let (value, Some(op), Some(field)) = (scene.token(), scene.after(1), scene.after(2)) else { return Vec::new() };
    let op = match op.kind {
        Kind::Less => ">",
        Kind::LessEqual => ">=",
        Kind::Greater => "<",
        Kind::GreaterEqual => "<=",
        _ => op.text,
    };
    vec![vec![Edit::replace(value.start..field.end(), format!("{} {op} {}", field.text, value.text))]]
}

/// Takes out an `and` or `or` with nothing behind it, or a `where` without a condition.
pub(in crate::query) fn drop_join(scene: &Scene<'_>) -> Ways {
    match scene.before(1) {
        Some(token) if token.is("where") => drop_stage(&Scene { at: scene.at - 1, ..*scene }),
        Some(token) if token.is_any(&["and", "or", "not"]) => vec![vec![Edit::delete(token.span())]],
        _ => Vec::new(),
    }
}

/// `year > 3 and < 5`: the field of the condition before.
pub(in crate::query) fn repeat_field(scene: &Scene<'_>) -> Ways {
    let operator = |token: &Token<'_>| {
        use Kind::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(token.kind, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
            || token.is_any(&["has", "is", "in"])
    };
    let earlier = scene.tokens[..scene.at].windows(2).rev().find(|pair| {
        matches!(pair[0].kind, Kind::Word | Kind::Backtick)
            && operator(&pair[1])
            && !pair[0].is_any(&["and", "or", "not"])
    });
    let start = scene.token().start;
    earlier.map(|pair| vec![Edit::insert(start, format!("{} ", pair[0].text))]).into_iter().collect()
}

/// A field alone: `published` as `published = true`.
pub(in crate::query) fn compare_with_true(scene: &Scene<'_>) -> Ways {
    behind(scene, " = true")
}

/// `tag not in (..)` as `not tag in (..)`.
pub(in crate::query) fn not_first(scene: &Scene<'_>) -> Ways {
    let Some(field) = scene.before(1) else { return Vec::new() };
    vec![vec![Edit::insert(field.start, "not "), Edit::delete(scene.token().span())]]
}

/// `year between 1 and 5` as `year >= 1 and year <= 5`; behind `not`, both in parentheses, because it holds for what
/// stands next to it alone.
pub(in crate::query) fn between(scene: &Scene<'_>) -> Ways {
    let behind = &scene.tokens[scene.at..];
    let and = behind.iter().position(|token| token.is("and"));
    let (Some(field), Some((and, most))) = (scene.before(1), and.and_then(|at| behind.get(at).zip(behind.get(at + 1))))
    else {
        return Vec::new();
    };
    let mut edits =
        vec![Edit::replace(scene.token().span(), ">="), Edit::insert(and.end(), format!(" {} <=", field.text))];
    if scene.before(2).is_some_and(|token| token.is("not") || token.text == "!") {
        edits.insert(0, Edit::insert(field.start, "("));
        edits.push(Edit::insert(most.end(), ")"));
    }
    vec![edits]
}

/// `tag is "x"` as `tag = "x"`, `tag is not "x"` as `tag != "x"`; the mistake is at the value.
pub(in crate::query) fn is_to_equal(scene: &Scene<'_>) -> Ways {
    let (Some(before), Some(first)) = (scene.before(1), scene.before(2)) else { return Vec::new() };
    if before.is("not") {
        return vec![vec![Edit::replace(first.start..before.end(), "!=")]];
    }
    vec![vec![Edit::replace(before.span(), "=")]]
}

/// Quotes around a value of several words, up to the next keyword or punctuation.
pub(in crate::query) fn quote_value(scene: &Scene<'_>) -> Ways {
    let first = scene.token();
    let words = scene.tokens[scene.at..]
        .iter()
        .take_while(|token| matches!(token.kind, Kind::Word | Kind::Number) && !token.is_any(&["and", "or"]));
    let end = if first.kind == Kind::Word { words.last().map_or(first.end(), Token::end) } else { first.end() };
    let content = if first.kind == Kind::Word { scene.text[first.start..end].to_string() } else { first.content() };
    let alone = vec![Edit::replace(first.span(), quote_text(first.text))];
    vec![vec![Edit::replace(first.start..end, quote_text(&content))], alone]
}

/// `tag = ("a", "b")` as `tag in ("a", "b")`.
pub(in crate::query) fn equal_to_in(scene: &Scene<'_>) -> Ways {
    let Some(op) = scene.before(1).filter(|op| op.kind == Kind::Equal) else { return Vec::new() };
    vec![vec![Edit::replace(op.span(), "in")]]
}

/// `> =` as `>=`, and `= =` as `=`.
pub(in crate::query) fn join_operator(scene: &Scene<'_>) -> Ways {
    let (Some(op), token) = (scene.before(1), scene.token()) else { return Vec::new() };
    let glued = Edit::delete(op.end()..token.start);
    vec![vec![glued], vec![Edit::delete(token.span())]]
}

/// `[1, 2]` as `(1, 2)`.
pub(in crate::query) fn round_brackets(scene: &Scene<'_>) -> Ways {
    let mut edits = vec![Edit::replace(scene.token().span(), "(")];
    let close = scene.tokens[scene.at..].iter().find(|token| token.kind == Kind::CloseBracket);
    edits.extend(close.map(|close| Edit::replace(close.span(), ")")));
    vec![edits]
}

/// Brackets around values behind `in`.
pub(in crate::query) fn wrap_list(scene: &Scene<'_>) -> Ways {
    let listed = |token: &&Token<'_>| {
        let value =
            matches!(token.kind, Kind::Text | Kind::Number | Kind::Minus | Kind::Param | Kind::Word | Kind::Comma);
        value && !token.is_any(&["and", "or"])
    };
    let last = scene.tokens[scene.at..].iter().take_while(listed).last();
    let end = last.map_or(scene.token().end(), Token::end);
    vec![vec![Edit::insert(scene.token().start, "("), Edit::insert(end, ")")]]
}
