//! Tables as JSON lines. In: rows. Out: one object a line, its keys in the columns' order.

use std::io::Write;

use super::csv::real;
use super::digits::{Stamps, address, integer};
use crate::tables::cell::{Cell, Files, Shown};
use crate::tables::schema::{Row, Visit};

/// Appends an object a row. Integers are exact, instants are RFC 3339 strings in UTC with nine digits, unknown is `null`.
pub fn rows<'a, R: Row>(out: &mut Vec<u8>, rows: impl IntoIterator<Item = &'a R>, files: &Files) {
    // Names are plain identifiers, so nothing in them needs escaping.
    let key = |name: &str| format!(",\"{name}\":");
    let columns = R::columns().iter().map(|column| (key(column.name), Stamps::default())).collect();
    let mut object = Object { out, columns, column: 0 };
    for row in rows {
        let begin = object.out.len();
        object.column = 0;
        row.cells(files, &mut object);
        // In place of the first comma.
        if let Some(first) = object.out.get_mut(begin) {
            *first = b'{';
        }
        object.out.extend_from_slice(b"}\n");
    }
}

struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// The keys, with what stands before and after them.
    columns: Vec<(String, Stamps)>,
    column: usize,
}

impl<'a> Visit<'a> for Object<'_> {
    // As in CSV.
    #[inline(always)]
    fn cell(&mut self, cell: Cell<'a>) {
        if let Some((key, stamps)) = self.columns.get_mut(self.column) {
            self.out.extend_from_slice(key.as_bytes());
            value(self.out, cell, stamps);
        }
        self.column += 1;
    }
}

#[inline(always)]
fn value(out: &mut Vec<u8>, cell: Cell<'_>, stamps: &mut Stamps) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Integer(value) => integer(out, value),
        Cell::Real(value) => real(out, value),
        Cell::Flag(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Time(value) => quoted(out, |out| stamps.write(out, value)),
        Cell::Word(value) => quoted(out, |out| out.extend_from_slice(value.as_bytes())),
        Cell::Text(value) => {
            // Writing into a Vec does not fail.
            let _ = serde_json::to_writer(out, value);
        }
        // Addresses and tunnels are made of letters, digits, colons and spaces.
        Cell::Shown(Shown::Ip(ip)) => quoted(out, |out| address(out, ip)),
        Cell::Shown(Shown::Tunnel(tunnel)) => quoted(out, |out| {
            let _ = write!(out, "{tunnel}");
        }),
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}
