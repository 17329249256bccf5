//! What was probably meant: from the place where parsing stopped to a [`Mistake`](super::mistake::Mistake) worth
//! reading.
//!
//! The parser calls these functions when it can go no further; none of them decides whether something is a mistake.

mod condition;
mod stage;
mod token;

pub(super) use condition::{
    behind_condition, compared_with_null, early_close, no_field, no_list, no_operator, no_value, not_null,
    unclosed_group,
};
pub(super) use stage::{bad_center, misplaced, no_pipe, unknown_metric, unknown_stage};
pub(super) use token::invalid;
