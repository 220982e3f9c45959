//! Axes with ticks a person would choose. In: a range and the pixels it covers. Out: places, ticks and labels.

use crate::metrics::phrase::thousands;
use crate::time::{NANOS_PER_SEC, Span, Timestamp};

const MINUTE: i64 = 60 * NANOS_PER_SEC;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A place on an axis and what stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Pixels.
    pub at: f64,
    /// Empty for a minor tick.
    pub label: String,
}

/// Spans on a logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub struct LogAxis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl LogAxis {
    /// Over the positive spans from `least` to `most` nanoseconds, widened to whole steps of 1, 2, 5; `from` and `to` are
    /// pixels.
    pub fn new(least: i64, most: i64, from: f64, to: f64) -> Self {
        let (least, most) = (least.max(1), most.max(least).max(1));
        let steps = || human_spans(&[1, 2, 5]);
        let low = steps().take_while(|&step| step <= least).last().unwrap_or(1);
        let high = steps().find(|&step| step > most).unwrap_or(most.saturating_mul(2));
        // Less than a factor of ten would make small differences look large.
        let high = if high / low < 10 { low.saturating_mul(10) } else { high };
        Self { least: (low as f64).ln(), most: (high as f64).ln(), from, to }
    }

    /// The pixel of a span; nought and less stand at the beginning.
    pub fn place(&self, nanos: i64) -> f64 {
        let share = ((nanos.max(1) as f64).ln() - self.least) / (self.most - self.least);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Labelled at human powers; over a short range at 2 and 5 too. Unlabelled ones between.
    pub fn ticks(&self) -> Vec<Tick> {
        let inside = |span: &i64| {
            let ln = (*span as f64).ln();
            ln >= self.least - 1e-9 && ln <= self.most + 1e-9
        };
        let few = (self.most - self.least) < 100_f64.ln() + 1e-9;
        let labelled: Vec<i64> = human_spans(if few { &[1, 2, 5] } else { &[1] }).filter(inside).collect();
        let minor = human_spans(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).filter(inside).filter(|span| !labelled.contains(span));
        let minor = minor.map(|span| Tick { at: self.place(span), label: String::new() });
        let labelled = labelled.iter().map(|&span| Tick { at: self.place(span), label: round_span(span) });
        labelled.chain(minor).collect()
    }
}

/// Multiples of the powers of ten up to 10 s, then of 1 and 10 min, of 1 and 10 h, of 1, 10, 100 … days, ascending.
fn human_spans(multiples: &'static [i64]) -> impl Iterator<Item = i64> {
    let powers = (0..=10).map(|power| 10_i64.pow(power));
    let longer = [MINUTE, 10 * MINUTE, HOUR, 10 * HOUR, DAY, 10 * DAY, 100 * DAY, 1_000 * DAY, 10_000 * DAY];
    let units: Vec<i64> = powers.chain(longer).collect();
    let nexts: Vec<i64> = units.iter().skip(1).copied().chain([i64::MAX]).collect();
    units.into_iter().zip(nexts).flat_map(move |(unit, next)| {
        multiples.iter().map(move |n| unit.saturating_mul(*n)).filter(move |&span| span < next)
    })
}

