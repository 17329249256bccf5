//! Retrieval metrics over graded judgements, and lines of a TREC run.
//!
//! Pure functions: rankings and judgements in, numbers and text out. The conventions are BEIR's and trec_eval's: a
//! grade above 0 is relevant, gains are the grades themselves, the discount is log2(rank + 1), and an unjudged record
//! counts as not relevant. Averages run over the queries that are judged, as those of trec_eval, pytrec_eval and
//! ir_measures do: one that found nothing counts as 0, and so does one whose judgements name no relevant record; a
//! query nobody judged is counted apart.

use std::collections::{BTreeMap, HashMap};

/// Judgements: grade by query id and record id. A grade of 0 or below says "judged, not relevant".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Qrels {
    grades: BTreeMap<String, HashMap<String, i64>>,
}

impl Qrels {
    /// No judgements.
    pub fn new() -> Self {
        Qrels::default()
    }

    /// Sets the grade of one pair; a pair that is judged twice keeps the last grade. Answers with the one before.
    pub fn insert(&mut self, query_id: impl Into<String>, record_id: impl Into<String>, grade: i64) -> Option<i64> {
        self.grades.entry(query_id.into()).or_default().insert(record_id.into(), grade)
    }

    /// The judgements of one query.
    pub fn of(&self, query_id: &str) -> Option<&HashMap<String, i64>> {
        self.grades.get(query_id)
    }

    /// Ids of the judged queries, sorted.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.grades.keys().map(String::as_str)
    }

    /// Number of judged queries.
    pub fn len(&self) -> usize {
        self.grades.len()
    }

    /// Whether nothing is judged.
    pub fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }
}

/// Averages over the judged queries, each between 0 and 1.
///
/// ```
/// use simile::learn::evaluate::{evaluate, Qrels};
/// let mut qrels = Qrels::new();
/// qrels.insert("q1", "n8", 1);
/// let report = evaluate([("q1", vec!["n17", "n8"])], &qrels);
/// assert_eq!(report.mrr_at_10, 0.5);
/// assert_eq!(report.success_at_1, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Mean reciprocal rank of the first relevant record among the first ten.
    pub mrr_at_10: f64,
    /// Share of the queries whose first hit is relevant (trec_eval's `success_1`). With several relevant records for a
    /// query it is not recall at 1: the best ranking brings it to 1.
    pub success_at_1: f64,
    /// Mean normalized discounted cumulative gain of the first ten.
    pub ndcg_at_10: f64,
    /// Queries of which something is judged: those the averages run over.
    pub judged: usize,
    /// Queries nobody judged, left out of the averages.
    pub unjudged: usize,
}

/// Averages the metrics over `rankings`: pairs of a query id and its record ids, best first.
///
/// Queries that are judged but do not occur in `rankings` are not counted: hand in an empty ranking for a query
/// that found nothing.
pub fn evaluate<'a, Q, R, S>(rankings: impl IntoIterator<Item = (Q, R)>, qrels: &Qrels) -> Report
where
    Q: AsRef<str>,
    R: AsRef<[S]>,
    S: AsRef<str> + 'a,
{
    let mut report = Report::default();
    for (query_id, ranking) in rankings {
        let Some(grades) = qrels.of(query_id.as_ref()) else {
            report.unjudged += 1;
            continue;
        };
        let ranking: Vec<&str> = ranking.as_ref().iter().map(AsRef::as_ref).collect();
        report.judged += 1;
        report.mrr_at_10 += reciprocal_rank(&ranking, grades, 10);
        report.success_at_1 += reciprocal_rank(&ranking, grades, 1);
        report.ndcg_at_10 += ndcg(&ranking, grades, 10);
    }
    if report.judged > 0 {
        let count = report.judged as f64;
        report.mrr_at_10 /= count;
        report.success_at_1 /= count;
        report.ndcg_at_10 /= count;
    }
    report
}

/// 1 / rank of the first relevant record among the first `depth`, 0 when there is none.
pub fn reciprocal_rank(ranking: &[&str], grades: &HashMap<String, i64>, depth: usize) -> f64 {
    let found = ranking.iter().take(depth).position(|&id| grade(grades, id) > 0);
    found.map_or(0.0, |position| 1.0 / (position + 1) as f64)
}

