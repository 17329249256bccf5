//! Pieces of an import that need no import under way: the folder of an export, and what is said of texts without words.

use super::ImportOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::interchange::folder::{Folder, FolderReader};
use crate::store::{Batch, Embedded};
use crate::text::embed::in_words;
use std::path::Path;

/// Opens the folder of an export, which says itself what else could be asked for.
pub(super) fn open_folder(path: &Path, options: &ImportOptions) -> Result<(Folder, FolderReader)> {
    let spec = &options.spec;
    let other = [
        (spec.only_vectors, "--only-vectors"),
        (spec.vector_view != "raw", "--view"),
        (options.element.is_some(), "--type"),
        (options.skip_bad, "--skip-bad"),
        (options.update, "--update"),
    ];
    if let Some((_, flag)) = other.iter().find(|(is_asked, _)| *is_asked) {
        let message = format!(
            "{flag} does not go with the folder of an export, which makes a collection as it was; one of its views is \
             imported with --vectors {}",
            path.join("VIEW.npy").display()
        );
        return Err(Error::invalid(message));
    }
    let folder = Folder::read(path)?;
    let reader = FolderReader::open(path, &folder)?;
    Ok((folder, reader))
}

/// Makes the collection of an export's folder; one that is there must have its views, and be gone on with.
pub(super) fn prepare_alike(batch: &mut Batch, collection: &str, folder: &Folder, goes_on: bool) -> Result<()> {
    let (fields, views) = folder.definition()?;
    if !batch.has_collection(collection)? {
        return batch.create_alike(collection, &fields, &views);
    }
    let known = batch.existing_collection(collection)?.def().views.clone();
    let is_alike = known.len() == views.len()
        && known.iter().zip(&views).all(|(known, view)| known.name == view.name && known.kind == view.kind);
    if goes_on && is_alike {
        return Ok(());
    }
    let what = if goes_on { "with other views" } else { "already" };
    let message = format!(
        "collection {collection} exists {what}: the folder of an export makes a new one (--resume goes on with one \
         that was not finished)"
    );
    Err(Error::new(ErrorKind::Exists, message))
}

/// What to say of texts without a vector: "7 of 12 texts hold no word the bundled English model knows".
pub(super) fn without_words(view: &str, embedder: &str, counts: &Embedded) -> String {
    let of_view = if view == "raw" { String::new() } else { format!("view {view}: ") };
    let verb = if counts.without_words == 1 { "holds" } else { "hold" };
    let empty = if counts.empty > 0 { format!(" ({} empty)", counts.empty) } else { String::new() };
    format!(
        "{of_view}{} of {} texts {verb} no word {} knows{empty}: their records have no vector",
        counts.without_words,
        counts.texts,
        in_words(embedder)
    )
}
