//! Sizes of memory as a person types them: `512M`, `2G`, `1.5GiB`; a bare number is bytes. Units are powers of 1024.

/// The least that any command can work in, in bytes.
const LEAST: f64 = (64_u64 << 20) as f64;

/// More than any machine has, far below what 64 bits can hold: an exbibyte.
const MOST: f64 = (1_u64 << 60) as f64;

/// Reads a size in bytes, from 64M on.
///
/// # Errors
///
/// A sentence for the user: not a number, an unknown unit, too little or absurdly much.
pub fn parse(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    let (number, unit) = match bare.char_indices().next_back() {
        Some((at, 'K')) => (&bare[..at], 10),
        Some((at, 'M')) => (&bare[..at], 20),
        Some((at, 'G')) => (&bare[..at], 30),
        Some((at, 'T')) => (&bare[..at], 40),
        _ => (bare, 0),
    };
    // `f64` also reads `inf`, `nan` and `1e9`; a size is digits with at most one point.
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let bytes = match number.parse::<f64>() {
        Ok(value) if plain => value * (1_u64 << unit) as f64,
        _ => return Err("a size is a number and a unit: 512M, 2G (no unit: bytes)".to_owned()),
    };
    if bytes < LEAST {
        return Err("less than 64M is not enough".to_owned());
    }
    if bytes > MOST {
        return Err("no machine has as much".to_owned());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_fractions_are_read() {
        assert_eq!(parse("512M"), Ok(512 << 20));
        assert_eq!(parse("2G"), Ok(2 << 30));
        assert_eq!(parse("2g"), Ok(2 << 30));
        assert_eq!(parse("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse("256MB"), Ok(256 << 20));
        assert_eq!(parse("131072K"), Ok(128 << 20));
        assert_eq!(parse("1T"), Ok(1 << 40));
        assert_eq!(parse("1073741824"), Ok(1 << 30));
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in ["", "G", "-1G", "infG", "nan", "1e9", "1.2.3G", "2 G", "0", "63M", "9999999T", "5 apples", "é"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
