//! How far the figures can be trusted, in sentences for the terminal and the page. In: what the folds and the summary tell. Out: one line a
//! statement, the first about the states.

use crate::metrics::folds::Told;
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::Summary;
use crate::metrics::trust::{limits, share};

/// The statements; none of a run without connections.
pub fn statements(told: &Told, summary: &Summary) -> Vec<String> {
    let trust = &told.trust;
    let mut out = Vec::new();
    if told.overview.connections == 0 {
        return out;
    }
    let changes = trust.changes;
    if changes.all() > 0 {
        let ways = [
            (changes.observed, "seen in an own packet"),
            (changes.confirmed, "inferred and proved by a later one"),
            (changes.inferred, "inferred"),
            (changes.assumed, "assumed"),
        ];
        let ways = ways.iter().filter(|way| way.0 > 0);
        let ways: Vec<_> = ways.map(|(n, how)| format!("{} {how}", share(*n, changes.all()))).collect();
        let noun = if changes.all() == 1 { "change" } else { "changes" };
        out.push(format!("{} {noun} of state: {}", thousands(changes.all()), ways.join(", ")));
    }
    if trust.timed < trust.opened {
        let (timed, opened) = (thousands(trust.timed), many(trust.opened, "completed handshake"));
        out.push(format!("{timed} of {opened} timed"));
    }
    let limits = limits(trust, summary);
    if limits.is_empty() {
        out.push("the capture shows no gap, copy, cut or step of its clock".to_owned());
    }
    out.extend(limits.into_iter().map(|limit| limit.text));
    out
}
