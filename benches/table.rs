//! Segments to their connections: the table over few and many flows, with everything that happens in them.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::tcp::segment::Addressed;
use shared::Profile;

const PACKETS: u64 = 200_000;

/// Returns the tracker too, so that taking it down is not measured.
fn feed(segments: &[Addressed]) -> (Tracker, u64) {
    let mut tracker = Tracker::new(Config::default());
    let mut ended = 0;
    for some in segments.chunks(64) {
        tracker.feed_all(some);
    }
    ended += tracker.take().len() as u64;
    (tracker, ended)
}

fn table(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    group.sample_size(10);
    for (profile, flows) in [
        (Profile::Idle, 100),
        (Profile::Idle, 50_000),
        (Profile::Mix, 1_000),
        (Profile::Short, 10_000),
        (Profile::Flood, 0),
    ] {
        let segments = shared::segments(shared::capture(profile, PACKETS, flows));
        group.throughput(Throughput::Elements(segments.len() as u64));
        group.bench_function(BenchmarkId::new(profile.to_string(), flows), |bench| {
            bench.iter_with_large_drop(|| feed(&segments));
        });
    }
    group.finish();
}

criterion_group!(benches, table);
criterion_main!(benches);
