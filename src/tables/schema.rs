//! The one place that names tables and columns. In: rows. Out: their cells, one by one, with type, unit and meaning.

use super::cell::Kind::{Flag, Integer, Real, Text, Time};
use super::cell::{Cell, Column, Files};
use crate::metrics::rows::{
    AnomalyRow, CensusRow, ConnectionRow, EphemeralPortRow, EphemeralPortUseRow, FinRetransmissionRow,
    ListenerQueueRow, ListenerRow, ServiceRow, TimeWaitRow, TransitionRow,
};
use crate::tcp::state::Side;

pub use super::dictionary::{json, table_text, text};

/// A table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Table {
    Connections,
    Transitions,
    FinRetransmissions,
    TimeWait,
    Listeners,
    StateCensus,
    Anomalies,
    ListenerQueues,
    EphemeralPorts,
    EphemeralPortUse,
    Services,
}

impl Table {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 11] = [
        Self::Connections,
        Self::Transitions,
        Self::FinRetransmissions,
        Self::TimeWait,
        Self::Listeners,
        Self::StateCensus,
        Self::Anomalies,
        Self::ListenerQueues,
        Self::EphemeralPorts,
        Self::EphemeralPortUse,
        Self::Services,
    ];

    /// Its name: of the file, and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Transitions => "transitions",
            Self::FinRetransmissions => "fin_retransmissions",
            Self::TimeWait => "time_wait",
            Self::Listeners => "listeners",
            Self::StateCensus => "state_census",
            Self::Anomalies => "anomalies",
            Self::ListenerQueues => "listener_queues",
            Self::EphemeralPorts => "ephemeral_ports",
            Self::EphemeralPortUse => "ephemeral_port_use",
            Self::Services => "services",
        }
    }

    /// What one of its rows is.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Connections => "a row a connection: one incarnation of a 4-tuple",
            Self::Transitions => "a row a change of state of one endpoint",
            Self::FinRetransmissions => "a row a repeated FIN",
            Self::TimeWait => "a row a stay of one endpoint in TIME_WAIT",
            Self::Listeners => {
                "a row a server address and port that was connected to; at most 65,536: where there are more, those with the \
                 fewest attempts are given up, with what they had told"
            }
            Self::StateCensus => {
                "a row a time bucket, side and state: how many endpoints were in it at the bucket's end"
            }
            Self::Anomalies => "a row the first of a kind in a connection and side",
            Self::ListenerQueues => {
                "a row a time bucket and listener: where its connections wait; no row where none does; at most 1,000,000 \
                 rows, the listeners where most come and go first"
            }
            Self::EphemeralPorts => {
                "a row a client address and listener where the client was left in TIME_WAIT: how near it is to running out \
                 of ports; the 65,536 with most stays; in a run of more than 65,536 connections the 16,384 with most, each \
                 counted from its first stay on"
            }
            Self::EphemeralPortUse => {
                "a row a time bucket and row of ephemeral_ports, where there are stays or new connections; at most \
                 131,072 rows, those with most stays first"
            }
            Self::Services => {
                "a row an app and app_name, busiest first: how long its connections took to begin; at most 16,384: where \
                 there are more, those with the fewest connections are given up, with what they had told"
            }
        }
    }

    /// The table with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// A row of a table.
pub trait Row: Sized + Sync + 'static {
    /// The table it stands in.
    const TABLE: Table;
    /// The table's columns, in their order.
    fn columns() -> &'static [Column<Self>];
    /// Shows every cell of the row, in the columns' order; faster than asking each column.
    fn cells<'a>(&'a self, files: &'a Files, visit: &mut impl Visit<'a>);
}

/// Who is shown the cells of a row.
pub trait Visit<'a> {
    /// The next one.
    fn cell(&mut self, cell: Cell<'a>);
}

const C: usize = Side::Client.index();
const S: usize = Side::Server.index();

