//! What bytes look like, for headers that do not say what they carry. In: a view. Out: whether it could begin so.

use super::view::View;

/// An IP packet whose lengths fit into the view.
pub(super) fn is_ip(view: View<'_>) -> bool {
    match *view.bytes() {
        [first @ 0x45..=0x4f, _, high, low, ..] => {
            let total = usize::from(u16::from_be_bytes([high, low]));
            total == 0 || (usize::from(first & 0x0f) * 4..=view.real()).contains(&total)
        }
        [first, _, _, _, high, low, ..] if first >> 4 == 6 => {
            usize::from(u16::from_be_bytes([high, low])) + 40 <= view.real()
        }
        _ => false,
    }
}

/// An Ethernet frame of a type that finwait knows; if that is IP, such a packet follows.
pub(super) fn is_ethernet(view: View<'_>) -> bool {
    const HEADER: usize = 14;
    let Some(&[high, low]) = view.bytes().get(12..HEADER) else { return false };
    match u16::from_be_bytes([high, low]) {
        0x0800 | 0x86dd => is_ip(view.skip_up_to(HEADER)),
        0x8100 | 0x88a8 | 0x9100 | 0x0806 | 0x8847 | 0x8848 | 0x8863 | 0x8864 => true,
        _ => false,
    }
}

/// A PPP frame with IP in it.
pub(super) fn is_ppp(view: View<'_>) -> bool {
    let view = if view.bytes().starts_with(&[0xff, 0x03]) { view.skip_up_to(2) } else { view };
    match *view.bytes() {
        [0x21 | 0x57, ..] => is_ip(view.skip_up_to(1)),
        [0x00, 0x21 | 0x57, ..] => is_ip(view.skip_up_to(2)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_do_not_fit_are_no_ip() {
        let mut packet = vec![0x45, 0, 0, 40];
        packet.resize(40, 0);
        assert!(is_ip(View::new(&packet, 40)));
        assert!(is_ip(View::new(&packet[..4], 40)));
        assert!(!is_ip(View::new(&packet, 39).trim(39)));
        assert!(!is_ip(View::new(&[0x44, 0, 0, 20], 20)));
        assert!(is_ip(View::new(&[0x60, 0, 0, 0, 0, 9], 49)));
        assert!(!is_ip(View::new(&[0x60, 0, 0, 0, 0, 9], 48)));
        assert!(is_ppp(View::new(&[&[0xff, 3, 0, 0x21], &packet[..]].concat(), 44)));
        assert!(!is_ppp(View::new(&[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4], 8)));
        assert!(!is_ethernet(View::new(&packet, 40)));
    }
}
