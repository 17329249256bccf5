//! Learned lenses and backgrounds for the lists of operations, and what must hold of them whatever was done.
//!
//! Owns how they are made up: a fit's seed is written into its matrix, so that [`stand`] can tell which fit bears a
//! name without asking how it came there. It knows nothing of faults.

use crate::error::Result;
use crate::store::{Batch, LearnedLens, Snapshot, candidate_of, standing};
use crate::types::{
    Accept, BackgroundDef, CollectionId, CommitNumber, FittedOn, LearnMethod, LearnMode, LearnedDef, LensDef, Lift,
    Metric, PinnedStatistic, ProjectionDef, ProjectionRef, SampleDef, SampleVectors, Statistic, Step,
};

/// Names of the lenses that are learned.
const NAMES: [&str; 2] = ["k0", "k1"];

/// Stores a fit over the supplied vectors of the first collection.
pub(super) fn learn(batch: &mut Batch, number: u8, seed: u8, accepted: bool) -> Result<()> {
    batch.put_learned(made_up(&name(number), seed, accepted)).map(drop)
}

/// Lets the candidate of a learned lens take its name.
pub(super) fn promote(batch: &mut Batch, number: u8) -> Result<()> {
    batch.promote(&name(number)).map(drop)
}

/// Lets a learned lens become its candidate.
pub(super) fn demote(batch: &mut Batch, number: u8) -> Result<()> {
    batch.demote(&name(number)).map(drop)
}

/// Forgets a lens: one that was saved, one that was learned, or a candidate.
pub(super) fn drop_lens(batch: &mut Batch, number: u8) -> Result<()> {
    batch.drop_lens(&["l0".to_string(), name(0), candidate_of(&name(1))][usize::from(number % 3)]).map(drop)
}

/// Stores what random pairs score under a saved or a learned lens.
pub(super) fn background(batch: &mut Batch, number: u8) -> Result<()> {
    let lens = if number < 3 { format!("l{number}") } else { name(number) };
    let quantiles = (0..=1_000).map(|at| f64::from(at) / f64::from(number + 1)).collect();
    let background = BackgroundDef { lens_version: 1, revision: 2, statistics: CommitNumber(1), pairs: 9, quantiles };
    batch.put_background(&lens, CollectionId(1), background)
}

fn name(number: u8) -> String {
    NAMES[usize::from(number) % NAMES.len()].to_string()
}

fn made_up(name: &str, seed: u8, accepted: bool) -> LearnedLens {
    let vectors = SampleVectors { view: "v".to_string(), dimension: 3, data: vec![1.0, f32::from(seed), 0.5] };
    let sample = SampleDef {
        ids: vec!["q".to_string()],
        texts: vec!["a question".to_string()],
        vectors: Some(vectors),
        ..SampleDef::new("named when it is stored", CollectionId(1))
    };
    let fitted_on = FittedOn {
        collection: "c0".to_string(),
        view: "v".to_string(),
        embedder: None,
        template: None,
        how: "made up".to_string(),
    };
    let projection = ProjectionDef {
        name: name.to_string(),
        rows: 2,
        columns: 3,
        query: vec![0.5; 6],
        record: Some(vec![f32::from(seed); 6]),
        origin: "made up".to_string(),
        fitted_on: Some(fitted_on.clone()),
    };
    let steps = vec![Step::CenterSides(String::new()), Step::Project(ProjectionRef::One(name.to_string()))];
    let lens = LensDef { view: "v".to_string(), steps, metric: Metric::Cosine, csls: None };
    let (collection, commit) = (CollectionId(1), CommitNumber(0));
    let pinned = PinnedStatistic { collection, step_idx: 0, commit, records: 2, revision: 0 };
    let sides = Statistic::Sides { queries: vec![1.0, f64::from(seed), 0.5], records: vec![0.25; 3] };
    let lift = Lift { mean: 0.1, low: 0.05, high: 0.15, z: 2.5, plain: 0.4, queries: 30 };
    let def = LearnedDef {
        lens: name.to_string(),
        fit: 0,
        collection,
        fitted_on,
        respect: "about".to_string(),
        mode: LearnMode::Pair,
        method: LearnMethod::InfoNce,
        seed: u64::from(seed),
        labels: 40,
        queries: 20,
        records: 30,
        groups: 10,
        label_hash: 99,
        accept: Accept::NewRecords,
        known_records: None,
        new_records: Some(lift),
        validation: Some((0.25, 0.5)),
        accepted,
        events: Vec::new(),
        time: 1_700_000_000,
        commit,
    };
    LearnedLens { sample: Some(sample), projection, lens, pinned: vec![(pinned, sides)], def }
}

/// Every learned lens that is there is the fit that its history says, with the matrix and the questions of that fit;
/// fits are counted from 1.
///
/// # Panics
/// Where that does not hold.
pub(super) fn stand(snapshot: &Snapshot) -> Result<()> {
    for name in NAMES {
        let fits = snapshot.learned(name)?;
        assert!(fits.iter().map(|def| def.fit).eq(1..=fits.len() as u32), "fits of {name}: {fits:?}");
        let now = standing(&fits);
        for (bears, fit) in [(name.to_string(), now.own), (candidate_of(name), now.candidate)] {
            let Some(lens) = snapshot.lens(&bears)? else { continue };
            let def = fits.iter().find(|def| Some(def.fit) == fit);
            let seed =
                def.unwrap_or_else(|| panic!("{bears} is there, its history says {fit:?}: {fits:?}")).seed as f32;
            let projection = snapshot.projection(&bears)?.unwrap_or_else(|| panic!("{bears} has no matrix"));
            assert_eq!(projection.record, Some(vec![seed; 6]), "the matrix of {bears} is of another fit");
            let [Step::CenterSides(sample), Step::Project(matrix)] = lens.lens.steps.as_slice() else {
                panic!("{bears} has other steps: {:?}", lens.lens.steps)
            };
            assert_eq!(*matrix, ProjectionRef::One(bears.clone()));
            let sample = snapshot.sample(sample)?.unwrap_or_else(|| panic!("{bears} has no questions"));
            assert_eq!(sample.vectors.map(|vectors| vectors.data[1]), Some(seed), "questions of {bears}");
        }
    }
    Ok(())
}
