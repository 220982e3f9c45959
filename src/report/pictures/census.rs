//! `state_census`: how many endpoints were in each state, over time, a panel a side.

use std::collections::BTreeMap;

use super::axis::{CountAxis, TimeAxis};
use super::scene::{Anchor, Item, NAME, NOTE, Scene, TEXT, steps};
use crate::metrics::folds::Told;
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::CensusRow;
use crate::report::colors::{GRID, RULE, state as color_of};
use crate::tcp::state::{Side, State};
use crate::time::Timestamp;

/// What it shows, in a few words.
pub(super) const TITLE: &str = "Endpoints in each state over time";
const LEFT: f64 = 76.0;
const RIGHT: f64 = 900.0;
const PANELS: [(f64, f64); 2] = [(116.0, 350.0), (406.0, 640.0)];

type Counts = [u64; State::ALL.len()];
/// By their end, each with what either side counted.
type Buckets = BTreeMap<Timestamp, [Counts; 2]>;

fn buckets(rows: &[CensusRow]) -> Buckets {
    let mut buckets = Buckets::new();
    for row in rows {
        let sides = buckets.entry(row.bucket_ts).or_default();
        if let Some(count) = sides[row.side.index()].get_mut(row.state as usize) {
            *count = count.saturating_add(row.connections);
        }
    }
    buckets
}

pub fn scene(told: &Told, (first, last): (Timestamp, Timestamp)) -> Scene {
    let mut scene = Scene::default();
    let Some(rows) = &told.state_census else {
        scene.unasked(TITLE);
        return scene;
    };
    let buckets = buckets(rows);
    if buckets.is_empty() {
        scene.title(TITLE, "Client and server endpoints by RFC 9293 state");
        let why = match told.overview.connections {
            0 => "The capture holds no TCP connection.".into(),
            n => format!("{}, none in any state but CLOSED at a bucket's end.", many(n, "connection")),
        };
        scene.nothing("No endpoint was in any state.", &why);
        return scene;
    }
    // All buckets but the last are of one width; nobody was in any state in those that have no rows.
    let ends: Vec<Timestamp> = buckets.keys().copied().collect();
    let gaps = ends.windows(2).filter_map(|pair| if let [a, b] = pair { Some(b.since(*a).as_nanos()) } else { None });
    let whole = if ends.len() > 2 { ends.len() - 2 } else { 1 };
    let width = gaps.take(whole).min();
    let of = width.map_or_else(String::new, |width| format!(" · every {}", super::axis::round_span(width)));
    scene.title(TITLE, &format!("What ss -ant would have shown on either side, CLOSED and LISTEN left out{of}"));
    let time = TimeAxis::new(first, last, LEFT, RIGHT);
    let (buckets, width) = thinned(&time, buckets, width);
    for side in Side::BOTH {
        panel(&mut scene, &time, &buckets, side, width);
    }
    scene.text((LEFT, 680.0), Anchor::Start, NOTE, time.title());
    legend(&mut scene, &buckets);
    scene.items.sort_by_key(|item| !matches!(item, Item::Line { color: GRID, .. }));
    scene
}

/// At most a bucket a pixel: of those that share one, that with the most endpoints. Also the width they then have.
fn thinned(time: &TimeAxis, buckets: Buckets, width: Option<i64>) -> (Buckets, Option<i64>) {
    const PIXELS: usize = (RIGHT - LEFT) as usize;
    if buckets.len() <= PIXELS {
        return (buckets, width);
    }
    let endpoints = |sides: &[Counts; 2]| sides.iter().flatten().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let mut kept: BTreeMap<usize, (Timestamp, [Counts; 2])> = BTreeMap::new();
    for (end, sides) in buckets {
        let bucket = kept.entry(time.column(end, PIXELS)).or_insert((end, sides));
        if endpoints(&sides) > endpoints(&bucket.1) {
            *bucket = (end, sides);
        }
    }
    (kept.into_values().collect(), width.map(|width| width.max(2 * (time.length() / PIXELS as i64))))
}

fn panel(scene: &mut Scene, time: &TimeAxis, buckets: &Buckets, side: Side, width: Option<i64>) {
    let (top, bottom) = PANELS[side.index()];
    let most = buckets
        .values()
        .map(|sides| sides[side.index()].iter().fold(0_u64, |sum, count| sum.saturating_add(*count)))
        .max()
        .unwrap_or(0);
    let axis = CountAxis::new(most, 4, bottom, top);
    scene.text((LEFT, top - 16.0), Anchor::Start, NAME, format!("{side} endpoints"));
    for tick in axis.ticks() {
        scene.grid((LEFT, tick.at), (RIGHT, tick.at));
        scene.text((LEFT - 10.0, tick.at), Anchor::End, NOTE, tick.label);
    }
    let mut below = vec![0_u64; buckets.len()];
    for state in State::ALL {
        let mut previous = f64::NEG_INFINITY;
        let columns: Vec<[f64; 4]> = buckets
            .iter()
            .zip(&mut below)
            .map(|((&end, sides), below)| {
                let count = sides[side.index()].get(state as usize).copied().unwrap_or(0);
                let began = width.map_or(LEFT, |width| {
                    time.place(Timestamp::from_nanos(end.as_nanos().saturating_sub(width))).max(previous)
                });
                previous = time.place(end);
                let low = axis.place(*below);
                *below = below.saturating_add(count);
                [began, previous, axis.place(*below), low]
            })
            .collect();
        steps(scene, &columns, color_of(state));
    }
    for tick in time.ticks() {
        scene.grid((tick.at, top), (tick.at, bottom));
        if side == Side::Server {
            scene.text((tick.at, bottom + 16.0), Anchor::Middle, NOTE, tick.label);
        }
    }
    scene.line((LEFT, bottom), (RIGHT, bottom), RULE, 1.0);
}

/// The states in the order of the stacks, with the most that either side had.
fn legend(scene: &mut Scene, buckets: &Buckets) {
    let most = |side: Side, state: State| {
        buckets.values().filter_map(|sides| sides[side.index()].get(state as usize).copied()).max().unwrap_or(0)
    };
    let (left, client, server) = (936.0, 1110.0, 1176.0);
    let mut y = PANELS[0].0 - 16.0;
    scene.text((left, y), Anchor::Start, NOTE, "most at once");
    scene.text((client, y), Anchor::End, NOTE, "client");
    scene.text((server, y), Anchor::End, NOTE, "server");
    for state in State::ALL.into_iter().rev() {
        let peaks = Side::BOTH.map(|side| most(side, state));
        if peaks.iter().all(|&peak| peak == 0) {
            continue;
        }
        y += 26.0;
        scene.rect(left, y - 6.0, left + 12.0, y + 6.0, color_of(state));
        scene.text((left + 20.0, y), Anchor::Start, TEXT, state.name());
        for (right, peak) in [client, server].into_iter().zip(peaks) {
            let text = if peak == 0 { "·".into() } else { thousands(peak) };
            scene.text((right, y), Anchor::End, TEXT, text);
        }
    }
}
