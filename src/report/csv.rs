//! Tables as CSV (RFC 4180, line feeds). In: rows. Out: a header and a line a row.

use std::io::Write;

use super::digits::{Stamps, address, integer, word};
use crate::tables::cell::{Cell, Files, Shown};
use crate::tables::schema::{Row, Visit};

/// Appends the header, which stands there without rows too.
pub fn header<R: Row>(out: &mut Vec<u8>) {
    for (n, column) in R::columns().iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        out.extend_from_slice(column.name.as_bytes());
    }
    out.push(b'\n');
}

/// Appends a line a row. Null is an empty field and an empty text is `""`; an instant is RFC 3339 in UTC with nine digits.
///
/// Straight from the cells and not by way of a frame: polars formats instants in UTC only with its time zone database, and
/// takes twice as long.
pub fn rows<'a, R: Row>(out: &mut Vec<u8>, rows: impl IntoIterator<Item = &'a R>, files: &Files) {
    // A column's instants are near each other, those of different columns need not be.
    let mut line = Line { out, stamps: vec![Stamps::default(); R::columns().len()], column: 0 };
    for row in rows {
        line.column = 0;
        row.cells(files, &mut line);
        // In place of the last comma.
        line.out.pop();
        line.out.push(b'\n');
    }
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// By column.
    stamps: Vec<Stamps>,
    column: usize,
}

impl<'a> Visit<'a> for Line<'_> {
    // Where it is inlined the kind of a column's cell is known, and nothing is left of the choice.
    #[inline(always)]
    fn cell(&mut self, cell: Cell<'a>) {
        let out = &mut *self.out;
        match cell {
            Cell::Null => {}
            Cell::Integer(value) => integer(out, value),
            Cell::Real(value) => real(out, value),
            Cell::Flag(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Cell::Time(value) => {
                if let Some(stamps) = self.stamps.get_mut(self.column) {
                    stamps.write(out, value);
                }
            }
            Cell::Word(value) => word(out, value),
            Cell::Text(value) => text(out, value),
            // Addresses and tunnels have nothing that needs quoting.
            Cell::Shown(Shown::Ip(ip)) => address(out, ip),
            Cell::Shown(Shown::Tunnel(tunnel)) => {
                // Writing into a Vec does not fail.
                let _ = write!(out, "{tunnel}");
            }
        }
        out.push(b',');
        self.column += 1;
    }
}

/// The shortest text that reads back as the number.
pub(super) fn real(out: &mut Vec<u8>, value: f64) {
    // A cell's number is finite, and writing into a Vec does not fail.
    let _ = serde_json::to_writer(out, &value);
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
