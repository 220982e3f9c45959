//! Completions and man pages, generated from the definition of the arguments.

use std::fs;
use std::io;
use std::path::Path;

use clap_complete::Shell;

use super::status::Status;
use super::{args, console};
use crate::error::Error;

/// `finwait completions SHELL`.
pub fn completions(shell: Shell) -> Result<Status, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::definition(), "finwait", &mut script);
    console::print(&String::from_utf8_lossy(&script))?;
    Ok(Status::Complete)
}

/// `finwait man [DIR]`: `finwait.1` to standard output, or `finwait.1`, `finwait-report.1` … into a folder.
pub fn man(dir: Option<&Path>) -> Result<Status, Error> {
    match dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(args::definition()).render(&mut page).map_err(Error::Stdout)?;
            console::print(&String::from_utf8_lossy(&page))?;
        }
        Some(dir) => {
            let written = || -> io::Result<()> {
                fs::create_dir_all(dir)?;
                clap_mangen::generate_to(args::definition(), dir)
            };
            written().map_err(|error| Error::Output(format!("{}: cannot write the pages: {error}", dir.display())))?;
        }
    }
    Ok(Status::Complete)
}
