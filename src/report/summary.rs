//! `summary.json`. In: what a run's folds told, and its summary. Out: one JSON object.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::metrics::findings::findings;
use crate::metrics::folds::Told;
use crate::metrics::overview::fullest;
use crate::metrics::rows::{CaptureInfo, Quantiles, Summary};
use crate::metrics::trust::{Limit, limits};
use crate::tables::cell::Files;
use crate::time::Timestamp;

/// Writes the object, indented, ending in a line feed. Instants are RFC 3339 in UTC, unknown is `null`.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, told: &Told, summary: &Summary) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &value(told, summary))?;
    out.write_all(b"\n")
}

fn value(told: &Told, summary: &Summary) -> Value {
    let overview = &told.overview;
    let files = Files::of(&summary.captures);
    let findings: Vec<Value> = findings(&told.findings, summary)
        .into_iter()
        .map(|finding| {
            let frame = |frame| json!({ "file": files.name(frame), "frame": frame.number() });
            json!({
                "severity": finding.severity.name(),
                "kind": finding.kind,
                "subject": finding.subject,
                "text": finding.text,
                "frames": finding.frames.into_iter().map(frame).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "captures": summary.captures.iter().map(capture).collect::<Vec<_>>(),
        "packets": summary.packets,
        "tcp_segments": summary.tcp_segments,
        "connections": overview.connections,
        "first_ts": instant(summary.first_ts),
        "last_ts": instant(summary.last_ts),
        // Packets that --bpf did not let pass are in none of the counts above.
        "filtered": summary.filtered.as_ref().map(|filtered| json!({
            "expression": filtered.expression,
            "passed_over": filtered.passed_over,
            "unfit": filtered.unfit,
        })),
        "skipped": counts(summary.skipped.iter().copied()),
        "opened": counts(overview.opened.iter().map(|(opening, n)| (opening.name(), *n))),
        "closed": counts(overview.closed.iter().map(|(closing, n)| (closing.name(), *n))),
        "quantiles": {
            "connect_ns": quantiles(overview.connect),
            "syn_wait_ns": quantiles(overview.syn_wait),
            "accept_wait_ns": quantiles(overview.accept_wait),
            "handshake_ns": quantiles(overview.handshake),
            "close_wait_ns": quantiles(overview.close_wait),
            // Only stays whose end a packet shows; the others are counted under time_wait_ends.
            "time_wait_measured_ns": quantiles(overview.time_wait_measured),
        },
        "fin_retransmissions": counts(overview.fins.by_cause.iter().map(|(cause, n)| (cause.name(), *n))),
        "time_wait_ends": counts(overview.time_wait.ends.iter().map(|(end, n)| (end.name(), *n))),
        "accept_queue_overflows": overview.accept_queue_overflows,
        // The client that is nearest to running out of ports.
        "ephemeral_ports": fullest(&told.ephemeral_ports).first().map(|row| json!({
            "client_ip": row.user.client_ip.to_string(),
            "server": row.user.server.to_string(),
            "time_wait_peak": row.time_wait_peak,
            "ports_available": row.ports_available,
            "used_ratio": row.used_ratio,
        })),
        "findings": findings,
        "trust": trust(told, summary),
        "evictions": summary.evictions,
        "complete": summary.complete,
        "finwait_version": env!("CARGO_PKG_VERSION"),
        "options": summary.options.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>(),
    })
}

/// How the changes of state are known, how many handshakes were timed, and what limits which figure.
fn trust(told: &Told, summary: &Summary) -> Value {
    let trust = &told.trust;
    let limit = |limit: Limit| json!({ "kind": limit.kind, "count": limit.count, "text": limit.text });
    json!({
        "changes": {
            "observed": trust.changes.observed,
            "confirmed": trust.changes.confirmed,
            "inferred": trust.changes.inferred,
            "assumed": trust.changes.assumed,
        },
        "handshakes": { "completed": trust.opened, "timed": trust.timed },
        "limits": limits(trust, summary).into_iter().map(limit).collect::<Vec<_>>(),
    })
}

fn capture(capture: &CaptureInfo) -> Value {
    json!({
        "path": capture.path,
        "format": capture.format,
        "packets": capture.packets,
        "bytes": capture.bytes,
        "first_ts": instant(capture.first_ts),
        "last_ts": instant(capture.last_ts),
        "link_types": capture.link_types,
        "drops": capture.drops,
        "error": capture.error,
    })
}

fn instant(ts: Option<Timestamp>) -> Value {
    ts.map_or(Value::Null, |ts| Value::String(ts.to_string()))
}

fn counts(entries: impl Iterator<Item = (&'static str, u64)>) -> Value {
    Value::Object(entries.map(|(name, count)| (name.to_owned(), json!(count))).collect())
}

fn quantiles(of: Quantiles) -> Value {
    json!({ "count": of.count, "p50": of.p50, "p90": of.p90, "p99": of.p99, "max": of.max })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Shape, run};

    fn of(connections: usize) -> (Told, Summary, Value) {
        let run = run(Shape { connections, ..Shape::default() });
        let told = run.told();
        let mut text = Vec::new();
        write(&mut text, &told, &run.summary).unwrap();
        assert!(text.ends_with(b"}\n"));
        let value = serde_json::from_slice(&text).unwrap();
        (told, run.summary, value)
    }

    #[test]
    fn every_key_of_the_contract_is_there() {
        let (told, summary, value) = of(300);
        assert_eq!(value["connections"], 300);
        assert_eq!(value["packets"], summary.packets);
        assert_eq!(value["tcp_segments"], summary.tcp_segments);
        assert_eq!(value["skipped"], json!({ "udp": 1_204, "arp": 479 }));
        assert_eq!(value["complete"], true);
        assert_eq!(value["evictions"], 0);
        assert_eq!(value["finwait_version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(value["options"], json!({ "time_wait_ns": "60000000000" }));
        let capture = &value["captures"][0];
        assert_eq!(capture["path"], "web.pcapng");
        assert_eq!(capture["first_ts"], "2026-01-02T14:00:00.000000000Z");
        assert_eq!((&capture["drops"], &capture["error"]), (&json!(0), &Value::Null));
        assert_eq!(capture["link_types"], json!(["Ethernet"]));
        let handshakes = told.overview.opened_as(crate::metrics::rows::Opening::Handshake);
        assert_eq!(value["opened"]["handshake"], handshakes);
        assert_eq!(value["opened"]["unreachable"], 0);
        assert_eq!(value["quantiles"]["handshake_ns"]["count"], handshakes);
        assert!(value["quantiles"]["handshake_ns"]["p99"].is_i64());
        assert_eq!(value["quantiles"]["syn_wait_ns"]["count"], handshakes);
        assert!(value["accept_queue_overflows"].is_u64());
        let held = told.ephemeral_ports.iter().map(|row| row.time_wait_peak).max();
        assert_eq!(value["ephemeral_ports"]["time_wait_peak"].as_u64(), held);
        assert_eq!(value["findings"][0]["severity"], "serious");
        assert!(value["findings"][0]["frames"][0]["frame"].is_u64());
    }

    #[test]
    fn without_connections_unknown_is_null() {
        let (_, _, value) = of(0);
        assert_eq!(value["connections"], 0);
        assert_eq!(
            value["quantiles"]["connect_ns"],
            json!({ "count": 0, "p50": null, "p90": null, "p99": null, "max": null })
        );
        assert_eq!(value["ephemeral_ports"], Value::Null);
        assert_eq!(value["findings"], json!([]));
    }
}
