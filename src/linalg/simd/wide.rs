//! The `f64` loops of `scalar`, compiled once more for wide registers.
//!
//! Owns nothing but the calls: each function has the bits of its namesake there, on every machine.

use super::arch::{Wide, best};
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::linalg::scalar;

/// Runs a loop in wide registers, where there are such; the bits are those of [`Wide::run`].
pub fn widely<W: Wide>(work: W) -> W::Output {
    best!(avx512: x86::widely_512(work); avx2: x86::widely_256(work); else work.run())
}

/// Writes a function that runs its namesake of `scalar` in the widest registers.
macro_rules! wide {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {
        $($(#[$doc])*
        #[inline]
        pub fn $name<'a>($($arg: $ty),*) -> $ret {
            struct Loop<'a> {
                $($arg: $ty,)*
                lifetime: std::marker::PhantomData<&'a ()>,
            }
            impl<'a> Wide for Loop<'a> {
                type Output = $ret;

                #[inline(always)]
                fn run(self) -> $ret {
                    scalar::$name($(self.$arg),*)
                }
            }
            widely(Loop::<'a> { $($arg,)* lifetime: std::marker::PhantomData })
        })*
    };
}

wide! {
    /// Inner product of two vectors of one length.
    dot_f64(a: &'a [f64], b: &'a [f64]) -> f64;
    /// Squared Euclidean distance of two vectors of one length.
    squared_distance_f64(a: &'a [f64], b: &'a [f64]) -> f64;
    /// Sum of the squares of the elements, widened.
    squared_norm(a: &'a [f32]) -> f64;
    /// Sum of the elements.
    sum_f64(a: &'a [f64]) -> f64;
    /// `y += x`, element by element.
    add(y: &'a mut [f64], x: &'a [f64]) -> ();
    /// `y += x x`, element by element.
    add_squares(y: &'a mut [f64], x: &'a [f64]) -> ();
    /// `y -= x`, element by element.
    subtract(y: &'a mut [f64], x: &'a [f64]) -> ();
    /// `y -= x` from each element.
    subtract_number(y: &'a mut [f64], x: f64) -> ();
    /// `y /= x`, element by element.
    divide(y: &'a mut [f64], x: &'a [f64]) -> ();
    /// `y /= x`, each element.
    divide_by_number(y: &'a mut [f64], x: f64) -> ();
    /// `out = row`, widened; both are of one length.
    widen(row: &'a [f32], out: &'a mut [f64]) -> ();
    /// `y += factor x`, `x` widened.
    add_scaled(y: &'a mut [f64], factor: f64, x: &'a [f32]) -> ();
    /// `sum += (f_0 a + f_2 c) + (f_1 b + f_3 d)` for four vectors, widened.
    add_four(sum: &'a mut [f64], rows: [&'a [f32]; 4], factors: [f64; 4]) -> ();
}
