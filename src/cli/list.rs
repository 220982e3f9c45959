//! `finwait list`: one line a connection, on standard output.

use super::args::ListArgs;
use super::condition::{Condition, Kind, Value};
use super::settings::Settings;
use super::status::Status;
use super::{console, outcome};
use crate::error::Error;
use crate::metrics::rows::ConnectionRow;
use crate::pipeline::collect::Kept;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline::{self, Inputs};
use crate::report::terminal;
use crate::tables::cell::{self, Cell, Column, Files};
use crate::tables::schema::Row;

/// Runs the command.
pub fn run(args: &ListArgs, settings: &Settings) -> Result<Status, Error> {
    let condition = args.condition.as_deref().map(parse).transpose()?;
    let interrupt = Interrupt::listen(console::last_warning);
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let inputs = Inputs::open(&args.captures, &mut |error| console::say(error))?;
    let kept = Kept::new(options.asked());
    let finished = offline::run(inputs, options, kept, &interrupt, settings.progress)?;
    let summary = &finished.summary;
    let status = outcome::judge(summary, &finished.stopped, "")?;

    let (files, tables) = (Files::of(&summary.captures), finished.sink.finish(summary));
    let keep = |row: &ConnectionRow| condition.as_ref().is_none_or(|it| it.holds(|name| value(row, name, &files)));
    console::stream(|out| terminal::list(out, &tables, &keep, settings.style()))?;
    Ok(status)
}

/// Reads a condition on connections.
pub(super) fn parse(text: &str) -> Result<Condition, Error> {
    let kind_of = |name: &str| {
        column(name).map(|column| match column.kind {
            cell::Kind::Integer | cell::Kind::Real => Kind::Number,
            cell::Kind::Flag => Kind::Bool,
            cell::Kind::Text | cell::Kind::Time => Kind::Text,
        })
    };
    Condition::parse(text, kind_of).map_err(|said| Error::Request(format!("--where '{text}': {said}")))
}

fn column(name: &str) -> Option<&'static Column<ConnectionRow>> {
    ConnectionRow::columns().iter().find(|column| column.name == name)
}

/// What stands in a column of this row.
pub(super) fn value(row: &ConnectionRow, name: &str, files: &Files) -> Value {
    match column(name).map_or(Cell::Null, |column| (column.cell)(row, files)) {
        Cell::Null => Value::Null,
        // Exact up to 2^53: in nanoseconds, 104 days.
        Cell::Integer(number) => Value::Number(number as f64),
        Cell::Real(number) => Value::Number(number),
        Cell::Flag(flag) => Value::Bool(flag),
        Cell::Time(ts) => Value::Text(ts.to_string()),
        Cell::Word(text) => Value::Text(text.to_owned()),
        Cell::Text(text) => Value::Text(text.to_owned()),
        Cell::Shown(shown) => Value::Text(shown.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_can_be_asked_for_by_its_type() {
        for column in ConnectionRow::columns() {
            assert!(parse(&format!("{} = null", column.name)).is_ok(), "{}", column.name);
        }
        assert!(parse("handshake_ns > 1.5ms and closing = fin and not role_known").is_ok());
        let said = parse("colour = red").map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("no column colour"), "{said}");
    }
}
