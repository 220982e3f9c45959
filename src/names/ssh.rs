//! SSH's identification string. In: the first bytes of a side. Out: its line.

/// Longest identification string, with its end (RFC 4253 4.2).
const LONGEST: usize = 255;
/// Lines that a server may send first are read up to here.
const BEFORE: usize = 1_024;

/// May these be lines with an identification string behind them? Segments that are full of data are not.
pub fn may_have_line(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\r' | b'\n' | b'\t');
    bytes.len() <= BEFORE && bytes.ends_with(b"\n") && bytes.iter().all(is_text) && line(bytes).is_some()
}

/// The identification string in `bytes`, without its end (RFC 4253 4.2): the first line that begins with `SSH-`. `None` if there is none, or
/// if its end is missing.
pub fn line(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.get(..BEFORE + LONGEST).unwrap_or(bytes);
    let line = bytes.split_inclusive(|&byte| byte == b'\n').find(|line| line.starts_with(b"SSH-"))?;
    let line = line.strip_suffix(b"\n").filter(|line| line.len() < LONGEST)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // `SSH-protoversion-softwareversion`: RFC 4253 allows 2.0 and, for the old, 1.x.
    matches!(line, [b'S', b'S', b'H', b'-', b'1' | b'2', b'.', ..]).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_is_the_first_line_that_begins_so() {
        assert_eq!(line(b"SSH-2.0-OpenSSH_9.6\r\n"), Some(&b"SSH-2.0-OpenSSH_9.6"[..]));
        assert_eq!(line(b"SSH-1.99-old\n"), Some(&b"SSH-1.99-old"[..]));
        assert_eq!(line(b"be polite\r\nand short\r\nSSH-2.0-x\r\n\0\0\x05"), Some(&b"SSH-2.0-x"[..]));
        for none in [&b"SSH-2.0-x"[..], b"SSH-9.0-x\r\n", b"SSH-\r\n", b"xSSH-2.0-x\r\n", b""] {
            assert_eq!(line(none), None, "{none:?}");
        }
        let long = [&b"SSH-2.0-"[..], &[b'x'; 300], b"\r\n"].concat();
        assert_eq!(line(&long), None);
    }
}