/// `name kind unit meaning = the value in the row`, a column a line; `files` resolves a frame's input.
macro_rules! table {
    ($row:ident, $table:ident, |$r:ident, $files:ident| {
        $($name:literal $kind:ident $unit:literal $meaning:literal = $cell:expr;)+
    }) => {
        impl Row for $row {
            const TABLE: Table = Table::$table;
            fn columns() -> &'static [Column<Self>] {
                static COLUMNS: &[Column<$row>] = &[$(Column {
                    name: $name,
                    kind: $kind,
                    unit: $unit,
                    meaning: $meaning,
                    #[allow(unused_variables, reason = "only frames need the names of the inputs")]
                    cell: |$r, $files| $cell.into(),
                },)+];
                COLUMNS
            }
            #[allow(unused_variables, reason = "only frames need the names of the inputs")]
            fn cells<'a>(&'a self, $files: &'a Files, visit: &mut impl Visit<'a>) {
                let $r = self;
                $(visit.cell($cell.into());)+
            }
        }
    };
}

table!(ConnectionRow, Connections, |r, files| {
    "conn_id" Integer "" "number of the connection, from 1, in the order of first frames" = r.conn_id;
    "client_ip" Text "" "address of the side that opened: it sent the first SYN, or received the SYN-ACK; see role_known" = r.who.client.ip;
    "client_port" Integer "" "its port" = r.who.client.port;
    "server_ip" Text "" "address of the other side" = r.who.server.ip;
    "server_port" Integer "" "its port" = r.who.server.port;
    "ip_version" Integer "" "4 or 6" = r.who.ip_version();
    "role_known" Flag "" "a SYN or SYN-ACK shows who opened; else the client is the side with the higher port, or the first sender" = r.who.role_known;
    "vlan" Integer "" "VLAN id of its first frame; null outside a VLAN" = r.who.vlan;
    "tunnel" Text "" "tunnel of its first frame, with its id, such as `vxlan 42`; null outside a tunnel" = r.who.tunnel;
    "first_ts" Time "" "least timestamp of its packets" = r.first_ts;
    "last_ts" Time "" "greatest timestamp of its packets" = r.last_ts;
    "first_frame" Integer "" "its first packet, as Wireshark numbers it" = r.first_frame;
    "last_frame" Integer "" "its last packet" = r.last_frame;
    "packets_client" Integer "packets" "TCP segments the client sent, retransmissions and the tap's copies included" = r.packets[C];
    "packets_server" Integer "packets" "TCP segments the server sent, likewise" = r.packets[S];
    "wire_bytes_client" Integer "bytes" "IP bytes the client sent, headers and the tap's copies included" = r.wire_bytes[C];
    "wire_bytes_server" Integer "bytes" "IP bytes the server sent, likewise" = r.wire_bytes[S];
    "capture_copies_client" Integer "packets" "packets of the client that the tap recorded twice" = r.capture_copies[C];
    "capture_copies_server" Integer "packets" "packets of the server that the tap recorded twice" = r.capture_copies[S];
    "payload_bytes_client" Integer "bytes" "distinct stream bytes from the client: repeats count once, bytes cut by snaplen count, bytes in an RST do not" = r.payload_bytes[C];
    "payload_bytes_server" Integer "bytes" "distinct stream bytes from the server, likewise" = r.payload_bytes[S];
    "opening" Text "" "handshake, simultaneous, refused, no_answer, half_open, aborted, unreachable or midstream" = r.opening;
    "syn_packets" Integer "packets" "copies of the SYN seen, the first and the tap's copies included" = r.syn_packets;
    "syn_ack_packets" Integer "packets" "copies of the SYN-ACK seen, likewise" = r.syn_ack_packets;
    "connect_ns" Integer "ns" "first SYN to first SYN-ACK: what connect() waits at this tap; null when refused or simultaneous" = r.connect_ns;
    "syn_to_syn_ack_ns" Integer "ns" "the SYN that was answered to its SYN-ACK; null where a retransmission leaves it open which one was" = r.syn_to_syn_ack_ns;
    "syn_ack_to_ack_ns" Integer "ns" "the SYN-ACK that was acknowledged to the first ACK that covers it; null where a repeat leaves it open" = r.syn_ack_to_ack_ns;
    "handshake_ns" Integer "ns" "first SYN to the ACK that completes the handshake; simultaneous: to the ACK that makes the later side ESTABLISHED; null when refused" = r.handshake_ns;
    "tap" Text "" "where the capture was taken: near_client, near_server, between or unknown" = r.tap;
    "closing" Text "" "fin, simultaneous, unfinished, half_closed, reset_by_client, reset_by_server, open or evicted" = r.closing;
    "active_closer" Text "" "side whose FIN was sent first: client, server, or both when the FINs crossed; null without a FIN" = r.active_closer;
    "client_state" Text "" "RFC 9293 state of the client when the capture ended; null when nothing is known of it" = r.states[C];
    "server_state" Text "" "RFC 9293 state of the server when the capture ended; null when nothing is known of it" = r.states[S];
    "fin_retransmissions_client" Integer "packets" "repeats of its FIN by the client" = r.fin_retransmissions[C];
    "fin_retransmissions_server" Integer "packets" "repeats of its FIN by the server" = r.fin_retransmissions[S];
    "close_wait_client_ns" Integer "ns" "how long the client sat in CLOSE_WAIT: its application had not closed" = r.close_wait_ns[C];
    "close_wait_server_ns" Integer "ns" "how long the server sat in CLOSE_WAIT, likewise" = r.close_wait_ns[S];
    "retransmissions_client" Integer "packets" "data segments of the client that carry bytes seen before; keep-alives and probes apart" = r.retransmissions[C];
    "retransmissions_server" Integer "packets" "data segments of the server that carry bytes seen before, likewise" = r.retransmissions[S];
    "history" Text "" "what happened, a letter a thing, upper case for the client, as Zeek writes it" = r.history.as_str();
    "conn_state" Text "" "how it began and ended, as Zeek writes it" = r.conn_state;
    "syn_retransmissions" Integer "packets" "repeats of the client's SYN; copies made by the tap or the network apart" = r.syn_retransmissions;
    "syn_ack_retransmissions" Integer "packets" "repeats of the server's SYN-ACK, likewise" = r.syn_ack_retransmissions;
    "accept_queue_overflow" Flag "" "the SYN-ACK came again after the final ACK had passed, and not because that ACK was lost" = r.accept_queue_overflow;
    "first_file" Text "" "input that first_frame stands in; null with a single input" = files.name(r.first_frame);
    "last_file" Text "" "input that last_frame stands in; null with a single input" = files.name(r.last_frame);
    "syn_wait_ns" Integer "ns" "first SYN to the SYN that was answered: the part of connect_ns that was waiting to send it again; 0 with one SYN, null where it is unknown which was answered; connect_ns is syn_wait_ns + syn_to_syn_ack_ns" = r.syn_wait_ns;
    "accept_wait_ns" Integer "ns" "first final ACK, ignored because the accept queue was full, to the ACK that the server took; null without an overflow, or where nothing proves that it took one" = r.accept_wait_ns;
    "app" Text "" "what it speaks: tls, http (HTTP/1), http2 (HTTP/2 by prior knowledge) or ssh; of a proxy and what is spoken through it, the first; null when its first bytes do not show" = r.called.app;
    "app_name" Text "" "what the service is called: tls: the server name (SNI) that the client asks for; http: the host of the first request, with the port if it has one; ssh: the server's banner; hosts in lower case; what a terminal might take for a command is replaced by U+FFFD; null when unknown" = r.called.name.as_deref();
    "alpn" Text "" "application protocol (ALPN): up to TLS 1.2 the one that the server chose; in TLS 1.3, where the choice is encrypted, and where the ServerHello was not seen, those that the client offers, separated by commas; null without" = r.called.alpn.as_deref();
    "tls_version" Text "" "the version that the server chose: 1.0, 1.1, 1.2 or 1.3; null where its ServerHello was not seen" = r.called.tls_version;
    "tls_handshake_ns" Integer "ns" "the segment that the ClientHello begins in to the first that begins with a record, or with a change of cipher and then a record, that shows the handshake complete: up to TLS 1.2 the first application data of either side; in TLS 1.3 the client's first encrypted record after the ServerHello, which holds its Finished; null where the client offers to send data early, and where either hello was not seen" = r.called.tls_handshake_ns;
});

