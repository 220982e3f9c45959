//! The one palette. In: a state, a cause, a place in a list. Out: a colour, the same in pictures, page and terminal.

use crate::metrics::rows::FinCause;
use crate::tcp::state::State;

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `#1F4E8C`, upper case, as the SVG backend writes it.
    pub fn hex(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }

    /// `self` thinned with `other`: `share` of `self` remains, 0 to 1.
    pub fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) * share + f64::from(b) * (1.0 - share)).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

/// The ground of pictures.
pub const GROUND: Rgb = Rgb(0xff, 0xff, 0xff);
/// Text.
pub const INK: Rgb = Rgb(0x1c, 0x21, 0x28);
/// Second text: axes, units, remarks.
pub const MUTED: Rgb = Rgb(0x5c, 0x65, 0x70);
/// The grid, and the empty part of things.
pub const GRID: Rgb = Rgb(0xe4, 0xe7, 0xeb);
/// Lines that carry an axis or a group.
pub const RULE: Rgb = Rgb(0xb4, 0xba, 0xc2);

/// A state's colour: the handshake in yellows, ESTABLISHED green, the active closer's states in blues from light to dark,
/// the passive closer's in oranges, CLOSED and LISTEN grey.
pub const fn state(state: State) -> Rgb {
    match state {
        State::Closed => Rgb(0x9a, 0xa0, 0xa6),
        State::Listen => Rgb(0xcf, 0xd3, 0xd8),
        State::SynSent => Rgb(0xfb, 0xec, 0xb0),
        State::SynReceived => Rgb(0xec, 0xc8, 0x32),
        State::Established => Rgb(0x2f, 0x9f, 0x62),
        State::FinWait1 => Rgb(0xbf, 0xdc, 0xf5),
        State::FinWait2 => Rgb(0x82, 0xb8, 0xe8),
        State::CloseWait => Rgb(0xe5, 0x6f, 0x1c),
        State::Closing => Rgb(0x44, 0x86, 0xc6),
        State::LastAck => Rgb(0x9c, 0x3a, 0x0e),
        State::TimeWait => Rgb(0x1d, 0x4a, 0x86),
    }
}

/// The colour of a repeated FIN's cause.
pub const fn cause(cause: FinCause) -> Rgb {
    match cause {
        FinCause::FinLost => Rgb(0xd5, 0x5e, 0x00),
        FinCause::AckLost => Rgb(0x35, 0x83, 0xc9),
        FinCause::Unanswered => Rgb(0x5d, 0x25, 0x60),
        FinCause::Undecided => Rgb(0x9a, 0xa0, 0xa6),
    }
}

/// Colours of things that have none of their own, such as listeners and holders; told apart by lightness too.
pub const SERIES: [Rgb; 6] = [
    Rgb(0x1d, 0x4a, 0x86),
    Rgb(0xe0, 0x8a, 0x2c),
    Rgb(0x2a, 0x9d, 0x78),
    Rgb(0x8f, 0x2f, 0x62),
    Rgb(0x74, 0xb3, 0xe0),
    Rgb(0x7a, 0x62, 0x3c),
];

/// The colour of what is left over beside a series.
pub const OTHERS: Rgb = Rgb(0xa4, 0xaa, 0xb2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_colour_of_its_own() {
        for (n, one) in State::ALL.into_iter().enumerate() {
            for other in &State::ALL[..n] {
                assert_ne!(state(one), state(*other), "{one} {other}");
            }
        }
    }

    #[test]
    fn mixing_goes_from_one_to_the_other() {
        assert_eq!(INK.mixed(GROUND, 1.0), INK);
        assert_eq!(INK.mixed(GROUND, 0.0), GROUND);
        assert_eq!(Rgb(0, 0, 0).mixed(Rgb(100, 200, 250), 0.5).hex(), "#32647D");
    }
}
