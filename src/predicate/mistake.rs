//! What is wrong with a condition, and where. In: the text and a place in it. Out: a sentence, and two lines that point.

use std::fmt;
use std::ops::Range;

/// Characters of the text that are shown.
const SHOWN: usize = 96;
/// Characters shown before the place, where the text is longer than that.
const BEFORE: usize = 32;

/// A mistake in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    said: String,
    shown: String,
    marks: String,
}

impl Mistake {
    /// `said` of the bytes `at` in `text`; an empty range points at what is missing there.
    pub(super) fn new(text: &str, at: Range<usize>, said: String) -> Self {
        let chars_before = text.char_indices().take_while(|(byte, _)| *byte < at.start).count();
        let marked = text.char_indices().filter(|(byte, _)| at.contains(byte)).count().max(1);
        let all = text.chars().count();
        let from = if all <= SHOWN { 0 } else { chars_before.saturating_sub(BEFORE) };
        // Tabs, line feeds and terminal commands would move what stands below.
        let harmless = |char: char| if char.is_control() { ' ' } else { char };
        let mut shown = String::new();
        if from > 0 {
            shown.push('…');
        }
        shown.extend(text.chars().skip(from).take(SHOWN).map(harmless));
        if all > from + SHOWN {
            shown.push('…');
        }
        let marked = marked.min((from + SHOWN).saturating_sub(chars_before).max(1));
        let marks = " ".repeat(chars_before - from + usize::from(from > 0)) + &"^".repeat(marked);
        Self { said, shown, marks }
    }

    /// What is wrong, in a sentence.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// The text, or what stands around the place if it is long, and below it marks under the place.
    pub fn place(&self) -> [&str; 2] {
        [&self.shown, &self.marks]
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}\n  {}", self.said, self.shown, self.marks)
    }
}

impl std::error::Error for Mistake {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_under_their_place() {
        let shown = |text: &str, at| Mistake::new(text, at, "no".into()).to_string();
        assert_eq!(shown("abc def", 4..7), "no\n  abc def\n      ^^^");
        assert_eq!(shown("abc", 3..3), "no\n  abc\n     ^");
        assert_eq!(shown("µµ\tx", 5..6), "no\n  µµ x\n     ^");
        assert_eq!(shown("", 0..0), "no\n  \n  ^");
    }

    #[test]
    fn of_a_long_text_the_neighbourhood_is_shown() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let mistake = Mistake::new(&text, 500..504, String::new());
        let [shown, marks] = mistake.place();
        assert_eq!(shown.chars().count(), SHOWN + 2);
        let place = marks.find('^').unwrap();
        assert_eq!(shown.chars().skip(place).take(4).collect::<String>(), "HERE");
        assert!(marks.ends_with(" ^^^^"));
        let mistake = Mistake::new(&text, 0..1_004, String::new());
        assert_eq!(mistake.place()[1].len(), SHOWN);
    }
}
