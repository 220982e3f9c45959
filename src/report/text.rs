//! Text in columns. In: words of any origin. Out: words without control characters, padded by how wide they are shown.

use std::borrow::Cow;

use crate::metrics::phrase::thousands;

/// `text` without characters that would move the cursor or colour the screen: names of files are not ours.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// How many columns of a terminal `text` takes: none for combining marks, two for what East Asia writes wide.
pub fn width(text: &str) -> usize {
    text.chars().map(wide).sum()
}

fn wide(letter: char) -> usize {
    match u32::from(letter) {
        0x300..=0x36f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// `text` and spaces up to `columns`.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Spaces and `text` up to `columns`.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` in lines of at most `columns`, broken between words; a word that is longer has a line of its own.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `48.2 MB`, `812 kB`, `97 bytes`: decimal, as disks are sold.
pub fn bytes(count: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => {
            let value = count as f64 / unit as f64;
            if value < 99.95 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") }
        }
        None => format!("{} bytes", thousands(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 20), ["one two three"]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two-and-a-half three", 6), ["one", "two-and-a-half", "three"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(clean("web\u{1b}[2J.pcap\n"), "web\u{fffd}[2J.pcap\u{fffd}");
        assert_eq!(clean("größe.pcap"), "größe.pcap");
    }

    #[test]
    fn columns_are_counted_as_they_are_shown() {
        assert_eq!((width("10.0.0.5:443"), width("größe"), width("捕获"), width("e\u{301}")), (12, 5, 4, 1));
        assert_eq!(left("捕获", 6), "捕获  ");
        assert_eq!(right("µs", 4), "  µs");
        assert_eq!(right("too long", 4), "too long");
    }

    #[test]
    fn sizes_have_their_unit() {
        let all = [0, 999, 1_000, 48_200_000, 812_000, 5_000_000_000_000].map(bytes);
        assert_eq!(all, ["0 bytes", "999 bytes", "1.0 kB", "48.2 MB", "812 kB", "5.0 TB"]);
    }
}
