//! What `finwait schema` prints. In: the tables of the schema. Out: the dictionary as text or JSON.

use serde_json::{Value, json};

use super::schema::{Row, Table};
use crate::metrics::rows::{
    AnomalyRow, CensusRow, ConnectionRow, EphemeralPortRow, EphemeralPortUseRow, FinRetransmissionRow,
    ListenerQueueRow, ListenerRow, ServiceRow, TimeWaitRow, TransitionRow,
};

/// A column without its row type.
struct Entry {
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    meaning: &'static str,
}

fn entries_of<R: Row>() -> Vec<Entry> {
    R::columns().iter().map(|c| Entry { name: c.name, kind: c.kind.name(), unit: c.unit, meaning: c.meaning }).collect()
}

fn entries(table: Table) -> Vec<Entry> {
    match table {
        Table::Connections => entries_of::<ConnectionRow>(),
        Table::Transitions => entries_of::<TransitionRow>(),
        Table::FinRetransmissions => entries_of::<FinRetransmissionRow>(),
        Table::TimeWait => entries_of::<TimeWaitRow>(),
        Table::Listeners => entries_of::<ListenerRow>(),
        Table::StateCensus => entries_of::<CensusRow>(),
        Table::Anomalies => entries_of::<AnomalyRow>(),
        Table::ListenerQueues => entries_of::<ListenerQueueRow>(),
        Table::EphemeralPorts => entries_of::<EphemeralPortRow>(),
        Table::EphemeralPortUse => entries_of::<EphemeralPortUseRow>(),
        Table::Services => entries_of::<ServiceRow>(),
    }
}

/// The dictionary for a person: a heading a table, a line a column, an empty line between tables.
pub fn text() -> String {
    Table::ALL.map(table_text).join("\n")
}

/// One table's part of [`text`].
pub fn table_text(table: Table) -> String {
    let entries = entries(table);
    let width = |of: fn(&Entry) -> &str| entries.iter().map(|entry| of(entry).len()).max().unwrap_or(0);
    let (names, kinds, units) = (width(|e| e.name), width(|e| e.kind), width(|e| e.unit));
    let mut out = format!("{}: {}\n", table.name(), table.meaning());
    for Entry { name, kind, unit, meaning } in entries {
        let line = format!("  {name:names$}  {kind:kinds$}  {unit:units$}  {meaning}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The dictionary as a JSON array of `{table, meaning, columns: [{name, type, unit, meaning}]}`; no unit is null.
pub fn json() -> String {
    let tables: Vec<Value> = Table::ALL
        .into_iter()
        .map(|table| {
            let columns: Vec<Value> = entries(table)
                .iter()
                .map(|entry| {
                    let unit = (!entry.unit.is_empty()).then_some(entry.unit);
                    json!({ "name": entry.name, "type": entry.kind, "unit": unit, "meaning": entry.meaning })
                })
                .collect();
            json!({ "table": table.name(), "meaning": table.meaning(), "columns": columns })
        })
        .collect();
    format!("{:#}\n", Value::Array(tables))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_column_has_a_name_a_type_and_a_meaning() {
        for table in Table::ALL {
            assert!(!table.meaning().is_empty());
            for entry in entries(table) {
                assert!(entry.meaning.len() > 5, "{}.{}", table.name(), entry.name);
                assert_eq!(entry.unit == "ns", entry.name.ends_with("_ns"), "{}.{}", table.name(), entry.name);
                assert_eq!(entry.unit == "bytes", entry.name.contains("bytes"), "{}.{}", table.name(), entry.name);
            }
        }
    }

    #[test]
    fn the_text_names_every_column_once_a_line() {
        let text = text();
        assert!(text.starts_with("connections: a row a connection"), "{text}");
        assert!(text.contains("\n\nstate_census: a row a time bucket"));
        assert!(text.contains("\n  handshake_ns "));
        let columns: usize = Table::ALL.into_iter().map(|table| entries(table).len()).sum();
        assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), columns);
        assert!(text.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn the_json_says_the_same() {
        let value: Value = serde_json::from_str(&json()).unwrap();
        assert_eq!(value[1]["table"], "transitions");
        assert_eq!(value[1]["columns"][5]["name"], "ts");
        assert_eq!(value[1]["columns"][5]["type"], "datetime[ns, UTC]");
        assert_eq!(value[1]["columns"][5]["unit"], Value::Null);
    }
}
