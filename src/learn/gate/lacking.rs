//! What labels lack for a lift to be measured.
//!
//! Owns the cause: it is read from the labels themselves and not from what was left when they had been held out, where
//! too few groups, too few questions for a record and too few records of a class all look like too few questions.
//! Invariant: what is lacking here could not have been measured; it is only told by its right name.

use crate::learn::fit::{Examples, Relevance};
use crate::learn::lift::{LEAST_GROUPS, LEAST_QUERIES, Missing};
use std::collections::{BTreeMap, BTreeSet};

/// What stands against a lift on new records; `groups` are names by question.
pub(super) fn for_new_records(queries: &[u32], groups: &[u32]) -> Result<(), Missing> {
    enough_questions(queries.len())?;
    enough_groups(different(queries, groups))
}

/// What stands against a lift on known records: of listed answers, questions that share their record with another one,
/// which asks something else; `alike` are names of near-duplicates by question.
pub(super) fn for_known_records(examples: &Examples, queries: &[u32], alike: &[u32]) -> Result<(), Missing> {
    enough_questions(queries.len())?;
    let Relevance::Listed(answers) = &examples.relevance else { return enough_groups(different(queries, alike)) };
    let mut by_record: BTreeMap<u32, (usize, BTreeSet<u32>)> = BTreeMap::new();
    let of = |query: u32| answers.get(query as usize).map_or(&[][..], Vec::as_slice);
    let name = |query: u32| alike.get(query as usize).copied().unwrap_or(query);
    for &query in queries {
        for record in of(query) {
            let (questions, names) = by_record.entry(*record).or_default();
            *questions += 1;
            names.insert(name(query));
        }
    }
    let sharing =
        |query: &&u32| of(**query).iter().any(|record| by_record.get(record).is_some_and(|(all, _)| *all > 1));
    enough_questions(queries.iter().filter(sharing).count())?;
    let groups: BTreeSet<u32> =
        by_record.into_values().map(|(_, names)| names).filter(|names| names.len() > 1).flatten().collect();
    enough_groups(groups.len())
}

fn enough_questions(count: usize) -> Result<(), Missing> {
    if count < LEAST_QUERIES { Err(Missing::FewQuestions(count)) } else { Ok(()) }
}

fn enough_groups(count: usize) -> Result<(), Missing> {
    if count < LEAST_GROUPS { Err(Missing::FewGroups(count)) } else { Ok(()) }
}

/// Different names of the labelled questions.
fn different(queries: &[u32], names: &[u32]) -> usize {
    let of = |query: &u32| names.get(*query as usize).copied().unwrap_or(*query);
    queries.iter().map(of).collect::<BTreeSet<u32>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(answers: Vec<Vec<u32>>) -> Examples {
        Examples {
            dimension: 1,
            queries: vec![1.0; answers.len()],
            records: vec![1.0; 100],
            plain: vec![1.0; 100],
            own: vec![None; answers.len()],
            wrong: Vec::new(),
            relevance: Relevance::Listed(answers),
            record_mean: vec![0.0],
            same: false,
        }
    }

    #[test]
    fn new_records_lack_questions_or_groups() {
        let queries: Vec<u32> = (0..130).collect();
        let of = |count: u32| -> Vec<u32> { queries.iter().map(|query| query % count).collect() };
        // Thirteen questions for each of ten records, which labels of nothing connect to one group, or to nine.
        assert_eq!(for_new_records(&queries, &of(1)), Err(Missing::FewGroups(1)));
        assert_eq!(for_new_records(&queries, &of(9)), Err(Missing::FewGroups(9)));
        assert_eq!(for_new_records(&queries, &of(10)), Ok(()));
        assert_eq!(for_new_records(&queries[..19], &of(1)), Err(Missing::FewQuestions(19)), "they come first");
    }

    #[test]
    fn known_records_lack_questions_that_share_them_or_different_ones() {
        let queries: Vec<u32> = (0..60).collect();
        let known = |answer: &dyn Fn(u32) -> u32, alike: &dyn Fn(u32) -> u32| {
            let answers = queries.iter().map(|query| vec![answer(*query)]).collect();
            let alike: Vec<u32> = queries.iter().map(|query| alike(*query)).collect();
            for_known_records(&examples(answers), &queries, &alike)
        };
        let alone = |query: u32| query;
        assert_eq!(known(&alone, &alone), Err(Missing::FewQuestions(0)), "a record for each");
        // Eighteen of sixty share nine records.
        let some = |query: u32| if query < 18 { query / 2 } else { query };
        assert_eq!(known(&some, &alone), Err(Missing::FewQuestions(18)));
        // All share one with two others; what is lacking is questions that say something else.
        let threes = |query: u32| query / 3;
        assert_eq!(known(&threes, &alone), Ok(()));
        assert_eq!(known(&threes, &threes), Err(Missing::FewGroups(0)));
        assert_eq!(known(&threes, &|query| if query < 6 { query } else { query / 3 + 60 }), Err(Missing::FewGroups(6)));
        // Of two that say the same one may ask about another record, too.
        assert_eq!(known(&|query| query / 2, &|query| query.div_ceil(2)), Ok(()));
    }
}
