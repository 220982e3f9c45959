//! Writes a capture for the benchmark. In: a profile and numbers. Out: a classic pcap in a file or on standard output.

mod generate;

use std::env;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::str::FromStr;

use generate::{Profile, Settings};

const HELP: &str = "\
Usage: traffic PROFILE [--packets N] [--flows LIVE] [--seed S] [--rate PER_SECOND] [-o FILE]

Writes a pcap that is the same for the same options, to standard output or to FILE.

Profiles:
  short    connections of about ten packets (10,000 live)
  mix      connections of all lengths, packets of all sizes, a fifth UDP (100,000 live)
  bulk     endless transfers in full segments (8 live)
  headers  mix, cut to 96 bytes a packet (100,000 live)
  flood    SYNs from everywhere to one listener (has no live connections)
  idle     connections that hardly speak (1,000,000 live)

Options:
  --packets N        packets to write; 1000000 if not given
  --flows LIVE       connections open at the same time
  --seed S           another capture of the same kind; 1 if not given
  --rate PER_SECOND  packets a second of the capture's own time, about; 200000 if not given
  -o, --output FILE  the file to write
Numbers may have underscores: 100_000_000.
";

struct Asked {
    settings: Settings,
    output: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        return said(io::stdout().write_all(HELP.as_bytes()));
    }
    match parse(&arguments) {
        Ok(asked) => said(run(&asked)),
        Err(problem) => {
            // Nowhere to report that standard error is closed.
            let _ = writeln!(io::stderr(), "traffic: {problem}; see traffic --help");
            ExitCode::from(2)
        }
    }
}

fn said(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "traffic: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(asked: &Asked) -> io::Result<()> {
    let told = match &asked.output {
        Some(path) => {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
            generate::write(&asked.settings, File::create(path).map_err(named)?).map_err(named)?
        }
        None => generate::write(&asked.settings, io::stdout().lock())?,
    };
    writeln!(io::stderr(), "{told:?}")
}

fn parse(arguments: &[String]) -> Result<Asked, String> {
    let mut profile = None;
    let (mut packets, mut flows, mut seed, mut rate) = (1_000_000, None, 1, 200_000);
    let mut output = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--packets" => packets = number(argument, value()?)?,
            "--flows" => flows = Some(number::<u32>(argument, value()?)?),
            "--seed" => seed = number(argument, value()?)?,
            "--rate" => rate = number(argument, value()?)?,
            "-o" | "--output" => output = Some(value()?.clone()),
            name if !name.starts_with('-') && profile.is_none() => {
                let known = Profile::ALL.into_iter().find(|profile| profile.to_string() == name);
                profile = Some(known.ok_or_else(|| format!("there is no profile '{name}'"))?);
            }
            other => return Err(format!("'{other}' is not understood")),
        }
    }
    let profile = profile.ok_or("a profile is needed")?;
    if profile == Profile::Flood && flows.is_some() {
        return Err("a flood has no live connections: leave --flows out".to_owned());
    }
    if profile != Profile::Flood && flows == Some(0) {
        return Err("--flows must be at least 1".to_owned());
    }
    if rate == 0 {
        return Err("--rate must be at least 1".to_owned());
    }
    let flows = flows.unwrap_or(profile.default_flows());
    Ok(Asked { settings: Settings { profile, packets, flows, seed, rate }, output })
}

fn number<N: FromStr>(option: &str, text: &str) -> Result<N, String> {
    text.replace('_', "").parse().map_err(|_| format!("{option}: '{text}' is not a number that fits"))
}
