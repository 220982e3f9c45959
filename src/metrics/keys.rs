//! Numbers in order, fast. In: numbers that spread over a range, as instants do. Out: the same, sorted in place.

use std::cmp::Ordering;
use std::net::IpAddr;

/// Fewer are sorted by comparing them.
const FEW: usize = 1 << 10;
/// Numbers that are left to be compared with each other, about.
const TOGETHER_BITS: u32 = 4;
/// More parts than that do not stay in a cache.
const MOST_BITS: u32 = 12;

/// The places of `len` things in the order that `compare` tells. Those that have a `key` are put in order by it, which is faster: it
/// has 96 bits at most, and agrees with the order.
pub fn order(len: usize, key: impl Fn(usize) -> Option<u128>, compare: impl Fn(usize, usize) -> Ordering) -> Vec<u32> {
    let (mut keyed, mut others) = (Vec::with_capacity(len), Vec::new());
    for place in 0..len {
        match key(place) {
            Some(key) => keyed.push(key << 32 | place as u128),
            None => others.push(place as u32),
        }
    }
    keyed.sort_unstable();
    others.sort_unstable_by(|&a, &b| compare(a as usize, b as usize));
    let mut others = others.into_iter().peekable();
    let mut order = Vec::with_capacity(len);
    for place in keyed.into_iter().map(|key| key as u32) {
        while let Some(other) = others.next_if(|&other| compare(other as usize, place as usize).is_lt()) {
            order.push(other);
        }
        order.push(place);
    }
    order.extend(others);
    order
}

/// An address as a number of 32 bits, in the order of addresses.
pub const fn v4(ip: IpAddr) -> Option<u128> {
    match ip {
        IpAddr::V4(ip) => Some(ip.to_bits() as u128),
        IpAddr::V6(_) => None,
    }
}

/// Sorts: by the bits that tell most apart first, each part by comparing.
pub fn sort(keys: &mut [u64]) {
    let bits = keys.len().max(1).ilog2().saturating_sub(TOGETHER_BITS).min(MOST_BITS);
    let one = keys.first().copied().unwrap_or(0);
    let (all, any) = keys.iter().fold((one, one), |(all, any), &key| (all & key, any | key));
    let used = (all ^ any).checked_ilog2().map_or(0, |top| top + 1);
    if keys.len() < FEW || used <= bits {
        return keys.sort_unstable();
    }
    let shift = used - bits;
    let part_of = |key: u64| (key >> shift) as usize & ((1 << bits) - 1);
    // Where the next number of a part goes, and where the part ends.
    let mut parts = vec![(0_usize, 0_usize); 1 << bits];
    keys.iter().for_each(|&key| parts[part_of(key)].1 += 1);
    let mut end = 0;
    for part in &mut parts {
        end += part.1;
        *part = (end - part.1, end);
    }
    let mut begun = 0;
    for part in 0..parts.len() {
        while parts[part].0 < parts[part].1 {
            // What stands there goes where it belongs, and makes what stood there go, until something belongs here.
            let here = parts[part].0;
            let mut key = keys[here];
            while part_of(key) != part {
                let next = &mut parts[part_of(key)].0;
                std::mem::swap(&mut keys[*next], &mut key);
                *next += 1;
            }
            keys[here] = key;
            parts[part].0 += 1;
        }
        keys[begun..parts[part].1].sort_unstable();
        begun = parts[part].1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::distinct::mix;

    #[test]
    fn things_with_keys_and_without_come_in_one_order() {
        let values: Vec<u64> = (0..500).map(|n| mix(n) % 1_000_000 * 2 + n % 2).collect();
        let key = |place: usize| (!values[place].is_multiple_of(3)).then(|| u128::from(values[place]));
        let order = order(values.len(), key, |a, b| values[a].cmp(&values[b]));
        assert!(order.windows(2).all(|pair| values[pair[0] as usize] <= values[pair[1] as usize]));
        assert_eq!(order.iter().collect::<std::collections::HashSet<_>>().len(), 500);
    }

    #[test]
    fn numbers_of_any_range_are_put_in_order() {
        let of = |count: u64, number: &dyn Fn(u64) -> u64| (0..count).map(number).collect::<Vec<_>>();
        let cases = [
            of(0, &|n| n),
            of(50_000, &mix),
            of(50_000, &|n| mix(n) >> 30 | 1 << 63),
            of(20_000, &|n| n),
            of(20_000, &|n| mix(n) % 3),
            of(20_000, &|n| if n == 7 { u64::MAX } else { mix(n) % 100_000 }),
            of(9_000, &|_| 5),
        ];
        for keys in cases {
            let (mut sorted, mut compared) = (keys.clone(), keys);
            sort(&mut sorted);
            compared.sort_unstable();
            assert_eq!(sorted, compared);
        }
    }
}
