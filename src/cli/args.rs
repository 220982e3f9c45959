//! What was typed: the definition of every command and option, from which help, man page and completions come too.
//! In: the arguments. Out: [`Args`]. Nothing here looks at the system.

use std::ffi::{OsStr, OsString};
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use super::{instant, size};
use crate::error::Error;
use crate::metrics::ephemeral_ports::PortRange;
use crate::pipeline::period::Bound;
use crate::report::Format;
use crate::tables::schema::Table;
use crate::tcp::state::Side;
use crate::time::{Span, duration};

const EXAMPLES: &str = "\
Examples:
  finwait web.pcapng                        analyse a capture; the report goes to reports/web/
  finwait -o out *.pcap.gz                  several captures as one, in time order
  finwait /var/ring                         all captures in a folder as one, in time order
  ssh host tcpdump -U -w - | finwait -      from standard input
  finwait list --where 'fin_retransmissions_server > 0' web.pcapng
  finwait show web.pcapng 12                the packets and states of connection 12
  finwait follow web.pcapng 12 --side server >12.bin
                                            the bytes that its server sent
  finwait extract --where 'closing == reset_by_server' -o resets.pcapng web.pcapng
  finwait live eth0 --duration 60s          watch an interface for a minute

A file that is named like a command needs its folder: finwait ./report

Exit status:
  0  complete, also for a sound capture without TCP
  1  the report is written, but the input was incomplete or damaged
  2  nothing useful could be done";

const ABOUT: &str =
    "Both endpoints' TCP states, handshake latency, retransmitted FINs and TIME_WAIT, from a packet capture";

const LONG_ABOUT: &str = "\
finwait reads what a tap recorded of TCP connections and says what both endpoints went through: their RFC 9293 states, \
how long handshakes took, which FINs had to come again and why, who sat in TIME_WAIT and for how long. Every guess says \
that it is one, and every finding names the frames that prove it.";

/// The language of `--where`; `predicate` has its grammar.
const WHERE: &str = include_str!("where.txt");

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(
    name = "finwait",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    override_usage = "finwait [report] [OPTIONS] CAPTURE...\n       finwait COMMAND ...",
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What every command understands.
    #[command(flatten)]
    pub common: Common,

    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// No progress, no summary: only what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Colours in the terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into a pipe or a file
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse captures and write the report (what `finwait CAPTURE` does)
    Report(ReportArgs),
    /// Watch an interface; the same report as for a file
    Live(LiveArgs),
    /// One connection as a ladder: packets between two lanes, each side's state beside them
    Show(ShowArgs),
    /// One line a connection
    List(ListArgs),
    /// The bytes inside a connection, in order; or every stream into a file of its own
    Follow(FollowArgs),
    /// The packets of chosen connections, as they were captured
    Extract(ExtractArgs),
    /// Every table and column: type, unit, meaning
    Schema(SchemaArgs),
    /// What can be captured on, and why not
    Interfaces,
    /// Completions for a shell, to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The man page to standard output, or one page a command into a folder
    Man {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// Options that change the figures or how they are made.
#[derive(Clone, Debug, clap::Args)]
pub struct AnalysisArgs {
    /// How long TIME_WAIT is assumed to last where no packet shows its end: linux (60 s), windows (120 s),
    /// macos (30 s), rfc (4 min) or a length of time
    #[arg(long, value_name = "linux|windows|macos|rfc|TIME", default_value = "linux", value_parser = time_wait)]
    pub time_wait: Span,

    /// Verify TCP checksums of whole segments; wrong ones become anomalies
    #[arg(long)]
    pub verify_checksums: bool,

    /// One 4-tuple is one connection in whatever VLANs and tunnels it is seen. Without this, a SYN elsewhere with another sequence
    /// number begins one of its own: another customer with the same private addresses
    #[arg(long)]
    pub ignore_vlan: bool,

    /// Threads for the analysis; the result is the same for any number [default: the cores, at most 4]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Width of the buckets of the tables over time: state_census, listener_queues, ephemeral_port_use
    /// [default: so that there are at most 600]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub bucket: Option<Span>,

    /// Memory that finwait may take: beyond it, what is worth least is given up, and that is said. Connections have their rows,
    /// closed as `evicted`, finished and half-open ones first; follow waits no longer for what is missing. Less than 256M may be
    /// too little for a report in every format
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = size::parse)]
    pub memory: u64,
}

