//! Level 3: the store itself, made of a catalog, segment files and embedders.
//!
//! Owns the handle ([`Store`], [`Options`]), reading ([`Snapshot`] and what it hands out), writing ([`Batch`],
//! [`CollectionWriter`]), and what keeps a store honest: recovery, checks, leases. It knows lenses only as records to
//! keep, and queries not at all. Every change goes through one batch, every read through one snapshot.
//!
//! ```text
//! Store::create(path) | open(path) | open_read_only(path) -> Result<Store>;  Options::new().read_only(true).open(path)
//! store.begin() -> Result<Batch>            store.begin_with(Control) -> Result<Batch>   (progress of embedding, cancel)
//! store.snapshot() -> Result<Snapshot>      store.info() -> Result<StoreInfo>      store.check() -> Result<CheckReport>
//! store.compact() -> Result<Compacted>     store.backup(to) -> Result<BackedUp>
//! Store::salvage(from, to, &Control) -> Result<Salvaged>     what is intact of a damaged store
//! store.path(), is_read_only(), embedder(name) -> Result<Arc<dyn Embedder>>, default_embedder() -> Result<Option<String>>
//!
//! batch.collection(name) -> Result<CollectionWriter>         made when missing, with the store's embedder
//! batch.existing_collection(name) -> Result<CollectionWriter>   NotFound when missing
//! batch.create_collection(name, CollectionSpec) -> Result<CollectionWriter>
//! batch.has_collection(name) -> Result<bool>
//! batch.add_view(collection, ViewSpec) -> Result<()>         Exists when there
//! batch.embed(collection, Some(view) | None) -> Result<u64>  fills what has no vector yet; number of vectors
//! batch.put_projection(ProjectionDef), drop_projection(name) -> Result<bool>
//! batch.put_lens(name, LensDef, pinned) -> Result<LensRecord>, pin(name, pinned), drop_lens(name) -> Result<bool>
//! batch.put_sample(SampleDef) -> Result<Stored>, drop_sample(name) -> Result<bool>
//! batch.put_labels(collection, respect, &NewLabels) -> Result<LabelsStored>; put_class_respect(collection, respect, field)
//! batch.take_back_label(collection, respect, question, record) -> Result<Option<Verdict>>, drop_respect(..) -> Result<bool>
//! batch.put_calibration(lens, Calibration) -> Result<Calibration>
//! batch.put_learned(LearnedLens) -> Result<LearnedDef>       sample, projection and lens in one; promote(lens), demote(lens)
//! batch.materialize(lens, ElementType) -> Result<Vec<String>>   processed rows, written by the commit and kept up to date
//! batch.drop_materialized(lens) -> Result<bool>
//! batch.commit(self) -> Result<CommitNumber>                 dropping it aborts
//!
//! writer.insert(Record) -> Result<()>                        Exists for a known id
//! writer.insert_many(impl IntoIterator<Item = Record>) -> Result<u64>
//! writer.insert_or_skip(Record) -> Result<Outcome>           Inserted | Unchanged; Exists when it differs (resume)
//! writer.upsert(Record) -> Result<Outcome>; writer.update(Record) -> Result<Outcome> (NotFound)
//! writer.remove(id) -> Result<bool>; writer.set_vector(id, view, Vec<f32>) / replace_vector -> Result<Outcome>
//! writer.no_embed(true), keep_vectors(true) -> Self (builder style); writer.def() -> &CollectionDef; contains(id)
//! ```

mod alike;
mod append;
mod backgrounds;
mod backup;
mod batch;
mod cache;
mod check;
mod collection;
mod column;
mod compact;
mod core;
mod derived;
#[cfg(test)]
mod derived_tests;
mod fill;
mod fit;
mod flush;
mod garbage;
mod handle;
mod heads;
mod info;
mod labelled;
mod labels;
#[cfg(test)]
mod labels_tests;
mod learned;
#[cfg(test)]
mod learned_tests;
mod lenses;
mod options;
mod place;
mod question;
mod readers;
mod recent;
mod record;
mod recover;
mod rows;
mod salvage;
mod samples;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod turn;
#[cfg(test)]
mod two_writers_tests;
mod validate;
mod view;
mod view_text;
mod writer;

pub use append::Embedded;
pub use backup::BackedUp;
pub use batch::Batch;
pub use cache::LensCache;
pub use check::CheckReport;
pub use collection::{CollectionSnapshot, RecordData};
pub use column::{CHUNK_ROWS, Column, ColumnChunk, TextListRef, ValueRef};
pub use compact::Compacted;
pub use handle::Store;
pub use info::{CollectionInfo, DerivedInfo, LensInfo, ProjectionInfo, SampleInfo, StoreInfo, ViewInfo};
pub use labelled::{LabelClass, LabelledPair, LabelledQuery, Labels, RespectInfo};
pub use labels::LabelsStored;
#[cfg(feature = "cli")]
pub(crate) use learned::not_learned;
pub use learned::{
    CANDIDATE, LearnedLens, Standing, candidate_of, fit_summary, loses_on_new_classes, sample_of, standing,
};
pub use options::{CollectionSpec, Options, ViewSpec};
pub use question::{NewLabels, Question};
#[cfg(feature = "testing")]
pub(crate) use record::StoredRecord;
pub use salvage::Salvaged;
pub use samples::Stored;
pub use snapshot::{RecordView, RecordViewPart, Snapshot};
pub use view::ViewSnapshot;
pub(crate) use view_text::text_from;
pub use writer::{CollectionWriter, Outcome};
