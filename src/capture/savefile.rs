//! Capture files. In: a path, `-` for standard input, or any reader. Out: packets borrowed from one reused buffer.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::Compression;
use super::decompress;
use super::error::{CaptureError, Problem};
use super::foreign::LOOKED_AT;
use super::info::{Info, Interface, Seen};
use super::pcap::{self as classic, Pcap};
use super::pcapng::{self, Pcapng};
use super::snoop::{self, Snoop};
use super::window::{BUFFER, Window};
use super::{Flow, Packet, Polled, Source};

/// Compressed bytes a read.
const COMPRESSED: usize = 64 << 10;

/// Bytes a read of a file of which only the first packet is wanted: whoever looks into thousands must not read 256 KiB of each.
const GLANCE: usize = 4 << 10;

/// A capture being read. Compression and container are told by their magic numbers, never by the name; the file is read
/// once from front to back, so pipes work.
pub struct Savefile {
    name: String,
    window: Window,
    container: Container,
    seen: Seen,
    progress: Progress,
    over: bool,
}

enum Container {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Snoop(Snoop),
}

/// How far the reading of a file has come, in bytes of the file as it lies on the disk. A clone follows the reading from
/// another thread.
#[derive(Clone, Debug)]
pub struct Progress {
    consumed: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Progress {
    /// Of the reading of files one after the other, together of `total` bytes.
    pub(super) fn of(total: u64) -> Self {
        Self { consumed: Arc::default(), total: Some(total) }
    }

    /// Bytes read up to now.
    pub fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// The size of the file; `None` for a pipe.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// Counts what passes.
struct Counting {
    reader: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Savefile {
    /// Opens `path`, or standard input for `-`, and reads the file's header.
    ///
    /// # Errors
    /// No such file, no right, a directory, a terminal, nothing in it, not a capture, a header that is cut or unknown, a
    /// compression that this build leaves out.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let (reader, total) = if name == "-" { standard_input() } else { file(path) }
            .map_err(|problem| CaptureError::new(&name, 0, problem))?;
        Self::start(name, reader, Progress { consumed: Arc::default(), total }, [COMPRESSED, BUFFER])
    }

    /// Opens the regular file `path` again, whose reading `progress` has begun to follow.
    pub(super) fn reopen(path: &Path, progress: Progress) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let (reader, _) = file(path).map_err(|problem| CaptureError::new(&name, 0, problem))?;
        Self::start(name, reader, progress, [COMPRESSED, BUFFER])
    }

    /// Opens `path` for its first packet alone.
    pub(super) fn glance(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let (reader, total) = file(path).map_err(|problem| CaptureError::new(&name, 0, problem))?;
        Self::start(name, reader, Progress { consumed: Arc::default(), total }, [GLANCE; 2])
    }

    /// Reads a capture from `reader`; `name` stands in the messages.
    ///
    /// # Errors
    /// As [`Savefile::open`], without those of opening.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let progress = Progress { consumed: Arc::default(), total: None };
        Self::start(name.to_owned(), Box::new(reader), progress, [COMPRESSED, BUFFER])
    }

    fn start(
        name: String,
        reader: Box<dyn Read + Send>,
        progress: Progress,
        buffers: [usize; 2],
    ) -> Result<Self, CaptureError> {
        let counting = Counting { reader, count: Arc::clone(&progress.consumed) };
        match recognise(Box::new(counting), buffers) {
            Ok((window, container)) => Ok(Self { name, window, container, seen: Seen::new(), progress, over: false }),
            Err(problem) => Err(CaptureError::new(&name, 0, *problem)),
        }
    }

