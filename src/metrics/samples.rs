//! Spans of several kinds, of one listener or of a run. In: spans, in any order. Out: quantiles and distributions: exact as
//! long as the spans are kept one by one, beyond that within a stated error, in memory that does not grow.

use super::quantiles::{nearest_rank_of, quantiles};
use super::rows::Quantiles;

/// Binary digits of a span that a histogram keeps: a bin is no wider than 1/512 of what lies in it, and its middle no farther than
/// 0.1 % from any of it.
const BITS: u32 = 9;
/// With very many listeners the bins of all of them get wider, to 1/16 at most: 3 % from the middle.
const LEAST_BITS: u32 = 4;

/// Spans of `K` kinds.
#[derive(Clone, Debug, Default)]
pub struct Samples<const K: usize> {
    /// Span × 8 + kind: most spans fit.
    few: Vec<u64>,
    /// Those that do not: negative ones, and of more than 73 years.
    odd: Vec<(u8, i64)>,
    many: Option<Box<[Histogram; K]>>,
}

const KIND_BITS: u32 = 3;
/// From here on a span and its kind do not fit into one word.
const LONG: u64 = 1 << (u64::BITS - KIND_BITS);

impl<const K: usize> Samples<K> {
    /// Takes a span of the kind, numbered from 0. Returns how many words of memory more they take now.
    #[inline]
    pub fn add(&mut self, kind: usize, span: i64) -> usize {
        self.add_all([(kind, Some(span))])
    }

    /// Takes those there are of several kinds, as [`add`](Self::add) does.
    #[inline]
    pub fn add_all<const M: usize>(&mut self, spans: [(usize, Option<i64>); M]) -> usize {
        let mut words = 0;
        if let Some(many) = &mut self.many {
            for (kind, span) in spans {
                if let (Some(histogram), Some(span)) = (many.get_mut(kind), span) {
                    words += histogram.add(span, 1);
                }
            }
            return words;
        }
        self.few.reserve(M);
        for (kind, span) in spans {
            match span.map(|span| (span, span as u64)) {
                Some((_, few @ 0..LONG)) => {
                    self.few.push(few << KIND_BITS | kind as u64);
                    words += 1;
                }
                Some((odd, _)) => {
                    self.odd.push((kind as u8, odd));
                    words += 2;
                }
                None => {}
            }
        }
        words
    }

    /// How much memory they take, in words.
    pub fn size(&self) -> usize {
        match &self.many {
            Some(many) => many.iter().map(Histogram::size).sum(),
            None => self.few.len() + 2 * self.odd.len(),
        }
    }

    /// Puts them into bins, which have `bits` digits or fewer.
    pub fn summarize(&mut self, bits: u32) {
        if self.many.is_none() {
            let mut many: Box<[Histogram; K]> = Box::new(std::array::from_fn(|_| Histogram::new(bits)));
            for (kind, span) in self.kept() {
                if let Some(histogram) = many.get_mut(kind) {
                    histogram.add(span, 1);
                }
            }
            *self = Self { few: Vec::new(), odd: Vec::new(), many: Some(many) };
        } else if let Some(many) = &mut self.many {
            many.iter_mut().for_each(|histogram| histogram.coarsen(bits));
        }
    }

    /// Takes those of another.
    pub fn merge(&mut self, other: &Self) {
        if other.many.is_some() && self.many.is_none() {
            self.summarize(BITS);
        }
        for kind in 0..K {
            match (&mut self.many, &other.many) {
                (Some(mine), Some(theirs)) => {
                    if let (Some(mine), Some(theirs)) = (mine.get_mut(kind), theirs.get(kind)) {
                        mine.merge(theirs);
                    }
                }
                _ => other.of(kind).for_each(|(span, count)| {
                    (0..count).for_each(|_| {
                        self.add(kind, span);
                    })
                }),
            }
        }
    }

    /// How many of a kind.
    pub fn count(&self, kind: usize) -> u64 {
        match &self.many {
            Some(many) => many.get(kind).map_or(0, |histogram| histogram.count),
            None => self.of(kind).count() as u64,
        }
    }

