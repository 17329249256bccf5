//! The typed tree to canonical text: `parse(print(tree)) == tree`.
//!
//! The printer fills in nothing: what is unset is not printed. It holds for every tree a statement can have; a tree
//! built by hand must have finite numbers, parameters named as [`super::is_param_name`] says, at least one term,
//! and no empty lists.

use super::ast::{Bound, CompareOp, Expr, Find, LensBase, LensExpr, Literal, Operand, Output, Show, Source, Statement};
use super::name::{is_bare_field, is_bare_id, is_bare_name};
use super::word::{quote, quote_text};
use crate::types::{LensDef, ProjectionRef, Step};
use std::fmt::{self, Display, Write};

/// The statement as canonical text.
///
/// ```
/// let statement = simile::query::parse("FIND 'lost keys' IN notes|center   corpus -- twice?")?;
/// assert_eq!(simile::query::print(&statement), r#"find "lost keys" in notes | center corpus"#);
/// # Ok::<(), simile::QueryError>(())
/// ```
pub fn print(statement: &Statement) -> String {
    statement.to_string()
}

/// A record's id as it stands in a statement: `#n1`, or `#"..."` where it needs quotes.
pub fn print_id(id: &str) -> String {
    if is_bare_id(id) { format!("#{id}") } else { format!("#{}", quote_text(id)) }
}

/// A name as it stands in a statement: bare, or in backticks.
pub fn print_name(name: &str) -> String {
    if is_bare_name(name) { name.to_string() } else { quote(name, '`') }
}

/// A field as it stands in a condition: bare, or in backticks.
pub fn print_field(field: &str) -> String {
    if is_bare_field(field) { field.to_string() } else { quote(field, '`') }
}

/// A whole lens as it is written: `view raw | center corpus | score cosine`.
pub fn print_lens(lens: &LensDef) -> String {
    LensExpr::from(lens).to_string()
}

/// A step as it is written.
pub fn print_step(step: &Step) -> String {
    match step {
        Step::Center => "center".to_string(),
        Step::CenterCorpus => "center corpus".to_string(),
        Step::CenterSides(sample) => format!("center sides from {}", print_name(sample)),
        Step::Normalize => "normalize".to_string(),
        Step::Standardize => "standardize".to_string(),
        Step::Whiten(None) => "whiten".to_string(),
        Step::Whiten(Some(k)) => format!("whiten {k}"),
        Step::Drop(k) => format!("drop {k}"),
        Step::Truncate(k) => format!("truncate {k}"),
        Step::Project(ProjectionRef::One(name)) => format!("project {}", print_name(name)),
        Step::Project(ProjectionRef::Pair(query, record)) => {
            format!("project {} -> {}", print_name(query), print_name(record))
        }
    }
}

/// A condition as it is written.
pub fn print_expr(expr: &Expr) -> String {
    expr.to_string()
}

/// A finite number as short as it comes back the same: `0.5`, `2`, `1e-9`.
pub fn print_number(value: f64) -> String {
    let text = format!("{value:?}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Find(find) => find.fmt(f),
            Statement::Pairs(pairs) => {
                write!(f, "pairs in {}", print_name(&pairs.collection.node))?;
                tail(f, &pairs.lens, &pairs.output)
            }
            Statement::Explain { analyze, find } => {
                write!(f, "explain {}{find}", if *analyze { "analyze " } else { "" })
            }
            Statement::Compare { lenses, find } => {
                let names: Vec<String> = lenses.iter().map(|name| print_name(&name.node)).collect();
                write!(f, "compare {}: {find}", names.join(", "))
            }
            Statement::Why { id, find } => write!(f, "why {}: {find}", print_id(&id.node)),
            Statement::Let { name, lens } => write!(f, "let {} = {lens}", print_name(&name.node)),
            Statement::Drop { name } => write!(f, "drop {}", print_name(&name.node)),
            Statement::Show(what) => write!(f, "show {}", what.node),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "find {} in {}", self.source.node, print_name(&self.collection.node))?;
        tail(f, &self.lens, &self.output)
    }
}

/// The stages of a search, each behind its `|`.
fn tail(f: &mut fmt::Formatter<'_>, lens: &LensExpr, output: &Output) -> fmt::Result {
    for stage in lens_stages(lens).into_iter().chain(output_stages(output)) {
        write!(f, " | {stage}")?;
    }
    Ok(())
}

impl Display for LensExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lens_stages(self).join(" | "))
    }
}

