//! Tables as Parquet. In: frames, one after the other. Out: one file, instants as nanoseconds in UTC.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{BatchedWriter, DataFrame, ParquetCompression, ParquetWriter, PolarsResult};

use super::output::OutputFile;
use crate::tables::cell::Files;
use crate::tables::frame::frame;
use crate::tables::schema::Row;

/// Values of a row group: enough that reading one is worth a seek, few enough to wait in memory.
const CELLS: usize = 1 << 19;

/// A file of one table. Rows gather until there are enough of them for a row group.
pub struct Rows {
    writer: BatchedWriter<Shared>,
    file: Shared,
    gathered: DataFrame,
    /// Rows of a group.
    group: usize,
}

/// The file, which the encoder does not give back.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<OutputFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl Rows {
    /// Begins the table of `R`, compressed with Snappy, which every reader knows.
    ///
    /// # Errors
    /// Those of the file, as polars passes them on.
    pub fn begin<R: Row>(file: OutputFile) -> PolarsResult<Self> {
        let none = frame::<R>([].iter(), &Files::default())?;
        let file = Shared(Arc::new(Mutex::new(file)));
        let writer = ParquetWriter::new(file.clone()).with_compression(ParquetCompression::Snappy);
        let writer = writer.batched(none.schema())?;
        Ok(Self { writer, file, group: CELLS / none.width().max(1), gathered: none })
    }

    /// Appends the rows of a frame.
    ///
    /// # Errors
    /// Those of the file, as polars passes them on.
    pub fn append(&mut self, frame: &DataFrame) -> PolarsResult<()> {
        self.gathered.vstack_mut(frame)?;
        if self.gathered.height() >= self.group { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> PolarsResult<()> {
        let none = self.gathered.clear();
        let mut group = mem::replace(&mut self.gathered, none);
        if group.height() > 0 {
            group.rechunk_mut();
            self.writer.write_batch(&group)?;
        }
        Ok(())
    }

    /// Writes what is left and ends the table.
    ///
    /// # Errors
    /// Those of the file, as polars passes them on.
    pub fn finish(&mut self) -> PolarsResult<()> {
        self.write()?;
        self.writer.finish().map(|_| ())
    }

    /// The file, for its name and its commit.
    pub fn into_file(self) -> Option<OutputFile> {
        drop(self.writer);
        let file = Arc::into_inner(self.file.0)?;
        Some(file.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets `ask` look at the file.
    pub fn file<T>(&self, ask: impl FnOnce(&OutputFile) -> T) -> T {
        ask(&self.file.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
