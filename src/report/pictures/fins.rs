//! `fin_retransmissions`: every repeated FIN over time, by cause and side, how long after the copy before it, and whose
//! listener.

use std::collections::{BTreeMap, HashMap};

use super::axis::{CountAxis, LogAxis, TimeAxis};
use super::scene::{Anchor, Font, NAME, NOTE, Scene, TEXT, shorten};
use crate::metrics::drawn::{Drawn, Repeat, Repeats};
use crate::metrics::folds::Told;
use crate::metrics::overview::Fins;
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::FinCause;
use crate::report::colors::{GRID, RULE, cause as color_of};
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// What it shows, in a few words.
pub(super) const TITLE: &str = "FINs that came again, and why";
/// Up to so many repeats are drawn one by one.
const DOTS: usize = 1_500;
/// Pixels of a cell that stands for several.
const CELL: f64 = 9.0;
/// Columns of the counts over time.
const BARS: usize = 120;
/// Listeners that are named.
const LISTENERS: usize = 8;

const LEFT: f64 = 76.0;
const RIGHT: f64 = 830.0;
const DELAYS: (f64, f64) = (130.0, 440.0);
const COUNTS: (f64, f64) = (490.0, 640.0);
/// The column of listeners.
const NAMES: (f64, f64) = (880.0, 1172.0);

/// How a cause reads.
const fn words(cause: FinCause) -> &'static str {
    match cause {
        FinCause::FinLost => "FIN lost",
        FinCause::AckLost => "its ACK lost",
        FinCause::Unanswered => "unanswered",
        FinCause::Undecided => "undecided",
    }
}

pub fn scene(told: &Told, (first, last): (Timestamp, Timestamp)) -> Scene {
    let fins = &told.overview.fins;
    let mut scene = Scene::default();
    if fins.repeats == 0 {
        scene.title(TITLE, "Repeated FINs over time, by cause and side");
        let why = match told.overview.closed_with_fin {
            0 => "No connection was closed with a FIN either.".into(),
            n => format!("{} closed with FINs that were acknowledged at once or not at all.", many(n, "connection")),
        };
        scene.nothing("No FIN was repeated in this capture.", &why);
        return scene;
    }
    let Some(Drawn { repeats: told, .. }) = &told.drawn else {
        scene.unasked(TITLE);
        return scene;
    };
    let (repeats, connections) = (many(fins.repeats, "repeat"), many(fins.connections, "connection"));
    scene.title(TITLE, &format!("{repeats} on {connections}, as they passed the tap"));
    let time = TimeAxis::new(first, last, LEFT, RIGHT);
    legend(&mut scene, fins);
    delays(&mut scene, &time, &told.rows);
    counts(&mut scene, &time, told);
    for tick in time.ticks() {
        scene.grid((tick.at, DELAYS.0), (tick.at, DELAYS.1));
        scene.grid((tick.at, COUNTS.0), (tick.at, COUNTS.1));
        scene.text((tick.at, COUNTS.1 + 16.0), Anchor::Middle, NOTE, tick.label);
    }
    scene.text((LEFT, 680.0), Anchor::Start, NOTE, time.title());
    listeners(&mut scene, told);
    // The grid lies under the figures, whatever was drawn first.
    scene.items.sort_by_key(|item| !matches!(item, super::scene::Item::Line { color: GRID, .. }));
    scene
}

fn legend(scene: &mut Scene, fins: &Fins) {
    let mut x = LEFT;
    let mut causes = fins.by_cause.clone();
    causes.sort_unstable();
    for (cause, count) in causes {
        let label = format!("{} {}", words(cause), thousands(count));
        scene.rect(x, 82.0, x + 12.0, 94.0, color_of(cause));
        scene.text((x + 18.0, 88.0), Anchor::Start, TEXT, label.clone());
        x += 18.0 + super::scene::width(&label, TEXT) + 28.0;
    }
    for (name, filled) in [("client's", true), ("server's", false)] {
        scene.dot((x + 6.0, 88.0), 4.5, RULE, filled);
        scene.text((x + 18.0, 88.0), Anchor::Start, NOTE, name);
        x += 18.0 + super::scene::width(name, NOTE) + 20.0;
    }
}

