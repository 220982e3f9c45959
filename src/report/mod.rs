//! Tables → files, pages and text. In: the rows of a run. Out: csv, parquet, json, png, svg, html and the terminal.

pub mod colors;
pub mod csv;
pub mod html;
pub mod json;
pub mod ladder;
mod lines;
pub mod output;
pub mod parquet;
pub mod pictures;
mod stamp;
pub mod summary;
pub mod terminal;
mod text;

use std::error::Error;
use std::io::Write;

use crate::metrics::rows::{Summary, Tables};
use crate::tables::cell::Files;
use crate::tables::schema::{Row, Table};
use output::{OutputDir, OutputFile, ReportError};
use pictures::Picture;

/// What a report can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `<table>.csv`.
    Csv,
    /// `<table>.parquet`.
    Parquet,
    /// `<table>.jsonl`: a JSON object a line.
    Json,
    /// `<picture>.png`, 1200 × 700.
    Png,
    /// `<picture>.svg`.
    Svg,
    /// `index.html`: all of it in one page.
    Html,
}

impl Format {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] = [Self::Csv, Self::Parquet, Self::Json, Self::Png, Self::Svg, Self::Html];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Json => "json",
            Self::Png => "png",
            Self::Svg => "svg",
            Self::Html => "html",
        }
    }

    /// The format with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// Writes `wanted` tables, and the pictures and the page, in each of `formats`, and always `summary.json`. Returns the
/// names of the files, in the order they were written. They appear together, once all of them are whole.
///
/// # Errors
/// When one of them cannot be written; the older files are then left as they were.
pub fn write(
    dir: &OutputDir,
    tables: &Tables,
    summary: &Summary,
    formats: &[Format],
    wanted: &[Table],
) -> Result<Vec<String>, ReportError> {
    let mut batch = Batch { dir, files: Files::of(&summary.captures), done: Vec::new() };
    batch.file("summary.json", |out| Ok(summary::write(out, tables, summary)?))?;
    for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
        match format {
            Format::Csv | Format::Parquet | Format::Json => {
                for table in Table::ALL.into_iter().filter(|table| wanted.contains(table)) {
                    batch.table(format, table, tables)?;
                }
            }
            Format::Png | Format::Svg => {
                for picture in Picture::ALL {
                    batch.picture(format, picture, tables, summary)?;
                }
            }
            Format::Html => {
                batch.file("index.html", |out| Ok(html::write(out, tables, summary)?))?;
            }
        }
    }
    batch.commit()
}

/// Files that are written one after the other and appear together.
struct Batch<'a> {
    dir: &'a OutputDir,
    files: Files,
    done: Vec<(String, OutputFile)>,
}

impl Batch<'_> {
    fn file(
        &mut self,
        name: &str,
        contents: impl FnOnce(&mut OutputFile) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), ReportError> {
        let mut file = self.dir.create(name)?;
        contents(&mut file).map_err(|error| file.failed(error.to_string()))?;
        file.close()?;
        self.done.push((name.to_owned(), file));
        Ok(())
    }

    fn table(&mut self, format: Format, table: Table, tables: &Tables) -> Result<(), ReportError> {
        match table {
            Table::Connections => self.rows(format, &tables.connections),
            Table::Transitions => self.rows(format, &tables.transitions),
            Table::FinRetransmissions => self.rows(format, &tables.fin_retransmissions),
            Table::TimeWait => self.rows(format, &tables.time_wait),
            Table::Listeners => self.rows(format, &tables.listeners),
            Table::StateCensus => self.rows(format, &tables.state_census),
            Table::Anomalies => self.rows(format, &tables.anomalies),
            Table::ListenerQueues => self.rows(format, &tables.listener_queues),
            Table::EphemeralPorts => self.rows(format, &tables.ephemeral_ports),
            Table::EphemeralPortUse => self.rows(format, &tables.ephemeral_port_use),
        }
    }

    fn rows<R: Row>(&mut self, format: Format, rows: &[R]) -> Result<(), ReportError> {
        let files = std::mem::take(&mut self.files);
        let name = R::TABLE.name();
        let result = match format {
            Format::Csv => self.file(&format!("{name}.csv"), |out| Ok(csv::write(out, rows, &files)?)),
            Format::Parquet => self.file(&format!("{name}.parquet"), |out| Ok(parquet::write(out, rows, &files)?)),
            _ => self.file(&format!("{name}.jsonl"), |out| Ok(json::write(out, rows, &files)?)),
        };
        self.files = files;
        result
    }

    fn picture(
        &mut self,
        format: Format,
        picture: Picture,
        tables: &Tables,
        summary: &Summary,
    ) -> Result<(), ReportError> {
        let name = format!("{}.{}", picture.name(), format.name());
        self.file(&name, |out| {
            if format == Format::Svg {
                Ok(out.write_all(pictures::svg(picture, tables, summary)?.as_bytes())?)
            } else {
                Ok(pictures::png(out, picture, tables, summary)?)
            }
        })
    }

    fn commit(self) -> Result<Vec<String>, ReportError> {
        self.done.into_iter().map(|(name, file)| file.commit().map(|_| name)).collect()
    }
}

#[cfg(test)]
mod tests;
