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

mod care;
#[cfg(test)]
mod derived_tests;
mod handle;
mod kept;
#[cfg(test)]
mod labels_tests;
#[cfg(test)]
mod learned_tests;
mod names;
mod options;
mod place;
mod read;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_writers_tests;
mod upkeep;
mod write;

pub use care::check::CheckReport;
pub use handle::Store;
pub use kept::labels::LabelsStored;
#[cfg(feature = "cli")]
pub(crate) use kept::learned::not_learned;
pub use kept::learned::{CANDIDATE, LearnedLens, Standing, candidate_of, sample_of, standing};
pub use kept::question::{NewLabels, Question};
pub use kept::samples::Stored;
pub use options::{CollectionSpec, Options, ViewSpec};
pub use read::collection::CollectionSnapshot;
pub use read::column::{CHUNK_ROWS, Column, ColumnChunk, TextListRef, ValueRef};
pub use read::fits::{fit_summary, loses_on_new_classes};
pub use read::info::{CollectionInfo, DerivedInfo, LensInfo, ProjectionInfo, SampleInfo, StoreInfo, ViewInfo};
pub use read::labelled::{LabelClass, LabelledPair, LabelledQuery, Labels, RespectInfo};
#[cfg(feature = "testing")]
pub(crate) use read::record::StoredRecord;
pub use read::snapshot::{RecordView, RecordViewPart, Snapshot};
pub use read::view::ViewSnapshot;
pub(crate) use read::view_text::text_from;
pub use shared::cache::LensCache;
pub use shared::record_data::RecordData;
pub use upkeep::backup::BackedUp;
pub use upkeep::compact::Compacted;
pub use upkeep::salvage::Salvaged;
pub use write::append::Embedded;
pub use write::batch::Batch;
pub use write::writer::{CollectionWriter, Outcome};
