//! What `salvage` takes over of labels: everything intact whose question and respect are intact, too.
//!
//! Record keys stay, so labels find their records again; numbers of respects and questions stay. Counts and the way
//! from ids to questions are made anew.

use super::Work;
use crate::catalog::{CATALOG_FILE, tables};
use crate::error::{Damage, Result};
use crate::types::{CollectionId, LabelQuery, PairLabels, RecordKey, RespectDef};
use std::collections::{BTreeMap, BTreeSet};

impl Work<'_> {
    /// Respects, their questions and labels.
    pub(super) fn labels(&mut self) -> Result<()> {
        let known: Vec<CollectionId> = self.batch.collections.iter().map(|state| state.def.id).collect();
        let respects = self.source.entries(&tables::RESPECTS, |_| true);
        let mut respects: BTreeMap<u32, RespectDef> = respects
            .into_iter()
            .filter(|(_, respect)| known.contains(&respect.collection))
            .map(|(_, respect)| (respect.id, RespectDef { pairs: 0, next_query: 0, ..respect }))
            .collect();
        let questions: BTreeMap<(u32, u32), LabelQuery> =
            self.source.entries(&tables::LABEL_QUERIES, |_| true).into_iter().collect();
        let labels: Vec<((u32, u32, RecordKey), PairLabels)> = self.source.entries(&tables::LABELS, |_| true);
        let mut asked = BTreeSet::new();
        let mut lost = 0_u64;
        for (key, pair) in &labels {
            let question = (key.0, key.1);
            let Some(respect) = respects.get_mut(&key.0).filter(|_| questions.contains_key(&question)) else {
                lost += 1;
                continue;
            };
            respect.pairs += 1;
            respect.next_query = respect.next_query.max(key.1.saturating_add(1));
            asked.insert(question);
            self.batch.tx()?.put(&tables::LABELS, key, pair)?;
        }
        if lost > 0 {
            self.source.note(Damage {
                file: CATALOG_FILE.into(),
                offset: 0,
                what: format!("{lost} labels"),
                expected: "their questions and respects".to_string(),
                found: "none".to_string(),
            });
        }
        let tx = self.batch.tx()?;
        for key in asked {
            let Some(query) = questions.get(&key) else { continue };
            tx.put(&tables::LABEL_QUERIES, &key, query)?;
            tx.put(&tables::LABEL_QUERY_IDS, &(key.0, query.id.clone()), &key.1)?;
        }
        for respect in respects.values() {
            tx.put(&tables::RESPECTS, &(respect.collection, respect.name.clone()), respect)?;
        }
        Ok(())
    }
}