table!(TransitionRow, Transitions, |r, files| {
    "conn_id" Integer "" "the connection" = r.conn_id;
    "side" Text "" "the endpoint that changed: client or server" = r.side;
    "step" Integer "" "number of the change, from 1 per side" = r.step;
    "from_state" Text "" "RFC 9293 state before; null when the capture began in the middle" = r.from_state;
    "to_state" Text "" "RFC 9293 state after" = r.to_state;
    "ts" Time "" "when the packet that shows the change passed the tap, or the timer ran out" = r.ts;
    "frame" Integer "" "that packet; null for a timer" = r.frame;
    "trigger" Text "" "what made it change: `snd SYN`, `rcv ACK of FIN`, `timeout 2MSL` …" = r.trigger;
    "evidence" Text "" "observed: its own packet; inferred: a packet on its way to it; assumed: a timer" = r.evidence;
    "confirmed" Flag "" "a later packet of its own proves the change" = r.confirmed;
    "earliest_ts" Time "" "the endpoint did not change before this, on the tap's clock; null where nothing bounds it" = r.earliest_ts;
    "latest_ts" Time "" "nor after this, likewise" = r.latest_ts;
    "retracted" Flag "" "believed at the time and disproved later: kept for audit, left out of every count" = r.retracted;
    "rfc" Text "" "section of RFC 9293 that has the change" = Cell::Word(r.rfc());
    "file" Text "" "input that the frame stands in; null with a single input" = r.frame.and_then(|frame| files.name(frame));
});

