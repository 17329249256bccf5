//! Which questions a lens has seen: those it was learned from, and those of the samples that it takes numbers from.
//!
//! Owns [`Familiar`] and the words of the warning: on such questions a lens does better than on any other. A question
//! is the same by its text, its vector, the record that it is, or its id where nothing else is known. It ranks nothing.

use crate::error::Result;
use crate::exec::LensHeader;
use crate::store::{CANDIDATE, LabelledQuery, Labels, Snapshot, sample_of};
use crate::types::{CommitNumber, LearnedDef, LensDef, ProjectionRef, SampleDef, Step};
use std::collections::{HashMap, HashSet};

/// How questions are recognized.
#[derive(Debug, Default)]
struct Questions {
    /// Ids with the text that came along, and whether a vector did.
    ids: HashMap<String, (String, bool)>,
    texts: HashSet<String>,
    /// Directions of vectors, as [`sketch`] has them, by the place of their first number.
    vectors: HashMap<i64, Vec<Sketch>>,
    /// Ids of records.
    records: HashSet<String>,
}

/// A question as it is asked now.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskedNow<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its text; empty where it has none.
    pub text: &'a str,
    /// Its vector, where it came along.
    pub vector: Option<&'a [f32]>,
    /// The record that it is.
    pub own: Option<&'a str>,
}

impl Questions {
    fn add(&mut self, id: &str, text: &str, vector: Option<&[f32]>) {
        self.ids.insert(id.to_string(), (text.to_string(), vector.is_some()));
        if !text.trim().is_empty() {
            self.texts.insert(text.to_string());
        }
        if let Some(sketch) = vector.and_then(sketch) {
            self.vectors.entry(place(&sketch)).or_default().push(sketch);
        }
    }

    fn add_sample(&mut self, sample: &SampleDef) {
        let came = sample.vectors.as_ref();
        let mut rows = came.map(|came| came.data.chunks_exact(came.dimension.max(1) as usize));
        for (id, text) in sample.ids.iter().zip(&sample.texts) {
            self.add(id, text, rows.as_mut().and_then(Iterator::next));
        }
    }

    fn has_direction(&self, sketch: &Sketch) -> bool {
        let near = (place(sketch) - 1..=place(sketch) + 1).filter_map(|place| self.vectors.get(&place)).flatten();
        near.into_iter().any(|known| known.iter().zip(sketch).all(|(a, b)| (a - b).abs() < SAME))
    }

    fn know(&self, asked: &AskedNow<'_>) -> bool {
        if !asked.text.trim().is_empty() && self.texts.contains(asked.text) {
            return true;
        }
        if asked.vector.and_then(sketch).is_some_and(|sketch| self.has_direction(&sketch)) {
            return true;
        }
        if asked.own.is_some_and(|own| self.records.contains(own)) {
            return true;
        }
        // Another text under the same id is another question, and so is another vector where there is no text.
        let same = |(text, came): &(String, bool)| {
            let silent = text.trim().is_empty() || asked.text.trim().is_empty();
            if silent { !(*came && asked.vector.is_some()) } else { text == asked.text }
        };
        self.ids.get(asked.id).is_some_and(same) || self.records.contains(asked.id)
    }
}

/// A direction as four numbers: products of the unit vector with fixed vectors that look random. Questions that were
/// learned from are kept as unit vectors, so it is directions that are compared; two different ones agree in all four
/// only by chance.
type Sketch = [f64; 4];

/// How far the numbers of one direction may differ: by the rounding of a vector to single precision.
const SAME: f64 = 1e-6;

/// The direction of a vector; `None` where it has none.
fn sketch(vector: &[f32]) -> Option<Sketch> {
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if norm == 0.0 || !norm.is_finite() {
        return None;
    }
    let mut sketch = [0.0; 4];
    for (number, which) in sketch.iter_mut().zip(1..) {
        *number = vector.iter().zip(1..).map(|(&x, at)| f64::from(x) / norm * weight(which, at)).sum();
    }
    Some(sketch)
}

