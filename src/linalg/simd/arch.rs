//! What this machine can do, and the one place where that decides which kernel runs.
//!
//! A kernel names its forms in one [`best!`], the widest first and the portable one last. On other machines than
//! x86-64 nothing but the portable one is compiled, so a kernel without it does not build anywhere.

/// Whether this machine has every instruction of the 256-bit kernels. The answer is cached by the standard library.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// Whether it has those of the 512-bit kernels as well.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn has_avx512() -> bool {
    has_avx2() && is_x86_feature_detected!("avx512f")
}

/// The value of the first form that this machine can run. Forms are guarded by `avx512`, `avx2` or `any` (every
/// x86-64), and may be left out but for the portable one.
macro_rules! best {
    ($(avx512: $widest:expr;)? $(avx2: $wide:expr;)? $(any: $every:expr;)? else $portable:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            match () {
                $(() if $crate::linalg::simd::arch::has_avx512() => $widest,)?
                $(() if $crate::linalg::simd::arch::has_avx2() => $wide,)?
                $(() if true => $every,)?
                () => $portable,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            $portable
        }
    }};
}
pub(super) use best;

/// A loop that is compiled once more for wide registers, where it is `#[inline(always)]`. FMA is left off on purpose:
/// nothing may be fused, so the bits stay those of the portable loop.
pub trait Wide {
    /// What it answers with.
    type Output;

    /// The loop.
    fn run(self) -> Self::Output;
}
