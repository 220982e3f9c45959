"""Captures on the disk. In: what kind and how long. Out: a path; written once, read into the page cache."""

import hashlib
import os
import pathlib
import shutil
import subprocess

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/traffic"
# Bytes of the file for a packet, a little more than they are.
BYTES = {"short": 300, "mix": 560, "bulk": 1150, "headers": 115, "flood": 85, "idle": 130}


class NoRoom(Exception):
    """The disk is too small."""


def folder():
    """Where captures are kept unless asked otherwise: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "finwait-bench"


class Store:
    """Captures by what was asked for, and by the generator that wrote them."""

    def __init__(self, where, traffic, seed):
        """`traffic` is the generator; another version of its source writes other captures."""
        self.where, self.traffic, self.seed = where, traffic, seed
        digest = hashlib.sha256()
        for source in sorted(EXAMPLE.rglob("*.rs")):
            digest.update(source.read_bytes())
        self.version = digest.hexdigest()[:8]

    def command(self, profile, packets, flows=None, rate=None):
        """The generator's command line, writing to standard output."""
        options = ["--packets", packets, "--seed", self.seed]
        options += ["--flows", flows] if flows else []
        options += ["--rate", rate] if rate else []
        return [self.traffic, profile, *options]

    def make(self, profile, packets, flows=None):
        """The capture's path. It is generated if it is not there, and read once, so that no work waits for the disk."""
        path = self.where / f"{profile}-{packets}-{flows or 'default'}-{self.seed}-{self.version}.pcap"
        if not path.exists():
            need = BYTES[profile] * packets
            free = shutil.disk_usage(self.where).free
            if need > free:
                raise NoRoom(f"a capture of {profile} takes up to {need >> 20} MB, {self.where} has {free >> 20} MB left; choose another with --dir")
            part = path.with_suffix(".part")
            command = [*map(str, self.command(profile, packets, flows)), "-o", str(part)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            part.rename(path)
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass
        return path
