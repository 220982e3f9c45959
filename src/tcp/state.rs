//! The eleven states of RFC 9293 3.3.2, in its order.

use std::fmt;

/// A state of one endpoint (RFC 9293 3.3.2, figure 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// No connection state at all.
    Closed,
    /// Waiting for a connection request from any peer.
    Listen,
    /// SYN sent, waiting for the matching one.
    SynSent,
    /// SYNs exchanged, waiting for the acknowledgement of ours.
    SynReceived,
    /// Data can flow both ways.
    Established,
    /// FIN sent, not yet acknowledged; none received.
    FinWait1,
    /// Our FIN is acknowledged; waiting for the peer's.
    FinWait2,
    /// The peer's FIN came; our application has not closed yet.
    CloseWait,
    /// FINs crossed: theirs came, ours is not acknowledged.
    Closing,
    /// The peer's FIN came, ours is sent, its acknowledgement is awaited.
    LastAck,
    /// Both FINs acknowledged; waiting for old segments to die out.
    TimeWait,
}

impl State {
    /// All of them, in the RFC's order.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The name that the tables use: RFC 9293's with underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN_WAIT_1",
            Self::FinWait2 => "FIN_WAIT_2",
            Self::CloseWait => "CLOSE_WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
        }
    }

    /// The state with that name; hyphens, as the RFC writes them, are read too.
    pub fn from_name(name: &str) -> Option<Self> {
        let wanted = name.replace('-', "_");
        Self::ALL.into_iter().find(|state| state.name() == wanted)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One of the two endpoints of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    /// The side that opened the connection, as far as can be told.
    Client,
    /// The other one.
    Server,
}

impl Side {
    /// Both, client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other endpoint.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// 0 for the client, 1 for the server.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name that the tables use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a change of state is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The endpoint's own packet passed the tap.
    Observed,
    /// A packet on its way to the endpoint passed the tap.
    Inferred,
    /// A timer: no packet shows it.
    Assumed,
}

impl Evidence {
    /// The name that the tables use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Assumed => "assumed",
        }
    }
}
