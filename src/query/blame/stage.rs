//! Mistakes in stages: unknown ones, ones out of place, and what is missing between them.

use super::condition::continued_condition;
use crate::query::mistake::{Fix, Mistake, shown};
use crate::query::name::METRICS;
use crate::query::scene::Edit;
use crate::query::stages::{Context, Misplaced, Order, STAGES, lookup};
use crate::query::token::{Kind, Token, Tokens};
use crate::query::{repair, suggest};

/// Words of other languages and habits, and what says the same here.
const STAGE_ALIASES: [(&str, &str); 50] = [
    ("limit", "top"),
    ("take", "top"),
    ("first", "top"),
    ("head", "top"),
    ("topk", "top"),
    ("count", "top"),
    ("best", "top"),
    ("k", "top"),
    ("offset", "skip"),
    ("filter", "where"),
    ("having", "where"),
    ("when", "where"),
    ("if", "where"),
    ("metric", "score"),
    ("by", "score"),
    ("distance", "score"),
    ("similarity", "score"),
    ("rank", "score"),
    ("lens", "using"),
    ("with", "using"),
    ("use", "using"),
    ("apply", "using"),
    ("mix", "blend"),
    ("combine", "blend"),
    ("centre", "center"),
    ("demean", "center"),
    ("corpus", "center corpus"),
    ("center_corpus", "center corpus"),
    ("center-corpus", "center corpus"),
    ("centercorpus", "center corpus"),
    ("normalise", "normalize"),
    ("norm", "normalize"),
    ("unit", "normalize"),
    ("l2norm", "normalize"),
    ("standardise", "standardize"),
    ("zscore", "standardize"),
    ("slice", "truncate"),
    ("cut", "truncate"),
    ("transform", "project"),
    ("matrix", "project"),
    ("threshold", "above"),
    ("over", "above"),
    ("min", "above"),
    ("atleast", "above"),
    ("below", "within"),
    ("under", "within"),
    ("max", "within"),
    ("include", "including"),
    ("includes", "including"),
    ("brute", "exact"),
];

/// Words of other languages for metrics.
const METRIC_ALIASES: [(&str, &str); 27] = [
    ("cos", "cosine"),
    ("cosine_similarity", "cosine"),
    ("cosine-similarity", "cosine"),
    ("similarity", "cosine"),
    ("angle", "cosine"),
    ("angular", "cosine"),
    ("ip", "dot"),
    ("inner", "dot"),
    ("inner_product", "dot"),
    ("inner-product", "dot"),
    ("dot_product", "dot"),
    ("dot-product", "dot"),
    ("dotproduct", "dot"),
    ("product", "dot"),
    ("corr", "pearson"),
    ("correlation", "pearson"),
    ("r", "pearson"),
    ("l2", "euclidean"),
    ("euclid", "euclidean"),
    ("distance", "euclidean"),
    ("squared", "euclidean"),
    ("prob", "probability"),
    ("p", "probability"),
    ("calibrated", "probability"),
    ("edit", "levenshtein"),
    ("edit_distance", "levenshtein"),
    ("lev", "levenshtein"),
];

