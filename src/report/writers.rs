//! The tables, written while the analysis goes on. In: finished connections, in batches; at the end what the folds told. Out: the
//! files of a report.
//!
//! Turning rows into text is [`Rendering`]'s, which needs nothing but the rows: any number of threads can render. [`Writers`] takes
//! what they rendered, in order.

use std::error::Error;
use std::io::Write;

use polars::prelude::DataFrame;

use super::output::{OutputDir, OutputFile, ReportError};
use super::parquet;
use super::pictures::{self, Picture};
use super::{Format, csv, html, json, summary};
use crate::metrics::folds::{Asked, Told};
use crate::metrics::rows::{
    AnomalyRow, ConnectionReport, ConnectionRow, FinRetransmissionRow, Summary, TimeWaitRow, TransitionRow,
};
use crate::tables::cell::Files;
use crate::tables::frame::frame;
use crate::tables::schema::{Row, Table};

/// Rows of a table over time that are written at once.
const CHUNK: usize = 4096;

/// Rows that tell how long the others will be.
const SAMPLE: usize = 16;

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Beside `summary.json`.
    pub formats: Vec<Format>,
    /// In each of the formats that have tables.
    pub tables: Vec<Table>,
    /// The input has no end that is known: rows of connections are to be read as soon as they are written, so CSV and JSON files
    /// of them have their names from the first batch on.
    pub stream: bool,
}

impl Plan {
    /// What the folds are asked for, beyond what `asked` says of the run.
    pub fn asked(&self, asked: Asked) -> Asked {
        let any = |formats: &[Format]| self.formats.iter().any(|format| formats.contains(format));
        let tables = any(&[Format::Csv, Format::Parquet, Format::Json]);
        let wants = |table| tables && self.tables.contains(&table);
        let drawn = any(&[Format::Png, Format::Svg, Format::Html]);
        Asked {
            over_time: wants(Table::ListenerQueues) || wants(Table::EphemeralPortUse),
            census: wants(Table::StateCensus) || drawn,
            users: wants(Table::EphemeralPorts) || wants(Table::EphemeralPortUse) || drawn,
            drawn,
            ..asked
        }
    }
}

/// How rows of connections become the contents of files.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// Which files, in order.
    parts: Vec<(Format, Table)>,
    files: Files,
}

/// The rows of some connections as their files have them.
#[derive(Debug, Default)]
pub struct Rendered(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(Vec<u8>),
    Frame(DataFrame),
}

/// The tables that have rows of single connections.
const OF_CONNECTIONS: [Table; 5] =
    [Table::Connections, Table::Transitions, Table::FinRetransmissions, Table::TimeWait, Table::Anomalies];

impl Rendering {
    /// Renders the rows of connections, which have their numbers.
    ///
    /// # Errors
    /// Those of polars, which a schema with distinct names does not meet.
    pub fn render(&self, reports: &[ConnectionReport]) -> Result<Rendered, ReportError> {
        let files = &self.files;
        let of = |&(format, table): &(Format, Table)| {
            let part = match table {
                Table::Connections => part(format, reports.iter().map(|report| &report.connection), files),
                Table::Transitions => part(format, reports.iter().flat_map(|report| &report.transitions), files),
                Table::FinRetransmissions => {
                    part(format, reports.iter().flat_map(|report| &report.fin_retransmissions), files)
                }
                Table::TimeWait => part(format, reports.iter().flat_map(|report| &report.time_wait), files),
                _ => part(format, reports.iter().flat_map(|report| &report.anomalies), files),
            };
            part.map_err(|error| ReportError::encoding(&file_name(format, table), error.to_string()))
        };
        self.parts.iter().map(of).collect::<Result<_, _>>().map(Rendered)
    }
}

fn part<'a, R: Row>(
    format: Format,
    rows: impl Iterator<Item = &'a R> + Clone,
    files: &Files,
) -> Result<Part, Box<dyn Error>> {
    let some = |from, most| rows.clone().skip(from).take(most);
    let write = match format {
        Format::Parquet => return Ok(Part::Frame(frame(rows, files)?)),
        Format::Csv => csv::rows,
        _ => json::rows,
    };
    let mut text = Vec::new();
    write(&mut text, some(0, SAMPLE), files);
    // Room for the others, if they are like these: growing by doubling would copy all of them, and touch fresh memory each time.
    text.reserve(text.len() * some(SAMPLE, usize::MAX).count() / SAMPLE / 8 * 9);
    write(&mut text, some(SAMPLE, usize::MAX), files);
    Ok(Part::Text(text))
}

