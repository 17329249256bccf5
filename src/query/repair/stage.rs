//! Repairs of stages: their order, what is given twice, what is missing.

use super::common::behind;
use crate::query::scene::{Edit, Scene, Ways};
use crate::query::stages::{Rank, lookup};
use crate::query::token::Kind;

/// Puts all stages into their order.
pub(in crate::query) fn reorder(scene: &Scene<'_>) -> Ways {
    let stages = scene.stages();
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else { return Vec::new() };
    let span = scene.tokens[first.start].start..scene.tokens[last.end - 1].end();
    let mut sorted = stages.clone();
    sorted.sort_by_key(|stage| lookup(scene.tokens[stage.start].text).map_or(Rank::Step, |(_, rank)| rank));
    let text: Vec<&str> = sorted.iter().map(|stage| scene.slice(stage)).collect();
    vec![vec![Edit::replace(span, text.join(" | "))]]
}

/// Takes out the stage at the mistake.
pub(in crate::query) fn drop_stage(scene: &Scene<'_>) -> Ways {
    scene.stages().iter().filter(|stage| stage.contains(&scene.at)).map(|stage| vec![scene.without(stage)]).collect()
}

/// Of two stages that exclude each other keeps a lens before a view, or else the later one.
pub(in crate::query) fn keep_one(scene: &Scene<'_>) -> Ways {
    let Some((earlier, here)) = scene.rivals() else { return Vec::new() };
    let later_is_view = scene.tokens[here.start].is("view") && !scene.tokens[earlier.start].is("view");
    vec![vec![scene.without(if later_is_view { &here } else { &earlier })]]
}

/// Makes one condition of two.
pub(in crate::query) fn merge_conditions(scene: &Scene<'_>) -> Ways {
    let Some((earlier, here)) = scene.rivals() else { return Vec::new() };
    if earlier.len() < 2 || here.len() < 2 {
        return vec![vec![scene.without(if here.len() < 2 { &here } else { &earlier })]];
    }
    let grouped = |stage: &std::ops::Range<usize>| {
        let body = stage.start + 1..stage.end;
        let text = scene.slice(&body);
        if scene.tokens[body].iter().any(|token| token.is("or")) { format!("({text})") } else { text.to_string() }
    };
    let body = scene.tokens[earlier.start + 1].start..scene.tokens[earlier.end - 1].end();
    let both = format!("{} and {}", grouped(&earlier), grouped(&here));
    vec![vec![Edit::replace(body, both), scene.without(&here)]]
}

/// Takes out a `|` with nothing behind it.
pub(in crate::query) fn drop_pipe(scene: &Scene<'_>) -> Ways {
    match scene.before(1) {
        Some(pipe) if pipe.kind == Kind::Pipe => vec![vec![Edit::delete(pipe.span())]],
        _ if scene.token().kind == Kind::Pipe => vec![vec![Edit::delete(scene.token().span())]],
        _ => Vec::new(),
    }
}

/// The default number of hits.
pub(in crate::query) fn top_ten(scene: &Scene<'_>) -> Ways {
    behind(scene, " 10")
}

/// The default metric.
pub(in crate::query) fn score_cosine(scene: &Scene<'_>) -> Ways {
    behind(scene, " cosine")
}

/// `including` without `self`, or with something else.
pub(in crate::query) fn say_self(scene: &Scene<'_>) -> Ways {
    let token = scene.token();
    let mut ways = behind(scene, " self");
    if token.kind == Kind::Word {
        ways.insert(0, vec![Edit::replace(token.span(), "self")]);
    }
    ways
}
