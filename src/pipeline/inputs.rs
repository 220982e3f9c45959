//! The captures of a run. In: what was typed: files, folders, patterns, `-`. Out: sources, in the order that numbers them.
//!
//! The files of a folder or of a pattern come in the order of their names; packets come by time in any case. Of several files each
//! is looked into for its first packet, and opened only when the reading has come to that time.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::capture::error::grouped;
use crate::capture::later::Turns;
use crate::capture::savefile::Progress as Position;
use crate::capture::{CaptureError, Later, Problem, Savefile, Source};
use crate::error::Error;

/// Names of what was passed over that are told.
const NAMED: usize = 3;

/// Captures of one run, in the order of the command line; what could not be opened stays as its error.
pub struct Inputs {
    pub(super) captures: Vec<Named>,
    /// How far the reading has come: those of files that are open from the start, and one of all the others.
    pub(super) positions: Vec<Position>,
    pub(super) from_stdin: bool,
    notes: Vec<String>,
}

/// A capture's name, and the capture.
type Named = (String, Result<Box<dyn Source>, CaptureError>);

/// A file to be opened.
struct Found {
    path: PathBuf,
    /// It was named itself, or by a pattern: it must be a capture. Of the files in a folder only those that are captures are meant.
    named: bool,
}

/// Opened, and how far its reading has come.
type Opened = (Box<dyn Source>, Option<Position>);

impl Inputs {
    /// Opens all of the files `paths`.
    ///
    /// # Errors
    ///
    /// When none can be opened, there are more than 65,535, or standard input is named twice. `say` is told of each that cannot, the last
    /// one excepted when it is the error.
    pub fn open(paths: &[PathBuf], say: &mut dyn FnMut(&dyn Display)) -> Result<Self, Error> {
        let found = paths.iter().map(|path| Found { path: path.clone(), named: true }).collect();
        Self::open_found(found, say)
    }

