//! What a tree may hold, whichever way it came: by the parser, or put together in Rust.
//!
//! Owns the limits of a statement's parts and how breaking one is worded. The parser says the same at the place where
//! it finds it; [`check`] asks a whole tree, and never needs its text. A tree that passes means what it says: all
//! numbers are finite, no list is empty, nothing nests deeper than a reader follows.

use super::ast::{Bound, Expr, Find, LensBase, LensExpr, Literal, Operand, Output, Source, Spanned, Statement};
use super::name::is_param_name;
use crate::types::Step;
use crate::types::limits::{DIMENSION, LIST_VALUES, NESTING, TEXT_BYTES, TOP};

/// A limit that a tree breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As in [`crate::QueryError::code`].
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// A line of help.
    pub hint: Option<&'static str>,
    /// Whether the tree is too deep or too long to be followed for printing it.
    pub too_large: bool,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), hint: None, too_large: false }
    }

    /// More than a tree may hold.
    fn too_large(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { too_large: true, ..Fault::new(code, message) }
    }

    fn hint(mut self, hint: &'static str) -> Fault {
        self.hint = Some(hint);
        self
    }

    /// Conditions nest too deep.
    pub(super) fn nesting() -> Fault {
        Fault::too_large("limit::nesting", format!("conditions nest at most {NESTING} deep"))
    }

    /// A list of a condition has too many values.
    pub(super) fn list() -> Fault {
        Fault::too_large("limit::list", format!("a list has at most {LIST_VALUES} values"))
    }

    /// A list of a condition has no value.
    pub(super) fn empty_list() -> Fault {
        Fault::new("parse::empty_list", "a list has at least one value")
    }

    /// A vector has no number.
    pub(super) fn empty_vector() -> Fault {
        Fault::new("parse::empty_list", "a vector has at least one number")
    }

    /// A number is NaN or infinite.
    pub(super) fn not_finite() -> Fault {
        Fault::new("parse::bad_number", "numbers are finite")
    }

    /// A count is out of its range.
    pub(super) fn range(what: &str, least: u64, most: u64) -> Fault {
        Fault::new("parse::out_of_range", format!("expected {what} from {}", in_words(least, most)))
    }
}

/// Dimensions that a step may ask for, and what they are called.
pub(super) const DIMENSIONS: (&str, u64) = ("a number of dimensions", DIMENSION as u64);
/// Directions that `drop` may remove.
pub(super) const DIRECTIONS: (&str, u64) = ("a number of directions", DIMENSION as u64);
/// Hits that `top` may ask for.
pub(super) const HITS: (&str, u64) = ("a number of hits", TOP);
/// Neighbours that `csls` may ask for.
pub(super) const NEIGHBOURS: (&str, u64) = ("a number of neighbours", u32::MAX as u64);

/// A range of counts with thousands separated, as people read it.
fn in_words(least: u64, most: u64) -> String {
    if most == u64::MAX {
        return format!("{least} upwards");
    }
    let digits = most.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{least} to {grouped}")
}

/// Whether the tree keeps all limits.
///
/// # Errors
/// The first limit that it breaks.
pub fn check(statement: &Statement) -> Result<(), Fault> {
    match statement {
        Statement::Find(find) | Statement::Explain { find, .. } | Statement::Why { find, .. } => check_find(find),
        Statement::Compare { lenses, find } => {
            if lenses.len() < 2 {
                return Err(Fault::new("parse::expected", "expected two lenses or more to compare"));
            }
            check_find(find)
        }
        Statement::Pairs(pairs) => check_lens(&pairs.lens).and_then(|()| check_output(&pairs.output)),
        Statement::Let { lens, .. } => check_lens(lens),
        Statement::Drop { .. } | Statement::Show(_) => Ok(()),
    }
}

fn check_find(find: &Find) -> Result<(), Fault> {
    check_source(&find.source.node)?;
    check_lens(&find.lens)?;
    check_output(&find.output)
}

fn check_source(source: &Source) -> Result<(), Fault> {
    if source.terms.is_empty() {
        return Err(Fault::new("parse::expected", "expected something to look for"));
    }
    for term in &source.terms {
        finite(term.weight)?;
        match &term.operand.node {
            Operand::Vector(numbers) if numbers.is_empty() => return Err(Fault::empty_vector()),
            // In a text there are fewer; a vector of a view has as many as any.
            Operand::Vector(numbers) if numbers.len() > DIMENSION => {
                let message = format!("a vector has at most {DIMENSION} numbers, this one has {}", numbers.len());
                return Err(Fault::too_large("limit::list", message));
            }
            Operand::Vector(numbers) => numbers.iter().try_for_each(|number| finite(*number))?,
            Operand::Param(name) => param(name)?,
            Operand::Text(text) => check_text(text)?,
            Operand::Id(_) => {}
        }
    }
    Ok(())
}

