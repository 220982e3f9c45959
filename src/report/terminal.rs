//! What a person reads in ten seconds. In: what the folds told, and the summary. Out: lines of text; nothing here asks the terminal.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::colors::{self, Rgb};
use super::inputs;
use super::lines::{self, HEADINGS, NONE};
use super::text::{bytes, clean, left, right, width, wrap};
use super::trust::statements;
use crate::metrics::findings::{Finding, Severity, findings};
use crate::metrics::folds::Told;
use crate::metrics::listeners::NAMED;
use crate::metrics::overview::{Overview, busiest};
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{CaptureInfo, Closing, ConnectionRow, Opening, Quantiles, ServiceRow, Summary, Tables, Tap};
use crate::tables::cell::Files;
use crate::tables::schema::Table;
use crate::tcp::state::State;
use crate::time::Span;

/// Findings that have a line, as [`NAMED`] listeners have; what is left over shares one.
const FINDINGS: usize = 10;
/// Names that have a line, and columns that they may take.
const SERVICES: usize = 6;
const LONGEST_NAME: usize = 40;
/// Fewest columns for a finding's text, however long its subject.
const LEAST_TEXT: usize = 30;
/// Columns of the words at the left margin.
const MARGIN: usize = 12;

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal; longer lines are broken between phrases.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 120 }
    }
}

impl Style {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn paint(self, color: Rgb, text: &str) -> String {
        self.wrap(&format!("1;38;2;{};{};{}", color.0, color.1, color.2), text)
    }
}

/// The last line: where the report is and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The folder, as the user wrote it.
    pub dir: &'a Path,
    /// The files in it, as `report::write` returned them.
    pub files: &'a [String],
    /// How long the run took; measured by the caller.
    pub took: Option<Duration>,
}

/// The summary of a run, a few dozen lines, ending in a line feed.
pub fn summary(told: &Told, summary: &Summary, written: Option<&Written<'_>>, style: Style) -> String {
    let overview = &told.overview;
    let mut out = String::new();
    head(&mut out, overview, summary, style);
    if overview.connections > 0 {
        out.push('\n');
        let opened = overview.opened.iter().filter(|entry| entry.1 > 0);
        phrases(
            &mut out,
            "Opened",
            "    ",
            opened.map(|(how, n)| format!("{} {}", thousands(*n), lines::opening(*how))),
            style,
        );
        let closed = order_of_closings(overview).into_iter();
        phrases(
            &mut out,
            "Closed",
            "    ",
            closed.map(|(how, n)| format!("{} {}", thousands(n), lines::closing(how))),
            style,
        );
        handshakes(&mut out, told, style);
        services(&mut out, told, style);
        fins_and_time_wait(&mut out, overview, style);
        trust(&mut out, told, summary, style);
    }
    worth_a_look(&mut out, &findings(&told.findings, summary), &Files::of(&summary.captures), style);
    if let Some(written) = written {
        tail(&mut out, written, summary, style);
    }
    out
}

/// `name   phrase · phrase`, broken between phrases where the line would be too long.
fn phrases(out: &mut String, name: &str, between: &str, all: impl Iterator<Item = String>, style: Style) {
    let margin = if name.is_empty() { MARGIN } else { MARGIN.max(width(name) + 3) };
    let (mut column, mut first) = (margin, true);
    out.push_str(&style.bold(name));
    out.push_str(&" ".repeat(margin - width(name)));
    for phrase in all {
        if !first {
            if column + width(between) + width(&phrase) > style.width {
                out.push('\n');
                out.push_str(&" ".repeat(margin));
                column = margin;
            } else {
                out.push_str(between);
                column += width(between);
            }
        }
        column += width(&phrase);
        out.push_str(&phrase);
        first = false;
    }
    out.push('\n');
}

