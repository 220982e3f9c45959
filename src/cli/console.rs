//! The two streams a person or a program reads: results to standard output, messages to standard error.
//! The only file that prints.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::error::Error;

/// Writes a result to standard output. A reader that has left (`finwait list x.pcap | head -1`) has what it wanted.
///
/// # Errors
///
/// [`Error::Stdout`] when standard output cannot be written for any other reason, such as a full disk.
pub fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    outcome(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Lets `write` write a result of any length to standard output, buffered.
///
/// # Errors
///
/// As [`print`].
pub fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    outcome(write(&mut stdout).and_then(|()| stdout.flush()))
}

/// Whether a person reads what goes to standard output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn outcome(written: io::Result<()>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stdout(error)),
        _ => Ok(()),
    }
}

/// Says one line on standard error: `finwait: …`. Nobody is left to tell if that fails.
pub fn say(message: impl Display) {
    let line = format!("finwait: {}\n", one_line(&message.to_string()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Says one line on standard error, and below it lines that show what it speaks of.
pub fn say_and_show(message: impl Display, below: &[String]) {
    say(message);
    let lines: String = below.iter().map(|line| format!("  {}\n", one_line(line))).collect();
    let _ = io::stderr().lock().write_all(lines.as_bytes());
}

/// What Ctrl-C says when one more would end the program.
pub fn last_warning() {
    say("still at work on what was read; Ctrl-C once more ends it without a report");
}

/// File names may hold line breaks and terminal commands; a message is one harmless line.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|char| {
            let escaped = char.is_control().then(|| char.escape_default());
            let plain = escaped.is_none().then_some(char);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_but_a_full_disk_is() {
        assert!(outcome(Ok(())).is_ok());
        assert!(outcome(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(matches!(outcome(Err(io::ErrorKind::StorageFull.into())), Err(Error::Stdout(_))));
    }

    #[test]
    fn messages_are_one_harmless_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m µ.pcap"), "a\\nb\\u{1b}[31m µ.pcap");
    }
}
