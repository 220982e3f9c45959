//! Rows → polars frames. In: the rows of one table. Out: a frame with the schema's columns, empty ones too.

use std::fmt::Write as _;

use polars::prelude::{BooleanChunked, Float64Chunked, Int64Chunked};
use polars::prelude::{
    Column as Series, DataFrame, IntoColumn, NewChunkedArray, PolarsResult, StringChunkedBuilder, TimeUnit, TimeZone,
};

use super::cell::{Cell, Column, Files, Kind};
use super::schema::Row;

/// The frame of `rows`.
///
/// # Errors
/// Those of polars, which a schema with distinct names does not meet.
pub fn frame<'a, R: Row>(rows: impl Iterator<Item = &'a R> + Clone, files: &Files) -> PolarsResult<DataFrame> {
    let height = rows.clone().count();
    DataFrame::new(height, R::columns().iter().map(|column| series(column, rows.clone(), height, files)).collect())
}

fn series<'a, R: Row>(column: &Column<R>, rows: impl Iterator<Item = &'a R>, height: usize, files: &Files) -> Series {
    let name = column.name.into();
    let cells = rows.map(|row| (column.cell)(row, files));
    match column.kind {
        Kind::Integer => Int64Chunked::from_iter_options(name, cells.map(integer)).into_column(),
        Kind::Real => Float64Chunked::from_iter_options(name, cells.map(real)).into_column(),
        Kind::Flag => BooleanChunked::from_iter_options(name, cells.map(flag)).into_column(),
        Kind::Time => Int64Chunked::from_iter_options(name, cells.map(nanos))
            .into_datetime(TimeUnit::Nanoseconds, Some(TimeZone::UTC))
            .into_column(),
        Kind::Text => {
            let mut builder = StringChunkedBuilder::new(name, height);
            let mut buffer = String::new();
            for cell in cells {
                match cell {
                    Cell::Word(text) => builder.append_value(text),
                    Cell::Text(text) => builder.append_value(text),
                    Cell::Shown(shown) => {
                        buffer.clear();
                        // Writing into a String does not fail.
                        let _ = write!(buffer, "{shown}");
                        builder.append_value(&buffer);
                    }
                    _ => builder.append_null(),
                }
            }
            builder.finish().into_column()
        }
    }
}

fn integer(cell: Cell<'_>) -> Option<i64> {
    if let Cell::Integer(value) = cell { Some(value) } else { None }
}

fn real(cell: Cell<'_>) -> Option<f64> {
    if let Cell::Real(value) = cell { Some(value) } else { None }
}

fn flag(cell: Cell<'_>) -> Option<bool> {
    if let Cell::Flag(value) = cell { Some(value) } else { None }
}

fn nanos(cell: Cell<'_>) -> Option<i64> {
    if let Cell::Time(value) = cell { Some(value.as_nanos()) } else { None }
}