/// Which packets of the captures count.
#[derive(Clone, Debug, clap::Args)]
pub struct PeriodArgs {
    /// Only packets from TIME on: an instant such as 2026-11-21T10:00:00Z (or with +01:00; without either, UTC), or a length
    /// of time from the first packet on, such as 90s. Packets before it are passed over as if the tap had been started then: they
    /// give no connection, and one that was open already has an opening that was not seen. Frame numbers stay the file's
    #[arg(long, value_name = "TIME", value_parser = instant::bound)]
    pub from: Option<Bound>,

    /// Only packets before TIME, given as for --from; later ones are passed over, wherever they stand in the file
    #[arg(long, value_name = "TIME", value_parser = instant::bound)]
    pub to: Option<Bound>,

    /// Of these, only packets that pass this filter, in tcpdump's language: 'tcp port 443'. The others are passed over in the
    /// same way; connections of which it hides a part are told by the rest. A filter sees the outermost headers only: what lies
    /// in a VLAN, a PPPoE session or a tunnel must be asked for, as in 'vlan and tcp port 443'
    #[arg(long, value_name = "EXPR")]
    pub bpf: Option<String>,
}

/// Options for what is written, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct OutputArgs {
    /// The folder for the report [default: reports/<first capture's, folder's or pattern's name>/]; all of it appears at once, but from a pipe or an
    /// interface CSV and JSON lines of connections grow batch by batch
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,

    /// What to write
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = format_names(),
          default_values = ["csv", "parquet", "json", "png", "html"])]
    format: Vec<String>,

    /// Which tables to write, or none [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = wanted_tables())]
    tables: Vec<String>,

    /// The ports that clients choose from, for ephemeral_ports [default: 32768-60999, Linux's ip_local_port_range]
    #[arg(long, value_name = "LOW-HIGH", default_value_t, hide_default_value = true, value_parser = port_range)]
    pub port_range: PortRange,
}

impl OutputArgs {
    /// What to write, each once.
    pub fn formats(&self) -> Vec<Format> {
        let is_wanted = |format: &Format| self.format.iter().any(|name| name == format.name());
        Format::ALL.into_iter().filter(is_wanted).collect()
    }

    /// The tables to write, each once, in the contract's order.
    pub fn tables(&self) -> Vec<Table> {
        let is_wanted = |table: &Table| self.tables.is_empty() || self.tables.iter().any(|name| name == table.name());
        Table::ALL.into_iter().filter(is_wanted).collect()
    }
}

/// `finwait report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Captures: pcap, pcapng or snoop, plain or packed by gzip, zstd, lz4, xz or bzip2; `-` is standard input. A folder stands
    /// for the captures in it, a quoted pattern such as 'ring/eth0*.pcap*' for the files that match. Several are read as one, in
    /// time order; they are numbered as typed, those of a folder or pattern by name
    #[arg(required = true, value_name = "CAPTURE", value_hint = ValueHint::AnyPath)]
    pub captures: Vec<PathBuf>,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub output: OutputArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub period: PeriodArgs,
}

/// `finwait live`.
#[derive(Debug, clap::Args)]
pub struct LiveArgs {
    /// The interface; `finwait interfaces` lists them
    #[arg(value_name = "IFACE")]
    pub interface: String,

    /// Stop after this time: 60s, 5m; without it, Ctrl-C stops
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Span>,

    /// Stop after this many packets
    #[arg(long, value_name = "N")]
    pub packets: Option<NonZeroU64>,

    /// Take only what this filter lets through, in tcpdump's language: 'tcp port 443'
    #[arg(long, value_name = "EXPR")]
    pub bpf: Option<String>,

    /// Keep the packets too
    #[arg(long, value_name = "FILE.pcapng", value_hint = ValueHint::FilePath)]
    pub write: Option<PathBuf>,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub output: OutputArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,
}

/// `finwait show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The capture, or `-`
    #[arg(value_name = "CAPTURE", value_hint = ValueHint::FilePath)]
    pub capture: PathBuf,

    /// The connection's number, as `finwait list` and the tables give it
    #[arg(value_name = "CONN_ID")]
    pub conn_id: NonZeroU64,

    /// Draw every packet, also in long runs that change nothing
    #[arg(long)]
    pub all: bool,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub period: PeriodArgs,
}

