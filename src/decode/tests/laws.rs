//! What holds for any bytes at all.

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::{ETHERNET, every_kind, feed};
use crate::decode::{Decoded, Decoder};

/// All up to the highest that is known, and numbers of no meaning.
fn link_types() -> impl Iterator<Item = u16> {
    (0..300).chain([65_534, 65_535])
}

/// Decodes, and checks what must hold of any segment.
fn sound(decoder: &mut Decoder, link: u16, data: &[u8], wire_len: usize) {
    if let Decoded::Segment { addressed, payload } = feed(decoder, link, data, wire_len) {
        let segment = addressed.segment;
        assert!(payload.len() <= segment.payload_len as usize);
        assert!(segment.payload_len < segment.ip_len);
        assert!(addressed.vlan != Some(0));
    }
}

#[test]
fn every_packet_may_be_cut_anywhere() {
    for (_, link, data, ..) in every_kind() {
        for at in 0..=data.len() {
            // By snaplen, and by whoever sent it.
            sound(&mut Decoder::default(), link, &data[..at], data.len());
            sound(&mut Decoder::default(), link, &data[..at], at);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_decoded(data: Vec<u8>, wire_len in 0_usize..100_000, verify_checksums: bool) {
        for link in link_types() {
            sound(&mut Decoder { verify_checksums, ..Decoder::default() }, link, &data, wire_len);
        }
    }

    /// Most damage leaves the headers in front of it readable, so this goes deeper than random bytes.
    #[test]
    fn any_damage_can_be_decoded(
        kind: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let kinds = every_kind();
        let (_, link, mut data, ..) = kinds[kind.index(kinds.len())].clone();
        let mut decoder = Decoder { verify_checksums: true, ..Decoder::default() };
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
            sound(&mut decoder, link, &data, data.len());
        }
    }

    #[test]
    fn plain_packets_read_as_etherparse_reads_them(
        v6: bool, vlan in prop::option::of(1_u16..4095), ports: (u16, u16), seq: u32, ack: u32, window: u16, syn: bool, fin: bool,
        rst: bool, payload in prop::collection::vec(any::<u8>(), 0..80), padding in 0_usize..20,
    ) {
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let (src, dst) = ([7; 16], [9; 16]);
        let ip = match vlan {
            Some(id) if v6 => link.single_vlan(id.try_into().unwrap()).ipv6(src, dst, 64),
            Some(id) => link.single_vlan(id.try_into().unwrap()).ipv4([7; 4], [9; 4], 64),
            None if v6 => link.ipv6(src, dst, 64),
            None => link.ipv4([7; 4], [9; 4], 64),
        };
        let mut tcp = ip.tcp(ports.0, ports.1, seq, window).ack(ack);
        tcp = if syn { tcp.syn() } else { tcp };
        tcp = if fin { tcp.fin() } else { tcp };
        tcp = if rst { tcp.rst() } else { tcp };
        let mut data = Vec::new();
        tcp.write(&mut data, &payload).unwrap();
        data.extend(vec![0; padding]);

        let sliced = SlicedPacket::from_ethernet(&data).unwrap();
        let Some(TransportSlice::Tcp(want)) = sliced.transport else { panic!() };
        let mut decoder = Decoder { verify_checksums: true, ..Decoder::default() };
        let Decoded::Segment { addressed, payload: got } = feed(&mut decoder, ETHERNET, &data, data.len()) else { panic!() };
        let segment = addressed.segment;
        prop_assert_eq!((addressed.src.port, addressed.dst.port), (want.source_port(), want.destination_port()));
        prop_assert_eq!((segment.seq.raw(), segment.ack.raw()), (want.sequence_number(), want.acknowledgment_number()));
        prop_assert_eq!((segment.window, segment.checksum), (want.window_size(), want.checksum()));
        prop_assert_eq!(segment.flags.bits(), 0x10 | u8::from(fin) | u8::from(syn) << 1 | u8::from(rst) << 2);
        prop_assert_eq!(got, want.payload());
        prop_assert_eq!(addressed.vlan, vlan);
        prop_assert!(!segment.bad_checksum && !segment.options_cut);
    }
}
