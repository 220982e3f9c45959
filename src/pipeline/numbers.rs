//! `conn_id`: connections counted from 1 in the order of their first frame. In: where connections began, tick by tick. Out: their
//! numbers.

/// The numbers of the connections that are not told yet.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Places in the run where connections began since numbers were last given out, and those where none did after all.
    new: Vec<u64>,
    dropped: Vec<u64>,
    /// Place and number, in order; number 0 for what was told.
    given: Vec<(u64, u64)>,
    told: usize,
    last: u64,
}

impl Numbers {
    /// What the table saw begin, and what of it turned out not to have begun.
    pub fn note(&mut self, starts: &mut Vec<u64>, dropped: &mut Vec<u64>) {
        self.new.append(starts);
        self.dropped.append(dropped);
    }

    /// How many connections have begun so far, as it looks.
    pub fn begun(&self) -> usize {
        (self.last as usize + self.new.len()).saturating_sub(self.dropped.len())
    }

    /// Gives numbers to all that were noted. One that turns out later to have begun no connection leaves a gap: its number can no longer go to
    /// the next, which may have been told.
    pub fn give(&mut self) {
        // Each table's are in order, all but a few: runs, which only have to be merged.
        self.new.sort();
        self.dropped.sort_unstable();
        let dropped = std::mem::take(&mut self.dropped);
        if self.told * 2 > self.given.len() {
            self.given.retain(|&(_, number)| number != 0);
            self.told = 0;
        }
        self.given.reserve_exact(self.new.len());
        for place in std::mem::take(&mut self.new) {
            if dropped.binary_search(&place).is_err() {
                self.last += 1;
                self.given.push((place, self.last));
            }
        }
    }

    /// The numbers of connections by the places where they began, asked in ascending order.
    pub fn ask(&mut self) -> Asking<'_> {
        Asking { numbers: self, from: 0 }
    }
}

/// See [`Numbers::ask`].
pub struct Asking<'a> {
    numbers: &'a mut Numbers,
    from: usize,
}

impl Asking<'_> {
    /// The number of the connection that began at `place`, which is told now. 0 would be one that nobody saw begin.
    pub fn number(&mut self, place: u64) -> u64 {
        let given = &self.numbers.given;
        // Near the last one: both lists are in order.
        let mut step = 1;
        while given.get(self.from + step).is_some_and(|&(other, _)| other < place) {
            step *= 2;
        }
        let end = (self.from + step + 1).min(given.len());
        let at = self.from + given[self.from.min(end)..end].partition_point(|&(other, _)| other < place);
        self.from = at;
        let Some(found) = self.numbers.given.get_mut(at).filter(|found| found.0 == place) else { return 0 };
        self.numbers.told += 1;
        std::mem::take(&mut found.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &mut Numbers, places: &[u64]) -> Vec<u64> {
        let mut asking = numbers.ask();
        places.iter().map(|&place| asking.number(place)).collect()
    }

    #[test]
    fn connections_count_in_the_order_of_their_first_frames() {
        let mut all = Numbers::default();
        all.note(&mut vec![7, 2], &mut Vec::new());
        all.note(&mut vec![5, 3], &mut vec![3]);
        all.give();
        assert_eq!(numbers(&mut all, &[2, 7]), [1, 3]);
        all.note(&mut vec![20, 11], &mut Vec::new());
        all.give();
        assert_eq!(numbers(&mut all, &[5, 11, 20]), [2, 4, 5]);
    }

    #[test]
    fn what_is_dropped_too_late_leaves_a_gap() {
        let mut all = Numbers::default();
        all.note(&mut vec![1, 2], &mut Vec::new());
        all.give();
        all.note(&mut vec![3], &mut vec![2]);
        all.give();
        assert_eq!(numbers(&mut all, &[1, 3]), [1, 3]);
    }

    #[test]
    fn many_are_found_wherever_they_lie() {
        let mut all = Numbers::default();
        for round in 0..20_u64 {
            all.note(&mut (0..1_000).map(|n| round * 1_000 + n).collect(), &mut Vec::new());
            all.give();
            let places: Vec<u64> = (0..1_000).filter(|n| n % 7 == round % 7).map(|n| round * 1_000 + n).collect();
            let expected: Vec<u64> = places.iter().map(|place| place + 1).collect();
            assert_eq!(numbers(&mut all, &places), expected);
        }
    }
}
