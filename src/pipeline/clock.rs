//! The only clock of the program: for progress, for the length of a live run, never for an analysis.

use std::time::{Duration, Instant};

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been running.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
