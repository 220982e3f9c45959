//! `time_wait`: stays in TIME_WAIT over time, by the address that holds them; what no packet proves is hatched.

use std::collections::HashMap;
use std::net::IpAddr;

use super::axis::{CountAxis, TimeAxis};
use super::scene::{Anchor, Font, Item, NAME, NOTE, Scene, TEXT, shorten};
use crate::metrics::drawn::{BARS, Bar, Drawn, Stays, proved_until};
use crate::metrics::folds::Told;
use crate::metrics::overview::TimeWaits;
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{TimeWaitEnd, TimeWaitRow};
use crate::report::colors::{GRID, GROUND, INK, MUTED, OTHERS, RULE, Rgb, SERIES, state};
use crate::tcp::state::State;
use crate::time::{Span, Timestamp};

/// What it shows, in a few words.
pub(super) const TITLE: &str = "Who holds TIME_WAIT, and for how long";
/// Columns of the counts over time.
const COLUMNS: usize = 240;

const TOP: f64 = 110.0;
const BOTTOM: f64 = 640.0;

pub fn scene(told: &Told, (first, last): (Timestamp, Timestamp)) -> Scene {
    let mut scene = Scene::default();
    let overview = &told.overview.time_wait;
    if overview.stays == 0 {
        scene.title(TITLE, "Stays in TIME_WAIT over time");
        let why = match told.overview.connections {
            0 => "The capture holds no TCP connection.",
            _ => "No connection was closed in order, by a FIN of each side, while it was watched.",
        };
        scene.nothing("No endpoint entered TIME_WAIT in this capture.", why);
        return scene;
    }
    let Some(Drawn { stays, .. }) = &told.drawn else {
        scene.unasked(TITLE);
        return scene;
    };
    let peak = overview.peak_ts.filter(|_| overview.stays > 1).map_or_else(String::new, |ts| {
        let clock = ts.to_string();
        format!(" · peak {} at {}", thousands(overview.peak), clock.get(11..19).unwrap_or_default())
    });
    let count = many(overview.stays, "stay");
    let holders = match overview.holders {
        1 => "1 address".into(),
        n => format!("{} addresses", thousands(n)),
    };
    scene.title(
        TITLE,
        &format!(
            "{count} on {holders}{peak} · solid: proved by packets · hatched: assumed or cut off by the capture's end"
        ),
    );
    if overview.stays <= BARS as u64 {
        let rank = |ip| overview.by_holder.iter().position(|holder| holder.0 == ip);
        let mut stays: Vec<&Bar> = stays.bars.iter().collect();
        stays.sort_by_key(|Bar { holder, stay }| (rank(*holder), stay.entered_ts, stay.conn_id, stay.side));
        bars(&mut scene, &stays, first, last);
    } else {
        areas(&mut scene, stays, overview, first, last);
    }
    scene.items.sort_by_key(|item| !matches!(item, Item::Line { color: GRID, .. }));
    scene
}

fn time_ticks(scene: &mut Scene, time: &TimeAxis, left: f64, right: f64, bottom: f64) {
    for tick in time.ticks() {
        scene.grid((tick.at, TOP), (tick.at, bottom));
        scene.text((tick.at, bottom + 16.0), Anchor::Middle, NOTE, tick.label);
    }
    scene.line((left, bottom), (right, bottom), RULE, 1.0);
    scene.text((left, bottom + 38.0), Anchor::Start, NOTE, time.title());
}

