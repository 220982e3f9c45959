//! A packet out of its container: the walk over the records of a file in memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finwait::capture::Savefile;
use finwait::capture::write::PcapngWriter;
use shared::{ETHERNET, Profile};

const PACKETS: u64 = 50_000;

fn walk(capture: &'static [u8]) -> u64 {
    let mut savefile = Savefile::from_reader("memory", capture).expect("a capture");
    let mut bytes = 0;
    while let Some(packet) = savefile.next().expect("a sound capture") {
        bytes += black_box(packet).data.len() as u64;
    }
    bytes
}

/// The same packets in the other container.
fn as_pcapng(capture: &'static [u8]) -> &'static [u8] {
    let mut writer = PcapngWriter::new(Vec::new()).expect("memory takes everything");
    for (number, kept) in (1..).zip(shared::packets(capture)) {
        writer.write(&kept.packet(number, ETHERNET), 0).expect("memory takes everything");
    }
    writer.finish(None).expect("memory takes everything").leak()
}

fn containers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("containers");
    group.throughput(Throughput::Elements(PACKETS));
    for profile in [Profile::Headers, Profile::Mix, Profile::Bulk] {
        let pcap = shared::capture(profile, PACKETS, profile.default_flows());
        let pcapng = as_pcapng(pcap);
        group.bench_function(format!("pcap, {profile}"), |bench| bench.iter(|| walk(pcap)));
        group.bench_function(format!("pcapng, {profile}"), |bench| bench.iter(|| walk(pcapng)));
    }
    group.finish();
}

criterion_group!(benches, containers);
criterion_main!(benches);
