//! What stands in a row. In: nothing. Out: a value of any kind.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::time::Timestamp;

/// A row's value in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Unknown.
    Null,
    /// A count, a size, a number of nanoseconds.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// True or false.
    Flag(bool),
    /// An instant.
    Time(Timestamp),
    /// A word or any text.
    Text(Cow<'a, str>),
    /// An address.
    Ip(IpAddr),
}
