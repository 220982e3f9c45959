#!/usr/bin/env python3
"""Makes the captures of this folder. In: nothing but a Linux kernel, root, `ip` and `tcpdump`; out: NAME.pcap or NAME.pcapng per scenario.

Every capture is checked as soon as it is made, and made again (three times at most) if the kernel or a busy machine did something else.
"""

import argparse
import contextlib
import inspect
import os
import pathlib
import signal
import sys
import tempfile
import time

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[2] / "tests/kernel/lab"))  # the laboratory
import lab
import mixed  # noqa: F401  It registers its scenario.
import pool
import savefile
import truth
from scenarios import SCENARIOS

ATTEMPTS = 3


def main():
    """Parse the command line, make what is asked for; the exit status says whether all of it came about."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print every capture and what it shows, and stop")
    parser.add_argument("--only", action="append", metavar="NAME", help="make this one alone (repeatable)")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent, metavar="DIR")
    parser.add_argument("-j", "--jobs", type=int, default=4, help="how many at a time (default %(default)s)")
    options = parser.parse_args()
    if options.list:
        for one in SCENARIOS:
            print(f"{file_name(one):28} {one.run.__doc__.splitlines()[0]}")
        return 0
    wanted = [one for one in SCENARIOS if not options.only or one.name in options.only]
    if unknown := set(options.only or ()) - {one.name for one in wanted}:
        return complain(f"no such capture: {', '.join(sorted(unknown))} (--list names them)")
    if reason := lab.missing():
        return complain(reason)
    if reason := truth.prepare():
        complain(f"no record of the kernel's own states: {reason}")
    output = options.output.resolve()
    (output if reason else output / "truth").mkdir(parents=True, exist_ok=True)
    return make_all(wanted, output, options.jobs, with_truth=not reason)


def make_all(wanted, output, jobs, with_truth):
    """Make the scenarios in parallel, each in a process of its own, the longest first; returns the exit status."""
    by_name = {one.name: one for one in wanted}
    failures = []

    def done(name, well, said):
        file = file_name(by_name[name])
        for name in [file] + [f"truth/{name}.json"] * with_truth if well else []:
            os.replace(pathlib.Path(folder, os.path.basename(name)), output / name)
        failures.extend([name] * (not well))
        print(f"{file:28} {'' if well else 'failed: '}{said}", flush=True)

    with tempfile.TemporaryDirectory(dir=output, prefix=".making-") as folder:
        try:
            pool.run([(one.name, one.seconds, (one.name, pathlib.Path(folder), with_truth)) for one in wanted], jobs, make, done)
        except KeyboardInterrupt:
            return complain("interrupted")
        finally:
            if with_truth:
                truth.tidy_up()
    return 1 if failures else 0


def make(name, folder, with_truth):
    """Make one capture in `folder`, and NAME.json beside it if the kernel's own record is wanted; returns what there is to say about it. Raises `LabError` when no attempt succeeded."""
    one = next(one for one in SCENARIOS if one.name == name)
    raw = folder / f"{name}.raw"
    wrong = []
    for attempt in range(1, ATTEMPTS + 1):
        try:
            counters, endpoints = record(one, raw, with_truth)
            frames = savefile.frames(raw)
            reason = problem(one, frames, counters)
        except (OSError, lab.LabError) as error:
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            if one.pcapng:
                savefile.to_pcapng(raw, folder / file_name(one), "tap", one.run.__doc__.splitlines()[0], *counters)
            else:
                os.replace(raw, folder / file_name(one))
            if with_truth:
                truth.save(folder / f"{name}.json", file_name(one), endpoints)
            note = "" if attempt == 1 else f", at attempt {attempt} ({'; '.join(wrong)})"
            return f"{len(frames)} packets{note}"
        wrong.append(reason)
    raise lab.LabError("; ".join(wrong))


def record(one, path, with_truth):
    """Run a scenario under a capture; returns tcpdump's counters (received, dropped) and the kernel's own record, if wanted."""
    with truth.Record(one.net) if with_truth else contextlib.nullcontext() as kernel, lab.Lab(one.net, **one.lab) as laboratory:
        early = inspect.isgeneratorfunction(one.run)
        steps = one.run(laboratory) if early else iter((None,))
        next(steps)
        capture = laboratory.capture(path, **one.capture)
        if early:
            next(steps, None)
        else:
            one.run(laboratory)
        time.sleep(0.1)
        laboratory.check()
        return capture.stop(), kernel and kernel.endpoints()


def problem(one, frames, counters):
    """What is wrong with a capture, or None."""
    if counters[1]:
        return f"tcpdump dropped {counters[1]} packets"
    if any(later.ns < earlier.ns for earlier, later in zip(frames, frames[1:])):
        return "time goes backwards"
    if bad := [frame.number for frame in frames if not frame.good_checksum]:
        return f"wrong checksums in frames {bad}"
    if callable(one.expect):
        return one.expect(frames)
    got = [frame.text for frame in frames]
    if got != one.expect:
        return f"wanted [{' '.join(one.expect)}], got [{' '.join(got)}]"
    return None


def file_name(one):
    """The file a scenario becomes."""
    return one.name + (".pcapng" if one.pcapng else ".pcap")


def complain(message):
    """One line on stderr; returns the exit status."""
    print(f"make.py: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make.py --list | head` is no error.
    sys.exit(main())
