//! How a connection opened, and how long that took. In: the connection's notes. Out: the opening columns of its row.

use super::rows::{Opening, Tap};
use crate::tcp::connection::Connection;
use crate::tcp::log::{Note, only};
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

/// What the notes say of the opening.
pub fn opening(conn: &Connection) -> Handshake {
    let log = &conn.log;
    let syns = || log.iter().filter(|note| note.side == Side::Client && note.flags.is_bare_syn());
    let server_syn = log.iter().any(|note| note.side == Side::Server && note.flags.is_bare_syn());
    let syn_acks =
        || log.iter().filter(|note| note.side == Side::Server && note.rcv.has(Stimulus::RcvSynAck) && note.sent);
    let first_syn = syns().next();
    let first_syn_ack = syn_acks().next();
    let is_final_ack =
        |note: &&Note| note.side == Side::Client && note.rcv.has(Stimulus::RcvAckOfSyn) && !note.flags.is_syn_ack();
    let final_ack = match first_syn_ack {
        Some(syn_ack) => log.iter().skip_while(|note| note.frame != syn_ack.frame).find(is_final_ack),
        None => log.iter().find(is_final_ack),
    };

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
    if opening == Opening::Refused {
        return none;
    }
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

    let span = |from: Option<&Note>, to: Option<&Note>| to?.ts.since(from?.ts).measured();
    let answered_syn = first_syn_ack.and_then(|syn_ack| answered(syns(), syn_ack));
    let syn_to_syn_ack_ns = span(answered_syn, first_syn_ack);
    let syn_ack_to_ack_ns = final_ack.and_then(|ack| span(answered(syn_acks(), ack), Some(ack)));
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

/// Which of `copies`, sent before `answer`, it answers: the only one, or the one whose timestamp it echoes.
fn answered<'a>(copies: impl Iterator<Item = &'a Note>, answer: &Note) -> Option<&'a Note> {
    let before: Vec<&Note> = copies.take_while(|copy| copy.frame != answer.frame && copy.ts <= answer.ts).collect();
    if let [only] = before[..] {
        return Some(only);
    }
    let (_, echoed) = answer.timestamps?;
    only(before.into_iter().filter(|copy| copy.timestamps.is_some_and(|(value, _)| value == echoed)))
}

/// Where the tap stands, from the two halves of the round trip: tap → server → tap and tap → client → tap.
fn tap(server_half: Option<i64>, client_half: Option<i64>) -> Tap {
    match (server_half, client_half) {
        (Some(server), Some(client)) if server > client.saturating_mul(MUCH_FARTHER) => Tap::NearClient,
        (Some(server), Some(client)) if client > server.saturating_mul(MUCH_FARTHER) => Tap::NearServer,
        (Some(_), Some(_)) => Tap::Between,
        _ => Tap::Unknown,
    }
}
