//! The `history` column, as Zeek writes it: a letter for each first thing a side did, upper case for the client.
//!
//! `s` SYN, `h` SYN-ACK, `a` pure ACK, `d` data, `f` FIN, `r` RST, `c` bad checksum, `t` retransmission, `w` zero window,
//! `i` FIN and RST together, `q` SYN with FIN or RST, `^` roles flipped. `s h f r` come again when their sequence number
//! changes; `c t w` at the 1st, 10th, 100th … time.

use std::fmt;
use std::ops::Deref;

use crate::tcp::connection::Outcome;
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::Side;

/// A sender of ever-changing sequence numbers must not grow the text without end.
const MAX_LETTERS: usize = 64;
/// More than a usual connection has.
pub(super) const FEW_LETTERS: usize = 16;

/// The letters of one connection as text, which stands where it is kept and takes no memory elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Letters {
    len: u8,
    ascii: [u8; Self::CAPACITY],
}

impl Letters {
    /// Room for one more: the `^` comes when the roles flip.
    const CAPACITY: usize = MAX_LETTERS + 1;
    /// No letters.
    pub const NONE: Self = Self { len: 0, ascii: [0; Self::CAPACITY] };

    /// The first `len` of a few letters, which are ASCII; the others are 0.
    pub(super) fn of(letters: &[u8; FEW_LETTERS], len: u8) -> Self {
        let mut all = Self { len: len.min(FEW_LETTERS as u8), ..Self::NONE };
        all.ascii[..FEW_LETTERS].copy_from_slice(letters);
        all
    }

    /// As bytes, all of them ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.ascii[..usize::from(self.len)]
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns whether there was room.
    fn push(&mut self, letter: u8) -> bool {
        let room = usize::from(self.len) < MAX_LETTERS;
        if room {
            self.ascii[usize::from(self.len)] = letter;
            self.len += 1;
        }
        room
    }

    /// The other case, and a `^` in front.
    fn flip(&mut self) {
        let mut flipped = Self { len: (self.len + 1).min(Self::CAPACITY as u8), ..Self::default() };
        flipped.ascii[0] = b'^';
        for (flipped, letter) in flipped.ascii[1..].iter_mut().zip(self.as_bytes()) {
            *flipped =
                if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
        }
        *self = flipped;
    }
}

impl Default for Letters {
    fn default() -> Self {
        Self::NONE
    }
}

/// The first letters that there is room for; what is no ASCII is left out.
impl From<&str> for Letters {
    fn from(text: &str) -> Self {
        let mut letters = Self::default();
        text.bytes().filter(u8::is_ascii).for_each(|letter| _ = letters.push(letter));
        letters
    }
}

impl Deref for Letters {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The letters of one connection, and what decides whether another comes.
#[derive(Clone, Debug, Default)]
pub struct History {
    letters: Letters,
    /// Which of them stand there, a bit a letter of the alphabet.
    seen: [u32; 2],
    /// The last sequence number of s, h, f, r.
    last: [[Option<SeqNum>; 4]; 2],
    /// How many of c, t, w.
    counts: [[u32; 3]; 2],
}

impl History {
    /// The letters so far.
    pub const fn letters(&self) -> &Letters {
        &self.letters
    }

    /// None yet.
    pub fn renew(&mut self) {
        *self = Self::default();
    }

    /// Takes a segment.
    #[inline]
    pub fn add(&mut self, side: Side, seg: &Segment, outcome: &Outcome) {
        let letter = if seg.payload_len > 0 { b'd' } else { b'a' };
        let plain = seg.flags.has_all(Flags::ACK) && !seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST));
        let counted = seg.bad_checksum || outcome.retransmission || seg.window == 0;
        // Nearly every segment adds nothing.
        if !plain || counted || !self.has(side, letter) {
            self.add_letters(side, seg, outcome);
        }
    }

    fn add_letters(&mut self, side: Side, seg: &Segment, outcome: &Outcome) {
        if seg.bad_checksum {
            self.tenfold(side, b'c', 0);
        }
        if seg.flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST)) {
            self.add_control(side, seg);
        } else if seg.payload_len > 0 {
            self.once(side, b'd');
        } else if seg.flags.has_all(Flags::ACK) {
            self.once(side, b'a');
        }
        if outcome.retransmission {
            self.tenfold(side, b't', 1);
        }
        if seg.window == 0 && seg.flags.has_all(Flags::ACK) && !seg.flags.has_any(Flags::SYN.or(Flags::RST)) {
            self.tenfold(side, b'w', 2);
        }
    }

    /// The letters of a segment with SYN, FIN or RST.
    fn add_control(&mut self, side: Side, seg: &Segment) {
        let (syn, fin, rst) =
            (seg.flags.has_all(Flags::SYN), seg.flags.has_all(Flags::FIN), seg.flags.has_all(Flags::RST));
        if fin && rst {
            self.once(side, b'i');
        }
        if syn && (fin || rst) {
            self.once(side, b'q');
        }
        if syn {
            let (letter, slot) = if seg.flags.has_all(Flags::ACK) { (b'h', 1) } else { (b's', 0) };
            self.numbered(side, letter, slot, seg.seq);
        }
        if fin {
            self.numbered(side, b'f', 2, seg.end());
        }
        if rst {
            self.numbered(side, b'r', 3, seg.seq);
        }
    }

    fn push(&mut self, side: Side, letter: u8) {
        if self.letters.push(if side == Side::Client { letter.to_ascii_uppercase() } else { letter }) {
            self.seen[side.index()] |= bit(letter);
        }
    }

    fn has(&self, side: Side, letter: u8) -> bool {
        self.seen[side.index()] & bit(letter) != 0
    }

    fn once(&mut self, side: Side, letter: u8) {
        if !self.has(side, letter) {
            self.push(side, letter);
        }
    }

    fn numbered(&mut self, side: Side, letter: u8, slot: usize, seq: SeqNum) {
        if self.last[side.index()][slot] != Some(seq) {
            self.last[side.index()][slot] = Some(seq);
            self.push(side, letter);
        }
    }

    fn tenfold(&mut self, side: Side, letter: u8, slot: usize) {
        let count = &mut self.counts[side.index()][slot];
        *count = count.saturating_add(1);
        let power_of_ten = 10u32.checked_pow(count.ilog10()) == Some(*count);
        if power_of_ten {
            self.push(side, letter);
        }
    }

    /// The roles turned out to be the other way round.
    pub fn flip(&mut self) {
        self.letters.flip();
        self.seen.swap(0, 1);
        self.last.swap(0, 1);
        self.counts.swap(0, 1);
    }

    /// [`conn_state`] of these letters.
    pub fn conn_state(&self, established: bool, closed: [bool; 2], reset: [bool; 2]) -> &'static str {
        let (client_syn, server_syn_ack) = (self.has(Side::Client, b's'), self.has(Side::Server, b'h'));
        conn_state(client_syn, server_syn_ack, self.seen[Side::Server.index()] != 0, established, closed, reset)
    }
}

