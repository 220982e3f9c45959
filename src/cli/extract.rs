//! `finwait extract`: the packets of chosen connections, as they were captured → a pcapng file or standard output.

use std::collections::HashMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::args::ExtractArgs;
use super::condition::Condition;
use super::settings::Settings;
use super::spool::Twice;
use super::status::Status;
use super::{console, outcome};
use crate::capture::error::grouped;
use crate::capture::info::Interface;
use crate::capture::write::PcapngWriter;
use crate::capture::{LinkType, Packet, Savefile};
use crate::error::Error;
use crate::metrics::phrase::many;
use crate::metrics::rows::ConnectionRow;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline;
use crate::pipeline::second::{self, Choices, Choosing, Chosen, Walked};
use crate::report::output::OutputDir;
use crate::tables::cell::Files;

/// More connections are not extracted at once: 1 GiB of memory for knowing them.
const MOST: usize = 1 << 22;

/// Runs the command. The captures are read twice: once to find the connections, once for their packets.
pub fn run(args: &ExtractArgs, settings: &Settings) -> Result<Status, Error> {
    let condition = args.condition.as_deref().map(Condition::parse).transpose()?;
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let to_stdout = offline::is_stdin(&args.output);
    if to_stdout && io::stdout().is_terminal() {
        return Err(Error::Request(
            "-o -: packets are not for a terminal; send them to a file or a program".to_owned(),
        ));
    }
    let interrupt = Interrupt::listen(console::last_warning);
    let captures = Twice::of(&args.captures)?;
    let inputs = captures.open()?;
    let opened = inputs.names();
    if let Some(input) = opened.iter().find(|input| !to_stdout && is_same_file(Path::new(input), &args.output)) {
        let said = format!("{input}: is read, and cannot be written at the same time; choose another file with -o");
        return Err(Error::Request(said));
    }
    let target = if to_stdout { None } else { Some(Target::begin(&args.output)?) };

    let files = Files::new(captures.names(&inputs));
    let conn = args.conn.clone();
    let wanted = move |row: &ConnectionRow| {
        (conn.is_empty() || conn.iter().any(|ids| ids.contains(&row.conn_id)))
            && condition.as_ref().is_none_or(|condition| condition.holds(row, &files))
    };
    let finished = offline::run(inputs, options.clone(), Choosing::new(MOST, wanted), &interrupt, settings.progress)?;
    let mut status = outcome::judge(&finished.summary, &captures.all_named(&finished.stopped), "")?;
    let chosen = finished.sink.finish();
    known(args, &chosen)?;
    if chosen.beyond > 0 {
        console::say(format_args!(
            "{} more connections meet the condition: only {} are extracted at once",
            grouped(chosen.beyond),
            grouped(MOST as u64)
        ));
        status = status.max(Status::Incomplete);
    }

    let mut tally = Tally { connections: chosen.choices.len() as u64, told: chosen.told, ..Tally::default() };
    let again = captures.open_again()?;
    let copy = |out: &mut dyn Write| -> io::Result<Walked> {
        let mut copying = Copying::new(out, &opened)?;
        let mut failed = None;
        let walked = second::walk(
            again,
            &options,
            Chosen::new(chosen.choices).with_late_errors(),
            &interrupt,
            settings.progress,
            &mut |met| match copying.packet(met.file, met.packet) {
                Ok(()) => {
                    tally.packets += 1;
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        );
        match failed {
            Some(error) => Err(error),
            None => copying.writer.finish(None).map(|_| walked),
        }
    };
    let mut walked = Walked::Through;
    match target {
        Some(mut target) => {
            walked = copy(&mut target.file).map_err(|error| target.failed(&error))?;
            target.file.commit().map_err(|error| Error::Output(error.to_string()))?;
        }
        None => console::stream(|out| copy(out).map(|how| walked = how))?,
    }
    if walked == Walked::Interrupted {
        console::say(format_args!("stopped by Ctrl-C after {}", many(tally.packets, "packet")));
        status = status.max(Status::Incomplete);
    }
    if !settings.quiet {
        console::say(tally.told(&args.output));
    }
    Ok(status)
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    packets: u64,
    connections: u64,
    told: u64,
}

impl Tally {
    fn told(&self, output: &Path) -> String {
        let name = if offline::is_stdin(output) { "standard output".to_owned() } else { output.display().to_string() };
        let of = format!("{} of {}", grouped(self.connections), many(self.told, "connection"));
        format!("{name}: {} of {of}", many(self.packets, "packet"))
    }
}

/// Numbers that were asked for exist.
fn known(args: &ExtractArgs, chosen: &Choices) -> Result<(), Error> {
    let Some(ids) = args.conn.iter().find(|ids| *ids.end() > chosen.last_id) else { return Ok(()) };
    let known = match chosen.last_id {
        0 => "there are no connections".to_owned(),
        1 => "there is one connection, number 1".to_owned(),
        most => format!("there are connections 1 to {}", grouped(most)),
    };
    Err(Error::Request(format!("--conn: no connection {}; {known}", ids.end())))
}

/// A file that appears under its name once it is whole.
struct Target {
    path: PathBuf,
    file: crate::report::output::OutputFile,
}

impl Target {
    fn begin(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.filter(|_| !path.is_dir()).ok_or_else(|| {
            Error::Request(format!("{}: is no name for a file; choose another with -o", path.display()))
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let begun = OutputDir::open(folder).and_then(|folder| folder.create(name));
        let file = begun.map_err(|error| Error::Output(error.to_string()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::Output(format!("{}: cannot write: {error}; choose another file with -o", self.path.display()))
    }
}

/// Packets on their way into the new file, each on an interface like its own.
struct Copying<'a> {
    writer: PcapngWriter<&'a mut dyn Write>,
    /// The inputs, as they can be opened.
    inputs: &'a [String],
    /// The number here of each input's interface. A link type is a part of the key: some captures change it within one.
    interfaces: HashMap<(u16, u32, LinkType), usize>,
}

impl<'a> Copying<'a> {
    fn new(out: &'a mut dyn Write, inputs: &'a [String]) -> io::Result<Self> {
        Ok(Self { writer: PcapngWriter::new(out)?, inputs, interfaces: HashMap::new() })
    }

    fn packet(&mut self, file: u16, packet: &Packet<'_>) -> io::Result<()> {
        let key = (file, packet.interface, packet.link);
        let interface = match self.interfaces.get(&key) {
            Some(interface) => *interface,
            None => {
                let path = self.inputs.get(usize::from(file)).map(Path::new);
                let like = path.and_then(|path| described(path, packet));
                let unknown = Interface { name: None, snaplen: None, decimals: 9 };
                let interface = self.writer.describe(packet.link, &like.unwrap_or(unknown))?;
                self.interfaces.insert(key, interface);
                interface
            }
        };
        self.writer.write_on(packet, interface)
    }
}

/// What a capture says of the interface of one of its packets. It is read again for that, but only as far as the interface's
/// description, which nearly always stands at the beginning.
fn described(path: &Path, packet: &Packet<'_>) -> Option<Interface> {
    let mut savefile = Savefile::open(path).ok()?;
    loop {
        let is_there = savefile.next().ok()?.is_some();
        match savefile.interface(packet.interface) {
            Some(interface) => return Some(interface),
            None if is_there => {}
            None => return None,
        }
    }
}

/// Whether both names lead to one file.
fn is_same_file(left: &Path, right: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        inode(left).is_some_and(|inode_of_left| Some(inode_of_left) == inode(right))
    }
    #[cfg(not(unix))]
    {
        fs::canonicalize(left).is_ok_and(|left| fs::canonicalize(right).is_ok_and(|right| left == right))
    }
}
