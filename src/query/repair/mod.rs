//! Repairs that need to look around: ways to edit a statement so that it may become one.
//!
//! A function here proposes; it need not be right. [`corrected`] parses what comes out, repairs again if need be,
//! and lets nothing through that is not a statement, so every corrected line users see can be pasted.

mod common;
mod condition;
mod source;
mod stage;

pub(super) use common::{drop_comma, separate};
pub(super) use condition::{
    between, close_group, compare_with_true, drop_join, equal_to_in, flip, is_to_equal, join_operator, not_first,
    quote_field, quote_value, repeat_field, round_brackets, wrap_list,
};
pub(super) use source::{
    close_bracket, close_string, colon_before, comma_before, comma_for, drop_operator, end_vector, make_id, move_place,
    quote_source, requote, straighten_quotes, unglue_find, weight_first,
};
pub(super) use stage::{drop_pipe, drop_stage, keep_one, merge_conditions, reorder, say_self, score_cosine, top_ten};

use super::mistake::{Fix, Mistake};
use super::scene::{Edit, Scene, Ways};
use super::token::tokens;
use super::word::is_invisible;

/// How many times one statement is parsed in search of its repair.
const ATTEMPTS: usize = 32;
/// How many mistakes in a row are repaired.
const ROUNDS: usize = 10;

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
            let tokens = tokens(text);
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
    for token in tokens(text) {
        out.extend(text[done..token.start].chars().map(|c| if odd(c) { ' ' } else { c }));
        for c in token.text.chars() {
            if odd(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
        }
        done = token.end();
    }
    out
}