fn delays(scene: &mut Scene, time: &TimeAxis, rows: &[Repeat]) {
    let known = || rows.iter().filter_map(Repeat::since_previous_ns).filter(|&nanos| nanos > 0);
    let (least, most) = (known().min().unwrap_or(1_000_000), known().max().unwrap_or(1_000_000_000));
    let axis = LogAxis::new(least, most, DELAYS.1, DELAYS.0);
    scene.text((LEFT, DELAYS.0 - 14.0), Anchor::Start, NOTE, "time since the copy before it, logarithmic");
    for tick in axis.ticks().into_iter().filter(|tick| !tick.label.is_empty()) {
        scene.grid((LEFT, tick.at), (RIGHT, tick.at));
        scene.text((LEFT - 10.0, tick.at), Anchor::End, NOTE, tick.label);
    }
    scene.line((LEFT, DELAYS.1), (RIGHT, DELAYS.1), RULE, 1.0);
    let placed = rows.iter().filter_map(|row| Some((time.place(row.ts), axis.place(row.since_previous_ns()?), row)));
    if rows.len() <= DOTS {
        let radius = if rows.len() <= 200 { 4.5 } else { 3.0 };
        for (x, y, row) in placed {
            scene.dot((x, y), radius, color_of(row.cause), row.side == Side::Client);
        }
        return;
    }
    // Too many to tell apart: a cell shows its most frequent cause, larger where there are more.
    let mut cells: BTreeMap<(i32, i32), HashMap<(FinCause, Side), u64>> = BTreeMap::new();
    for (x, y, row) in placed {
        let cell = cells.entry(((x / CELL) as i32, (y / CELL) as i32)).or_default();
        *cell.entry((row.cause, row.side)).or_default() += 1;
    }
    let most = cells.values().map(|cell| cell.values().sum::<u64>()).max().unwrap_or(1);
    for ((column, line), cell) in cells {
        let sum: u64 = cell.values().sum();
        // By count, then by the order of causes, so that ties are the same in every run.
        let Some((&(cause, side), _)) = cell.iter().max_by_key(|(key, count)| (**count, std::cmp::Reverse(**key)))
        else {
            continue;
        };
        let share = ((sum as f64).ln_1p() / (most as f64).ln_1p()).sqrt();
        let at = ((f64::from(column) + 0.5) * CELL, (f64::from(line) + 0.5) * CELL);
        scene.dot(at, (share * CELL / 2.0).max(1.0), color_of(cause), side == Side::Client || share < 0.4);
    }
}

fn counts(scene: &mut Scene, time: &TimeAxis, repeats: &Repeats) {
    let mut columns = vec![[0_u64; FinCause::ALL.len()]; BARS];
    for (ts, cause, more) in repeats.over_time() {
        if let Some(count) = columns.get_mut(time.column(ts, BARS)).and_then(|all| all.get_mut(cause as usize)) {
            *count += more;
        }
    }
    let most = columns.iter().map(|column| column.iter().sum()).max().unwrap_or(1);
    let axis = CountAxis::new(most, 3, COUNTS.1, COUNTS.0);
    scene.text((LEFT, COUNTS.0 - 14.0), Anchor::Start, NOTE, format!("repeats in each of {BARS} equal times"));
    for tick in axis.ticks() {
        scene.grid((LEFT, tick.at), (RIGHT, tick.at));
        scene.text((LEFT - 10.0, tick.at), Anchor::End, NOTE, tick.label);
    }
    for (n, column) in columns.into_iter().enumerate() {
        let (left, right) = (time.edge(n, BARS), time.edge(n + 1, BARS));
        let mut below = 0;
        for (&cause, count) in FinCause::ALL.iter().zip(column).filter(|bar| bar.1 > 0) {
            scene.rect(left, axis.place(below + count), right - 1.0, axis.place(below), color_of(cause));
            below += count;
        }
    }
    scene.line((LEFT, COUNTS.1), (RIGHT, COUNTS.1), RULE, 1.0);
}

fn listeners(scene: &mut Scene, repeats: &Repeats) {
    let mut all = repeats.by_listener();
    let others = all.split_off(all.len().min(LISTENERS));
    let most: u64 = all.first().map_or(1, |(_, causes)| causes.iter().sum());
    let (left, right) = NAMES;
    scene.text((left, DELAYS.0 - 14.0), Anchor::Start, NOTE, "by listener");
    let mut y = DELAYS.0 + 10.0;
    for (server, causes) in all {
        let sum: u64 = causes.iter().sum();
        let count = thousands(sum);
        let room = right - left - super::scene::width(&count, TEXT) - 12.0;
        scene.text((left, y), Anchor::Start, NAME, shorten(&server.to_string(), NAME, room));
        scene.text((right, y), Anchor::End, TEXT, count);
        let mut x = left;
        for (&cause, count) in FinCause::ALL.iter().zip(causes).filter(|bar| bar.1 > 0) {
            let wide = (right - left) * count as f64 / most as f64;
            scene.rect(x, y + 12.0, x + wide, y + 22.0, color_of(cause));
            x += wide;
        }
        y += 54.0;
    }
    if !others.is_empty() {
        let sum: u64 = others.iter().flat_map(|(_, causes)| causes).sum();
        let text = format!("{} with {}", many(others.len() as u64, "more listener"), many(sum, "repeat"));
        scene.text((left, y), Anchor::Start, Font { size: 13.0, ..NOTE }, text);
    }
}
