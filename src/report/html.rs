//! `index.html`: the report as one page that needs nothing else. In: what the folds told, and the summary. Out: HTML with the pictures inside.

use std::fmt;
use std::io::{self, Write};

use super::inputs;
use super::lines::{self, HEADINGS};
use super::pictures::{self, Picture};
use super::terminal::{frames, other_packets, place};
use super::text::bytes;
use super::trust::statements;
use crate::metrics::findings::findings;
use crate::metrics::folds::Told;
use crate::metrics::overview::{Overview, busiest, fullest};
use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{CaptureInfo, Summary};
use crate::tables::cell::Files;

/// Listeners that have a line; the tables beside the page have all.
const LISTENERS: usize = 200;
/// Services that have a line, likewise.
const SERVICES: usize = 100;
/// Clients whose ports have a line, likewise.
const PORT_USERS: usize = 20;
/// A client that never had this share of its ports in TIME_WAIT is not on the page.
const PORTS_TO_SPEAK_OF: f64 = 0.01;

const STYLE: &str = include_str!("page.css");

/// Text from anywhere, as HTML shows it: what has a meaning there is escaped, control characters are replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter if letter.is_control() => f.write_char('\u{fffd}')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, told: &Told, summary: &Summary) -> io::Result<()> {
    let names: Vec<&str> = summary.captures.iter().map(|capture| capture.path.as_str()).collect();
    let title = match names.as_slice() {
        [] => "finwait".to_owned(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {}", many(rest.len() as u64, "more capture")),
    };
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}: finwait</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{}</h1>",
        Escaped(&title),
        Escaped(&title)
    )?;
    let all = (summary.captures.len() > inputs::NAMED).then(|| inputs::together(&summary.captures));
    for capture in all.as_ref().map_or(&summary.captures[..], std::slice::from_ref) {
        let facts = facts(capture, names.len() > 1);
        writeln!(out, "<p class=\"muted\">{}</p>", Escaped(&facts))?;
    }
    if let Some(filtered) = &summary.filtered {
        let facts = lines::filter(filtered).join(" · ");
        writeln!(out, "<p class=\"muted\">Filter {}</p>", Escaped(&facts))?;
    }
    headline(out, &told.overview, summary)?;
    worth_a_look(out, told, summary)?;
    trust(out, told, summary)?;
    writeln!(out, "<h2>Pictures</h2>")?;
    for picture in Picture::ALL {
        // The drawings are bounded whatever the number of connections, so they stay small enough to stand in the page.
        writeln!(out, "<figure>\n{}</figure>", pictures::svg(picture, told, summary)?)?;
    }
    listeners(out, told)?;
    services(out, told)?;
    ephemeral_ports(out, told)?;
    connections(out, told)?;
    let options = summary.options.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
    let version = env!("CARGO_PKG_VERSION");
    let options = if options.is_empty() { options } else { format!(" · {options}") };
    writeln!(out, "<footer>finwait {version}{}</footer>\n</body>\n</html>", Escaped(&options))
}

fn facts(capture: &CaptureInfo, with_name: bool) -> String {
    let mut facts = Vec::new();
    if with_name {
        facts.push(capture.path.clone());
    }
    facts.push(capture.format.clone());
    facts.push(bytes(capture.bytes));
    facts.push(many(capture.packets, "packet"));
    if let Some((first, last)) = capture.first_ts.zip(capture.last_ts) {
        facts.push(format!("{} from {first}", last.since(first)));
    }
    facts.extend(capture.link_types.iter().cloned());
    match capture.drops {
        Some(0) => facts.push("no drops reported".into()),
        Some(drops) => facts.push(format!("{} dropped by the tap", thousands(drops))),
        None => {}
    }
    facts.join(" · ")
}

