//! Which ports there were. In: ports, each as often as it is taken. Out: how many different ones, in memory that is bounded.

/// A set of ports: a few in a list, many as bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    /// The first so many are sorted and distinct.
    sorted: usize,
    list: Vec<u16>,
    bits: Option<Box<[u64; 1024]>>,
}

impl Ports {
    /// Fewer are never put in order before the end.
    pub(super) const LEAST: usize = 32;
    /// A list of more is larger than the bits.
    const LISTED: usize = 4096;

    /// Takes a port.
    pub(super) fn add(&mut self, port: u16) {
        match &mut self.bits {
            Some(bits) => Self::set(bits, port),
            None => {
                self.list.push(port);
                if self.list.len() >= 2 * self.sorted.max(Self::LEAST) {
                    self.tidy();
                }
            }
        }
    }

    fn set(bits: &mut [u64; 1024], port: u16) {
        if let Some(word) = bits.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }

    fn tidy(&mut self) {
        self.list.sort_unstable();
        self.list.dedup();
        self.sorted = self.list.len();
        if self.list.len() > Self::LISTED {
            let mut bits = Box::new([0; 1024]);
            std::mem::take(&mut self.list).into_iter().for_each(|port| Self::set(&mut bits, port));
            self.bits = Some(bits);
        }
    }

    /// How much memory they take, in ports.
    pub(super) fn len(&self) -> usize {
        if self.bits.is_some() { Self::LISTED } else { self.list.len() }
    }

    /// How many different ones there are.
    pub(super) fn len_exactly(mut self) -> usize {
        self.tidy();
        self.bits.map_or(self.list.len(), |bits| bits.iter().map(|word| word.count_ones() as usize).sum())
    }
}