fn lens_stages(lens: &LensExpr) -> Vec<String> {
    let mut stages = Vec::new();
    match &lens.base {
        LensBase::Default => {}
        LensBase::View(name) => stages.push(format!("view {}", print_name(&name.node))),
        LensBase::Using(name) => stages.push(format!("using {}", print_name(&name.node))),
        LensBase::Blend(parts) => {
            let mut blend = "blend ".to_string();
            for (position, (weight, name)) in parts.iter().enumerate() {
                let weight = weight_of(*weight, position, &mut blend);
                // Writing to a string cannot fail.
                let _ = write!(blend, "{} * {}", print_number(weight), print_name(&name.node));
            }
            stages.push(blend);
        }
    }
    stages.extend(lens.steps.iter().map(|step| print_step(&step.node)));
    if let Some(metric) = &lens.metric {
        let mut score = format!("score {}", metric.node.as_str());
        if let Some(csls) = &lens.csls {
            let (neighbours, sample) = &csls.node;
            let _ = write!(score, " csls {neighbours} from {}", print_name(sample));
        }
        stages.push(score);
    }
    stages
}

/// Writes the operator before a weighted part, and returns the weight that is left to write.
fn weight_of(weight: f64, position: usize, out: &mut String) -> f64 {
    let operator = match (position, weight.is_sign_negative()) {
        (0, false) => return weight,
        (0, true) => "-",
        (_, false) => " + ",
        (_, true) => " - ",
    };
    out.push_str(operator);
    weight.abs()
}

fn output_stages(output: &Output) -> Vec<String> {
    let mut stages = Vec::new();
    stages.extend(output.filter.as_ref().map(|filter| format!("where {filter}")));
    stages.extend(output.bound.as_ref().map(|bound| match bound.node {
        Bound::Above(value) => format!("above {}", print_number(value)),
        Bound::Within(value) => format!("within {}", print_number(value)),
    }));
    stages.extend(output.skip.as_ref().map(|skip| format!("skip {}", skip.node)));
    stages.extend(output.top.as_ref().map(|top| format!("top {}", top.node)));
    stages.extend(output.including_self.then(|| "including self".to_string()));
    stages.extend(output.exact.then(|| "exact".to_string()));
    stages
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.terms.iter().enumerate() {
            let mut operator = String::new();
            let weight = weight_of(term.weight, position, &mut operator);
            f.write_str(&operator)?;
            if weight != 1.0 {
                write!(f, "{} * ", print_number(weight))?;
            }
            term.operand.node.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Text(text) => f.write_str(&quote_text(text)),
            Operand::Id(id) => f.write_str(&print_id(id)),
            Operand::Param(name) => write!(f, "${name}"),
            Operand::Vector(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(|number| print_number(*number)).collect();
                write!(f, "[{}]", numbers.join(", "))
            }
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Compare { field, op, value } => {
                write!(f, "{} {} {}", print_field(&field.node), op.as_str(), value.node)
            }
            Expr::In { field, values } => {
                let values: Vec<String> = values.iter().map(|value| value.node.to_string()).collect();
                write!(f, "{} in ({})", print_field(&field.node), values.join(", "))
            }
            Expr::Has { field, value } => write!(f, "{} has {}", print_field(&field.node), value.node),
            Expr::IsNull { field, negated } => {
                write!(f, "{} is {}null", print_field(&field.node), if *negated { "not " } else { "" })
            }
            Expr::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner, matches!(**inner, Expr::And(_) | Expr::Or(_)))
            }
            Expr::And(operands) => chain(f, operands, " and ", |inner| matches!(inner, Expr::And(_) | Expr::Or(_))),
            Expr::Or(operands) => chain(f, operands, " or ", |inner| matches!(inner, Expr::Or(_))),
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, operands: &[Expr], joint: &str, grouped: fn(&Expr) -> bool) -> fmt::Result {
    for (position, inner) in operands.iter().enumerate() {
        if position > 0 {
            f.write_str(joint)?;
        }
        operand(f, inner, grouped(inner))?;
    }
    Ok(())
}

fn operand(f: &mut fmt::Formatter<'_>, inner: &Expr, grouped: bool) -> fmt::Result {
    if grouped { write!(f, "({inner})") } else { inner.fmt(f) }
}

impl CompareOp {
    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Eq => "=",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => f.write_str(&quote_text(text)),
            Literal::Integer(value) => value.fmt(f),
            // The point or exponent stays: it is what makes it a float.
            Literal::Float(value) => write!(f, "{value:?}"),
            Literal::Bool(value) => value.fmt(f),
            Literal::Null => f.write_str("null"),
            Literal::Param(name) => write!(f, "${name}"),
        }
    }
}
