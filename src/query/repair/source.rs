//! Repairs around the source of a search: quotes, ids, vectors, the collection, the heads of statements.

use super::common::{behind, close_with, drop_comma};
use crate::query::printer::print_id;
use crate::query::scene::{Edit, Scene, Ways};
use crate::query::token::Kind;
use crate::query::word::quote_text;

/// A colon behind the token before the mistake.
pub(in crate::query) fn colon_before(scene: &Scene<'_>) -> Ways {
    behind(scene, ":")
}

/// A comma behind the token before the mistake.
pub(in crate::query) fn comma_before(scene: &Scene<'_>) -> Ways {
    behind(scene, ",")
}

/// A comma instead of a word such as `and`.
pub(in crate::query) fn comma_for(scene: &Scene<'_>) -> Ways {
    let end = scene.token().end();
    scene.before(1).map(|token| vec![Edit::replace(token.end()..end, ",")]).into_iter().collect()
}

/// `#id:find`, where the id has swallowed the keyword.
pub(in crate::query) fn unglue_find(scene: &Scene<'_>) -> Ways {
    let glued = scene.before(1).map(|token| token.end()).filter(|end| *end >= 5);
    glued.map(|end| vec![Edit::replace(end - 5..end, ": find")]).into_iter().collect()
}

/// The collection was named behind the stages: `find "x" | top 5 in notes`.
pub(in crate::query) fn move_place(scene: &Scene<'_>) -> Ways {
    let later = scene.tokens.iter().enumerate().skip(scene.at).find(|(position, token)| {
        let name = scene.tokens.get(position + 1).is_some_and(|name| matches!(name.kind, Kind::Word | Kind::Backtick));
        token.is("in") && name
    });
    let (Some((position, _)), Some(before)) = (later, scene.before(1)) else { return Vec::new() };
    let place = position..position + 2;
    let mut from = scene.tokens[position - 1].end();
    if scene.tokens[position - 1].kind == Kind::Pipe {
        from = scene.tokens[position - 2].end();
    }
    let moved = format!(" {}", scene.slice(&place));
    vec![vec![Edit::insert(before.end(), moved), Edit::delete(from..scene.tokens[position + 1].end())]]
}

/// Text without quotes between `find` and `in COLLECTION`.
pub(in crate::query) fn quote_source(scene: &Scene<'_>) -> Ways {
    let Some(find) = scene.tokens[..scene.at].iter().rposition(|token| token.is("find")) else { return Vec::new() };
    let start = scene.tokens[find + 1].start;
    let end = scene.text[start..].find('|').map_or(scene.text.len(), |pipe| start + pipe);
    let region = scene.text[start..end].trim_end();
    // The last `in NAME` before the first stage says where; an earlier `in` is part of the text.
    let lower = region.to_ascii_lowercase();
    let place = lower.rfind(" in ").filter(|at| !region[at + 4..].trim().contains(char::is_whitespace));
    let source = region[..place.unwrap_or(region.len())].trim_end();
    if source.is_empty() || source.contains('"') {
        return Vec::new();
    }
    vec![vec![Edit::replace(start..start + source.len(), quote_text(source))]]
}

/// A word among terms: an id without its `#`, or a text without quotes.
pub(in crate::query) fn make_id(scene: &Scene<'_>) -> Ways {
    let token = scene.token();
    vec![
        vec![Edit::replace(token.span(), print_id(token.text))],
        vec![Edit::replace(token.span(), quote_text(token.text))],
    ]
}

/// An operator with nothing behind it.
pub(in crate::query) fn drop_operator(scene: &Scene<'_>) -> Ways {
    drop_comma(scene)
}

/// A vector that breaks off behind a comma.
pub(in crate::query) fn end_vector(scene: &Scene<'_>) -> Ways {
    scene.before(1).map(|comma| vec![Edit::replace(comma.span(), "]")]).into_iter().collect()
}

/// Double quotes instead of backticks.
pub(in crate::query) fn requote(scene: &Scene<'_>) -> Ways {
    vec![vec![Edit::replace(scene.token().span(), quote_text(&scene.token().content()))]]
}

/// `#id * 2` as `2 * #id`; the mistake is at the star.
pub(in crate::query) fn weight_first(scene: &Scene<'_>) -> Ways {
    let (Some(operand), Some(weight)) = (scene.before(1), scene.after(1)) else { return Vec::new() };
    if weight.kind != Kind::Number {
        return Vec::new();
    }
    vec![vec![Edit::replace(operand.start..weight.end(), format!("{} * {}", weight.text, operand.text))]]
}

/// A `]` that is missing, or stands as another bracket.
pub(in crate::query) fn close_bracket(scene: &Scene<'_>) -> Ways {
    close_with(scene, "]")
}

/// The quote that is missing: before `in NAME`, before the next stage, before a bracket or comma, or at the end.
pub(in crate::query) fn close_string(scene: &Scene<'_>) -> Ways {
    let opening = scene.token().text;
    let Some(quote) = opening.chars().next_back() else { return Vec::new() };
    let start = scene.token().start + opening.len();
    let body = &scene.text[start..];
    let mut places = Vec::new();
    let lower = body.to_ascii_lowercase();
    let stage = body.find('|').unwrap_or(body.len());
    if let Some(place) = lower[..stage].rfind(" in ") {
        places.push(place);
    }
    places.push(stage);
    places.extend(body.find(')'));
    places.extend(body.find(','));
    places.extend(body.find(" and "));
    places.push(body.len());
    places.into_iter().map(|place| vec![Edit::insert(start + body[..place].trim_end().len(), quote)]).collect()
}

/// Typewriter quotes for the typographic ones.
pub(in crate::query) fn straighten_quotes(scene: &Scene<'_>) -> Ways {
    let straight = |c| match c {
        '“' | '”' | '„' | '«' | '»' => Some("\""),
        '‘' | '’' | '‚' => Some("'"),
        _ => None,
    };
    let edits = scene.text.char_indices();
    vec![edits.filter_map(|(at, c)| straight(c).map(|with| Edit::replace(at..at + c.len_utf8(), with))).collect()]
}
