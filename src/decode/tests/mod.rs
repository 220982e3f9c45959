//! Tests of the whole walk: bytes of every kind of packet in, segments out.

mod build;
mod laws;
mod link;
mod network;
mod straight;
mod transport;
mod tunnel;

use std::net::IpAddr;

use super::{Decoded, Decoder, Skip};
use crate::capture::{LinkType, Packet};
use crate::tcp::segment::{Addressed, Flags, FrameId, Undelivered};
use crate::time::Timestamp;

const ETHERNET: u16 = 1;
const RAW_IP: u16 = 101;

fn packet(link: u16, data: &[u8], wire_len: usize) -> Packet<'_> {
    let wire_len = u32::try_from(wire_len).unwrap();
    Packet { ts: None, number: 1, link: LinkType(link), interface: 0, wire_len, data }
}

/// A packet cut by snaplen, through a decoder that has seen others.
fn feed<'a>(decoder: &'a mut Decoder, link: u16, data: &'a [u8], wire_len: usize) -> Decoded<'a> {
    decoder.decode(&packet(link, data, wire_len), FrameId::new(0, 1), 5, Timestamp::from_nanos(9))
}

/// A whole packet's segment and payload.
#[track_caller]
fn segment_of(link: u16, data: &[u8]) -> (Addressed, Vec<u8>) {
    match feed(&mut Decoder::default(), link, data, data.len()) {
        Decoded::Segment { addressed, payload } => (addressed, payload.to_vec()),
        other => panic!("no segment: {other:?}"),
    }
}

#[track_caller]
fn skip_of(link: u16, data: &[u8]) -> Skip {
    skip_of_cut(link, data, data.len())
}

#[track_caller]
fn skip_of_cut(link: u16, data: &[u8], wire_len: usize) -> Skip {
    match feed(&mut Decoder::default(), link, data, wire_len) {
        Decoded::Skip(skip) => skip,
        other => panic!("not skipped: {other:?}"),
    }
}

#[track_caller]
fn undelivered_of(data: &[u8]) -> Undelivered {
    match feed(&mut Decoder::default(), RAW_IP, data, data.len()) {
        Decoded::Undelivered(undelivered) => undelivered,
        other => panic!("no quotation: {other:?}"),
    }
}

/// The segment of [`build::tcp`] between the builders' addresses, of either IP version.
#[track_caller]
fn assert_is_hello(addressed: &Addressed, payload: &[u8]) {
    let segment = addressed.segment;
    let (src, dst) = match addressed.src.ip {
        IpAddr::V4(_) => ("192.0.2.1", "192.0.2.2"),
        IpAddr::V6(_) => ("2001:db8::1", "2001:db8::2"),
    };
    assert_eq!((addressed.src.ip, addressed.dst.ip), (src.parse().unwrap(), dst.parse().unwrap()));
    assert_eq!((addressed.src.port, addressed.dst.port), (40_000, 80));
    assert_eq!((segment.seq.raw(), segment.ack.raw()), (build::SEQ, build::ACK));
    assert_eq!((segment.flags, segment.window, segment.checksum), (Flags::FIN.or(Flags::ACK), 0x2000, 0xbeef));
    assert_eq!((segment.payload_len, payload), (5, &b"hello"[..]));
    assert_eq!((segment.frame, segment.ordinal, segment.ts.as_nanos()), (FrameId::new(0, 1), 5, 9));
    assert!(!segment.options_cut && !segment.bad_checksum);
}

/// A kind of packet that holds the builders' segment: its name, link type, bytes, VLAN and tunnel.
type Kind = (&'static str, u16, Vec<u8>, Option<u16>, &'static str);

/// All that finwait opens.
fn every_kind() -> Vec<Kind> {
    let mut kinds = link::kinds();
    kinds.extend(network::kinds());
    kinds.extend(tunnel::kinds());
    kinds
}

#[test]
#[allow(clippy::disallowed_macros)] // for whoever runs the test; no user sees it
fn the_segment_is_found_in_every_kind_of_packet() {
    for (name, link, data, vlan, tunnel) in every_kind() {
        println!("{name}");
        let (addressed, payload) = segment_of(link, &data);
        assert_is_hello(&addressed, &payload);
        assert_eq!(addressed.vlan, vlan, "{name}");
        assert_eq!(addressed.tunnel.map(|tunnel| tunnel.to_string()).unwrap_or_default(), tunnel, "{name}");
    }
}