/// Whether a text to look for is one that a record could have.
///
/// # Errors
/// How long it may be.
pub fn check_text(text: &str) -> Result<(), Fault> {
    if text.len() <= TEXT_BYTES {
        return Ok(());
    }
    let message = format!("a text to look for has at most {TEXT_BYTES} bytes, this one has {}", text.len());
    Err(Fault::too_large("limit::text", message))
}

fn check_lens(lens: &LensExpr) -> Result<(), Fault> {
    if let LensBase::Blend(parts) = &lens.base {
        if parts.is_empty() {
            return Err(Fault::new(
                "parse::expected",
                "expected a lens to blend, as in `blend 0.7 * topic + 0.3 * plain`",
            ));
        }
        parts.iter().try_for_each(|(weight, _)| finite(*weight))?;
    }
    lens.steps.iter().try_for_each(|step| check_step(&step.node))?;
    match &lens.csls {
        Some(csls) => check_csls(csls.node.0),
        None => Ok(()),
    }
}

/// Whether a step's number is one that it can have.
///
/// # Errors
/// The range it has to be in.
pub fn check_step(step: &Step) -> Result<(), Fault> {
    match step {
        Step::Truncate(k) | Step::Whiten(Some(k)) => in_range(u64::from(*k), 1, DIMENSIONS),
        Step::Drop(k) => in_range(u64::from(*k), 0, DIRECTIONS),
        _ => Ok(()),
    }
}

/// Whether `csls` can have so many neighbours.
///
/// # Errors
/// The range it has to be in.
pub fn check_csls(neighbours: u32) -> Result<(), Fault> {
    in_range(u64::from(neighbours), 1, NEIGHBOURS)
}

fn check_output(output: &Output) -> Result<(), Fault> {
    if let Some(filter) = &output.filter {
        check_condition(filter)?;
    }
    if let Some(Spanned { node: Bound::Above(bound) | Bound::Within(bound), .. }) = &output.bound {
        finite(*bound)?;
    }
    match &output.top {
        Some(top) => in_range(top.node, 1, HITS),
        None => Ok(()),
    }
}

fn check_condition(filter: &Expr) -> Result<(), Fault> {
    if nesting(filter) > NESTING {
        return Err(Fault::nesting());
    }
    check_expr(filter)
}

/// Never deeper than [`nesting`] allows.
fn check_expr(expr: &Expr) -> Result<(), Fault> {
    match expr {
        Expr::Compare { value, .. } | Expr::Has { value, .. } => literal(&value.node),
        Expr::In { values, .. } if values.is_empty() => Err(Fault::empty_list()),
        Expr::In { values, .. } if values.len() > LIST_VALUES => Err(Fault::list()),
        Expr::In { values, .. } => values.iter().try_for_each(|value| literal(&value.node)),
        Expr::IsNull { .. } => Ok(()),
        Expr::Not(inner) => check_expr(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().try_for_each(check_expr),
    }
}

/// How deep a condition nests, as it is written: `not` and parentheses, up to one more than the limit. It never looks
/// deeper than that.
fn nesting(filter: &Expr) -> usize {
    let mut deepest = 0;
    let mut pending = vec![(filter, 0)];
    while let Some((expr, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        if depth > NESTING {
            break;
        }
        match expr {
            Expr::Not(inner) => pending.push((inner, depth + 1 + usize::from(is_group(inner)))),
            Expr::And(parts) => pending.extend(parts.iter().map(|part| (part, depth + usize::from(is_group(part))))),
            Expr::Or(parts) => {
                pending.extend(parts.iter().map(|part| (part, depth + usize::from(matches!(part, Expr::Or(_))))));
            }
            _ => {}
        }
    }
    deepest.min(NESTING + 1)
}

fn is_group(expr: &Expr) -> bool {
    matches!(expr, Expr::And(_) | Expr::Or(_))
}

fn literal(literal: &Literal) -> Result<(), Fault> {
    match literal {
        Literal::Float(value) => finite(*value),
        Literal::Param(name) => param(name),
        Literal::Null => {
            Err(Fault::new("parse::null", "nothing equals null").hint("`is null` finds the records without the field"))
        }
        Literal::Text(_) | Literal::Integer(_) | Literal::Bool(_) => Ok(()),
    }
}

fn param(name: &str) -> Result<(), Fault> {
    if is_param_name(name) {
        return Ok(());
    }
    let message = format!("{} cannot be the name of a parameter", super::quote_text(name));
    Err(Fault::new("parse::bad_param", message).hint("it has letters, digits and `_`, and does not begin with a digit"))
}

fn finite(number: f64) -> Result<(), Fault> {
    if number.is_finite() { Ok(()) } else { Err(Fault::not_finite()) }
}

fn in_range(value: u64, least: u64, (what, most): (&str, u64)) -> Result<(), Fault> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Fault::range(what, least, most)) }
}
