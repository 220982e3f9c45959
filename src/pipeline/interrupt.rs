//! Ctrl-C: a wish to end well, with everything that was read in the report; the third one ends at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::report::output::between_rows;

/// 128 + SIGINT, as shells report a program that Ctrl-C ended.
const KILLED: i32 = 130;

/// Hundredths of a second that rows may take to be written.
const PATIENCE: u32 = 100;

/// How often Ctrl-C (or SIGTERM, SIGHUP) came. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Counts from now on; `warn` is called when the next one would end the program at once. Where a handler is set already,
    /// Ctrl-C keeps what it does.
    pub fn listen(warn: fn()) -> Self {
        let this = Self::default();
        let count = this.clone();
        // The third asks no more: a read that never returns cannot look at the count. Files under their final names are
        // whole, or grow by whole rows: one that is being written is waited for, though not for ever.
        let _ = ctrlc::set_handler(move || match count.raise() {
            0..=1 => {}
            2 => warn(),
            _ => {
                let mut waits = 0..PATIENCE;
                let _whole = loop {
                    match between_rows() {
                        None if waits.next().is_some() => thread::sleep(Duration::from_millis(10)),
                        whole => break whole,
                    }
                };
                process::exit(KILLED)
            }
        });
        this
    }

    /// One more; how many there are now.
    pub fn raise(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
