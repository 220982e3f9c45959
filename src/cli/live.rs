//! `finwait live`: an interface → the same report as from a file.

use std::time::Duration;

use super::args::LiveArgs;
use super::report::Folder;
use super::settings::Settings;
use super::status::Status;
use super::{console, outcome};
use crate::capture::live::{Live, Options as Tap};
use crate::error::Error;
use crate::pipeline::clock::Stopwatch;
use crate::pipeline::engine::Bpf;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::live::{self, Keep, Limits};
use crate::tables::cell::Files;

/// Runs the command.
pub fn run(args: &LiveArgs, settings: &Settings) -> Result<Status, Error> {
    let interrupt = Interrupt::listen(console::last_warning);
    let name = &args.interface;
    // Files first: what fails there need not have captured anything, and an interface that fails takes them away again.
    let folder = Folder::open(&args.output, || format!("live-{}", name.replace(['/', '\\'], "_")))?;
    let tap = Tap { filter: args.bpf.clone(), ..Tap::new(name) };
    let opened = Live::open(&tap).map_err(|error| Error::Input(error.to_string()));
    let ready = opened.and_then(|live| Ok((live, args.write.as_deref().map(Keep::create).transpose()?)));
    let (live, keep) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            folder.give_up();
            return Err(error);
        }
    };
    if !settings.quiet {
        let until = match (args.duration, args.packets) {
            (None, None) => String::new(),
            (Some(duration), None) => format!(" for {duration}"),
            (None, Some(packets)) => format!(" for {packets} packets"),
            (Some(duration), Some(packets)) => format!(" for {duration} or {packets} packets"),
        };
        console::say(format_args!("{name}: watching{until}; Ctrl-C ends it and writes the report"));
    }

    let watch = Stopwatch::start();
    let limits = Limits {
        duration: args.duration.map(|span| Duration::from_nanos(span.as_nanos().unsigned_abs())),
        packets: args.packets.map(Into::into),
    };
    let mut options = outcome::options(&args.analysis);
    options.port_range = args.output.port_range;
    options.bpf = args.bpf.clone().map(Bpf::Applied);
    let names = Files::new(vec![name.clone()]);
    let report = folder.begin(&args.output, options.asked(), names, true)?;
    let finished = live::run(live, options, report, limits, keep, &interrupt, settings.progress)?;
    let mut status = match outcome::judge(&finished.summary, &finished.stopped, "; report written") {
        Ok(status) => status,
        Err(error) => {
            drop(finished.sink);
            folder.give_up();
            return Err(error);
        }
    };
    if status == Status::Complete && !finished.stopped.is_empty() {
        finished.stopped.iter().for_each(console::say);
        status = Status::Incomplete;
    }
    folder.finish(finished.sink, &finished.summary, settings, watch.elapsed())?;
    Ok(status)
}
