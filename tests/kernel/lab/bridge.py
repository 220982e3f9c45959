"""The wire between two hosts. In: frames from either side; out: the same frames, later, lost, held back or copied as the rules say.

Every frame crosses two halves with the tap between them:

    client host ── to-client │ client's half │ tap-w ═══ tap-e │ server's half │ to-server ── server host

What a rule does `BEFORE` the tap, the tap never sees as sent; what it does `BEHIND` the tap, a capture there shows as if all were well.
"""

import heapq
import itertools
import select
import socket
import struct
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Callable

CLIENT, MIDDLE, SERVER = "client", "middle", "server"
BEFORE, BEHIND = "before", "behind"

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23


@dataclass(frozen=True)
class Segment:
    """One TCP segment on its way; `sender` is the side of the bridge that it came from."""

    sender: str
    flow: tuple  # (client address, client port, server address, server port)
    seq: int
    ack: int
    flags: int
    payload: int  # bytes
    acks_fin: bool = False  # covers a FIN of the other side that went over this bridge

    @property
    def client_port(self):
        """The port on the client's side of the bridge."""
        return self.flow[1]

    def has(self, wanted, without=0):
        """All of the flags `wanted`, none of `without`."""
        return self.flags & wanted == wanted and not self.flags & without


@dataclass(frozen=True)
class FinPass:
    """A FIN that went by: how many its host had sent before it, and whether the network made it."""

    flow: tuple
    sender: str
    seq: int  # of the FIN itself
    emission: int  # 0 for the first that its host sent
    copy: bool = False


def syn(segment):
    """A SYN that opens: no ACK with it."""
    return segment.has(_SYN, without=_ACK)


def syn_ack(segment):
    """A SYN that answers."""
    return segment.has(_SYN | _ACK)


def fin(segment):
    """A FIN, with data or without."""
    return segment.has(_FIN)


def data(segment):
    """Payload, with a FIN or without."""
    return segment.payload > 0


def ack_of_fin(segment):
    """A bare ACK that covers the other side's FIN."""
    return segment.acks_fin and segment.payload == 0 and segment.has(_ACK, without=_SYN | _FIN | _RST)


@dataclass
class Rule:
    """What happens to chosen segments. Matches are counted per connection: the first `skip` go through, the next `times` do not."""

    action: str  # "drop", "hold" or "copy"
    sender: str
    match: Callable[[Segment], bool]
    at: str = BEHIND
    skip: int = 0
    times: int = 1
    seconds: float = 0.0  # how much later a held frame, or the copy, goes on
    seen: Counter = field(default_factory=Counter)

    def applies(self, segment, at):
        """Whether this segment is one of the chosen; counts it."""
        if at != self.at or segment.sender != self.sender or not self.match(segment):
            return False
        number = self.seen[segment.flow]
        self.seen[segment.flow] += 1
        return self.skip <= number < self.skip + self.times


def drop(sender, match, at=BEHIND, skip=0, times=1):
    """Lose the segment."""
    return Rule("drop", sender, match, at, skip, times)


def hold(sender, match, seconds, at=BEHIND, skip=0, times=1):
    """Send the segment on later than those after it."""
    return Rule("hold", sender, match, at, skip, times, seconds)


def copy(sender, match, seconds, at=BEFORE, skip=0, times=1):
    """Send the segment on, and the very same frame once more later."""
    return Rule("copy", sender, match, at, skip, times, seconds)


