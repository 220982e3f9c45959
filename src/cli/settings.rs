//! What follows from the arguments and the surroundings, decided once: colour, width, progress, threads.

use std::env;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::thread;

use super::args::{AnalysisArgs, Color, Common};
use crate::report::terminal::Style;

/// More shards than this gain nothing: one thread reads and decodes for all of them.
const MOST_USEFUL_THREADS: usize = 4;

/// Columns of output that goes to no terminal.
const WIDTH_WITHOUT_TERMINAL: usize = 120;

/// Narrower than this and tables cannot be laid out; the terminal wraps them instead.
const LEAST_WIDTH: usize = 60;

/// What every command needs to know of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Only what went wrong is said.
    pub quiet: bool,
    /// Results on standard output are coloured.
    pub color: bool,
    /// Columns that results on standard output may take.
    pub width: usize,
    /// A progress bar or a status line on standard error makes sense.
    pub progress: bool,
}

impl Settings {
    /// Looks around once.
    pub fn decide(common: &Common) -> Self {
        let terminal = io::stdout().is_terminal();
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        // https://no-color.org: any value but the empty one.
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            quiet: common.quiet,
            color: match common.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !dumb && !no_color,
            },
            width: width(env::var("COLUMNS").ok().as_deref(), terminal_width().filter(|_| terminal)),
            progress: !common.quiet && !dumb && io::stderr().is_terminal(),
        }
    }

    /// How results are laid out.
    pub const fn style(&self) -> Style {
        Style { color: self.color, width: self.width }
    }

    /// How many threads analyse: what was asked for, or the machine's cores up to what is useful.
    pub fn threads(args: &AnalysisArgs) -> NonZeroUsize {
        args.threads.unwrap_or_else(|| {
            let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            cores.min(NonZeroUsize::new(MOST_USEFUL_THREADS).unwrap_or(NonZeroUsize::MIN))
        })
    }
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

/// `COLUMNS` if someone set it, else the terminal's own width, else what a file can take.
fn width(columns: Option<&str>, terminal: Option<usize>) -> usize {
    let asked = columns.and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    asked.or(terminal).unwrap_or(WIDTH_WITHOUT_TERMINAL).max(LEAST_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_asked_for_or_measured_or_assumed() {
        assert_eq!(width(Some("100"), Some(200)), 100);
        assert_eq!(width(Some("junk"), Some(200)), 200);
        assert_eq!(width(None, Some(20)), LEAST_WIDTH);
        assert_eq!(width(None, None), WIDTH_WITHOUT_TERMINAL);
    }
}
