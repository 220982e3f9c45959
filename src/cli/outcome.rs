//! From a finished run to what the user is told and the exit status.

use super::args::{AnalysisArgs, PeriodArgs};
use super::console;
use super::settings::Settings;
use super::status::Status;
use crate::capture::filter::Filter;
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::metrics::phrase::many;
use crate::metrics::rows::Summary;
use crate::pipeline::engine::{Bpf, Options};
use crate::pipeline::inputs::Inputs;
use crate::pipeline::period::Period;

/// Says what was found on the way to the captures and is no fault, unless only faults are to be told.
pub fn notes(inputs: &Inputs, settings: &Settings) {
    if !settings.quiet {
        inputs.notes().iter().for_each(console::say);
    }
}

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

/// The sentence for a period and a filter that let pass none of the packets read.
fn outside(summary: &Summary) -> String {
    if let Some((expression, passed_over)) =
        summary.filtered.as_ref().and_then(|filtered| Some((&filtered.expression, filtered.passed_over?)))
        && passed_over > 0
    {
        return format!("no packet passes --bpf '{expression}': {} passed over", many(passed_over, "packet"));
    }
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
        ignore_vlan: args.ignore_vlan,
        bucket: args.bucket,
        port_range: PortRange::default(),
        memory: args.memory,
        period: Period::default(),
        bpf: None,
    }
}

/// The same for packets of a period, and of those the ones that pass a filter.
///
/// # Errors
///
/// When nothing can lie between the period's bounds, or libpcap cannot read the filter.
pub fn options_in(args: &AnalysisArgs, chosen: &PeriodArgs) -> Result<Options, Error> {
    let period = Period::new(chosen.from, chosen.to).map_err(Error::Request)?;
    let filter = |expression: &String| {
        Filter::new(expression).map_err(|words| Error::Request(format!("--bpf '{expression}': {words}")))
    };
    let bpf = chosen.bpf.as_ref().map(filter).transpose()?.map(Bpf::Here);
    Ok(Options { period, bpf, ..options(args) })
}