/// A number between -1 and 1 that depends on both (the end of splitmix64).
fn weight(which: u64, at: u64) -> f64 {
    let mut x = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ which.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Which hundred-thousandth the first number lies in.
fn place(sketch: &Sketch) -> i64 {
    (sketch[0] * 1e5).floor() as i64
}

/// What one lens has seen.
#[derive(Debug)]
pub struct Familiar {
    /// The learned lens, or the sample, in words.
    pub name: String,
    /// Whether it was fitted on them; else it takes a mean or neighbours from them.
    pub fitted: bool,
    questions: Questions,
}

impl Familiar {
    /// What the lenses of `header` have seen: learned ones through their fits, others through their samples.
    ///
    /// # Errors
    /// Only where the store cannot be read.
    pub fn of(snapshot: &Snapshot, header: &LensHeader) -> Result<Vec<Familiar>> {
        let mut found = Vec::new();
        let parts: Vec<&LensHeader> =
            if header.blend.is_empty() { vec![header] } else { header.blend.iter().map(|part| &part.lens).collect() };
        let mut fitted_samples: HashSet<String> = HashSet::new();
        for part in &parts {
            let projections = part.projections.iter().flat_map(|projection| projection.name.split(" -> "));
            let mut names: Vec<&str> = part.name.as_deref().into_iter().chain(projections).collect();
            names.dedup();
            for name in names {
                if found.iter().any(|known: &Familiar| known.name == name) {
                    continue;
                }
                if let Some(familiar) = Familiar::of_learned(snapshot, name)? {
                    fitted_samples.insert(sample_of(name));
                    found.push(familiar);
                }
            }
        }
        for sample in parts.iter().flat_map(|part| &part.samples) {
            if !fitted_samples.insert(sample.name.clone()) {
                continue;
            }
            found.extend(Familiar::of_sample(snapshot, &sample.name)?);
        }
        Ok(found)
    }

    /// What a lens that is written out has seen.
    ///
    /// # Errors
    /// Only where the store cannot be read.
    pub fn of_lens(snapshot: &Snapshot, lens: &LensDef) -> Result<Vec<Familiar>> {
        let mut found: Vec<Familiar> = Vec::new();
        let mut samples: Vec<&String> = lens.csls.iter().map(|(_, sample)| sample).collect();
        for step in &lens.steps {
            let names = match step {
                Step::Project(ProjectionRef::One(name)) => vec![name],
                Step::Project(ProjectionRef::Pair(query, record)) => vec![query, record],
                Step::CenterSides(sample) => {
                    samples.push(sample);
                    Vec::new()
                }
                _ => Vec::new(),
            };
            for name in names {
                found.extend(Familiar::of_learned(snapshot, name)?);
            }
        }
        samples.sort_unstable();
        samples.dedup();
        for sample in samples {
            if !found.iter().any(|known| sample_of(&known.name) == *sample) {
                found.extend(Familiar::of_sample(snapshot, sample)?);
            }
        }
        Ok(found)
    }

    fn of_sample(snapshot: &Snapshot, name: &str) -> Result<Option<Familiar>> {
        let Some(def) = snapshot.sample(name)? else { return Ok(None) };
        let mut questions = Questions::default();
        questions.add_sample(&def);
        Ok(Some(Familiar { name: name.to_string(), fitted: false, questions }))
    }

    /// What the learned lens `name` (or its candidate) was learned from; `None` for any other lens.
    ///
    /// # Errors
    /// Only where the store cannot be read.
    pub fn of_learned(snapshot: &Snapshot, name: &str) -> Result<Option<Familiar>> {
        // The matrix says which fit it is of.
        let Some(matrix) = snapshot.projection(name)?.and_then(|def| def.fitted_on.clone()) else { return Ok(None) };
        let mut fits = snapshot.learned(name.strip_suffix(CANDIDATE).unwrap_or(name))?;
        let of_matrix = |fit: &LearnedDef| fit.fitted_on == matrix;
        let at = fits.iter().rposition(of_matrix).or(fits.len().checked_sub(1));
        let Some(fit) = at.map(|at| fits.swap_remove(at)) else { return Ok(None) };
        let mut questions = Questions::default();
        if let Ok(labels) = snapshot.labels(snapshot.collection_name(fit.collection), &fit.respect) {
            questions.add_labels(snapshot, &labels, &fit)?;
        }
        // The labels may be gone; the questions of a lens with two sides are kept with it.
        if let Some(sample) = snapshot.sample(&sample_of(name))? {
            questions.add_sample(&sample);
        }
        Ok(Some(Familiar { name: name.to_string(), fitted: true, questions }))
    }

    /// Whether it has seen a question.
    pub fn knows(&self, asked: &AskedNow<'_>) -> bool {
        self.questions.know(asked)
    }

    /// The warning that goes with `seen` of `asked` questions; `None` where it has seen none.
    pub fn warning(&self, seen: usize, asked: usize) -> Option<String> {
        if seen == 0 {
            return None;
        }
        let Familiar { name, fitted, .. } = self;
        Some(if *fitted {
            format!(
                "{seen} of {asked} questions are among those that lens {name} was fitted on: it does better on these \
                 than on new ones, and its figures here are too high (ask questions it has not seen; `simile history \
                 STORE {}` has the held-out figures)",
                name.strip_suffix(CANDIDATE).unwrap_or(name)
            )
        } else {
            format!(
                "{seen} of {asked} questions are in sample {name}, which the lens takes numbers from: its figures on \
                 these may be too high"
            )
        })
    }
}

impl Questions {
    /// Questions that were labelled when the lens was fitted; of classes, the records that have one.
    fn add_labels(&mut self, snapshot: &Snapshot, labels: &Labels, fit: &LearnedDef) -> Result<()> {
        if labels.respect.field.is_some() {
            let collection = snapshot.collection(snapshot.collection_name(fit.collection))?;
            for row in labels.classes.iter().flat_map(|class| &class.rows) {
                self.records.insert(collection.record(*row)?.id);
            }
            return Ok(());
        }
        let before = |commit: &CommitNumber| fit.commit == CommitNumber(0) || *commit <= fit.commit;
        let taught = labels.pairs.iter().filter(|pair| pair.said.iter().any(|said| before(&said.commit)));
        let mut places: Vec<usize> = taught.map(|pair| pair.query_idx).collect();
        places.dedup();
        for LabelledQuery { query, .. } in places.into_iter().filter_map(|place| labels.queries.get(place)) {
            let vector = query.vector.as_ref().map(|came| came.data.as_slice());
            self.add(&query.id, query.text.as_deref().unwrap_or_default(), vector);
            self.records.extend(query.record.as_ref().map(|record| record.id.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_the_same_by_its_text_its_direction_or_its_record() {
        let mut questions = Questions::default();
        let vector: Vec<f32> = (0..40).map(|at| (at as f32 * 0.7).sin()).collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let unit: Vec<f32> = vector.iter().map(|x| x / norm).collect();
        questions.add("q1", "Where are my keys?", Some(&unit));
        questions.add("q2", "", None);
        questions.records.insert("n7".to_string());
        let asked = |id, text, vector, own| questions.know(&AskedNow { id, text, vector, own });
        assert!(asked("other", "Where are my keys?", None, None));
        assert!(asked("other", "", Some(&vector), None), "of any length");
        assert!(
            asked("q1", "", None, None) && asked("q2", "a text", None, None),
            "by the id where nothing else is known"
        );
        assert!(asked("other", "", None, Some("n7")) && asked("n7", "", None, None));
        // Another text under the same id is another question, and so is a vector near by.
        assert!(!asked("q1", "Where is my wallet?", None, None));
        let mut near = vector.clone();
        near[3] += 1e-3;
        assert!(!asked("q1", "", Some(&near), None) && !asked("other", "", Some(&near), None));
        assert!(!asked("other", "", Some(&near), None) && !asked("other", "", Some(&[0.0; 40]), None));
        assert!(!asked("other", "something else", None, Some("n8")));
    }
}
