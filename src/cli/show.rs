//! `finwait show`: one connection as a ladder.

use super::args::ShowArgs;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;

/// Runs the command.
pub fn run(_args: &ShowArgs, _settings: &Settings) -> Result<Status, Error> {
    Err(Error::Request("not yet".to_owned()))
}