table!(FinRetransmissionRow, FinRetransmissions, |r, files| {
    "conn_id" Integer "" "the connection" = r.conn_id;
    "side" Text "" "who repeated its FIN: client or server" = r.side;
    "attempt" Integer "" "1 for the first repeat" = r.attempt;
    "ts" Time "" "when the repeat passed the tap" = r.ts;
    "frame" Integer "" "the repeat" = r.frame;
    "first_fin_ts" Time "" "when the first copy passed the tap" = r.first_fin_ts;
    "since_previous_ns" Integer "ns" "time since the copy before it" = r.since_previous_ns;
    "sender_state" Text "" "the sender's state: FIN_WAIT_1, CLOSING or LAST_ACK" = r.sender_state;
    "receiver_state" Text "" "the receiver's state" = r.receiver_state;
    "cause" Text "" "fin_lost: the FIN before it never arrived; ack_lost: its ACK had passed the tap, or a D-SACK shows that it had arrived; unanswered: the peer sends nothing after this copy; undecided" = r.cause;
    "backoff" Real "" "since_previous divided by the interval before it; null for the first repeat" = r.backoff;
    "repeated_by" Text "" "timer: the retransmission timer; loss_probe: a tail-loss probe, which comes first and does not double the interval after it; undecided: the intervals do not tell, or are shorter than any timer" = r.repeated_by;
    "payload_bytes" Integer "bytes" "payload before the FIN in this segment" = r.payload_bytes;
    "first_payload_bytes" Integer "bytes" "payload before the FIN in the segment that carried it first" = r.first_payload_bytes;
    "file" Text "" "input that the frame stands in; null with a single input" = files.name(r.frame);
});

