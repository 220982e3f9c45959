//! 4-tuples that have several flows. In: a segment of one. Out: the flow it belongs to, a flow of its own where a SYN was seen elsewhere.

use super::Tracker;
use crate::conntrack::apart::{self, Beginning, Place, Says};
use crate::conntrack::brief::Brief;
use crate::conntrack::head::Head;

impl Tracker {
    /// Which of its flows a segment of a split 4-tuple belongs to: those that are apart have their places, one has all others.
    #[cold]
    fn find_split(&mut self, brief: &Brief, hash: u64) -> Option<u32> {
        let Self { heads, apart, index, .. } = self;
        let (addressed, way) = (brief.addressed(), brief.direction());
        let of_key = |number| heads.get(number).is_of(&brief.key);
        let own = index.find(hash, |number| of_key(number) && apart.owns(number, &addressed, way));
        own.or_else(|| index.find(hash, |number| of_key(number) && !apart.has(number)))
    }

    /// The flow that a segment belongs to.
    pub(super) fn find(&mut self, brief: &Brief, hash: u64) -> Option<u32> {
        let found = self.index.find(hash, |number| self.heads.get(number).is_of(&brief.key))?;
        if self.heads.get(found).is(Head::SPLIT) { self.find_split(brief, hash) } else { Some(found) }
    }

    /// Takes a segment of a 4-tuple that has several flows.
    #[cold]
    pub(super) fn feed_split(&mut self, brief: &Brief, hash: u64) {
        match self.find_split(brief, hash) {
            Some(number) => self.feed_known(number, brief, hash),
            None => {
                let number = self.begin(brief, hash);
                self.heads.get_mut(number).mark(Head::SPLIT);
            }
        }
    }

    /// A SYN of a flow's 4-tuple: does it begin a flow of its own, because it was seen elsewhere?
    #[cold]
    pub(super) fn is_elsewhere(&mut self, number: u32, brief: &Brief) -> bool {
        let head = *self.heads.get(number);
        if self.config.ignore_vlan || head.is(Head::SEVERAL_PLACES) {
            return false;
        }
        let addressed = brief.addressed();
        let here = Place::of(addressed.vlan, addressed.tunnel);
        let beginning = match self.unpacked_flow(&head) {
            Some(flow) => flow.beginning(),
            None => {
                let place = Place::of(self.read(number), self.tunnels.get(&number).copied());
                if place == here {
                    return false;
                }
                let first = self.scratch.first().filter(|first| first.flags().is_bare_syn());
                first.map(|first| Beginning { place, direction: first.direction(), iss: first.seq() })
            }
        };
        match beginning.map(|beginning| beginning.compare(&addressed, brief.direction())) {
            Some(Says::SeveralPlaces) => self.heads.get_mut(number).mark(Head::SEVERAL_PLACES),
            Some(Says::Elsewhere) => return true,
            Some(Says::Nothing) | None => {}
        }
        false
    }

    /// Begins a flow apart from those of its 4-tuple, one of which is `number`; not if there are too many already.
    #[cold]
    pub(super) fn begin_apart(&mut self, number: u32, brief: &Brief, hash: u64) -> bool {
        let mut same = 0;
        let heads = &self.heads;
        self.index.find(hash, |number| {
            same += usize::from(heads.get(number).is_of(&brief.key));
            false
        });
        if same >= apart::MOST {
            return false;
        }
        self.heads.get_mut(number).mark(Head::SPLIT);
        let addressed = brief.addressed();
        let place = Place::of(addressed.vlan, addressed.tunnel);
        let (direction, iss) = (brief.direction(), brief.seq());
        let own = self.begin(brief, hash);
        // What is worth least may have had to go; it was not this one, which is the newest, unless there is room for none.
        if self.heads.get(own).is_of(&brief.key) {
            self.heads.get_mut(own).mark(Head::SPLIT);
            self.apart.insert(own, Beginning { place, direction, iss });
        }
        true
    }
}
