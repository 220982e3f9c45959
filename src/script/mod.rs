//! Packet scripts: a conversation in two lanes with the expected states beside it. In: text. Out: segments, and what
//! finwait should say of them.
//!
//! ```text
//! says   The server refuses.
//! cites  RFC 9293 3.10.7.1
//!
//! +0      SYN  ------------------>           | SYN-SENT
//! +1ms         <------------------  RST,ACK  | CLOSED
//!
//! expect connections opening=refused closing=reset_by_server
//! ```
//!
//! A lane holds flags, then what departs from the next expected: `N bytes`, `again` (the sender's last segment with these
//! flags), `copy` (the very same packet once more), `seq=` and `ack=` (relative to the sender's and the peer's ISN), `isn=` (on a
//! SYN: another initial sequence number), `win=`, `ts=VAL/ECR`, `sack=LEFT-RIGHT`, `id=` (of IPv4), `iplen=0` (offloaded: no IP
//! length), `noack`. Instead of a segment, `unreachable`: an ICMP error about the last one of the side that the arrow points to.
//! Arrows: `--->` delivered, `---x` and `x---` pass the tap and die behind it, so that what follows does not acknowledge them;
//! `---~` and `~---` are delivered, but only after what the receiver sends next. A line with `-` instead of a packet lets time
//! pass; one that begins with `-` and not `+` turns the clock back. States: none observed or confirmed, `?` inferred, `~` assumed,
//! `!` a belief taken back by this line, `-` unknown; a lane left out, or `*`, is not checked. Headers: `isn CLIENT SERVER`,
//! `time-wait SPAN`, `bucket SPAN` (of the tables over time), and `self-connect`, which makes the client its own peer. Expected times may be bounds: `latest_ts>=40ms`.

pub mod parse;
pub mod run;
