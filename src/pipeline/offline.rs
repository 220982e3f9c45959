//! Captures from the first packet to the last. In: paths. Out: everything that was found, and what stopped the reading.

use super::engine::{Engine, Options};
pub use super::inputs::{Inputs, is_stdin};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::sink::Sink;
use crate::capture::error::grouped;
use crate::capture::savefile::Progress as Position;
use crate::capture::{CaptureError, Flow, Info, Merge, Source};
use crate::error::Error;
use crate::metrics::rows::{CaptureInfo, Summary};

/// Packets between two looks at the clock and at Ctrl-C.
pub(super) const LOOK_EVERY: usize = 1024;

/// Captures being read as one.
pub(super) struct Reading {
    /// Their packets, in the order of time.
    pub(super) merge: Merge,
    /// The place on the command line of each source of `merge`.
    pub(super) files: Vec<u16>,
    /// How far the reading has come.
    pub(super) positions: Vec<Position>,
    /// What is known of each capture before the first packet, those that could not be opened included.
    infos: Vec<CaptureInfo>,
}

impl Inputs {
    /// Ready for the first packet.
    pub(super) fn read(self) -> Reading {
        let mut infos: Vec<CaptureInfo> = Vec::new();
        let mut files: Vec<u16> = Vec::new();
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for (file, (_, capture)) in (0..=u16::MAX).zip(self.captures) {
            match capture {
                Ok(mut source) => {
                    infos.push(capture_info(source.info(), None));
                    files.push(file);
                    sources.push(source);
                }
                Err(error) => infos.push(never_opened(&error)),
            }
        }
        Reading { merge: Merge::new(sources), files, positions: self.positions, infos }
    }
}

/// A finished run.
pub struct Finished<S> {
    /// Where the connections went.
    pub sink: S,
    /// The run itself.
    pub summary: Summary,
    /// What stopped the reading of inputs that had been opened, for the user: a line each.
    pub stopped: Vec<String>,
}

/// Reads every capture to its end, or to Ctrl-C, and hands what it finds to `sink`.
///
/// # Errors
///
/// When the system gives no thread, when nothing can lie in the period that was asked for, when the filter fits no link type
/// of the captures, when too many captures overlap to be open at once, or the sink takes no more.
pub fn run<S: Sink + 'static>(
    inputs: Inputs,
    options: Options,
    sink: S,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<Finished<S>, Error> {
    let mut engine = Engine::start(options, sink, inputs.is_stream()).map_err(Error::Thread)?;
    // Whoever fills the pipe got the same Ctrl-C and is about to close it: take what is still in it.
    let patience = if inputs.from_stdin { 2 } else { 1 };
    let Reading { mut merge, files, positions, mut infos } = inputs.read();
    let total = positions.iter().map(Position::total).sum();
    let mut progress = Progress::new(progress, total);
    let mut interrupted = false;
    loop {
        let (before, mut useful) = (engine.packets(), true);
        let flow = merge.each(LOOK_EVERY, |index, packet| {
            useful &= engine.packet(files.get(index).copied().unwrap_or_default(), packet);
        });
        if let Some(said) = engine.contradiction() {
            engine.abandon();
            return Err(Error::Request(said));
        }
        if flow == Flow::End || !useful {
            break;
        }
        if interrupt.count() >= patience {
            interrupted = true;
            break;
        }
        if engine.packets() - before < LOOK_EVERY as u64 {
            engine.pause();
        }
        progress.reading(positions.iter().map(Position::consumed).sum(), engine.packets());
    }
    drop(progress);
    let refused = merge.refused().map(|refused| Error::Input(refused.to_string()));
    if let Some(error) = refused.or_else(|| engine.misfit().map(Error::Request)) {
        engine.abandon();
        return Err(error);
    }

    let (mut stopped, mut not_begun) = (Vec::new(), 0);
    for ((index, info), &file) in merge.infos().into_iter().enumerate().zip(&files) {
        let mut is_told = true;
        let error = match merge.error(index) {
            Some(error) => Some(error.to_string()),
            None if interrupted && !merge.has_ended(index) => {
                // A ring may have thousands that were not begun: one line tells of them all.
                is_told = info.packets > 0 || files.len() == 1;
                not_begun += u64::from(!is_told);
                Some(format!("{}: stopped by Ctrl-C; {} packets read", info.path, grouped(info.packets)))
            }
            None => None,
        };
        stopped.extend(error.clone().filter(|_| is_told));
        if let Some(slot) = infos.get_mut(usize::from(file)) {
            *slot = capture_info(info, error);
        }
    }
    if not_begun > 0 {
        stopped.push(format!("stopped by Ctrl-C before {} of {} captures", grouped(not_begun), files.len()));
    }
    let (sink, summary) = engine.finish(infos)?;
    Ok(Finished { sink, summary, stopped })
}

/// What the summary says of a source.
pub(super) fn capture_info(info: Info, error: Option<String>) -> CaptureInfo {
    CaptureInfo {
        link_types: info.link_names(),
        path: info.path,
        format: info.format,
        packets: info.packets,
        bytes: info.bytes,
        first_ts: info.first_ts,
        last_ts: info.last_ts,
        drops: info.drops,
        error,
    }
}

fn never_opened(error: &CaptureError) -> CaptureInfo {
    CaptureInfo {
        path: error.name().to_owned(),
        format: "unknown".to_owned(),
        packets: 0,
        bytes: 0,
        first_ts: None,
        last_ts: None,
        link_types: Vec::new(),
        drops: None,
        error: Some(error.to_string()),
    }
}
