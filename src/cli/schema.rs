//! `finwait schema`: the dictionary of tables and columns, from the one place that defines it.

use super::args::SchemaArgs;
use super::console;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;
use crate::tables::schema;

/// Runs the command.
pub fn run(args: &SchemaArgs, _settings: &Settings) -> Result<Status, Error> {
    let text = schema::text();
    console::print(&text)?;
    let _ = args;
    Ok(Status::Complete)
}
