//! What time it is in each input. In: packets, with or without times of their own. Out: the time that each is taken to have passed at.

use crate::time::Timestamp;

/// The last timestamp of each input, for packets that have none of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks(Vec<Timestamp>);

impl Clocks {
    /// The packet's time: its own, else that of the packet before it in its input, else the epoch.
    #[inline]
    pub(super) fn at(&mut self, file: u16, own: Option<Timestamp>) -> Timestamp {
        let file = usize::from(file);
        if self.0.len() <= file {
            self.0.resize(file + 1, Timestamp::default());
        }
        let ts = own.or_else(|| self.0.get(file).copied()).unwrap_or_default();
        if let Some(clock) = self.0.get_mut(file) {
            *clock = ts;
        }
        ts
    }
}
