//! The house has floors: ARCHITECTURE.md's table of what may use what, checked against the sources.
//! In: every `.rs` file under `src/`. Out: one line per broken rule. Test modules are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module on the ground floor or above, and its floor; nothing imports from a higher one.
const FLOORS: [(&str, u8); 17] = [
    ("time", 0),
    ("error", 0),
    ("capture", 1),
    ("tcp", 1),
    ("names", 1),
    ("decode", 2),
    ("streams", 2),
    ("conntrack", 2),
    ("metrics", 2),
    ("script", 2),
    ("predicate", 1),
    ("tables", 3),
    ("report", 4),
    ("pipeline", 4),
    ("cli", 5),
    ("main", 6),
    ("lib", 6),
];

/// Without files, sockets, threads, clocks, screens.
const PURE: [&str; 9] = ["time", "tcp", "names", "streams", "conntrack", "metrics", "decode", "script", "predicate"];

/// What the pure modules may not touch of the standard library; of `std::net`, the address types are plain values.
const IMPURE: [&str; 7] = ["fs", "io", "thread", "time", "process", "env", "os"];
const ADDRESSES: [&str; 4] = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "AddrParseError"];

/// Where a crate may be used; a name without `.rs` is a module with everything in it.
const CRATES: [(&str, &[&str]); 20] = [
    ("polars", &["tables", "report"]),
    ("plotters", &["report"]),
    ("png", &["report"]),
    ("serde", &["tables", "report"]),
    ("serde_json", &["tables", "report"]),
    ("etherparse", &["decode"]),
    ("nom", &["decode", "capture", "names", "predicate"]),
    ("httparse", &["names"]),
    // `pcap` in capture/mod.rs is the module of that name.
    ("pcap", &["capture/live.rs", "capture/filter.rs", "capture/mod.rs"]),
    ("flate2", &["capture"]),
    ("zstd", &["capture"]),
    ("lz4", &["capture"]),
    ("liblzma", &["capture"]),
    ("bzip2", &["capture"]),
    ("glob", &["pipeline/inputs.rs"]),
    ("clap", &["cli", "main.rs"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["pipeline/progress.rs"]),
    ("ctrlc", &["pipeline/interrupt.rs"]),
];

/// What tables and report see of the floors below: rows, the plain values in them, and the folds over rows.
const ROWS: [&str; 13] = [
    "metrics::rows",
    "metrics::folds",
    "metrics::drawn",
    "metrics::findings",
    "metrics::listeners",
    "metrics::overview",
    "metrics::phrase",
    "metrics::trust",
    "tcp::segment",
    "tcp::state",
    "tcp::seq",
    "time",
    "error",
];

#[test]
fn no_import_runs_up_or_in_a_circle_and_the_core_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = read_tree(&root);
    assert!(sources.len() > 15, "only {} sources under {}", sources.len(), root.display());
    let broken = check(&sources);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn planted_violations_are_found() {
    let planted = [
        ("an upward import", "tcp/a.rs", "use crate::metrics::rows::Row;", "tcp/a.rs uses crate::metrics"),
        (
            "the same inside braces",
            "tcp/a.rs",
            "use crate::{time::T, cli::{args, x as y}};",
            "tcp/a.rs uses crate::cli",
        ),
        ("the same without use", "tcp/a.rs", "fn f() -> crate::tables::T { todo!() }", "tcp/a.rs uses crate::tables"),
        ("the same through super", "conntrack/a.rs", "use super::super::pipeline::x;", "uses crate::pipeline"),
        ("a file in the core", "tcp/a.rs", "use std::{fmt, fs};", "tcp/a.rs uses std::fs"),
        ("a clock in the core", "conntrack/a.rs", "fn f(at: std::time::Instant) {}", "conntrack/a.rs uses std::time"),
        ("a socket in the core", "decode/a.rs", "use std::net::{IpAddr, TcpStream};", "decode/a.rs uses std::net"),
        ("polars in the core", "metrics/a.rs", "use polars::prelude::*;", "metrics/a.rs uses polars"),
        ("libpcap in the pipeline", "pipeline/a.rs", "fn f(x: pcap::Error) {}", "pipeline/a.rs uses pcap"),
        (
            "tables that see more than rows",
            "tables/a.rs",
            "use crate::tcp::endpoint::E;",
            "tables/a.rs uses crate::tcp",
        ),
        ("a module without a floor", "attic/a.rs", "", "attic/a.rs stands on no floor"),
    ];
    for (what, file, source, expected) in planted {
        let broken = check(&[(file.to_owned(), source.to_owned())]);
        assert!(broken.iter().any(|line| line.contains(expected)), "{what}: {broken:?}");
    }

    let circle = [
        ("tcp/a.rs".to_owned(), "use super::b::B;".to_owned()),
        ("tcp/b.rs".to_owned(), "use crate::tcp::c::C;".to_owned()),
        ("tcp/c.rs".to_owned(), "fn f() -> super::a::A { todo!() }".to_owned()),
    ];
    assert!(check(&circle).iter().any(|line| line.contains("tcp/a.rs → tcp/b.rs → tcp/c.rs → tcp/a.rs")));
    let parent_and_child = [
        ("tcp/mod.rs".to_owned(), "mod a; fn f() { a::g() }".to_owned()),
        ("tcp/a.rs".to_owned(), "use super::f;".to_owned()),
    ];
    assert!(check(&parent_and_child).iter().any(|line| line.contains("imports run in a circle")));
}

#[test]
fn what_is_allowed_is_not_found() {
    let allowed = [
        ("tcp/a.rs", "use std::net::{IpAddr, Ipv4Addr}; use std::{fmt, mem}; // std::fs in words"),
        ("tcp/b.rs", "/* crate::cli */ const X: &str = \"crate::cli\"; const C: char = '\"'; fn f<'a>(x: &'a u8) {}"),
        ("tcp/c.rs", "#[cfg(test)] mod tests { use crate::cli::args; use std::fs; fn f() {} } use crate::time::T;"),
        ("tables/d.rs", "use crate::metrics::rows::ConnectionRow; use polars::prelude::*;"),
        ("capture/e.rs", "const R: &str = r#\"crate::cli \"# ; use std::io::Read;"),
        ("cli/f.rs", "use crate::pipeline::offline; use crate::report::csv; use clap::Parser;"),
    ];
    let sources = allowed.map(|(file, source)| (file.to_owned(), source.to_owned()));
    assert_eq!(check(&sources), Vec::<String>::new());
}

/// Every `.rs` file below `root`, named by its path from there with `/`; tests in files of their own are left out.
fn read_tree(root: &Path) -> Vec<(String, String)> {
    let mut folders = vec![root.to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                if !name.ends_with("/tests") {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("/tests.rs") {
                sources.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort();
    sources
}

/// The broken rules, a line each.
fn check(sources: &[(String, String)]) -> Vec<String> {
    let modules: BTreeMap<String, &str> = sources.iter().map(|(file, _)| (module_of(file), file.as_str())).collect();
    let mut broken = BTreeSet::new();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, source) in sources {
        let top = file.split(['/', '.']).next().unwrap_or_default();
        let Some(floor) = floor(top) else {
            broken.insert(format!("{file} stands on no floor: give {top} one in tests/purity.rs"));
            continue;
        };
        let tokens = without_tests(tokens(source));
        for (path, reexport) in paths(&tokens, &module_of(file)) {
            if let Some(rule) = breaks(file, top, floor, &path) {
                broken.insert(format!("{file} uses {path}: {rule}"));
            }
            let target = path.strip_prefix("crate::").and_then(|inside| owner(&modules, inside));
            if let Some(target) = target.filter(|&target| target != file && !reexport && floor < 6) {
                imports.entry(file).or_default().insert(target);
            }
        }
    }
    broken.extend(circles(&imports));
    broken.into_iter().collect()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|&(_, floor)| floor)
}

/// `tcp/seq.rs` → `tcp::seq`, `tcp/mod.rs` → `tcp`.
fn module_of(file: &str) -> String {
    let name = file.trim_end_matches(".rs").replace('/', "::");
    name.strip_suffix("::mod").map_or(name.clone(), str::to_owned)
}

/// The file whose module is the longest beginning of `path`.
fn owner<'a>(modules: &BTreeMap<String, &'a str>, path: &str) -> Option<&'a str> {
    let mut path = path;
    loop {
        if let Some(file) = modules.get(path) {
            return Some(file);
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// The rule that using `path` breaks.
fn breaks(file: &str, top: &str, own_floor: u8, path: &str) -> Option<String> {
    let mut parts = path.split("::");
    let (first, second, third) = (parts.next()?, parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match first {
        "crate" => {
            let inside = path.trim_start_matches("crate::");
            let sees = |seen: &str| inside == seen || inside.starts_with(&format!("{seen}::"));
            if matches!(top, "tables" | "report") && !ROWS.into_iter().chain(["tables", "report"]).any(sees) {
                return Some("tables and report see rows only".to_owned());
            }
            let their_floor = floor(second)?;
            (their_floor > own_floor).then(|| format!("floor {own_floor} knows nothing of floor {their_floor}"))
        }
        "std" | "core" | "alloc" if PURE.contains(&top) => {
            let impure = IMPURE.contains(&second) || second == "net" && !ADDRESSES.contains(&third);
            impure.then(|| "this module is pure".to_owned())
        }
        name => {
            let (_, places) = CRATES.iter().find(|(krate, _)| *krate == name)?;
            let allowed = places.iter().any(|place| *place == file || *place == top && !place.ends_with(".rs"));
            (!allowed).then(|| format!("{name} is for {}", places.join(", ")))
        }
    }
}

/// One line per circle of imports that a walk along them closes.
fn circles(imports: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut found = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for &start in imports.keys() {
        let mut way = vec![(start, imports.get(start).into_iter().flatten())];
        while let Some((file, rest)) = way.last_mut() {
            let file = *file;
            match rest.next() {
                None => {
                    done.insert(file);
                    way.pop();
                }
                Some(&next) => {
                    if let Some(from) = way.iter().position(|(on_way, _)| *on_way == next) {
                        let names: Vec<&str> = way.iter().skip(from).map(|(name, _)| *name).chain([next]).collect();
                        found.push(format!("imports run in a circle: {}", names.join(" → ")));
                    } else if !done.contains(next) {
                        way.push((next, imports.get(next).into_iter().flatten()));
                    }
                }
            }
        }
    }
    found
}

/// Identifiers, `::` and single characters; without comments, strings and characters in quotes.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            'r' if at(i + 1) == '"' || at(i + 1) == '#' && matches!(at(i + 2), '"' | '#') => {
                let hashes = (i + 1..).take_while(|&j| at(j) == '#').count();
                let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                i += hashes + 2;
                while i < chars.len() && !end.chars().enumerate().all(|(j, c)| at(i + j) == c) {
                    i += 1;
                }
                i += end.len();
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, unless it is a lifetime.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ':' if at(i + 1) == ':' => {
                tokens.push("::".to_owned());
                i += 2;
            }
            c if is_name(c) => {
                let name: String = chars.iter().skip(i).take_while(|&&c| is_name(c)).collect();
                i += name.chars().count();
                tokens.push(name);
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}

/// The tokens without the items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        if tokens.iter().skip(i).take(marker.len()).eq(marker.iter()) {
            i += marker.len();
            let mut depth = 0_usize;
            while let Some(token) = tokens.get(i) {
                i += 1;
                match token.as_str() {
                    "{" => depth += 1,
                    "}" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 && matches!(token.as_str(), ";" | "}") {
                    break;
                }
            }
        } else {
            kept.push(token.clone());
            i += 1;
        }
    }
    kept
}

/// Every path in the tokens, from the crate's root or a crate's name, and whether it stands in a `pub use`.
/// A path that begins at a child declared here (`mod a; … a::f()`) is one into that child.
fn paths(tokens: &[String], module: &str) -> Vec<(String, bool)> {
    let token = |i: usize| tokens.get(i).map_or("", String::as_str);
    let children: BTreeSet<&str> =
        (0..tokens.len()).filter(|&i| token(i) == "mod" && token(i + 2) == ";").map(|i| token(i + 1)).collect();
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if token(i) == "use" {
            let public = i > 0 && matches!(token(i - 1), "pub" | ")");
            // The beginnings that open braces share, the one being read last.
            let mut beginnings: Vec<Vec<&str>> = vec![Vec::new()];
            let mut path: Vec<&str> = Vec::new();
            i += 1;
            while i < tokens.len() && token(i) != ";" {
                match token(i) {
                    "{" => beginnings.push(std::mem::take(&mut path)),
                    mark @ ("," | "}") => {
                        if !path.is_empty() {
                            let whole: Vec<&str> = beginnings.iter().flatten().chain(&path).copied().collect();
                            found.push((whole.join("::"), public));
                            path.clear();
                        }
                        if mark == "}" {
                            beginnings.pop();
                        }
                    }
                    "as" => i += 1,
                    "::" => {}
                    name => path.push(name),
                }
                i += 1;
            }
            if !path.is_empty() {
                found.push((path.join("::"), public));
            }
        } else if token(i + 1) == "::" && !matches!(if i > 0 { token(i - 1) } else { "" }, "::" | ".") {
            let mut path = vec![token(i)];
            while token(i + 1) == "::" && token(i + 2).starts_with(|c: char| c.is_alphabetic() || c == '_') {
                path.push(token(i + 2));
                i += 2;
            }
            found.push((path.join("::"), false));
        }
        i += 1;
    }
    found.into_iter().map(|(path, public)| (absolute(&path, module, &children), public)).collect()
}

/// `super::b` in `tcp::a` → `crate::tcp::b`.
fn absolute(path: &str, module: &str, children: &BTreeSet<&str>) -> String {
    let mut here: Vec<&str> = module.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    let relative = match rest.first() {
        Some(&"self" | &"super") => true,
        Some(name) => children.contains(name),
        None => false,
    };
    if !relative {
        return path.to_owned();
    }
    while let Some(&word @ ("self" | "super")) = rest.first() {
        rest.remove(0);
        if word == "super" {
            here.pop();
        }
    }
    std::iter::once("crate").chain(here).chain(rest).collect::<Vec<_>>().join("::")
}