fn head(out: &mut String, overview: &Overview, summary: &Summary, style: Style) {
    let all = (summary.captures.len() > inputs::NAMED).then(|| inputs::together(&summary.captures));
    for (n, capture) in all.as_ref().map_or(&summary.captures[..], std::slice::from_ref).iter().enumerate() {
        // With several inputs, where the tap stood is said of all of them at the first.
        phrases(out, &clean(&capture.path), " · ", facts(capture, overview.tap.filter(|_| n == 0)).into_iter(), style);
    }
    if let Some(filtered) = &summary.filtered {
        phrases(out, "Filter", " · ", lines::filter(filtered).into_iter(), style);
    }
    let segments = match other_packets(summary) {
        Some(other) if summary.tcp_segments == 0 => other,
        Some(other) => format!("{}; {other}", many(summary.tcp_segments, "segment")),
        None => many(summary.tcp_segments, "segment"),
    };
    if summary.packets == 0 {
        let _ = writeln!(out, "{}", style.bold("no packets"));
    } else if overview.connections == 0 {
        phrases(out, "no TCP connection", " · ", [segments].into_iter(), style);
    } else {
        let who = [many(overview.clients, "client"), many(overview.listeners, "listener"), segments];
        phrases(out, &many(overview.connections, "connection"), " · ", who.into_iter(), style);
    }
}

fn facts(capture: &CaptureInfo, tap: Option<Tap>) -> Vec<String> {
    let mut facts = vec![clean(&capture.format).into_owned(), bytes(capture.bytes)];
    if let Some((first, last)) = capture.first_ts.zip(capture.last_ts) {
        facts.push(last.since(first).to_string());
    }
    facts.push(many(capture.packets, "packet"));
    facts.extend(capture.link_types.iter().map(|link| clean(link).into_owned()));
    match capture.drops {
        Some(0) => facts.push("no drops reported".into()),
        Some(drops) => facts.push(format!("{} dropped by the tap", thousands(drops))),
        None => {}
    }
    facts.extend(tap.and_then(place).map(str::to_owned));
    if capture.error.is_some() {
        facts.push("incomplete".into());
    }
    facts
}

/// Where the tap was, in words.
pub(super) const fn place(tap: Tap) -> Option<&'static str> {
    match tap {
        Tap::NearClient => Some("tap near the client"),
        Tap::NearServer => Some("tap near the server"),
        Tap::Between => Some("tap between the two"),
        Tap::Unknown => None,
    }
}

/// `1,683 packets held no TCP (1,204 udp, 479 arp)`.
pub(super) fn other_packets(summary: &Summary) -> Option<String> {
    let mut reasons: Vec<_> = summary.skipped.iter().filter(|reason| reason.1 > 0).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.1));
    let all: u64 = reasons.iter().map(|reason| reason.1).sum();
    let mut words: Vec<_> = reasons
        .iter()
        .take(4)
        .map(|(name, count)| format!("{} {}", thousands(*count), name.replace('_', " ")))
        .collect();
    if reasons.len() > 4 {
        words.push("…".into());
    }
    (all > 0).then(|| format!("{} held no TCP ({})", many(all, "packet"), words.join(", ")))
}

/// The closings that occur, as a person asks for them: in order first, still open last.
fn order_of_closings(overview: &Overview) -> Vec<(Closing, u64)> {
    let mut closed: Vec<_> = overview.closed.iter().copied().filter(|entry| entry.1 > 0).collect();
    closed.sort_by_key(|entry| entry.0 == Closing::Open);
    closed
}