/// `finwait list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Captures, as for report
    #[arg(required = true, value_name = "CAPTURE", value_hint = ValueHint::AnyPath)]
    pub captures: Vec<PathBuf>,

    /// Only connections for which this holds: 'closing == reset_by_server and handshake > 50ms'; --help says more
    #[arg(long = "where", value_name = "EXPR", long_help = WHERE)]
    pub condition: Option<String>,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub period: PeriodArgs,
}

/// `finwait follow`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "finwait follow [OPTIONS] CAPTURE... CONN_ID\n       finwait follow [OPTIONS] --all DIR CAPTURE..."
)]
pub struct FollowArgs {
    /// Captures, as for report; then, without --all, the connection's number as `finwait list` and the tables give it
    #[arg(required = true, value_name = "CAPTURE... CONN_ID", value_hint = ValueHint::FilePath)]
    pub inputs: Vec<PathBuf>,

    /// Write every stream that has bytes to a file in this folder, which must be new or empty, with index.csv (a line a
    /// stream) and gaps.csv (a line a gap)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub all: Option<PathBuf>,

    /// Only what this side sent; else both, in the order in which their bytes were complete at the tap
    #[arg(long)]
    pub side: Option<WhichSide>,

    /// What stands where bytes are missing [default: mark in files and on a terminal, skip into a pipe]
    #[arg(long)]
    pub gaps: Option<Gaps>,

    /// With --all, only connections for which this holds; see list
    #[arg(long = "where", value_name = "EXPR", requires = "all", long_help = WHERE)]
    pub condition: Option<String>,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub period: PeriodArgs,
}

/// `finwait extract`.
#[derive(Debug, clap::Args)]
pub struct ExtractArgs {
    /// Captures, as for report; they are read twice
    #[arg(required = true, value_name = "CAPTURE", value_hint = ValueHint::FilePath)]
    pub captures: Vec<PathBuf>,

    /// Only connections for which this holds: 'client in 10.0.0.0/8 and not closing == fin'; --help says more
    #[arg(long = "where", value_name = "EXPR", long_help = WHERE, required_unless_present = "conn")]
    pub condition: Option<String>,

    /// Only connections with these numbers, as `finwait list` and the tables give them: 1,5-9
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = conn_ids)]
    pub conn: Vec<RangeInclusive<u64>>,

    /// The file to write, always pcapng, or `-` for standard output. It appears when it is whole, in place of an older one. It has
    /// every packet of the chosen connections and the ICMP errors about them, byte for byte, with their times, interfaces and
    /// lengths, in the order of the captures; of a packet in fragments the last one only
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub analysis: AnalysisArgs,

    #[allow(missing_docs)] // says it itself
    #[command(flatten)]
    pub period: PeriodArgs,
}

impl FollowArgs {
    /// The captures and the connection's number.
    ///
    /// # Errors
    ///
    /// When the last argument is no number, or the only one.
    pub fn one(&self) -> Result<(&[PathBuf], NonZeroU64), Error> {
        let number =
            self.inputs.split_last().and_then(|(last, captures)| Some((captures, last.to_str()?.parse().ok()?)));
        number.filter(|(captures, _)| !captures.is_empty()).ok_or_else(|| {
            Error::Request(
                "a connection's number has to follow the captures, as in: finwait follow web.pcapng 12; or --all DIR for all"
                    .to_owned(),
            )
        })
    }
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhichSide {
    /// The side that opened
    Client,
    /// The other side
    Server,
}

impl From<WhichSide> for Side {
    fn from(side: WhichSide) -> Self {
        match side {
            WhichSide::Client => Self::Client,
            WhichSide::Server => Self::Server,
        }
    }
}

/// What stands where bytes of a stream are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gaps {
    /// "[1234 bytes missing in capture file]", as tshark has it
    Mark,
    /// As many zero bytes, so that places in the stream are places in the output
    Zeros,
    /// Nothing: bytes of the stream alone
    Skip,
}

/// `finwait schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Only this table
    #[arg(value_name = "TABLE", value_parser = table_names(), conflicts_with = "json")]
    table: Option<String>,

    /// All of it as JSON, for programs
    #[arg(long)]
    pub json: bool,
}

