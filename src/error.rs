//! What stops a run. Each error is one line for the user: which file, what happened, what to do.

use std::io;
use std::path::PathBuf;

/// Why nothing useful could be done: exit status 2.
///
/// What only cuts a run short (a damaged capture after some packets) is no error: it stands in the report
/// (`CaptureInfo::error`) and makes the exit status 1. What is wrong with one packet is counted and never stops anything.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No packet could be read: the whole sentence, file first.
    #[error("{0}")]
    Input(String),

    /// An interface could not be watched: the whole sentence, interface first.
    #[error("{0}")]
    Interface(String),

    /// What was asked for does not exist or makes no sense: the whole sentence.
    #[error("{0}")]
    Request(String),

    /// The report cannot be written.
    #[error("{path}: cannot write: {source}; choose another folder with -o", path = path.display())]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Standard output takes nothing more, and not because its reader has left.
    #[error("standard output: {0}")]
    Stdout(io::Error),

    /// The operating system gave no thread or the like.
    #[error("{what}: {source}; try --threads 1")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}
