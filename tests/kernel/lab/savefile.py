"""Captures as files. In: a pcap file that tcpdump wrote; out: its packets as lines to compare, or the same packets as pcapng."""

import socket
import struct
from collections import namedtuple

from bridge import CLIENT, parse

Frame = namedtuple("Frame", "number ns text flow forward good_checksum")
Frame.__doc__ = """One packet: `text` such as `> SYN` or `< FIN,ACK 120` (`>` from the client); `flow` is (client, port, server, port)."""

Sent = namedtuple("Sent", "number ns here there seq ack flags payload")
Sent.__doc__ = """One TCP segment of an Ethernet capture, in numbers: `here` is the sender's (address, port), `there` the receiver's."""

_MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # nanoseconds a unit of the fraction
_ETHERNET, _SLL, _SLL2 = 1, 113, 276
_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x10, "ACK"))  # PSH says nothing that a reader needs here.


def packets(path):
    """The link type, the snap length and a list of (ns since the epoch, bytes on the wire, captured bytes)."""
    with open(path, "rb") as file:
        raw = file.read()
    magic, _, _, _, _, snaplen, link_type = struct.unpack_from("=IHHiIII", raw)
    unit, at, found = _MAGIC[magic], 24, []
    while at < len(raw):
        seconds, fraction, captured, length = struct.unpack_from("=IIII", raw, at)
        at += 16
        found.append((seconds * 10**9 + fraction * unit, length, raw[at : at + captured]))
        at += captured
    return link_type, snaplen, found


def frames(path):
    """Every packet as a `Frame`; what is no TCP (an ICMP error, say) has its protocol's number as text and no flow."""
    link_type, _, found = packets(path)
    skip = {_ETHERNET: 14, _SLL: 16, _SLL2: 20}[link_type]
    clients, result = {}, []
    for number, (ns, length, raw) in enumerate(found, 1):
        result.append(_frame(number, ns, raw[skip:], length == len(raw), clients))
    return result


def segments(path):
    """Every TCP segment of an Ethernet capture as `Sent`; `number` counts all packets from 1."""
    found = []
    for number, (ns, _, raw) in enumerate(packets(path)[2], 1):
        segment = parse(raw, CLIENT)
        if segment is not None:
            here, there = segment.flow[:2], segment.flow[2:]
            found.append(Sent(number, ns, here, there, segment.seq, segment.ack, segment.flags, segment.payload))
    return found


def _frame(number, ns, packet, whole, clients):
    if packet[0] >> 4 == 4:
        header, end, protocol = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big"), packet[9]
        family, hosts = socket.AF_INET, packet[12:20]
    else:
        header, end, protocol = 40, 40 + int.from_bytes(packet[4:6], "big"), packet[6]
        family, hosts = socket.AF_INET6, packet[8:40]
    if protocol != 6:
        return Frame(number, ns, f"protocol {protocol}", None, True, True)
    source_port, target_port, _, _, offset, bits = struct.unpack_from("!HHIIBB", packet, header)
    half = len(hosts) // 2
    here = (socket.inet_ntop(family, hosts[:half]), source_port)
    there = (socket.inet_ntop(family, hosts[half:]), target_port)
    client = clients.setdefault(frozenset((here, there)), here)
    payload = end - header - (offset >> 4) * 4
    names = ",".join(name for bit, name in _FLAGS if bits & bit)
    text = f"{'>' if client == here else '<'} {names}" + (f" {payload}" if payload else "")
    flow = here + there if client == here else there + here
    good = not whole or _checksum(hosts + struct.pack("!II", end - header, 6) + packet[header:end]) == 0
    return Frame(number, ns, text, flow, client == here, good)


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def to_pcapng(source, target, interface, note, received, dropped):
    """Write a pcap file's packets as pcapng: one section, one interface with nanoseconds, its counters at the end."""
    link_type, snaplen, found = packets(source)
    first, last = found[0][0], found[-1][0]
    with open(target, "wb") as file:
        # 1.0, little-endian, length of the section unknown.
        file.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((1, note.encode()), (4, b"tcpdump"))))
        file.write(_block(1, struct.pack("<HHI", link_type, 0, snaplen) + _options((2, interface.encode()), (9, b"\x09"))))
        for ns, length, raw in found:
            file.write(_block(6, struct.pack("<IIIII", 0, *_stamp(ns), len(raw), length) + _padded(raw)))
        counters = _options(
            (2, struct.pack("<II", *_stamp(first))),
            (3, struct.pack("<II", *_stamp(last))),
            (4, struct.pack("<Q", received)),
            (5, struct.pack("<Q", dropped)),
        )
        file.write(_block(5, struct.pack("<III", 0, *_stamp(last)) + counters))


def _stamp(ns):
    return ns >> 32, ns & 0xFFFFFFFF


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


def _options(*pairs):
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in pairs) + struct.pack("<HH", 0, 0)


def _block(kind, body):
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