impl SchemaArgs {
    /// The table that was asked for, if one was.
    pub fn table(&self) -> Option<Table> {
        self.table.as_deref().and_then(Table::from_name)
    }
}

fn table_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Table::ALL.map(Table::name))
}

/// The tables, and a word that is the name of none of them.
fn wanted_tables() -> PossibleValuesParser {
    PossibleValuesParser::new(Table::ALL.map(Table::name).into_iter().chain(["none"]))
}

fn format_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
}

/// The assumed stay in TIME_WAIT: a system's own, or a length of time.
///
/// Linux: `TCP_TIMEWAIT_LEN`, 60 s. Windows: `TcpTimedWaitDelay`, 120 s by default since Server 2003 (240 s before).
/// macOS: twice `net.inet.tcp.msl` (15 s). RFC 9293 3.4.2: MSL is 2 min, TIME-WAIT lasts two of them.
fn time_wait(text: &str) -> Result<Span, String> {
    match text {
        "linux" => Ok(Span::from_secs(60)),
        "windows" => Ok(Span::from_secs(120)),
        "macos" => Ok(Span::from_secs(30)),
        "rfc" => Ok(Span::from_secs(240)),
        _ => duration::parse(text).map_err(|_| "linux, windows, macos, rfc or a length of time such as 90s".to_owned()),
    }
}

/// A connection's number, or two with a dash between them.
fn conn_ids(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(first..=last),
        _ => Err("numbers of connections such as 1,5-9, from 1 on".to_owned()),
    }
}

/// Two ports with a dash between them.
fn port_range(text: &str) -> Result<PortRange, String> {
    let ports = text.split_once('-').and_then(|(low, high)| PortRange::new(low.parse().ok()?, high.parse().ok()?));
    ports.ok_or_else(|| "two ports such as 1024-65535, the lower one first".to_owned())
}

/// Reads the command line.
///
/// # Errors
///
/// What clap has to say: help and version too, which it prints to standard output with status 0; a mistake goes to
/// standard error with status 2.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    Args::try_parse_from(name_the_command(typed.into_iter().collect()))
}

/// The whole definition, for man page and completions.
pub fn definition() -> clap::Command {
    Args::command()
}

