#!/usr/bin/env python3
"""The kernel test. In: a Linux kernel, root, `ip` and `tcpdump`; out: three captures and the kernel's own record per scenario, and the judgement.

Each scenario runs once between two hosts with real sockets, captured at the client, in the middle and at the server. What finwait says of each
capture is then held against the record (tests/truth).
"""

import argparse
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests/kernel/lab"), str(ROOT / "captures/make")]  # The laboratory, and the makers of the bundled captures.

import lab
import pool
import record
import truth
from cases import CASES

ATTEMPTS = 2


def main():
    """Parse the command line, run what is asked for, have it judged; the exit status says whether all of it is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print every scenario and what happens in it, and stop")
    parser.add_argument("--only", action="append", metavar="NAME", help="run this one alone (repeatable)")
    parser.add_argument("-o", "--output", type=pathlib.Path, metavar="DIR", help="keep captures and records there (default: a temporary folder)")
    parser.add_argument("-j", "--jobs", type=int, default=12, help="how many at a time; most of the time is waiting (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder, and what DIR already holds")
    parser.add_argument("--no-judge", action="store_true", help="only make the captures and the records")
    options = parser.parse_args()
    if options.list:
        for one in CASES:
            print(f"{one.name:32} {one.run.__doc__.splitlines()[0]}")
        return 0
    wanted = [one for one in CASES if not options.only or one.name in options.only]
    if unknown := set(options.only or ()) - {one.name for one in wanted}:
        return complain(f"no such scenario: {', '.join(sorted(unknown))} (--list names them)")
    if reason := lab.missing() or truth.prepare():
        return complain(reason)
    folder = (options.output or pathlib.Path(tempfile.mkdtemp(prefix="finwait-kernel-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not options.keep:
        for old in itertools.chain(folder.glob("*.pcap"), folder.glob("*.json")):
            old.unlink()
    try:
        failed = run_all(wanted, folder, options.jobs)
        judged = 0 if options.no_judge else judge(folder)
    except KeyboardInterrupt:
        return complain("interrupted")
    finally:
        truth.tidy_up()
        if options.output is None and not options.keep:
            shutil.rmtree(folder)
    return 1 if failed or judged else 0


def run_all(wanted, folder, jobs):
    """Run the scenarios; returns how many failed."""
    start, failures = time.monotonic(), []

    def done(name, well, said):
        failures.extend([name] * (not well))
        if not well or said:
            print(f"{name:32} {'' if well else 'failed: '}{said}", flush=True)

    # Networks of this run's own: the tracepoints tell of all sockets of the machine, those of another laboratory too.
    first = 512 + os.getpid() % 85 * 512
    pool.run([(one.name, one.seconds, (one.name, first, str(folder))) for one in wanted], jobs, work, done)
    print(f"{len(wanted) - len(failures)} of {len(wanted)} scenarios made in {time.monotonic() - start:.0f} s")
    return len(failures)


def work(name, first, folder):
    """Run one scenario, in the network `first` plus its number; returns what there is to say about it. Raises `LabError` when no attempt succeeded."""
    net, one = next((number, one) for number, one in enumerate(CASES, first) if one.name == name)
    wrong = []
    for attempt in range(1, ATTEMPTS + 1):
        try:
            record.make(one, net, pathlib.Path(folder))
            return "; ".join(wrong) and f"at attempt {attempt} ({'; '.join(wrong)})"
        except (OSError, lab.LabError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
    raise lab.LabError("; ".join(wrong))


def judge(folder):
    """Hold what finwait says of the captures against the records; returns the exit status of the judge."""
    command = [os.environ.get("CARGO", "cargo"), "test", "--locked", "--no-default-features", "--quiet", "--test", "truth", "--", "--nocapture"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "KERNEL_RECORD": str(folder)}).returncode


def complain(message):
    """One line on stderr; returns the exit status."""
    print(f"kernel test: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `run.py --list | head` is no error.
    sys.exit(main())
