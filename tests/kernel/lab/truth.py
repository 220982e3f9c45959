"""What the kernel itself says. In: tracepoints of sockets, timers and retransmissions; out: what each of a laboratory's endpoints did, in wall-clock ns.

`sock:inet_sock_set_state` shows every change of state of a socket. Two things it does not show, because no socket is there: a server's
SYN_RECEIVED before the final ACK (a request) and TIME_WAIT (a small block, which may wait in FIN_WAIT_2 first). Both live by a timer
of their own, so the timers' start, expiry and end tell them to the microsecond; which endpoint a timer belongs to is told by what
happens beside it on the same CPU.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field

_TRACING = pathlib.Path("/sys/kernel/tracing")
_CLONE_NEWNS = 0x00020000
_STATE = "sock/inet_sock_set_state"
_TIMERS = ("timer/timer_start", "timer/timer_expire_entry")
_OURS = "function.function == tw_timer_handler || function.function == reqsk_timer_handler"
_OTHERS = ("timer/timer_cancel", "tcp/tcp_retransmit_skb", "tcp/tcp_retransmit_synack")
_EVENT = re.compile(r"-(\d+)\s+\[(\d+)\] \S+\s+(\d+)\.(\d{6}): (\w+): (.*)")
_FIELD = re.compile(r"(\w+)=(\S+?)\]?(?: |$)")
# The kernel's names where they differ from those of RFC 9293.
_STATES = {"CLOSE": "CLOSED", "SYN_RECV": "SYN_RECEIVED", "NEW_SYN_RECV": "SYN_RECEIVED", "FIN_WAIT1": "FIN_WAIT_1", "FIN_WAIT2": "FIN_WAIT_2"}
_CLOCK_MONOTONIC_COARSE = 6  # advances with the timer interrupt
_HZ = round(1 / time.clock_getres(_CLOCK_MONOTONIC_COARSE))
# TIME_WAIT's timer runs for 60 s, as a tick in between may show it; a laboratory sets `tcp_fin_timeout` to less, so that FIN_WAIT_2's is shorter.
_TIME_WAIT = 50 * _HZ
_AT_ONCE = 3_000_000  # ns within which one step of the kernel's follows another on the same CPU
_COOKIE = 2_000_000  # ns from a cookie's child to its ESTABLISHED: one step; a fast-open child waits for a packet, here 10 ms at least


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
    return None if (_TRACING / "events" / _STATE).exists() else "this kernel has no tracepoint sock:inet_sock_set_state"


def tidy_up():
    """Remove the trace instances of processes that are no more."""
    for instance in (_TRACING / "instances").glob("finwait-*"):
        if not pathlib.Path("/proc", instance.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                instance.rmdir()


@dataclass
class Stay:
    """A small block's life: since when in TIME_WAIT (None: FIN_WAIT_2 still), when its timer was set anew, when it ended and how."""

    entered: int | None
    restarts: list = field(default_factory=list)
    ended: int | None = None
    how: str | None = None  # "expired" or "cancelled"


@dataclass
class Endpoint:
    """What one endpoint did. A change's ns is None where the kernel has no such moment (SYN_RECEIVED under a SYN cookie)."""

    changes: list = field(default_factory=list)  # [ns, old state, new state]
    stays: list = field(default_factory=list)
    retransmits: list = field(default_factory=list)  # [ns, state]
    syn_ack_retransmits: list = field(default_factory=list)  # ns


@dataclass
class _Event:
    ns: int
    cpu: int
    thread: int
    name: str
    fields: dict

    def endpoint(self):
        version6 = self.fields["family"] == "AF_INET6"
        here, there = (self.fields[name + "v6" * version6] for name in ("saddr", "daddr"))
        return here, int(self.fields["sport"]), there, int(self.fields["dport"])


@dataclass
class _Request:
    start: int
    thread: int
    key: tuple | None = None
    ended: int | None = None
    cpu: int | None = None  # where it ended
    expired: bool = False
    became_socket: bool = False


class Record:
    """Records while it is open, all that concerns the addresses of `Lab(net)`."""

    def __init__(self, net, timers=False):
        self._ours = re.compile(rf"10\.{77 + (net >> 8)}\.{net & 255}\.\d+|fd77:0:0:{net:x}::[0-9a-f]+")
        self._timers = timers
        self._instance = _TRACING / "instances" / f"finwait-{os.getpid()}"

    def __enter__(self):
        self._instance.mkdir()
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", "8192")
        if self._timers:
            for event in _TIMERS:
                self._write(f"events/{event}/filter", _OURS)
        for event in (_STATE,) + (_TIMERS + _OTHERS if self._timers else ()):
            self._write(f"events/{event}/enable", "1")
        return self

    def __exit__(self, *_):
        self._instance.rmdir()

    def _write(self, name, value):
        (self._instance / name).write_text(value)

    def stop(self):
        """Record no more."""
        self._write("tracing_on", "0")

    def endpoints(self, syn_acks=()):
        """What happened so far: {(address, port, peer, peer's port): `Endpoint`}.

        `syn_acks` are (ns, endpoint) of the SYN-ACKs that the server's own capture shows: they name the requests that nothing else names.
        """
        self.stop()
        ahead = _wall_clock_ahead()
        events = []
        for match in _EVENT.finditer((self._instance / "trace").read_text()):
            thread, cpu, seconds, micros, name, rest = match.groups()
            ns = int(seconds) * 10**9 + int(micros) * 1000 + ahead
            events.append(_Event(ns, int(cpu), int(thread), name, dict(_FIELD.findall(rest))))
        events.sort(key=lambda event: event.ns)
        found = _Reading(self._timers).read(events, syn_acks)
        return {key: endpoint for key, endpoint in found.items() if key[3] != 0 and self._ours.fullmatch(key[0])}


