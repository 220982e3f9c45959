//! Every connection's bytes. In: the captures, perhaps a condition. Out: a folder with a file a stream, and its index.
//!
//! Memory: what streams hold back and what waits to be written share `--memory` with what is kept of each connection. Where that is
//! not enough, first comparing with late copies ends, then waiting for what is missing, where most is held; no captured byte that
//! is in the memory is thrown away for it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::super::args::{FollowArgs, Gaps};
use super::super::settings::Settings;
use super::super::spool::Twice;
use super::super::status::Status;
use super::super::{console, list, outcome};
use super::folder::{Done, Folder, Output, Sent};
use crate::capture::error::grouped;
use crate::error::Error;
use crate::metrics::rows::ConnectionRow;
use crate::pipeline::interrupt::Interrupt;
use crate::pipeline::offline;
use crate::pipeline::second::{self, Choice, Choosing, Chosen, Heard, Met, Walked};
use crate::streams::{Conversation, Told};
use crate::tables::cell::Files;
use crate::tcp::state::Side;

/// What a connection may take beside what its streams hold back, in bytes: itself, its place in the tables, its rows of the index.
const CONNECTION_BYTES: u64 = 2 << 10;

/// What one side may hold back, in bytes.
const SIDE_BYTES: u64 = 16 << 20;

