//! `handshake_latency`: how long handshakes took, a strip a listener, on a logarithmic axis with the quantiles marked.

use std::collections::HashMap;

use super::axis::{LogAxis, span_or_dot};
use super::scene::{Anchor, Font, NAME, NOTE, Scene, TEXT, shorten, width};
use crate::metrics::folds::Told;
use crate::metrics::listeners::{DRAWN, Handshakes, Strip};
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{Opening, Quantiles};
use crate::report::colors::{GROUND, INK, MUTED, RULE, SERIES};

/// What it shows, in a few words.
pub(super) const TITLE: &str = "Handshake latency by listener";
/// Most listeners that have a strip.
const STRIPS: u64 = DRAWN as u64;
/// Pixels of one bar of a strip.
const BAR: f64 = 4.0;
/// Up to so many handshakes are drawn one by one.
const DOTS: u64 = 60;

const LEFT: f64 = 40.0;
const RIGHT: f64 = 800.0;
const TOP: f64 = 106.0;
const BOTTOM: f64 = 640.0;
/// Most height of a strip of dots, and of bars: these fill the picture, if there is one strip.
const PITCH: [f64; 2] = [110.0, BOTTOM - TOP];
/// Right ends of the columns of figures.
const COLUMNS: [(f64, &str); 5] =
    [(884.0, "handshakes"), (956.0, "p50"), (1028.0, "p90"), (1100.0, "p99"), (1172.0, "max")];

pub fn scene(told: &Told) -> Scene {
    let mut scene = Scene::default();
    let Handshakes { all, listeners, strips, .. } = &told.handshakes;
    if strips.is_empty() {
        nothing(&mut scene, told);
        return scene;
    }
    let of = match listeners {
        0..=STRIPS => String::new(),
        more => format!(" · the busiest {STRIPS} of {} listeners", thousands(*more)),
    };
    scene
        .title(TITLE, &format!("First SYN to the ACK that completes it, at the tap · {}{of}", many(*all, "handshake")));
    let values = || strips.iter().flat_map(|strip| strip.spans.iter().map(|span| span.0));
    let axis = LogAxis::new(values().min().unwrap_or(1), values().max().unwrap_or(1), LEFT, RIGHT);
    let dense = strips.iter().any(|strip| strip.quantiles.count > DOTS);
    let pitch = ((BOTTOM - TOP) / strips.len() as f64).min(PITCH[usize::from(dense)]);
    draw_axis(&mut scene, &axis, TOP + pitch * strips.len() as f64);
    for (n, strip) in strips.iter().enumerate() {
        draw_strip(&mut scene, &axis, strip, TOP + pitch * n as f64, pitch);
    }
    scene
}

fn nothing(scene: &mut Scene, told: &Told) {
    scene.title(TITLE, "First SYN to the ACK that completes it, at the tap");
    let count = |opening| told.overview.opened_as(opening);
    let attempts: u64 = told.listeners.iter().map(|row| row.attempts).sum();
    let why = match (told.overview.connections, attempts) {
        (0, _) => "The capture holds no TCP connection.".into(),
        (_, 0) => "Its connections had all begun before the capture did.".into(),
        _ => format!(
            "{}: {} unanswered, {} refused, {} half-open.",
            many(attempts, "attempt"),
            thousands(count(Opening::NoAnswer)),
            thousands(count(Opening::Refused)),
            thousands(count(Opening::HalfOpen))
        ),
    };
    scene.nothing("No handshake was completed in this capture.", &why);
}

fn draw_axis(scene: &mut Scene, axis: &LogAxis, bottom: f64) {
    for tick in axis.ticks() {
        if tick.label.is_empty() {
            scene.line((tick.at, bottom), (tick.at, bottom + 4.0), RULE, 0.5);
        } else {
            scene.grid((tick.at, TOP), (tick.at, bottom));
            scene.text((tick.at, bottom + 16.0), Anchor::Middle, NOTE, tick.label);
        }
    }
    scene.line((LEFT, bottom), (RIGHT, bottom), RULE, 1.0);
    scene.text((LEFT, bottom + 36.0), Anchor::Start, NOTE, "handshake time, logarithmic");
    for (right, name) in COLUMNS {
        scene.text((right, TOP - 14.0), Anchor::End, NOTE, name);
    }
}

