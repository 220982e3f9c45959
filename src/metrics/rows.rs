//! The rows of the report, as plain values. `tables::schema` gives each column its name, unit and meaning.
//!
//! `None` is "unknown", never zero. Spans end in `_ns` and are nanoseconds; sizes are bytes. Arrays of two are indexed by
//! [`Side::index`]: client, server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub use super::history::Letters;
pub use super::trust::Seen;
pub use crate::names::mark::{App, Called, TlsVersion};
pub use crate::tcp::anomaly::AnomalyKind;
use crate::tcp::segment::{FrameId, HostPort, Tunnel};
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition;
pub use crate::tcp::transition::Stimulus;
use crate::tcp::words::words;
use crate::time::Timestamp;

words! {
    /// How a connection began.
    Opening {
        /// The three-way handshake completed.
        Handshake = "handshake",
        /// Both sides sent a SYN (RFC 9293 figure 7).
        Simultaneous = "simultaneous",
        /// An RST answered the SYN.
        Refused = "refused",
        /// Nothing answered the SYN.
        NoAnswer = "no_answer",
        /// The SYN-ACK was never acknowledged.
        HalfOpen = "half_open",
        /// The client reset the attempt before it completed.
        Aborted = "aborted",
        /// An ICMP error answered the SYN.
        Unreachable = "unreachable",
        /// The capture began after the SYN.
        Midstream = "midstream",
    }
}

words! {
    /// How a connection ended.
    Closing {
        /// Both FINs acknowledged.
        Fin = "fin",
        /// The FINs crossed, both acknowledged.
        Simultaneous = "simultaneous",
        /// Both FINs seen, at least one never acknowledged.
        Unfinished = "unfinished",
        /// Only one side sent a FIN.
        HalfClosed = "half_closed",
        /// The client sent an RST that the server would accept.
        ResetByClient = "reset_by_client",
        /// The server sent an RST that the client would accept.
        ResetByServer = "reset_by_server",
        /// It had not ended when the capture did.
        Open = "open",
        /// finwait gave it up to stay within its memory.
        Evicted = "evicted",
    }
}

words! {
    /// Who sent its FIN first.
    ActiveCloser {
        /// The client.
        Client = "client",
        /// The server.
        Server = "server",
        /// Neither had the other's FIN when it sent its own.
        Both = "both",
    }
}

words! {
    /// Where on the path the capture was taken.
    Tap {
        /// The server answers from much farther away than the client.
        NearClient = "near_client",
        /// The client answers from much farther away than the server.
        NearServer = "near_server",
        /// Both halves of the round trip are felt.
        Between = "between",
        /// The handshake does not tell.
        Unknown = "unknown",
    }
}

words! {
    /// Why a FIN came again.
    FinCause {
        /// No ACK of it had passed, and the peer's behaviour shows that it never arrived.
        FinLost = "fin_lost",
        /// An ACK of it had passed the tap before, or a D-SACK shows that it had arrived.
        AckLost = "ack_lost",
        /// The peer sends nothing at all after this copy.
        Unanswered = "unanswered",
        /// The packets do not tell.
        Undecided = "undecided",
    }
}

words! {
    /// What made a sender repeat its FIN.
    RepeatedBy {
        /// Its retransmission timer (RFC 6298).
        Timer = "timer",
        /// A tail-loss probe (RFC 8985 7), which comes before the timer and leaves it as it was.
        LossProbe = "loss_probe",
        /// The intervals do not tell, or are shorter than any timer.
        Undecided = "undecided",
    }
}

words! {
    /// How a stay in TIME_WAIT ended.
    TimeWaitEnd {
        /// A new incarnation of the 4-tuple began.
        Reused = "reused",
        /// A late segment drew an RST: the endpoint was gone.
        AnsweredReset = "answered_reset",
        /// An RST killed it.
        Reset = "reset",
        /// The assumed time ran out inside the capture.
        Assumed = "assumed",
        /// Still in it when the capture ended.
        CaptureEnd = "capture_end",
    }
}

