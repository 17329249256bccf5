//! The nearest of several names: "did you mean ...?".

/// Longest name that is compared; longer ones are not typing mistakes.
const CHARACTERS: usize = 64;

/// The candidate that `name` was most likely meant to be, if one is near enough.
///
/// Near means equal but for case, or within a third of the letters (at least one) in Damerau-Levenshtein distance,
/// or the longer form of a name of three letters and more. The nearest wins, then the one with the more similar
/// beginning (Jaro-Winkler), then the first.
///
/// ```
/// use simile::query::suggest;
/// assert_eq!(suggest("anwsering", ["plain", "answering"].into_iter()), Some("answering".to_string()));
/// assert_eq!(suggest("keys", ["plain", "answering"].into_iter()), None);
/// ```
pub fn suggest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = name.chars().take(CHARACTERS + 1).count();
    if length == 0 || length > CHARACTERS {
        return None;
    }
    let name = name.to_lowercase();
    let allowed = (length / 3).clamp(1, 3);
    let mut best: Option<(usize, f64, &str)> = None;
    for candidate in candidates {
        if candidate.len() > 4 * CHARACTERS {
            continue;
        }
        let lower = candidate.to_lowercase();
        let longer = length >= 3 && lower.starts_with(&name) && lower.len() > name.len();
        let distance = strsim::damerau_levenshtein(&name, &lower);
        // A one-letter name is near to every other one-letter name, which says nothing.
        let near = distance == 0 || (distance <= allowed && distance < length);
        if !near && !longer {
            continue;
        }
        let distance = if near { distance } else { allowed };
        let likeness = strsim::jaro_winkler(&name, &lower);
        if best.is_none_or(|(nearest, likest, _)| distance < nearest || (distance == nearest && likeness > likest)) {
            best = Some((distance, likeness, candidate));
        }
    }
    best.map(|(_, _, candidate)| candidate.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, candidates: &[&str]) -> Option<String> {
        suggest(name, candidates.iter().copied())
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let lenses = ["answering", "plain", "topic", "topics"];
        for (typed, meant) in [
            ("anwsering", Some("answering")),
            ("ANSWERING", Some("answering")),
            ("answer", Some("answering")),
            ("tpoic", Some("topic")),
            ("topcis", Some("topics")),
            ("plian", Some("plain")),
            ("xyz", None),
            ("", None),
            ("p", None),
        ] {
            assert_eq!(of(typed, &lenses).as_deref(), meant, "{typed}");
        }
        assert_eq!(of("a", &["b", "A"]), Some("A".to_string()));
        assert_eq!(of(&"a".repeat(100_000), &["a"]), None);
        assert_eq!(of("größe", &["gröse", "groesse"]).as_deref(), Some("gröse"));
    }
}
