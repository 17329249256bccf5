//! Repairs that need to look around: ways to edit a statement so that it may become one.
//!
//! A function here proposes; it need not be right. [`corrected`] parses what comes out, repairs again if need be,
//! and lets nothing through that is not a statement, so every corrected line users see can be pasted.

mod condition;
mod source;
mod stage;

pub(super) use condition::{
    between, close_group, compare_with_true, drop_join, equal_to_in, flip, is_to_equal, join_operator, not_first,
    quote_field, quote_value, repeat_field, round_brackets, wrap_list,
};
pub(super) use source::{
    close_bracket, close_string, colon_before, comma_before, comma_for, drop_operator, end_vector, make_id, move_place,
    quote_source, requote, straighten_quotes, unglue_find, weight_first,
};
pub(super) use stage::{drop_pipe, drop_stage, keep_one, merge_conditions, reorder, say_self, score_cosine, top_ten};

use super::mistake::{Edit, Fix, Mistake};
use super::parser::stage::lookup;
use super::printer::is_invisible;
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

/// Puts `text` behind the token before the mistake.
fn behind(scene: &Scene<'_>, text: &str) -> Ways {
    scene.before(1).map(|token| vec![Edit::insert(token.end(), text)]).into_iter().collect()
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

/// A closing bracket that is missing, or stands as another one.
fn close_with(scene: &Scene<'_>, bracket: &str) -> Ways {
    let token = scene.token();
    let mut ways = Vec::new();
    if matches!(token.kind, Kind::Close | Kind::CloseBracket) || token.is_foreign("}") {
        ways.push(vec![Edit::replace(token.span(), bracket)]);
    }
    ways.extend(behind(scene, bracket));
    ways
}