impl TimeWaitEnd {
    /// A packet shows it; it is neither assumed nor the capture's.
    pub const fn is_measured(self) -> bool {
        !matches!(self, Self::Assumed | Self::CaptureEnd)
    }
}

/// Who the two endpoints of a connection are, as far as its packets tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Who {
    /// The side that opened.
    pub client: HostPort,
    /// The other one.
    pub server: HostPort,
    /// A SYN or a SYN-ACK shows who opened.
    pub role_known: bool,
    /// The VLAN id of the first frame.
    pub vlan: Option<u16>,
    /// The tunnel of the first frame.
    pub tunnel: Option<Tunnel>,
}

/// `connections`: a row a connection.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ConnectionRow {
    pub conn_id: u64,
    pub who: Who,
    pub first_ts: Timestamp,
    pub last_ts: Timestamp,
    pub first_frame: FrameId,
    pub last_frame: FrameId,
    pub packets: [u64; 2],
    pub wire_bytes: [u64; 2],
    pub capture_copies: [u64; 2],
    pub payload_bytes: [u64; 2],
    pub opening: Opening,
    pub syn_packets: u64,
    pub syn_ack_packets: u64,
    pub connect_ns: Option<i64>,
    pub syn_to_syn_ack_ns: Option<i64>,
    pub syn_ack_to_ack_ns: Option<i64>,
    pub handshake_ns: Option<i64>,
    pub tap: Tap,
    pub closing: Closing,
    pub active_closer: Option<ActiveCloser>,
    pub states: [Option<State>; 2],
    pub fin_retransmissions: [u64; 2],
    pub close_wait_ns: [Option<i64>; 2],
    pub retransmissions: [u64; 2],
    pub history: Letters,
    pub conn_state: &'static str,
    /// Repeats of the client's SYN, copies of the tap's or the network's making left out. Folded into `listeners`.
    pub syn_retransmissions: u64,
    /// Repeats of the server's SYN-ACK, likewise.
    pub syn_ack_retransmissions: u64,
    /// The SYN-ACK came again after the final ACK had passed, and not because that ACK was lost.
    pub accept_queue_overflow: bool,
    /// First SYN → the SYN that was answered: the part of `connect_ns` that was waiting to send it again.
    pub syn_wait_ns: Option<i64>,
    /// The first final ACK that a full accept queue ignored → the one that the server took.
    pub accept_wait_ns: Option<i64>,
    /// What its first bytes show of the service.
    pub called: Called,
    /// Another connection had the same 4-tuple at the same time, in another VLAN or virtual network: where a packet was seen says whose it is.
    pub split: bool,
}

/// `transitions`: a row a change of state.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TransitionRow {
    pub conn_id: u64,
    pub side: Side,
    pub step: u32,
    pub from_state: Option<State>,
    pub to_state: State,
    pub ts: Timestamp,
    /// `None` for a timer.
    pub frame: Option<FrameId>,
    pub trigger: Stimulus,
    pub evidence: Evidence,
    pub confirmed: bool,
    pub earliest_ts: Option<Timestamp>,
    pub latest_ts: Option<Timestamp>,
    pub retracted: bool,
}

impl TransitionRow {
    /// The section of RFC 9293 that has the change.
    pub fn rfc(&self) -> &'static str {
        transition::next(self.from_state, self.trigger).map_or("", |rule| rule.cite)
    }
}

/// `fin_retransmissions`: a row a repeated FIN.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct FinRetransmissionRow {
    pub conn_id: u64,
    pub side: Side,
    /// 1 for the first repeat.
    pub attempt: u32,
    pub ts: Timestamp,
    pub frame: FrameId,
    pub first_fin_ts: Timestamp,
    pub since_previous_ns: Option<i64>,
    pub sender_state: Option<State>,
    pub receiver_state: Option<State>,
    pub cause: FinCause,
    /// `since_previous` ÷ the interval before it; `None` for the first repeat.
    pub backoff: Option<f64>,
    pub repeated_by: RepeatedBy,
    /// Payload before the FIN in this segment, and in the one that carried it first: a FIN may come again without its data, or
    /// together with more.
    pub payload_bytes: u64,
    pub first_payload_bytes: u64,
}

