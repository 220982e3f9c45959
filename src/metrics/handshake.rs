//! How a connection opened, and how long that took. In: the connection's notes. Out: the opening columns of its row.

use super::rows::{Opening, Tap};
use crate::tcp::connection::Connection;
use crate::tcp::log::{Note, only};
use crate::tcp::segment::Flags;
use crate::tcp::state::{Side, State};
use crate::tcp::transition::Stimulus;

/// A half of the round trip this many times longer than the other means that the tap stands beside the nearer end.
const MUCH_FARTHER: i64 = 4;

/// The opening of one connection; spans in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Handshake {
    pub opening: Opening,
    pub connect_ns: Option<i64>,
    pub syn_wait_ns: Option<i64>,
    pub syn_to_syn_ack_ns: Option<i64>,
    pub syn_ack_to_ack_ns: Option<i64>,
    pub handshake_ns: Option<i64>,
    pub tap: Tap,
}

/// Does `note` acknowledge the server's SYN for the client, as the third packet of a handshake does?
pub(super) fn is_final_ack(note: &Note) -> bool {
    note.side == Side::Client && note.rcv.has(Stimulus::RcvAckOfSyn) && !note.flags.is_syn_ack()
}

fn is_syn(note: &Note) -> bool {
    note.side == Side::Client && note.flags.is_bare_syn()
}

fn is_syn_ack(note: &Note) -> bool {
    note.side == Side::Server && note.rcv.has(Stimulus::RcvSynAck) && note.sent
}

/// The packets that open a connection, as far as they are among its notes.
#[derive(Default)]
struct Packets<'a> {
    first_syn: Option<&'a Note>,
    first_syn_ack: Option<&'a Note>,
    /// Behind the first SYN-ACK, if there is one.
    final_ack: Option<&'a Note>,
    server_syn: bool,
    /// Copies of the SYN, and of the SYN-ACK.
    syns: u32,
    syn_acks: u32,
}

impl<'a> Packets<'a> {
    fn among(log: &'a [Note]) -> Self {
        let mut found = Self::default();
        for note in log {
            if !note.flags.has_any(Flags::SYN) {
                if found.final_ack.is_none() && is_final_ack(note) {
                    found.final_ack = Some(note);
                }
            } else if is_syn(note) {
                found.first_syn.get_or_insert(note);
                found.syns += 1;
            } else if is_final_ack(note) {
                found.final_ack.get_or_insert(note);
            } else if is_syn_ack(note) {
                found.syn_acks += 1;
                if found.first_syn_ack.is_none() {
                    (found.first_syn_ack, found.final_ack) = (Some(note), None);
                }
            } else {
                found.server_syn |= note.side == Side::Server && note.flags.is_bare_syn();
            }
        }
        found
    }
}

/// What the notes say of the opening.
pub fn opening(conn: &Connection) -> Handshake {
    let Packets { first_syn, first_syn_ack, final_ack, server_syn, syns, syn_acks } = Packets::among(&conn.log);
    let opening = match first_syn {
        None => Opening::Midstream,
        Some(_) if conn.alone && conn.life.entry(Side::Client, State::Established).is_some() => Opening::Simultaneous,
        Some(_) if server_syn => Opening::Simultaneous,
        Some(_) => without_midstream(conn, first_syn_ack.is_some(), final_ack.is_some()),
    };
    let none = Handshake {
        opening,
        connect_ns: None,
        syn_wait_ns: None,
        syn_to_syn_ack_ns: None,
        syn_ack_to_ack_ns: None,
        handshake_ns: None,
        tap: Tap::Unknown,
    };
    if opening == Opening::Simultaneous {
        // To the ACK that makes the later side ESTABLISHED.
        let established = Side::BOTH.map(|side| conn.life.entry(side, State::Established).map(|step| step.ts));
        let handshake_ns = match (first_syn, established) {
            (Some(syn), [Some(client), Some(server)]) => client.max(server).since(syn.ts).measured(),
            (Some(syn), [Some(only), None]) if conn.alone => only.since(syn.ts).measured(),
            _ => None,
        };
        return Handshake { handshake_ns, ..none };
    }
    if first_syn_ack.is_none() && final_ack.is_none() {
        return none;
    }

    let span = |from: Option<&Note>, to: Option<&Note>| to?.ts.since(from?.ts).measured();
    let answered_syn = first_syn_ack.and_then(|syn_ack| match syns {
        1 => first_syn.filter(|syn| is_before(syn, syn_ack)),
        _ => answered(&conn.log, is_syn, syn_ack),
    });
    let syn_to_syn_ack_ns = span(answered_syn, first_syn_ack);
    let answered_syn_ack = final_ack.and_then(|ack| match syn_acks {
        1 => first_syn_ack.filter(|syn_ack| is_before(syn_ack, ack)),
        _ => answered(&conn.log, is_syn_ack, ack),
    });
    let syn_ack_to_ack_ns = span(answered_syn_ack, final_ack);
    Handshake {
        connect_ns: span(first_syn, first_syn_ack),
        // Known where the other part is, so that the two always add up.
        syn_wait_ns: syn_to_syn_ack_ns.and_then(|_| span(first_syn, answered_syn)),
        syn_to_syn_ack_ns,
        syn_ack_to_ack_ns,
        handshake_ns: span(first_syn, final_ack),
        // An ACK with data may have waited for the data.
        tap: tap(syn_to_syn_ack_ns, syn_ack_to_ack_ns.filter(|_| final_ack.is_some_and(|ack| ack.payload_len == 0))),
        ..none
    }
}

fn without_midstream(conn: &Connection, syn_ack: bool, final_ack: bool) -> Opening {
    let reset_by = conn.reset.map(|reset| reset.side).or(conn.stale_reset);
    match (syn_ack, final_ack, reset_by) {
        (_, true, _) => Opening::Handshake,
        (true, false, Some(Side::Client)) | (false, false, Some(Side::Client)) => Opening::Aborted,
        (true, false, _) => Opening::HalfOpen,
        (false, false, Some(Side::Server)) => Opening::Refused,
        (false, false, None) if conn.unreachable => Opening::Unreachable,
        (false, false, None) => Opening::NoAnswer,
    }
}

/// Did `copy` pass before `answer`?
fn is_before(copy: &Note, answer: &Note) -> bool {
    copy.frame != answer.frame && copy.ts <= answer.ts
}

/// Which of the copies, sent before `answer`, it answers: the only one, or the one whose timestamp it echoes.
fn answered<'a>(log: &'a [Note], is_copy: impl Fn(&Note) -> bool, answer: &Note) -> Option<&'a Note> {
    let copies = || log.iter().filter(|note| is_copy(note));
    let before = || copies().take_while(|copy| is_before(copy, answer));
    only(before()).or_else(|| {
        let (_, echoed) = answer.timestamps?;
        only(before().filter(|copy| copy.timestamps.is_some_and(|(value, _)| value == echoed)))
    })
}

/// Where the tap stands, from the two halves of the round trip: tap → server → tap and tap → client → tap.
pub(super) fn tap(server_half: Option<i64>, client_half: Option<i64>) -> Tap {
    match (server_half, client_half) {
        (Some(server), Some(client)) if server > client.saturating_mul(MUCH_FARTHER) => Tap::NearClient,
        (Some(server), Some(client)) if client > server.saturating_mul(MUCH_FARTHER) => Tap::NearServer,
        (Some(_), Some(_)) => Tap::Between,
        _ => Tap::Unknown,
    }
}
