//! The commands: one table of name, help and what to run.
//!
//! Each command has a file of its own with its arguments and its work; this table is the only list of them, and
//! help and suggestions come from it.

mod calibrate;
mod diagnose;
mod evaluate;
mod export;
mod get;
mod import;
mod label;
mod learn;
mod new;
mod project;
mod promote;
mod query;
mod remove;
mod repl;
mod sample;
mod tour;
mod try_lenses;
mod upkeep;
mod view;

use super::command::{Entry, Run, entry};

/// All commands, in the order a newcomer meets them.
pub(super) const COMMANDS: &[Entry] = &[
    entry::<tour::Tour>("tour", "A guided first look: makes a store, questions it, leaves it behind"),
    entry::<new::New>("new", "Make an empty store"),
    entry::<import::Import>("import", "Read JSONL (plain or .gz) into a collection, with or without vectors"),
    entry::<view::View>("view", "Add a view: a template, a rewritten text, or supplied vectors"),
    entry::<upkeep::embed::Embed>("embed", "Fill in the vectors that are missing"),
    entry::<project::Project>("project", "Store a projection, or a pair of them, under a name"),
    entry::<upkeep::materialize::Materialize>(
        "materialize",
        "Keep the processed rows of a saved lens: smaller, faster",
    ),
    entry::<sample::Sample>("sample", "Store a set of queries under a name, for `center sides` and `csls`"),
    entry::<query::Query>("query", "Run a statement of the query language"),
    entry::<repl::Repl>("repl", "Type statements one after the other"),
    entry::<get::Get>("get", "Show one record with its views"),
    entry::<remove::Remove>("remove", "Remove records by id or by a condition"),
    entry::<upkeep::analyze::Analyze>("analyze", "Bring the pinned statistics of saved lenses up to date"),
    entry::<learn::Learn>("learn", "Learn a lens from labels; only what held-out labels confirm is used by name"),
    entry::<promote::Promote>("promote", "Use a learned candidate by its lens's name"),
    entry::<promote::Demote>("demote", "Turn a learned lens back into a candidate"),
    entry::<promote::History>("history", "Show the fits of a learned lens and what became of them"),
    entry::<calibrate::Calibrate>("calibrate", "Say how a saved lens's score becomes a probability"),
    entry::<diagnose::Diagnose>("diagnose", "Say what a view's vectors are like, and what that suggests to try"),
    entry::<try_lenses::Try>("try", "Hold ready-made lenses against labels; nothing is saved"),
    entry::<upkeep::info::Info>("info", "Show what is in a store"),
    entry::<upkeep::check::Check>("check", "Verify every checksum and invariant"),
    entry::<upkeep::compact::Compact>("compact", "Give back the space of removed and replaced records"),
    entry::<upkeep::backup::Backup>("backup", "Copy a store that may be in use; opening the copy restores it"),
    entry::<export::Export>("export", "Write a collection as JSONL, and its vectors as .npy"),
    entry::<label::Label>("label", "Say what answers what: from files, from a field, or pair by pair at the terminal"),
    entry::<evaluate::Evaluate>("evaluate", "Answer many queries at once; score the answers, one lens against another"),
];
