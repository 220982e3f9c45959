//! `finwait show`: one connection as a ladder, on standard output.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use super::args::ShowArgs;
use super::settings::Settings;
use super::status::Status;
use super::{console, outcome};
use crate::capture::error::grouped;
use crate::error::Error;
use crate::pipeline::collect::Kept;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline::{self, Inputs};
use crate::pipeline::single;
use crate::report::ladder::{Packets, Rows, ladder};

/// Runs the command. The capture is read twice: once to find the connection, once for its packets.
pub fn run(args: &ShowArgs, settings: &Settings) -> Result<Status, Error> {
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let interrupt = Interrupt::listen(console::last_warning);
    let spool = if offline::is_stdin(&args.capture) { Some(Spool::fill()?) } else { None };
    let path = spool.as_ref().map_or(&args.capture, |spool| &spool.path);
    // Messages about the spool are messages about standard input.
    let named = |said: String| match &spool {
        Some(spool) => said.replace(&spool.path.display().to_string(), "standard input"),
        None => said,
    };
    let inputs = Inputs::open(std::slice::from_ref(path), &mut |error| console::say(error))
        .map_err(|error| if spool.is_some() { Error::Input(named(error.to_string())) } else { error })?;
    let kept = Kept::new(options.asked());
    let finished = offline::run(inputs, options.clone(), kept, &interrupt, settings.progress)?;
    let stopped: Vec<String> = finished.stopped.into_iter().map(named).collect();
    let status = outcome::judge(&finished.summary, &stopped, "")?;

    let tables = finished.sink.finish(&finished.summary);
    let conn_id = args.conn_id.get();
    let rows = Rows::of(&tables, conn_id).ok_or_else(|| {
        let known = match tables.connections.len() {
            0 => "it has no connections".to_owned(),
            1 => "it has one connection, number 1".to_owned(),
            most => format!("it has connections 1 to {}", grouped(most as u64)),
        };
        Error::Request(format!("{}: no connection {conn_id}; {known}", args.capture.display()))
    })?;
    let segments =
        single::segments(path, rows.connection, &options).map_err(|error| Error::Input(error.to_string()))?;
    let packets = Packets { segments: &segments.shown, more: segments.more, all: args.all };
    console::print(&ladder(&rows, &packets, settings.style()))?;
    Ok(status)
}

/// Standard input, kept for the second reading; gone when dropped.
struct Spool {
    path: PathBuf,
}

impl Spool {
    fn fill() -> Result<Self, Error> {
        let path = env::temp_dir().join(format!("finwait-{}.capture", std::process::id()));
        let failed = |error: io::Error| {
            Error::Output(format!(
                "{}: cannot keep standard input: {error}; set TMPDIR to a folder with room",
                path.display()
            ))
        };
        // Never another's file, and nobody else's to read.
        let mut file = create_private(&path).map_err(failed)?;
        let spool = Self { path: path.clone() };
        io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
        Ok(spool)
    }
}

#[cfg(unix)]
fn create_private(path: &PathBuf) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed now, the system's own cleaning of this folder will.
        let _ = fs::remove_file(&self.path);
    }
}
