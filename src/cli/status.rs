//! How a run ended, as the caller's shell sees it.

use std::process::ExitCode;

/// The exit status of the program; the worse of two is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Everything was read and written.
    Complete = 0,
    /// The report is written, but the input was incomplete or damaged.
    Incomplete = 1,
    /// Nothing useful could be done.
    Nothing = 2,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