fn alias(word: &str, aliases: &[(&str, &'static str)]) -> Option<&'static str> {
    aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(word)).map(|(_, meant)| *meant)
}

/// The stage a word was probably meant to be.
fn nearest_stage(word: &str) -> Option<String> {
    alias(word, &STAGE_ALIASES).map(str::to_string).or_else(|| suggest(word, STAGES.iter().map(|(stage, _)| *stage)))
}

fn nearest_metric(word: &str) -> Option<String> {
    alias(word, &METRIC_ALIASES)
        .map(str::to_string)
        .or_else(|| suggest(word, METRICS.iter().map(|metric| metric.as_str())))
}

/// A stage that may not stand where it does.
pub(in crate::query) fn misplaced(token: &Token<'_>, stage: &str, why: Misplaced) -> Mistake {
    match why {
        Misplaced::NotOfALens => not_of_a_lens(token, stage),
        Misplaced::Before(last) => out_of_place(token, stage, last),
        Misplaced::Again(last) => given_twice(token, stage, last),
    }
}

/// A clause of a search in a `let`.
fn not_of_a_lens(token: &Token<'_>, stage: &str) -> Mistake {
    Mistake::at(token, "parse::not_of_a_lens", format!("`{stage}` belongs to a search, not to a lens"))
        .expected_any(["view", "using", "blend", "a step", "score"])
        .hint("it is written behind the search that uses the lens")
        .fix(Fix::By(repair::drop_stage))
}

/// A clause that stands behind one it has to stand before.
fn out_of_place(token: &Token<'_>, stage: &str, last: &str) -> Mistake {
    let is_clause = |word: &str| ["where", "above", "within", "skip", "top", "including"].contains(&word);
    if stage == "blend" && !is_clause(last) {
        // The other order would be no better: nothing of a lens goes with a blend.
        let message = format!("`blend` after `{last}`: the blend is the lens");
        return Mistake::at(token, "parse::out_of_place", message)
            .hint("stages of a lens belong into the lenses that are blended");
    }
    Mistake::at(token, "parse::out_of_place", format!("`{stage}` comes before `{last}`"))
        .hint("order: view or using, steps, score, where, above or within, skip, top")
        .fix(Fix::By(repair::reorder))
}

/// A second clause where one is allowed.
fn given_twice(token: &Token<'_>, stage: &str, last: &str) -> Mistake {
    if stage != last {
        let message = format!("`{stage}` and `{last}` exclude each other");
        let hint = match stage {
            "above" | "within" => "`above` bounds a score, `within` a distance",
            _ => "a lens has its own view",
        };
        return Mistake::at(token, "parse::excluded", message).hint(hint).fix(Fix::By(repair::keep_one));
    }
    let mistake = Mistake::at(token, "parse::given_twice", format!("`{stage}` is given twice"));
    let fix = if stage == "where" { Fix::By(repair::merge_conditions) } else { Fix::By(repair::keep_one) };
    mistake.fix(fix)
}

/// Something stands behind a stage that neither belongs to it nor begins with `|`.
pub(in crate::query) fn no_pipe(i: Tokens<'_>, order: &Order) -> Mistake {
    let token = i.first();
    if let Some(mistake) = order.in_condition().then(|| continued_condition(i)).flatten() {
        return mistake;
    }
    let mistake = Mistake::missing(&token, "`|` or the end of the statement").expected("|");
    if token.is_foreign("||") {
        return mistake.hint("a single `|` separates stages").fix(Fix::replace(&token, "|"));
    }
    if token.is_foreign(";") {
        return mistake.hint("a statement needs no `;`").fix(Fix::edit(Edit::delete(token.span())));
    }
    let replaced = token.kind == Kind::Comma || token.is_foreign("/") || token.is_foreign("&&") || token.is("then");
    if replaced && i.peek(1).kind == Kind::Word {
        return mistake.fix(Fix::replace(&token, " |"));
    }
    if token.kind == Kind::Close {
        return mistake.hint("there is no `(` to close").fix(Fix::edit(Edit::delete(token.span())));
    }
    let begins_stage =
        token.kind == Kind::Word && (lookup(token.text).is_some() || nearest_stage(token.text).is_some());
    if begins_stage {
        let message = format!("`|` is missing before {}", shown(token.text));
        return Mistake::at(&token, "parse::missing_pipe", message)
            .expected("|")
            .fix(Fix::edit(Edit::insert(token.start, "| ")));
    }
    mistake
}

/// No stage begins like this.
pub(in crate::query) fn unknown_stage(i: Tokens<'_>, order: &Order) -> Mistake {
    let (token, next) = (i.first(), i.peek(1));
    if matches!(token.kind, Kind::End | Kind::Pipe) {
        let message =
            if token.kind == Kind::End { "a stage is missing at the end" } else { "a stage is missing before `|`" };
        return Mistake::at(&token, "parse::empty_stage", message)
            .expected_any(order.allowed())
            .fix(Fix::By(repair::drop_pipe));
    }
    let mistake = Mistake::at(&token, "parse::unknown_stage", "unknown stage").expected_any(order.allowed());
    let operator = matches!(
        next.kind,
        Kind::Equal | Kind::NotEqual | Kind::Less | Kind::LessEqual | Kind::Greater | Kind::GreaterEqual
    ) || next.is_foreign("==")
        || next.is_any(&["has", "is"]);
    match token.kind {
        Kind::Word | Kind::Backtick if operator && order.context == Context::Search => {
            mistake.hint("did you mean `where`?").fix(Fix::edit(Edit::insert(token.start, "where ")))
        }
        Kind::Open | Kind::Backtick => mistake.fix(Fix::edit(Edit::insert(token.start, "where "))),
        Kind::Number if order.context == Context::Search => {
            mistake.hint("did you mean `top`?").fix(Fix::edit(Edit::insert(token.start, "top ")))
        }
        Kind::Word => unknown_word(&token, mistake),
        _ => mistake,
    }
}

/// No stage begins with this word.
fn unknown_word(token: &Token<'_>, mistake: Mistake) -> Mistake {
    let word = token.text;
    if token.is_any(&["sort", "order", "orderby", "sorted"]) {
        return mistake.hint("hits always run from most to least similar").fix(Fix::By(repair::drop_stage));
    }
    if METRICS.iter().any(|metric| token.is(metric.as_str())) {
        return mistake
            .hint(format!("did you mean `score {}`?", word.to_lowercase()))
            .fix(Fix::edit(Edit::insert(token.start, "score ")));
    }
    if let Some(stage) = alias(word, &STAGE_ALIASES) {
        return mistake.did_you_mean(token, stage);
    }
    let stage = suggest(word, STAGES.iter().map(|(stage, _)| *stage));
    let metric = nearest_metric(word);
    match (stage, metric) {
        (Some(stage), _) => mistake.did_you_mean(token, &stage),
        (None, Some(metric)) => mistake.did_you_mean(token, &format!("score {metric}")),
        (None, None) => mistake,
    }
}

/// `center` is followed by a word it does not take.
pub(in crate::query) fn bad_center(token: &Token<'_>) -> Mistake {
    let message = format!("`center` is followed by `corpus`, `sides` or nothing, not by {}", shown(token.text));
    let mistake = Mistake::at(token, "parse::expected", message).expected_any(["corpus", "sides from", "|"]);
    if token.is_any(&["mean", "global", "dataset", "collection", "all", "records", "documents", "data"]) {
        return mistake.did_you_mean(token, "corpus");
    }
    if token.is_any(&["by", "on", "the", "to", "of", "own", "self", "itself", "vector", "with"]) {
        return mistake.fix(Fix::edit(Edit::delete(token.span())));
    }
    if let Some(word) = suggest(token.text, ["corpus", "sides"].into_iter()) {
        return mistake.did_you_mean(token, &word);
    }
    if nearest_stage(token.text).is_some() {
        return mistake.hint("is a `|` missing?").fix(Fix::edit(Edit::insert(token.start, "| ")));
    }
    mistake
}

/// `score` is followed by something that is no metric.
pub(in crate::query) fn unknown_metric(i: Tokens<'_>) -> Mistake {
    let token = i.first();
    let metrics = METRICS.iter().map(|metric| metric.as_str());
    if token.kind == Kind::Word && !token.is("csls") && lookup(token.text).is_none() {
        let filler = token.is_any(&["by", "with", "using", "as", "the"]);
        let mistake = Mistake::at(&token, "parse::unknown_metric", "unknown metric").expected_any(metrics);
        return match nearest_metric(token.text) {
            _ if filler => mistake.fix(Fix::edit(Edit::delete(token.span()))),
            Some(metric) => mistake.did_you_mean(&token, &metric),
            None => mistake,
        };
    }
    let mistake = Mistake::missing(&token, "a metric").expected_any(metrics);
    match token.kind {
        Kind::Equal | Kind::Colon => mistake.fix(Fix::edit(Edit::delete(token.span()))),
        Kind::Text | Kind::Backtick => mistake.fix(Fix::replace(&token, token.content())),
        Kind::Word if token.is("csls") => mistake.fix(Fix::edit(Edit::insert(token.start, "cosine "))),
        Kind::Word if token.is_any(&["using", "above", "within"]) => mistake.fix(Fix::edit(Edit::delete(token.span()))),
        Kind::End | Kind::Pipe => mistake.fix(Fix::By(repair::score_cosine)),
        _ => mistake,
    }
}
