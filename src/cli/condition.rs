//! `--where`: a condition on a row of the connections table. In: the text, rows. Out: true or false. `predicate` has the language.

use std::sync::LazyLock;

use crate::error::Error;
use crate::metrics::rows::{ActiveCloser, Closing, ConnectionRow, Opening, Tap};
use crate::predicate::{Field, Fields, Kind, Predicate, Value};
use crate::tables::cell::{self, Cell, Column, Files, Shown};
use crate::tables::schema::Row;
use crate::tcp::state::State;

/// Zeek's words for how a connection began and ended.
const CONN_STATES: [&str; 13] =
    ["S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"];

/// A field that is no column: from the first packet to the last.
const DURATION: &str = "duration_ns";

/// The columns, then [`DURATION`].
static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let columns = ConnectionRow::columns().iter().map(|column| Field { name: column.name, kind: kind(column) });
    let duration = Field { name: DURATION, kind: Kind::Span };
    let endpoints = [("client", "client_ip", "client_port"), ("server", "server_ip", "server_port")];
    Fields::new(columns.chain([duration]).collect(), &endpoints)
});

/// A condition on connections.
#[derive(Clone, Debug)]
pub struct Condition(Predicate);

impl Condition {
    /// Reads what was typed behind `--where`.
    ///
    /// # Errors
    ///
    /// The first mistake in it, with its place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Predicate::parse(text, &FIELDS).map(Self).map_err(|mistake| Error::Condition {
            said: format!("--where: {}", mistake.said()),
            place: mistake.place().map(str::to_owned),
        })
    }

    /// Whether a connection meets it; `files` are the names of the inputs.
    pub fn holds(&self, row: &ConnectionRow, files: &Files) -> bool {
        let columns = ConnectionRow::columns();
        self.0.holds(|place| match columns.get(place) {
            Some(column) => value((column.cell)(row, files)),
            None => Value::Integer(row.last_ts.since(row.first_ts).as_nanos()),
        })
    }
}

fn kind(column: &Column<ConnectionRow>) -> Kind {
    match (column.kind, column.unit) {
        (cell::Kind::Integer, "ns") => Kind::Span,
        (cell::Kind::Integer, "") | (cell::Kind::Real, _) => Kind::Number,
        (cell::Kind::Integer, _) => Kind::Amount,
        (cell::Kind::Flag, _) => Kind::Flag,
        (cell::Kind::Time, _) => Kind::Time,
        (cell::Kind::Text, _) if column.name.ends_with("_ip") => Kind::Address,
        (cell::Kind::Text, _) => words(column.name).map_or(Kind::Text, Kind::Words),
    }
}

/// What can stand in a column of words.
fn words(column: &str) -> Option<Vec<&'static str>> {
    Some(match column {
        "opening" => Opening::ALL.iter().map(|word| word.name()).collect(),
        "closing" => Closing::ALL.iter().map(|word| word.name()).collect(),
        "active_closer" => ActiveCloser::ALL.iter().map(|word| word.name()).collect(),
        "tap" => Tap::ALL.iter().map(|word| word.name()).collect(),
        "client_state" | "server_state" => State::ALL.map(State::name).to_vec(),
        "conn_state" => CONN_STATES.to_vec(),
        _ => return None,
    })
}

fn value(cell: Cell<'_>) -> Value<'_> {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(number),
        Cell::Real(number) => Value::Real(number),
        Cell::Flag(flag) => Value::Flag(flag),
        Cell::Time(ts) => Value::Time(ts),
        Cell::Word(text) => Value::Text(text.into()),
        Cell::Text(text) => Value::Text(text.into()),
        Cell::Shown(Shown::Ip(ip)) => Value::Ip(ip),
        Cell::Shown(shown) => Value::Text(shown.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Shape, run};

    fn holds(text: &str, row: &ConnectionRow) -> bool {
        Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).holds(row, &Files::default())
    }

    #[test]
    fn every_column_can_be_asked_for_by_its_type() {
        for column in ConnectionRow::columns() {
            assert!(Condition::parse(&format!("{} = null", column.name)).is_ok(), "{}", column.name);
        }
        assert!(Condition::parse("handshake_ns > 1.5ms and closing = fin and not role_known").is_ok());
        let said = Condition::parse("colour = red").map(|_| ()).unwrap_err();
        assert_eq!(said.to_string(), "--where: no column named `colour`; `finwait schema connections` lists them");
    }

    #[test]
    fn every_value_of_every_row_is_equal_to_itself_as_it_is_written() {
        let rows = run(Shape { connections: 200, ..Shape::default() });
        for row in rows.reports.iter().map(|report| &report.connection) {
            for column in ConnectionRow::columns() {
                let written = match (column.cell)(row, &Files::default()) {
                    Cell::Null => "null".to_owned(),
                    Cell::Integer(number) => number.to_string(),
                    Cell::Real(number) => number.to_string(),
                    Cell::Flag(flag) => flag.to_string(),
                    Cell::Time(ts) => ts.to_string(),
                    Cell::Word(text) => text.to_owned(),
                    Cell::Text(text) => format!("'{text}'"),
                    Cell::Shown(shown) => format!("'{shown}'"),
                };
                let text = format!("{} == {written}", column.name);
                assert!(holds(&text, row), "{text}");
            }
            let lasted = row.last_ts.since(row.first_ts).as_nanos();
            assert!(holds(&format!("duration == {lasted} and duration < 1000d"), row));
            assert!(holds(&format!("client == {} and server != {0}", row.who.client), row));
        }
    }

    #[test]
    fn columns_of_words_have_their_words() {
        let rows = run(Shape { connections: 1, ..Shape::default() });
        let row = &rows.reports[0].connection;
        for column in ConnectionRow::columns() {
            if matches!((column.cell)(row, &Files::default()), Cell::Word(_)) {
                assert!(words(column.name).is_some(), "{}", column.name);
            }
        }
    }
}