    /// The kind and length of each span that is kept as it is.
    fn kept(&self) -> impl Iterator<Item = (usize, i64)> + '_ {
        let few = self.few.iter().map(|&span| (span as usize & ((1 << KIND_BITS) - 1), (span >> KIND_BITS) as i64));
        few.chain(self.odd.iter().map(|&(kind, span)| (kind.into(), span)))
    }

    /// Whether every span is still known.
    pub const fn is_exact(&self) -> bool {
        self.many.is_none()
    }

    /// The quantiles of each kind.
    pub fn quantiles(&self) -> [Quantiles; K] {
        match &self.many {
            Some(many) => {
                std::array::from_fn(|kind| many.get(kind).map_or_else(Quantiles::default, Histogram::quantiles))
            }
            None => all_quantiles_of([self].into_iter()),
        }
    }

    /// The spans of a kind and how often each occurs, in no order.
    pub fn of(&self, kind: usize) -> impl Iterator<Item = (i64, u64)> + '_ {
        let tag = kind as u64;
        let few = self.few.iter().filter(move |&&span| span & ((1 << KIND_BITS) - 1) == tag);
        let odd = self.odd.iter().filter(move |odd| usize::from(odd.0) == kind);
        let many = self.many.as_deref().and_then(|many| many.get(kind)).into_iter().flat_map(Histogram::bins);
        few.map(|&span| ((span >> KIND_BITS) as i64, 1)).chain(odd.map(|odd| (odd.1, 1))).chain(many)
    }
}

/// The quantiles of each kind in all of `parts` together.
pub fn all_quantiles_of<'a, const K: usize>(parts: impl Iterator<Item = &'a Samples<K>> + Clone) -> [Quantiles; K] {
    if !parts.clone().all(Samples::is_exact) {
        return std::array::from_fn(|kind| quantiles_of(parts.clone(), kind));
    }
    let mut apart = Apart::default();
    parts.for_each(|part| {
        apart.take(part);
    });
    apart.finish()
}

/// Spans of several [`Samples`] that are all known, taken apart by kind once for all that is asked of them.
#[derive(Debug)]
pub struct Apart<const K: usize>([Vec<i64>; K]);

impl<const K: usize> Default for Apart<K> {
    fn default() -> Self {
        Self([const { Vec::new() }; K])
    }
}

impl<const K: usize> Apart<K> {
    /// Takes one more. Returns where its spans begin.
    fn take(&mut self, part: &Samples<K>) -> [usize; K] {
        let begin = self.0.each_ref().map(Vec::len);
        part.kept().for_each(|(kind, span)| self.0[kind.min(K - 1)].push(span));
        begin
    }

    /// Takes one more. Returns its own quantiles.
    pub fn add(&mut self, part: &Samples<K>) -> [Quantiles; K] {
        let begin = self.take(part);
        let own = |kind: usize| quantiles(self.0[kind].get_mut(begin[kind]..).unwrap_or_default());
        std::array::from_fn(own)
    }

    /// The quantiles of a kind in some of them, given of each, in order, how many it has and whether it counts; later ones do.
    pub fn of_some(&self, kind: usize, parts: impl Iterator<Item = (u64, bool)>) -> Quantiles {
        let mut rest = self.0.get(kind).map_or(&[][..], Vec::as_slice);
        let mut some = Vec::with_capacity(rest.len());
        for (count, wanted) in parts {
            let (part, later) = rest.split_at((count as usize).min(rest.len()));
            some.extend_from_slice(if wanted { part } else { &[] });
            rest = later;
        }
        some.extend_from_slice(rest);
        quantiles(&mut some)
    }

    /// The quantiles of each kind in all of them together.
    pub fn finish(self) -> [Quantiles; K] {
        self.0.map(|mut spans| quantiles(&mut spans))
    }
}

/// The quantiles of one kind in all of `parts` together.
pub fn quantiles_of<'a, const K: usize>(parts: impl Iterator<Item = &'a Samples<K>> + Clone, kind: usize) -> Quantiles {
    if parts.clone().all(Samples::is_exact) {
        return quantiles(&mut parts.flat_map(|part| part.of(kind)).map(|(span, _)| span).collect::<Vec<_>>());
    }
    let mut all = Histogram::new(BITS);
    for part in parts {
        match part.many.as_deref().and_then(|many| many.get(kind)) {
            Some(histogram) => all.merge(histogram),
            None => part.of(kind).for_each(|(span, count)| {
                all.add(span, count);
            }),
        }
    }
    all.quantiles()
}

