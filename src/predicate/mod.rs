//! A condition on a row, in words: `closing == reset_by_server and (handshake > 50ms or client in 10.0.0.0/8)`.
//! In: the text, and what kind of value each field holds. Out: true or false for a row, or the place of the mistake.
//!
//! ```text
//! condition   test, not c, !c, c and c, c && c, c or c, c || c, ( c )      not binds most, or least
//! test        field == value    also = != < <= > >=; the value may be another field of the same kind
//!             field in list     also not in; list: a value, a network, low..high, or ( … , … )
//!             field contains text     field ~ pattern: ignoring case, * is any text
//!             field                   one that is true or false
//! value       a word or 'quoted text'; null is the unknown
//! ```
//!
//! Unknown compares as false with everything, also by `!=` and `not in`; `== null` and `!= null` ask for it.

use step::Step;

mod fields;
mod literal;
mod mistake;
mod parse;
mod step;
mod syntax;
mod test;
#[cfg(test)]
mod tests;
mod value;

pub use fields::{Field, Fields, Kind};
pub use mistake::Mistake;
pub use value::Value;

/// A condition, ready to be asked: tests one after the other with jumps between them, so that it needs no stack, and no more
/// tests than decide.
#[derive(Clone, Debug)]
pub struct Predicate {
    steps: Vec<Step>,
}

impl Predicate {
    /// Reads a condition on rows with `fields`.
    ///
    /// # Errors
    ///
    /// The first mistake in it, and where that is.
    pub fn parse(text: &str, fields: &Fields) -> Result<Self, Mistake> {
        parse::predicate(text, fields).map(|steps| Self { steps })
    }

    /// Whether a row meets it; `value_of` gives the row's values by the fields' places.
    pub fn holds<'a>(&self, value_of: impl Fn(usize) -> Value<'a>) -> bool {
        let (mut at, mut holds) = (0, false);
        // Jumps go forward only.
        while let Some(step) = self.steps.get(at) {
            at += 1;
            match step {
                Step::Test(test) => holds = test.holds(&value_of),
                Step::Not => holds = !holds,
                Step::IfFalse(to) if !holds => at = *to,
                Step::IfTrue(to) if holds => at = *to,
                Step::IfFalse(_) | Step::IfTrue(_) => {}
            }
        }
        holds
    }
}
