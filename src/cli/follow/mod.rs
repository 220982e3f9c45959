//! `finwait follow`: the bytes inside connections, on standard output or a file a stream.
//!
//! The captures are read twice: once to find where connections begin and end, once for their packets.

mod all;
mod folder;
mod one;

use super::args::FollowArgs;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;
use crate::streams::Missing;

/// Runs the command.
pub(super) fn run(args: &FollowArgs, settings: &Settings) -> Result<Status, Error> {
    match &args.all {
        Some(dir) => all::run(args, dir, settings),
        None => one::run(args, settings),
    }
}

/// What stands where bytes are missing: tshark's mark, so that what knows the one knows the other.
fn mark(len: u64) -> String {
    format!("[{len} bytes missing in capture file]")
}

/// Why, in words.
const fn reason(why: Missing) -> &'static str {
    match why {
        Missing::NotCaptured => "acknowledged by the other side, but not in the capture",
        Missing::NotSeen => "neither in the capture nor acknowledged",
        Missing::Cut => "cut off by the capture's snapshot length",
        Missing::NotAwaited => "no longer waited for, to stay within --memory",
    }
}
