//! Tables as CSV (RFC 4180, line feeds). In: rows. Out: a header and a line a row.

use std::io::Write;

use polars::prelude::{CsvWriter, DataType, PolarsResult, SerWriter, TimeUnit};

use crate::tables::cell::Files;
use crate::tables::frame::frame;
use crate::tables::schema::Row;

/// Writes `rows` with a header, which stands there without rows too. Null is an empty field, an instant is RFC 3339 in
/// UTC with nine digits.
///
/// # Errors
/// Those of `out`, as polars passes them on.
pub fn write<R: Row>(out: &mut dyn Write, rows: &[R], files: &Files) -> PolarsResult<()> {
    let mut frame = frame(rows, files)?;
    // Polars formats zoned instants only with its whole time zone database. These are UTC, so the zone can be dropped here
    // and its `Z` written.
    let naive = DataType::Datetime(TimeUnit::Nanoseconds, None);
    for column in R::columns().iter().filter(|column| column.kind == crate::tables::cell::Kind::Time) {
        let series = frame.column(column.name)?.cast(&DataType::Int64)?.cast(&naive)?;
        frame.with_column(series)?;
    }
    CsvWriter::new(out)
        .include_header(true)
        .with_datetime_format(Some("%Y-%m-%dT%H:%M:%S%.9fZ".into()))
        .n_threads(1)
        .finish(&mut frame)
}