/// `time_wait`: a row a stay in TIME_WAIT.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TimeWaitRow {
    pub conn_id: u64,
    pub side: Side,
    pub entered_ts: Timestamp,
    pub restarts: u32,
    pub last_restart_ts: Option<Timestamp>,
    pub proof_of_life_ts: Option<Timestamp>,
    /// `None` for `capture_end`.
    pub ended_ts: Option<Timestamp>,
    pub end: TimeWaitEnd,
    pub at_least_ns: Option<i64>,
    pub at_most_ns: Option<i64>,
    pub duration_ns: Option<i64>,
    pub assumed_ns: i64,
}

/// p50, p90, p99 and maximum of a set of spans, in nanoseconds; all `None` for an empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub count: u64,
    pub p50: Option<i64>,
    pub p90: Option<i64>,
    pub p99: Option<i64>,
    pub max: Option<i64>,
}

/// `listeners`: a row a server address and port.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ListenerRow {
    pub server: HostPort,
    pub attempts: u64,
    pub established: u64,
    pub refused: u64,
    pub no_answer: u64,
    pub half_open: u64,
    pub aborted: u64,
    pub connect: Quantiles,
    pub handshake: Quantiles,
    pub syn_retransmissions: u64,
    pub syn_ack_retransmissions: u64,
    pub half_open_peak: u64,
    pub half_open_peak_ts: Option<Timestamp>,
    pub accept_queue_overflows: u64,
    pub fin_retransmissions: u64,
    pub close_wait: Quantiles,
    pub time_wait_peak: u64,
    pub syn_wait: Quantiles,
    pub accept_wait: Quantiles,
    pub held_off_peak: u64,
    pub held_off_peak_ts: Option<Timestamp>,
    /// Most connections at once that clients had completed and the application had certainly not accepted.
    pub unaccepted_at_least: Option<u64>,
    /// No full accept queue held more.
    pub accept_queue_at_most: Option<u64>,
    /// Its endpoints still in CLOSE_WAIT when the capture ended.
    pub close_wait_open: u64,
}

/// `services`: a row a name that connections were made to.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ServiceRow {
    pub app: App,
    pub name: Option<Arc<str>>,
    pub connections: u64,
    pub connect: Quantiles,
    pub tls_handshake: Quantiles,
}

/// `listener_queues`: a row a time bucket and listener with a connection in one of these places.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ListenerQueueRow {
    /// The bucket's end, where the connections are counted.
    pub bucket_ts: Timestamp,
    pub server: HostPort,
    pub syn_received: u64,
    pub held_off: u64,
    pub close_wait: u64,
    pub time_wait: u64,
    /// Most at once inside the bucket.
    pub syn_received_peak: u64,
}

/// A client address and a listener: who shares one set of ephemeral ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct PortUser {
    pub client_ip: IpAddr,
    pub server: HostPort,
}

/// `ephemeral_ports`: a row a client address and listener with a stay in TIME_WAIT on the client's side.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EphemeralPortRow {
    pub user: PortUser,
    pub connections: u64,
    pub distinct_client_ports: u64,
    pub time_wait_stays: u64,
    pub time_wait_peak: u64,
    pub time_wait_peak_ts: Option<Timestamp>,
    pub connections_per_second: f64,
    pub ports_available: u64,
    /// Connections a second; `None` where TIME_WAIT is assumed to take no time.
    pub exhaustion_rate: Option<f64>,
    pub used_ratio: f64,
}

/// `ephemeral_port_use`: a row a time bucket and user of ephemeral ports with anything to tell.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct EphemeralPortUseRow {
    /// The bucket's end, where the stays are counted.
    pub bucket_ts: Timestamp,
    pub user: PortUser,
    pub time_wait: u64,
    /// Most at once inside the bucket.
    pub time_wait_peak: u64,
    /// Connections begun inside the bucket.
    pub connections: u64,
}

/// `state_census`: a row a time bucket, side and state; states that nobody is in have no row.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct CensusRow {
    /// The bucket's end, where the endpoints are counted.
    pub bucket_ts: Timestamp,
    pub side: Side,
    pub state: State,
    pub connections: u64,
}

