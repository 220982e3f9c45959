//! From a finished run to what the user is told and the exit status.

use super::args::{AnalysisArgs, PeriodArgs};
use super::console;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::metrics::rows::Summary;
use crate::pipeline::engine::Options;
use crate::pipeline::period::Period;

/// Says what cut the run short, a line each with `and` what came of it, and gives the exit status.
///
/// # Errors
///
/// When something was wrong with the input and no packet could be read.
pub fn judge(summary: &Summary, stopped: &[String], and: &str) -> Result<Status, Error> {
    let all_outside = summary.packets == 0 && summary.captures.iter().any(|capture| capture.packets > 0);
    if all_outside {
        console::say(outside(summary));
    }
    if summary.complete {
        return Ok(Status::Complete);
    }
    if summary.packets > 0 || all_outside {
        stopped.iter().for_each(|error| console::say(format_args!("{error}{and}")));
        return Ok(Status::Incomplete);
    }
    match stopped.split_last() {
        Some((last, others)) => {
            others.iter().for_each(console::say);
            Err(Error::Input(last.clone()))
        }
        // Those that could not be opened were told when it was tried; the others hold no packet.
        None => Err(Error::Input("no packet could be read".to_owned())),
    }
}

/// The sentence for a period that holds none of the packets read.
fn outside(summary: &Summary) -> String {
    let first = summary.captures.iter().filter_map(|capture| capture.first_ts).min();
    let last = summary.captures.iter().filter_map(|capture| capture.last_ts).max();
    match first.zip(last) {
        Some((first, last)) => {
            format!("no packet lies within --from and --to: those that were read passed from {first} to {last}")
        }
        None => "no packet lies within --from and --to: those that were read have no times".to_owned(),
    }
}

/// The options of an analysis as the arguments and the machine decide them.
pub fn options(args: &AnalysisArgs) -> Options {
    Options {
        threads: Settings::threads(args),
        time_wait: args.time_wait,
        verify_checksums: args.verify_checksums,
        bucket: args.bucket,
        port_range: PortRange::default(),
        memory: args.memory,
        period: Period::default(),
        bpf: None,
    }
}

/// The same for packets of a period alone.
///
/// # Errors
///
/// When nothing can lie between the period's bounds.
pub fn options_in(args: &AnalysisArgs, period: &PeriodArgs) -> Result<Options, Error> {
    let period = Period::new(period.from, period.to).map_err(Error::Request)?;
    Ok(Options { period, ..options(args) })
}
