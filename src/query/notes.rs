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
            Step::Standardize | Step::Whiten(_) | Step::Drop(_) => spread(step, before),
            Step::Project(_) => projected(before),
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
    if *step == Step::CenterCorpus
        && let Some(last @ (Step::Standardize | Step::Whiten(_) | Step::Drop(_))) = before.last()
    {
        return Some(format!("`{word}` after `{}` changes nothing: the mean is gone already", print_step(last)));
    }
    let same = before.iter().rposition(|earlier| std::mem::discriminant(earlier) == std::mem::discriminant(step))?;
    // After these two the mean is zero still.
    let between = &before[same + 1..];
    let untouched = between.iter().all(|step| matches!(step, Step::Center | Step::CenterCorpus));
    untouched.then(|| format!("`{word}` twice: the second changes nothing"))
}

/// A step that works on the spread of the records, right behind one that has changed it or done its work.
fn spread(step: &Step, before: &[Step]) -> Option<String> {
    let (last, text) = (before.last()?, print_step(step));
    let earlier = print_step(last);
    match (last, step) {
        (Step::CenterCorpus, _) => {
            Some(format!("`{earlier}` before `{text}` changes nothing: `{}` subtracts the mean itself", word(step)))
        }
        (Step::Standardize, Step::Standardize) => {
            Some("`standardize` twice in a row: the second changes nothing".to_string())
        }
        (Step::Standardize, Step::Whiten(None)) => Some(
            "`standardize` before `whiten` changes next to nothing: `whiten` evens out the spread in every direction"
                .to_string(),
        ),
        (Step::Whiten(_), Step::Standardize) => {
            Some(format!("`standardize` after `{earlier}` changes nothing: the spread is 1 everywhere already"))
        }
        (Step::Whiten(_), Step::Whiten(_) | Step::Drop(_)) => Some(format!(
            "`{text}` after `{earlier}`: the records vary alike in every direction there, and which come first is \
             chance"
        )),
        _ => None,
    }
}

/// A matrix for coordinates that are not the view's any more.
fn projected(before: &[Step]) -> Option<String> {
    let whiten = before.iter().rfind(|step| matches!(step, Step::Whiten(_) | Step::Project(_)))?;
    let whiten = matches!(whiten, Step::Whiten(_)).then(|| print_step(whiten))?;
    Some(format!(
        "`project` after `{whiten}` gets principal coordinates, which turn with the records: a matrix made for the \
         view's own does not fit them"
    ))
}

/// The first word of a step.
fn word(step: &Step) -> String {
    print_step(step).split(' ').next().unwrap_or_default().to_string()
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
        (Step::Whiten(_), Metric::Pearson) => Some(
            "`score pearson` centers each vector over its coordinates, which after `whiten` have no common origin; \
             `score cosine` does not"
                .to_string(),
        ),
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
            ("center corpus | whiten 64", "`center corpus` before `whiten 64` changes nothing: `whiten` subtracts"),
            ("center corpus | drop 2", "`center corpus` before `drop 2` changes nothing"),
            ("drop 2 | center corpus", "`center corpus` after `drop 2` changes nothing"),
            ("standardize | standardize", "`standardize` twice in a row"),
            ("standardize | whiten", "`standardize` before `whiten` changes next to nothing"),
            ("whiten 8 | standardize", "`standardize` after `whiten 8` changes nothing"),
            ("whiten | drop 2", "`drop 2` after `whiten`: the records vary alike"),
            ("whiten | whiten 5", "`whiten 5` after `whiten`: the records vary alike"),
            ("whiten 64 | normalize | project topic", "`project` after `whiten 64` gets principal coordinates"),
            ("whiten | score pearson", "`score pearson` centers each vector over its coordinates"),
            ("normalize | drop 2 | score dot", "`normalize | drop` leaves vectors off unit length"),
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
            "standardize | whiten 64",
            "normalize | drop 3",
            "normalize | drop 3 | normalize | score dot",
            "whiten 128 | truncate 64",
            "standardize | score euclidean",
            "center sides from asked | score cosine",
            "center sides from asked | whiten 64",
            "project topic | whiten 16",
            "truncate 64 | standardize",
        ] {
            assert_eq!(notes(stages), Vec::<String>::new(), "{stages}");
        }
    }
}
