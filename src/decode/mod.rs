//! Bytes → headers. Never fails the run: what yields no segment is counted under a [`skip::Skip`].
