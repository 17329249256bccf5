//! An answer as a person sees it: what was meant, the ranked records, what was left out.
//!
//! Owns the header line (view, steps, projection, metric with its direction, exactness), the table with its bars, and
//! the closing line of counts. Nothing in it needs colour to be understood.

use super::style::Style;
use super::table::{Column, head, lines};
use super::text::{count, join_wrapped, nought, one_line, safe, thousands};
use crate::exec::{Answer, BlendHeader, LensHeader, PlanInfo};
use crate::query::print_number;
use crate::types::{Metric, Step};

/// Columns of a full bar.
const BAR: usize = 12;
/// Most columns of an id.
const ID: usize = 28;

/// The lines of an answer.
pub(crate) fn render_answer(answer: &Answer, style: Style) -> Vec<String> {
    let mut out = header_lines(&answer.header, Some(&answer.plan), style);
    out.extend(notes(&answer.notes, style));
    if !answer.hits().is_empty() {
        out.push(String::new());
        out.extend(hit_table(answer, style));
    }
    out.push(String::new());
    out.push(format!(" {}", style.dim(footer(answer))));
    out
}

/// The line that says in what respect records were compared.
pub(crate) fn header_lines(header: &LensHeader, plan: Option<&PlanInfo>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut parts = lens_parts(header);
    if !header.blend.is_empty() {
        let weighted = |part: &BlendHeader| format!("{} * {}", print_number(part.weight), part_name(part));
        let sum: Vec<String> = header.blend.iter().map(weighted).collect();
        parts = vec![format!("blend {}", sum.join(" + ").replace("+ -", "- ")), header.direction().to_string()];
        for part in &header.blend {
            lines
                .extend(join_wrapped(&lens_parts(&part.lens), style.width.saturating_sub(2)).into_iter().map(indented));
        }
    }
    if let Some(plan) = plan {
        let exactness = if plan.exact { "exact" } else { "approximate" };
        parts.push(format!("{exactness}, {} of {}", thousands(plan.scanned), thousands(plan.rows)));
    }
    let mut out = join_wrapped(&parts, style.width);
    out.extend(lines);
    out.into_iter().map(|line| style.accent(line)).collect()
}

fn indented(line: String) -> String {
    format!("  {line}")
}

fn part_name(part: &BlendHeader) -> String {
    one_line(part.lens.name.as_deref().unwrap_or_default())
}

/// What one lens is made of, in the order it runs.
fn lens_parts(header: &LensHeader) -> Vec<String> {
    let mut parts = Vec::new();
    let view = match &header.embedder {
        Some(embedder) => format!("view {} ({})", one_line(&header.view), one_line(embedder)),
        None if header.metric == Metric::Levenshtein => format!("view {}", one_line(&header.view)),
        None => format!("view {} (supplied vectors)", one_line(&header.view)),
    };
    parts.push(match &header.name {
        Some(name) => format!("lens {}: {view}", one_line(name)),
        None => view,
    });
    let mut projections = header.projections.iter();
    let queries = |name: &str| {
        let sample = header.samples.iter().find(|sample| sample.name == name);
        sample.map_or(String::new(), |sample| format!(" ({})", count(sample.queries, "query")))
    };
    for (step, text) in header.steps.iter().zip(header.step_texts()) {
        let text = one_line(&text);
        parts.push(match step {
            Step::Project(_) => match projections.next() {
                Some(projection) => format!("{text} ({} -> {})", projection.from, projection.to),
                None => text.to_string(),
            },
            Step::CenterSides(sample) => format!("{text}{}", queries(sample)),
            _ => text.to_string(),
        });
    }
    let csls = header.csls.as_ref().map_or(String::new(), |csls| {
        format!(" csls {} from {}{}", csls.neighbours, one_line(&csls.sample), queries(&csls.sample))
    });
    match &header.calibration {
        None => parts.push(format!("score {}{csls}, {}", header.metric.as_str(), header.direction())),
        Some(calibration) => {
            parts.push(format!("score {} of {}{csls}", header.metric.as_str(), calibration.metric.as_str()));
            parts.push(header.direction().to_string());
            let ranks = match calibration.top {
                None => String::new(),
                Some(1) => ", rank 1".to_string(),
                Some(top) => format!(", ranks 1 to {top}"),
            };
            parts.push(format!(
                "{}{ranks} (lens version {}, commit {})",
                one_line(&calibration.origin),
                calibration.version,
                calibration.commit
            ));
        }
    }
    if let Some(pinned) = &header.pinned {
        let age = match pinned.commits_behind {
            0 => "up to date".to_string(),
            1 => "1 commit old".to_string(),
            commits => format!("{} commits old", thousands(commits)),
        };
        let only_means =
            header.steps.iter().all(|step| !matches!(step, Step::Standardize | Step::Whiten(_) | Step::Drop(_)));
        let what = if only_means { "mean" } else { "statistics" };
        parts.push(format!("{what} of {}, {age}", count(pinned.records, "record")));
    }
    parts
}