/// `anomalies`: a row the first of a kind in a connection and side.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct AnomalyRow {
    pub conn_id: Option<u64>,
    pub ts: Timestamp,
    pub frame: FrameId,
    pub side: Option<Side>,
    pub kind: AnomalyKind,
    pub detail: String,
    /// How many there were.
    pub count: u64,
}

/// Where a connection stood at its server's door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// When its first final ACK passed, if a full accept queue ignored that.
    pub held_off_since: Option<Timestamp>,
    /// When the server's first byte passed: its application had accepted the connection by then.
    pub server_spoke: Option<Timestamp>,
}

/// Everything the tables say of one connection. `conn_id` is 0 in all its rows until the pipeline numbers them.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionReport {
    /// The place of its first segment among all packets of the run: the order of `conn_id`.
    pub ordinal: u64,
    /// What the listener's queues need to know of it beside its rows.
    pub waiting: Waiting,
    /// Its row in `connections`.
    pub connection: ConnectionRow,
    /// By side, then step.
    pub transitions: Vec<TransitionRow>,
    /// By side, then attempt.
    pub fin_retransmissions: Vec<FinRetransmissionRow>,
    /// By side, then entry.
    pub time_wait: Vec<TimeWaitRow>,
    /// By first occurrence.
    pub anomalies: Vec<AnomalyRow>,
}

impl ConnectionReport {
    /// Room for a report: of nobody, and nothing happened.
    pub const fn blank() -> Self {
        let nobody = HostPort::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let (no_time, no_frame) = (Timestamp::MIN, FrameId::new(0, 0));
        let called = Called { app: None, name: None, alpn: None, tls_version: None, tls_handshake_ns: None };
        Self {
            ordinal: 0,
            waiting: Waiting { held_off_since: None, server_spoke: None },
            connection: ConnectionRow {
                conn_id: 0,
                who: Who { client: nobody, server: nobody, role_known: false, vlan: None, tunnel: None },
                first_ts: no_time,
                last_ts: no_time,
                first_frame: no_frame,
                last_frame: no_frame,
                packets: [0; 2],
                wire_bytes: [0; 2],
                capture_copies: [0; 2],
                payload_bytes: [0; 2],
                opening: Opening::NoAnswer,
                syn_packets: 0,
                syn_ack_packets: 0,
                connect_ns: None,
                syn_to_syn_ack_ns: None,
                syn_ack_to_ack_ns: None,
                handshake_ns: None,
                tap: Tap::Unknown,
                closing: Closing::Open,
                active_closer: None,
                states: [None; 2],
                fin_retransmissions: [0; 2],
                close_wait_ns: [None; 2],
                retransmissions: [0; 2],
                history: Letters::NONE,
                conn_state: "OTH",
                syn_retransmissions: 0,
                syn_ack_retransmissions: 0,
                accept_queue_overflow: false,
                syn_wait_ns: None,
                accept_wait_ns: None,
                called,
                split: false,
            },
            transitions: Vec::new(),
            fin_retransmissions: Vec::new(),
            time_wait: Vec::new(),
            anomalies: Vec::new(),
        }
    }

    /// Lets go of memory that only an extraordinary connection needed.
    pub fn shrink(&mut self) {
        const USUAL: usize = 64;
        if self.transitions.capacity() > USUAL {
            self.transitions = Vec::new();
        }
        if self.fin_retransmissions.capacity() > USUAL {
            self.fin_retransmissions = Vec::new();
        }
        if self.anomalies.capacity() > USUAL {
            self.anomalies = Vec::new();
        }
    }

