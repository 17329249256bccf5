//! Two accounts of a store: all that a snapshot shows, as text, and the records as the model has them.
//!
//! Owns also the searches that are held against brute force. It changes nothing.

use super::ops::Model;
use crate::error::{Error, Result};
use crate::exec::Param;
use crate::store::Snapshot;
use crate::types::RowId;
use std::fmt::Write;

/// All that a snapshot shows but row numbers, as text.
pub(super) fn shown(snapshot: &Snapshot) -> Result<String> {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    for def in snapshot.collections() {
        line(format_args!("collection {} {} {:?} next {}", def.id, def.name, def.fields, def.next_key));
        for view in &def.views {
            line(format_args!(
                "view {} {} {:?} {:?} {:?} {}",
                view.id, view.name, view.kind, view.dimension, view.element, view.revision
            ));
        }
        let collection = snapshot.collection(&def.name)?;
        let years = collection.column("year")?;
        for row in collection.live().iter() {
            let id = collection.record(RowId(row))?.id;
            let found = snapshot.get(&def.name, &id)?;
            let found = found.ok_or_else(|| Error::not_found(format!("record {id} of row {row}")))?;
            let views: Vec<_> = found.views.iter().map(|view| (&view.name, &view.text, &view.vector)).collect();
            let year = years.as_ref().map(|years| years.with(row, |year| format!("{year:?}"))).transpose()?;
            line(format_args!("{} {id} {:?} {:?} {views:?} {year:?}", found.key, found.text, found.fields));
        }
    }
    for def in snapshot.collections() {
        for respect in snapshot.respects(&def.name)? {
            let labels = snapshot.labels(&def.name, &respect.name)?;
            let asked: Vec<_> = labels.queries.iter().map(|asked| (asked.number, &asked.query)).collect();
            let pairs: Vec<_> = labels.pairs.iter().map(|pair| (pair.query_idx, &pair.record, &pair.said)).collect();
            line(format_args!("{respect:?} {asked:?} {pairs:?} {} {}", labels.orphans, labels.classes.len()));
        }
    }
    for projection in snapshot.projections()? {
        line(format_args!("{projection:?}"));
    }
    for lens in snapshot.lenses()? {
        line(format_args!("{lens:?} {:?}", snapshot.calibration(&lens.name)?));
        for place in &lens.pinned {
            line(format_args!("{:?}", snapshot.statistic(&lens.name, place.collection, place.step_idx)?));
        }
    }
    for def in snapshot.all_learned()? {
        line(format_args!("{def:?}"));
    }
    for lens in snapshot.lenses()? {
        for def in snapshot.collections() {
            if let Some(found) = snapshot.background(&lens.name, def.id)? {
                line(format_args!("{} {} {found:?}", lens.name, def.name));
            }
        }
    }
    for sample in snapshot.samples()? {
        line(format_args!("{sample:?}"));
    }
    for number in 0..2 {
        // Lenses whose processed rows are kept: what is kept is what chooses the hits.
        if snapshot.lens(&format!("wide{number}"))?.is_some() && !is_empty(snapshot, "wide") {
            let answer = snapshot.query(&format!("find #w0 in wide | using wide{number} | top 4"))?.run()?;
            let hits: Vec<_> = answer.hits().iter().map(|hit| (hit.id(), hit.value().to_bits())).collect();
            line(format_args!("wide{number} {hits:?}"));
        }
    }
    Ok(out)
}

fn is_empty(snapshot: &Snapshot, collection: &str) -> bool {
    snapshot.collections().iter().find(|def| def.name == collection).is_none_or(|def| def.live == 0)
}

/// Searches `snapshot` and the model for the same thing, by brute force there.
///
/// # Panics
/// Where they do not find the same.
pub(super) fn search_both(snapshot: &Snapshot, model: &Model) -> Result<()> {
    let asked = [1.0_f32, -2.0, 0.5];
    for def in snapshot.collections() {
        let dot = |vector: &[f32]| vector.iter().zip(asked).map(|(a, b)| f64::from(*a) * f64::from(b)).sum::<f64>();
        let scores = model.iter().filter(|((collection, _), _)| *collection == def.name);
        let scores = scores.filter_map(|((_, id), (_, vector))| Some((id.as_str(), dot(vector.as_deref()?))));
        let mut expected: Vec<(&str, f64)> = scores.collect();
        if expected.is_empty() {
            continue;
        }
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        let query = snapshot.query(&format!("find $q in {} | view v | score dot | top 5", def.name))?;
        let answer = query.bind("q", Param::Vector(asked.to_vec())).run()?;
        assert_eq!(answer.hits().len(), expected.len().min(5), "hits in {}", def.name);
        for (hit, (_, score)) in answer.hits().iter().zip(&expected) {
            let own = expected.iter().find(|(id, _)| *id == hit.id()).map(|(_, score)| *score);
            // Ties may stand in any order here: the model knows no rows.
            let agrees = |expected: f64| (hit.value() - expected).abs() <= 1e-12 * expected.abs().max(1.0);
            assert!(agrees(*score) && own.is_some_and(agrees), "{}: {} where {score} is", hit.id(), hit.value());
        }
    }
    Ok(())
}

/// The records that a snapshot shows, as the model has them.
pub(super) fn records(snapshot: &Snapshot) -> Result<Model> {
    let mut model = Model::new();
    for def in snapshot.collections() {
        let collection = snapshot.collection(&def.name)?;
        for row in collection.live().iter() {
            let record = collection.record(RowId(row))?;
            let vector = collection.view("v").map(|view| view.vector(row)).transpose()?.flatten();
            model.insert((def.name.clone(), record.id), (record.text, vector));
        }
    }
    Ok(model)
}
