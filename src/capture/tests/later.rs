//! Files that are opened when their time has come: the same packets in the same order, few files open.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::build::{Bytes, Kept};
use crate::capture::later::Turns;
use crate::capture::{CaptureError, Flow, Info, Later, Merge, Packet, Polled, Savefile, Source};
use crate::time::Timestamp;

fn pcap_at(times: &[u32]) -> Vec<u8> {
    let header = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 1);
    times.iter().fold(header, |b, second| b.record(*second, 0, (1, 1), &[*second as u8])).out
}

/// Files named by their place, and the paths.
fn files(folder: &Path, all: &[Vec<u8>]) -> Vec<PathBuf> {
    let write = |(n, bytes): (usize, &Vec<u8>)| {
        let path = folder.join(format!("{n}.pcap"));
        fs::write(&path, bytes).unwrap();
        path
    };
    all.iter().enumerate().map(write).collect()
}

fn read(sources: Vec<Box<dyn Source>>) -> (Vec<(usize, Kept)>, Vec<Info>, Vec<String>) {
    let (mut merge, mut packets) = (Merge::new(sources), Vec::new());
    while merge.each(3, |source, packet| packets.push((source, Kept::from(*packet)))) == Flow::More {}
    let errors = merge.errors().map(|(_, error)| error.to_string()).collect();
    (packets, merge.infos(), errors)
}

fn later(path: &Path, turns: &Turns) -> Box<dyn Source> {
    Box::new(Later::new(path, turns).unwrap())
}

#[test]
fn the_packets_and_their_order_are_those_of_files_open_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let without_time =
        Bytes::new(true).section().interface(1, 0, |b| b).simple(1, b"s").enhanced(0, 2_000_000, 1, b"e");
    let mut cut = pcap_at(&[5, 6]);
    cut.pop();
    let all = [
        pcap_at(&[7, 8, 7, 9]),
        pcap_at(&[1, 3, 4]),
        pcap_at(&[]),
        pcap_at(&[4, 4, 8]),
        without_time.out,
        cut,
        pcap_at(&[4, 2, 9]),
    ];
    let paths = files(folder.path(), &all);
    let turns = Turns::of(all.iter().map(|file| file.len() as u64).sum());
    let at_once = read(paths.iter().map(|path| Box::new(Savefile::open(path).unwrap()) as Box<dyn Source>).collect());
    let in_turn = read(paths.iter().map(|path| later(path, &turns)).collect());
    assert_eq!(in_turn.0.len(), 4 + 3 + 3 + 2 + 1 + 3);
    assert!(in_turn == at_once, "{:?}\n{:?}", in_turn.2, at_once.2);
    assert_eq!(Some(turns.progress().consumed()), turns.progress().total());
}

/// Counts how many of its kind hold anything.
struct Watched(Box<dyn Source>, bool, Arc<AtomicUsize>, Arc<Mutex<Vec<usize>>>);

impl Source for Watched {
    fn poll(&mut self) -> Result<Polled<'_>, CaptureError> {
        if !self.1 {
            self.1 = true;
            let open = self.2.fetch_add(1, Ordering::Relaxed) + 1;
            self.3.lock().unwrap().push(open);
        }
        self.0.poll()
    }

    fn each(&mut self, _: usize, _: &mut dyn FnMut(&Packet<'_>)) -> Result<Flow, CaptureError> {
        unreachable!("several sources are polled")
    }

    fn begins(&self) -> Option<Timestamp> {
        self.0.begins()
    }

    fn close(&mut self) {
        self.2.fetch_sub(1, Ordering::Relaxed);
        self.0.close();
    }

    fn info(&mut self) -> Info {
        self.0.info()
    }
}

#[test]
fn a_ring_has_two_files_open_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let ring: Vec<Vec<u8>> = (0..40).map(|n| pcap_at(&[n * 10, n * 10 + 5, n * 10 + 10])).collect();
    // Not in the order of their times.
    let mut paths = files(folder.path(), &ring);
    paths.rotate_left(7);
    let (turns, open, seen) = (Turns::of(0), Arc::default(), Arc::default());
    let watched = |path: &PathBuf| {
        Box::new(Watched(later(path, &turns), false, Arc::clone(&open), Arc::clone(&seen))) as Box<dyn Source>
    };
    let (packets, infos, errors) = read(paths.iter().map(watched).collect());
    assert_eq!((packets.len(), errors.len()), (120, 0));
    assert!(packets.is_sorted_by_key(|(source, packet)| (packet.nanos, *source)));
    assert!(infos.iter().all(|info| info.packets == 3));
    assert_eq!(seen.lock().unwrap().iter().max(), Some(&2));
    assert_eq!(open.load(Ordering::Relaxed), 0);
}

#[test]
fn a_file_that_is_gone_when_its_time_comes_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), &[pcap_at(&[1]), pcap_at(&[2]), pcap_at(&[3])]);
    let turns = Turns::of(0);
    let sources = paths.iter().map(|path| later(path, &turns)).collect();
    fs::remove_file(&paths[1]).unwrap();
    let (packets, infos, errors) = read(sources);
    assert_eq!(packets.iter().map(|(source, _)| *source).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(errors, [format!("{}: no such file", paths[1].display())]);
    assert_eq!((infos[1].format.as_str(), infos[1].packets), ("pcap", 0));
}
