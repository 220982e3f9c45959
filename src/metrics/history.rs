//! The `history` column, as Zeek writes it: a letter for each first thing a side did, upper case for the client.
//!
//! `s` SYN, `h` SYN-ACK, `a` pure ACK, `d` data, `f` FIN, `r` RST, `c` bad checksum, `t` retransmission, `w` zero window,
//! `i` FIN and RST together, `q` SYN with FIN or RST, `^` roles flipped. `s h f r` come again when their sequence number
//! changes; `c t w` at the 1st, 10th, 100th … time.

use crate::tcp::connection::Outcome;
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::Side;

/// A sender of ever-changing sequence numbers must not grow the text without end.
const MAX_LETTERS: usize = 64;

/// The letters of one connection.
#[derive(Clone, Debug, Default)]
pub struct History {
    text: String,
    seen: [u32; 2],
    /// The last sequence number of s, h, f, r.
    last: [[Option<SeqNum>; 4]; 2],
    /// How many of c, t, w.
    counts: [[u32; 3]; 2],
}

impl History {
    /// The letters so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// None yet, in the same memory.
    pub fn renew(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    /// Takes a segment.
    pub fn add(&mut self, side: Side, seg: &Segment, outcome: &Outcome) {
        let (syn, fin, rst) =
            (seg.flags.has_all(Flags::SYN), seg.flags.has_all(Flags::FIN), seg.flags.has_all(Flags::RST));
        if seg.bad_checksum {
            self.tenfold(side, 'c', 0);
        }
        if fin && rst {
            self.once(side, 'i');
        }
        if syn && (fin || rst) {
            self.once(side, 'q');
        }
        if syn {
            let (letter, slot) = if seg.flags.has_all(Flags::ACK) { ('h', 1) } else { ('s', 0) };
            self.numbered(side, letter, slot, seg.seq);
        }
        if fin {
            self.numbered(side, 'f', 2, seg.end());
        }
        if rst {
            self.numbered(side, 'r', 3, seg.seq);
        }
        if !(syn || fin || rst) {
            if seg.payload_len > 0 {
                self.once(side, 'd');
            } else if seg.flags.has_all(Flags::ACK) {
                self.once(side, 'a');
            }
        }
        if outcome.retransmission {
            self.tenfold(side, 't', 1);
        }
        if seg.window == 0 && !syn && !rst && seg.flags.has_all(Flags::ACK) {
            self.tenfold(side, 'w', 2);
        }
    }

    fn push(&mut self, side: Side, letter: char) {
        if self.text.len() < MAX_LETTERS {
            self.text.push(if side == Side::Client { letter.to_ascii_uppercase() } else { letter });
        }
    }

    fn once(&mut self, side: Side, letter: char) {
        let bit = 1 << (letter as u32 - 'a' as u32);
        if self.seen[side.index()] & bit == 0 {
            self.seen[side.index()] |= bit;
            self.push(side, letter);
        }
    }

    fn numbered(&mut self, side: Side, letter: char, slot: usize, seq: SeqNum) {
        if self.last[side.index()][slot] != Some(seq) {
            self.last[side.index()][slot] = Some(seq);
            self.push(side, letter);
        }
    }

    fn tenfold(&mut self, side: Side, letter: char, slot: usize) {
        let count = &mut self.counts[side.index()][slot];
        *count = count.saturating_add(1);
        let power_of_ten = 10u32.checked_pow(count.ilog10()) == Some(*count);
        if power_of_ten {
            self.push(side, letter);
        }
    }

    /// The roles turned out to be the other way round.
    pub fn flip(&mut self) {
        let swap = |letter: char| {
            if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() }
        };
        self.text = self.text.chars().map(swap).collect();
        self.text.insert(0, '^');
        self.seen.swap(0, 1);
        self.last.swap(0, 1);
        self.counts.swap(0, 1);
    }
}

/// Zeek's `conn_state` from its own rules (`base/protocols/conn/main.zeek`), told from what each side sent.
pub fn conn_state(history: &str, established: bool, closed: [bool; 2], reset: [bool; 2]) -> &'static str {
    let has = |letter| history.contains(letter);
    let (client_syn, server_syn_ack) = (has('S'), has('h'));
    let answered = history.chars().any(|letter| letter.is_ascii_lowercase());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeeks_words_for_the_usual_endings() {
        let state = |history, established, closed, reset| conn_state(history, established, closed, reset);
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
}