/// `connections.csv`.
fn file_name(format: Format, table: Table) -> String {
    let ending = if format == Format::Json { "jsonl" } else { format.name() };
    format!("{}.{ending}", table.name())
}

/// A table on its way.
enum Output {
    Text(OutputFile),
    Parquet(Box<parquet::Rows>),
}

/// The files of a report on their way. Dropped without [`finish`](Self::finish), they leave nothing behind but what has appeared.
pub struct Writers {
    dir: OutputDir,
    plan: Plan,
    rendering: Rendering,
    /// In the order of the rendering's parts.
    outputs: Vec<Output>,
    done: Vec<(String, OutputFile)>,
}

impl Writers {
    /// Begins the files of connections; `files` are the run's inputs.
    ///
    /// # Errors
    /// When one of them cannot be created.
    pub fn begin(dir: &OutputDir, plan: Plan, files: Files) -> Result<Self, ReportError> {
        let formats =
            [Format::Csv, Format::Parquet, Format::Json].into_iter().filter(|format| plan.formats.contains(format));
        let tables = || OF_CONNECTIONS.into_iter().filter(|table| plan.tables.contains(table));
        let parts: Vec<_> = formats.flat_map(|format| tables().map(move |table| (format, table))).collect();
        let begin = |&(format, table): &(Format, Table)| match table {
            Table::Connections => begin::<ConnectionRow>(dir, format),
            Table::Transitions => begin::<TransitionRow>(dir, format),
            Table::FinRetransmissions => begin::<FinRetransmissionRow>(dir, format),
            Table::TimeWait => begin::<TimeWaitRow>(dir, format),
            _ => begin::<AnomalyRow>(dir, format),
        };
        let outputs = parts.iter().map(begin).collect::<Result<_, _>>()?;
        Ok(Self { dir: dir.clone(), plan, rendering: Rendering { parts, files }, outputs, done: Vec::new() })
    }

    /// What renders the rows for these files.
    pub const fn rendering(&self) -> &Rendering {
        &self.rendering
    }

