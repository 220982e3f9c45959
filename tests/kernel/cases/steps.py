"""What scenarios have in common. In: a laboratory; out: the steps of which its scenarios consist."""

import contextlib
import socket
import struct
import time

from bridge import CLIENT, SERVER
from lab import LabError, accept, read_exactly, read_to_end, settle
from scenarios import ANSWER, APP, HTTP, REQUEST, close_in_turn, close_with_reset, exchange

__all__ = [
    "ANSWER", "APP", "HTTP", "PORT", "REQUEST", "Switch", "accept", "bare_ack", "close_in_turn", "close_with_reset", "connect_quietly", "contextlib",
    "exchange", "forge", "opened", "plain", "read_exactly", "read_to_end", "reset", "settle", "socket", "time",
]  # fmt: skip

PORT = 50001  # of the client


class Switch:
    """Matches every segment from the moment it is thrown."""

    on = False

    def __call__(self, segment):
        return self.on


def bare_ack(segment):
    """An ACK with nothing else; the first of a client completes the handshake."""
    return segment.payload == 0 and segment.flags & 0x17 == 0x10


def reset(segment):
    """A RST."""
    return segment.has(0x04)


def opened(lab, port=PORT, to=HTTP):
    """A listener and an established connection to it, a request and its answer behind it: (client's socket, server's socket)."""
    client, server = lab.connection(lab.listen(to), port)
    exchange(client, server)
    return client, server


def plain(lab, pause=0.05):
    """One connection that the client closes first: for scenarios whose rules do the rest."""
    close_in_turn(*opened(lab), pause=pause)


def connect_quietly(lab, port=PORT, to=HTTP):
    """A client's socket whose connect() has begun and is not waited for."""
    sock = lab.client.bound(port)
    sock.setblocking(False)
    sock.connect_ex((lab.server.address(), to))
    sock.settimeout(20)
    return sock


def forge(lab, sender, flags, seq_ahead=0, ack_ahead=0, port=PORT, to=HTTP, payload=b"", own_address=None):
    """An Ethernet frame with a TCP segment in a connection's name, its numbers counted from what its sender would send next."""
    ends = (lab.client.address(), port), (lab.server.address(), to)
    flow = ends[0] + ends[1]
    here, there = ends if sender == CLIENT else ends[::-1]
    host, peer = (lab.client, lab.server) if sender == CLIENT else (lab.server, lab.client)
    last = lab.bridge.last.get((flow, sender))
    last_of_peer = lab.bridge.last.get((flow, SERVER if sender == CLIENT else CLIENT))
    seq = (_end(last) if last else 0) + seq_ahead
    ack = (_end(last_of_peer) if last_of_peer else 0) + ack_ahead
    source = own_address or here[0]
    version6 = ":" in source
    family = socket.AF_INET6 if version6 else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, there[0])
    ack = ack % 2**32 if flags & 0x10 else 0
    tcp = struct.pack("!HHIIBBHHH", here[1], there[1], seq % 2**32, ack, 5 << 4, flags, 8192, 0, 0) + payload
    tcp = tcp[:16] + struct.pack("!H", _checksum(addresses + struct.pack("!II", len(tcp), 6) + tcp)) + tcp[18:]
    if version6:
        header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 60) + addresses
    else:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 4242, 0, 60, 6, 0) + addresses
        header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    macs = bytes.fromhex((peer.mac + host.mac).replace(":", ""))
    return macs + (b"\x86\xdd" if version6 else b"\x08\x00") + header + tcp


def _end(segment):
    return segment.seq + segment.payload + bool(segment.flags & 0x02) + bool(segment.flags & 0x01)


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def expect(done, what):
    """Raise where a scenario did not do what it is for."""
    if not done:
        raise LabError(what)
