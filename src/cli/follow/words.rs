//! What is said of missing bytes. In: how many, and why. Out: words.

use crate::streams::Missing;

/// What stands where bytes are missing: tshark's mark, so that what knows the one knows the other.
pub(super) fn mark(len: u64) -> String {
    format!("[{len} bytes missing in capture file]")
}

/// Why, in words.
pub(super) const fn reason(why: Missing) -> &'static str {
    match why {
        Missing::NotCaptured => "acknowledged by the other side, but not in the capture",
        Missing::NotSeen => "neither in the capture nor acknowledged",
        Missing::Cut => "cut off by the capture's snapshot length",
        Missing::NotAwaited => "no longer waited for, to stay within --memory",
    }
}
