//! The kernels over vector elements that this machine runs fastest.
//!
//! `arch` holds the one choice between instruction sets, `kernels` every kernel with its forms, `x86` the intrinsics;
//! `panel` and `line` are the layouts that some of them read, `wide` the `f64` loops of `scalar` in wide registers. A
//! new kernel is a function of `kernels` with one `best!`, and a form in `x86` where one pays.

pub(super) mod arch;
mod kernels;
mod line;
mod panel;
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use arch::Wide;
pub use kernels::{
    UNIT_F32, any_order_error, dot_error, dot_listed, dot_row, dot_rows, prefetch_row, products_mixed, reaching,
    widen_f16,
};
pub use line::{Line, Lines, RowTerms};
pub use panel::{GROUP_ROWS, GroupProducts, LANES, Panel};
pub use wide::{
    add, add_four, add_scaled, add_squares, divide, divide_by_number, dot_f64, squared_distance_f64, squared_norm,
    subtract, subtract_number, sum_f64, widely, widen,
};