/// Share of the relevant records that stand among the first `depth`; 0 when nothing is relevant.
pub fn recall(ranking: &[&str], grades: &HashMap<String, i64>, depth: usize) -> f64 {
    let relevant = grades.values().filter(|&&grade| grade > 0).count();
    if relevant == 0 {
        return 0.0;
    }
    let found = ranking.iter().take(depth).filter(|&&id| grade(grades, id) > 0).count();
    found as f64 / relevant as f64
}

/// Share of the first `depth` places that hold a relevant record; a ranking that is shorter leaves places empty.
pub fn precision(ranking: &[&str], grades: &HashMap<String, i64>, depth: usize) -> f64 {
    let found = ranking.iter().take(depth).filter(|&&id| grade(grades, id) > 0).count();
    if depth == 0 { 0.0 } else { found as f64 / depth as f64 }
}

/// Mean of the precisions at the places of the relevant records, those that are not listed counting as 0; 0 when
/// nothing is relevant (trec_eval's `map`).
pub fn average_precision(ranking: &[&str], grades: &HashMap<String, i64>) -> f64 {
    let relevant = grades.values().filter(|&&grade| grade > 0).count();
    let (mut found, mut sum) = (0_u32, 0.0);
    for (position, &id) in ranking.iter().enumerate() {
        if grade(grades, id) > 0 {
            found += 1;
            sum += f64::from(found) / (position + 1) as f64;
        }
    }
    if relevant == 0 { 0.0 } else { sum / relevant as f64 }
}

/// Discounted cumulative gain of the first `depth` over that of the best possible ranking; 0 when nothing is
/// relevant. Gains are the grades, the discount is log2(rank + 1) (Järvelin and Kekäläinen 2002, as trec_eval's
/// `ndcg_cut` computes it).
pub fn ndcg(ranking: &[&str], grades: &HashMap<String, i64>, depth: usize) -> f64 {
    let mut ideal: Vec<i64> = grades.values().copied().filter(|&grade| grade > 0).collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted(ideal.into_iter().take(depth));
    if best == 0.0 {
        return 0.0;
    }
    discounted(ranking.iter().take(depth).map(|&id| grade(grades, id).max(0))) / best
}

fn grade(grades: &HashMap<String, i64>, id: &str) -> i64 {
    grades.get(id).copied().unwrap_or(0)
}

fn discounted(gains: impl Iterator<Item = i64>) -> f64 {
    // From zero on: the sum of nothing has a sign otherwise.
    gains.enumerate().fold(0.0, |sum, (position, gain)| sum + gain as f64 / (position as f64 + 2.0).log2())
}

/// One line of a TREC run, without the line break: `qid Q0 id rank score tag`.
///
/// Runs are ordered by falling score, so a distance is written with its sign turned. Fields of a run are separated by
/// blanks: white space inside an id would shift the columns, so its bytes are written as `%20` and the like, and a `%`
/// as `%25` where it could be taken for one of these; two ids never become one. Control characters are written the same
/// way: programs cut lines and columns at some of them (Python at U+001C to U+001F and U+0085), and C ends a text at
/// U+0000.
///
/// ```
/// use simile::learn::evaluate::run_line;
/// assert_eq!(run_line("q1", "n8", 1, 0.25, false, "simile"), "q1 Q0 n8 1 0.25 simile");
/// assert_eq!(run_line("q1", "n8", 1, 0.25, true, "simile"), "q1 Q0 n8 1 -0.25 simile");
/// ```
pub fn run_line(query_id: &str, id: &str, rank: usize, value: f64, is_distance: bool, tag: &str) -> String {
    // `0 - value` and not `-value`: a distance of 0 is written `0`, not `-0`.
    let score = if is_distance { 0.0 - value } else { value };
    format!("{} Q0 {} {rank} {score} {}", column(query_id), column(id), column(tag))
}