/// Every stay a bar, grouped by holder.
fn bars(scene: &mut Scene, stays: &[&Bar], first: Timestamp, last: Timestamp) {
    const LEFT: f64 = 330.0;
    const RIGHT: f64 = 980.0;
    let pitch = ((BOTTOM - TOP) / stays.len() as f64).min(40.0);
    let bottom = TOP + pitch * stays.len() as f64 + 6.0;
    let time = TimeAxis::new(first, last, LEFT, RIGHT);
    time_ticks(scene, &time, LEFT, RIGHT, bottom);
    scene.text((24.0, TOP - 14.0), Anchor::Start, NOTE, "held by");
    scene.text((LEFT - 12.0, TOP - 14.0), Anchor::End, NOTE, "connection");
    scene.text((1060.0, TOP - 14.0), Anchor::End, NOTE, "lasted");
    scene.text((1074.0, TOP - 14.0), Anchor::Start, NOTE, "end");
    let color = state(State::TimeWait);
    let mut holder = None;
    for (n, Bar { holder: ip, stay }) in stays.iter().enumerate() {
        let middle = TOP + pitch * (n as f64 + 0.5);
        let half = (pitch * 0.32).min(9.0);
        if holder.replace(*ip) != Some(*ip) {
            if n > 0 {
                scene.line((24.0, middle - pitch / 2.0), (1176.0, middle - pitch / 2.0), RULE, 0.5);
            }
            scene.text((24.0, middle), Anchor::Start, NAME, shorten(&ip.to_string(), NAME, 210.0));
        }
        let number = format!("{} · {}", thousands(stay.conn_id), stay.side);
        scene.text((LEFT - 12.0, middle), Anchor::End, NOTE, number);
        let end = stay.ended_ts.unwrap_or(last);
        let (x0, x1) = (time.place(stay.entered_ts), time.place(end).max(time.place(stay.entered_ts) + 2.0));
        let proved = time.place(proved_until(stay)).clamp(x0 + 2.0, x1);
        let (top, low) = (middle - half, middle + half);
        if proved < x1 {
            scene.rect(proved, top, x1, low, GROUND);
            scene.hatch(&[[proved, x1, top, low]], color.mixed(GROUND, 0.6));
            scene.frame(proved, top, x1, low, color);
        }
        scene.rect(x0, top, proved, low, color);
        if let Some(restart) = stay.last_restart_ts {
            let x = time.place(restart);
            scene.line((x, top - 3.0), (x, low + 3.0), INK, 2.0);
        }
        let (lasted, how) = ending(stay, last);
        scene.text((1060.0, middle), Anchor::End, TEXT, lasted);
        scene.text((1074.0, middle), Anchor::Start, NOTE, how);
    }
    if stays.iter().any(|bar| bar.stay.restarts > 0) {
        scene.line((RIGHT - 310.0, bottom + 32.0), (RIGHT - 310.0, bottom + 44.0), INK, 2.0);
        scene.text(
            (RIGHT - 300.0, bottom + 38.0),
            Anchor::Start,
            NOTE,
            "last restart, by a FIN that came again (↻ how often)",
        );
    }
}

/// How long a stay lasted, up to the capture's end at most, and how it ended.
fn ending(stay: &TimeWaitRow, last: Timestamp) -> (String, String) {
    let lasted = stay.duration_ns.map_or_else(|| last.since(stay.entered_ts), Span::from_nanos);
    let how = match stay.end {
        TimeWaitEnd::Reused => "reused",
        TimeWaitEnd::AnsweredReset => "RST answered",
        TimeWaitEnd::Reset => "reset",
        TimeWaitEnd::Assumed => "assumed",
        TimeWaitEnd::CaptureEnd => "still in it",
    };
    let restarts = if stay.restarts > 0 { format!(" ↻{}", stay.restarts) } else { String::new() };
    (lasted.to_string(), format!("{how}{restarts}"))
}

