//! The folder that streams go to. In: pieces of streams. Out: a file a stream, `gaps.csv`, and at the end `index.csv`.
//!
//! However many connections are open at once, one file is: what belongs to each is gathered and appended. A folder without `index.csv` is
//! one whose run has not ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::super::args::Gaps;
use super::words::mark;
use crate::error::Error;
use crate::pipeline::second::Choice;
use crate::streams::{Piece, Told};
use crate::tcp::segment::HostPort;
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// What is gathered of a stream before it is written, in bytes.
const GATHERED: usize = 64 << 10;

const INDEX_HEADER: &str = "conn_id,side,file,client_ip,client_port,server_ip,server_port,bytes,gaps,missing_bytes,\
    overlaps_differing,given_up_bytes,first_ts,last_ts\n";
const GAPS_HEADER: &str = "conn_id,side,stream_offset,file_offset,length,reason\n";

/// A folder of streams; taken away again, or emptied, if it is dropped before it is finished.
pub(super) struct Folder {
    path: PathBuf,
    is_new: bool,
    gaps: Option<BufWriter<File>>,
    finished: bool,
}

impl Folder {
    /// Makes the folder, or takes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |step: &str, error: &io::Error| failed(path, step, error);
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(|error| failed("make the folder", &error))?;
        let mut inside = fs::read_dir(path).map_err(|error| failed("look into the folder", &error))?;
        if inside.next().is_some() {
            return Err(Error::Output(format!(
                "{}: not empty: choose another folder, so that its files are not taken for streams of these captures",
                path.display()
            )));
        }
        let mut folder = Self { path: path.to_owned(), is_new, gaps: None, finished: false };
        let mut gaps = BufWriter::new(folder.create("gaps.csv")?);
        gaps.write_all(GAPS_HEADER.as_bytes()).map_err(|error| failed("write", &error))?;
        folder.gaps = Some(gaps);
        Ok(folder)
    }

    fn create(&self, name: &str) -> Result<File, Error> {
        let path = self.path.join(name);
        File::create(&path).map_err(|error| failed(&path, "create", &error))
    }

    fn gap(&mut self, line: &str) -> Result<(), Error> {
        let written = self.gaps.as_mut().map_or(Ok(()), |gaps| gaps.write_all(line.as_bytes()));
        written.map_err(|error| failed(&self.path.join("gaps.csv"), "write", &error))
    }

    /// Writes the index: everything else is there.
    pub(super) fn finish(mut self, done: &[Done]) -> Result<(), Error> {
        let (index, partial) = (self.path.join("index.csv"), self.path.join("index.csv.part"));
        let write = |gaps: &mut Option<BufWriter<File>>| -> io::Result<()> {
            gaps.as_mut().map_or(Ok(()), Write::flush)?;
            let mut out = BufWriter::new(File::create(&partial)?);
            out.write_all(INDEX_HEADER.as_bytes())?;
            for Done { choice, sides } in done {
                for (side, sent) in Side::BOTH.into_iter().zip(sides) {
                    if let Some(sent) = sent {
                        out.write_all(row(choice, side, sent).as_bytes())?;
                    }
                }
            }
            out.flush()?;
            fs::rename(&partial, &index)
        };
        write(&mut self.gaps).map_err(|error| failed(&index, "write", &error))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // It was empty or not there: all that is in it came with this run. What cannot be removed, nobody takes for whole.
        self.gaps = None;
        if self.is_new {
            let _ = fs::remove_dir_all(&self.path);
        } else {
            let inside = fs::read_dir(&self.path).into_iter().flatten().flatten();
            inside.for_each(|entry| _ = fs::remove_file(entry.path()));
        }
    }
}

/// A connection that is over, for the index.
pub(super) struct Done {
    pub(super) choice: Choice,
    /// Sides that sent something, or whose bytes were acknowledged.
    pub(super) sides: [Option<Sent>; 2],
}

/// One side of it.
pub(super) struct Sent {
    pub(super) told: Told,
    /// When its first and its last segment with data passed.
    pub(super) times: Option<(Timestamp, Timestamp)>,
}

fn row(choice: &Choice, side: Side, sent: &Sent) -> String {
    let Sent { told, times } = sent;
    let file = if told.bytes > 0 { name(choice, side) } else { String::new() };
    let Choice { conn_id, client, server, .. } = choice;
    let ts = |ts: Option<Timestamp>| ts.map_or_else(String::new, |ts| ts.to_string());
    format!(
        "{conn_id},{side},{file},{},{},{},{},{},{},{},{},{},{},{}\n",
        client.ip,
        client.port,
        server.ip,
        server.port,
        told.bytes,
        told.gaps,
        told.missing,
        told.differing,
        told.given_up,
        ts(times.map(|(first, _)| first)),
        ts(times.map(|(_, last)| last)),
    )
}

