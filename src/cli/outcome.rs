//! From a finished run to what the user is told and the exit status.

use super::args::AnalysisArgs;
use super::console;
use super::settings::Settings;
use super::status::Status;
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::metrics::rows::Summary;
use crate::pipeline::engine::Options;

/// Says what cut the run short, a line each with `and` what came of it, and gives the exit status.
///
/// # Errors
///
/// When something was wrong with the input and no packet could be read.
pub fn judge(summary: &Summary, stopped: &[String], and: &str) -> Result<Status, Error> {
    if summary.complete {
        return Ok(Status::Complete);
    }
    if summary.packets > 0 {
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

/// The options of an analysis as the arguments and the machine decide them.
pub fn options(args: &AnalysisArgs) -> Options {
    Options {
        threads: Settings::threads(args),
        time_wait: args.time_wait,
        verify_checksums: args.verify_checksums,
        bucket: args.bucket,
        port_range: PortRange::default(),
        bpf: None,
    }
}