pub(super) fn run(args: &FollowArgs, dir: &Path, settings: &Settings) -> Result<Status, Error> {
    let condition = args.condition.as_deref().map(list::parse).transpose()?;
    let options = outcome::options_in(&args.analysis, &args.period)?;
    let interrupt = Interrupt::listen(console::last_warning);
    let captures = Twice::of(&args.inputs)?;
    let inputs = captures.open()?;
    let files = Files::new(captures.names(&inputs));
    let mut folder = Folder::open(dir)?;
    let most = usize::try_from(args.analysis.memory / 2 / CONNECTION_BYTES).unwrap_or(usize::MAX);
    let choosing = Choosing::new(most, move |row: &ConnectionRow| {
        condition.as_ref().is_none_or(|condition| condition.holds(|name| list::value(row, name, &files)))
    });
    let finished = offline::run(inputs, options.clone(), choosing, &interrupt, settings.progress)?;
    let status = outcome::judge(&finished.summary, &captures.all_named(&finished.stopped), "; streams written")?;
    let found = finished.sink.finish();
    if found.beyond > 0 {
        let (wanted, most) = (grouped(found.beyond + most as u64), grouped(most as u64));
        return Err(Error::Request(format!(
            "{wanted} connections: --memory has room for {most} of them; choose with --where, or allow more"
        )));
    }

    let reserved = found.choices.len() as u64 * CONNECTION_BYTES;
    let mut harvest = Harvest {
        folder: &mut folder,
        gaps: args.gaps.unwrap_or(Gaps::Mark),
        only: args.side.map(Side::from),
        live: HashMap::new(),
        done: Vec::new(),
        room: usize::try_from(args.analysis.memory - reserved).unwrap_or(usize::MAX),
        held: 0,
        hurried: 0,
    };
    let mut failed = Ok(());
    let chosen = Chosen::new(found.choices);
    let walked = second::walk(captures.open_again()?, &options, chosen, &interrupt, settings.progress, &mut |met| {
        failed = harvest.take(met);
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    failed?;
    let harvested = harvest.finish()?;
    folder.finish(&harvested.done)?;
    say(&harvested, dir, settings)?;
    match walked {
        Walked::Interrupted => {
            console::say(format_args!("{}: stopped by Ctrl-C: the streams end where it came", dir.display()));
            Ok(status.max(Status::Incomplete))
        }
        Walked::Through | Walked::Enough => Ok(status),
    }
}

/// What the user is told in the end.
fn say(harvested: &Harvested, dir: &Path, settings: &Settings) -> Result<(), Error> {
    let sides = || harvested.done.iter().flat_map(|done| done.sides.iter().flatten());
    let sum = |of: fn(&Told) -> u64| grouped(sides().map(|side| of(&side.told)).sum());
    let files = sides().filter(|side| side.told.bytes > 0).count() as u64;
    if harvested.hurried > 0 {
        console::say(format_args!(
            "{} connections held more than --memory allows: what was missing was not waited for (not_awaited in gaps.csv)",
            grouped(harvested.hurried)
        ));
    }
    if settings.quiet {
        return Ok(());
    }
    let mut text = format!("{} streams, {} bytes", grouped(files), sum(|told| told.bytes));
    if sides().any(|side| side.told.gaps > 0) {
        text += &format!("; {} bytes missing in {} gaps", sum(|told| told.missing), sum(|told| told.gaps));
    }
    if sides().any(|side| side.told.differing > 0) {
        text += &format!("; {} bytes sent again with other contents", sum(|told| told.differing));
    }
    if sides().any(|side| side.told.given_up > 0) {
        text += &format!("; {} captured bytes left out", sum(|told| told.given_up));
    }
    console::print(&format!("{text}\n{}\n", dir.join("index.csv").display()))
}

/// A connection whose packets are coming in.
struct Live {
    choice: Choice,
    conversation: Conversation,
    outputs: [Output; 2],
    /// What it holds, as it was last counted.
    held: usize,
    hurried: bool,
}

struct Harvest<'a> {
    folder: &'a mut Folder,
    gaps: Gaps,
    only: Option<Side>,
    live: HashMap<u64, Live>,
    done: Vec<Done>,
    /// What may be held, in bytes, and what is.
    room: usize,
    held: usize,
    /// Connections that could not wait.
    hurried: u64,
}

struct Harvested {
    done: Vec<Done>,
    hurried: u64,
}

impl Harvest<'_> {
    fn take(&mut self, met: &Met<'_>) -> Result<(), Error> {
        let conn_id = met.choice.conn_id;
        if let Heard::Segment { addressed, payload } = met.heard {
            let side_bytes = usize::try_from(SIDE_BYTES).unwrap_or(usize::MAX).min(self.room / 4);
            let live = self.live.entry(conn_id).or_insert_with(|| Live {
                choice: *met.choice,
                conversation: Conversation::new(side_bytes),
                outputs: [Side::Client, Side::Server].map(|side| Output::new(met.choice, side)),
                held: 0,
                hurried: false,
            });
            let side = met.choice.side(addressed.src);
            if !payload.is_empty() {
                live.outputs[side.index()].passed(met.ts);
            }
            let Live { conversation, outputs, .. } = live;
            let mut result = Ok(());
            conversation.segment(side, &addressed.segment, payload, &mut |side, piece| {
                if result.is_ok() && self.only.is_none_or(|only| only == side) {
                    result = outputs[side.index()].take(piece, self.gaps, self.folder);
                }
            });
            result?;
            let held = live.count();
            self.held = self.held + held - live.held;
            live.held = held;
        }
        if met.is_last
            && let Some(live) = self.live.remove(&conn_id)
        {
            self.held -= live.held;
            self.end(live)?;
        }
        if self.held > self.room { self.make_room() } else { Ok(()) }
    }

    /// Where most is held, less will be: by a quarter of all, so that this is not needed often.
    #[cold]
    fn make_room(&mut self) -> Result<(), Error> {
        let enough = self.room / 4 * 3;
        for wait in [usize::MAX, 0] {
            let mut by_size: Vec<(usize, u64)> =
                self.live.values().map(|live| (live.held, live.choice.conn_id)).collect();
            by_size.sort_unstable_by(|one, other| other.cmp(one));
            for (_, conn_id) in by_size {
                if self.held <= enough {
                    return Ok(());
                }
                let Some(live) = self.live.get_mut(&conn_id) else { continue };
                let Live { conversation, outputs, hurried, .. } = live;
                let mut result = Ok(());
                if wait == 0 && conversation.waiting_cost() > 0 {
                    self.hurried += u64::from(!*hurried);
                    *hurried = true;
                }
                conversation.relent(wait, &mut |side, piece| {
                    if result.is_ok() && self.only.is_none_or(|only| only == side) {
                        result = outputs[side.index()].take(piece, self.gaps, self.folder);
                    }
                });
                result?;
                outputs.iter_mut().try_for_each(|output| output.flush(self.folder))?;
                let held = live.count();
                self.held = self.held + held - live.held;
                live.held = held;
            }
        }
        Ok(())
    }

    fn end(&mut self, mut live: Live) -> Result<(), Error> {
        let Live { conversation, outputs, .. } = &mut live;
        let mut result = Ok(());
        conversation.finish(&mut |side, piece| {
            if result.is_ok() && self.only.is_none_or(|only| only == side) {
                result = outputs[side.index()].take(piece, self.gaps, self.folder);
            }
        });
        result?;
        let mut sides = [None, None];
        for side in Side::BOTH.into_iter().filter(|&side| self.only.is_none_or(|only| only == side)) {
            let (told, output) = (*conversation.stream(side).told(), &mut outputs[side.index()]);
            output.end(self.folder)?;
            sides[side.index()] = (told != Told::default()).then(|| Sent { told, times: output.times() });
        }
        if sides.iter().any(Option::is_some) {
            self.done.push(Done { choice: live.choice, sides });
        }
        Ok(())
    }

    /// Ends what is still open.
    fn finish(mut self) -> Result<Harvested, Error> {
        let mut left: Vec<Live> = self.live.drain().map(|(_, live)| live).collect();
        left.sort_unstable_by_key(|live| live.choice.conn_id);
        left.into_iter().try_for_each(|live| self.end(live))?;
        self.done.sort_unstable_by_key(|done| done.choice.conn_id);
        Ok(Harvested { done: self.done, hurried: self.hurried })
    }
}

impl Live {
    fn count(&self) -> usize {
        self.conversation.cost() + self.outputs.iter().map(Output::cost).sum::<usize>()
    }
}
