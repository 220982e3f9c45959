//! `finwait schema`: the dictionary of tables and columns, from the one place that defines it.

use super::args::SchemaArgs;
use super::console;
use super::status::Status;
use crate::error::Error;
use crate::tables::schema;

/// Runs the command.
pub fn run(args: &SchemaArgs) -> Result<Status, Error> {
    let text = match args.table() {
        Some(table) => schema::table_text(table),
        None if args.json => schema::json(),
        None => schema::text(),
    };
    console::print(&text)?;
    Ok(Status::Complete)
}
