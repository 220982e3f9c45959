//! An interface, watched until its time is up, enough packets have passed or Ctrl-C comes. In: an open interface.
//! Out: the same as from a file.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock::Stopwatch;
use super::engine::{Engine, Options};
use super::interrupt::Interrupt;
use super::offline::{Finished, capture_info};
use super::progress::Progress;
use super::sink::Kept;
use crate::capture::error::grouped;
use crate::capture::live::Live;
use crate::capture::write::PcapngWriter;
use crate::capture::{Packet, Polled, Source};
use crate::error::Error;

/// Packets between two looks at the clock and at Ctrl-C while packets come without a pause.
const LOOK_EVERY: u64 = 256;

/// What the kernel has seen but not handed over when the end comes is still taken, for this long.
const LAST_CALL: Duration = Duration::from_millis(150);

/// When to stop; whichever comes first, and Ctrl-C in any case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After this long.
    pub duration: Option<Duration>,
    /// After this many packets.
    pub packets: Option<u64>,
}

/// The packets themselves, kept beside the report.
pub struct Keep {
    path: PathBuf,
    writer: Option<PcapngWriter<BufWriter<File>>>,
    failed: Option<String>,
}

impl Keep {
    /// Begins the file, in place of an older one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let begun = File::create(path).and_then(|file| PcapngWriter::new(BufWriter::new(file)));
        let writer = begun.map_err(|error| {
            Error::Output(format!(
                "{}: cannot write the packets: {error}; choose another file with --write",
                path.display()
            ))
        })?;
        Ok(Self { path: path.to_owned(), writer: Some(writer), failed: None })
    }

    /// After a failure the packets before it stay, and the analysis goes on without.
    fn packet(&mut self, packet: &Packet<'_>, snaplen: u32) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(packet, snaplen)
        {
            self.writer = None;
            self.fail(&error, packet.number);
        }
    }

    fn finish(&mut self, live: &mut Live, packets: u64) {
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.finish(live.counters())
        {
            self.fail(&error, packets);
        }
    }

    fn fail(&mut self, error: &io::Error, packet: u64) {
        let path = self.path.display();
        self.failed = Some(format!("{path}: writing ended before packet {}: {error}", grouped(packet)));
    }
}

/// Watches `live` to the end of its limits and analyses what passes. What could not be kept stands in `stopped` beside what
/// ended the watching before its time.
///
/// # Errors
///
/// When the system gives no thread.
pub fn run(
    mut live: Live,
    options: Options,
    limits: Limits,
    mut keep: Option<Keep>,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<Finished, Error> {
    let mut engine = Engine::start(options, Kept::default(), true).map_err(Error::Thread)?;
    let watch = Stopwatch::start();
    let mut progress = Progress::new(progress, None);
    let mut stopped = Vec::new();
    let snaplen = live.snaplen();
    let mut last_call: Option<Stopwatch> = None;
    loop {
        if limits.packets.is_some_and(|most| engine.packets() >= most) {
            break;
        }
        let quiet = match live.poll() {
            Ok(Polled::Packet(packet)) => {
                if let Some(keep) = &mut keep {
                    keep.packet(&packet, snaplen);
                }
                engine.packet(0, &packet);
                false
            }
            Ok(Polled::Quiet) => true,
            Ok(Polled::End) => break,
            Err(error) => {
                stopped.push(error.to_string());
                break;
            }
        };
        if quiet {
            engine.pause();
        }
        if quiet || engine.packets() % LOOK_EVERY == 0 {
            match &last_call {
                None => {
                    let over = limits.duration.is_some_and(|duration| watch.elapsed() >= duration);
                    last_call = (over || interrupt.count() > 0).then(Stopwatch::start);
                }
                Some(last_call) if last_call.elapsed() >= LAST_CALL => break,
                Some(_) => {}
            }
            let (packets, segments) = (engine.packets(), engine.segments());
            progress.watching(|elapsed| {
                let seconds = elapsed.as_secs();
                format!("{seconds} s  {} packets  {} TCP segments  Ctrl-C ends", grouped(packets), grouped(segments))
            });
        }
    }
    drop(progress);

    let info = live.info();
    let error = stopped.first().cloned();
    if let Some(keep) = &mut keep {
        keep.finish(&mut live, engine.packets());
        stopped.extend(keep.failed.take());
    }
    Ok(Finished { analysis: engine.analysis(vec![capture_info(info, error)])?, stopped })
}