/// Puts the command's name first: `finwait -o out x.pcap` becomes `finwait report -o out x.pcap`, and
/// `finwait -o out list x.pcap` becomes `finwait list -o out x.pcap`. The first argument that is neither an option nor an
/// option's value decides; what is no command's name is a capture. Without one, clap speaks for itself.
fn name_the_command(mut typed: Vec<OsString>) -> Vec<OsString> {
    let definition = definition();
    let report = definition.find_subcommand("report");
    let takes_value = |is_it: &dyn Fn(&clap::Arg) -> bool| {
        definition
            .get_arguments()
            .chain(report.into_iter().flat_map(clap::Command::get_arguments))
            .any(|arg| is_it(arg) && arg.get_action().takes_values())
    };
    let mut at = 1;
    while let Some(argument) = typed.get(at) {
        let bytes = argument.as_encoded_bytes();
        at += match bytes {
            b"--" => break,
            [b'-', b'-', name @ ..] => {
                1 + usize::from(takes_value(&|arg| arg.get_long().is_some_and(|long| long.as_bytes() == name)))
            }
            // `-o DIR` takes the next argument, `-oDIR` does not; the last letter of `-qo DIR` does.
            [b'-', letters @ .., last] => {
                let is_option = |arg: &clap::Arg| arg.get_short() == Some(char::from(*last));
                let glued =
                    letters.iter().any(|letter| takes_value(&|arg| arg.get_short() == Some(char::from(*letter))));
                1 + usize::from(!glued && takes_value(&is_option))
            }
            _ => break,
        };
    }
    let Some(first) = typed.get(at) else { return typed };
    let is_command = |name: &OsStr| name == "help" || definition.find_subcommand(name).is_some();
    if is_command(first) {
        let command = typed.remove(at);
        typed.insert(1, command);
    } else {
        typed.insert(1, OsString::from("report"));
    }
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn report(line: &str) -> ReportArgs {
        match read(line).map(|args| args.command) {
            Ok(Command::Report(report)) => report,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn a_bare_capture_is_a_report() {
        assert_eq!(report("finwait x.pcap").captures, [PathBuf::from("x.pcap")]);
        assert_eq!(report("finwait -").captures, [PathBuf::from("-")]);
        assert_eq!(report("finwait x.pcap report").captures, [PathBuf::from("x.pcap"), PathBuf::from("report")]);
        assert_eq!(report("finwait ./report").captures, [PathBuf::from("./report")]);
        assert_eq!(report("finwait report report").captures, [PathBuf::from("report")]);
        assert_eq!(report("finwait -- list").captures, [PathBuf::from("list")]);
    }

    #[test]
    fn options_may_stand_before_the_capture() {
        for line in [
            "finwait -o out x.pcap",
            "finwait -oout x.pcap",
            "finwait --output out x.pcap",
            "finwait --output=out x.pcap",
            "finwait -qo out x.pcap",
            "finwait -q -o out x.pcap",
            "finwait --color never -o out x.pcap",
            "finwait --verify-checksums -o out x.pcap",
            "finwait x.pcap -o out",
            "finwait -o out report x.pcap",
        ] {
            let args = report(line);
            assert_eq!(args.captures, [PathBuf::from("x.pcap")], "{line}");
            assert_eq!(args.output.output, Some(PathBuf::from("out")), "{line}");
        }
        assert!(matches!(read("finwait -q list x.pcap").map(|args| args.command), Ok(Command::List(_))));
    }

    #[test]
    fn formats_and_tables_are_lists() {
        let args = report("finwait x.pcap --format svg,csv,csv --tables anomalies,connections");
        assert_eq!(args.output.formats(), [Format::Csv, Format::Svg]);
        assert_eq!(args.output.tables(), [Table::Connections, Table::Anomalies]);
        let defaults = report("finwait x.pcap").output;
        assert_eq!(defaults.formats(), [Format::Csv, Format::Parquet, Format::Json, Format::Png, Format::Html]);
        assert_eq!(defaults.tables(), Table::ALL);
        assert!(read("finwait x.pcap --tables connection").is_err());
        assert!(read("finwait x.pcap --format xls").is_err());
    }

    #[test]
    fn the_assumed_time_wait_has_presets() {
        let seconds = |word: &str| report(&format!("finwait x --time-wait {word}")).analysis.time_wait;
        assert_eq!(seconds("linux"), Span::from_secs(60));
        assert_eq!(seconds("windows"), Span::from_secs(120));
        assert_eq!(seconds("macos"), Span::from_secs(30));
        assert_eq!(seconds("rfc"), Span::from_secs(240));
        assert_eq!(seconds("90"), Span::from_secs(90));
        assert_eq!(seconds("2m"), Span::from_secs(120));
        assert_eq!(report("finwait x").analysis.time_wait, Span::from_secs(60));
        assert!(read("finwait x --time-wait plan9").is_err());
    }

    #[test]
    fn a_range_of_ports_has_two_ends_in_order() {
        let range = |words: &str| report(&format!("finwait x {words}")).output.port_range;
        assert_eq!(range(""), PortRange::default());
        assert_eq!(Some(range("--port-range 1024-65535")), PortRange::new(1_024, 65_535));
        for wrong in ["0-9", "9-8", "1-65536", "5", "a-b", "-"] {
            assert!(read(&format!("finwait x --port-range={wrong}")).is_err(), "{wrong}");
        }
        assert!(matches!(read("finwait live lo --port-range 5-9").map(|args| args.command), Ok(Command::Live(_))));
    }

    #[test]
    fn mistakes_and_questions_have_clap_s_status() {
        let status = |line: &str| read(line).map(|_| ()).map_err(|error| error.exit_code());
        assert_eq!(status("finwait --help"), Err(0));
        assert_eq!(status("finwait --version"), Err(0));
        assert_eq!(status("finwait -V"), Err(0));
        assert_eq!(status("finwait -v"), Err(0));
        assert_eq!(status("finwait help list"), Err(0));
        assert_eq!(status("finwait"), Err(2));
        assert_eq!(status("finwait report"), Err(2));
        assert_eq!(status("finwait --frobnicate"), Err(2));
        assert_eq!(status("finwait show x.pcap 0"), Err(2));
        assert_eq!(status("finwait x.pcap --threads 0"), Err(2));
    }
}
