//! `finwait show`: one connection as a ladder, on standard output.

use super::args::ShowArgs;
use super::settings::Settings;
use super::spool::Twice;
use super::status::Status;
use super::{console, outcome};
use crate::capture::error::grouped;
use crate::error::Error;
use crate::pipeline::collect::Kept;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::{offline, second};
use crate::report::ladder::{Packets, Rows, ladder};

/// Runs the command. The capture is read twice: once to find the connection, once for its packets.
pub fn run(args: &ShowArgs, settings: &Settings) -> Result<Status, Error> {
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let interrupt = Interrupt::listen(console::last_warning);
    let captures = Twice::of(std::slice::from_ref(&args.capture))?;
    let kept = Kept::new(options.asked());
    let finished = offline::run(captures.open()?, options.clone(), kept, &interrupt, settings.progress)?;
    let status = outcome::judge(&finished.summary, &captures.all_named(&finished.stopped), "")?;

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
    let segments = second::segments(captures.open_again()?, &options, rows.connection, &interrupt);
    let packets = Packets { segments: &segments.shown, more: segments.more, all: args.all };
    console::print(&ladder(&rows, &packets, settings.style()))?;
    Ok(status)
}