    /// Opens all captures that `typed` stands for: a folder stands for the captures in it, hidden ones and those of its folders
    /// excepted; a pattern (`*`, `?`, `[...]`), unless it is itself a file's name, for the files that match it.
    ///
    /// # Errors
    ///
    /// As [`Inputs::open`], and when a folder holds no capture or cannot be read, a pattern matches no file or cannot be one.
    pub fn find(typed: &[PathBuf], say: &mut dyn FnMut(&dyn Display)) -> Result<Self, Error> {
        let mut found: Vec<Found> = Vec::with_capacity(typed.len());
        for path in typed {
            // Metadata follow links, and looking at them opens no pipe.
            if is_stdin(path) {
                found.push(Found { path: path.clone(), named: true });
            } else if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                let files = in_folder(path).map_err(|error| Error::Request(format!("{}: {error}", path.display())))?;
                found.extend(files.into_iter().map(|path| Found { path, named: false }));
            } else if let Some(pattern) = pattern(path) {
                let files = matching(pattern)?;
                found.extend(files.into_iter().map(|path| Found { path, named: true }));
            } else {
                found.push(Found { path: path.clone(), named: true });
            }
        }
        // What is typed twice is read twice, as every tool does; what was only found is meant once.
        if found.len() > typed.len() {
            let mut known = HashSet::new();
            found.retain(|file| known.insert(file.path.clone()));
        }
        match (found.is_empty(), typed) {
            (true, [folder]) => Err(Error::Input(format!(
                "{}: no file in it; name the capture files, or their folder",
                folder.display()
            ))),
            (true, _) => Err(Error::Input("no file in any of the folders".to_owned())),
            (false, _) => Self::open_found(found, say),
        }
    }

    fn open_found(found: Vec<Found>, say: &mut dyn FnMut(&dyn Display)) -> Result<Self, Error> {
        let stdin = found.iter().filter(|file| is_stdin(&file.path)).count();
        if stdin > 1 {
            return Err(Error::Request("-: standard input can be read once only; name it once".to_owned()));
        }
        let size = |file: &Found| fs::metadata(&file.path).ok().filter(fs::Metadata::is_file).map(|it| it.len());
        let sizes: Vec<Option<u64>> = if found.len() > 1 { found.iter().map(size).collect() } else { Vec::new() };
        let turns = Turns::of(sizes.iter().flatten().sum());
        let (mut captures, mut positions, mut passed_over) = (Vec::new(), Vec::new(), Vec::new());
        for (n, Found { path, named }) in found.into_iter().enumerate() {
            let opened: Result<Opened, CaptureError> = match sizes.get(n) {
                Some(Some(_)) => Later::new(&path, &turns).map(|later| (Box::new(later) as _, None)),
                _ => Savefile::open(&path).map(|file| {
                    let position = file.progress();
                    (Box::new(file) as _, Some(position))
                }),
            };
            let name = path.display().to_string();
            let opened = match opened {
                Ok((source, position)) => {
                    positions.extend(position);
                    Ok(source)
                }
                Err(error) if !named && is_no_capture(error.problem()) => {
                    passed_over.push(path);
                    continue;
                }
                Err(error) => Err(error),
            };
            captures.push((name, opened));
        }
        if sizes.iter().any(Option::is_some) {
            positions.push(turns.progress());
        }
        let notes = note(&passed_over).into_iter().collect();
        if captures.is_empty() {
            let what = note(&passed_over).unwrap_or_default();
            return Err(Error::Input(format!("no capture in the folder: {what}")));
        }
        if captures.len() > usize::from(u16::MAX) {
            let (many, most) = (grouped(captures.len() as u64), grouped(u16::MAX.into()));
            return Err(Error::Request(format!("{many} captures: at most {most} at a time")));
        }
        let mut failed: Vec<&CaptureError> = captures.iter().filter_map(|(_, opened)| opened.as_ref().err()).collect();
        let last = if failed.len() == captures.len() { failed.pop() } else { None };
        for error in failed {
            say(error);
        }
        match last {
            Some(error) => Err(Error::Input(error.to_string())),
            None => Ok(Self { captures, positions, from_stdin: stdin > 0, notes }),
        }
    }

    /// Their names, in the order that numbers them.
    pub fn names(&self) -> Vec<String> {
        self.captures.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What the user may want to know of their finding, a line each, and is no fault.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether one of them has no end that is known, as a pipe.
    pub fn is_stream(&self) -> bool {
        self.positions.iter().any(|position| position.total().is_none())
    }
}

/// Whether `path` stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// `path` as a pattern: something in it matches more than itself, and no file has that name.
pub fn pattern(path: &Path) -> Option<&str> {
    let text = path.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    fs::symlink_metadata(path).is_err().then_some(text)
}

/// The regular files in `folder`, in the order of their names; not those whose name begins with a dot.
fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The files that match `pattern`, in the order of their names; folders are none.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, Error> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| Error::Request(format!("{pattern}: no pattern can be written so: {}", error.msg)))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| Error::Request(format!("{}: {}", error.path().display(), error.error())))?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::Input(format!("{pattern}: no such file, and none that matches it as a pattern")));
    }
    files.sort_unstable();
    Ok(files)
}

/// Not what is meant where a folder is named: something else, or a capture that has not begun.
const fn is_no_capture(problem: &Problem) -> bool {
    matches!(problem, Problem::NotACapture { .. } | Problem::Empty { .. })
}

fn note(passed_over: &[PathBuf]) -> Option<String> {
    let mut names: Vec<String> = passed_over.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    if passed_over.len() > NAMED {
        names.push("…".to_owned());
    }
    let files = match passed_over.len() {
        0 => return None,
        1 => "1 file is no capture and was passed over".to_owned(),
        many => format!("{} files are no captures and were passed over", grouped(many as u64)),
    };
    Some(format!("{files}: {}", names.join(", ")))
}
