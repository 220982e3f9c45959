//! What a report is called. In: the first capture, folder or pattern that was typed. Out: the name of its folder under `reports/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::pipeline::inputs::{is_stdin, pattern};

/// Endings that say what a file is, not what it is called: `web.pcapng.gz` is `web`.
const ENDINGS: [&str; 13] =
    [".gz", ".zst", ".zstd", ".lz4", ".xz", ".bz2", ".pcap", ".pcapng", ".cap", ".dmp", ".ntar", ".snoop", ".snp"];

/// What stands between the parts of a name.
const SEPARATORS: [char; 4] = ['.', '-', '_', ' '];

/// What could have been named by nothing that was typed.
const NAMELESS: &str = "captures";

/// What a capture is called without its folder and endings, a folder by its own name, a pattern by what stands before its first
/// wildcard, or by its folder; `stdin` for standard input.
pub fn stem(typed: &Path) -> String {
    if is_stdin(typed) {
        return "stdin".to_owned();
    }
    if typed.is_dir() {
        return folder(typed);
    }
    let name = typed.file_name().unwrap_or(typed.as_os_str()).to_string_lossy();
    if pattern(typed).is_some() {
        let before = name.split(['*', '?', '[']).next().unwrap_or_default().trim_end_matches(SEPARATORS);
        let plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        return match before {
            "" => folder(&typed.components().take_while(plain).collect::<PathBuf>()),
            before => without_endings(before).to_owned(),
        };
    }
    without_endings(&name).to_owned()
}

/// The name of a folder, however it was typed: `.` and `..` have one too.
fn folder(typed: &Path) -> String {
    let here = if typed.as_os_str().is_empty() { Path::new(".") } else { typed };
    let last = |path: &Path| path.file_name().map(OsStr::to_string_lossy).map(|name| name.into_owned());
    last(here).or_else(|| last(&fs::canonicalize(here).ok()?)).unwrap_or_else(|| NAMELESS.to_owned())
}

fn without_endings(mut name: &str) -> &str {
    while let Some(shorter) =
        ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).filter(|shorter| !shorter.is_empty())
    {
        name = shorter;
    }
    name
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_report_is_called_as_its_capture() {
        let stem = |path| stem(Path::new(path));
        assert_eq!(stem("web.pcapng"), "web");
        assert_eq!(stem("/var/tmp/web.pcap.gz"), "web");
        assert_eq!(stem("web.snoop.xz"), "web");
        assert_eq!(stem("web.2026-01-02.cap"), "web.2026-01-02");
        assert_eq!(stem("trace"), "trace");
        assert_eq!(stem(".pcap"), ".pcap");
        assert_eq!(stem("-"), "stdin");
    }

    #[test]
    fn a_report_is_called_as_its_folder_or_the_beginning_of_its_pattern() {
        let stem = |path| stem(Path::new(path));
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let here = env::current_dir().unwrap();
        assert_eq!(stem("src"), "src");
        assert_eq!(stem("src/capture/"), "capture");
        assert_eq!(stem("."), name(&here));
        assert_eq!(stem("src/.."), name(&here));
        assert_eq!(stem("/"), "captures");
        assert_eq!(stem("ring/eth0_*.pcap*"), "eth0");
        assert_eq!(stem("ring/eth0.pcap*"), "eth0");
        assert_eq!(stem("ring/*.pcap"), "ring");
        assert_eq!(stem("ring/*/[0-9]*"), "ring");
        assert_eq!(stem("*.pcap"), name(&here));
    }
}
