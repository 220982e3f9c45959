//! Tables as JSON lines. In: rows. Out: one object a line, its keys in the columns' order.

use std::io::{self, Write};

use super::stamp::Stamps;
use crate::tables::cell::{Cell, Files};
use crate::tables::schema::Row;

/// Bytes gathered before they go to the output: most values are a few, and there are millions.
const GATHERED: usize = 1 << 16;

/// Writes `rows`. Integers are exact, instants are RFC 3339 strings in UTC with nine digits, unknown is `null`.
///
/// # Errors
/// Those of `out`.
pub fn write<R: Row>(out: &mut dyn Write, rows: &[R], files: &Files) -> io::Result<()> {
    // Names are plain identifiers, so nothing in them needs escaping.
    let keys: Vec<String> = R::columns().iter().map(|column| format!("\"{}\":", column.name)).collect();
    let mut gathered: Vec<u8> = Vec::with_capacity(2 * GATHERED);
    let mut stamps: Vec<Stamps> = keys.iter().map(|_| Stamps::default()).collect();
    for row in rows {
        for (n, ((column, key), stamps)) in R::columns().iter().zip(&keys).zip(&mut stamps).enumerate() {
            gathered.push(if n == 0 { b'{' } else { b',' });
            gathered.extend_from_slice(key.as_bytes());
            value(&mut gathered, (column.cell)(row, files), stamps)?;
        }
        gathered.extend_from_slice(b"}\n");
        if gathered.len() >= GATHERED {
            out.write_all(&gathered)?;
            gathered.clear();
        }
    }
    out.write_all(&gathered)
}

fn value(out: &mut Vec<u8>, cell: Cell<'_>, stamps: &mut Stamps) -> io::Result<()> {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Integer(value) => serde_json::to_writer(out, &value)?,
        Cell::Real(value) => serde_json::to_writer(out, &value)?,
        Cell::Flag(value) => serde_json::to_writer(out, &value)?,
        Cell::Time(value) => {
            out.push(b'"');
            stamps.write(out, value);
            out.push(b'"');
        }
        Cell::Text(value) => serde_json::to_writer(out, value)?,
        // Addresses and tunnels are made of letters, digits, colons and spaces.
        Cell::Shown(value) => write!(out, "\"{value}\"")?,
    }
    Ok(())
}