fn handshakes(out: &mut String, told: &Told, style: Style) {
    let all = busiest(&told.listeners);
    let mut shown: Vec<_> = all.iter().filter(|row| row.handshake.count > 0).take(NAMED).collect();
    shown.sort_by_key(|row| std::cmp::Reverse(row.handshake.count));
    if shown.is_empty() {
        return;
    }
    let mut rows: Vec<(String, Quantiles, u64, Option<i64>)> = shown
        .iter()
        .map(|row| (row.server.to_string(), row.handshake, row.syn_retransmissions, row.syn_wait.max))
        .collect();
    let named: HashSet<_> = shown.iter().map(|row| row.server).collect();
    let others: Vec<_> = all.iter().filter(|row| !named.contains(&row.server) && row.handshake.count > 0).collect();
    if !others.is_empty() {
        let spans = told.handshakes.beyond_named;
        let repeats = others.iter().map(|row| row.syn_retransmissions).sum();
        let longest = others.iter().filter_map(|row| row.syn_wait.max).max();
        rows.push((many(others.len() as u64, "more listener"), spans, repeats, longest));
    }
    let names = rows.iter().map(|row| width(&row.0)).max().unwrap_or(0).max(24);
    let columns = ["connections", "p50", "p90", "p99", "max", "SYN again", "SYN wait"];
    let wide = [12, 10, 10, 10, 10, 11, 10];
    let line = |name: String, cells: [String; 7]| {
        let cells: String = cells.iter().zip(wide).map(|(cell, wide)| right(cell, wide)).collect();
        format!("{name}{cells}\n")
    };
    out.push('\n');
    let heading = format!("{}{}", style.bold("Handshake"), " ".repeat(names - width("Handshake")));
    out.push_str(&line(heading, columns.map(str::to_owned)));
    for (name, of, repeats, waiting) in rows {
        // The longest wait for a SYN to be sent again: of `max`, what the round trip is not to blame for.
        let waiting = lines::span(waiting.filter(|&nanos| nanos > 0));
        let spans = [of.p50, of.p90, of.p99, of.max].map(lines::span);
        let [p50, p90, p99, max] = spans;
        out.push_str(&line(left(&name, names), [thousands(of.count), p50, p90, p99, max, thousands(repeats), waiting]));
    }
}

/// How long connections take by name: the busiest of those that have one.
fn services(out: &mut String, told: &Told, style: Style) {
    let named: Vec<_> = told.services.iter().filter(|row| row.name.is_some()).collect();
    let shown = named.get(..SERVICES).unwrap_or(&named);
    if shown.is_empty() {
        return;
    }
    let name = |row: &ServiceRow| lines::service(Some(row.app), row.name.as_deref());
    let names = shown.iter().map(|row| width(&name(row))).max().unwrap_or(0).clamp(24, LONGEST_NAME);
    let wide = [8, 12, 13, 10, 10, 10, 10];
    let line = |name: String, cells: [String; 7]| {
        let cells: String = cells.iter().zip(wide).map(|(cell, wide)| right(cell, wide)).collect();
        format!("{name}{cells}\n")
    };
    out.push('\n');
    let heading = format!("{}{}", style.bold("Service"), " ".repeat(names - width("Service")));
    let columns = ["", "connections", "connect p50", "p99", "TLS p50", "p99", "max"];
    out.push_str(&line(heading, columns.map(str::to_owned)));
    for row in shown {
        let [connect, tls] = [row.connect, row.tls_handshake];
        let [p50, p99, tls50, tls99, max] = [connect.p50, connect.p99, tls.p50, tls.p99, tls.max].map(lines::span);
        let cells = [row.app.name().to_owned(), thousands(row.connections), p50, p99, tls50, tls99, max];
        out.push_str(&line(left(&shortened(&name(row), names), names), cells));
    }
    if named.len() > shown.len() {
        let more = (named.len() - shown.len()) as u64;
        let connections = named.iter().skip(shown.len()).map(|row| row.connections).sum();
        let _ = writeln!(out, "{}, {}", many(more, "more name"), many(connections, "connection"));
    }
}

/// `text` in no more than `columns`, the end left out where it is longer.
fn shortened(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        let next = letter.encode_utf8(&mut [0; 4]).to_owned();
        if width(&short) + width(&next) + 1 > columns {
            break;
        }
        short.push(letter);
    }
    format!("{short}…")
}

fn fins_and_time_wait(out: &mut String, overview: &Overview, style: Style) {
    let fins = &overview.fins;
    let time_wait = lines::time_wait(overview);
    if fins.repeats > 0 || !time_wait.is_empty() {
        out.push('\n');
    }
    if fins.repeats > 0 {
        let causes: Vec<_> =
            fins.by_cause.iter().map(|(cause, n)| format!("{} {}", thousands(*n), lines::cause(*cause))).collect();
        let count = format!("{} on {}", thousands(fins.repeats), many(fins.connections, "connection"));
        phrases(out, "FIN again", " · ", [count].into_iter().chain(causes), style);
    }
    if !time_wait.is_empty() {
        phrases(out, "TIME_WAIT", " · ", time_wait.into_iter(), style);
    }
}

