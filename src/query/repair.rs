//! Repairs that need to look around: ways to edit a statement so that it may become one.
//!
//! A function here proposes; it need not be right. [`corrected`] parses what comes out, repairs again if need be,
//! and lets nothing through that is not a statement, so every corrected line users see can be pasted.

use super::mistake::{Edit, Fix, Mistake};
use super::parser::stage::{Rank, lookup};
use super::printer::{is_invisible, print_field, print_id, quote_text};
use super::token::{Kind, Token, tokens};

/// How many times one statement is parsed in search of its repair.
const ATTEMPTS: usize = 32;
/// How many mistakes in a row are repaired.
const ROUNDS: usize = 10;

/// A statement and the place of a mistake in it.
pub(super) struct Scene<'a> {
    /// The statement.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [Token<'a>],
    /// Which token the mistake is at.
    pub at: usize,
}

type Ways = Vec<Vec<Edit>>;

/// The statement repaired until `check` finds no mistake, if that can be done.
pub(super) fn corrected(text: &str, mistake: &Mistake, check: &dyn Fn(&str) -> Result<(), Mistake>) -> Option<String> {
    let mut attempts = ATTEMPTS;
    let repaired = search(text, mistake, check, ROUNDS, &mut attempts)?;
    let printable = without_controls(&repaired);
    check(&printable).is_ok().then_some(printable)
}

fn search(
    text: &str,
    mistake: &Mistake,
    check: &dyn Fn(&str) -> Result<(), Mistake>,
    rounds: usize,
    attempts: &mut usize,
) -> Option<String> {
    for edits in ways(text, mistake) {
        if *attempts == 0 {
            return None;
        }
        *attempts -= 1;
        let edited = apply(text, edits)?;
        match check(&edited) {
            Ok(()) => return Some(edited),
            Err(next) if rounds > 0 && edited != text => {
                if let Some(found) = search(&edited, &next, check, rounds - 1, attempts) {
                    return Some(found);
                }
            }
            Err(_) => {}
        }
    }
    None
}

fn ways(text: &str, mistake: &Mistake) -> Ways {
    match &mistake.fix {
        Fix::None => Vec::new(),
        Fix::Edits(edits) => vec![edits.clone()],
        Fix::By(find) => {
            let (tokens, _) = tokens(text);
            let at = tokens.partition_point(|token| token.start < mistake.span.start).min(tokens.len() - 1);
            find(&Scene { text, tokens: &tokens, at })
        }
    }
}

/// The text after the edits; `None` when they overlap.
fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut out = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for edit in edits {
        out.push_str(text.get(done..edit.span.start)?);
        // A word that is put in keeps its distance from the words beside it, and no gap grows.
        let glued = |c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '\'' | ')');
        if edit.with.starts_with(|c: char| c.is_alphanumeric() || c == '|') && out.ends_with(glued) {
            out.push(' ');
        }
        let gap = out.is_empty() || out.ends_with(' ');
        out.push_str(if gap { edit.with.trim_start_matches(' ') } else { &edit.with });
        done = edit.span.end;
        let rest = text.get(done..)?;
        if edit.with.ends_with(char::is_alphanumeric) && rest.starts_with(|c: char| c.is_alphanumeric() || c == '(') {
            out.push(' ');
        } else if (edit.with.is_empty() && gap) || edit.with.ends_with(' ') {
            done += rest.len() - rest.trim_start_matches(' ').len();
        }
    }
    out.push_str(text.get(done..)?);
    Some(out.trim().to_string())
}

