//! Captures from the first packet to the last. In: paths. Out: everything that was found, and what stopped the reading.

use std::path::{Path, PathBuf};

use super::engine::{Engine, Options};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::sink::Sink;
use crate::capture::error::grouped;
use crate::capture::savefile::Progress as Position;
use crate::capture::{CaptureError, Flow, Info, Merge, Savefile, Source};
use crate::error::Error;
use crate::metrics::rows::{CaptureInfo, Summary};

/// Packets between two looks at the clock and at Ctrl-C.
pub(super) const LOOK_EVERY: usize = 1024;

/// Captures of one run that are open, in the order of the command line; what could not be opened stays as its error.
pub struct Inputs {
    captures: Vec<Result<Savefile, CaptureError>>,
    from_stdin: bool,
}

impl Inputs {
    /// Opens all of them.
    ///
    /// # Errors
    ///
    /// When none can be opened, or standard input is named twice. `say` is told of each that cannot, the last one excepted
    /// when it is the error.
    pub fn open(paths: &[PathBuf], say: &mut dyn FnMut(&dyn std::fmt::Display)) -> Result<Self, Error> {
        let stdin = paths.iter().filter(|path| is_stdin(path)).count();
        if stdin > 1 {
            return Err(Error::Request("-: standard input can be read once only; name it once".to_owned()));
        }
        if paths.len() > usize::from(u16::MAX) {
            return Err(Error::Request(format!("{} captures: at most {} at a time", paths.len(), u16::MAX)));
        }
        let captures: Vec<_> = paths.iter().map(Savefile::open).collect();
        let mut failed: Vec<&CaptureError> = captures.iter().filter_map(|capture| capture.as_ref().err()).collect();
        let last = if failed.len() == captures.len() { failed.pop() } else { None };
        for error in failed {
            say(error);
        }
        match last {
            Some(error) => Err(Error::Input(error.to_string())),
            None => Ok(Self { captures, from_stdin: stdin > 0 }),
        }
    }
}

impl Inputs {
    /// Their names, in the order of the command line.
    pub fn names(&self) -> Vec<String> {
        let name = |capture: &Result<Savefile, CaptureError>| match capture {
            Ok(savefile) => savefile.info().path,
            Err(error) => error.name().to_owned(),
        };
        self.captures.iter().map(name).collect()
    }

    /// Whether one of them has no end that is known, as a pipe.
    pub fn is_stream(&self) -> bool {
        self.captures.iter().flatten().any(|capture| capture.progress().total().is_none())
    }
}

/// Captures being read as one.
pub(super) struct Reading {
    /// Their packets, in the order of time.
    pub(super) merge: Merge,
    /// The place on the command line of each source of `merge`.
    pub(super) files: Vec<u16>,
    /// How far the reading of each source has come.
    pub(super) positions: Vec<Position>,
    /// What is known of each capture before the first packet, those that could not be opened included.
    infos: Vec<CaptureInfo>,
}

impl Inputs {
    /// Ready for the first packet.
    pub(super) fn read(self) -> Reading {
        let mut infos: Vec<CaptureInfo> = Vec::new();
        let mut files: Vec<u16> = Vec::new();
        let mut positions: Vec<Position> = Vec::new();
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for (file, capture) in (0..=u16::MAX).zip(self.captures) {
            match capture {
                Ok(savefile) => {
                    infos.push(capture_info(savefile.info(), None));
                    files.push(file);
                    positions.push(savefile.progress());
                    sources.push(Box::new(savefile));
                }
                Err(error) => infos.push(never_opened(&error)),
            }
        }
        Reading { merge: Merge::new(sources), files, positions, infos }
    }
}

/// Whether `path` stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
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
/// When the system gives no thread, when nothing can lie in the period that was asked for, or the sink takes no more.
pub fn run<S: Sink + 'static>(
    inputs: Inputs,
    options: Options,
    sink: S,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<Finished<S>, Error> {
    let mut engine = Engine::start(options, sink, inputs.is_stream()).map_err(Error::Thread)?;
    let from_stdin = inputs.from_stdin;
    let Reading { mut merge, files, positions, mut infos } = inputs.read();
    // Whoever fills the pipe got the same Ctrl-C and is about to close it: take what is still in it.
    let patience = if from_stdin { 2 } else { 1 };
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

    let mut stopped = Vec::new();
    for ((index, info), &file) in merge.infos().into_iter().enumerate().zip(&files) {
        let unread = positions.get(index).is_some_and(|position| position.total() != Some(position.consumed()));
        let error = match merge.error(index) {
            Some(error) => Some(error.to_string()),
            None if interrupted && unread => {
                Some(format!("{}: stopped by Ctrl-C; {} packets read", info.path, grouped(info.packets)))
            }
            None => None,
        };
        stopped.extend(error.clone());
        if let Some(slot) = infos.get_mut(usize::from(file)) {
            *slot = capture_info(info, error);
        }
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
