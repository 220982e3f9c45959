//! What a person reads in ten seconds. In: tables and summary. Out: lines of text; nothing here asks the terminal.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::metrics::rows::{ConnectionRow, Summary, Tables};

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal; lines that would be longer are wrapped or shortened where that loses nothing.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 120 }
    }
}

/// The last line: where the report is and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The folder, as the user wrote it.
    pub dir: &'a Path,
    /// The files in it, as `report::write` returned them.
    pub files: &'a [String],
    /// How long the run took; measured by the caller.
    pub took: Option<Duration>,
}

/// The summary of a run, a few dozen lines, ending in a line feed.
pub fn summary(_tables: &Tables, _summary: &Summary, _written: Option<&Written<'_>>, _style: Style) -> String {
    String::new()
}

/// A heading and a line a connection that `keep` accepts.
///
/// # Errors
/// Those of `out`.
pub fn list(
    _out: &mut dyn Write,
    _tables: &Tables,
    _keep: &dyn Fn(&ConnectionRow) -> bool,
    _style: Style,
) -> io::Result<()> {
    Ok(())
}
