//! What stands in a column. In: a row. Out: one value of the column's type.

use std::fmt;
use std::net::IpAddr;

use crate::metrics::rows::{
    ActiveCloser, AnomalyKind, App, CaptureInfo, Closing, FinCause, Opening, RepeatedBy, Stimulus, Tap, TimeWaitEnd,
    TlsVersion,
};
use crate::tcp::segment::FrameId;
use crate::tcp::state::{Evidence, Side, State};
use crate::time::Timestamp;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed 64-bit integer. Counts too: the difference of two of them never wraps.
    Integer,
    /// A 64-bit float.
    Real,
    /// `true` or `false`.
    Flag,
    /// UTF-8.
    Text,
    /// An instant, in nanoseconds, UTC.
    Time,
}

impl Kind {
    /// The type's name in the dictionary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "i64",
            Self::Real => "f64",
            Self::Flag => "bool",
            Self::Text => "string",
            Self::Time => "datetime[ns, UTC]",
        }
    }
}

/// One value of a table; `Null` in any column is "unknown".
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Flag(bool),
    Time(Timestamp),
    /// Letters, digits, underscores and dots: nothing that a format must escape.
    Word(&'static str),
    Text(&'a str),
    /// Text that is made here, without a `String` a field.
    Shown(Shown),
}

/// Values whose text is what `Display` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Shown {
    Ip(IpAddr),
    Tunnel(crate::tcp::segment::Tunnel),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Tunnel(tunnel) => tunnel.fmt(f),
        }
    }
}

/// Values that cells are made of; `None` becomes [`Cell::Null`].
macro_rules! into_cell {
    ($($value:ty: |$name:ident| $cell:expr;)+) => {
        $(impl<'a> From<$value> for Cell<'a> {
            fn from($name: $value) -> Self { $cell }
        })+
    };
}

into_cell! {
    i64: |value| Cell::Integer(value);
    // No count of packets or bytes comes near the limit; clamped rather than wrapped all the same.
    u64: |value| Cell::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    u32: |value| Cell::Integer(value.into());
    u16: |value| Cell::Integer(value.into());
    u8: |value| Cell::Integer(value.into());
    f64: |value| if value.is_finite() { Cell::Real(value) } else { Cell::Null };
    bool: |value| Cell::Flag(value);
    Timestamp: |value| Cell::Time(value);
    &'a str: |value| Cell::Text(value);
    IpAddr: |value| Cell::Shown(Shown::Ip(value));
    crate::tcp::segment::Tunnel: |value| Cell::Shown(Shown::Tunnel(value));
    FrameId: |value| value.number().into();
    State: |value| Cell::Word(value.name());
    Side: |value| Cell::Word(value.name());
    Evidence: |value| Cell::Word(value.name());
    // Of these some have a comma.
    Stimulus: |value| match value {
        Stimulus::SndSynAck | Stimulus::RcvSynAck => Cell::Text(value.trigger()),
        _ => Cell::Word(value.trigger()),
    };
    Opening: |value| Cell::Word(value.name());
    Closing: |value| Cell::Word(value.name());
    ActiveCloser: |value| Cell::Word(value.name());
    Tap: |value| Cell::Word(value.name());
    FinCause: |value| Cell::Word(value.name());
    RepeatedBy: |value| Cell::Word(value.name());
    TimeWaitEnd: |value| Cell::Word(value.name());
    AnomalyKind: |value| Cell::Word(value.name());
    App: |value| Cell::Word(value.name());
    TlsVersion: |value| Cell::Word(value.name());
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// What a cell needs beside its row: the names of the inputs.
#[derive(Clone, Debug, Default)]
pub struct Files {
    names: Vec<String>,
}

impl Files {
    /// Of the run's inputs.
    pub fn of(captures: &[CaptureInfo]) -> Self {
        Self::new(captures.iter().map(|capture| capture.path.clone()).collect())
    }

    /// Of inputs with these names, in the order of the command line.
    pub const fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The input that a frame stands in; `None` with a single input, where it goes without saying.
    pub fn name(&self, frame: FrameId) -> Option<&str> {
        let several = self.names.len() > 1;
        self.names.get(usize::from(frame.file())).filter(|_| several).map(String::as_str)
    }
}

/// A column of the table whose rows are `R`.
pub struct Column<R: 'static> {
    /// Its name, for ever.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// `ns`, `bytes`, `packets` …; empty for what has none.
    pub unit: &'static str,
    /// What it says, in one sentence.
    pub meaning: &'static str,
    /// Takes the value from a row.
    pub cell: for<'a> fn(&'a R, &'a Files) -> Cell<'a>,
}
