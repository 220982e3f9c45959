//! One test of a row's value. In: a comparison with its literals. Out: true or false.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use super::value::Value;
use crate::time::Timestamp;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Integer(i64),
    Real(f64),
    Flag(bool),
    Time(Timestamp),
    Text(String),
    /// The addresses of a network, or one address: the first and the last.
    Net(IpAddr, IpAddr),
}

/// One of those that `in` names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member {
    Null,
    One(Literal),
    /// Both ends included.
    Range(Literal, Literal),
    /// An address, or those of a network, with this port.
    Endpoint(Literal, u16),
}

/// A text to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Anywhere in the value.
    Part(String),
    /// The same, in lower case, in any case.
    PartInAnyCase(String),
    /// The pieces between the asterisks, in lower case; together they make the whole value.
    Pieces(Vec<String>),
}

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    IsNull { field: usize, is: bool },
    Compare { field: usize, operator: Operator, with: Literal },
    Fields { left: usize, operator: Operator, right: usize },
    In { field: usize, port: Option<usize>, members: Vec<Member>, is: bool },
    Like { field: usize, pattern: Pattern },
}

impl Test {
    pub(super) fn holds<'a>(&self, value_of: &impl Fn(usize) -> Value<'a>) -> bool {
        match self {
            Self::IsNull { field, is } => (value_of(*field) == Value::Null) == *is,
            Self::Compare { field, operator, with } => match value_of(*field) {
                Value::Null => false,
                value => order(&value, with).map_or(*operator == Operator::Unequal, |order| operator.holds(order)),
            },
            Self::Fields { left, operator, right } => match (value_of(*left), value_of(*right)) {
                (Value::Null, _) | (_, Value::Null) => false,
                (left, right) => between(&left, &right).is_some_and(|order| operator.holds(order)),
            },
            Self::In { field, port, members, is } => {
                let value = value_of(*field);
                let port = || match port.map(value_of) {
                    Some(Value::Integer(port)) => Some(port),
                    _ => None,
                };
                let is_member = members.iter().any(|member| member.is(&value, port));
                // The unknown is in no list that does not name it, and not outside of one either.
                if value == Value::Null { is_member && *is } else { is_member == *is }
            }
            Self::Like { field, pattern } => match value_of(*field) {
                Value::Text(text) => pattern.fits(&text),
                Value::Ip(ip) => pattern.fits(&ip.to_string()),
                _ => false,
            },
        }
    }
}

impl Member {
    fn is(&self, value: &Value<'_>, port: impl FnOnce() -> Option<i64>) -> bool {
        match self {
            Self::Null => *value == Value::Null,
            Self::One(literal) => order(value, literal).is_some_and(Ordering::is_eq),
            Self::Range(low, high) => {
                order(value, low).is_some_and(Ordering::is_ge) && order(value, high).is_some_and(Ordering::is_le)
            }
            Self::Endpoint(net, wanted) => {
                order(value, net).is_some_and(Ordering::is_eq) && port() == Some(i64::from(*wanted))
            }
        }
    }
}

impl Pattern {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Part(part) => text.contains(part.as_str()),
            Self::PartInAnyCase(part) => text.to_lowercase().contains(part.as_str()),
            Self::Pieces(pieces) => fits(&text.to_lowercase(), pieces),
        }
    }
}

/// The first piece begins the text, the last ends it, and those between follow each other, each at its first place: a later
/// one could only leave less room for the rest.
fn fits(text: &str, pieces: &[String]) -> bool {
    let [first, between @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for piece in between {
        match rest.split_once(piece.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// How a value stands to a literal; `None` where the two have no order. A value in a network is equal to it.
fn order(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Ip(ip), Literal::Net(first, last)) if ip.is_ipv4() == first.is_ipv4() => Some(if ip < first {
            Ordering::Less
        } else if ip > last {
            Ordering::Greater
        } else {
            Ordering::Equal
        }),
        (Value::Text(left), Literal::Text(right)) => Some(left.as_ref().cmp(right)),
        (value, Literal::Integer(number)) => between(value, &Value::Integer(*number)),
        (value, Literal::Real(number)) => between(value, &Value::Real(*number)),
        (value, Literal::Flag(flag)) => between(value, &Value::Flag(*flag)),
        (value, Literal::Time(ts)) => between(value, &Value::Time(*ts)),
        _ => None,
    }
}

/// How two values stand to each other.
fn between(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right),
        // Exact up to 2^53: in nanoseconds, 104 days.
        (Value::Integer(left), Value::Real(right)) => (*left as f64).partial_cmp(right),
        (Value::Real(left), Value::Integer(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Flag(left), Value::Flag(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(Cow::as_ref(left).cmp(Cow::as_ref(right))),
        (Value::Ip(left), Value::Ip(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
