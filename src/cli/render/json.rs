//! Any reply as the JSON document that programs hold on to.

use super::comparison::ComparisonDocument;
use super::pairs::PairsDocument;
use super::shapes::{AnswerDocument, lens_shape, milliseconds, plan_shape};
use super::why::WhyDocument;
use crate::exec::{Explanation, Listing, Reply, Saved};
use crate::interchange::jsonl::json_of;
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

/// Any reply as one document.
pub(crate) struct ReplyDocument<'a>(pub(crate) &'a Reply);

impl Serialize for ReplyDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Reply::Answer(answer) => AnswerDocument(answer).serialize(serializer),
            Reply::Comparison(comparison) => ComparisonDocument(comparison).serialize(serializer),
            Reply::Pairs(pairs) => PairsDocument(pairs).serialize(serializer),
            Reply::Why(why) => WhyDocument(why).serialize(serializer),
            Reply::Explanation(explanation) => explanation_json(explanation).serialize(serializer),
            Reply::Saved(saved) => saved_json(saved).serialize(serializer),
            Reply::Dropped { name, commit } => json!({"dropped": name, "commit": commit.0}).serialize(serializer),
            Reply::Listing(listing) => listing_json(listing).serialize(serializer),
        }
    }
}

fn to_json<T: Serialize>(value: &T) -> Json {
    // These shapes hold nothing that JSON cannot say; null stands for what would be a mistake of ours.
    serde_json::to_value(value).unwrap_or(Json::Null)
}

fn explanation_json(explanation: &Explanation) -> Json {
    let stages: Vec<Json> = explanation
        .stages
        .iter()
        .map(|stage| {
            json!({
                "name": stage.name,
                "text": stage.text,
                "rows": stage.rows,
                "bytes": stage.bytes,
                "elapsed_ms": stage.elapsed.map(milliseconds),
            })
        })
        .collect();
    json!({
        "query": explanation.statement,
        "lens": to_json(&lens_shape(&explanation.header)),
        "stages": stages,
        "plan": explanation.plan.as_ref().map(|plan| to_json(&plan_shape(plan))),
        "notes": explanation.notes,
        "elapsed_ms": explanation.elapsed.map(milliseconds),
        "memory": explanation.memory.map(|memory| {
            json!({"resident_bytes": memory.resident_bytes, "mapped_bytes": memory.mapped_bytes})
        }),
    })
}

fn saved_json(saved: &Saved) -> Json {
    json!({
        "query": saved.statement,
        "saved": saved.name,
        "version": saved.version,
        "commit": saved.commit.0,
        "pinned": saved.pinned_collections,
        "notes": saved.notes,
    })
}

fn listing_json(listing: &Listing) -> Json {
    let rows: Vec<Json> = listing
        .rows
        .iter()
        .map(|row| {
            let pairs = listing.columns.iter().zip(row).map(|(column, value)| (column.to_string(), json_of(value)));
            Json::Object(pairs.collect())
        })
        .collect();
    json!({"show": listing.what, "rows": rows})
}
