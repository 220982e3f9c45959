//! How the connections of a profile behave. In: what was asked for. Out: the chances and times of [`Talk`](super::talk::Talk).

use super::{Profile, Settings};

/// What the connections of a profile have in common. Chances are in 65,536.
pub struct Habits {
    /// Microseconds a connection has for each of its packets, on average.
    pub pace: u64,
    /// A packet that asks for an answer dies behind the tap.
    pub loss: u32,
    pub refused: u32,
    pub unanswered: u32,
    /// Ends with RST instead of FIN.
    pub aborted: u32,
    pub stamped: u32,
    pub ipv6: u32,
    pub tagged: u32,
    /// The client sends the data.
    pub uploads: u32,
    /// Two segments of a burst change places in front of the tap.
    pub swapped: u32,
    pub kind: Kind,
    /// Most segments in a burst.
    pub burst: u32,
    /// Delays are these parts of 256 of what they would be, so that few connections can keep up the rate.
    pub hurry: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One request, one to three segments of response.
    Short,
    /// Two to some thousands of segments.
    Tailed,
    /// Segments for ever.
    Endless,
    /// Hardly anything, for ever.
    Idle,
}

impl Habits {
    /// Those of a profile, at the asked rate.
    pub fn new(settings: &Settings, noise: u32) -> Self {
        // Time for each packet of a connection, if all keep to the rate; UDP takes its part.
        let pace = u64::from(settings.flows) * 1_000_000 / settings.rate.max(1);
        let pace = pace * u64::from(65_536 + noise) / 65_536;
        let ordinary = Self {
            pace,
            loss: 400,
            refused: 650,
            unanswered: 330,
            aborted: 1_300,
            stamped: 1 << 16,
            ipv6: 6_554,
            tagged: 0,
            uploads: 0,
            swapped: 0,
            kind: Kind::Short,
            burst: 10,
            // A connection's ways to and fro shall take a quarter of its time at most.
            hurry: u32::try_from(pace * 256 / 10_000).unwrap_or(256).clamp(1, 256),
        };
        match settings.profile {
            Profile::Short | Profile::Flood => ordinary,
            Profile::Mix | Profile::Headers => Self {
                loss: 200,
                stamped: 40_000,
                tagged: 10_000,
                uploads: 14_000,
                swapped: 1_000,
                kind: Kind::Tailed,
                ..ordinary
            },
            Profile::Bulk => Self {
                loss: 20,
                refused: 0,
                unanswered: 0,
                stamped: 0,
                kind: Kind::Endless,
                burst: 44,
                hurry: 256,
                ..ordinary
            },
            Profile::Idle => Self { loss: 50, refused: 0, unanswered: 0, kind: Kind::Idle, ..ordinary },
        }
    }

    /// A delay in microseconds, shortened.
    pub const fn hurried(&self, delay: u32) -> u64 {
        (delay as u64 * self.hurry as u64) >> 8
    }
}
