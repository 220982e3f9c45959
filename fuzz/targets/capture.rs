//! Any bytes through `bodies/capture.rs`. In: what the fuzzer makes up. Out: nothing, or a panic.
#![no_main]

#[path = "../bodies/mod.rs"]
#[allow(dead_code, reason = "each target runs one of them")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::capture::run(bytes));
