//! What there is to say of a fit in words.

use crate::types::{Accept, FitFigures, LearnedDef, Lift};

/// Standard errors that a loss must have to be called one.
const CLEAR_Z: f64 = 1.64;

/// What there is to say of a lens that ranks records of new classes worse than plain cosine does; `None` where it was
/// not seen to (1.64 standard errors).
pub fn loses_on_new_classes(figures: &FitFigures) -> Option<String> {
    let lift = figures.new_classes.filter(|lift| lift.z < -CLEAR_Z)?;
    Some(format!(
        "on classes that were not labelled it ranks worse than plain cosine: {} {:+.3} [{:+.3}, {:+.3}] of {:.3}",
        figures.metric, lift.mean, lift.low, lift.high, lift.plain
    ))
}

/// A fit and its lifts in one line: `fit 2, accepted for new records: MAP +0.121 [+0.101, +0.141] of 0.510 among new
/// records,
/// -0.020 [-0.051, +0.011] of 0.622 on new classes`.
pub fn fit_summary(def: &LearnedDef, figures: Option<&FitFigures>) -> String {
    let what = match def.accept {
        Accept::NewRecords => "new records",
        Accept::KnownRecords => "known records",
        Accept::NewClasses => "new classes",
    };
    let verdict = if def.accepted { "accepted" } else { "not accepted" };
    let shown = |lift: Option<Lift>, on: &str| match lift {
        Some(lift) => format!("{:+.3} [{:+.3}, {:+.3}] of {:.3} {on}", lift.mean, lift.low, lift.high, lift.plain),
        None => format!("not measured {on}"),
    };
    let mut lifts = vec![shown(def.new_records, "among new records"), shown(def.known_records, "among known records")];
    if let Some(figures) = figures.filter(|figures| figures.has_classes) {
        lifts.push(shown(figures.new_classes, "on new classes"));
    }
    let metric = figures.map_or("lift", |figures| figures.metric.as_str());
    format!("fit {}, {verdict} for {what}: {metric} {}", def.fit, lifts.join(", "))
}
