//! One connection's bytes. In: its number. Out: its bytes on standard output, what is missing on standard error.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::ops::ControlFlow;

use super::super::args::{FollowArgs, Gaps};
use super::super::settings::Settings;
use super::super::spool::Twice;
use super::super::status::Status;
use super::super::{console, outcome};
use super::words::{mark, reason};
use crate::capture::error::grouped;
use crate::error::Error;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline;
use crate::pipeline::second::{self, Choices, Choosing, Chosen, Heard, Walked};
use crate::streams::{Conversation, Missing, Piece, Told};
use crate::tcp::state::Side;

/// More gaps than these are summed up.
const GAPS_TOLD: usize = 10;

/// What one side of one connection may hold back, in bytes, however much memory there is.
const SIDE_BYTES: u64 = 64 << 20;

pub(super) fn run(args: &FollowArgs, settings: &Settings) -> Result<Status, Error> {
    let (captures, conn_id) = args.one()?;
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let interrupt = Interrupt::listen(console::last_warning);
    let captures = Twice::of(captures)?;
    let choosing = Choosing::new(1, move |row| row.conn_id == conn_id.get());
    let finished = offline::run(captures.open()?, options.clone(), choosing, &interrupt, settings.progress)?;
    let status = outcome::judge(&finished.summary, &captures.all_named(&finished.stopped), "")?;
    let found = finished.sink.finish();
    let chosen = if found.choices.is_empty() { Err(unknown(conn_id, &found)) } else { Ok(Chosen::new(found.choices)) }?;

    let for_a_person = settings.color || console::is_terminal();
    let gaps = args.gaps.unwrap_or(if for_a_person { Gaps::Mark } else { Gaps::Skip });
    let side_bytes = usize::try_from(SIDE_BYTES.min(args.analysis.memory / 4)).unwrap_or(usize::MAX);
    let mut conversation = Conversation::new(side_bytes);
    let (mut walked, mut lost) = (Walked::Through, Vec::new());
    let inputs = captures.open_again()?;
    console::stream(|out| {
        let look = Look { for_a_person, color: settings.color };
        let mut printer = Printer { out, look, gaps, only: args.side.map(Side::from), at: [0; 2], lost: Vec::new() };
        let mut outcome = Ok(());
        walked = second::walk(inputs, &options, chosen, &interrupt, false, &mut |met| {
            let Heard::Segment { addressed, payload } = met.heard else { return ControlFlow::Continue(()) };
            let side = met.choice.side(addressed.src);
            conversation.segment(side, &addressed.segment, payload, &mut printer.taker(&mut outcome));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if outcome.is_ok() {
            conversation.finish(&mut printer.taker(&mut outcome));
        }
        lost = printer.lost;
        outcome
    })?;
    for side in Side::BOTH.into_iter().filter(|&side| args.side.is_none_or(|asked| Side::from(asked) == side)) {
        let lost: Vec<&Lost> = lost.iter().filter(|lost| lost.side == side).collect();
        tell(side, conversation.stream(side).told(), &lost);
    }
    match walked {
        Walked::Interrupted => {
            console::say("stopped by Ctrl-C: the bytes up to there were written");
            Ok(status.max(Status::Incomplete))
        }
        Walked::Through | Walked::Enough => Ok(status),
    }
}

fn unknown(conn_id: NonZeroU64, found: &Choices) -> Error {
    let known = match found.last_id {
        0 => "there are no connections".to_owned(),
        1 => "there is one connection, number 1".to_owned(),
        last => format!("there are connections 1 to {}", grouped(last)),
    };
    Error::Request(format!("no connection {conn_id}; {known}"))
}

/// Bytes that did not come.
struct Lost {
    side: Side,
    at: u64,
    len: u64,
    why: Missing,
}

/// Says what of a stream is not as it was sent.
fn tell(side: Side, told: &Told, lost: &[&Lost]) {
    for lost in lost.iter().take(GAPS_TOLD) {
        let (len, at) = (grouped(lost.len), grouped(lost.at));
        console::say(format_args!("{side}: {len} bytes missing after {at}: {}", reason(lost.why)));
    }
    if lost.len() > GAPS_TOLD || told.gaps > lost.len() as u64 {
        let (missing, gaps) = (grouped(told.missing), grouped(told.gaps));
        console::say(format_args!("{side}: {missing} bytes missing in {gaps} gaps altogether"));
    }
    if told.differing > 0 {
        let differing = grouped(told.differing);
        console::say(format_args!(
            "{side}: {differing} bytes were sent again with other contents; the first ones count"
        ));
    }
    if told.given_up > 0 {
        let given_up = grouped(told.given_up);
        console::say(format_args!(
            "{side}: {given_up} captured bytes are left out: too late, from before the first byte or beyond the end"
        ));
    }
}

/// How bytes are shown.
#[derive(Clone, Copy)]
struct Look {
    /// As text that cannot speak to the terminal; else as they are.
    for_a_person: bool,
    color: bool,
}

struct Printer<'a> {
    out: &'a mut dyn Write,
    look: Look,
    gaps: Gaps,
    only: Option<Side>,
    /// How much of each stream is told, gaps included.
    at: [u64; 2],
    /// The first gaps of each side.
    lost: Vec<Lost>,
}

impl Printer<'_> {
    /// Takes pieces until one cannot be written.
    fn taker<'p>(&'p mut self, outcome: &'p mut io::Result<()>) -> impl FnMut(Side, Piece<'_>) + 'p {
        move |side, piece| {
            if outcome.is_ok() && self.only.is_none_or(|only| only == side) {
                *outcome = self.piece(side, piece);
            }
        }
    }

    fn piece(&mut self, side: Side, piece: Piece<'_>) -> io::Result<()> {
        let at = &mut self.at[side.index()];
        match piece {
            Piece::Bytes(bytes) => {
                *at += bytes.len() as u64;
                if self.look.for_a_person {
                    let text = harmless(bytes);
                    self.colored(side, &text)
                } else {
                    self.out.write_all(bytes)
                }
            }
            Piece::Gap(len, why) => {
                if self.lost.iter().filter(|lost| lost.side == side).count() <= GAPS_TOLD {
                    self.lost.push(Lost { side, at: *at, len, why });
                }
                *at = at.saturating_add(len);
                match self.gaps {
                    Gaps::Mark => self.colored(side, &mark(len)),
                    Gaps::Zeros => io::copy(&mut io::Read::take(io::repeat(0), len), self.out).map(drop),
                    Gaps::Skip => Ok(()),
                }
            }
        }
    }

    /// The client red, the server blue, as Wireshark shows them.
    fn colored(&mut self, side: Side, text: &str) -> io::Result<()> {
        if !self.look.color || text.is_empty() {
            return self.out.write_all(text.as_bytes());
        }
        let code = match side {
            Side::Client => 31,
            Side::Server => 34,
        };
        write!(self.out, "\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Text as it is; a dot for whatever else there is, so that nothing speaks to the terminal.
fn harmless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().filter(|&char| char != '\r').map(|char| match char {
            '\n' | '\t' => char,
            char if char.is_control() => '.',
            char => char,
        }));
        text.extend(chunk.invalid().iter().map(|_| '.'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(harmless(b"GET /\r\n\x1b[31m\xff\xc3\xa9\0\t."), "GET /\n.[31m.\u{e9}.\t.");
    }

    #[test]
    fn gaps_are_marked_skipped_or_filled() {
        let print = |gaps| {
            let mut out = Vec::new();
            let look = Look { for_a_person: false, color: false };
            let mut printer = Printer { out: &mut out, look, gaps, only: None, at: [0; 2], lost: Vec::new() };
            let mut outcome = Ok(());
            let mut take = printer.taker(&mut outcome);
            take(Side::Client, Piece::Bytes(b"ab"));
            take(Side::Client, Piece::Gap(3, Missing::NotCaptured));
            take(Side::Server, Piece::Bytes(b"cd"));
            drop(take);
            assert_eq!((printer.at, printer.lost.len()), ([5, 2], 1));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(Gaps::Skip), "abcd");
        assert_eq!(print(Gaps::Zeros), "ab\0\0\0cd");
        assert_eq!(print(Gaps::Mark), "ab[3 bytes missing in capture file]cd");
    }
}
