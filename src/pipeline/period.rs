//! Which packets of a run count, by their time. In: the bounds that were asked for, then packets. Out: yes or no for each.

use std::fmt;

use crate::time::{Span, Timestamp};

/// One end of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// An instant on the tap's clock.
    At(Timestamp),
    /// So long after the run's first packet that has a time.
    After(Span),
}

impl Bound {
    fn instant(self, first: Timestamp) -> Timestamp {
        match self {
            Self::At(ts) => ts,
            Self::After(span) => first.plus(span),
        }
    }
}

/// `2026-11-21T10:00:00.000000000Z`, `5.00 s after the first packet`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(ts) => ts.fmt(f),
            Self::After(span) => write!(f, "{span} after the first packet"),
        }
    }
}

/// A stretch of time: from its first bound on, up to and without its last. Captures need not be in the order of time, so
/// packets outside may stand anywhere among those inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    from: Option<Bound>,
    to: Option<Bound>,
    /// The same as instants, once the first packet has told its time.
    instants: Option<(Option<Timestamp>, Option<Timestamp>)>,
}

impl Period {
    /// A stretch of time without the bounds that are not given.
    ///
    /// # Errors
    ///
    /// A sentence for the user where nothing can lie between the two. An instant and a length of time can be compared only when
    /// the first packet is there: see [`Period::contradiction`].
    pub fn new(from: Option<Bound>, to: Option<Bound>) -> Result<Self, String> {
        let is_empty = match (from, to) {
            (Some(Bound::At(from)), Some(Bound::At(to))) => to <= from,
            (Some(Bound::After(from)), Some(Bound::After(to))) => to <= from,
            _ => false,
        };
        match (from, to) {
            (Some(from), Some(to)) if is_empty => Err(not_after(to, from)),
            _ => Ok(Self { from, to, instants: None }),
        }
    }

    /// Whether a packet counts. `own` is its own time, if it has one; `ts` the time that it is taken to have passed at. Packets
    /// are to be asked for in the order of the run, beginning with its first.
    #[inline]
    pub fn admits(&mut self, own: Option<Timestamp>, ts: Timestamp) -> bool {
        // Nearly every run.
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        if self.instants.is_none() {
            let instants = own.map(|first| [self.from, self.to].map(|bound| bound.map(|bound| bound.instant(first))));
            self.instants = instants.map(|[from, to]| (from, to));
        }
        match self.instants {
            Some((from, to)) => from.is_none_or(|from| ts >= from) && to.is_none_or(|to| ts < to),
            // Ahead of every packet that has a time.
            None => self.from.is_none(),
        }
    }

    /// A sentence for the user if nothing can lie between the bounds, now that the first packet has told its time.
    pub fn contradiction(&self) -> Option<String> {
        match self.instants? {
            (Some(from), Some(to)) if to <= from => Some(not_after(Bound::At(to), Bound::At(from))),
            _ => None,
        }
    }

    /// The bounds by the names of their options: as instants, if the first packet has told its time.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (from, to) = self.instants.unwrap_or_default();
        let told = |asked: Option<Bound>, instant: Option<Timestamp>| instant.map(Bound::At).or(asked);
        let both = [("from", told(self.from, from)), ("to", told(self.to, to))];
        both.into_iter().filter_map(|(name, bound)| Some((name, bound?.to_string())))
    }
}

fn not_after(to: Bound, from: Bound) -> String {
    format!("--to ({to}) does not lie after --from ({from}): no packet could pass between them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Bound {
        Bound::At(ts(secs))
    }

    fn after(secs: i64) -> Bound {
        Bound::After(Span::from_secs(secs))
    }

    fn ts(secs: i64) -> Timestamp {
        Timestamp::default().plus(Span::from_secs(secs))
    }

    /// Which of the packets at these seconds count.
    fn admitted(mut period: Period, secs: &[i64]) -> Vec<i64> {
        secs.iter().copied().filter(|&sec| period.admits(Some(ts(sec)), ts(sec))).collect()
    }

    #[test]
    fn the_first_bound_is_inside_and_the_last_is_not() {
        let times = [100, 105, 109, 110, 111];
        let period = |from, to| Period::new(from, to).unwrap();
        assert_eq!(admitted(period(None, None), &times), times);
        assert_eq!(admitted(period(Some(at(105)), None), &times), [105, 109, 110, 111]);
        assert_eq!(admitted(period(None, Some(at(110))), &times), [100, 105, 109]);
        assert_eq!(admitted(period(Some(after(5)), Some(after(10))), &times), [105, 109]);
        assert_eq!(admitted(period(Some(at(101)), Some(after(10))), &times), [105, 109]);
    }

    #[test]
    fn packets_out_of_order_are_skipped_one_by_one() {
        let period = Period::new(Some(after(5)), Some(after(10))).unwrap();
        assert_eq!(admitted(period, &[100, 120, 106, 99, 107, 300]), [106, 107]);
    }

    #[test]
    fn lengths_count_from_the_first_packet_that_has_a_time() {
        let mut period = Period::new(None, Some(after(5))).unwrap();
        assert!(period.admits(None, Timestamp::default()));
        assert!(period.admits(Some(ts(100)), ts(100)));
        assert!(period.admits(None, ts(100)));
        assert!(!period.admits(Some(ts(105)), ts(105)));
        let mut period = Period::new(Some(after(5)), None).unwrap();
        assert!(!period.admits(None, Timestamp::default()));
    }

    #[test]
    fn bounds_the_wrong_way_round_are_refused_as_soon_as_that_can_be_known() {
        for (from, to) in [(at(5), at(4)), (at(5), at(5)), (after(5), after(4))] {
            assert!(Period::new(Some(from), Some(to)).is_err());
        }
        let mut period = Period::new(Some(at(105)), Some(after(5))).unwrap();
        assert_eq!(period.contradiction(), None);
        assert!(!period.admits(Some(ts(100)), ts(100)));
        assert!(period.contradiction().unwrap().contains("1970-01-01T00:01:45"));
        let mut period = Period::new(Some(at(104)), Some(after(5))).unwrap();
        assert!(period.admits(Some(ts(104)), ts(104)));
        assert_eq!(period.contradiction(), None);
    }

    #[test]
    fn the_bounds_are_told_as_instants_once_they_are() {
        let mut period = Period::new(Some(after(5)), None).unwrap();
        let told = |period: &Period| period.told().collect::<Vec<_>>();
        assert_eq!(told(&period), [("from", "5.00 s after the first packet".to_owned())]);
        period.admits(Some(ts(100)), ts(100));
        assert_eq!(told(&period), [("from", "1970-01-01T00:01:45.000000000Z".to_owned())]);
        assert_eq!(told(&Period::default()), []);
    }
}