/// `000012-client-192.0.2.1.50000-198.51.100.2.80.bin`: letters, digits, `.`, `-` and `_`, good on every file system.
fn name(choice: &Choice, side: Side) -> String {
    format!("{:06}-{side}-{}-{}.bin", choice.conn_id, end(choice.client), end(choice.server))
}

fn end(end: HostPort) -> String {
    match end.ip {
        IpAddr::V4(ip) => format!("{ip}.{}", end.port),
        IpAddr::V6(ip) => format!("{}.{}", ip.to_string().replace(':', "_"), end.port),
    }
}

fn failed(path: &Path, step: &str, error: &io::Error) -> Error {
    let text = error.to_string();
    let cause = text.split(" (os error").next().unwrap_or(&text);
    Error::Output(format!("{}: cannot {step}: {}", path.display(), cause.to_lowercase()))
}

/// The file of one stream.
pub(super) struct Output {
    conn_id: u64,
    side: Side,
    name: Choice,
    gathered: Vec<u8>,
    /// Bytes in the file, and gathered for it.
    file_at: u64,
    /// Bytes of the stream, gaps included.
    stream_at: u64,
    /// Something of the stream itself has come, so there is a file, or there will be.
    begun: bool,
    /// Zeros that go in front of the next byte.
    zeros: u64,
    times: Option<(Timestamp, Timestamp)>,
}

impl Output {
    pub(super) fn new(choice: &Choice, side: Side) -> Self {
        Self {
            conn_id: choice.conn_id,
            side,
            name: *choice,
            gathered: Vec::new(),
            file_at: 0,
            stream_at: 0,
            begun: false,
            zeros: 0,
            times: None,
        }
    }

    /// What it holds in memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.gathered.capacity()
    }

    /// A segment with data passed.
    pub(super) fn passed(&mut self, ts: Timestamp) {
        let (first, last) = self.times.unwrap_or((ts, ts));
        self.times = Some((first.min(ts), last.max(ts)));
    }

    /// When the first and the last of them passed.
    pub(super) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    pub(super) fn take(&mut self, piece: Piece<'_>, gaps: Gaps, folder: &mut Folder) -> Result<(), Error> {
        match piece {
            Piece::Bytes(bytes) => {
                self.begun = true;
                self.fill(folder)?;
                self.gather(bytes);
                self.stream_at += bytes.len() as u64;
            }
            Piece::Gap(len, why) => {
                let (file_at, stream_at) = (self.file_at.saturating_add(self.zeros), self.stream_at);
                let why = why.name();
                folder.gap(&format!("{},{},{stream_at},{file_at},{len},{why}\n", self.conn_id, self.side))?;
                self.stream_at = self.stream_at.saturating_add(len);
                match gaps {
                    Gaps::Mark => self.gather(mark(len).as_bytes()),
                    Gaps::Zeros => self.zeros = self.zeros.saturating_add(len),
                    Gaps::Skip => {}
                }
            }
        }
        if self.gathered.len() >= GATHERED { self.flush(folder) } else { Ok(()) }
    }

    fn gather(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        self.file_at += bytes.len() as u64;
    }

    /// Zeros as the file system has them: without room on the disk, where it can.
    fn fill(&mut self, folder: &Folder) -> Result<(), Error> {
        let zeros = std::mem::take(&mut self.zeros);
        if zeros == 0 {
            return Ok(());
        }
        self.flush(folder)?;
        self.file_at = self.file_at.saturating_add(zeros);
        let file_at = self.file_at;
        self.append(folder, |file| file.set_len(file_at))
    }

    fn append(&mut self, folder: &Folder, what: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
        let path = folder.path.join(name(&self.name, self.side));
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        let written = options.open(&path).and_then(|mut file| what(&mut file));
        written.map_err(|error| failed(&path, "write", &error))
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self, folder: &Folder) -> Result<(), Error> {
        // Of a stream of which nothing was captured there is no file.
        if self.gathered.is_empty() || !self.begun {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.append(folder, |file| file.write_all(&gathered))
    }

    /// Writes all that is left.
    pub(super) fn end(&mut self, folder: &Folder) -> Result<(), Error> {
        if self.begun {
            self.fill(folder)?;
        }
        self.flush(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::segment::FrameId;

    #[test]
    fn names_are_good_on_every_file_system() {
        let ts = Timestamp::default();
        let frame = FrameId::new(0, 1);
        let client = HostPort::new("2001:db8::1".parse().unwrap(), 50_000);
        let server = HostPort::new("192.0.2.1".parse().unwrap(), 80);
        let choice = Choice {
            conn_id: 12,
            client,
            server,
            first_ts: ts,
            last_ts: ts,
            first_frame: frame,
            last_frame: frame,
            place: None,
        };
        assert_eq!(name(&choice, Side::Server), "000012-server-2001_db8__1.50000-192.0.2.1.80.bin");
    }
}
