//! The pieces of which the JSON documents are made that programs hold on to.
//!
//! Owns their shapes and the order of their keys. Numbers are printed so that they come back as the same f64;
//! milliseconds have three decimals.

use crate::error::Damage;
use crate::exec::{Answer, Hit, LensHeader, PlanInfo};
use crate::interchange::jsonl::{json_of, json_text};
use crate::types::Value;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde::{Serializer, ser};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Metadata as a JSON object.
pub(crate) struct Fields<'a>(pub(crate) &'a BTreeMap<String, Value>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            match value {
                // Nested values are shown as they are kept: a tree of numbers would round them.
                Value::Json(_) => {
                    let raw = RawValue::from_string(json_text(value)).map_err(ser::Error::custom)?;
                    map.serialize_entry(name, &raw)?;
                }
                value => map.serialize_entry(name, &json_of(value))?,
            }
        }
        map.end()
    }
}

/// `answer` as INTERFACES has it.
pub(crate) struct AnswerDocument<'a>(pub(crate) &'a Answer);

#[derive(Serialize)]
struct AnswerShape<'a> {
    query: &'a str,
    lens: LensShape<'a>,
    plan: PlanShape,
    notes: &'a [String],
    results: Hits<'a>,
    background: Option<BackgroundShape<'a>>,
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct BackgroundShape<'a> {
    pairs: u64,
    of: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<&'a str>,
    elapsed_ms: f64,
}

#[derive(Serialize)]
pub(super) struct LensShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Null for a blend over several views.
    view: Option<&'a str>,
    embedder: Option<&'a str>,
    steps: Vec<String>,
    projection: Option<String>,
    metric: &'static str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    csls: Option<CslsShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    samples: Vec<SampleShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<PinnedShape>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blend: Vec<BlendShape<'a>>,
}

#[derive(Serialize)]
struct BlendShape<'a> {
    weight: f64,
    lens: LensShape<'a>,
}

#[derive(Serialize)]
struct CslsShape<'a> {
    neighbours: u32,
    sample: &'a str,
}

#[derive(Serialize)]
struct CalibrationShape<'a> {
    metric: &'static str,
    version: u32,
    commit: u64,
    origin: &'a str,
    top: Option<u32>,
    labels: u64,
    ece: Option<f64>,
    stale: Option<&'a str>,
}

#[derive(Serialize)]
struct SampleShape<'a> {
    name: &'a str,
    queries: u64,
    collection: &'a str,
}

#[derive(Serialize)]
struct PinnedShape {
    commit: u64,
    commits_behind: u64,
    records: u64,
}

#[derive(Serialize)]
pub(super) struct PlanShape {
    path: &'static str,
    exact: bool,
    rows: u64,
    matched: u64,
    scanned: u64,
    undirected: u64,
    absent: u64,
    left_out: u64,
    commit: u64,
}

/// One hit: `score` or `distance`, never both.
#[derive(Serialize)]
pub(crate) struct HitDocument<'a> {
    rank: u64,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f64>,
    /// Null where it was not asked for, and where there is none.
    percentile: Option<f64>,
    text: &'a str,
    fields: Fields<'a>,
}

/// Hits one after the other: a long answer is not gone through twice.
struct Hits<'a>(&'a [Hit]);

impl Serialize for Hits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(HitDocument::from))
    }
}

impl<'a> From<&'a Hit> for HitDocument<'a> {
    fn from(hit: &'a Hit) -> Self {
        HitDocument {
            rank: hit.rank(),
            id: hit.id(),
            score: (!hit.is_distance()).then(|| hit.value()),
            distance: hit.distance(),
            percentile: hit.percentile(),
            text: hit.text(),
            fields: Fields(hit.fields()),
        }
    }
}

impl Serialize for AnswerDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answer = self.0;
        let shape = AnswerShape {
            query: &answer.statement,
            lens: lens_shape(&answer.header),
            plan: plan_shape(&answer.plan),
            notes: &answer.notes,
            results: Hits(answer.hits()),
            background: answer.background.as_ref().map(|background| BackgroundShape {
                pairs: background.pairs,
                of: if background.questions.is_some() { "questions" } else { "records" },
                questions: background.questions.as_deref(),
                elapsed_ms: milliseconds(background.elapsed),
            }),
            elapsed_ms: milliseconds(answer.elapsed),
        };
        shape.serialize(serializer)
    }
}

pub(super) fn lens_shape(header: &LensHeader) -> LensShape<'_> {
    LensShape {
        name: header.name.as_deref(),
        view: (!header.view.is_empty()).then_some(&header.view),
        embedder: header.embedder.as_deref(),
        steps: header.step_texts(),
        projection: header.projection(),
        metric: header.metric_name(),
        direction: header.direction(),
        csls: header.csls.as_ref().map(|csls| CslsShape { neighbours: csls.neighbours, sample: &csls.sample }),
        calibration: header.calibration.as_ref().map(|calibration| CalibrationShape {
            metric: calibration.metric.as_str(),
            version: calibration.version,
            commit: calibration.commit.0,
            origin: &calibration.origin,
            top: calibration.top,
            labels: calibration.labels,
            ece: calibration.ece,
            stale: calibration.stale.as_deref(),
        }),
        samples: header
            .samples
            .iter()
            .map(|sample| SampleShape { name: &sample.name, queries: sample.queries, collection: &sample.collection })
            .collect(),
        pinned: header.pinned.map(|pinned| PinnedShape {
            commit: pinned.commit.0,
            commits_behind: pinned.commits_behind,
            records: pinned.records,
        }),
        blend: header
            .blend
            .iter()
            .map(|part| BlendShape { weight: part.weight, lens: lens_shape(&part.lens) })
            .collect(),
    }
}

pub(super) fn plan_shape(plan: &PlanInfo) -> PlanShape {
    PlanShape {
        path: plan.path.as_str(),
        exact: plan.exact,
        rows: plan.rows,
        matched: plan.matched,
        scanned: plan.scanned,
        undirected: plan.undirected,
        absent: plan.absent,
        left_out: plan.left_out,
        commit: plan.commit.0,
    }
}

/// Milliseconds with three decimals.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}

/// A finding of `check`.
pub(crate) fn damage_json(damage: &Damage) -> Json {
    json!({
        "file": damage.file.display().to_string(),
        "offset": damage.offset,
        "what": damage.what,
        "expected": damage.expected,
        "found": damage.found,
    })
}

/// Serializes an f32 so that it reads back as the same f32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) f32);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f32(self.0)
        } else {
            Err(ser::Error::custom("a stored number is not finite"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        for value in [0.1, 0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 5e-324, 0.641_237_894_112_345_6, -0.0] {
            let text = serde_json::to_string(&value).unwrap();
            let back: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!(back.to_bits(), value.to_bits(), "{text}");
        }
        let single = 0.1_f32;
        assert_eq!(serde_json::to_string(&Number(single)).unwrap(), "0.1");
        assert!(serde_json::to_string(&Number(f32::NAN)).is_err());
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(serde_json::to_string(&milliseconds(Duration::from_nanos(3_123_456))).unwrap(), "3.123");
        assert_eq!(serde_json::to_string(&milliseconds(Duration::from_nanos(400))).unwrap(), "0.0");
    }
}
