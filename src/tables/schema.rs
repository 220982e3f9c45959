//! The one place that names tables and columns. In: rows. Out: cells, and the dictionary that `finwait schema` prints.

/// A table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Table {
    Connections,
    Transitions,
    FinRetransmissions,
    TimeWait,
    Listeners,
    StateCensus,
    Anomalies,
}

impl Table {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 7] = [
        Self::Connections,
        Self::Transitions,
        Self::FinRetransmissions,
        Self::TimeWait,
        Self::Listeners,
        Self::StateCensus,
        Self::Anomalies,
    ];

    /// Its name: of the file, and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Transitions => "transitions",
            Self::FinRetransmissions => "fin_retransmissions",
            Self::TimeWait => "time_wait",
            Self::Listeners => "listeners",
            Self::StateCensus => "state_census",
            Self::Anomalies => "anomalies",
        }
    }

    /// The table with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// The dictionary as text for a person.
pub fn text() -> String {
    String::new()
}

/// The dictionary as one JSON array of tables.
pub fn json() -> String {
    String::new()
}
