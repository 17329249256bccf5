//! `simile view`: a new view of a collection.

use super::Run;
use super::import::Element;
use super::upkeep::embed::without;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::{count, one_line};
use crate::cli::shared_args::missing_collection;
use crate::error::Result;
use crate::store::{Embedded, ViewSpec};
use crate::types::{CollectionDef, ElementType, ViewKind};
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `view`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").required(true).args(["template", "text_from", "vectors_only"])))]
pub(in crate::cli) struct View {
    /// The store
    store: PathBuf,
    /// The collection
    collection: String,
    /// Name of the view
    name: String,
    /// Put each text into this template before it is embedded, as in 'Nationality of {text}'
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Embed a rewritten text that stands in this field
    #[arg(long, value_name = "FIELD")]
    text_from: Option<String>,
    /// Vectors are supplied later: import --only-vectors --view NAME
    #[arg(long)]
    vectors_only: bool,
    /// Embedder of the view [default: the store's]
    #[arg(long, value_name = "NAME")]
    embedder: Option<String>,
    /// Element type of the view's vectors
    #[arg(long = "type", value_name = "TYPE", default_value = "f32")]
    element: Element,
    /// Leave the texts without vectors for now (`simile embed` fills them in)
    #[arg(long)]
    no_embed: bool,
}

impl Run for View {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let kind = match (&self.template, &self.text_from) {
            (Some(template), _) => ViewKind::Template(template.clone()),
            (None, Some(field)) => ViewKind::TextFrom(field.clone()),
            (None, None) => ViewKind::VectorsOnly,
        };
        let store = console.open_writer(&self.store)?;
        let reporter = console.reporter(&format!("embedding view {}", self.name));
        let mut batch = store.begin_with(reporter.control())?;
        if !batch.has_collection(&self.collection)? {
            // The error lists the collections that exist.
            return Err(missing_collection(&store, &self.collection));
        }
        batch.add_view(&self.collection, self.spec(&kind))?;
        let unknown = match &kind {
            ViewKind::TextFrom(field) if !has_field(batch.collection(&self.collection)?.def(), field) => {
                Some(field.clone())
            }
            _ => None,
        };
        let embeds = !self.no_embed && kind != ViewKind::VectorsOnly;
        let found = if embeds { batch.embed_missing(&self.collection, Some(&self.name))? } else { Embedded::default() };
        let embedded = found.vectors();
        let commit = batch.commit()?;
        reporter.commit(embedded);
        reporter.clear();
        if let Some(field) = unknown {
            console.note(format!("note: no record has a field {field} yet; the view takes its texts from it"));
        }
        if let Some(other) = self.template.as_deref().and_then(other_placeholder) {
            console.note(format!("note: only {{text}} is replaced; {} stays in the text as it is", one_line(other)));
        }
        if console.json {
            console.document(&json!({
                "collection": self.collection, "view": self.name, "kind": kind.as_str(), "embedded": embedded,
                "without_words": found.without_words, "without_text": found.without_text, "commit": commit.0,
            }))?;
        } else {
            let name = one_line(&self.name);
            console.line(match kind {
                ViewKind::VectorsOnly => format!("view {name} waits for vectors: import --only-vectors --view {name}"),
                _ => format!("view {name}: {} embedded", count(embedded, "text")),
            })?;
            for line in without(&found) {
                console.line(format!("  {line}"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl View {
    fn spec(&self, kind: &ViewKind) -> ViewSpec {
        let spec = match kind {
            ViewKind::Template(template) => ViewSpec::template(&self.name, template),
            ViewKind::TextFrom(field) => ViewSpec::text_from(&self.name, field),
            ViewKind::VectorsOnly | ViewKind::Raw => ViewSpec::vectors_only(&self.name),
        };
        let spec = spec.element(ElementType::from(self.element));
        match &self.embedder {
            Some(embedder) => spec.embedder(embedder),
            None => spec,
        }
    }
}

/// Whether some record may have a text under this name: in a field, within a nested one, or as its own.
fn has_field(def: &CollectionDef, name: &str) -> bool {
    let heads = name.match_indices('.').filter_map(|(at, _)| name.get(..at));
    name == "text" || heads.chain([name]).any(|head| def.fields.contains_key(head))
}

/// The first `{word}` of a template that looks like a placeholder and is none.
fn other_placeholder(template: &str) -> Option<&str> {
    for (end, _) in template.match_indices('}') {
        let before = template.get(..end)?;
        let Some(start) = before.rfind('{') else { continue };
        let word = before.get(start + 1..)?;
        let is_name = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if is_name && word != "text" {
            return template.get(start..=end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_braces_that_is_not_text_is_noticed() {
        assert_eq!(other_placeholder("{title}: {text}"), Some("{title}"));
        assert_eq!(other_placeholder("{text} {{year}"), Some("{year}"));
        for fine in ["{text}", "{{text}}", "json {\"a\": 1} {text}", "{} {text} {", "a { b } {text}"] {
            assert_eq!(other_placeholder(fine), None, "{fine}");
        }
    }
}
