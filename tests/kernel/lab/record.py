"""One scenario under three captures. In: a case; out: NAME.client.pcap, NAME.middle.pcap, NAME.server.pcap and NAME.json, the kernel's own record.

The record, on the captures' clock: what each endpoint's kernel did (`truth`), which FINs passed which tap (the bridge saw every frame), how
long each connect() took, and what the kernels counted.
"""

import json
import os
import time

import lab as laboratory
import savefile
import truth
from bridge import CLIENT, MIDDLE, SERVER

SNAPLEN = 160  # headers and a little
TAPS = (CLIENT, MIDDLE, SERVER)
COUNTERS = ("ListenOverflows", "ListenDrops", "SyncookiesSent", "TCPTimeWaitOverflow")


def make(case, net, folder):
    """Run the case. Raises `LabError` or `OSError` where it did not come about as it should."""
    raw = {tap: folder / f".{case.name}.{tap}.raw" for tap in TAPS}
    try:
        with truth.Record(net, timers=True) as kernel, laboratory.Lab(net, **case.lab) as lab:
            for host in (lab.client, lab.server):
                host.sysctl("ipv4/tcp_fin_timeout", 30)  # So that the length of a timer tells FIN_WAIT_2 from TIME_WAIT.
            captures = _run(case, lab, raw)
            kernel.stop()  # What the kernel does from here on is in no capture.
            for capture in captures:
                if dropped := capture.stop()[1]:
                    raise laboratory.LabError(f"tcpdump dropped {dropped} packets")
            frames = {tap: savefile.segments(raw[tap]) for tap in TAPS}
            syn_acks = [(one.ns, (*one.here, *one.there)) for one in frames[SERVER] if one.flags & 0x17 == 0x12]
            told = kernel.endpoints(syn_acks)
            body = {
                "capture": case.name,
                "taps": {tap: f"{case.name}.{tap}.pcap" for tap in TAPS},
                "timers": True,
                "resolution_ns": 1000,
                "overflows": {side: host.counters(COUNTERS) for side, host in ((CLIENT, lab.client), (SERVER, lab.server))},
            }
            connects = lab.client.connects + lab.server.connects
            save(folder / f"{case.name}.json", body, _endpoints(told, case, lab), connects, _fins(lab.bridge.fins, frames))
        for tap in TAPS:
            os.replace(raw[tap], folder / f"{case.name}.{tap}.pcap")
    finally:
        for path in raw.values():
            path.unlink(missing_ok=True)


def _run(case, lab, raw):
    steps = case.run(lab) if case.early else None
    if case.early:
        next(steps)
    captures = [lab.capture(raw[tap], {MIDDLE: "tap"}.get(tap, tap), snaplen=SNAPLEN, bpf="tcp or icmp or icmp6") for tap in TAPS]
    if case.early:
        next(steps, None)
    else:
        case.run(lab)
    time.sleep(0.1)
    lab.check()
    return captures


def _endpoints(told, case, lab):
    at_client = {address for pair in lab.client.addresses.values() for address in pair}
    rows = []
    for key, endpoint in sorted(told.items()):
        row = dict(zip(("address", "port", "peer", "peer_port"), key))
        row["host"] = CLIENT if key[0] in at_client else SERVER
        row["round_trip_ns"] = round(case.round_trip(key) * 1e9)
        row["changes"] = endpoint.changes
        stays = [stay for stay in endpoint.stays if stay.entered is not None]
        row["time_wait"] = [{"entered": one.entered, "restarts": one.restarts, "ended": one.ended, "how": one.how} for one in stays]
        row["retransmits"] = endpoint.retransmits
        row["syn_ack_retransmits"] = endpoint.syn_ack_retransmits
        rows.append(row)
    return rows


def _fins(passes, frames):
    """Which frame of which capture each FIN became: [address, port, peer, peer's port, frame, ns, emission, copy, sequence number] by tap."""
    found = {}
    for tap in TAPS:
        went_by, captured = {}, {}
        for where, one in passes:
            if where == tap:
                here, there = (one.flow[:2], one.flow[2:]) if one.sender == CLIENT else (one.flow[2:], one.flow[:2])
                went_by.setdefault((here, there, one.seq), []).append(one)
        for frame in frames[tap]:
            if frame.flags & 1:
                captured.setdefault((frame.here, frame.there, (frame.seq + frame.payload) % 2**32), []).append(frame)
        found[tap] = []
        for key, list_of_passes in went_by.items():
            list_of_frames = captured.get(key, [])
            if len(list_of_frames) > len(list_of_passes):
                raise laboratory.LabError(f"{tap}: {len(list_of_frames)} FINs of {key} captured, {len(list_of_passes)} on the wire")
            # Fewer: the capture began after the first, or stopped before the last arrived.
            if 0 < len(list_of_frames) < len(list_of_passes):
                list_of_passes = list_of_passes[: len(list_of_frames)]
            for one, frame in zip(list_of_passes, list_of_frames):
                found[tap].append([*key[0], *key[1], frame.number, frame.ns, one.emission, one.copy, one.seq])
    return found


def save(path, body, endpoints, connects, fins):
    """Write the record as JSON: an endpoint, a connect() and a FIN a line."""
    compact = {"separators": (",", ":")}
    connect_rows = [
        {"address": one.here[0], "port": one.here[1], "peer": one.there[0], "peer_port": one.there[1], "start": one.start, "ns": one.ns, "error": one.error}
        for one in connects
    ]
    parts = [json.dumps(body)[:-1]]
    for name, rows in (("endpoints", endpoints), ("connects", connect_rows)):
        parts.append(f'"{name}": [\n' + ",\n".join("  " + json.dumps(row, **compact) for row in rows) + "\n]")
    by_tap = [f'  "{tap}": [\n' + ",\n".join("    " + json.dumps(row, **compact) for row in rows) + "\n  ]" for tap, rows in fins.items()]
    parts.append('"fins": {\n' + ",\n".join(by_tap) + "\n}")
    path.write_text(",\n".join(parts) + "}\n")