/// A line a statement, below each other.
fn trust(out: &mut String, told: &Told, summary: &Summary, style: Style) {
    let columns = style.width.saturating_sub(MARGIN + 2).max(LEAST_TEXT);
    for (n, statement) in statements(told, summary).iter().enumerate() {
        let name = if n == 0 { "\nTrust" } else { "" };
        let below = format!("\n{}", " ".repeat(MARGIN + 2));
        let margin = " ".repeat(MARGIN - width(name.trim_start()));
        let _ = writeln!(out, "{}{margin}{}", style.bold(name), wrap(&clean(statement), columns).join(&below));
    }
}

fn worth_a_look(out: &mut String, findings: &[Finding], files: &Files, style: Style) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", style.bold("Worth a look"));
    let shown = findings.get(..FINDINGS).unwrap_or(findings);
    let subjects = shown.iter().map(|finding| width(&clean(&finding.subject))).max().unwrap_or(0).min(46);
    let texts = shown.iter().map(|finding| width(&finding.text)).max().unwrap_or(0);
    for finding in shown {
        let mark = finding.severity.mark().to_string();
        let mark = match finding.severity {
            Severity::Serious => style.paint(colors::state(State::CloseWait), &mark),
            Severity::Notice => mark,
        };
        let subject = left(&clean(&finding.subject), subjects);
        let start = 4 + width(&subject) + 3;
        let below = format!("\n{}", " ".repeat(4 + subjects + 3));
        let lines = wrap(&clean(&finding.text), style.width.saturating_sub(start).max(LEAST_TEXT));
        let _ = write!(out, " {mark}  {subject}   {}", lines.join(&below));
        let frames = frames(finding, files);
        // In a column where they fit, at the end of the line where only that fits, else below.
        let (from, last) = if lines.len() > 1 { (4 + subjects + 3, lines.last()) } else { (start, lines.first()) };
        let last = last.map_or(0, |line| width(line));
        let columns = [texts.max(last), last];
        let _ = match columns.into_iter().find(|columns| from + columns + 3 + width(&frames) <= style.width) {
            _ if frames.is_empty() => writeln!(out),
            Some(columns) => writeln!(out, "{}   {}", " ".repeat(columns - last), style.dim(&frames)),
            None => writeln!(out, "{below}{}", style.dim(&frames)),
        };
    }
    if findings.len() > shown.len() {
        let more = (findings.len() - shown.len()) as u64;
        let _ = writeln!(out, "    {} more in summary.json", thousands(more));
    }
}

/// `frames 10231 10240 …`; with several inputs `frames 12 40 of a.pcap, 7 of b.pcap`.
pub(super) fn frames(finding: &Finding, files: &Files) -> String {
    let mut groups: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for &frame in &finding.frames {
        let file = files.name(frame).map(|path| path.rsplit('/').next().unwrap_or(path));
        match groups.last_mut() {
            Some((known, numbers)) if *known == file => numbers.push(frame.number().to_string()),
            _ => groups.push((file, vec![frame.number().to_string()])),
        }
    }
    let group = |(file, numbers): &(Option<&str>, Vec<String>)| match file {
        Some(file) => format!("{} of {}", numbers.join(" "), clean(file)),
        None => numbers.join(" "),
    };
    let text = groups.iter().map(group).collect::<Vec<_>>().join(", ");
    match finding.frames.len() as u64 {
        0 => String::new(),
        1 if finding.count <= 1 => format!("frame {text}"),
        shown => {
            let more = if finding.count > shown { " …" } else { "" };
            format!("frame{} {text}{more}", if shown == 1 { "" } else { "s" })
        }
    }
}