table!(TimeWaitRow, TimeWait, |r, files| {
    "conn_id" Integer "" "the connection" = r.conn_id;
    "side" Text "" "who stayed: client or server" = r.side;
    "entered_ts" Time "" "when it entered TIME_WAIT" = r.entered_ts;
    "restarts" Integer "" "repeated FINs that restarted the 2MSL timer" = r.restarts;
    "last_restart_ts" Time "" "the last of them; null without" = r.last_restart_ts;
    "proof_of_life_ts" Time "" "the last packet it sent from TIME_WAIT; null without" = r.proof_of_life_ts;
    "ended_ts" Time "" "when the stay ended; null for capture_end" = r.ended_ts;
    "end" Text "" "reused by a new incarnation; answered_reset: a late segment drew an RST; reset: an RST killed it; assumed: the assumed time ran out; capture_end: still in it" = r.end;
    "at_least_ns" Integer "ns" "proof of life or restart, less the entry: proved" = r.at_least_ns;
    "at_most_ns" Integer "ns" "the stay was no longer than this; null when nothing bounds it" = r.at_most_ns;
    "duration_ns" Integer "ns" "end less entry; null for capture_end; an assumption where end is assumed" = r.duration_ns;
    "assumed_ns" Integer "ns" "the 2MSL that was used" = r.assumed_ns;
});

table!(ListenerRow, Listeners, |r, files| {
    "server_ip" Text "" "the listener's address" = r.server.ip;
    "server_port" Integer "" "its port" = r.server.port;
    "attempts" Integer "connections" "connections that began with a SYN to it or a SYN-ACK from it" = r.attempts;
    "established" Integer "connections" "attempts that completed, simultaneous opens included" = r.established;
    "refused" Integer "connections" "attempts that it answered with an RST" = r.refused;
    "no_answer" Integer "connections" "attempts that nothing answered" = r.no_answer;
    "half_open" Integer "connections" "attempts whose SYN-ACK was never acknowledged" = r.half_open;
    "aborted" Integer "connections" "attempts that the client reset before they completed" = r.aborted;
    "connect_p50_ns" Integer "ns" "median of connect_ns, nearest rank, as all quantiles here; in a run of more than 65,536 connections within 0.1 % of it, with thousands of busy listeners within 3 %" = r.connect.p50;
    "connect_p90_ns" Integer "ns" "90th percentile of connect_ns" = r.connect.p90;
    "connect_p99_ns" Integer "ns" "99th percentile of connect_ns" = r.connect.p99;
    "connect_max_ns" Integer "ns" "greatest connect_ns" = r.connect.max;
    "handshake_p50_ns" Integer "ns" "median of handshake_ns" = r.handshake.p50;
    "handshake_p90_ns" Integer "ns" "90th percentile of handshake_ns" = r.handshake.p90;
    "handshake_p99_ns" Integer "ns" "99th percentile of handshake_ns" = r.handshake.p99;
    "handshake_max_ns" Integer "ns" "greatest handshake_ns" = r.handshake.max;
    "syn_retransmissions" Integer "packets" "repeats of clients' SYNs" = r.syn_retransmissions;
    "syn_ack_retransmissions" Integer "packets" "repeats of its SYN-ACKs" = r.syn_ack_retransmissions;
    "half_open_peak" Integer "connections" "most connections in SYN_RECEIVED at once: its SYN queue as the tap sees it; one that nothing ends is counted for 63 s; in a run of more than 65,536 connections it was reached, and there may have been more, as with all peaks" = r.half_open_peak;
    "half_open_peak_ts" Time "" "when that was first reached; null when it never was in SYN_RECEIVED" = r.half_open_peak_ts;
    "accept_queue_overflows" Integer "connections" "connections whose SYN-ACK was repeated after their final ACK had passed, and not because that ACK was lost" = r.accept_queue_overflows;
    "fin_retransmissions" Integer "packets" "repeats of FINs by either side of its connections" = r.fin_retransmissions;
    "close_wait_p99_ns" Integer "ns" "99th percentile of its own stays in CLOSE_WAIT" = r.close_wait.p99;
    "time_wait_peak" Integer "connections" "most of its own endpoints in TIME_WAIT at once, assumed ends included" = r.time_wait_peak;
    "syn_wait_p99_ns" Integer "ns" "99th percentile of syn_wait_ns, those that did not wait included" = r.syn_wait.p99;
    "syn_wait_max_ns" Integer "ns" "greatest syn_wait_ns" = r.syn_wait.max;
    "accept_wait_p50_ns" Integer "ns" "median of accept_wait_ns" = r.accept_wait.p50;
    "accept_wait_max_ns" Integer "ns" "greatest accept_wait_ns" = r.accept_wait.max;
    "held_off_peak" Integer "connections" "most connections at once whose client had completed the handshake while the full accept queue kept them in SYN_RECEIVED" = r.held_off_peak;
    "held_off_peak_ts" Time "" "when that was first reached; null without an overflow" = r.held_off_peak_ts;
    "unaccepted_at_least" Integer "connections" "at held_off_peak_ts no fewer than this had been completed by their clients and not been accepted by the application: those held off, and one that a full queue holds; null without an overflow" = r.unaccepted_at_least;
    "accept_queue_at_most" Integer "connections" "a full accept queue held no more than this (Linux: backlog + 1): the fewest connections, at the instants an ACK was ignored, that were established while the server had sent no byte or FIN on them, for what it has spoken on has been accepted; assumes that the tap sees all its connections; null without an overflow" = r.accept_queue_at_most;
    "close_wait_p50_ns" Integer "ns" "median of its own stays in CLOSE_WAIT" = r.close_wait.p50;
    "close_wait_max_ns" Integer "ns" "longest of them" = r.close_wait.max;
    "close_wait_open" Integer "connections" "of its own endpoints, those still in CLOSE_WAIT when the capture ended" = r.close_wait_open;
});

