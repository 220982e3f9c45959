//! A capture file that waits for its turn. In: a path. Out: a [`Source`] that says when it begins, and holds a file and a buffer only
//! while it is read: the rings of rotated files that tcpdump and dumpcap leave have thousands.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{CaptureError, Problem};
use super::savefile::{Progress, Savefile};
use super::{Flow, Info, Packet, Polled, Source};
use crate::time::Timestamp;

/// More files open at once are an attack on the memory, or no ring: with their buffers they take half a GiB.
const MOST_OPEN: usize = 1 << 11;

/// "Too many open files" of a process and of the system, the same on every Unix.
const NO_MORE_FILES: [i32; 2] = [24, 23];

/// What files that are read as one have in common. Clones share it.
#[derive(Clone, Debug)]
pub struct Turns {
    open: Arc<AtomicUsize>,
    progress: Progress,
}

impl Turns {
    /// Of files that are together `total` bytes long.
    pub fn of(total: u64) -> Self {
        Self { open: Arc::default(), progress: Progress::of(total) }
    }

    /// How far the reading of all of them has come.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// A capture that is opened when it is first asked for a packet.
pub struct Later {
    path: PathBuf,
    begins: Timestamp,
    turns: Turns,
    state: State,
}

enum State {
    Waiting(Info),
    Open(Box<Savefile>),
    Over(Info),
}

impl Later {
    /// Looks into the regular file `path` for its first packet and closes it again. Damage behind the file's header is left to be told
    /// when it is read.
    ///
    /// # Errors
    /// As [`Savefile::open`].
    pub fn new(path: &Path, turns: &Turns) -> Result<Self, CaptureError> {
        let mut glance = Savefile::glance(path)?;
        let info = glance.info();
        // As for any source, a packet without a time is taken to be of the time before it, and before the first there was none.
        let first = glance.next().ok().flatten().and_then(|packet| packet.ts);
        let begins = first.unwrap_or(Timestamp::MIN);
        Ok(Self { path: path.to_owned(), begins, turns: turns.clone(), state: State::Waiting(info) })
    }

    /// The open file; `None` when it is over.
    fn file(&mut self) -> Result<Option<&mut Savefile>, CaptureError> {
        if let State::Waiting(info) = &self.state {
            match self.open() {
                Ok(file) => self.state = State::Open(Box::new(file)),
                Err(error) => {
                    self.state = State::Over(info.clone());
                    return Err(error);
                }
            }
        }
        Ok(match &mut self.state {
            State::Open(file) => Some(file),
            State::Waiting(_) | State::Over(_) => None,
        })
    }

    fn open(&self) -> Result<Savefile, CaptureError> {
        let refuse = |open, by_system| {
            let name = self.path.display().to_string();
            CaptureError::new(&name, 0, Problem::TooManyOpen { open, by_system })
        };
        let open = self.turns.open.load(Ordering::Relaxed);
        if open >= MOST_OPEN {
            return Err(refuse(open, false));
        }
        let file = Savefile::reopen(&self.path, self.turns.progress()).map_err(|error| match error.problem() {
            Problem::Open(cause) if cause.raw_os_error().is_some_and(|number| NO_MORE_FILES.contains(&number)) => {
                refuse(open, true)
            }
            _ => error,
        })?;
        self.turns.open.fetch_add(1, Ordering::Relaxed);
        Ok(file)
    }
}

impl Source for Later {
    #[inline]
    fn poll(&mut self) -> Result<Polled<'_>, CaptureError> {
        match self.file()? {
            Some(file) => file.poll(),
            None => Ok(Polled::End),
        }
    }

    fn each(&mut self, most: usize, take: &mut dyn FnMut(&Packet<'_>)) -> Result<Flow, CaptureError> {
        match self.file()? {
            Some(file) => file.each(most, take),
            None => Ok(Flow::End),
        }
    }

    fn begins(&self) -> Option<Timestamp> {
        Some(self.begins)
    }

    fn close(&mut self) {
        let info = self.info();
        if let State::Open(_) = mem::replace(&mut self.state, State::Over(info)) {
            self.turns.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn info(&mut self) -> Info {
        match &self.state {
            State::Waiting(info) | State::Over(info) => info.clone(),
            State::Open(file) => file.info(),
        }
    }
}