/// Lets the samples of `all` take no more than `room` words, as far as that can be done without dropping any.
pub fn make_room<const K: usize>(all: &mut [&mut Samples<K>], room: usize) {
    let mut bits = BITS;
    loop {
        let mut left = 0;
        for samples in all.iter_mut() {
            // A histogram of fewer would be larger than they are.
            if samples.size() > 24 << bits || samples.many.is_some() {
                samples.summarize(bits);
            }
            left += samples.size();
        }
        if left <= room || bits <= LEAST_BITS {
            return;
        }
        bits -= 1;
    }
}

/// How often spans of about a length occur: bins as wide as a fixed share of what lies in them.
#[derive(Clone, Debug)]
struct Histogram {
    bits: u32,
    /// Where the bins of a power of two are in `blocks`, plus one; 0 where it has none.
    places: [u8; 64],
    /// Of 2^bits bins each.
    blocks: Vec<Box<[u64]>>,
    count: u64,
    min: i64,
    max: i64,
}

/// The power and the bin that a span lies in where a power has 2^`bits` bins.
#[inline]
fn place(span: i64, bits: u32) -> (u32, u64) {
    // A negative span is no span; it counts with those that took no time.
    let span = span.max(0).unsigned_abs();
    // Below 2^bits every span has a bin of its own, above as many bins share a power of two.
    let power = (64 - span.leading_zeros()).saturating_sub(bits);
    (power, (span >> power.saturating_sub(1)) & ((1 << bits) - 1))
}

/// The middle of a bin.
fn middle(power: u32, bin: u64, bits: u32) -> i64 {
    let middle = match power {
        0 => bin,
        power => {
            let (least, wide) = ((bin | 1 << bits) << (power - 1), 1_u64 << (power - 1));
            least + wide / 2
        }
    };
    i64::try_from(middle).unwrap_or(i64::MAX)
}

impl Histogram {
    fn new(bits: u32) -> Self {
        Self { bits, places: [0; 64], blocks: Vec::new(), count: 0, min: i64::MAX, max: i64::MIN }
    }

    fn size(&self) -> usize {
        12 + (self.blocks.len() << self.bits)
    }

    fn add(&mut self, span: i64, times: u64) -> usize {
        self.count += times;
        self.min = self.min.min(span);
        self.max = self.max.max(span);
        self.put(span, times)
    }

    /// Returns how many words of memory more it takes.
    fn put(&mut self, span: i64, times: u64) -> usize {
        let (power, bin) = place(span, self.bits);
        let Some(place) = self.places.get_mut(power as usize) else { return 0 };
        let mut more = 0;
        if *place == 0 {
            more = 1 << self.bits;
            self.blocks.push(vec![0; more].into_boxed_slice());
            *place = self.blocks.len() as u8;
        }
        let block = self.blocks.get_mut(usize::from(*place) - 1);
        if let Some(times_so_far) = block.and_then(|block| block.get_mut(bin as usize)) {
            *times_so_far += times;
        }
        more
    }

    /// The middle of each bin that is not empty, never beyond the least and the greatest span, in order.
    fn bins(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        let blocks = (0_u32..).zip(self.places).filter(|&(_, place)| place > 0);
        let blocks = blocks.filter_map(|(power, place)| Some((power, self.blocks.get(usize::from(place) - 1)?)));
        blocks.flat_map(move |(power, block)| {
            let bins = (0_u64..).zip(block.iter().copied()).filter(|&(_, times)| times > 0);
            bins.map(move |(bin, times)| (middle(power, bin, self.bits).clamp(self.min, self.max), times))
        })
    }

    fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            self.count += other.count;
            (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
            other.bins().for_each(|(span, times)| {
                self.put(span, times);
            });
        }
    }

    fn coarsen(&mut self, bits: u32) {
        if bits < self.bits {
            let mut coarse = Self::new(bits);
            coarse.merge(self);
            *self = coarse;
        }
    }

    fn quantiles(&self) -> Quantiles {
        // What is told is the middle of a narrow bin, however wide these are: the same as of several together.
        let finely = |span: i64| {
            let (power, bin) = place(span, BITS);
            middle(power, bin, BITS).clamp(self.min, self.max)
        };
        let ranks = [50, 90, 99].map(|percent| nearest_rank_of(self.count, percent));
        let mut found = [None; 3];
        let mut below = 0;
        for (span, times) in self.bins() {
            below += times;
            for (rank, found) in ranks.into_iter().zip(&mut found) {
                if below >= rank {
                    found.get_or_insert_with(|| finely(span));
                }
            }
            if found[2].is_some() {
                break;
            }
        }
        let [p50, p90, p99] = found;
        let max = (self.count > 0).then_some(self.max);
        Quantiles { count: self.count, p50, p90, p99, max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<i64>, b: Option<i64>, share: f64) -> bool {
        let (Some(a), Some(b)) = (a, b) else { return a == b };
        (a - b).abs() as f64 <= share * b as f64
    }

    fn spans() -> impl Iterator<Item = i64> {
        (0..40_000_u64).map(|n| (crate::metrics::distinct::mix(n) >> (20 + n % 30)) as i64)
    }

    #[test]
    fn kept_one_by_one_they_are_exact() {
        let mut samples = Samples::<2>::default();
        for span in spans() {
            samples.add(0, span);
            samples.add(1, -span);
        }
        samples.add(0, i64::MAX);
        assert_eq!(
            quantiles_of([&samples].into_iter(), 0),
            quantiles(&mut spans().chain([i64::MAX]).collect::<Vec<_>>())
        );
        assert_eq!(
            quantiles_of([&samples].into_iter(), 1),
            quantiles(&mut spans().map(|span| -span).collect::<Vec<_>>())
        );
        assert_eq!((samples.count(0), samples.count(1)), (40_001, 40_000));
    }

    #[test]
    fn in_bins_they_are_within_a_thousandth_and_the_maximum_is_exact() {
        let mut samples = Samples::<1>::default();
        spans().for_each(|span| {
            samples.add(0, span);
        });
        let exact = quantiles_of([&samples].into_iter(), 0);
        samples.summarize(BITS);
        samples.add(0, 7);
        let binned = quantiles_of([&samples].into_iter(), 0);
        assert_eq!((binned.count, binned.max), (40_001, exact.max));
        for (a, b) in [(binned.p50, exact.p50), (binned.p90, exact.p90), (binned.p99, exact.p99)] {
            assert!(close(a, b, 0.001), "{a:?} {b:?}");
        }
        assert!(samples.size() < 40_000);
    }

    #[test]
    fn together_they_are_what_all_of_them_are() {
        let [mut odd, mut even, mut all] = [(); 3].map(|()| Samples::<1>::default());
        for (n, span) in spans().enumerate() {
            if n % 2 == 0 {
                even.add(0, span)
            } else {
                odd.add(0, span)
            };
            all.add(0, span);
        }
        assert_eq!(quantiles_of([&odd, &even].into_iter(), 0), quantiles_of([&all].into_iter(), 0));
        let mut apart = Apart::default();
        assert_eq!([&odd, &even].map(|part| apart.add(part)), [&odd, &even].map(Samples::quantiles));
        assert_eq!(apart.of_some(0, [(odd.count(0), false)].into_iter()), even.quantiles()[0]);
        assert_eq!(apart.finish(), all.quantiles());
        odd.summarize(BITS);
        all.summarize(BITS);
        assert_eq!(quantiles_of([&odd, &even].into_iter(), 0), quantiles_of([&all].into_iter(), 0));
        even.merge(&odd);
        assert_eq!(quantiles_of([&even].into_iter(), 0), quantiles_of([&all].into_iter(), 0));
    }

    #[test]
    fn small_spans_have_a_bin_each_and_the_ends_of_the_range_one_too() {
        let mut samples = Samples::<1>::default();
        samples.summarize(BITS);
        for span in [0, 1, 511, 512, 513, 1_023, 1_024, i64::MAX, -5] {
            samples.add(0, span);
        }
        let bins: Vec<_> = samples.of(0).collect();
        assert_eq!(bins.iter().map(|bin| bin.1).sum::<u64>(), 9);
        assert_eq!(bins[..4], [(0, 2), (1, 1), (511, 1), (512, 1)]);
        assert_eq!(quantiles_of([&samples].into_iter(), 0).max, Some(i64::MAX));
    }

    #[test]
    fn room_is_made_by_wider_bins() {
        let mut all = vec![Samples::<1>::default(); 20];
        for samples in &mut all {
            spans().for_each(|span| {
                samples.add(0, span);
            });
        }
        let exact = quantiles_of(all.iter(), 0);
        make_room(&mut all.iter_mut().collect::<Vec<_>>(), 30_000);
        assert!(all.iter().map(Samples::size).sum::<usize>() <= 30_000);
        let coarse = quantiles_of(all.iter(), 0);
        assert!(close(coarse.p50, exact.p50, 0.03), "{coarse:?} {exact:?}");
    }
}
