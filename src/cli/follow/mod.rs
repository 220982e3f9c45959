//! `finwait follow`: the bytes inside connections, on standard output or a file a stream.
//!
//! The captures are read twice: once to find where connections begin and end, once for their packets.

mod all;
mod folder;
mod one;
mod words;

use super::args::FollowArgs;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;

/// Runs the command.
pub(super) fn run(args: &FollowArgs, settings: &Settings) -> Result<Status, Error> {
    match &args.all {
        Some(dir) => all::run(args, dir, settings),
        None => one::run(args, settings),
    }
}
