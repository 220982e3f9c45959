//! What can be asked for. In: names and kinds. Out: the field that a word means, or the one that it may have meant.

/// What a field holds, and how its values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// Packets or bytes: `10k`, `3M`, `64Ki`, `1MB`.
    Amount,
    /// Nanoseconds: `50ms`, or a bare number.
    Span,
    /// An instant: `2026-01-02T03:04`, its end may be missing.
    Time,
    /// True or false.
    Flag,
    /// Any text.
    Text,
    /// An IP address: also networks.
    Address,
    /// One of these words.
    Words(Vec<&'static str>),
}

impl Kind {
    /// What its values are called in messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Amount => "a number such as 1500, 10k or 3M",
            Self::Span => "a length of time such as 50ms, 1.5s or 2m (a bare number is nanoseconds)",
            Self::Time => "a time such as 2026-01-02T03:04 (UTC, or with an offset: +01:00)",
            Self::Flag => "true or false",
            Self::Text => "a text",
            Self::Address => "an address or a network such as 10.0.0.0/8",
            Self::Words(_) => "a word",
        }
    }

    /// Whether values of the two can be compared with each other. Text cannot: there a field's name would be text.
    pub(super) const fn compares_with(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Number | Self::Amount, Self::Number | Self::Amount)
                | (Self::Span, Self::Span)
                | (Self::Time, Self::Time)
                | (Self::Flag, Self::Flag)
                | (Self::Address, Self::Address)
                | (Self::Words(_), Self::Words(_))
        )
    }
}

/// One field of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; one that ends in `_ns` has also the name without it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The fields of the rows, in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    fields: Vec<Field>,
    /// A name for two fields together: an address and a port.
    endpoints: Vec<(&'static str, usize, usize)>,
}

/// What a word means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'f> {
    pub place: usize,
    pub kind: &'f Kind,
    /// The place of the port that goes with the address.
    pub port: Option<usize>,
}

/// Words longer than this are no misspelt names.
const LONGEST_NAME: usize = 48;

impl Fields {
    /// These fields, and words that stand for an address and its port: word, field of the address, field of the port.
    pub fn new(fields: Vec<Field>, endpoints: &[(&'static str, &str, &str)]) -> Self {
        let place = |name: &str| fields.iter().position(|field| field.name == name);
        let endpoints =
            endpoints.iter().filter_map(|(word, ip, port)| Some((*word, place(ip)?, place(port)?))).collect();
        Self { fields, endpoints }
    }

    pub(super) fn find(&self, name: &str) -> Option<Found<'_>> {
        let named = |name: &str| self.fields.iter().position(|field| field.name == name);
        let short = || self.fields.iter().position(|field| field.name.strip_suffix("_ns") == Some(name));
        let endpoint = self.endpoints.iter().find(|(word, ..)| *word == name);
        let (place, port) = match endpoint {
            Some((_, ip, port)) => (*ip, Some(*port)),
            None => (named(name).or_else(short)?, None),
        };
        self.fields.get(place).map(|field| Found { place, kind: &field.kind, port })
    }

    /// The name that `word` is most like, if it is like one.
    pub(super) fn like(&self, word: &str) -> Option<&'static str> {
        let names = self.fields.iter().map(|field| field.name.strip_suffix("_ns").unwrap_or(field.name));
        nearest(word, names.chain(self.endpoints.iter().map(|(name, ..)| *name)))
    }
}

/// The candidate that differs from `word` in the fewest letters, if those are few.
pub(super) fn nearest(word: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() > LONGEST_NAME {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().map(|char| if char == '-' { '_' } else { char }).collect();
    let far = |candidate: &str| {
        let candidate: Vec<char> = candidate.to_lowercase().chars().collect();
        distance(&word, &candidate)
    };
    let (least, name) = candidates.map(|candidate| (far(candidate), candidate)).min_by_key(|(far, _)| *far)?;
    (least <= (word.len() / 3).clamp(1, 3)).then_some(name)
}

/// Letters to insert, drop, change or swap with their neighbour (optimal string alignment).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&above, column) + usize::from(from != to);
            let mut least = changed.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let swapped = row > 0 && column > 0 && left.get(row - 1) == Some(to) && right.get(column - 1) == Some(from);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_guessed_and_another_word_is_not() {
        let near = |word| nearest(word, ["handshake", "closing", "connect", "reset_by_server"].into_iter());
        assert_eq!(near("handshak"), Some("handshake"));
        assert_eq!(near("hnadshake"), Some("handshake"));
        assert_eq!(near("rest_by_server"), Some("reset_by_server"));
        assert_eq!(near("Reset-By-Servr"), Some("reset_by_server"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"x".repeat(1_000)), None);
    }

    #[test]
    fn neighbours_that_changed_places_are_one_slip() {
        let far =
            |left: &str, right: &str| distance(&left.chars().collect::<Vec<_>>(), &right.chars().collect::<Vec<_>>());
        assert_eq!(far("ab", "ba"), 1);
        assert_eq!(far("", "abc"), 3);
        assert_eq!(far("kitten", "sitting"), 3);
    }
}