/// Counts over time, a stack a holder, each with its proved part below its assumed one.
fn areas(scene: &mut Scene, stays: &Stays, overview: &TimeWaits, first: Timestamp, last: Timestamp) {
    const LEFT: f64 = 76.0;
    const RIGHT: f64 = 870.0;
    let time = TimeAxis::new(first, last, LEFT, RIGHT);
    let named: Vec<IpAddr> =
        stays.told_apart(overview.by_holder.iter().map(|holder| holder.0)).take(SERIES.len()).collect();
    let others = overview.holders > named.len() as u64;
    let bands = named.len() + usize::from(others);
    let rank: HashMap<IpAddr, usize> = named.iter().enumerate().map(|(n, &holder)| (holder, n)).collect();
    // Changes by column, holder, and proved or not; a stay counts in the columns whose end lies inside it.
    let mut changes = vec![vec![[0_i64; 2]; bands]; COLUMNS + 1];
    stays.changes(last, |holder, part, ts, by| {
        let band = holder.and_then(|holder| rank.get(&holder).copied()).unwrap_or(named.len());
        let cell = changes.get_mut(time.column(ts, COLUMNS)).and_then(|bands| bands.get_mut(band));
        if let Some(part) = cell.and_then(|parts| parts.get_mut(part)) {
            *part += by;
        }
    });
    let mut now = vec![[0_i64; 2]; bands];
    let counts: Vec<Vec<[u64; 2]>> = changes
        .into_iter()
        .take(COLUMNS)
        .map(|column| {
            for (now, change) in now.iter_mut().zip(column) {
                *now = [now[0] + change[0], now[1] + change[1]];
            }
            now.iter().map(|parts| parts.map(|part| part.max(0).unsigned_abs())).collect()
        })
        .collect();
    let most = counts.iter().map(|column| column.iter().flatten().sum()).max().unwrap_or(1);
    let axis = CountAxis::new(most, 5, BOTTOM, TOP);
    scene.text((LEFT, TOP - 14.0), Anchor::Start, NOTE, "endpoints in TIME_WAIT at once");
    for tick in axis.ticks() {
        scene.grid((LEFT, tick.at), (RIGHT, tick.at));
        scene.text((LEFT - 10.0, tick.at), Anchor::End, NOTE, tick.label);
    }
    let color = |band: usize| SERIES.get(band).filter(|_| band < named.len()).copied().unwrap_or(OTHERS);
    let mut below = vec![0_u64; COLUMNS];
    for band in 0..bands {
        for part in 0..2 {
            let columns: Vec<[f64; 4]> = counts
                .iter()
                .zip(&mut below)
                .enumerate()
                .map(|(n, (column, below))| {
                    let count = column.get(band).map_or(0, |parts| parts[part]);
                    let low = axis.place(*below);
                    *below += count;
                    [time.edge(n, COLUMNS), time.edge(n + 1, COLUMNS), axis.place(*below), low]
                })
                .collect();
            area(scene, &columns, color(band), part == 1);
        }
    }
    time_ticks(scene, &time, LEFT, RIGHT, BOTTOM);
    legend(scene, overview, &named, &color);
}

/// Columns of one band; the assumed ones light and hatched.
fn area(scene: &mut Scene, columns: &[[f64; 4]], color: Rgb, assumed: bool) {
    let fill = if assumed { color.mixed(GROUND, 0.25) } else { color };
    super::scene::steps(scene, columns, fill);
    if assumed {
        scene.hatch(columns, color.mixed(GROUND, 0.7));
    }
}

fn legend(scene: &mut Scene, overview: &TimeWaits, named: &[IpAddr], color: &dyn Fn(usize) -> Rgb) {
    let (left, right) = (904.0, 1176.0);
    scene.text((left, TOP - 14.0), Anchor::Start, NOTE, "held by");
    scene.text((right, TOP - 14.0), Anchor::End, NOTE, "stays");
    let mut y = TOP + 10.0;
    let stays = |ip: IpAddr| overview.by_holder.iter().find(|holder| holder.0 == ip).map_or(0, |holder| holder.1);
    let others = overview.holders.saturating_sub(named.len() as u64);
    let rest = (others > 0).then(|| {
        let shown: u64 = named.iter().map(|&ip| stays(ip)).sum();
        (format!("{} more", thousands(others)), overview.stays.saturating_sub(shown))
    });
    let lines = named.iter().map(|&ip| (ip.to_string(), stays(ip))).chain(rest);
    for (band, (label, count)) in lines.enumerate() {
        let count = thousands(count);
        let room = right - left - 20.0 - super::scene::width(&count, TEXT) - 12.0;
        scene.rect(left, y - 6.0, left + 12.0, y + 6.0, color(band));
        scene.text((left + 20.0, y), Anchor::Start, NAME, shorten(&label, NAME, room));
        scene.text((right, y), Anchor::End, TEXT, count);
        y += 24.0;
    }
    y += 16.0;
    scene.text((left, y), Anchor::Start, NOTE, "how they ended");
    for &(end, count) in &overview.ends {
        if count > 0 {
            y += 24.0;
            let words = match end {
                TimeWaitEnd::Reused => "reused by a new connection",
                TimeWaitEnd::AnsweredReset => "a late segment drew an RST",
                TimeWaitEnd::Reset => "killed by an RST",
                TimeWaitEnd::Assumed => "assumed time ran out",
                TimeWaitEnd::CaptureEnd => "still in it at the end",
            };
            scene.text((left, y), Anchor::Start, TEXT, words);
            scene.text((right, y), Anchor::End, TEXT, thousands(count));
        }
    }
    if overview.restarts > 0 {
        y += 24.0;
        scene.text((left, y), Anchor::Start, Font { color: MUTED, ..TEXT }, "restarts by repeated FINs");
        scene.text((right, y), Anchor::End, TEXT, thousands(overview.restarts));
    }
}