    /// Renders and appends the rows of connections.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn batch(&mut self, reports: &[ConnectionReport]) -> Result<(), ReportError> {
        let rendered = self.rendering.render(reports)?;
        self.append(rendered)?;
        self.flush()
    }

    /// Appends rows that were rendered by this report's [`Rendering`].
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&mut self, rendered: Rendered) -> Result<(), ReportError> {
        for (output, part) in self.outputs.iter_mut().zip(rendered.0) {
            match (output, part) {
                (Output::Text(file), Part::Text(rows)) => {
                    file.rows(&rows)?;
                    // Whole rows a piece are handed over, so that nobody ever finds half of one.
                    if self.plan.stream {
                        file.hand_over()?;
                    }
                }
                (Output::Parquet(rows), Part::Frame(frame)) => {
                    rows.append(&frame).map_err(|error| rows.file(|file| file.failed(error.to_string())))?;
                }
                // Rendered for other files.
                _ => {}
            }
        }
        Ok(())
    }

    /// A batch is complete: on a stream its rows can be read from now on.
    ///
    /// # Errors
    /// When they cannot be written, or a file cannot have its name.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        if self.plan.stream {
            for output in &mut self.outputs {
                if let Output::Text(file) = output {
                    file.hand_over()?;
                    file.appear()?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is told at the end: the tables of the run, the pictures, the page and `summary.json`. Returns the names of the files.
    /// Those that have not appeared yet appear together, once all of them are whole.
    ///
    /// # Errors
    /// When one of them cannot be written; older files are then left as they were.
    pub fn finish(mut self, told: &Told, summary: &Summary) -> Result<Vec<String>, ReportError> {
        self.file("summary.json", |out| Ok(summary::write(out, told, summary)?))?;
        let Plan { formats, tables, .. } = self.plan.clone();
        for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
            match format {
                Format::Csv | Format::Parquet | Format::Json => {
                    for table in Table::ALL.into_iter().filter(|table| tables.contains(table)) {
                        self.table(format, table, told)?;
                    }
                }
                Format::Png | Format::Svg => {
                    for picture in Picture::ALL {
                        self.picture(format, picture, told, summary)?;
                    }
                }
                Format::Html => self.file("index.html", |out| Ok(html::write(out, told, summary)?))?,
            }
        }
        self.done.into_iter().map(|(name, file)| file.commit().map(|_| name)).collect()
    }

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

    fn table(&mut self, format: Format, table: Table, told: &Told) -> Result<(), ReportError> {
        match table {
            Table::Listeners => self.rows(format, told.listeners.chunks(CHUNK).map(<[_]>::to_vec)),
            Table::StateCensus => {
                self.rows(format, told.state_census.iter().flat_map(|rows| rows.chunks(CHUNK)).map(<[_]>::to_vec))
            }
            Table::ListenerQueues => self.rows(format, chunks(told.listener_queues.rows())),
            Table::EphemeralPorts => self.rows(format, told.ephemeral_ports.chunks(CHUNK).map(<[_]>::to_vec)),
            Table::EphemeralPortUse => self.rows(format, chunks(told.ephemeral_port_use.rows())),
            Table::Services => self.rows(format, told.services.chunks(CHUNK).map(<[_]>::to_vec)),
            _ => self.end(format, table),
        }
    }

    /// Ends a table of connections.
    fn end(&mut self, format: Format, table: Table) -> Result<(), ReportError> {
        let Some(place) = self.rendering.parts.iter().position(|part| *part == (format, table)) else { return Ok(()) };
        self.rendering.parts.remove(place);
        let mut file = match self.outputs.remove(place) {
            Output::Text(file) => file,
            Output::Parquet(rows) => match finished(*rows)? {
                Some(file) => file,
                None => return Ok(()),
            },
        };
        file.close()?;
        self.done.push((file_name(format, table), file));
        Ok(())
    }

    /// Writes a table of the run.
    fn rows<R: Row>(&mut self, format: Format, chunks: impl Iterator<Item = Vec<R>>) -> Result<(), ReportError> {
        let mut output = begin::<R>(&self.dir, format)?;
        for chunk in chunks {
            let rendered = part(format, chunk.iter(), &self.rendering.files);
            match (&mut output, rendered) {
                (Output::Text(file), Ok(Part::Text(rows))) => file.rows(&rows)?,
                (Output::Parquet(rows), Ok(Part::Frame(frame))) => {
                    rows.append(&frame).map_err(|error| rows.file(|file| file.failed(error.to_string())))?;
                }
                (_, Ok(_)) => {}
                (_, Err(error)) => {
                    return Err(ReportError::encoding(&file_name(format, R::TABLE), error.to_string()));
                }
            }
        }
        self.rendering.parts.push((format, R::TABLE));
        self.outputs.push(output);
        self.end(format, R::TABLE)
    }

    fn picture(&mut self, format: Format, picture: Picture, told: &Told, summary: &Summary) -> Result<(), ReportError> {
        let name = format!("{}.{}", picture.name(), format.name());
        self.file(&name, |out| {
            if format == Format::Svg {
                Ok(out.write_all(pictures::svg(picture, told, summary)?.as_bytes())?)
            } else {
                Ok(pictures::png(out, picture, told, summary)?)
            }
        })
    }
}

fn begin<R: Row>(dir: &OutputDir, format: Format) -> Result<Output, ReportError> {
    let name = file_name(format, R::TABLE);
    let mut file = dir.create(&name)?;
    if format == Format::Parquet {
        let rows = parquet::Rows::begin::<R>(file).map_err(|error| ReportError::encoding(&name, error.to_string()))?;
        return Ok(Output::Parquet(Box::new(rows)));
    }
    if format == Format::Csv {
        let mut header = Vec::new();
        csv::header::<R>(&mut header);
        file.rows(&header)?;
    }
    Ok(Output::Text(file))
}

fn finished(mut rows: parquet::Rows) -> Result<Option<OutputFile>, ReportError> {
    rows.finish().map_err(|error| rows.file(|file| file.failed(error.to_string())))?;
    Ok(rows.into_file())
}

fn chunks<R>(mut rows: impl Iterator<Item = R>) -> impl Iterator<Item = Vec<R>> {
    std::iter::from_fn(move || {
        let chunk: Vec<R> = rows.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}