fn tail(out: &mut String, written: &Written<'_>, summary: &Summary, style: Style) {
    let ending = |file: &String| file.rsplit_once('.').map(|(stem, end)| (stem.to_owned(), end.to_owned()));
    let parts: BTreeSet<_> = written.files.iter().filter_map(ending).collect();
    let tables =
        Table::ALL.iter().filter(|table| parts.iter().any(|(stem, end)| stem == table.name() && !is_picture(end)));
    let pictures: BTreeSet<_> = parts.iter().filter(|(_, end)| is_picture(end)).map(|(stem, _)| stem).collect();
    let mut what = Vec::new();
    if written.files.iter().any(|file| file == "index.html") {
        what.push("index.html".to_owned());
    }
    for (count, noun) in [(tables.count(), "table"), (pictures.len(), "picture")] {
        if count > 0 {
            what.push(many(count as u64, noun));
        }
    }
    if what.is_empty() {
        what.extend(written.files.iter().cloned());
    }
    let dir = written.dir.display().to_string();
    let dir = format!("{}/", clean(dir.trim_end_matches('/')));
    let what = what.join(" · ");
    let took = written.took.map_or_else(String::new, |took| {
        let took = Span::from_nanos(i64::try_from(took.as_nanos()).unwrap_or(i64::MAX));
        let took = format!("{} in {took}", many(summary.packets, "packet"));
        let room = style.width.saturating_sub(width(&dir) + 3 + width(&what));
        if room >= width(&took) + 3 { right(&took, room.min(width(&took) + 8)) } else { format!("\n{took}") }
    });
    let _ = writeln!(out, "\n{}   {what}{}", style.bold(&dir), style.dim(&took));
}

fn is_picture(ending: &str) -> bool {
    matches!(ending, "png" | "svg")
}

/// A heading and a line a connection that `keep` accepts, in the order of `conn_id`.
///
/// # Errors
/// Those of `out`.
pub fn list(
    out: &mut dyn Write,
    tables: &Tables,
    keep: &dyn Fn(&ConnectionRow) -> bool,
    style: Style,
) -> io::Result<()> {
    let mut held: HashMap<u64, [bool; 2]> = HashMap::new();
    for stay in &tables.time_wait {
        held.entry(stay.conn_id).or_default()[stay.side.index()] = true;
    }
    let line = |row: &ConnectionRow| lines::line(row, held.get(&row.conn_id).copied().unwrap_or_default());
    let kept = || tables.connections.iter().filter(|row| keep(row));
    // Widths are measured first, so that a line can be printed as soon as it is made.
    let mut wide = HEADINGS.map(|(heading, _)| width(heading));
    for row in kept() {
        for (wide, cell) in wide.iter_mut().zip(line(row)) {
            *wide = width(&cell).max(*wide);
        }
    }
    let set = |cells: [String; HEADINGS.len()]| {
        let cells = cells.into_iter().zip(wide).zip(HEADINGS);
        let cells =
            cells.map(|((cell, wide), (_, number))| if number { right(&cell, wide) } else { left(&cell, wide) });
        cells.collect::<Vec<_>>()
    };
    let heading = set(HEADINGS.map(|(heading, _)| heading.to_owned())).join("   ");
    writeln!(out, "{}", style.bold(heading.trim_end()))?;
    for row in kept() {
        let mut cells = set(line(row));
        if style.color {
            color_cells(&mut cells, row, style);
        }
        writeln!(out, "{}", cells.join("   ").trim_end())?;
    }
    Ok(())
}

