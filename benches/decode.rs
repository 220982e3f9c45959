//! A segment out of a packet: the same headers behind each of the common links.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finwait::capture::LinkType;
use finwait::decode::{Decoded, Decoder};
use finwait::tcp::segment::FrameId;
use shared::{ETHERNET, Kept, Profile};

const PACKETS: u64 = 20_000;

/// The same packets behind another link header, which is `head` and, in the place `at`, the EtherType.
fn behind(packets: &[Kept], head: &[u8], at: Option<usize>) -> Vec<Kept> {
    let relinked = packets.iter().map(|kept| {
        let (ethernet, ip) = kept.data.split_at(14);
        let mut data = head.to_vec();
        if let Some(at) = at {
            data[at..at + 2].copy_from_slice(&ethernet[12..]);
        }
        data.extend(ip);
        Kept { ts: kept.ts, wire_len: data.len() as u32, data }
    });
    relinked.collect()
}

fn decode(packets: &[Kept], link: LinkType) -> u64 {
    let mut decoder = Decoder::default();
    let mut segments = 0;
    for (ordinal, kept) in (0_u64..).zip(packets) {
        let packet = kept.packet(ordinal + 1, link);
        let decoded = decoder.decode(&packet, FrameId::new(0, ordinal + 1), ordinal, kept.ts);
        segments += u64::from(matches!(black_box(decoded), Decoded::Segment { .. }));
    }
    segments
}

fn links(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(PACKETS));
    let short = shared::packets(shared::capture(Profile::Short, PACKETS, 1_000));
    let vlan = behind(&short, &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 42, 0, 0], Some(16));
    let cooked = behind(&short, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0], Some(14));
    let mut cooked2 = [0; 20];
    cooked2[7] = 2;
    let cooked2 = behind(&short, &cooked2, Some(0));
    let raw = behind(&short, &[], None);
    let mix = shared::packets(shared::capture(Profile::Mix, PACKETS, 1_000));
    let cases = [
        ("Ethernet", &short, ETHERNET),
        ("Ethernet with a VLAN tag", &vlan, ETHERNET),
        ("Linux cooked", &cooked, LinkType(113)),
        ("Linux cooked 2", &cooked2, LinkType(276)),
        ("raw IP", &raw, LinkType(101)),
        ("Ethernet, mix with UDP", &mix, ETHERNET),
    ];
    for (name, packets, link) in cases {
        let segments = decode(packets, link);
        // A header of the wrong form would be decoded very quickly.
        assert!(segments == PACKETS || name.contains("UDP") && segments > PACKETS / 2, "{name}: {segments} segments");
        group.bench_function(name, |bench| bench.iter(|| decode(packets, link)));
    }
    group.finish();
}

criterion_group!(benches, links);
criterion_main!(benches);
