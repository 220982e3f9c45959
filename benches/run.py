#!/usr/bin/env python3
"""The benchmark. In: this repository and a Rust toolchain; out: what finwait costs against the least that any analysis costs, and its goals.

Captures are generated once and kept in a folder outside the repository. Every round runs every work once, one after the other, so that a noisy
minute hits all of them alike; of the rounds the one with the least CPU counts. `benches/README.md` says what each figure means.
"""

import argparse
import datetime
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lab"))

import captures
import goals
import measure
import programs
import text

PARTS = ("profiles", "others", "memory", "live")
PROFILES = ("short", "mix", "bulk", "headers", "flood", "idle")
# Other tools take minutes for more.
OTHERS_PACKETS = 200_000
# A pipe of sixteen times this must not take more memory.
MEMORY_STEP = 16


def main():
    """Parse the command line, measure, print; the exit status is 1 if a work failed, 2 if nothing could be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=number, default=1_000_000, metavar="N", help="packets of each profile (default %(default)s)")
    parser.add_argument("--rounds", type=number, default=3, metavar="N", help="the best of so many counts (default %(default)s)")
    parser.add_argument("--profiles", type=chosen(PROFILES), default=PROFILES, metavar="LIST", help=f"of {','.join(PROFILES)}")
    parser.add_argument("--parts", type=chosen(PARTS), default=PARTS, metavar="LIST", help=f"of {','.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=1, help="other captures of the same kind (default %(default)s)")
    parser.add_argument("--live-packets", type=number, default=8_000_000, metavar="N", help="packets of the captures with a thousand and a million live flows (default %(default)s)")
    parser.add_argument("--finwait", action="append", type=programs.named, metavar="[NAME=]PATH", help="measure this program instead of building one; repeatable, to compare two")
    parser.add_argument("--dir", type=pathlib.Path, default=captures.folder(), metavar="DIR", help="where captures are kept (default %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR", help="where finwait writes its tables, for a moment (default: the folder of the captures); /dev/shm leaves the disk out")
    parser.add_argument("--timeout", type=number, default=900, metavar="SECONDS", help="give a work up after this time (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write benches/results/<date>.md, too")
    asked = parser.parse_args()
    try:
        asked.dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="finwait-bench-", dir=asked.output or asked.dir) as scratch:
            return Bench(asked, pathlib.Path(scratch)).run()
    except (programs.Missing, captures.NoRoom, OSError) as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 2


class Bench:
    """One run of the benchmark."""

    def __init__(self, asked, scratch):
        """Builds what is missing; finds out how each finwait is told to write no rows."""
        self.asked, self.scratch = asked, scratch
        self.tools = programs.build(asked.finwait)
        self.store = captures.Store(asked.dir, self.tools.traffic, asked.seed)
        self.finwaits = [programs.Finwait(name, path, scratch, self.store) for name, path in self.tools.finwaits]
        self.figures = goals.Figures([finwait.name for finwait in self.finwaits])
        self.pages = []
        self.failed = False

    def run(self):
        """All parts, then the goals."""
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        self.say(f"# finwait's benchmark, {date}\n\n{text.machine()}\n{programs.versions(self.finwaits)}")
        for part in PARTS:
            if part in self.asked.parts:
                getattr(self, part)()
        self.say(f"## Goals\n\n{self.figures.table()}")
        if self.asked.keep:
            kept = HERE / "results" / f"{date}.md"
            kept.write_text("\n".join(self.pages))
            print(f"kept as {kept.relative_to(HERE.parent)}")
        return 1 if self.failed else 0

    def say(self, page):
        """Prints a page at once: the whole run takes minutes."""
        self.pages.append(page + "\n")
        print(page + "\n", flush=True)

    def rounds(self, works, rounds=None):
        """Runs each work once a round, all works in turn; returns the cheapest run of each."""
        best = {}
        for _ in range(rounds or self.asked.rounds):
            for name, command in works:
                ran = measure.run(command, self.scratch, self.asked.timeout)
                if ran.trouble and name not in best:
                    self.failed = True
                    print(f"bench: {name}: {ran.trouble}", file=sys.stderr)
                if name not in best or not ran.trouble and (best[name].trouble or ran.cpu < best[name].cpu):
                    best[name] = ran
        return best

    def profiles(self):
        """Each profile: the floors, then finwait with none, some and all of its tables."""
        for profile in self.asked.profiles:
            capture = self.store.make(profile, self.asked.packets)
            works = [(name, self.tools.floor(*options, capture)) for name, options in programs.FLOORS]
            works += [(f"{finwait.name}, {name}", finwait.command(capture, kind, threads)) for finwait in self.finwaits for name, kind, threads in programs.WORKS]
            best = self.rounds(works)
            floor = best[programs.FLOOR]
            self.figures.profile(profile, best, floor)
            self.say(f"## {profile}, {self.asked.packets:,} packets\n\n{text.table(best, self.asked.packets, floor)}")

    def others(self):
        """tcptrace and tshark, where installed, on a capture that they finish; one round for them, which are slow."""
        packets = min(self.asked.packets, OTHERS_PACKETS)
        capture = self.store.make("short", packets)
        own = [
            (f"{finwait.name}, CSV of connections{how}", finwait.command(capture, "connections", threads))
            for finwait in self.finwaits
            for how, threads in (("", None), (", 1 thread", 1))
        ]
        others = programs.others(capture)
        best = self.rounds([("floor, one lookup at a time", self.tools.floor(capture)), *own])
        best |= self.rounds(others, 1)
        self.figures.others(best)
        absent = [name for name in programs.OTHERS if name not in dict(others)]
        note = f"\n\nNot installed: {', '.join(absent)}." if absent else ""
        self.say(f"## Other tools, short, {packets:,} packets\n\n{text.table(best, packets, best['floor, one lookup at a time'])}{note}")

    def memory(self):
        """The same live flows and the same rate through a pipe, sixteen times as long."""
        few = max(self.asked.packets, 1000)
        rows = []
        for finwait in self.finwaits:
            peaks = []
            for packets in (few, few * MEMORY_STEP):
                # 200 seconds of the capture's time, so that TIME_WAIT is in balance before the shorter one ends.
                source = self.store.command("short", packets, flows=2_000, rate=max(few // 200, 1))
                ran = measure.run(finwait.command("-", "four"), self.scratch, self.asked.timeout, source)
                if ran.trouble:
                    self.failed = True
                    print(f"bench: {finwait.name}, {packets} packets through a pipe: {ran.trouble}", file=sys.stderr)
                peaks.append((packets, ran))
            rows += [(f"{finwait.name}, {packets:,} packets", text.megabytes(ran)) for packets, ran in peaks]
            self.figures.memory(finwait.name, *(ran for _, ran in peaks))
        self.say("## Memory, short through a pipe, 2,000 live flows\n\n" + text.plain(["work", "peak MB"], rows))

    def live(self):
        """A million live flows against a thousand."""
        packets = self.asked.live_packets
        found = {}
        for flows in (1_000, 1_000_000):
            capture = self.store.make("idle", packets, flows=flows)
            works = [("floor, one lookup at a time", self.tools.floor(capture))]
            works += [(f"{finwait.name}, no rows", finwait.command(capture, "none")) for finwait in self.finwaits]
            best = self.rounds(works, min(self.asked.rounds, 2))
            found[flows] = best
            self.say(f"## idle, {flows:,} live flows, {packets:,} packets\n\n{text.table(best, packets, best['floor, one lookup at a time'])}")
        self.figures.live(found[1_000], found[1_000_000])


def number(word):
    """A positive whole number, underscores allowed."""
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def chosen(known):
    """A parser for some of `known`, separated by commas."""

    def parse(words):
        picked = tuple(words.split(","))
        if unknown := set(picked) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return picked

    return parse


if __name__ == "__main__":
    sys.exit(main())