class _Reading:
    """One pass over the events. What it keeps by CPU is the step that the next event there may belong to."""

    def __init__(self, timers):
        self._timers = timers
        self._found = {}
        self._stays = {}  # timer -> (its `Stay`, its endpoint or None), while it runs
        self._requests = {}  # timer -> its `_Request`, while it runs
        self._all_requests = []
        self._before = {}  # CPU -> the event before this one
        self._block_made = {}  # CPU -> (stay, timer, ns): the socket's own last change comes next
        self._anew = {}  # CPU -> (event, block before it): a block's timer was set anew, if it is that block's still
        self._child = {}  # CPU -> (endpoint, ns): a socket was made for a request, whose end comes next
        self._repeat = {}  # CPU -> request whose timer has just expired

    def read(self, events, syn_acks):
        for event in events:
            step = getattr(self, "_" + event.name, None)
            if step is not None:
                step(event)
            self._before[event.cpu] = event
        self._name_the_rest(syn_acks)
        for request in self._all_requests:
            if request.key is not None and not request.became_socket:
                changes = self._endpoint(request.key).changes
                changes.append([request.start, "LISTEN", "SYN_RECEIVED"])
                if request.ended is not None:
                    changes.append([request.ended, "SYN_RECEIVED", "CLOSED"])
        for endpoint in self._found.values():
            for stay in endpoint.stays:
                if stay.ended is not None:
                    endpoint.changes.append([stay.ended, "FIN_WAIT_2" if stay.entered is None else "TIME_WAIT", "CLOSED"])
            _in_order(endpoint.changes)
        return self._found

    def _endpoint(self, key):
        return self._found.setdefault(key, Endpoint())

    def _inet_sock_set_state(self, event):
        key = event.endpoint()
        child = self._child.pop(event.cpu, None)
        old, new = (event.fields[name].removeprefix("TCP_") for name in ("oldstate", "newstate"))
        old, new = _STATES.get(old, old), _STATES.get(new, new)
        endpoint = self._endpoint(key)
        change = [event.ns, old, new]
        made = self._block_before(event, new == "CLOSED" and old in ("FIN_WAIT_2", "CLOSING"))
        if made is not None:
            stay, timer, started = made
            self._stays[timer] = stay, key
            endpoint.stays.append(stay)
            if old == "FIN_WAIT_2" and stay.entered is None:
                return  # The block waits in FIN_WAIT_2: no change of state.
            stay.entered = stay.entered or started
            change = [stay.entered, old, "TIME_WAIT"]
        if self._timers and (old, new) == ("LISTEN", "SYN_RECEIVED"):
            self._child[event.cpu] = key, event.ns, change
        if (old, new) == ("SYN_RECEIVED", "ESTABLISHED") and child is not None and child[0] == key and event.ns - child[1] < _COOKIE:
            child[2][0] = None  # No request stood behind it: a SYN cookie.
        endpoint.changes.append(change)

    def _timer_start(self, event):
        timer, timeout = event.fields["timer"], int(event.fields["timeout"])
        # A timer that is set anew is cancelled and started with interrupts off, however long the processor is away meanwhile.
        before = self._before.get(event.cpu)
        again = before is not None and before.name == "timer_cancel" and before.fields["timer"] == timer
        if event.fields["function"] == "reqsk_timer_handler":
            request = self._requests.get(timer)
            if request is not None and request.ended is not None and event.cpu == request.cpu:
                # A new request starts with a second; one whose timer expired goes on with two or more, unless it is a repeated SYN that sets it.
                longer, soon = timeout > 3 * _HZ // 2, event.ns - request.ended < _AT_ONCE
                if longer and soon if request.expired else again:
                    request.ended, request.expired = None, False
                    return
            self._requests[timer] = _Request(event.ns, event.thread)
            self._all_requests.append(self._requests[timer])
            return
        stay, key = self._stays.get(timer, (None, None))
        if stay is None and again:
            return  # Its block is older than the record.
        if not again:
            # Whose it is, the socket's own last change tells; the peer's FIN may reach the block on another CPU before that.
            stay = Stay(event.ns if timeout > _TIME_WAIT else None)
            self._stays[timer] = stay, None
            self._block_made[event.cpu] = stay, timer, event.ns
            return
        self._anew[event.cpu] = event, (stay, key, Stay(stay.entered, list(stay.restarts), stay.ended, stay.how))
        stay.ended = stay.how = None
        if stay.entered is None and timeout > _TIME_WAIT:
            stay.entered = event.ns
            if key is not None:
                self._endpoint(key).changes.append([event.ns, "FIN_WAIT_2", "TIME_WAIT"])
        else:
            stay.restarts.append(event.ns)

    def _block_before(self, event, leaves_one):
        """The block that was just made on that CPU, if that is what the socket leaves which ends now."""
        made = self._block_made.pop(event.cpu, None)
        anew, before = self._anew.pop(event.cpu, (None, None))
        last = self._before.get(event.cpu)
        if not leaves_one or last is None:
            return None
        if made is not None:
            # A processor that is away in between does nothing else meanwhile that is seen here.
            follows = last.name == "timer_start" and last.fields["timer"] == made[1]
            return made if follows or event.ns - made[2] < _AT_ONCE else None
        return self._taken_over(anew, before) if anew is last and event.ns - anew.ns < _AT_ONCE else None

    def _taken_over(self, start, before):
        """A block had just been freed, and a socket that ends next on that CPU got its memory, timer and all."""
        stay, key, was = before
        timer, timeout = start.fields["timer"], int(start.fields["timeout"])
        if stay.entered != was.entered and key is not None:
            self._endpoint(key).changes.remove([start.ns, "FIN_WAIT_2", "TIME_WAIT"])
        stay.entered, stay.restarts, stay.ended, stay.how = was.entered, was.restarts, was.ended, was.how
        return Stay(start.ns if timeout > _TIME_WAIT else None), timer, start.ns

    def _timer_cancel(self, event):
        timer = event.fields["timer"]
        if timer in self._stays:
            stay, _ = self._stays[timer]
            stay.ended, stay.how = event.ns, "cancelled"
        request = self._requests.get(timer)
        if request is None:
            return
        request.ended, request.cpu, request.expired = event.ns, event.cpu, False
        child = self._child.get(event.cpu)
        if child is not None:
            request.key, request.became_socket = child[0], True
            child[2][0] = request.start
            del self._child[event.cpu], self._requests[timer]

    def _timer_expire_entry(self, event):
        timer = event.fields["timer"]
        if timer in self._stays:
            stay, _ = self._stays.pop(timer)
            stay.ended, stay.how = event.ns, "expired"
        if timer in self._requests:
            request = self._repeat[event.cpu] = self._requests[timer]
            request.ended, request.cpu, request.expired = event.ns, event.cpu, True

    def _tcp_retransmit_skb(self, event):
        state = event.fields["state"].removeprefix("TCP_")
        self._endpoint(event.endpoint()).retransmits.append([event.ns, _STATES.get(state, state)])

    def _tcp_retransmit_synack(self, event):
        request = self._repeat.pop(event.cpu, None)
        self._endpoint(event.endpoint()).syn_ack_retransmits.append(event.ns)
        if request is not None and request.ended is not None and event.ns - request.ended < _AT_ONCE:
            request.key = event.endpoint()

    def _name_the_rest(self, syn_acks):
        """A request that never became a socket and was never repeated is named by the SYN-ACK that left right after its timer's start."""
        ours = {int(thread) for thread in os.listdir("/proc/self/task")} | {threading.get_native_id()}
        named = {(request.key, request.start) for request in self._all_requests if request.key}
        free = [one for one in syn_acks if not any(one[1] == key and abs(one[0] - start) < 2 * _AT_ONCE for key, start in named)]
        for request in self._all_requests:
            if request.key is None and request.thread in ours:
                after = [one for one in free if 0 <= one[0] - request.start < 2 * _AT_ONCE]
                if after:
                    request.key = min(after)[1]
                    free.remove(min(after))