/// Control characters inside strings as escapes, outside of them as spaces.
fn without_controls(text: &str) -> String {
    let odd = |c: char| (c.is_control() && c != '\n') || is_invisible(c);
    if !text.contains(odd) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for token in tokens(text).0 {
        out.extend(text[done..token.start].chars().map(|c| if odd(c) { ' ' } else { c }));
        for c in token.text.chars() {
            if odd(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
        }
        done = token.end();
    }
    out
}

impl Scene<'_> {
    fn token(&self) -> &Token<'_> {
        &self.tokens[self.at]
    }

    /// The token `back` places before the mistake.
    fn before(&self, back: usize) -> Option<&Token<'_>> {
        self.at.checked_sub(back).map(|at| &self.tokens[at])
    }

    /// The token `ahead` places behind the mistake.
    fn after(&self, ahead: usize) -> Option<&Token<'_>> {
        self.tokens.get(self.at + ahead)
    }

    fn ends(token: &Token<'_>) -> bool {
        matches!(token.kind, Kind::End | Kind::Invalid)
    }

    /// The token ranges of all stages, empty ones left out.
    fn stages(&self) -> Vec<std::ops::Range<usize>> {
        let definition = self.tokens[0].is("let");
        let opens = |token: &Token<'_>| token.kind == Kind::Pipe || (definition && token.kind == Kind::Equal);
        let Some(first) = self.tokens.iter().position(opens) else { return Vec::new() };
        let mut stages = Vec::new();
        let mut start = first + 1;
        for (position, token) in self.tokens.iter().enumerate().skip(first + 1) {
            if token.kind == Kind::Pipe || Scene::ends(token) {
                if position > start {
                    stages.push(start..position);
                }
                start = position + 1;
            }
        }
        stages
    }

    fn slice(&self, tokens: &std::ops::Range<usize>) -> &str {
        &self.text[self.tokens[tokens.start].start..self.tokens[tokens.end - 1].end()]
    }

    /// The edit that takes a stage out together with one `|`.
    fn without(&self, stage: &std::ops::Range<usize>) -> Edit {
        let (first, last) = (&self.tokens[stage.start], &self.tokens[stage.end - 1]);
        let before = &self.tokens[stage.start - 1];
        if before.kind == Kind::Pipe && stage.start >= 2 {
            return Edit::delete(self.tokens[stage.start - 2].end()..last.end());
        }
        let behind = self.tokens.get(stage.end + 1).map_or(last.end(), |token| token.start);
        Edit::delete(first.start..behind)
    }

    /// The stage at the mistake, and the earlier ones of the same rank.
    fn rivals(&self) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let stages = self.stages();
        let here = stages.iter().find(|stage| stage.contains(&self.at))?;
        let rank = |stage: &std::ops::Range<usize>| lookup(self.tokens[stage.start].text).map(|(_, rank)| rank);
        let earlier = stages.iter().rfind(|stage| stage.start < here.start && rank(stage) == rank(here))?;
        Some((earlier.clone(), here.clone()))
    }
}

/// Puts all stages into their order.
pub(super) fn reorder(scene: &Scene<'_>) -> Ways {
    let stages = scene.stages();
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else { return Vec::new() };
    let span = scene.tokens[first.start].start..scene.tokens[last.end - 1].end();
    let mut sorted = stages.clone();
    sorted.sort_by_key(|stage| lookup(scene.tokens[stage.start].text).map_or(Rank::Step, |(_, rank)| rank));
    let text: Vec<&str> = sorted.iter().map(|stage| scene.slice(stage)).collect();
    vec![vec![Edit::replace(span, text.join(" | "))]]
}

/// Takes out the stage at the mistake.
pub(super) fn drop_stage(scene: &Scene<'_>) -> Ways {
    scene.stages().iter().filter(|stage| stage.contains(&scene.at)).map(|stage| vec![scene.without(stage)]).collect()
}

/// Of two stages that exclude each other keeps a lens before a view, or else the later one.
pub(super) fn keep_one(scene: &Scene<'_>) -> Ways {
    let Some((earlier, here)) = scene.rivals() else { return Vec::new() };
    let later_is_view = scene.tokens[here.start].is("view") && !scene.tokens[earlier.start].is("view");
    vec![vec![scene.without(if later_is_view { &here } else { &earlier })]]
}

/// Makes one condition of two.
pub(super) fn merge_conditions(scene: &Scene<'_>) -> Ways {
    let Some((earlier, here)) = scene.rivals() else { return Vec::new() };
    if earlier.len() < 2 || here.len() < 2 {
        return vec![vec![scene.without(if here.len() < 2 { &here } else { &earlier })]];
    }
    let grouped = |stage: &std::ops::Range<usize>| {
        let body = stage.start + 1..stage.end;
        let text = scene.slice(&body);
        if scene.tokens[body].iter().any(|token| token.is("or")) { format!("({text})") } else { text.to_string() }
    };
    let body = scene.tokens[earlier.start + 1].start..scene.tokens[earlier.end - 1].end();
    let both = format!("{} and {}", grouped(&earlier), grouped(&here));
    vec![vec![Edit::replace(body, both), scene.without(&here)]]
}

/// Takes out a `|` with nothing behind it.
pub(super) fn drop_pipe(scene: &Scene<'_>) -> Ways {
    match scene.before(1) {
        Some(pipe) if pipe.kind == Kind::Pipe => vec![vec![Edit::delete(pipe.span())]],
        _ if scene.token().kind == Kind::Pipe => vec![vec![Edit::delete(scene.token().span())]],
        _ => Vec::new(),
    }
}

/// Puts `text` behind the token before the mistake.
fn behind(scene: &Scene<'_>, text: &str) -> Ways {
    scene.before(1).map(|token| vec![Edit::insert(token.end(), text)]).into_iter().collect()
}

/// The default number of hits.
pub(super) fn top_ten(scene: &Scene<'_>) -> Ways {
    behind(scene, " 10")
}

