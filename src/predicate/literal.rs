//! Values as they are written. In: a word and the kind of its field. Out: a literal, or what should stand there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::{Kind, nearest};
use super::test::{Literal, Member, Pattern};
use crate::time::{duration, instant};

/// Units of amounts, and how many each is; `B` may follow.
const UNITS: [(&str, f64); 7] =
    [("Ki", 1_024.0), ("Mi", 1_048_576.0), ("Gi", 1_073_741_824.0), ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9)];

/// Reads a value of `kind`.
///
/// # Errors
///
/// What the word is not, and what it may have been: the end of a sentence that begins with the word.
pub(super) fn read(word: &str, kind: &Kind) -> Result<Literal, String> {
    let literal = match kind {
        Kind::Number => number(word),
        Kind::Amount => number(word).or_else(|| amount(word)),
        Kind::Span => number(word).or_else(|| span(word)),
        Kind::Time => instant::parse_beginning(word).ok().map(Literal::Time),
        Kind::Flag => word.parse().ok().map(Literal::Flag),
        Kind::Text => Some(Literal::Text(word.to_owned())),
        Kind::Address => net(word),
        Kind::Words(words) => return one_of(word, words),
    };
    literal.ok_or_else(|| format!("is not {}", kind.what()))
}

/// Reads one of those that `in` names, and the right-hand side of `==` and `!=` for an address: a value, `low..high`, or an
/// address with a port.
///
/// # Errors
///
/// As [`read`].
pub(super) fn member(word: &str, kind: &Kind, with_port: bool) -> Result<Member, String> {
    let may_range = !matches!(kind, Kind::Text | Kind::Words(_) | Kind::Flag);
    if let Some((low, high)) = word.split_once("..").filter(|_| may_range) {
        return Ok(Member::Range(read(low, kind)?, read(high, kind)?));
    }
    let one = read(word, kind).map(Member::One);
    match one {
        Err(_) if with_port => endpoint(word).ok_or_else(|| {
            "is not an address, a network or an address with a port, such as 10.0.0.0/8, 10.0.0.1:443, [::1]:80"
                .to_owned()
        }),
        one => one,
    }
}

/// Reads what `contains` (in this case only) or `~` looks for.
pub(super) fn pattern(text: &str, in_any_case: bool) -> Pattern {
    if !in_any_case {
        return Pattern::Part(text.to_owned());
    }
    let text = text.to_lowercase();
    if text.contains('*') {
        Pattern::Pieces(text.split('*').map(str::to_owned).collect())
    } else {
        Pattern::PartInAnyCase(text)
    }
}

fn number(word: &str) -> Option<Literal> {
    if let Ok(number) = word.parse() {
        return Some(Literal::Integer(number));
    }
    // `f64` also reads `inf` and `nan`.
    word.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::Real)
}

fn amount(word: &str) -> Option<Literal> {
    let bare = word.strip_suffix('B').unwrap_or(word);
    let scaled = UNITS.iter().find_map(|(unit, times)| Some((bare.strip_suffix(unit)?, *times)));
    let (digits, times) = scaled.unwrap_or((bare, 1.0));
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| is_plain)?;
    Some(Literal::Real(number * times)).filter(|_| number.is_finite())
}

fn span(word: &str) -> Option<Literal> {
    let (sign, size) = word.strip_prefix('-').map_or((1, word), |size| (-1, size));
    duration::parse_any(size).ok().map(|span| Literal::Integer(sign * span.as_nanos()))
}

/// In any case, with hyphens or blanks for underscores: `time-wait`.
fn one_of(word: &str, words: &[&'static str]) -> Result<Literal, String> {
    let is_it = |known: &&str| {
        let same = |(typed, known): (u8, u8)| {
            typed.eq_ignore_ascii_case(&known) || known == b'_' && matches!(typed, b'-' | b' ')
        };
        word.len() == known.len() && word.bytes().zip(known.bytes()).all(same)
    };
    match words.iter().copied().find(|known| is_it(known)) {
        Some(known) => Ok(Literal::Text(known.to_owned())),
        None => Err(match nearest(word, words.iter().copied()) {
            Some(near) => format!("is none of its words; did you mean `{near}`?"),
            None => format!("is none of its words: {}", words.join(", ")),
        }),
    }
}

fn address(word: &str) -> Option<IpAddr> {
    let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|inside| inside.contains(':'));
    bare.unwrap_or(word).parse().ok()
}

/// An address, or those of a network. Bits behind the network's length do not matter.
fn net(word: &str) -> Option<Literal> {
    let Some((address_part, length)) = word.split_once('/') else {
        return address(word).map(|ip| Literal::Net(ip, ip));
    };
    let length: u32 = length.parse().ok().filter(|_| length.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(match address(address_part)? {
        IpAddr::V4(ip) if length <= 32 => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let ip = ip.to_bits();
            Literal::Net(Ipv4Addr::from_bits(ip & !hosts).into(), Ipv4Addr::from_bits(ip | hosts).into())
        }
        IpAddr::V6(ip) if length <= 128 => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let ip = ip.to_bits();
            Literal::Net(Ipv6Addr::from_bits(ip & !hosts).into(), Ipv6Addr::from_bits(ip | hosts).into())
        }
        _ => return None,
    })
}

/// `10.0.0.1:443`, `[2001:db8::1]:443`.
fn endpoint(word: &str) -> Option<Member> {
    let (host, port) = word.rsplit_once(':')?;
    let is_clear = !host.contains(':') || host.starts_with('[');
    Some(Member::Endpoint(net(host).filter(|_| is_clear)?, port.parse().ok()?))
}
