//! What segments do to one connection: the state machine with its counters, without a table.

use std::collections::BTreeMap;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finwait::conntrack::config::Config;
use finwait::conntrack::flow::Flow;
use finwait::conntrack::key::{Direction, FlowKey};
use finwait::tcp::segment::Addressed;
use shared::Profile;

type Talk = Vec<(Addressed, Direction)>;

/// The connections of a capture, the longest first.
fn talks(profile: Profile, packets: u64, flows: u32) -> Vec<Talk> {
    let mut talks: BTreeMap<FlowKey, Talk> = BTreeMap::new();
    for segment in shared::segments(shared::capture(profile, packets, flows)) {
        let (key, direction) = FlowKey::new(segment.src, segment.dst);
        talks.entry(key).or_default().push((segment, direction));
    }
    let mut talks: Vec<Talk> = talks.into_values().collect();
    talks.sort_by_key(|talk| std::cmp::Reverse(talk.len()));
    talks
}

fn feed(talk: &Talk, config: &Config) -> Option<Flow> {
    let ((first, direction), rest) = talk.split_first()?;
    let mut flow = Flow::new(first, *direction);
    for (segment, direction) in rest {
        let _ = flow.feed(segment, *direction, config);
    }
    Some(flow)
}

fn states(criterion: &mut Criterion) {
    let config = Config::default();
    let mut group = criterion.benchmark_group("states");
    let mut short = talks(Profile::Short, 2_000, 20);
    // Without losses: the median has seen none.
    let short = short.swap_remove(short.len() / 2);
    let long = talks(Profile::Mix, 20_000, 20).swap_remove(0);
    let bulk = talks(Profile::Bulk, 10_000, 1).swap_remove(0);
    for (name, talk) in [("a short connection", &short), ("the longest of a mix", &long), ("a bulk transfer", &bulk)] {
        group.throughput(Throughput::Elements(talk.len() as u64));
        group.bench_function(name, |bench| bench.iter_with_large_drop(|| feed(talk, &config)));
    }
    group.finish();
}

criterion_group!(benches, states);
criterion_main!(benches);
