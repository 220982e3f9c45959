//! How far a run has come, on standard error, for whoever is waiting: nothing in the first half second, nothing where
//! nobody looks, nothing left behind.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::clock::Stopwatch;

/// What ends sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A person reads no faster.
const DRAWS_PER_SECOND: u8 = 8;

/// The progress of one run.
pub struct Progress {
    watch: Stopwatch,
    wanted: bool,
    total: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `wanted`: someone looks. `total`: the bytes to be read, where known.
    pub fn new(wanted: bool, total: Option<u64>) -> Self {
        Self { watch: Stopwatch::start(), wanted, total, bar: None }
    }

    /// How long the run has taken.
    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// So many bytes of the input and packets were read. Looks at the clock: call it every thousand packets or so.
    pub fn reading(&mut self, bytes: u64, packets: u64) {
        let elapsed = self.watch.elapsed();
        if let Some(bar) = self.bar(elapsed) {
            let per_second = packets as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
            bar.set_position(bytes);
            bar.set_message(format!("{} packets/s", rounded(per_second)));
        }
    }

    /// A status line instead of a bar: an interface has no end that one could be underway to.
    pub fn watching(&mut self, status: impl FnOnce(Duration) -> String) {
        let elapsed = self.watch.elapsed();
        if let Some(bar) = self.bar(elapsed) {
            bar.set_message(status(elapsed));
            bar.tick();
        }
    }

    fn bar(&mut self, elapsed: Duration) -> Option<&ProgressBar> {
        if !self.wanted || elapsed < PATIENCE {
            return None;
        }
        let total = self.total;
        Some(self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            let bar = ProgressBar::with_draw_target(total, target);
            let template = match total {
                Some(_) => "{bar:30} {bytes} of {total_bytes}  {msg}  {eta} left",
                None => "{spinner} {msg}",
            };
            // The templates are constants; a bar in another style is better than none.
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸─"),
            );
            bar
        }))
    }
}

/// Shows `what` with a spinner until dropped, for work that cannot say how far it is. `so_far` is how long the run has
/// lasted: only after a while does anybody wonder.
pub fn busy(wanted: bool, so_far: Duration, what: String) -> Progress {
    let mut progress = Progress::new(wanted, None);
    if wanted && so_far >= PATIENCE {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(1000 / u64::from(DRAWS_PER_SECOND)));
        progress.bar = Some(bar);
    }
    progress
}

/// The terminal is left as it was, also when the run ends early.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// `412 k`, `3.1 M`: a figure that changes while it is read needs no more digits.
fn rounded(number: f64) -> String {
    match number {
        n if n < 1e3 => format!("{n:.0}"),
        n if n < 1e6 => format!("{:.0} k", n / 1e3),
        n => format!("{:.1} M", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(rounded(12.3), "12");
        assert_eq!(rounded(412_345.0), "412 k");
        assert_eq!(rounded(3_141_592.0), "3.1 M");
    }

    #[test]
    fn an_unwanted_bar_is_never_made() {
        let mut progress = Progress::new(false, Some(10));
        progress.reading(5, 5);
        assert!(progress.bar.is_none());
    }
}