/// The default metric.
pub(super) fn score_cosine(scene: &Scene<'_>) -> Ways {
    behind(scene, " cosine")
}

/// `including` without `self`, or with something else.
pub(super) fn say_self(scene: &Scene<'_>) -> Ways {
    let token = scene.token();
    let mut ways = behind(scene, " self");
    if token.kind == Kind::Word {
        ways.insert(0, vec![Edit::replace(token.span(), "self")]);
    }
    ways
}

/// A colon behind the token before the mistake.
pub(super) fn colon_before(scene: &Scene<'_>) -> Ways {
    behind(scene, ":")
}

/// A comma behind the token before the mistake.
pub(super) fn comma_before(scene: &Scene<'_>) -> Ways {
    behind(scene, ",")
}

/// A comma instead of a word such as `and`.
pub(super) fn comma_for(scene: &Scene<'_>) -> Ways {
    let end = scene.token().end();
    scene.before(1).map(|token| vec![Edit::replace(token.end()..end, ",")]).into_iter().collect()
}

/// `#id:find`, where the id has swallowed the keyword.
pub(super) fn unglue_find(scene: &Scene<'_>) -> Ways {
    let glued = scene.before(1).map(|token| token.end()).filter(|end| *end >= 5);
    glued.map(|end| vec![Edit::replace(end - 5..end, ": find")]).into_iter().collect()
}