def parse(frame, sender):
    """The TCP segment in an Ethernet frame, or None. Only what the kernel sends here: no VLAN, no IPv6 extension headers."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= 54 and frame[23] == 6:
        header = 14 + (frame[14] & 15) * 4
        end = 14 + int.from_bytes(frame[16:18], "big")
        source, target = socket.inet_ntop(socket.AF_INET, frame[26:30]), socket.inet_ntop(socket.AF_INET, frame[30:34])
    elif kind == b"\x86\xdd" and len(frame) >= 74 and frame[20] == 6:
        header = 54
        end = 54 + int.from_bytes(frame[18:20], "big")
        source, target = socket.inet_ntop(socket.AF_INET6, frame[22:38]), socket.inet_ntop(socket.AF_INET6, frame[38:54])
    else:
        return None
    source_port, target_port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", frame, header)
    here, there = (source, source_port), (target, target_port)
    flow = here + there if sender == CLIENT else there + here
    return Segment(sender, flow, seq, ack, flags, end - header - (offset >> 4) * 4)


class Bridge:
    """Forwards in a thread of its own until `stop`.

    `delay(half, segment)` is the one-way delay in seconds of that half (`CLIENT` or `SERVER`); `segment` is None for what is no TCP.
    """

    def __init__(self, open_socket, delay, rules):
        # Counts of its own: the same rules may serve another bridge.
        self._delay, self._rules = delay, [replace(rule, seen=Counter()) for rule in rules]
        names = ("to-client", "tap-w", "tap-e", "to-server")
        port = {name: self._attach(open_socket, name) for name in names}
        # Where a frame came in: who sent it, which half it enters, where it leaves, and whether the tap has seen it.
        self._routes = {
            port["to-client"]: (CLIENT, CLIENT, port["tap-w"], BEFORE),
            port["tap-e"]: (CLIENT, SERVER, port["to-server"], BEHIND),
            port["to-server"]: (SERVER, SERVER, port["tap-e"], BEFORE),
            port["tap-w"]: (SERVER, CLIENT, port["to-client"], BEHIND),
        }
        self.last = {}  # (flow, sender) -> the latest segment that left its host
        self.fins = []  # (tap, `FinPass`) in the order in which they went by
        self._fin_end = {}  # (flow, sender) -> the sequence number behind its FIN
        self._emitted = Counter()  # (flow, sender, sequence number of the FIN) -> how often its host sent it
        self._crossing = {CLIENT: {}, SERVER: {}}  # sender -> frame -> what is known of those of its copies that are on the tap's wire
        self._host = {CLIENT: port["to-client"], SERVER: port["to-server"]}
        self._middle = {CLIENT: port["tap-w"], SERVER: port["tap-e"]}
        self._waiting, self._order = [], itertools.count()
        self._stop = threading.Event()
        self.error = None
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)
        self._thread.start()

    @staticmethod
    def _attach(open_socket, name):
        sock = open_socket()
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.bind((name, _ETH_P_ALL))
        sock.setblocking(False)
        return sock

    def stop(self):
        """End the thread and close the sockets."""
        self._stop.set()
        self._thread.join()
        for sock in self._routes:
            sock.close()

    def inject(self, frame, toward, at=BEFORE):
        """Put a frame of nobody's on the wire towards one host, before the tap or behind it."""
        sender = SERVER if toward == CLIENT else CLIENT
        (self._middle[sender] if at == BEFORE else self._host[toward]).send(frame)

    def _run(self):
        try:
            while not self._stop.is_set():
                patience = max(0.0, min(0.1, self._waiting[0][0] - time.monotonic())) if self._waiting else 0.1
                ready, _, _ = select.select(list(self._routes), [], [], patience)
                for sock in ready:
                    self._drain(sock)
                while self._waiting and self._waiting[0][0] <= time.monotonic():
                    self._forward(*heapq.heappop(self._waiting)[2:])
        except Exception as error:  # The scenario reads it when it stops: a thread cannot fail it by itself.
            self.error = error

    def _drain(self, sock):
        sender, half, way_out, at = self._routes[sock]
        while True:
            try:
                frame = sock.recv(65536)
            except BlockingIOError:
                return
            now = time.monotonic()
            segment = self._judge(parse(frame, sender), at)
            later = self._delay(half, segment)
            if segment is None:
                self._send(now + later, way_out, frame)
                continue
            known = self._pass_by(segment, frame, at)
            rule = next((rule for rule in self._rules if rule.applies(segment, at)), None)
            if rule is None or rule.action == "copy":
                self._send(now + later, way_out, frame, known)
            if rule is not None and rule.action != "drop":
                known = known and replace(known, copy=known.copy or rule.action == "copy")
                self._send(now + later + rule.seconds, way_out, frame, known)

    def _judge(self, segment, at):
        if segment is None:
            return None
        other = SERVER if segment.sender == CLIENT else CLIENT
        if at == BEFORE:
            self.last[segment.flow, segment.sender] = segment
            if segment.has(_FIN):
                self._fin_end[segment.flow, segment.sender] = (segment.seq + segment.payload + 1) % 2**32
        covers = segment.has(_ACK) and segment.ack == self._fin_end.get((segment.flow, other))
        return replace(segment, acks_fin=covers)

    def _pass_by(self, segment, frame, at):
        """Take down a FIN that left its host or crossed the tap; returns what is to be known of it from then on."""
        if not segment.has(_FIN):
            return None
        if at == BEFORE:
            seq = (segment.seq + segment.payload) % 2**32
            key = segment.flow, segment.sender, seq
            known = FinPass(segment.flow, segment.sender, seq, self._emitted[key])
            self._emitted[key] += 1
            self.fins.append((segment.sender, known))
            return known
        waiting = self._crossing[segment.sender].get(frame)
        if not waiting:
            return None  # Injected: nobody's FIN.
        known = waiting.popleft()
        self.fins.append((MIDDLE, known))
        return known

    def _send(self, due, way_out, frame, known=None):
        heapq.heappush(self._waiting, (due, next(self._order), way_out, frame, known))

    def _forward(self, way_out, frame, known):
        if known is not None:
            if way_out is self._middle[known.sender]:
                self._crossing[known.sender].setdefault(frame, deque()).append(known)
            else:
                self.fins.append((SERVER if known.sender == CLIENT else CLIENT, known))
        way_out.send(frame)
