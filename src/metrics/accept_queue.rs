//! What a full accept queue cost a connection. In: the connection's notes and lives. Out: since when the server ignored its
//! final ACK, and how long it then waited.

use super::handshake::is_final_ack;
use crate::tcp::connection::Connection;
use crate::tcp::state::{Side, State};
use crate::time::Timestamp;

/// When the first final ACK passed that the server ignored; `None` where its accept queue did not overflow.
pub fn held_off_since(conn: &Connection) -> Option<Timestamp> {
    if !conn.accept_queue_overflow {
        return None;
    }
    conn.log.iter().find(|note| is_final_ack(note)).map(|note| note.ts)
}

/// From there to the ACK that the server took, in nanoseconds. `None` where a packet of the server's own does not prove that
/// it took one: it may still be ignoring them.
pub fn accept_wait_ns(conn: &Connection, held_off_since: Option<Timestamp>) -> Option<i64> {
    let since = held_off_since?;
    let taken = conn.life.entry(Side::Server, State::Established)?;
    taken.confirmed?;
    taken.ts.since(since).measured()
}
