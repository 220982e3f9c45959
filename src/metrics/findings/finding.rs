//! What a finding is, and how cases of one kind become findings. In: cases, by subject. Out: a finding a subject.

use crate::metrics::phrase::thousands;
use crate::tcp::segment::FrameId;
use crate::time::Span;

/// Most frames that a finding names.
pub const FRAMES: usize = 5;
/// Most subjects of one kind that have a finding of their own; the rest share one.
pub const SUBJECTS: usize = 3;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Users are hurt by it, or the report is not to be trusted without regard to it.
    Serious,
    /// Worth knowing.
    Notice,
}

impl Severity {
    /// The word in `summary.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serious => "serious",
            Self::Notice => "notice",
        }
    }

    /// The mark before a line: `!` or `·`.
    pub const fn mark(self) -> char {
        match self {
            Self::Serious => '!',
            Self::Notice => '·',
        }
    }
}

/// One thing that looks wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// A stable word for it, such as `accept_queue_overflow`.
    pub kind: &'static str,
    /// Whom it is about: a listener, an address, an input.
    pub subject: String,
    /// What it is, with the numbers.
    pub text: String,
    /// How many connections, attempts or packets: the order among findings of a severity.
    pub count: u64,
    /// A few frames that show it.
    pub frames: Vec<FrameId>,
}

/// Cases of one kind, by subject.
#[derive(Clone, Debug)]
pub struct Gathered<S> {
    /// Each with what else is to be said of the subject where it has a finding of its own.
    pub cases: Vec<(S, Case, String)>,
    /// Subjects that were given up, and their cases together.
    pub beyond: (u64, Case),
}

/// What came together under one subject.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Connections.
    pub connections: u64,
    /// Packets, or those of the connections that something else is said of, where the kind counts them.
    pub packets: u64,
    /// Spans, where the kind has some.
    spans: Option<Box<Spans>>,
    /// The first frames that show it.
    frames: Frames,
}

/// Spans, as far as a sentence tells of them.
#[derive(Clone, Copy, Debug)]
struct Spans {
    count: u64,
    least: i64,
    most: i64,
    total: i64,
}

/// A few frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    known: u8,
    frames: [FrameId; FRAMES],
}

impl Frames {
    /// Takes one more, while there is room.
    pub fn push(&mut self, frame: FrameId) {
        if let Some(slot) = self.frames.get_mut(usize::from(self.known)) {
            *slot = frame;
            self.known += 1;
        }
    }

    /// Takes those of another; the first ones stay.
    pub fn merge(&mut self, other: Self) {
        let mut all: Vec<_> = self.as_slice().iter().chain(other.as_slice()).copied().collect();
        all.sort_unstable();
        *self = Self::default();
        all.into_iter().for_each(|frame| self.push(frame));
    }

    /// All of them.
    pub fn as_slice(&self) -> &[FrameId] {
        self.frames.get(..usize::from(self.known)).unwrap_or_default()
    }
}

impl Case {
    /// Takes one connection, with what its kind counts.
    pub fn note(&mut self, packets: u64, span: Option<i64>, frame: Option<FrameId>) {
        self.connections += 1;
        self.packets += packets;
        if let Some(span) = span {
            self.spans(Spans { count: 1, least: span, most: span, total: span });
        }
        if let Some(frame) = frame {
            self.frames.push(frame);
        }
    }

    fn spans(&mut self, more: Spans) {
        match &mut self.spans {
            Some(spans) => {
                spans.count += more.count;
                (spans.least, spans.most) = (spans.least.min(more.least), spans.most.max(more.most));
                spans.total = spans.total.saturating_add(more.total);
            }
            none => *none = Some(Box::new(more)),
        }
    }

    /// Takes what came together under another subject.
    pub fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets += other.packets;
        if let Some(spans) = other.spans {
            self.spans(*spans);
        }
        self.frames.merge(other.frames);
    }

    /// `1.02 s`, `1.02 s to 7.10 s`; `None` without spans.
    pub fn range(&self) -> Option<String> {
        let spans = self.spans.as_ref()?;
        let [least, most] = [spans.least, spans.most].map(|nanos| Span::from_nanos(nanos).to_string());
        Some(if least == most { most } else { format!("{least} to {most}") })
    }

    /// How many spans, and all of them together.
    pub fn total(&self) -> (u64, Span) {
        self.spans.as_ref().map_or((0, Span::ZERO), |spans| (spans.count, Span::from_nanos(spans.total)))
    }

    /// The first frames that show it.
    pub fn frames(&self) -> Vec<FrameId> {
        self.frames.as_slice().to_vec()
    }
}

impl<S> Default for Gathered<S> {
    fn default() -> Self {
        Self { cases: Vec::new(), beyond: Default::default() }
    }
}

impl<S: Ord + std::fmt::Display> Gathered<S> {
    /// A finding a subject, those with most connections first; where there are many subjects, the small ones share one. `text`
    /// is given the case, and what else is to be said of the subject.
    pub fn tell(
        self,
        out: &mut Vec<Finding>,
        kind: &'static str,
        subjects: &str,
        severity: Severity,
        text: impl Fn(&Case, &str) -> String,
    ) {
        let (mut cases, (gone, mut rest)) = (self.cases, self.beyond);
        cases.sort_by(|a, b| b.1.connections.cmp(&a.1.connections).then_with(|| a.0.cmp(&b.0)));
        let all = cases.len() as u64 + gone;
        let own = if all > SUBJECTS as u64 + 1 { SUBJECTS.min(cases.len()) } else { cases.len() };
        for case in cases.split_off(own) {
            rest.merge(case.1);
        }
        let others = all - own as u64;
        let named = cases.into_iter().map(|(subject, case, more)| (subject.to_string(), case, more));
        let shared = (others > 0).then(|| (format!("{} more {subjects}", thousands(others)), rest, String::new()));
        for (subject, case, more) in named.chain(shared) {
            let (text, count, frames) = (text(&case, &more), case.connections, case.frames());
            out.push(Finding { severity, kind, subject, text, count, frames });
        }
    }
}