/// `1 ms`, `20 s`, `10 min`: a span that is a whole number of its unit.
pub fn round_span(nanos: i64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (NANOS_PER_SEC, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let (unit, name) = units.into_iter().find(|(unit, _)| nanos >= *unit && nanos % unit == 0).unwrap_or((1, "ns"));
    format!("{} {name}", thousands((nanos / unit).unsigned_abs()))
}

/// Instants of a capture on a linear axis.
#[derive(Clone, Copy, Debug)]
pub struct TimeAxis {
    first: i64,
    last: i64,
    from: f64,
    to: f64,
}

/// Captures shorter than this are labelled with the time since their beginning, longer ones with the clock.
const CLOCK_FROM: i64 = 10 * NANOS_PER_SEC;

impl TimeAxis {
    /// From `first` to `last`; `from` and `to` are pixels. A capture of one instant is shown as a millisecond.
    pub fn new(first: Timestamp, last: Timestamp, from: f64, to: f64) -> Self {
        const INSTANT: i64 = 1_000_000;
        let (first, last) = (first.as_nanos().min(i64::MAX - INSTANT), last.as_nanos());
        let last = if last > first { last } else { first + INSTANT };
        Self { first, last, from, to }
    }

    /// The pixel of an instant; those outside stand at the ends.
    pub fn place(&self, ts: Timestamp) -> f64 {
        let length = self.last as f64 - self.first as f64;
        let share = (ts.as_nanos() as f64 - self.first as f64) / length;
        // Differences of close instants are exact only as integers.
        let share = if length < 1e15 { ts.as_nanos().saturating_sub(self.first) as f64 / length } else { share };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Which of `count` equal columns an instant falls into.
    pub fn column(&self, ts: Timestamp, count: usize) -> usize {
        let share = (self.place(ts) - self.from) / (self.to - self.from);
        ((share * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// The left edge of the `n`th of `count` equal columns.
    pub fn edge(&self, n: usize, count: usize) -> f64 {
        self.from + (self.to - self.from) * n as f64 / count.max(1) as f64
    }

    /// Nanoseconds from its beginning to its end.
    pub fn length(&self) -> i64 {
        self.last.saturating_sub(self.first)
    }

    /// What the axis measures, for its end.
    pub fn title(&self) -> String {
        let first = Timestamp::from_nanos(self.first).to_string();
        if self.length() < CLOCK_FROM {
            format!("time since {} UTC", first.replace('T', " ").trim_end_matches('Z'))
        } else {
            let (day, last) = (first.get(..10).unwrap_or_default(), Timestamp::from_nanos(self.last).to_string());
            let last_day = last.get(..10).unwrap_or_default();
            let days = if day == last_day { day.to_owned() } else { format!("{day} to {last_day}") };
            format!("time (UTC), {days}")
        }
    }

    /// About six to ten labelled ticks.
    pub fn ticks(&self) -> Vec<Tick> {
        let below = (0..9).flat_map(|power| [1, 2, 5].map(|n| n * 10_i64.pow(power)));
        let seconds = [1, 2, 5, 10, 15, 30].map(|n| n * NANOS_PER_SEC);
        let minutes = [1, 2, 5, 10, 15, 30].map(|n| n * MINUTE);
        let hours = [1, 2, 3, 6, 12].map(|n| n * HOUR);
        let days = [1, 2, 7, 14, 30, 90, 365, 3_650].map(|n| n * DAY);
        let wanted = self.length() / 9 + 1;
        let mut steps = below.chain(seconds).chain(minutes).chain(hours).chain(days);
        let step = steps.find(|&step| step >= wanted).unwrap_or(36_500 * DAY);
        let since = self.length() < CLOCK_FROM;
        let origin = if since { self.first } else { 0 };
        let lead = self.first.saturating_sub(origin);
        let mut tick = lead.div_euclid(step).saturating_mul(step);
        if tick < lead {
            tick = tick.saturating_add(step);
        }
        let mut ticks = Vec::new();
        while let Some(ts) = origin.checked_add(tick).filter(|&ts| ts <= self.last) {
            let label = if since { offset(tick) } else { clock(ts, step) };
            ticks.push(Tick { at: self.place(Timestamp::from_nanos(ts)), label });
            let Some(next) = tick.checked_add(step) else { break };
            tick = next;
        }
        ticks
    }
}

/// `0`, `20 ms`, `1.5 s`.
fn offset(nanos: i64) -> String {
    if nanos == 0 {
        return "0".into();
    }
    let (unit, name) = match nanos {
        NANOS_PER_SEC.. => (NANOS_PER_SEC, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "µs"),
        _ => (1, "ns"),
    };
    format!("{} {name}", nanos as f64 / unit as f64)
}

/// `14:03:10`, with a day once steps are long; no seconds where they are all zero.
fn clock(ts: i64, step: i64) -> String {
    let text = Timestamp::from_nanos(ts).to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    match step {
        DAY.. => part(0..10),
        HOUR.. if ts % DAY == 0 => part(5..10),
        MINUTE.. => part(11..16),
        _ => part(11..19),
    }
}

/// Counts on a linear axis from nought.
#[derive(Clone, Copy, Debug)]
pub struct CountAxis {
    most: u64,
    step: u64,
    from: f64,
    to: f64,
}

impl CountAxis {
    /// Up to `most`, with about `ticks` steps; `from` is the pixel of nought.
    pub fn new(most: u64, ticks: u64, from: f64, to: f64) -> Self {
        let wanted = (most / ticks.max(1)).max(1);
        let mut steps = (0..19).flat_map(|power| [1, 2, 5].map(|n| n * 10_u64.pow(power)));
        let step = steps.find(|&step| step >= wanted).unwrap_or(wanted);
        let most = most.max(1);
        Self { most: most.checked_next_multiple_of(step).unwrap_or(most), step, from, to }
    }

    /// The pixel of a count.
    pub fn place(&self, count: u64) -> f64 {
        self.from + (self.to - self.from) * (count as f64 / self.most as f64).min(1.0)
    }

    /// From nought to the end.
    pub fn ticks(&self) -> Vec<Tick> {
        let counts = (0..=self.most / self.step).map(|n| n * self.step);
        counts.map(|count| Tick { at: self.place(count), label: thousands(count) }).collect()
    }
}

/// A span with its unit, or a dot where it is unknown.
pub fn span_or_dot(nanos: Option<i64>) -> String {
    nanos.map_or_else(|| "·".into(), |nanos| Span::from_nanos(nanos).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn latencies_have_human_ticks() {
        let axis = LogAxis::new(300_000, 7_100_000_000, 0.0, 100.0);
        assert_eq!(labels(axis.ticks()), ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!((axis.place(200_000), axis.place(10_000_000_000)), (0.0, 100.0));
        assert_eq!(labels(LogAxis::new(1_100_000, 1_200_000, 0.0, 1.0).ticks()), ["1 ms", "2 ms", "5 ms", "10 ms"]);
        assert!(labels(LogAxis::new(1, i64::MAX, 0.0, 1.0).ticks()).contains(&"10 min".to_owned()));
    }

    #[test]
    fn a_short_capture_counts_from_its_beginning_and_a_long_one_by_the_clock() {
        let start = Timestamp::from_nanos(1_767_362_403_000_000_000);
        let axis = |span| TimeAxis::new(start, start.plus(span), 0.0, 100.0);
        let short = axis(Span::from_millis(350));
        assert_eq!(labels(short.ticks())[..3], ["0", "50 ms", "100 ms"]);
        assert_eq!(short.title(), "time since 2026-01-02 14:00:03.000000000 UTC");
        let long = axis(Span::from_secs(600));
        assert_eq!(labels(long.ticks())[..2], ["14:02", "14:04"]);
        assert_eq!(long.title(), "time (UTC), 2026-01-02");
        assert_eq!(labels(axis(Span::from_secs(20)).ticks())[0], "14:00:05");
        assert_eq!(labels(axis(Span::from_secs(90_000)).ticks())[3], "01-03");
    }

    #[test]
    fn the_ends_of_time_neither_overflow_nor_hang() {
        let axis = TimeAxis::new(Timestamp::MIN, Timestamp::MAX, 0.0, 100.0);
        assert!(axis.ticks().len() < 30);
        assert_eq!((axis.place(Timestamp::MIN), axis.place(Timestamp::MAX)), (0.0, 100.0));
        assert!(!TimeAxis::new(Timestamp::MAX, Timestamp::MAX, 0.0, 1.0).place(Timestamp::MAX).is_nan());
    }

    #[test]
    fn counts_end_at_a_round_one() {
        assert_eq!(labels(CountAxis::new(3_104, 4, 0.0, 1.0).ticks()), ["0", "1,000", "2,000", "3,000", "4,000"]);
        assert_eq!(labels(CountAxis::new(1, 4, 0.0, 1.0).ticks()), ["0", "1"]);
        assert_eq!(labels(CountAxis::new(0, 4, 0.0, 1.0).ticks()), ["0", "1"]);
    }
}
