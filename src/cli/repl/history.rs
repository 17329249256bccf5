//! Where the history of earlier sessions is kept.
//!
//! Owns the choice of the file: the user's state folder, or nowhere when there is none.

use crate::storage::input::create_dir;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The history file, its folder made where it can be; `None`: history lasts for this session only.
pub(super) fn file() -> Option<PathBuf> {
    let folder = folder(|name| std::env::var_os(name).filter(|value| !value.is_empty()))?.join("simile");
    create_dir(&folder).ok()?;
    Some(folder.join("history"))
}

fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path: &PathBuf| path.is_absolute());
    let home = || variable("HOME").and_then(absolute).map(|home| home.join(Path::new(".local/state")));
    let state = variable("XDG_STATE_HOME").and_then(absolute);
    state.or_else(|| variable("LOCALAPPDATA").and_then(absolute)).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_of_the_user_is_found() {
        let of = |pairs: &'static [(&str, &str)]| {
            folder(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(of(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), Some(PathBuf::from("/s")));
        assert_eq!(of(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]), Some(PathBuf::from("/h/.local/state")));
        assert_eq!(of(&[]), None);
    }
}
