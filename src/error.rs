//! What stops a run. Each error is one line for the user: which file, what happened, what to do.

use std::io;

/// Why nothing useful could be done: exit status 2.
///
/// What only cuts a run short (a damaged capture after some packets) is no error: it stands in the report
/// (`CaptureInfo::error`) and makes the exit status 1. What is wrong with one packet is counted and never stops anything.
/// The floors above put their own errors into these words, whole sentences that begin with the file or interface.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No packet could be read, or an interface could not be watched.
    #[error("{0}")]
    Input(String),

    /// What was asked for does not exist or makes no sense.
    #[error("{0}")]
    Request(String),

    /// A condition cannot be read.
    #[error("{said}")]
    Condition {
        /// What is wrong with it.
        said: String,
        /// Lines that show where.
        place: [String; 2],
    },

    /// The report, or a part of it, cannot be written.
    #[error("{0}")]
    Output(String),

    /// Standard output takes nothing more, and not because its reader has left.
    #[error("standard output: {0}")]
    Stdout(io::Error),

    /// The operating system gave no thread.
    #[error("no thread for the analysis: {0}; try --threads 1")]
    Thread(io::Error),
}
