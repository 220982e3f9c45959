//! Who is the client: the sender of the first SYN, else the receiver of the SYN-ACK, else a guess by port and order.

use crate::tcp::segment::{Addressed, Flags};

/// Which end of a segment is the client, and whether the packets show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// The segment's sender is the client.
    pub sender_is_client: bool,
    /// A SYN or SYN-ACK says so.
    pub known: bool,
}

/// The roles as the first segment of a connection tells them.
pub fn role(first: &Addressed) -> Role {
    let flags = first.segment.flags;
    if flags.is_bare_syn() {
        Role { sender_is_client: true, known: true }
    } else if flags.has_all(Flags::SYN) {
        // With RST it is illegal, and shows nothing for sure.
        Role { sender_is_client: !flags.has_all(Flags::ACK), known: flags.is_syn_ack() }
    } else {
        // Servers listen on low ports. Equal ports: whoever spoke first.
        Role { sender_is_client: first.src.port >= first.dst.port, known: false }
    }
}
