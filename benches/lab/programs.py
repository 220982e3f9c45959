"""The programs that are measured. In: this repository, the search path. Out: command lines."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOR = "floor, one lookup at a time"
FLOORS = [
    ("floor, records only", ["--walk"]),
    ("floor, records and headers", ["--parse"]),
    (FLOOR, []),
    ("floor, sixteen prefetched", ["--batch", 16]),
]
# Name, which tables, threads; without a number as many as the program thinks right.
WORKS = [
    ("no rows", "none", None),
    ("no rows, 1 thread", "none", 1),
    ("no rows, 2 threads", "none", 2),
    ("CSV of four tables", "four", None),
    ("CSV of four tables, 1 thread", "four", 1),
    ("CSV of all tables", "all", None),
    ("CSV of all tables, 1 thread", "all", 1),
]
TABLES = {
    "none": ["--format", "csv", "--tables", "none"],
    "connections": ["--format", "csv", "--tables", "connections"],
    "four": ["--format", "csv", "--tables", "connections,fin_retransmissions,time_wait,listeners"],
    "all": ["--format", "csv"],
}
# What a finwait without `--tables none` writes instead: its smallest table.
LEAST = ["--format", "csv", "--tables", "listeners"]
OTHERS = {
    "tcptrace -l -n": ["tcptrace", "-l", "-n"],
    "tshark -q -z conv,tcp": ["tshark", "-n", "-q", "-z", "conv,tcp", "-r"],
    "tshark -T fields -e tcp.analysis.initial_rtt": ["tshark", "-n", "-T", "fields", "-e", "tcp.analysis.initial_rtt", "-r"],
}


class Missing(Exception):
    """Something that the benchmark needs is not there."""


class Tools:
    """The generator, the floor, and the finwaits by name."""

    def __init__(self, examples, finwaits):
        """`examples` is the folder of the first two."""
        self.traffic, self.floor_path, self.finwaits = examples / "traffic", examples / "floor", finwaits

    def floor(self, *options):
        """The floor's command line."""
        return [self.floor_path, *options]


class Finwait:
    """One finwait."""

    def __init__(self, name, path, scratch, store):
        """Tries on a small capture whether it can be told to write no tables."""
        self.name, self.path = name, path
        self.tables = dict(TABLES)
        probe = [*map(str, [path, "report", "-q", *TABLES["none"], "-o", scratch / "probe", store.make("short", 100)])]
        if subprocess.run(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.tables["none"] = LEAST

    def command(self, capture, kind, threads=None):
        """Its command line."""
        limit = ["--threads", threads] if threads else []
        return [self.path, "report", "-q", *self.tables[kind], *limit, "-o", "{out}", capture]


def named(word):
    """`NAME=PATH` or `PATH`."""
    name, _, path = word.rpartition("=")
    path = pathlib.Path(path)
    if not os.access(path, os.X_OK) or path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a program")
    return name, path.resolve()


def build(finwaits):
    """Builds the examples, and finwait itself unless others are given."""
    cargo = os.environ.get("CARGO") or "cargo"
    if not shutil.which(cargo):
        raise Missing("cargo is not installed")
    # The examples need nothing but the core; two calls, as one would build them with everything.
    steps = [["--examples", "--no-default-features"]] + ([] if finwaits else [["--bin", "finwait"]])
    for step in steps:
        if subprocess.run([cargo, "build", "--release", "--locked", "--quiet", *step], cwd=ROOT, check=False).returncode != 0:
            raise Missing("cargo could not build what is measured")
    told = subprocess.run([cargo, "metadata", "--no-deps", "--format-version", "1", "--offline"], cwd=ROOT, check=True, capture_output=True)
    release = pathlib.Path(json.loads(told.stdout)["target_directory"]) / "release"
    given = finwaits or [("finwait", release / "finwait")]
    names = [name or ("finwait" if len(given) == 1 else f"finwait {place}") for place, (name, _) in enumerate(given, 1)]
    if len(set(names)) < len(names):
        raise Missing("two programs have the same name; give them names: --finwait before=PATH --finwait after=PATH")
    return Tools(release / "examples", list(zip(names, (path for _, path in given))))


def others(capture):
    """The installed ones of the other tools, with their command lines."""
    return [(name, [*command, capture]) for name, command in OTHERS.items() if shutil.which(command[0])]


def versions(finwaits):
    """What each program says it is, and what it was told for no rows."""
    lines = []
    for finwait in finwaits:
        told = subprocess.run([str(finwait.path), "--version"], capture_output=True, text=True, check=False).stdout.strip()
        least = " (writes its smallest table where no rows are asked for)" if finwait.tables["none"] is LEAST else ""
        lines.append(f"- {finwait.name}: {told or 'does not tell its version'}{least}")
    return "\n".join(lines)
