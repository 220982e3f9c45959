//! Captures that are read twice. In: paths as they were typed. Out: paths that can be opened again, standard input's kept in a file.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::console;
use crate::error::Error;
use crate::pipeline::offline::{self, Inputs};

/// Captures of a run that walks through them more than once.
pub(super) struct Twice {
    paths: Vec<PathBuf>,
    spool: Option<Spool>,
}

impl Twice {
    /// Reads standard input to its end, if it is one of `captures`.
    ///
    /// # Errors
    ///
    /// When it is named twice, or cannot be kept.
    pub(super) fn of(captures: &[PathBuf]) -> Result<Self, Error> {
        let mut paths = captures.to_vec();
        let stdin: Vec<usize> = (0..paths.len()).filter(|&place| offline::is_stdin(&captures[place])).collect();
        let spool = match stdin[..] {
            [place] => {
                let spool = Spool::fill()?;
                paths[place].clone_from(&spool.path);
                Some(spool)
            }
            // More than once: opening says so.
            _ => None,
        };
        Ok(Self { paths, spool })
    }

    /// Opens all of them, for the first walk: tells what cannot be opened.
    ///
    /// # Errors
    ///
    /// As [`Inputs::open`].
    pub(super) fn open(&self) -> Result<Inputs, Error> {
        Inputs::open(&self.paths, &mut |error| console::say(self.named(&error.to_string()))).map_err(
            |error| match error {
                Error::Input(said) => Error::Input(self.named(&said)),
                other => other,
            },
        )
    }

    /// Opens them for a later walk: what cannot be opened has been told.
    ///
    /// # Errors
    ///
    /// When none can be opened any more.
    pub(super) fn open_again(&self) -> Result<Inputs, Error> {
        Inputs::open(&self.paths, &mut |_| {})
    }

    /// Messages about the spool are messages about standard input.
    pub(super) fn named(&self, said: &str) -> String {
        match &self.spool {
            Some(spool) => said.replace(&spool.path.display().to_string(), "standard input"),
            None => said.to_owned(),
        }
    }

    /// What stopped the reading, in these words.
    pub(super) fn all_named(&self, stopped: &[String]) -> Vec<String> {
        stopped.iter().map(|said| self.named(said)).collect()
    }

    /// The names of the inputs as they were typed.
    pub(super) fn names(&self, inputs: &Inputs) -> Vec<String> {
        let is_spool = |name: &str| self.spool.as_ref().is_some_and(|spool| Path::new(name) == spool.path);
        inputs.names().into_iter().map(|name| if is_spool(&name) { "-".to_owned() } else { name }).collect()
    }
}

/// Standard input, kept for the second reading; gone when dropped.
struct Spool {
    path: PathBuf,
}

impl Spool {
    fn fill() -> Result<Self, Error> {
        let path = env::temp_dir().join(format!("finwait-{}.capture", std::process::id()));
        let failed = |error: io::Error| {
            Error::Output(format!(
                "{}: cannot keep standard input: {error}; set TMPDIR to a folder with room",
                path.display()
            ))
        };
        // Never another's file, and nobody else's to read.
        let mut file = create_private(&path).map_err(failed)?;
        let spool = Self { path: path.clone() };
        io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
        Ok(spool)
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed now, the system's own cleaning of this folder will.
        let _ = fs::remove_file(&self.path);
    }
}