fn headline(out: &mut dyn Write, overview: &Overview, summary: &Summary) -> io::Result<()> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut who = vec![
        thousands(overview.connections),
        many(overview.clients, "client"),
        many(overview.listeners, "listener"),
        many(summary.tcp_segments, "segment"),
    ];
    who.extend(other_packets(summary));
    who.extend(overview.tap.and_then(place).map(str::to_owned));
    facts.push(("Connections", who.join(" · ")));
    let opened = overview.opened.iter().filter(|entry| entry.1 > 0);
    let opened = opened.map(|(how, n)| format!("{} {}", thousands(*n), lines::opening(*how))).collect::<Vec<_>>();
    let closed = overview.closed.iter().filter(|entry| entry.1 > 0);
    let closed = closed.map(|(how, n)| format!("{} {}", thousands(*n), lines::closing(*how))).collect::<Vec<_>>();
    facts.push(("Opened", opened.join(" · ")));
    facts.push(("Closed", closed.join(" · ")));
    let of = overview.handshake;
    if of.count > 0 {
        let [p50, p90, p99, max] = [of.p50, of.p90, of.p99, of.max].map(lines::span);
        facts.push(("Handshake", format!("p50 {p50} · p90 {p90} · p99 {p99} · max {max}")));
    }
    let fins = &overview.fins;
    if fins.repeats > 0 {
        let causes = fins.by_cause.iter().map(|(cause, n)| format!(" · {} {}", thousands(*n), lines::cause(*cause)));
        let on = many(fins.connections, "connection");
        facts.push(("FIN again", format!("{} on {on}{}", thousands(fins.repeats), causes.collect::<String>())));
    }
    facts.push(("TIME_WAIT", lines::time_wait(overview).join(" · ")));
    writeln!(out, "<dl class=\"facts\">")?;
    for (name, text) in facts.into_iter().filter(|fact| !fact.1.is_empty()) {
        writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Escaped(&text))?;
    }
    writeln!(out, "</dl>")
}