/// Zeek's `conn_state` from its own rules (`base/protocols/conn/main.zeek`), told from what each side sent. `answered`: the server sent anything.
pub(super) fn conn_state(
    client_syn: bool,
    server_syn_ack: bool,
    answered: bool,
    established: bool,
    closed: [bool; 2],
    reset: [bool; 2],
) -> &'static str {
    match (reset, closed) {
        ([_, true], _) if client_syn && !server_syn_ack && !established => "REJ",
        ([false, true], _) if !client_syn && server_syn_ack => "RSTRH",
        ([false, true], _) if client_syn || established => "RSTR",
        ([true, _], _) if client_syn && !answered => "RSTOS0",
        ([true, _], _) if client_syn && server_syn_ack || established => "RSTO",
        ([false, false], [true, true]) if client_syn => "SF",
        ([false, false], [true, false]) if client_syn && !answered => "SH",
        ([false, false], [true, false]) if established && client_syn => "S2",
        ([false, false], [false, true]) if !client_syn && server_syn_ack => "SHR",
        ([false, false], [false, true]) if established && client_syn => "S3",
        ([false, false], [false, false]) if client_syn && !answered => "S0",
        ([false, false], [false, false]) if client_syn && established => "S1",
        _ => "OTH",
    }
}

const fn bit(letter: u8) -> u32 {
    1 << (letter - b'a')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeeks_words_for_the_usual_endings() {
        let state = |letters: &str, established, closed, reset| {
            let mut history = History::default();
            for letter in letters.bytes() {
                let side = if letter.is_ascii_uppercase() { Side::Client } else { Side::Server };
                history.push(side, letter.to_ascii_lowercase());
            }
            assert_eq!(history.letters().as_str(), letters);
            history.conn_state(established, closed, reset)
        };
        let none = [false, false];
        assert_eq!(state("S", false, none, none), "S0");
        assert_eq!(state("Sr", false, none, [false, true]), "REJ");
        assert_eq!(state("ShADadFf", true, [true, true], none), "SF");
        assert_eq!(state("ShADad", true, none, none), "S1");
        assert_eq!(state("ShADadF", true, [true, false], none), "S2");
        assert_eq!(state("ShADadf", true, [false, true], none), "S3");
        assert_eq!(state("ShADadR", true, none, [true, false]), "RSTO");
        assert_eq!(state("ShADadr", true, none, [false, true]), "RSTR");
        assert_eq!(state("SR", false, none, [true, false]), "RSTOS0");
        assert_eq!(state("SF", false, [true, false], none), "SH");
        assert_eq!(state("DadA", false, none, none), "OTH");
    }

    #[test]
    fn letters_swap_case_when_the_roles_flip_and_have_an_end() {
        let mut letters = Letters::from("hA^");
        letters.flip();
        assert_eq!(
            (letters.as_str(), letters.to_string(), format!("{letters:?}")),
            ("^Ha^", "^Ha^".into(), "\"^Ha^\"".into())
        );
        let mut full = Letters::from("s".repeat(MAX_LETTERS + 9).as_str());
        assert_eq!(full.len(), MAX_LETTERS);
        full.flip();
        assert_eq!(full.as_str(), format!("^{}", "S".repeat(MAX_LETTERS)));
        assert_eq!(Letters::from("dé").as_str(), "d");
    }
}
