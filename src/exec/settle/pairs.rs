//! From parsed `pairs` to a [`Plan`]: that of a search without a source.
//!
//! Owns what the statement does not take.

use super::names::Site;
use super::plan::{DEFAULT_TOP, Plan};
use super::search::resolve;
use crate::error::Result;
use crate::query::ast::{self, Find, LensBase, Statement};
use crate::query::print;
use crate::store::Snapshot;

/// The plan of a search with this lens and these clauses, without a source.
///
/// # Errors
/// As [`resolve`]; a query error for a blend, for `including self` and for a metric that compares texts.
pub(crate) fn resolve_pairs(snapshot: &Snapshot, pairs: &ast::Pairs, text: &str) -> Result<Plan> {
    let site = Site::new(text);
    if let LensBase::Blend(parts) = &pairs.lens.base {
        let span = parts.first().map_or(0..0, |(_, name)| name.span.clone());
        let error = site.error("resolve::pairs_lens", "`pairs` takes one lens, not a blend", &span);
        return Err(error.hint("list the pairs of each lens by itself").into());
    }
    if pairs.output.including_self {
        let message = "`including self` in `pairs`: a record is never paired with itself";
        return Err(site.error("resolve::pairs_self", message, &pairs.collection.span).into());
    }
    let mut pairs = pairs.clone();
    pairs.output.top.get_or_insert(DEFAULT_TOP.into());
    let find = Find {
        source: ast::Source::default().into(),
        collection: pairs.collection.clone(),
        lens: pairs.lens.clone(),
        output: pairs.output.clone(),
    };
    let mut plan = resolve(snapshot, &find, text)?;
    pairs.lens = plan.find.lens.clone();
    plan.statement = print(&Statement::Pairs(pairs));
    Ok(plan)
}
