"""What the kernel itself says. In: the tracepoint `sock:inet_sock_set_state`; out: every change of state of a laboratory's sockets, in wall-clock ns.

Two things the tracepoint does not show: a server's SYN_RECEIVED before its final ACK (a request, not yet a socket), and TIME_WAIT (a small
block takes over from the socket, whose own last change is then FIN_WAIT_2 or CLOSING to CLOSED; the same in a FIN_WAIT_2 without an owner).
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import subprocess
import time

_TRACING = pathlib.Path("/sys/kernel/tracing")
_CLONE_NEWNS = 0x00020000
_EVENT = re.compile(
    r"(\d+)\.(\d{6}): inet_sock_set_state: family=(\S+) protocol=IPPROTO_TCP sport=(\d+) dport=(\d+) "
    r"saddr=(\S+) daddr=(\S+) saddrv6=(\S+) daddrv6=(\S+) oldstate=TCP_(\S+) newstate=TCP_(\S+)"
)
# The kernel's names where they differ from those of RFC 9293.
_STATES = {"CLOSE": "CLOSED", "SYN_RECV": "SYN_RECEIVED", "NEW_SYN_RECV": "SYN_RECEIVED", "FIN_WAIT1": "FIN_WAIT_1", "FIN_WAIT2": "FIN_WAIT_2"}


def prepare():
    """Have the tracing files in sight, in a mount namespace of this process; returns why that cannot be, or None."""
    if not (_TRACING / "instances").exists():
        if ctypes.CDLL(None).unshare(_CLONE_NEWNS) != 0:
            return "no mount namespace to be had"
        for command in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tracefs", "tracefs", str(_TRACING)]):
            done = subprocess.run(command, text=True, capture_output=True)
            if done.returncode != 0:
                return done.stderr.strip()
    tidy_up()
    return None if (_TRACING / "events/sock/inet_sock_set_state").exists() else "this kernel has no tracepoint sock:inet_sock_set_state"


def tidy_up():
    """Remove the trace instances of processes that are no more."""
    for instance in (_TRACING / "instances").glob("finwait-*"):
        if not pathlib.Path("/proc", instance.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                instance.rmdir()


class Record:
    """Records while it is open; `changes` are those of the addresses in 10.77.`net`.0/24 and fd77:0:0:`net`::/64."""

    def __init__(self, net):
        self._ours = re.compile(rf"10\.77\.{net}\.\d+|fd77:0:0:{net:x}::[0-9a-f]+")
        self._instance = _TRACING / "instances" / f"finwait-{os.getpid()}"

    def __enter__(self):
        self._instance.mkdir()
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", "2048")
        self._write("events/sock/inet_sock_set_state/enable", "1")
        return self

    def __exit__(self, *_):
        self._instance.rmdir()

    def _write(self, name, value):
        (self._instance / name).write_text(value)

    def endpoints(self):
        """What happened so far: {(address, port, peer, peer's port): [(ns since the epoch, old state, new state)]}, in order of time."""
        ahead = _wall_clock_ahead()
        found = {}
        for event in _EVENT.finditer((self._instance / "trace").read_text()):
            seconds, micros, family, port, peer_port, here4, there4, here6, there6, old, new = event.groups()
            here, there = (here6, there6) if family == "AF_INET6" else (here4, there4)
            if not self._ours.fullmatch(here) or peer_port == "0":
                continue
            ns = int(seconds) * 10**9 + int(micros) * 1000 + ahead
            change = (ns, _STATES.get(old, old), _STATES.get(new, new))
            found.setdefault((here, int(port), there, int(peer_port)), []).append(change)
        return {key: sorted(changes, key=lambda change: change[0]) for key, changes in found.items()}


def _wall_clock_ahead():
    """How far the wall clock is ahead of the monotonic one, in ns: the reading with the least time between its two halves."""
    readings = []
    for _ in range(20):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, wall - (before + after) // 2))
    return min(readings)[1]


def save(path, capture, endpoints):
    """Write endpoints as JSON, one line each."""
    lines = []
    for (address, port, peer, peer_port), changes in sorted(endpoints.items(), key=lambda item: item[1][0]):
        one = {"address": address, "port": port, "peer": peer, "peer_port": peer_port, "changes": changes}
        lines.append("  " + json.dumps(one, separators=(",", ":")))
    head = {"capture": capture, "source": "sock:inet_sock_set_state", "resolution_ns": 1000}
    body = ",\n".join(lines)
    path.write_text(json.dumps(head)[:-1] + f', "endpoints": [\n{body}\n]}}\n')