/// Remarks, one a line.
pub(crate) fn notes(notes: &[String], style: Style) -> Vec<String> {
    notes.iter().map(|note| style.dim(format!("note: {}", safe(note)))).collect()
}

fn hit_table(answer: &Answer, style: Style) -> Vec<String> {
    let metric = answer.header.metric;
    let full = bar_scale(answer);
    let mut columns = vec![Column::right(if metric.is_distance() { "distance" } else { "score" })];
    if answer.background.is_some() {
        columns.push(Column::right("pctl"));
    }
    if full.is_some() {
        columns.push(Column::left("", BAR + 1));
    }
    columns.push(Column::id("id", ID));
    columns.push(Column::left("text", usize::MAX));
    let rows: Vec<Vec<String>> = answer
        .hits()
        .iter()
        .map(|hit| {
            let mut row = vec![number(hit.value(), metric)];
            if answer.background.is_some() {
                row.push(hit.percentile().map_or("-".to_string(), |percentile| format!("{percentile:.1}")));
            }
            if let Some(full) = full {
                row.push(bar(hit.value() / full));
            }
            row.push(hit.id().to_string());
            // The table shows a line of it.
            row.push(head(hit.text()).to_string());
            row
        })
        .collect();
    lines(&columns, &rows, style, 1)
}

/// What a full bar stands for: 1 for metrics that end there, the best score for others, no bars for distances.
fn bar_scale(answer: &Answer) -> Option<f64> {
    match answer.header.metric {
        // A sum of scores ends nowhere in particular, and neither does a corrected one.
        _ if !answer.header.blend.is_empty() => best_score(answer),
        Metric::Probability => Some(1.0),
        Metric::Cosine | Metric::Pearson if answer.header.csls.is_none() => Some(1.0),
        Metric::Cosine | Metric::Pearson | Metric::Dot => best_score(answer),
        Metric::Euclidean | Metric::Levenshtein => None,
    }
}

fn best_score(answer: &Answer) -> Option<f64> {
    answer.hits().first().map(|hit| hit.value()).filter(|best| *best > 0.0)
}

/// A bar of eighths of a column; negative shares have none.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS.get(eighths % 8).unwrap_or(&""))
}

/// A score in a table: three decimals, more digits where those say nothing. JSON has all of them.
pub(super) fn number(value: f64, metric: Metric) -> String {
    if metric == Metric::Levenshtein {
        return format!("{value:.0}");
    }
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 5e-4) { format!("{value:.2e}") } else { nought(format!("{value:.3}")) }
}

fn footer(answer: &Answer) -> String {
    let plan = &answer.plan;
    let mut parts = vec![format!("{} of {}", thousands(answer.hits().len() as u64), thousands(plan.scanned))];
    if plan.matched < plan.rows {
        parts.push(format!("{} of {} match", thousands(plan.matched), thousands(plan.rows)));
    }
    if plan.undirected > 0 {
        parts.push(format!("{} without direction (show undirected)", thousands(plan.undirected)));
    }
    if plan.absent > 0 {
        let what = if answer.header.metric == Metric::Levenshtein { "text" } else { "vector" };
        parts.push(format!("{} without a {what}", thousands(plan.absent)));
    }
    if plan.left_out > 0 {
        parts.push(format!("{} left out (including self keeps it)", thousands(plan.left_out)));
    }
    parts.push(milliseconds(answer.elapsed_ms()));
    if let Some(background) = &answer.background {
        let elapsed = background.elapsed.as_secs_f64() * 1e3;
        let time = if elapsed < 0.05 { String::new() } else { format!(", {}", milliseconds(elapsed)) };
        let (pairs, of) = (thousands(background.pairs), pairs_of(background.questions.as_deref()));
        parts.push(format!("pctl of {pairs} random pairs{of}{time}"));
    }
    parts.join(" · ")
}

/// Which pairs values are held against, where they are not of two records.
pub(super) fn pairs_of(questions: Option<&str>) -> String {
    questions.map_or(String::new(), |whose| format!(" of a question ({}) and a record", one_line(whose)))
}

/// `0.8 ms`, `1.2 s`.
pub(crate) fn milliseconds(elapsed: f64) -> String {
    if elapsed >= 1000.0 { format!("{:.1} s", elapsed / 1000.0) } else { format!("{elapsed:.1} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_by_eighths_and_stay_within_their_column() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(-0.5), "");
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(7.0), "█".repeat(BAR));
        assert_eq!(bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(bar(1.0 / (BAR as f64) / 8.0), "▏");
        assert_eq!(bar(f64::NAN), "");
    }

    #[test]
    fn small_and_large_numbers_keep_their_meaning() {
        assert_eq!(number(0.6141, Metric::Cosine), "0.614");
        assert_eq!(number(-0.25, Metric::Cosine), "-0.250");
        assert_eq!(number(0.0, Metric::Cosine), "0.000");
        assert_eq!(number(0.000_012, Metric::Dot), "1.20e-5");
        assert_eq!(number(12.0, Metric::Levenshtein), "12");
        assert_eq!(milliseconds(0.84), "0.8 ms");
        assert_eq!(milliseconds(1234.0), "1.2 s");
    }
}
