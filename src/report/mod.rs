//! Tables → files, pages and text. In: the rows of a run, and what its folds told. Out: csv, parquet, json, png, svg, html and the terminal.

pub mod colors;
pub mod csv;
mod digits;
pub mod html;
mod inputs;
pub mod json;
pub mod ladder;
mod lines;
pub mod output;
pub mod parquet;
pub mod pictures;
pub mod summary;
pub mod terminal;
mod text;
mod trust;
pub mod writers;

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

#[cfg(test)]
mod tests;