table!(ListenerQueueRow, ListenerQueues, |r, files| {
    "bucket_ts" Time "" "the bucket's end, where the connections are counted; buckets as in state_census" = r.bucket_ts;
    "server_ip" Text "" "the listener's address" = r.server.ip;
    "server_port" Integer "" "its port" = r.server.port;
    "syn_received" Integer "connections" "its endpoints in SYN_RECEIVED; one that nothing ends is counted for 63 s, as long as Linux repeats a SYN-ACK" = r.syn_received;
    "held_off" Integer "connections" "of these, those whose client has completed the handshake: the accept queue is full" = r.held_off;
    "close_wait" Integer "connections" "its endpoints in CLOSE_WAIT: the application has not closed" = r.close_wait;
    "time_wait" Integer "connections" "its endpoints in TIME_WAIT, assumed ends included" = r.time_wait;
    "syn_received_peak" Integer "connections" "most in SYN_RECEIVED at once inside the bucket" = r.syn_received_peak;
});

table!(EphemeralPortRow, EphemeralPorts, |r, files| {
    "client_ip" Text "" "the client's address" = r.user.client_ip;
    "server_ip" Text "" "the listener's address" = r.user.server.ip;
    "server_port" Integer "" "its port" = r.user.server.port;
    "connections" Integer "connections" "connections from that address to the listener, those already running included" = r.connections;
    "distinct_client_ports" Integer "ports" "ports that the client used for them" = r.distinct_client_ports;
    "time_wait_stays" Integer "connections" "stays in TIME_WAIT on the client's side" = r.time_wait_stays;
    "time_wait_peak" Integer "connections" "most of these at once, assumed ends included" = r.time_wait_peak;
    "time_wait_peak_ts" Time "" "when that was first reached" = r.time_wait_peak_ts;
    "connections_per_second" Real "1/s" "most connections begun within the assumed time of TIME_WAIT, divided by it; over the capture where that is shorter, over no less than a second; in a run of more than 65,536 connections no more than that" = r.connections_per_second;
    "ports_available" Integer "ports" "ports that the client chooses from (--port-range)" = r.ports_available;
    "exhaustion_rate" Real "1/s" "ports_available divided by the assumed time of TIME_WAIT: a client that opens and closes that many connections a second runs out of ports; null where that time is 0" = r.exhaustion_rate;
    "used_ratio" Real "" "time_wait_peak divided by ports_available" = r.used_ratio;
});

