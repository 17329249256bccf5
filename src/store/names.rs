//! What is looked for by name, the errors for names that are not there, and the numbers that a store counts with.

use crate::error::{Error, ErrorKind, Result};
use crate::query::suggest;
use crate::types::{CollectionDef, ViewDef};

/// The error for a collection that is not there: what exists, and what may have been meant.
pub(in crate::store) fn no_such_collection<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = names.collect();
    let mut message = format!("there is no collection {name:?}");
    if let Some(nearest) = suggest(name, names.iter().copied()) {
        message.push_str(&format!("; did you mean {nearest:?}?"));
    }
    match names.as_slice() {
        [] => message.push_str("; the store is empty"),
        names => message.push_str(&format!(" (collections: {})", names.join(", "))),
    }
    Error::not_found(message)
}

/// The view of that name, or what there is instead.
pub(in crate::store) fn find_view<'a>(def: &'a CollectionDef, name: &str) -> Result<&'a ViewDef> {
    def.views.iter().find(|view| view.name == name).ok_or_else(|| no_such_view(def, name))
}

/// The error for a view that is not there: what exists, and what may have been meant.
pub(in crate::store) fn no_such_view(def: &CollectionDef, name: &str) -> Error {
    let names: Vec<&str> = def.views.iter().map(|view| view.name.as_str()).collect();
    let mut message = format!("collection {} has no view {name:?}", def.name);
    if let Some(nearest) = suggest(name, names.iter().copied()) {
        message.push_str(&format!("; did you mean {nearest:?}?"));
    }
    message.push_str(&format!(" (views: {})", names.join(", ")));
    Error::not_found(message).with_field(name)
}

/// The number behind `number`. Nobody comes to the end of them, but what a store says may stand there.
///
/// # Errors
/// [`ErrorKind::Limit`] at the end of all numbers.
pub(in crate::store) fn counted_up<N: Copy + PartialEq + TryFrom<u64> + Into<u64>>(number: N) -> Result<N> {
    let next = number.into().checked_add(1).and_then(|next| N::try_from(next).ok());
    next.ok_or_else(|| Error::new(ErrorKind::Limit, "the store has used up the numbers that it counts with"))
}
