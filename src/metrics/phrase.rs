//! Numbers in sentences. In: a count. Out: text with thousands separators and the noun in the right number.

/// `412,903`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 connection`, `12 connections`, `1,204 packets`: for nouns whose plural takes an s.
pub fn many(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let all = [0, 7, 999, 1_000, 412_903, 1_000_000, u64::MAX].map(thousands);
        assert_eq!(all, ["0", "7", "999", "1,000", "412,903", "1,000,000", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!([0, 1, 2_000].map(|n| many(n, "packet")), ["0 packets", "1 packet", "2,000 packets"]);
    }
}
