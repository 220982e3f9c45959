//! What a condition is made of once it is read: tests, and jumps that pass over what no longer matters.

use super::test::Test;

/// A step of a condition.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Test(Test),
    /// The other way round.
    Not,
    /// On to that step if what came out so far is false.
    IfFalse(usize),
    /// On to that step if what came out so far is true.
    IfTrue(usize),
}