def _in_order(changes):
    """Sort by time; a change without a time stays before the one that follows it.

    A block in TIME_WAIT is taken away just after the next incarnation's first change: its end comes before that all the same.
    """
    for index in range(len(changes) - 1, -1, -1):
        changes[index].append(changes[index][0] if changes[index][0] is not None else changes[index + 1][3] - 1)
    changes.sort(key=lambda change: change[3])
    for change in changes:
        change.pop()
    for index in range(1, len(changes)):
        ended, began = changes[index], changes[index - 1]
        if ended[1:] == ["TIME_WAIT", "CLOSED"] and began[1] in ("CLOSED", "LISTEN") and ended[0] - (began[0] or 0) < _AT_ONCE:
            changes[index - 1 : index + 1] = ended, began


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
    """Write the endpoints' states alone as JSON, one endpoint a line."""
    lines = []
    for (address, port, peer, peer_port), endpoint in sorted(endpoints.items(), key=lambda item: item[1].changes[0]):
        one = {"address": address, "port": port, "peer": peer, "peer_port": peer_port, "changes": endpoint.changes}
        lines.append("  " + json.dumps(one, separators=(",", ":")))
    head = {"capture": capture, "source": "sock:inet_sock_set_state", "resolution_ns": 1000}
    body = ",\n".join(lines)
    path.write_text(json.dumps(head)[:-1] + f', "endpoints": [\n{body}\n]}}\n')