fn draw_strip(scene: &mut Scene, axis: &LogAxis, strip: &Strip, top: f64, pitch: f64) {
    let base = top + pitch - 10.0;
    let room = pitch - 44.0;
    scene.line((LEFT, base), (RIGHT, base), RULE, 0.5);
    // A mark is where one of the dots is, so dots lie on top; bars are many, and lie below.
    if strip.quantiles.count <= DOTS {
        marks(scene, axis, &strip.quantiles, base, base - room);
        dots(scene, axis, strip, base, room);
    } else {
        bars(scene, axis, strip, base, room);
        marks(scene, axis, &strip.quantiles, base, base - room);
    }
    // On top of all, on a ground of its own: nothing crosses the name.
    let name = shorten(&strip.server.to_string(), NAME, 500.0);
    let end = LEFT + width(&name, NAME) + 6.0;
    scene.rect(LEFT - 2.0, top + 2.0, end, top + 18.0, GROUND);
    scene.text((LEFT, top + 10.0), Anchor::Start, NAME, name);
    let of = strip.quantiles;
    let figures =
        [thousands(of.count), span_or_dot(of.p50), span_or_dot(of.p90), span_or_dot(of.p99), span_or_dot(of.max)];
    for ((right, _), figure) in COLUMNS.into_iter().zip(figures) {
        scene.text((right, top + 10.0), Anchor::End, TEXT, figure);
    }
}

/// How many spans fall on each bar.
fn histogram(axis: &LogAxis, spans: &[(i64, u64)]) -> Vec<u64> {
    let mut bars = vec![0; ((RIGHT - LEFT) / BAR).ceil() as usize];
    let last = bars.len().saturating_sub(1);
    for &(nanos, times) in spans {
        if let Some(bar) = bars.get_mut((((axis.place(nanos) - LEFT) / BAR) as usize).min(last)) {
            *bar += times;
        }
    }
    bars
}

fn bars(scene: &mut Scene, axis: &LogAxis, strip: &Strip, base: f64, room: f64) {
    let histogram = histogram(axis, &strip.spans);
    let most = histogram.iter().copied().max().unwrap_or(1).max(1);
    let fill = SERIES[0].mixed(GROUND, 0.55);
    for (n, count) in histogram.into_iter().enumerate().filter(|bar| bar.1 > 0) {
        // Rare ones must be seen too: a handshake of seconds among thousands of milliseconds is the news.
        let high = (room * count as f64 / most as f64).max(2.5);
        let left = LEFT + BAR * n as f64;
        scene.rect(left, base - high, left + BAR, base, fill);
    }
}

/// Every handshake a dot; those of the same place stand on each other.
fn dots(scene: &mut Scene, axis: &LogAxis, strip: &Strip, base: f64, room: f64) {
    const WIDE: f64 = 2.0 * BAR;
    let mut stacks: HashMap<i64, u64> = HashMap::new();
    let spans = strip.spans.iter().flat_map(|&(nanos, times)| (0..times).map(move |_| nanos));
    let mut spans: Vec<i64> = spans.collect();
    spans.sort_unstable();
    let place = |nanos: i64| ((axis.place(nanos) - LEFT) / WIDE).round() as i64;
    for &nanos in &spans {
        *stacks.entry(place(nanos)).or_default() += 1;
    }
    let highest = stacks.values().copied().max().unwrap_or(1);
    let step = (room / highest as f64).min(WIDE);
    let mut placed: HashMap<i64, u64> = HashMap::new();
    for nanos in spans {
        let stack = place(nanos);
        let below = placed.entry(stack).or_default();
        let at = (axis.place(nanos), base - 4.0 - step * *below as f64);
        scene.dot(at, 3.5, SERIES[0].mixed(GROUND, 0.7), true);
        *below += 1;
    }
}

/// p50, p90 and p99 as lines of falling weight; names that would touch share one label.
fn marks(scene: &mut Scene, axis: &LogAxis, of: &Quantiles, base: f64, top: f64) {
    let marks = [(of.p50, "p50", INK, 2.0), (of.p90, "p90", INK, 1.0), (of.p99, "p99", MUTED, 1.0)];
    let mut labels: Vec<(f64, String)> = Vec::new();
    for (nanos, name, color, wide) in marks {
        let Some(x) = nanos.map(|nanos| axis.place(nanos)) else { continue };
        scene.line((x, base), (x, top - 2.0), color, wide);
        match labels.last_mut() {
            Some((at, label)) if x - *at < 10.0 + width(label, SMALL) => {
                label.push(' ');
                label.push_str(name);
            }
            _ => labels.push((x, name.to_owned())),
        }
    }
    let mut free = LEFT;
    for (at, label) in labels {
        let half = width(&label, SMALL) / 2.0;
        let at = at.clamp(free + half, (RIGHT - half).max(free + half));
        free = at + half + 6.0;
        scene.text((at, top - 9.0), Anchor::Middle, SMALL, label);
    }
}

const SMALL: Font = Font { size: 11.0, ..NOTE };