fn worth_a_look(out: &mut dyn Write, told: &Told, summary: &Summary) -> io::Result<()> {
    let findings = findings(&told.findings, summary);
    let files = Files::of(&summary.captures);
    writeln!(out, "<h2>Worth a look</h2>")?;
    if findings.is_empty() {
        return writeln!(out, "<p>Nothing looks wrong.</p>");
    }
    writeln!(out, "<ul class=\"findings\">")?;
    for finding in findings {
        let frames = frames(&finding, &files);
        write!(
            out,
            "<li class=\"{}\"><span><b>{}</b>{}</span>",
            finding.severity.name(),
            Escaped(&finding.subject),
            Escaped(&finding.text)
        )?;
        if !frames.is_empty() {
            write!(out, "<span class=\"frames\">{}</span>", Escaped(&frames))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul>")
}

fn trust(out: &mut dyn Write, told: &Told, summary: &Summary) -> io::Result<()> {
    let statements = statements(told, summary);
    if statements.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>How far to trust it</h2>\n<ul>")?;
    for statement in statements {
        writeln!(out, "<li>{}</li>", Escaped(&statement))?;
    }
    writeln!(out, "</ul>")
}

/// A table whose columns are of numbers where `headings` say so.
fn table(out: &mut dyn Write, headings: &[(&str, bool)], rows: impl Iterator<Item = Vec<String>>) -> io::Result<()> {
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    write!(out, "<div class=\"scroll\"><table>\n<thead><tr>")?;
    for (heading, number) in headings {
        write!(out, "<th{}>{}</th>", class(*number), Escaped(heading))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for row in rows {
        write!(out, "<tr>")?;
        for (cell, (_, number)) in row.iter().zip(headings) {
            write!(out, "<td{}>{}</td>", class(*number), Escaped(cell))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn listeners(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    writeln!(out, "<h2>Listeners</h2>")?;
    let all = busiest(&told.listeners);
    if all.is_empty() {
        return writeln!(out, "<p>No connection was attempted in this capture.</p>");
    }
    if all.len() > LISTENERS {
        let of = thousands(all.len() as u64);
        writeln!(out, "<p class=\"muted\">The busiest {LISTENERS} of {of}; the table listeners has all.</p>")?;
    }
    let headings = [
        ("listener", false),
        ("attempts", true),
        ("established", true),
        ("refused", true),
        ("no answer", true),
        ("half-open", true),
        ("aborted", true),
        ("handshake p50", true),
        ("p90", true),
        ("p99", true),
        ("max", true),
        ("SYN again", true),
        ("SYN wait max", true),
        ("half-open peak", true),
        ("accept queue full", true),
        ("accept wait max", true),
        ("FIN again", true),
        ("CLOSE_WAIT p99", true),
        ("still in it", true),
        ("TIME_WAIT peak", true),
    ];
    let count = |n: u64| if n == 0 { lines::NONE.to_owned() } else { thousands(n) };
    let rows = all.into_iter().take(LISTENERS).map(|row| {
        vec![
            row.server.to_string(),
            thousands(row.attempts),
            count(row.established),
            count(row.refused),
            count(row.no_answer),
            count(row.half_open),
            count(row.aborted),
            lines::span(row.handshake.p50),
            lines::span(row.handshake.p90),
            lines::span(row.handshake.p99),
            lines::span(row.handshake.max),
            count(row.syn_retransmissions),
            lines::span(row.syn_wait.max.filter(|&nanos| nanos > 0)),
            count(row.half_open_peak),
            count(row.accept_queue_overflows),
            lines::span(row.accept_wait.max),
            count(row.fin_retransmissions),
            lines::span(row.close_wait.p99),
            count(row.close_wait_open),
            count(row.time_wait_peak),
        ]
    });
    table(out, &headings, rows)
}

/// How long connections take by name; nothing where no name was seen.
fn services(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    if told.services.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Services</h2>")?;
    if told.services.len() > SERVICES {
        let of = thousands(told.services.len() as u64);
        writeln!(out, "<p class=\"muted\">The busiest {SERVICES} of {of}; the table services has all.</p>")?;
    }
    let headings = [
        ("service", false),
        ("speaks", false),
        ("connections", true),
        ("connect p50", true),
        ("p90", true),
        ("p99", true),
        ("max", true),
        ("TLS handshake p50", true),
        ("p90", true),
        ("p99", true),
        ("max", true),
    ];
    let rows = told.services.iter().take(SERVICES).map(|row| {
        let mut cells = vec![
            row.name.as_deref().unwrap_or(lines::NONE).to_owned(),
            row.app.name().to_owned(),
            thousands(row.connections),
        ];
        for of in [row.connect, row.tls_handshake] {
            cells.extend([of.p50, of.p90, of.p99, of.max].map(lines::span));
        }
        cells
    });
    table(out, &headings, rows)
}

/// Those that use ports to speak of; nothing where nobody does.
fn ephemeral_ports(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    let mut all = fullest(&told.ephemeral_ports);
    all.retain(|row| row.used_ratio >= PORTS_TO_SPEAK_OF);
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Ephemeral ports</h2>")?;
    if all.len() > PORT_USERS {
        let of = thousands(all.len() as u64);
        writeln!(out, "<p class=\"muted\">The fullest {PORT_USERS} of {of}; the table ephemeral_ports has all.</p>")?;
    }
    let headings = [
        ("client", false),
        ("listener", false),
        ("connections", true),
        ("ports used", true),
        ("TIME_WAIT stays", true),
        ("peak", true),
        ("of its ports", true),
        ("connections a second", true),
        ("runs out at", true),
    ];
    let rows = all.into_iter().take(PORT_USERS).map(|row| {
        vec![
            row.user.client_ip.to_string(),
            row.user.server.to_string(),
            thousands(row.connections),
            thousands(row.distinct_client_ports),
            thousands(row.time_wait_stays),
            thousands(row.time_wait_peak),
            format!("{:.1} %", row.used_ratio * 100.0),
            format!("{:.1}", row.connections_per_second),
            row.exhaustion_rate.map_or_else(|| lines::NONE.to_owned(), |rate| format!("{rate:.0}/s")),
        ]
    });
    table(out, &headings, rows)
}

fn connections(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    writeln!(out, "<h2>Connections</h2>")?;
    let all = told.overview.connections;
    let listed = told.drawn.as_ref().map_or(&[][..], |drawn| &drawn.listed.0);
    if all == 0 {
        return writeln!(out, "<p>The capture holds no TCP connection.</p>");
    }
    if all > listed.len() as u64 {
        let (shown, of) = (thousands(listed.len() as u64), thousands(all));
        writeln!(out, "<p class=\"muted\">The first {shown} of {of}; the table connections has all.</p>")?;
    }
    let more = [
        ("TLS handshake", true),
        ("first frame", true),
        ("packets", true),
        ("state of client", false),
        ("of server", false),
    ];
    let headings: Vec<_> = HEADINGS.into_iter().chain(more).collect();
    let rows = listed.iter().map(|(row, held)| {
        let mut cells: Vec<String> = lines::line(row, *held).into();
        cells.push(lines::span(row.called.tls_handshake_ns));
        cells.push(row.first_frame.number().to_string());
        cells.push(thousands(row.packets.iter().sum()));
        cells.extend(row.states.map(|state| state.map_or(lines::NONE, |state| state.name()).to_owned()));
        cells
    });
    table(out, &headings, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::App;
    use crate::metrics::synthetic::{Run, Shape, run};

    fn page(run: &Run) -> String {
        page_of(&run.told(), &run.summary)
    }

    fn page_of(told: &Told, summary: &Summary) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, told, summary).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let mut run = run(Shape { connections: 2, ..Shape::default() });
        let summary = &mut run.summary;
        summary.captures[0].path = "<script>alert('1')</script>&\"\u{1b}.pcap".into();
        summary.captures[0].error = Some("<b>cut</b>".into());
        summary.options = vec![("bpf", "tcp[13] & 1 < 2".into())];
        run.reports[0].connection.history = "<i>".into();
        run.reports[0].connection.called.app = Some(App::Http);
        run.reports[0].connection.called.name = Some("<script>x</script>".into());
        let page = page(&run);
        assert!(!page.contains("<script") && !page.contains("<b>cut") && !page.contains('\u{1b}'));
        let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}.pcap";
        assert!(page.contains(&format!("<title>{escaped}: finwait</title>")));
        assert!(page.contains("tcp[13] &amp; 1 &lt; 2"));
    }

    #[test]
    fn the_pictures_neutral_colours_follow_the_pages() {
        use crate::report::colors::{GRID, GROUND, INK, MUTED, RULE};
        for color in [GROUND, INK, MUTED] {
            assert!(STYLE.contains(&format!("svg [fill=\"{}\"]", color.hex())));
        }
        for color in [INK, MUTED, GRID, RULE] {
            assert!(STYLE.contains(&format!("svg [stroke=\"{}\"]", color.hex())));
        }
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page(&run(Shape { connections: 200, ..Shape::default() }));
        for outside in ["src=", "href=", "@import", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg ").count(), 4);
        assert_eq!(page.matches("<tr><td class=\"n\">").count(), 200);
    }

    #[test]
    fn the_first_thousand_connections_are_listed_and_the_page_stays_small() {
        let page = page(&run(Shape { connections: 20_000, ..Shape::default() }));
        assert_eq!(page.matches("<tr><td class=\"n\">").count(), 1_000);
        assert!(page.contains("The first 1,000 of 20,000"));
        assert!(page.len() < 1_500_000, "{}", page.len());
    }

    #[test]
    fn ports_are_told_where_there_are_some_to_speak_of() {
        let run = run(Shape { connections: 200, ..Shape::default() });
        assert!(!page(&run).contains("Ephemeral ports"));
        let mut told = run.told();
        let row = told.ephemeral_ports.first_mut().unwrap();
        (row.time_wait_peak, row.used_ratio) = (2_823, 0.1);
        let page = page_of(&told, &run.summary);
        assert!(page.contains("Ephemeral ports</h2>") && page.contains("<td class=\"n\">2,823</td>"));
        assert!(page.contains("<td class=\"n\">10.0 %</td>"));
    }

    #[test]
    fn an_empty_run_says_so_in_words() {
        let page = page(&run(Shape { connections: 0, ..Shape::default() }));
        assert!(page.contains("Nothing looks wrong.") && page.contains("The capture holds no TCP connection."));
    }
}
