//! Doubtful chains: what runs, but is seldom what was meant. Short notes for the header of an answer.

use super::printer::print_step;
use crate::types::{Metric, Step};

/// Notes on a chain of steps and the metric behind it, in the order of the chain; empty for most.
///
/// ```
/// use simile::query::doubts;
/// use simile::types::{Metric, Step};
/// let notes = doubts(&[Step::Normalize, Step::Truncate(64)], Metric::Dot);
/// assert_eq!(notes, ["`normalize | truncate` leaves vectors off unit length; `truncate 64 | normalize` does not"]);
/// ```
pub fn doubts(steps: &[Step], metric: Metric) -> Vec<String> {
    let mut notes = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        let (before, after) = (&steps[..position], &steps[position + 1..]);
        let note = match step {
            Step::Normalize => normalized(after, metric),
            Step::Center | Step::CenterCorpus | Step::CenterSides(_) => centered(step, before),
            Step::Truncate(_) => truncated(before),
            _ => None,
        };
        notes.extend(note.filter(|note| !notes.contains(note)));
    }
    notes.extend(measured(steps, metric));
    notes
}

/// What becomes of unit length after `normalize`.
fn normalized(after: &[Step], metric: Metric) -> Option<String> {
    let next = after.first()?;
    if matches!(next, Step::Normalize) {
        return Some("`normalize` twice in a row: the second changes nothing".to_string());
    }
    // A later `normalize` makes the loss harmless, and most steps are rarely meant to keep lengths.
    let restored = after.contains(&Step::Normalize);
    let scaled = matches!(metric, Metric::Cosine | Metric::Pearson);
    let word = match next {
        _ if restored => return None,
        Step::Truncate(_) => "truncate",
        Step::Drop(_) if !scaled => "drop",
        Step::Center if !scaled => "center",
        _ => return None,
    };
    let step = print_step(next);
    Some(format!("`normalize | {word}` leaves vectors off unit length; `{step} | normalize` does not"))
}

/// A second centering of the same sort with nothing between that undoes the first.
fn centered(step: &Step, before: &[Step]) -> Option<String> {
    let word = print_step(step);
    let same = before.iter().rposition(|earlier| std::mem::discriminant(earlier) == std::mem::discriminant(step))?;
    // After these two the mean is zero still.
    let between = &before[same + 1..];
    let untouched = between.iter().all(|step| matches!(step, Step::Center | Step::CenterCorpus));
    untouched.then(|| format!("`{word}` twice: the second changes nothing"))
}

/// A second `truncate` right behind the first.
fn truncated(before: &[Step]) -> Option<String> {
    let Some(Step::Truncate(earlier)) = before.last() else { return None };
    Some(format!("`truncate` twice in a row: the smaller one counts, here after {earlier} dimensions"))
}

/// Steps that the metric repeats or makes idle.
fn measured(steps: &[Step], metric: Metric) -> Option<String> {
    let last = steps.last()?;
    match (last, metric) {
        (_, Metric::Levenshtein) => {
            Some("`levenshtein` compares texts: the steps before it change nothing".to_string())
        }
        (Step::Center, Metric::Pearson) => {
            Some("`center` before `score pearson` changes nothing: pearson centers".to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ast::Statement;
    use crate::query::parse;

    /// The notes on a chain as it is written.
    fn notes(stages: &str) -> Vec<String> {
        let Ok(Statement::Let { lens, .. }) = parse(&format!("let x = {stages}")) else { panic!("{stages}") };
        let steps: Vec<Step> = lens.steps.into_iter().map(|step| step.node).collect();
        doubts(&steps, lens.metric.map_or(Metric::Cosine, |metric| metric.node))
    }

    #[test]
    fn doubtful_chains_get_one_short_note() {
        for (stages, start) in [
            (
                "normalize | truncate 64",
                "`normalize | truncate` leaves vectors off unit length; `truncate 64 | normalize`",
            ),
            ("normalize | center | score dot", "`normalize | center` leaves vectors off unit length"),
            ("normalize | normalize", "`normalize` twice in a row"),
            ("center | center", "`center` twice"),
            ("center corpus | center | center corpus", "`center corpus` twice"),
            ("center sides from a | center sides from b", "`center sides from b` twice"),
            ("truncate 64 | truncate 32", "`truncate` twice in a row"),
            ("center | score pearson", "`center` before `score pearson`"),
            ("normalize | score levenshtein", "`levenshtein` compares texts"),
        ] {
            let notes = notes(stages);
            assert_eq!(notes.len(), 1, "{stages}: {notes:?}");
            assert!(notes[0].starts_with(start), "{stages}: {notes:?}");
        }
    }

    #[test]
    fn usual_chains_get_none() {
        for stages in [
            "view raw",
            "center corpus | normalize | score dot",
            "center corpus | truncate 64 | normalize | score dot",
            "normalize | truncate 64 | normalize",
            "normalize | center corpus | score euclidean",
            "center corpus | project a | center corpus",
            "center | normalize | score dot",
            "normalize | score cosine",
            "score levenshtein",
        ] {
            assert_eq!(notes(stages), Vec::<String>::new(), "{stages}");
        }
    }
}
