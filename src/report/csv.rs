//! Tables as CSV (RFC 4180, line feeds). In: rows. Out: a header and a line a row.

use std::io::{self, Write};

use super::stamp::Stamps;
use crate::tables::cell::{Cell, Files};
use crate::tables::schema::Row;

/// Bytes gathered before they go to the output: most values are a few, and there are millions.
const GATHERED: usize = 1 << 16;

/// Writes `rows` with a header, which stands there without rows too. Null is an empty field and an empty text is `""`; an
/// instant is RFC 3339 in UTC with nine digits.
///
/// Straight from the cells and not by way of a frame: polars formats instants in UTC only with its time zone database, and
/// takes twice as long.
///
/// # Errors
/// Those of `out`.
pub fn write<R: Row>(out: &mut dyn Write, rows: &[R], files: &Files) -> io::Result<()> {
    let names: Vec<&str> = R::columns().iter().map(|column| column.name).collect();
    writeln!(out, "{}", names.join(","))?;
    let mut gathered: Vec<u8> = Vec::with_capacity(2 * GATHERED);
    // A column's instants are near each other, those of different columns need not be.
    let mut stamps: Vec<Stamps> = names.iter().map(|_| Stamps::default()).collect();
    for row in rows {
        for (n, (column, stamps)) in R::columns().iter().zip(&mut stamps).enumerate() {
            if n > 0 {
                gathered.push(b',');
            }
            match (column.cell)(row, files) {
                Cell::Null => {}
                Cell::Integer(value) => serde_json::to_writer(&mut gathered, &value)?,
                Cell::Real(value) => serde_json::to_writer(&mut gathered, &value)?,
                Cell::Flag(value) => serde_json::to_writer(&mut gathered, &value)?,
                Cell::Time(value) => stamps.write(&mut gathered, value),
                Cell::Text(value) => text(&mut gathered, value),
                // Addresses and tunnels have nothing that needs quoting.
                Cell::Shown(value) => write!(gathered, "{value}")?,
            }
        }
        gathered.push(b'\n');
        if gathered.len() >= GATHERED {
            out.write_all(&gathered)?;
            gathered.clear();
        }
    }
    out.write_all(&gathered)
}

/// Quoted where a comma, a quote or the end of a line stands in it, and where it is empty, which null is not.
fn text(out: &mut Vec<u8>, value: &str) {
    if !value.is_empty() && !value.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in value.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
