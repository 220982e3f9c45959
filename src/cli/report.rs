//! `finwait report`: captures → a folder with the report, and the summary on standard output.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{OutputArgs, ReportArgs};
use super::settings::Settings;
use super::status::Status;
use super::{console, outcome};
use crate::error::Error;
use crate::pipeline::clock::Stopwatch;
use crate::pipeline::engine::Analysis;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline::{self, Inputs};
use crate::pipeline::progress::busy;
use crate::report::output::OutputDir;
use crate::report::terminal::{self, Written};

/// Endings that say what a file is, not what it is called: `web.pcapng.gz` is `web`.
const ENDINGS: [&str; 9] = [".gz", ".zst", ".zstd", ".lz4", ".pcap", ".pcapng", ".cap", ".dmp", ".ntar"];

/// Runs the command.
pub fn run(args: &ReportArgs, settings: &Settings) -> Result<Status, Error> {
    let watch = Stopwatch::start();
    let interrupt = Interrupt::listen(console::last_warning);
    let mut options = outcome::options_in(&args.analysis, &args.period)?;
    options.port_range = args.output.port_range;
    let inputs = Inputs::open(&args.captures, &mut |error| console::say(error))?;
    let folder = Folder::open(&args.output, || stem(args.captures.first().map_or(Path::new("-"), PathBuf::as_path)))?;
    let judged = offline::run(inputs, options, &interrupt, settings.progress).and_then(|finished| {
        let status = outcome::judge(&finished.analysis.summary, &finished.stopped, "; report written")?;
        Ok((finished, status))
    });
    let (finished, status) = match judged {
        Ok(judged) => judged,
        Err(error) => {
            folder.give_up();
            return Err(error);
        }
    };
    folder.finish(&args.output, &finished.analysis, settings, watch.elapsed())?;
    Ok(status)
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

    /// Writes the report and prints the summary.
    pub(super) fn finish(
        &self,
        args: &OutputArgs,
        analysis: &Analysis,
        settings: &Settings,
        took: Duration,
    ) -> Result<(), Error> {
        let Analysis { tables, summary } = analysis;
        let writing = busy(settings.progress, took, format!("writing {}", self.out.path().display()));
        let written = crate::report::write(&self.out, tables, summary, &args.formats(), &args.tables());
        drop(writing);
        let files = written.map_err(|error| Error::Output(error.to_string()))?;
        if settings.quiet {
            return Ok(());
        }
        let written = Written { dir: self.out.path(), files: &files, took: Some(took) };
        console::print(&terminal::summary(tables, summary, Some(&written), settings.style()))
    }
}

/// What a capture is called without its folder and endings; `stdin` for standard input.
fn stem(capture: &Path) -> String {
    if offline::is_stdin(capture) {
        return "stdin".to_owned();
    }
    let name = capture.file_name().unwrap_or(capture.as_os_str()).to_string_lossy();
    let mut stem: &str = &name;
    while let Some(shorter) =
        ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)).filter(|shorter| !shorter.is_empty())
    {
        stem = shorter;
    }
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_called_as_its_capture() {
        let stem = |path| stem(Path::new(path));
        assert_eq!(stem("web.pcapng"), "web");
        assert_eq!(stem("/var/tmp/web.pcap.gz"), "web");
        assert_eq!(stem("web.2026-01-02.cap"), "web.2026-01-02");
        assert_eq!(stem("trace"), "trace");
        assert_eq!(stem(".pcap"), ".pcap");
        assert_eq!(stem("-"), "stdin");
    }
}