/// What a run says of the values of one query's hits, best first: the scores (a distance with its sign turned), each
/// lowered as little as it takes to be below the one before it in single precision.
///
/// Whoever reads a run sorts it by score, many in single precision, and settles ties by id: hits that score alike, or
/// nearly, would change places, and figures with them. Scores beyond single precision stay what they are.
///
/// ```
/// use simile::learn::evaluate::run_scores;
/// assert_eq!(run_scores([0.5, 0.25], false), [0.5, 0.25]);
/// assert_eq!(run_scores([0.5, 0.5], false), [0.5, f64::from(0.5_f32.next_down())]);
/// assert_eq!(run_scores([0.0, 2.0], true), [0.0, -2.0]);
/// ```
pub fn run_scores(values: impl IntoIterator<Item = f64>, is_distance: bool) -> Vec<f64> {
    let mut before: Option<f32> = None;
    let mut below = |score: f64| {
        let score = match before {
            Some(before) if before.is_finite() && score as f32 >= before && before > f32::MIN => {
                f64::from(before.next_down())
            }
            _ => score,
        };
        before = Some(score as f32);
        score
    };
    values.into_iter().map(|value| below(if is_distance { 0.0 - value } else { value })).collect()
}

/// `text` without white space and control characters; decoding every `%XX` gives it back.
fn column(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let follows = text.as_bytes().get(at + 1..at + 3);
        let is_escape = c == '%' && follows.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if c.is_whitespace() || c.is_control() || is_escape {
            let mut bytes = [0; 4];
            out.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades(pairs: &[(&str, i64)]) -> HashMap<String, i64> {
        pairs.iter().map(|&(id, grade)| (id.to_string(), grade)).collect()
    }

    #[test]
    fn reciprocal_rank_looks_at_the_first_relevant_within_the_depth() {
        let judged = grades(&[("b", 1), ("d", 2), ("a", 0), ("x", -1)]);
        assert_eq!(reciprocal_rank(&["a", "x", "b", "d"], &judged, 10), 1.0 / 3.0);
        assert_eq!(reciprocal_rank(&["a", "x", "b", "d"], &judged, 2), 0.0);
        assert_eq!(reciprocal_rank(&[], &judged, 10), 0.0);
    }

    #[test]
    fn recall_divides_by_all_relevant_records() {
        let judged = grades(&[("b", 1), ("d", 2), ("a", 0)]);
        assert_eq!(recall(&["d", "b"], &judged, 1), 0.5);
        assert_eq!(recall(&["a", "b"], &judged, 1), 0.0);
        assert_eq!(recall(&["a"], &grades(&[("a", 0)]), 1), 0.0);
    }

    #[test]
    fn precision_and_average_precision_by_hand() {
        let judged = grades(&[("a", 1), ("b", 1), ("c", 1), ("d", 0)]);
        assert_eq!(precision(&["a", "d", "b"], &judged, 2), 0.5);
        assert_eq!(precision(&["a"], &judged, 10), 0.1);
        assert_eq!(precision(&["a"], &judged, 0), 0.0);
        assert_eq!(average_precision(&["a", "d", "b", "x"], &judged), (1.0 + 2.0 / 3.0) / 3.0);
        assert_eq!(average_precision(&["d"], &grades(&[("d", 0)])), 0.0);
    }

    #[test]
    fn ndcg_agrees_with_figures_worked_out_by_hand() {
        // Grades 3, 2, 3, 0, 1, 2 in rank order: the textbook example; DCG 6.861 with linear gains.
        let judged = grades(&[("a", 3), ("b", 2), ("c", 3), ("d", 0), ("e", 1), ("f", 2)]);
        let ranking = ["a", "b", "c", "d", "e", "f"];
        let dcg = 3.0 + 2.0 / 3f64.log2() + 3.0 / 2.0 + 1.0 / 6f64.log2() + 2.0 / 7f64.log2();
        assert!((dcg - 6.861).abs() < 1e-3);
        let ideal = 3.0 + 3.0 / 3f64.log2() + 2.0 / 2.0 + 2.0 / 5f64.log2() + 1.0 / 6f64.log2();
        assert!((ndcg(&ranking, &judged, 10) - dcg / ideal).abs() < 1e-15);
        assert_eq!(ndcg(&["a", "c", "b", "f", "e"], &judged, 10), 1.0);
        // The ideal ranking is cut at the same depth.
        assert_eq!(ndcg(&["c"], &judged, 1), 1.0);
    }

    #[test]
    fn a_negative_grade_never_lowers_a_score_below_zero() {
        assert_eq!(ndcg(&["x", "y"], &grades(&[("x", -2), ("y", 1)]), 10), 1.0 / 3f64.log2());
        assert_eq!(ndcg(&["x"], &grades(&[("x", -2)]), 10), 0.0);
    }

    #[test]
    fn averages_count_empty_answers_and_leave_out_only_what_nobody_judged() {
        let mut qrels = Qrels::new();
        qrels.insert("q1", "a", 1);
        qrels.insert("q2", "b", 1);
        qrels.insert("q3", "c", 0);
        let report = evaluate([("q1", vec!["a"]), ("q2", vec![]), ("q3", vec!["c"]), ("q4", vec!["a"])], &qrels);
        // Of q3 it is known that `c` is no answer: as in trec_eval it counts, and nothing can bring it above 0.
        let third = 1.0 / 3.0;
        assert_eq!(report, Report { mrr_at_10: third, success_at_1: third, ndcg_at_10: third, judged: 3, unjudged: 1 });
        // Two records are relevant: a relevant first hit is all that the first rank can bring.
        qrels.insert("q1", "z", 1);
        assert_eq!(evaluate([("q1", vec!["a"])], &qrels).success_at_1, 1.0);
        let nothing: [(&str, Vec<&str>); 0] = [];
        assert_eq!(evaluate(nothing, &qrels), Report::default());
    }

    #[test]
    fn two_ids_never_become_one_column() {
        let decoded = |text: &str| {
            let mut bytes = Vec::new();
            let mut rest = text.as_bytes();
            while let [first, tail @ ..] = rest {
                let hex = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                match (first, hex(0), hex(1)) {
                    (b'%', Some(high), Some(low)) => {
                        bytes.push((high * 16 + low) as u8);
                        rest = &tail[2..];
                    }
                    _ => {
                        bytes.push(*first);
                        rest = tail;
                    }
                }
            }
            String::from_utf8(bytes).unwrap()
        };
        for id in ["a b", "a_b", "a%20b", "50%", "%", "% 2", "%2 0", "%%20", "a\u{2003}b", "\u{a0}", "%é", "é\t"] {
            let written = column(id);
            assert!(!written.contains(char::is_whitespace), "{written:?}");
            assert_eq!(decoded(&written), id, "{written}");
        }
        // Ids without white space that could not be misread stay as they are.
        assert_eq!((column("50%"), column("a_b")), ("50%".to_string(), "a_b".to_string()));
    }

    #[test]
    fn run_lines_turn_distances_and_keep_their_columns() {
        assert_eq!(run_line("q 1", "a\tb", 3, 0.0, true, "t"), "q%201 Q0 a%09b 3 0 t");
        let odd = run_line("a\u{1c}b", "n\0\u{1f}\u{85}\u{2028}\u{7f}é", 1, 0.5, false, "t");
        assert_eq!(odd, "a%1Cb Q0 n%00%1F%C2%85%E2%80%A8%7Fé 1 0.5 t");
        let line = run_line("q", "id", 1, 0.1 + 0.2, false, "t");
        assert_eq!(line.split(' ').nth(4).unwrap().parse::<f64>().unwrap(), 0.1 + 0.2);
    }

    #[test]
    fn the_order_of_a_run_is_that_of_its_scores_in_single_precision() {
        let values = [0.9, 0.9, 0.9 - 1e-12, 0.8, 0.8, 0.1];
        let found = run_scores(values, false);
        assert!(found.is_sorted_by(|a, b| a > b && *a as f32 > *b as f32), "{found:?}");
        assert!(found.iter().zip(values).all(|(found, value)| *found <= value && value - found < 1e-6));
        assert_eq!((found[0], found[3], found[5]), (0.9, 0.8, 0.1), "what differs stays as it is");
        let beyond = [2e61, 1.5e61, 1e61, 7.0, -1e50, -2e50];
        assert_eq!(run_scores(beyond, false), beyond);
        let far = run_scores([1.0, 1.0, 3.5], true);
        assert!(far[0] == -1.0 && far[1] < -1.0 && far[2] == -3.5, "{far:?}");
    }
}
