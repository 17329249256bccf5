//! What may stand in a blend: a weighted sum of saved lenses as one lens.
//!
//! Owns the limits of it. Each lens is settled as one alone; the blend takes no stages of its own.

use super::names::Site;
use crate::error::{Error, Result};
use crate::query::ast::{Bound, Find, Name};
use crate::query::{print_number, print_step};
use crate::types::Metric;

/// Most lenses of one blend.
const MOST_PARTS: usize = 16;

/// Largest weight: with it, sums of the largest scores there are stay finite.
const LARGEST_WEIGHT: f64 = 1e6;

/// Whether the blend `parts` may be the lens of `find`.
///
/// # Errors
/// A query error for stages that a blend does not take, too many lenses and weights out of range.
pub(crate) fn blend_fits(find: &Find, parts: &[(f64, Name)], site: &Site<'_>) -> Result<()> {
    stages_fit(find, site)?;
    weights_fit(parts, site)?;
    if parts.is_empty() {
        return Err(Error::invalid("a blend has at least one lens"));
    }
    Ok(())
}

/// A blend sums scores: higher is more similar.
///
/// # Errors
/// A query error for a lens (of the name `name`) that ends in anything else.
pub(crate) fn gives_a_score(name: &Name, metric: Metric, site: &Site<'_>) -> Result<()> {
    let what = match metric {
        Metric::Probability => "a probability",
        metric if metric.is_distance() => "a distance",
        _ => return Ok(()),
    };
    let message = format!("lens `{}` ends in {}, {what}: a blend sums scores", name.node, metric.as_str());
    let error = site.error("resolve::blend_metric", message, &name.span);
    Err(error.hint("save the lens under another name with `score cosine` or `score dot`").into())
}

/// The blend is the lens: no steps, no metric behind it, and no bound on a distance.
fn stages_fit(find: &Find, site: &Site<'_>) -> Result<()> {
    let after = "stages of a lens belong into the lenses that are blended";
    if let Some(step) = find.lens.steps.first() {
        let message = format!("`{}` after `blend`: the blend is the lens", print_step(&step.node));
        return Err(site.error("resolve::blend_steps", message, &step.span).hint(after).into());
    }
    if let Some(metric) = &find.lens.metric {
        let message =
            format!("`score {}` after `blend`: a blend is the sum of its lenses' scores", metric.node.as_str());
        return Err(site.error("resolve::blend_steps", message, &metric.span).hint(after).into());
    }
    if let Some(bound) = &find.output.bound
        && matches!(bound.node, Bound::Within(_))
    {
        let message = "`within` bounds a distance, and a blend is a score: higher is more similar";
        let error = site.error("resolve::bound_direction", message, &bound.span).expected(["above"]);
        return Err(error.into());
    }
    Ok(())
}

fn weights_fit(parts: &[(f64, Name)], site: &Site<'_>) -> Result<()> {
    for (idx, (weight, name)) in parts.iter().enumerate() {
        if idx >= MOST_PARTS {
            let message = format!("a blend takes at most {MOST_PARTS} lenses");
            return Err(site.error("resolve::limit", message, &name.span).into());
        }
        if weight.is_nan() || weight.abs() > LARGEST_WEIGHT {
            let message =
                format!("weight {}: weights of a blend lie between -1000000 and 1000000", print_number(*weight));
            return Err(site.error("resolve::limit", message, &name.span).into());
        }
    }
    Ok(())
}
