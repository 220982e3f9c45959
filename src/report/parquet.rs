//! Tables as Parquet. In: rows. Out: one file, instants as nanoseconds in UTC.

use std::io::Write;

use polars::prelude::{ParquetCompression, ParquetWriter, PolarsResult};

use crate::tables::cell::Files;
use crate::tables::frame::frame;
use crate::tables::schema::Row;

/// Writes `rows`, compressed with Snappy, which every reader knows.
///
/// # Errors
/// Those of `out`, as polars passes them on.
pub fn write<R: Row>(out: &mut dyn Write, rows: &[R], files: &Files) -> PolarsResult<()> {
    let mut frame = frame(rows, files)?;
    ParquetWriter::new(out).with_compression(ParquetCompression::Snappy).finish(&mut frame)?;
    Ok(())
}