table!(EphemeralPortUseRow, EphemeralPortUse, |r, files| {
    "bucket_ts" Time "" "the bucket's end, where the stays are counted; buckets as in state_census" = r.bucket_ts;
    "client_ip" Text "" "the client's address" = r.user.client_ip;
    "server_ip" Text "" "the listener's address" = r.user.server.ip;
    "server_port" Integer "" "its port" = r.user.server.port;
    "time_wait" Integer "connections" "TIME_WAIT on the client's side, assumed ends included" = r.time_wait;
    "time_wait_peak" Integer "connections" "most of these at once inside the bucket" = r.time_wait_peak;
    "connections" Integer "connections" "connections that the client began inside the bucket" = r.connections;
});

table!(ServiceRow, Services, |r, files| {
    "app" Text "" "tls, http, http2 or ssh" = r.app;
    "app_name" Text "" "server name, host or banner, as in connections; null for all whose name is unknown" = r.name.as_deref();
    "connections" Integer "connections" "connections that are called so" = r.connections;
    "connect_p50_ns" Integer "ns" "median of their connect_ns; quantiles as in listeners" = r.connect.p50;
    "connect_p90_ns" Integer "ns" "90th percentile of connect_ns" = r.connect.p90;
    "connect_p99_ns" Integer "ns" "99th percentile of connect_ns" = r.connect.p99;
    "connect_max_ns" Integer "ns" "greatest connect_ns" = r.connect.max;
    "tls_handshakes" Integer "connections" "those with a tls_handshake_ns" = r.tls_handshake.count;
    "tls_handshake_p50_ns" Integer "ns" "median of tls_handshake_ns" = r.tls_handshake.p50;
    "tls_handshake_p90_ns" Integer "ns" "90th percentile of tls_handshake_ns" = r.tls_handshake.p90;
    "tls_handshake_p99_ns" Integer "ns" "99th percentile of tls_handshake_ns" = r.tls_handshake.p99;
    "tls_handshake_max_ns" Integer "ns" "greatest tls_handshake_ns" = r.tls_handshake.max;
});

table!(CensusRow, StateCensus, |r, files| {
    "bucket_ts" Time "" "the bucket's end, where the endpoints are counted" = r.bucket_ts;
    "side" Text "" "client or server" = r.side;
    "state" Text "" "RFC 9293 state; CLOSED and LISTEN are not counted, nor states that nobody is in" = r.state;
    "connections" Integer "connections" "endpoints of that side in that state" = r.connections;
});

table!(AnomalyRow, Anomalies, |r, files| {
    "conn_id" Integer "" "the connection; null when it belongs to none" = r.conn_id;
    "ts" Time "" "when the first of its kind passed the tap" = r.ts;
    "frame" Integer "" "that packet" = r.frame;
    "side" Text "" "who sent it; null when it belongs to neither" = r.side;
    "kind" Text "" "what it is, such as ack_of_unseen" = r.kind;
    "detail" Text "" "the numbers behind it" = r.detail.as_str();
    "count" Integer "" "how many of the kind there were in this connection and side" = r.count;
    "file" Text "" "input that the frame stands in; null with a single input" = files.name(r.frame);
});

#[cfg(test)]
mod tests;