/// The collection was named behind the stages: `find "x" | top 5 in notes`.
pub(super) fn move_place(scene: &Scene<'_>) -> Ways {
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
pub(super) fn quote_source(scene: &Scene<'_>) -> Ways {
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
pub(super) fn make_id(scene: &Scene<'_>) -> Ways {
    let token = scene.token();
    vec![
        vec![Edit::replace(token.span(), print_id(token.text))],
        vec![Edit::replace(token.span(), quote_text(token.text))],
    ]
}

/// An operator with nothing behind it.
pub(super) fn drop_operator(scene: &Scene<'_>) -> Ways {
    drop_comma(scene)
}

/// A vector that breaks off behind a comma.
pub(super) fn end_vector(scene: &Scene<'_>) -> Ways {
    scene.before(1).map(|comma| vec![Edit::replace(comma.span(), "]")]).into_iter().collect()
}

/// Backticks around a field of two words.
pub(super) fn quote_field(scene: &Scene<'_>) -> Ways {
    let Some(first) = scene.before(1) else { return Vec::new() };
    let span = first.start..scene.token().end();
    let field = print_field(&scene.text[span.clone()]);
    vec![vec![Edit::replace(span, field)]]
}

/// Double quotes instead of backticks.
pub(super) fn requote(scene: &Scene<'_>) -> Ways {
    vec![vec![Edit::replace(scene.token().span(), quote_text(&scene.token().content()))]]
}

/// `#id * 2` as `2 * #id`; the mistake is at the star.
pub(super) fn weight_first(scene: &Scene<'_>) -> Ways {
    let (Some(operand), Some(weight)) = (scene.before(1), scene.after(1)) else { return Vec::new() };
    if weight.kind != Kind::Number {
        return Vec::new();
    }
    vec![vec![Edit::replace(operand.start..weight.end(), format!("{} * {}", weight.text, operand.text))]]
}

/// Commas between all values of a list.
pub(super) fn separate(scene: &Scene<'_>) -> Ways {
    let value = |token: &Token<'_>| matches!(token.kind, Kind::Number | Kind::Text | Kind::Param | Kind::Word);
    let mut edits = Vec::new();
    for pair in scene.tokens[scene.at - 1..].windows(2) {
        if matches!(pair[0].kind, Kind::Close | Kind::CloseBracket | Kind::Pipe) {
            break;
        }
        if value(&pair[0]) && (value(&pair[1]) || pair[1].kind == Kind::Minus) {
            edits.push(Edit::insert(pair[0].end(), ","));
        }
    }
    vec![edits]
}

/// Takes out the comma before the mistake.
pub(super) fn drop_comma(scene: &Scene<'_>) -> Ways {
    scene.before(1).map(|comma| vec![Edit::delete(comma.span())]).into_iter().collect()
}

/// A `]` that is missing, or stands as another bracket.
pub(super) fn close_bracket(scene: &Scene<'_>) -> Ways {
    close_with(scene, "]")
}

/// A `)` that is missing, or stands as another bracket.
pub(super) fn close_group(scene: &Scene<'_>) -> Ways {
    close_with(scene, ")")
}

fn close_with(scene: &Scene<'_>, bracket: &str) -> Ways {
    let token = scene.token();
    let mut ways = Vec::new();
    if matches!(token.kind, Kind::Close | Kind::CloseBracket) || token.is_foreign("}") {
        ways.push(vec![Edit::replace(token.span(), bracket)]);
    }
    ways.extend(behind(scene, bracket));
    ways
}

/// The quote that is missing: before `in NAME`, before the next stage, before a bracket or comma, or at the end.
pub(super) fn close_string(scene: &Scene<'_>) -> Ways {
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
pub(super) fn straighten_quotes(scene: &Scene<'_>) -> Ways {
    let straight = |c| match c {
        '“' | '”' | '„' | '«' | '»' => Some("\""),
        '‘' | '’' | '‚' => Some("'"),
        _ => None,
    };
    let edits = scene.text.char_indices();
    vec![edits.filter_map(|(at, c)| straight(c).map(|with| Edit::replace(at..at + c.len_utf8(), with))).collect()]
}

/// `5 < year` as `year > 5`.
pub(super) fn flip(scene: &Scene<'_>) -> Ways {
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
pub(super) fn drop_join(scene: &Scene<'_>) -> Ways {
    match scene.before(1) {
        Some(token) if token.is("where") => Scene { at: scene.at - 1, ..*scene }.dropped(),
        Some(token) if token.is_any(&["and", "or", "not"]) => vec![vec![Edit::delete(token.span())]],
        _ => Vec::new(),
    }
}

impl Scene<'_> {
    fn dropped(&self) -> Ways {
        drop_stage(self)
    }
}

/// `year > 3 and < 5`: the field of the condition before.
pub(super) fn repeat_field(scene: &Scene<'_>) -> Ways {
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
pub(super) fn compare_with_true(scene: &Scene<'_>) -> Ways {
    behind(scene, " = true")
}

/// `tag not in (..)` as `not tag in (..)`.
pub(super) fn not_first(scene: &Scene<'_>) -> Ways {
    let Some(field) = scene.before(1) else { return Vec::new() };
    vec![vec![Edit::insert(field.start, "not "), Edit::delete(scene.token().span())]]
}

/// `year between 1 and 5` as `year >= 1 and year <= 5`.
pub(super) fn between(scene: &Scene<'_>) -> Ways {
    let (Some(field), Some(and)) = (scene.before(1), scene.tokens[scene.at..].iter().find(|token| token.is("and")))
    else {
        return Vec::new();
    };
    vec![vec![Edit::replace(scene.token().span(), ">="), Edit::insert(and.end(), format!(" {} <=", field.text))]]
}

/// `tag is "x"` as `tag = "x"`, `tag is not "x"` as `tag != "x"`; the mistake is at the value.
pub(super) fn is_to_equal(scene: &Scene<'_>) -> Ways {
    let (Some(before), Some(first)) = (scene.before(1), scene.before(2)) else { return Vec::new() };
    if before.is("not") {
        return vec![vec![Edit::replace(first.start..before.end(), "!=")]];
    }
    vec![vec![Edit::replace(before.span(), "=")]]
}

/// Quotes around a value of several words, up to the next keyword or punctuation.
pub(super) fn quote_value(scene: &Scene<'_>) -> Ways {
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
pub(super) fn equal_to_in(scene: &Scene<'_>) -> Ways {
    let Some(op) = scene.before(1).filter(|op| op.kind == Kind::Equal) else { return Vec::new() };
    vec![vec![Edit::replace(op.span(), "in")]]
}

/// `> =` as `>=`, and `= =` as `=`.
pub(super) fn join_operator(scene: &Scene<'_>) -> Ways {
    let (Some(op), token) = (scene.before(1), scene.token()) else { return Vec::new() };
    let glued = Edit::delete(op.end()..token.start);
    vec![vec![glued], vec![Edit::delete(token.span())]]
}

/// `[1, 2]` as `(1, 2)`.
pub(super) fn round_brackets(scene: &Scene<'_>) -> Ways {
    let mut edits = vec![Edit::replace(scene.token().span(), "(")];
    let close = scene.tokens[scene.at..].iter().find(|token| token.kind == Kind::CloseBracket);
    edits.extend(close.map(|close| Edit::replace(close.span(), ")")));
    vec![edits]
}

/// Brackets around values behind `in`.
pub(super) fn wrap_list(scene: &Scene<'_>) -> Ways {
    let listed = |token: &&Token<'_>| {
        let value =
            matches!(token.kind, Kind::Text | Kind::Number | Kind::Minus | Kind::Param | Kind::Word | Kind::Comma);
        value && !token.is_any(&["and", "or"])
    };
    let last = scene.tokens[scene.at..].iter().take_while(listed).last();
    let end = last.map_or(scene.token().end(), Token::end);
    vec![vec![Edit::insert(scene.token().start, "("), Edit::insert(end, ")")]]
}
