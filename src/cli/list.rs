//! `finwait list`: one line a connection, on standard output.

use super::args::ListArgs;
use super::condition::Condition;
use super::settings::Settings;
use super::status::Status;
use super::{console, outcome};
use crate::error::Error;
use crate::metrics::rows::ConnectionRow;
use crate::pipeline::collect::Kept;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline::{self, Inputs};
use crate::report::terminal;
use crate::tables::cell::Files;

/// Runs the command.
pub fn run(args: &ListArgs, settings: &Settings) -> Result<Status, Error> {
    let condition = args.condition.as_deref().map(Condition::parse).transpose()?;
    let interrupt = Interrupt::listen(console::last_warning);
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let inputs = Inputs::find(&args.captures, &mut |error| console::say(error))?;
    outcome::notes(&inputs, settings);
    let kept = Kept::new(options.asked());
    let finished = offline::run(inputs, options, kept, &interrupt, settings.progress)?;
    let summary = &finished.summary;
    let status = outcome::judge(summary, &finished.stopped, "")?;

    let (files, tables) = (Files::of(&summary.captures), finished.sink.finish(summary));
    let keep = |row: &ConnectionRow| condition.as_ref().is_none_or(|it| it.holds(row, &files));
    console::stream(|out| terminal::list(out, &tables, &keep, settings.style()))?;
    Ok(status)
}
