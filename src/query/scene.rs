//! A statement with the place of a mistake in it, and edits to its text: what repairs look at and what they answer.

use super::stages::lookup;
use super::token::{Kind, Token};
use std::ops::Range;

/// A change to the text of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edit {
    /// What is replaced.
    pub span: Range<usize>,
    /// By what.
    pub with: String,
}

impl Edit {
    /// Puts `with` at `at`.
    pub fn insert(at: usize, with: impl Into<String>) -> Edit {
        Edit { span: at..at, with: with.into() }
    }

    /// Takes `span` out.
    pub fn delete(span: Range<usize>) -> Edit {
        Edit { span, with: String::new() }
    }

    /// Puts `with` in the place of `span`.
    pub fn replace(span: Range<usize>, with: impl Into<String>) -> Edit {
        Edit { span, with: with.into() }
    }
}

/// A statement and the place of a mistake in it.
pub(super) struct Scene<'a> {
    /// The statement.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [Token<'a>],
    /// Which token the mistake is at.
    pub at: usize,
}

/// Ways to repair it, the likeliest first: each some edits that go together.
pub(super) type Ways = Vec<Vec<Edit>>;

impl Scene<'_> {
    /// The token at the mistake.
    pub fn token(&self) -> &Token<'_> {
        &self.tokens[self.at]
    }

    /// The token `back` places before the mistake.
    pub fn before(&self, back: usize) -> Option<&Token<'_>> {
        self.at.checked_sub(back).map(|at| &self.tokens[at])
    }

    /// The token `ahead` places behind the mistake.
    pub fn after(&self, ahead: usize) -> Option<&Token<'_>> {
        self.tokens.get(self.at + ahead)
    }

    /// Whether the statement stops at this token.
    pub fn ends(token: &Token<'_>) -> bool {
        matches!(token.kind, Kind::End | Kind::Invalid)
    }

    /// The token ranges of all stages, empty ones left out.
    pub fn stages(&self) -> Vec<Range<usize>> {
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

    /// The text of a range of tokens.
    pub fn slice(&self, tokens: &Range<usize>) -> &str {
        &self.text[self.tokens[tokens.start].start..self.tokens[tokens.end - 1].end()]
    }

    /// The edit that takes a stage out together with one `|`.
    pub fn without(&self, stage: &Range<usize>) -> Edit {
        let (first, last) = (&self.tokens[stage.start], &self.tokens[stage.end - 1]);
        let before = &self.tokens[stage.start - 1];
        if before.kind == Kind::Pipe && stage.start >= 2 {
            return Edit::delete(self.tokens[stage.start - 2].end()..last.end());
        }
        let behind = self.tokens.get(stage.end + 1).map_or(last.end(), |token| token.start);
        Edit::delete(first.start..behind)
    }

    /// The stage at the mistake, and the earlier ones of the same rank.
    pub fn rivals(&self) -> Option<(Range<usize>, Range<usize>)> {
        let stages = self.stages();
        let here = stages.iter().find(|stage| stage.contains(&self.at))?;
        let rank = |stage: &Range<usize>| lookup(self.tokens[stage.start].text).map(|(_, rank)| rank);
        let earlier = stages.iter().rfind(|stage| stage.start < here.start && rank(stage) == rank(here))?;
        Some((earlier.clone(), here.clone()))
    }
}