/// Colour says nothing that the words do not: an opening that failed, and what is unknown.
fn color_cells(cells: &mut [String], row: &ConnectionRow, style: Style) {
    for (n, cell) in cells.iter_mut().enumerate() {
        if cell.trim() == NONE {
            *cell = style.dim(cell);
        } else if n == 3 {
            let color = match row.opening {
                Opening::Handshake | Opening::Simultaneous => colors::state(State::Established),
                Opening::Midstream => colors::OTHERS,
                _ => colors::state(State::CloseWait),
            };
            *cell = style.paint(color, cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Shape, run};

    fn text(connections: usize, style: Style) -> String {
        let run = run(Shape { connections, ..Shape::default() });
        let files =
            ["summary.json", "connections.csv", "connections.parquet", "time_wait.csv", "time_wait.png", "index.html"];
        let files = files.map(str::to_owned);
        let took = Some(Duration::from_millis(110));
        summary(&run.told(), &run.summary, Some(&Written { dir: Path::new("reports/web"), files: &files, took }), style)
    }

    #[test]
    fn a_run_reads_in_ten_seconds() {
        let expected = "\
web.pcapng   pcapng · 142 kB · 10 min 00 s · 2,898 packets · Ethernet · no drops reported · tap near the server
20 connections   9 clients · 9 listeners · 1,215 segments; 1,683 packets held no TCP (1,204 udp, 479 arp)
";
        let text = text(20, Style::default());
        assert!(text.starts_with(expected), "{text}");
        for line in [
            "Opened      18 handshake    1 no answer    1 half-open",
            "Closed      18 FIN    2 still open",
            "10.0.0.5:443                                           4   1.17 ms   2.21 ms   2.21 ms   2.21 ms          0         ·",
            "FIN again   2 on 1 connection · 2 its ACK lost",
            "            2 still in it at the capture's end · 16 end after an assumed 60.0 s (--time-wait)",
            "reports/web/   index.html · 2 tables · 1 picture        2,898 packets in 110 ms",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("1 connection in CLOSE_WAIT for 20.0 s: the application does not close"));
        assert!(text.lines().count() < 40);
    }

    #[test]
    fn without_connections_it_says_so() {
        let text = text(0, Style::default());
        assert_eq!(text.lines().nth(1), Some("no TCP connection   1,683 packets held no TCP (1,204 udp, 479 arp)"));
        assert!(!text.contains("Opened"));
        let nothing =
            Summary { packets: 0, skipped: Vec::new(), captures: Vec::new(), ..run(Shape::default()).summary };
        assert_eq!(summary(&Told::default(), &nothing, None, Style::default()), "no packets\n");
    }

    #[test]
    fn colour_only_where_it_is_asked_for_and_the_words_stay_the_same() {
        let (plain, colored) = (text(300, Style::default()), text(300, Style { color: true, ..Style::default() }));
        assert!(!plain.contains('\x1b'));
        let mut bare = String::new();
        for (n, part) in colored.split('\x1b').enumerate() {
            bare.push_str(if n == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(bare, plain);
    }

    #[test]
    fn narrow_terminals_break_between_phrases() {
        let text = text(2_000, Style { color: false, width: 80 });
        let long = |line: &&str| width(line) > 80 && !line.starts_with(" ") && line.contains(" · ");
        assert_eq!(text.lines().find(long), None, "{text}");
    }

    #[test]
    fn the_name_of_a_file_cannot_colour_the_screen() {
        let mut run = run(Shape { connections: 2, ..Shape::default() });
        run.summary.captures[0].path = "\x1b[31mred\n.pcap".into();
        run.summary.captures[0].error = Some("cut\x07".into());
        let text = summary(&run.told(), &run.summary, None, Style::default());
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    }

    #[test]
    fn the_list_has_a_line_a_connection_in_columns() {
        let tables = run(Shape { connections: 20, ..Shape::default() }).tables();
        let mut out = Vec::new();
        list(&mut out, &tables, &|row| row.who.server.port == 443, Style::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\
id   client           server         opened      handshake   closed by    FIN again   TIME_WAIT   lasted   service
 5   10.0.1.2:38457   10.0.0.5:443   handshake     1.35 ms   server FIN           ·   server      678 ms   shop.example
 9   10.0.1.9:60233   10.0.0.5:443   half-open           ·   ·                    ·   ·             0 ns   ·
10   10.0.1.2:46689   10.0.0.5:443   handshake     2.21 ms   server FIN           ·   server      649 ms   shop.example
11   10.0.1.8:51193   10.0.0.5:443   handshake     1.08 ms   client FIN           ·   client      810 ms   shop.example
19   10.0.1.2:38907   10.0.0.5:443   handshake     1.17 ms   server FIN           ·   server      497 ms   api.example
";
        assert_eq!(text, expected);
        let mut none = Vec::new();
        list(&mut none, &tables, &|_| false, Style::default()).unwrap();
        assert_eq!(none.iter().filter(|&&byte| byte == b'\n').count(), 1);
    }
}
