//! Names come from strangers and end in terminals, tables and pages. In: bytes. Out: text that does nothing but be read.

use std::sync::Arc;

/// Most characters of a name: as many as a host name may have (RFC 1035 2.3.4).
const MOST: usize = 255;

/// `bytes` as text: what is no UTF-8, controls a terminal, turns the direction of writing or takes no room becomes U+FFFD; no more than 255
/// characters. `None` where nothing is left.
pub fn safe(bytes: &[u8]) -> Option<Arc<str>> {
    // Four bytes a character at most; a broken one at the end is cut off with the rest.
    let bytes = bytes.get(..4 * MOST + 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut safe: String =
        text.trim().chars().take(MOST).map(|char| if is_plain(char) { char } else { '\u{fffd}' }).collect();
    safe.truncate(safe.trim_end().len());
    (!safe.is_empty()).then(|| safe.into())
}

/// The same for names of hosts, in lower case: `Example.COM` and `example.com` are one (RFC 4343).
pub fn host(bytes: &[u8]) -> Option<Arc<str>> {
    safe(&bytes.to_ascii_lowercase())
}

fn is_plain(char: char) -> bool {
    let hidden = matches!(
        u32::from(char),
        // Soft hyphen, zero widths, marks and overrides of direction, line ends, invisible operators, byte order mark, tags.
        0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff
    );
    !char.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_do_something_is_replaced() {
        let text = |bytes: &[u8]| safe(bytes).map(|text| text.to_string());
        assert_eq!(text(b"example.com").as_deref(), Some("example.com"));
        assert_eq!(text(b"a\x1b[2Jb\r\nc\x00").as_deref(), Some("a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}"));
        assert_eq!(text(b"a\xff\xfeb").as_deref(), Some("a\u{fffd}\u{fffd}b"));
        assert_eq!(text("a\u{202e}moc\u{200b}".as_bytes()).as_deref(), Some("a\u{fffd}moc\u{fffd}"));
        assert_eq!(text("bücher.example".as_bytes()).as_deref(), Some("bücher.example"));
        assert_eq!(text(b" \t ").as_deref(), None);
        assert_eq!(host(b"Example.COM").as_deref(), Some("example.com"));
    }

    #[test]
    fn a_name_has_no_more_than_255_characters() {
        assert_eq!(safe(&[b'a'; 70_000]).map(|text| text.len()), Some(255));
        assert_eq!(safe("ü".repeat(9_000).as_bytes()).map(|text| text.chars().count()), Some(255));
        assert_eq!(safe(&[0xff; 9_000]).map(|text| text.chars().count()), Some(255));
    }
}
