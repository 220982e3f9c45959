//! Tables as JSON lines. In: rows. Out: one object a line, its keys in the columns' order.

use std::io::{self, Write};

use crate::tables::cell::{Cell, Files};
use crate::tables::schema::Row;

/// Writes `rows`. Integers are exact, instants are RFC 3339 strings in UTC with nine digits, unknown is `null`.
///
/// # Errors
/// Those of `out`.
pub fn write<R: Row>(out: &mut dyn Write, rows: &[R], files: &Files) -> io::Result<()> {
    for row in rows {
        for (n, column) in R::columns().iter().enumerate() {
            // Names are plain identifiers, so nothing in them needs escaping.
            write!(out, "{}\"{}\":", if n == 0 { '{' } else { ',' }, column.name)?;
            match (column.cell)(row, files) {
                Cell::Null => out.write_all(b"null")?,
                Cell::Integer(value) => write!(out, "{value}")?,
                Cell::Real(value) => serde_json::to_writer(&mut *out, &value)?,
                Cell::Flag(value) => write!(out, "{value}")?,
                Cell::Time(value) => write!(out, "\"{value}\"")?,
                Cell::Text(value) => serde_json::to_writer(&mut *out, value)?,
                // Addresses and tunnels are made of letters, digits, colons and spaces.
                Cell::Shown(value) => write!(out, "\"{value}\"")?,
            }
        }
        out.write_all(b"}\n")?;
    }
    Ok(())
}
