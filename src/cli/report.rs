//! `finwait report`: captures → a folder with the report, and the summary on standard output.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{OutputArgs, ReportArgs};
use super::settings::Settings;
use super::status::Status;
use super::stem::stem;
use super::{console, outcome};
use crate::error::Error;
use crate::metrics::folds::{Asked, Folds};
use crate::metrics::rows::{ConnectionReport, Summary};
use crate::pipeline::clock::Stopwatch;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline::{self, Inputs};
use crate::pipeline::progress::busy;
use crate::pipeline::sink::{Render, Sink};
use crate::report::output::{OutputDir, ReportError};
use crate::report::terminal::{self, Written};
use crate::report::writers::{Plan, Rendered, Rendering, Writers};
use crate::tables::cell::Files;

/// Runs the command.
pub fn run(args: &ReportArgs, settings: &Settings) -> Result<Status, Error> {
    let watch = Stopwatch::start();
    let interrupt = Interrupt::listen(console::last_warning);
    let mut options = outcome::options_in(&args.analysis, &args.period)?;
    options.port_range = args.output.port_range;
    let inputs = Inputs::find(&args.captures, &mut |error| console::say(error))?;
    outcome::notes(&inputs, settings);
    let folder = Folder::open(&args.output, || stem(args.captures.first().map_or(Path::new("-"), PathBuf::as_path)))?;
    let report = folder.begin(&args.output, options.asked(), Files::new(inputs.names()), inputs.is_stream())?;
    let judged = offline::run(inputs, options, report, &interrupt, settings.progress).and_then(|finished| {
        let status = outcome::judge(&finished.summary, &finished.stopped, "; report written")?;
        Ok((finished, status))
    });
    let (finished, status) = match judged {
        Ok(judged) => judged,
        Err(error) => {
            folder.give_up();
            return Err(error);
        }
    };
    folder.finish(finished.sink, &finished.summary, settings, watch.elapsed())?;
    Ok(status)
}

/// A report on its way: what is told of the whole run, and the files that grow beside the analysis.
pub(super) struct Report {
    folds: Folds,
    writers: Writers,
}

impl Sink for Report {
    type Rendered = Rendered;
    type Renderer = Renderer;

    fn renderer(&self) -> Renderer {
        Renderer(Arc::new(self.writers.rendering().clone()))
    }

    fn fold(&mut self, reports: &[ConnectionReport]) {
        reports.iter().for_each(|report| self.folds.add(report));
    }

    fn write(&mut self, rendered: Rendered) -> Result<(), Error> {
        self.writers.append(rendered).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writers.flush().map_err(failed)
    }
}

/// Renders rows as the report's files have them.
#[derive(Clone)]
pub(super) struct Renderer(Arc<Rendering>);

impl Render for Renderer {
    type Rendered = Rendered;

    fn render(&self, reports: &[ConnectionReport]) -> Result<Rendered, Error> {
        self.0.render(reports).map_err(failed)
    }
}

fn failed(error: ReportError) -> Error {
    Error::Output(error.to_string())
}

/// Where the report goes; exists before the long work begins.
pub(super) struct Folder {
    out: OutputDir,
    is_new: bool,
}

impl Folder {
    /// The folder that was asked for, or `reports/<name>`.
    pub(super) fn open(args: &OutputArgs, name: impl FnOnce() -> String) -> Result<Self, Error> {
        let path = args.output.clone().unwrap_or_else(|| Path::new("reports").join(name()));
        let is_new = !path.exists();
        let out = OutputDir::open(path).map_err(|error| Error::Output(error.to_string()))?;
        Ok(Self { out, is_new })
    }

    /// Nothing will be written: takes the folder away again if it came with this run.
    pub(super) fn give_up(self) {
        if self.is_new {
            // Only an empty folder can be removed this way, and a folder left behind harms nobody.
            let _ = fs::remove_dir(self.out.path());
            if let Some(parent) = self.out.path().parent().filter(|parent| parent.ends_with("reports")) {
                let _ = fs::remove_dir(parent);
            }
        }
    }

    /// Begins the report of inputs with these names.
    pub(super) fn begin(&self, args: &OutputArgs, asked: Asked, names: Files, stream: bool) -> Result<Report, Error> {
        let plan = Plan { formats: args.formats(), tables: args.tables(), stream };
        let asked = plan.asked(asked);
        let writers = Writers::begin(&self.out, plan, names).map_err(failed)?;
        Ok(Report { folds: Folds::new(asked), writers })
    }

    /// Ends the report and prints the summary.
    pub(super) fn finish(
        &self,
        report: Report,
        summary: &Summary,
        settings: &Settings,
        took: Duration,
    ) -> Result<(), Error> {
        let writing = busy(settings.progress, took, format!("writing {}", self.out.path().display()));
        let told = report.folds.finish(summary.first_ts.zip(summary.last_ts));
        let written = report.writers.finish(&told, summary);
        drop(writing);
        let files = written.map_err(failed)?;
        if settings.quiet {
            return Ok(());
        }
        let written = Written { dir: self.out.path(), files: &files, took: Some(took) };
        console::print(&terminal::summary(&told, summary, Some(&written), settings.style()))
    }
}
