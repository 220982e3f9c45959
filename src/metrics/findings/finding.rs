//! What a finding is, and how cases of one kind become findings. In: cases, by subject. Out: a finding a subject.

use std::collections::BTreeMap;

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

/// Cases of one kind, gathered by subject.
pub struct Gathered<S> {
    /// By subject.
    pub cases: BTreeMap<S, Case>,
}

/// What came together under one subject.
#[derive(Default)]
pub struct Case {
    /// Connections.
    pub connections: u64,
    /// Packets, or those of the connections that something else is said of, where the kind counts them.
    pub packets: u64,
    /// Spans, where the kind has some.
    pub spans: Vec<i64>,
    /// What else is to be said of a subject that has a finding of its own.
    pub more: String,
    /// The first frames that show it.
    pub frames: Vec<FrameId>,
}

impl Case {
    /// Takes one connection, with what its kind counts.
    pub fn note(&mut self, packets: u64, span: Option<i64>, frame: Option<FrameId>) {
        self.connections += 1;
        self.packets += packets;
        self.spans.extend(span);
        if self.frames.len() < FRAMES {
            self.frames.extend(frame);
        }
    }

    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets += other.packets;
        self.spans.extend(other.spans);
        self.frames.extend(other.frames);
        self.frames.sort_unstable();
        self.frames.truncate(FRAMES);
    }

    /// `1.02 s`, `1.02 s to 7.10 s`; `None` without spans.
    pub fn range(&self) -> Option<String> {
        let (least, most) = (self.spans.iter().min()?, self.spans.iter().max()?);
        let [least, most] = [*least, *most].map(|nanos| Span::from_nanos(nanos).to_string());
        Some(if least == most { most } else { format!("{least} to {most}") })
    }

    /// All spans together.
    pub fn total(&self) -> Span {
        Span::from_nanos(self.spans.iter().fold(0_i64, |sum, &span| sum.saturating_add(span)))
    }
}

impl<S: Ord + std::fmt::Display> Gathered<S> {
    /// None yet.
    pub fn new() -> Self {
        Self { cases: BTreeMap::new() }
    }

    /// The case of `subject`.
    pub fn at(&mut self, subject: S) -> &mut Case {
        self.cases.entry(subject).or_default()
    }

    /// A finding a subject, those with most connections first; where there are many subjects, the small ones share one.
    pub fn tell(
        self,
        out: &mut Vec<Finding>,
        kind: &'static str,
        subjects: &str,
        severity: impl Fn(&Case) -> Severity,
        text: impl Fn(&Case) -> String,
    ) {
        let mut cases: Vec<_> = self.cases.into_iter().collect();
        cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.connections));
        let own = if cases.len() > SUBJECTS + 1 { SUBJECTS } else { cases.len() };
        let mut rest = Case::default();
        let others = (cases.len() - own) as u64;
        for case in cases.split_off(own) {
            rest.merge(case.1);
        }
        let named = cases.into_iter().map(|(subject, case)| (subject.to_string(), case));
        let shared = (others > 0).then(|| (format!("{} more {subjects}", thousands(others)), rest));
        for (subject, case) in named.chain(shared) {
            out.push(Finding {
                severity: severity(&case),
                kind,
                subject,
                text: text(&case),
                count: case.connections,
                frames: case.frames,
            });
        }
    }
}