    /// Gives the connection its number, and every row its place: by side, then step or time.
    pub fn number(&mut self, conn_id: u64) {
        self.connection.conn_id = conn_id;
        self.transitions.iter_mut().for_each(|row| row.conn_id = conn_id);
        self.transitions.sort_by_key(|row| (row.side, row.step));
        self.fin_retransmissions.iter_mut().for_each(|row| row.conn_id = conn_id);
        self.fin_retransmissions.sort_by_key(|row| (row.side, row.ts, row.attempt));
        self.time_wait.iter_mut().for_each(|row| row.conn_id = conn_id);
        self.time_wait.sort_by_key(|row| (row.side, row.entered_ts));
        self.anomalies.iter_mut().for_each(|row| row.conn_id = Some(conn_id));
        self.anomalies.sort_by_key(|row| (row.side, row.ts, row.frame, row.kind));
    }
}

/// Everything a run found: the contents of all tables.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Tables {
    pub connections: Vec<ConnectionRow>,
    pub transitions: Vec<TransitionRow>,
    pub fin_retransmissions: Vec<FinRetransmissionRow>,
    pub time_wait: Vec<TimeWaitRow>,
    pub listeners: Vec<ListenerRow>,
    pub state_census: Vec<CensusRow>,
    pub anomalies: Vec<AnomalyRow>,
    pub listener_queues: Vec<ListenerQueueRow>,
    pub ephemeral_ports: Vec<EphemeralPortRow>,
    pub ephemeral_port_use: Vec<EphemeralPortUseRow>,
    pub services: Vec<ServiceRow>,
}

impl Tables {
    /// Takes the rows of one connection.
    pub fn take(&mut self, mut report: ConnectionReport) {
        self.connections.push(report.connection);
        self.transitions.append(&mut report.transitions);
        self.fin_retransmissions.append(&mut report.fin_retransmissions);
        self.time_wait.append(&mut report.time_wait);
        self.anomalies.append(&mut report.anomalies);
    }
}

/// One input of a run, for `summary.json` and the head of the terminal's summary.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureInfo {
    /// As the user wrote it; `-` for standard input.
    pub path: String,
    /// `pcap`, `pcapng`, with the compression if any: `pcap (gzip)`; `live` for an interface.
    pub format: String,
    /// Packets read.
    pub packets: u64,
    /// Bytes of the capture itself, uncompressed, container included.
    pub bytes: u64,
    /// The least timestamp.
    pub first_ts: Option<Timestamp>,
    /// The greatest timestamp.
    pub last_ts: Option<Timestamp>,
    /// Names of the link types met, such as `Ethernet`, in the order of their numbers.
    pub link_types: Vec<String>,
    /// Packets that the tap says it dropped; `None` when the file does not tell.
    pub drops: Option<u64>,
    /// What stopped the reading before the end, as the user was told it.
    pub error: Option<String>,
}

/// What `summary.json` and the terminal say of a whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The inputs, in the order of the command line.
    pub captures: Vec<CaptureInfo>,
    /// Packets of all inputs.
    pub packets: u64,
    /// TCP segments among them.
    pub tcp_segments: u64,
    /// Why the other packets gave no segment, and how many: names of `decode::skip::Skip`.
    pub skipped: Vec<(&'static str, u64)>,
    /// Connections given up to stay within memory.
    pub evictions: u64,
    /// Every input was read to its end.
    pub complete: bool,
    /// The least and greatest timestamp of any packet.
    pub first_ts: Option<Timestamp>,
    /// The end of the capture.
    pub last_ts: Option<Timestamp>,
    /// What was seen of the packets themselves.
    pub seen: Seen,
    /// Options of the run that change its figures, by name, such as `time_wait_ns`.
    pub options: Vec<(&'static str, String)>,
    /// The filter that packets had to pass.
    pub filtered: Option<Filtered>,
}

/// What a filter did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// The expression, as tcpdump takes it.
    pub expression: String,
    /// Packets of the captures that did not pass; `None` for an interface, where the system drops them unseen.
    pub passed_over: Option<u64>,
    /// Names of link types met that the expression does not fit; none of their packets passed.
    pub unfit: Vec<String>,
}

impl Who {
    /// 4 or 6.
    pub const fn ip_version(&self) -> u8 {
        match self.client.ip {
            IpAddr::V4(_) => 4,
            IpAddr::V6(_) => 6,
        }
    }

    /// The endpoint on `side`.
    pub const fn endpoint(&self, side: Side) -> HostPort {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}