    /// The next packet, in file order. `None` at the end and, for ever, after an error.
    ///
    /// # Errors
    /// The file is cut or damaged there, or cannot be read on; everything before it has been given.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from its own buffer")]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.advance(Some, || None)
    }

    /// Makes of the next packet, or of the end, what is asked for. Each container has its arm, and each caller his copy of them:
    /// met again as one value, a packet's fields would be stored narrow and loaded wide, which costs as much as the reading.
    #[inline(always)]
    fn advance<'a, R>(
        &'a mut self,
        packet: impl FnOnce(Packet<'a>) -> R,
        end: impl FnOnce() -> R,
    ) -> Result<R, CaptureError> {
        if self.over {
            return Ok(end());
        }
        let number = self.seen.packets + 1;
        let problem = match &mut self.container {
            Container::Pcap(pcap) => match pcap.next(&mut self.window, number) {
                Ok(Some(found)) => return Ok(packet(self.seen.packet(found, &self.window))),
                Ok(None) => None,
                Err(problem) => Some(problem),
            },
            Container::Pcapng(pcapng) => match pcapng.next(&mut self.window, number) {
                Ok(Some(found)) => return Ok(packet(self.seen.packet(found, &self.window))),
                Ok(None) => None,
                Err(problem) => Some(problem),
            },
            Container::Snoop(snoop) => match snoop.next(&mut self.window, number) {
                Ok(Some(found)) => return Ok(packet(self.seen.packet(found, &self.window))),
                Ok(None) => None,
                Err(problem) => Some(problem),
            },
        };
        if self.window.fell_short() {
            return Ok(end());
        }
        self.over = true;
        match problem {
            Some(problem) => Err(self.stop(*problem)),
            None => Ok(end()),
        }
    }

    /// The first packet may be waited for; then only those that are held.
    fn lend(&mut self, most: usize, take: &mut dyn FnMut(&Packet<'_>)) -> Result<Flow, CaptureError> {
        for _ in 0..most {
            let lent = self.advance(
                |packet| {
                    take(&packet);
                    true
                },
                || false,
            )?;
            if !lent {
                return Ok(if self.over { Flow::End } else { Flow::More });
            }
            self.window.hold(true);
        }
        Ok(Flow::More)
    }

    #[cold]
    fn stop(&self, problem: Problem) -> CaptureError {
        CaptureError::new(&self.name, self.seen.packets, problem)
    }

    /// What is known up to now; complete after the end.
    pub fn info(&self) -> Info {
        let (container, detail, drops) = match &self.container {
            Container::Pcap(pcap) => ("pcap", pcap.detail(), None),
            Container::Pcapng(pcapng) => ("pcapng", None, pcapng.drops()),
            Container::Snoop(snoop) => ("snoop", None, snoop.drops()),
        };
        let details: Vec<&str> = detail.into_iter().chain(self.window.compression().map(Compression::name)).collect();
        let format =
            if details.is_empty() { container.to_owned() } else { format!("{container} ({})", details.join(", ")) };
        Info {
            path: self.name.clone(),
            format,
            packets: self.seen.packets,
            bytes: self.window.offset(),
            first_ts: self.seen.first_ts(),
            last_ts: self.seen.last_ts(),
            link_types: self.seen.links(),
            drops,
            snaplen: self.snaplen(),
        }
    }

    /// The most bytes of a packet that were kept, as the file's header or its interfaces up to now tell; `None` when they
    /// do not, or when there is no limit.
    pub fn snaplen(&self) -> Option<u32> {
        match &self.container {
            Container::Pcap(pcap) => pcap.snaplen(),
            Container::Pcapng(pcapng) => pcapng.snaplen(),
            Container::Snoop(_) => None,
        }
    }

    /// What the file says of the interface with the number that packets give; to be asked after one of its packets.
    pub fn interface(&self, number: u32) -> Option<Interface> {
        if let Container::Pcapng(pcapng) = &self.container {
            return pcapng.described(number);
        }
        let decimals = if let Container::Pcap(pcap) = &self.container { pcap.decimals() } else { 9 };
        Some(Interface { name: None, snaplen: self.snaplen(), decimals })
    }

    /// Bytes of the file as it lies on the disk that were read up to now.
    pub fn bytes_consumed(&self) -> u64 {
        self.progress.consumed()
    }

    /// The size of the file; `None` for a pipe.
    pub fn bytes_total(&self) -> Option<u64> {
        self.progress.total()
    }

    /// A handle that follows the reading, for a progress bar.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Source for Savefile {
    #[inline]
    fn poll(&mut self) -> Result<Polled<'_>, CaptureError> {
        self.advance(Polled::Packet, || Polled::End)
    }

    fn each(&mut self, most: usize, take: &mut dyn FnMut(&Packet<'_>)) -> Result<Flow, CaptureError> {
        let flow = self.lend(most, take);
        self.window.hold(false);
        flow
    }

    fn info(&mut self) -> Info {
        Savefile::info(self)
    }
}

type Opened = (Box<dyn Read + Send>, Option<u64>);

fn file(path: &Path) -> Result<Opened, Problem> {
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Problem::Missing,
        ErrorKind::PermissionDenied => Problem::Denied,
        ErrorKind::IsADirectory => Problem::Directory,
        _ => Problem::Open(error),
    };
    let file = File::open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(Problem::Open)?;
    if metadata.is_dir() {
        return Err(Problem::Directory);
    }
    let total = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), total))
}

fn standard_input() -> Result<Opened, Problem> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Problem::Terminal);
    }
    // A descriptor of our own goes around the standard library's small buffer, and knows the size of a redirected file.
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let file = File::from(stdin.as_fd().try_clone_to_owned().map_err(Problem::Open)?);
        let metadata = file.metadata().map_err(Problem::Open)?;
        if metadata.is_dir() {
            return Err(Problem::Directory);
        }
        Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
    }
    #[cfg(not(unix))]
    Ok((Box::new(stdin), None))
}

/// Goes through the compression, if there is one, to the container; with so many bytes a read of what is compressed and of what
/// is not.
fn recognise(
    reader: Box<dyn Read + Send>,
    [compressed, plain]: [usize; 2],
) -> Result<(Window, Container), Box<Problem>> {
    let mut window = Window::new(reader, None, plain);
    window.fill(4)?;
    if let Some(outer) = Compression::of(window.bytes()) {
        let (first, rest) = window.into_rest();
        let whole = Box::new(io::Cursor::new(first).chain(rest));
        window = Window::new(decompress::open(outer, whole, compressed)?, Some(outer), plain);
        window.fill(4)?;
        if let Some(inner) = Compression::of(window.bytes()) {
            return Err(Box::new(Problem::CompressedTwice { outer, inner }));
        }
    }
    let inside = window.compression();
    let container = match window.bytes() {
        [] => return Err(Box::new(Problem::Empty { inside })),
        first if classic::is_ours(first) => Container::Pcap(Pcap::open(&mut window)?),
        first if pcapng::is_ours(first) => Container::Pcapng(Pcapng::open(&mut window)?),
        first if snoop::is_ours(first) => Container::Snoop(Snoop::open(&mut window)?),
        _ => {
            window.fill(LOOKED_AT)?;
            let first = window.bytes().iter().copied().take(LOOKED_AT).collect();
            return Err(Box::new(Problem::NotACapture { first, inside }));
        }
    };
    Ok((window, container))
}
