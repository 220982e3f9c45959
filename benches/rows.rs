//! A connection that is over: all its rows.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::segment::Addressed;
use finwait::time::Timestamp;
use shared::Profile;

fn fed(segments: &[Addressed]) -> (Tracker, Vec<ConnectionReport>) {
    let mut tracker = Tracker::new(Config::default());
    let mut reports = Vec::new();
    for segment in segments {
        tracker.feed(segment, &mut |report| reports.push(report));
    }
    reports.clear();
    (tracker, reports)
}

fn finish(tracker: Tracker, mut reports: Vec<ConnectionReport>, end: Timestamp) -> Vec<ConnectionReport> {
    tracker.finish(end, &mut |report| reports.push(report));
    reports
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    for (profile, flows) in [(Profile::Short, 100), (Profile::Flood, 0), (Profile::Idle, 1_000)] {
        let segments = shared::segments(shared::capture(profile, 10_000, flows));
        let end = segments.last().map(|last| last.segment.ts).unwrap_or_default();
        let (tracker, reports) = fed(&segments);
        let connections = finish(tracker, reports, end).len();
        group.throughput(Throughput::Elements(connections as u64));
        group.bench_function(format!("connections of {profile}"), |bench| {
            let setup = || fed(&segments);
            bench.iter_batched(setup, |(tracker, reports)| finish(tracker, reports, end), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
