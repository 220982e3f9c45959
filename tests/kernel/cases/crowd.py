"""Many connections at once, for the statistics. In: a laboratory; out: connections with losses, copies and closers drawn by lot."""

import asyncio
import random
from dataclasses import dataclass

from bridge import BEFORE, BEHIND, CLIENT, SERVER, copy, drop, hold
from lab import read_exactly

from cases.case import AT_ONCE, case
from cases.steps import close_with_reset

COUNT, FEW = 150, 40
A_SECOND = 17  # connections begun
TO = (80, 8080, 5432)
# Far and near clients, by the last number of the address.
CLIENT_DELAY = {11: 0.0004, 12: 0.003, 13: 0.012, 14: 0.025}
SERVER_DELAY = {2: 0.0006}


@dataclass(frozen=True)
class Visit:
    """One connection: `ending` says who ends it and how."""

    at: float
    host: int
    port: int
    to: int
    ending: str
    rounds: int
    size: int
    think: float


def _plan(seed, count):
    chance = random.Random(seed)
    endings = ["client", "client", "server", "server", "together", "client half", "server half", "client rude", "client resets", "server resets"]
    visits = [
        Visit(
            chance.uniform(0, count / A_SECOND), chance.choice(list(CLIENT_DELAY)), 40_000 + number, chance.choice(TO), chance.choice(endings),
            chance.choice((1, 1, 2, 4)), chance.choice((40, 300, 1400, 5000)), chance.choice((0.0, 0.005, 0.03)),
        )
        for number in range(count)
    ]  # fmt: skip
    return sorted(visits, key=lambda one: one.at)


def _host(address):
    if ":" in address:
        return int(address.rsplit(":", 1)[1], 16)
    return int(address.rsplit(".", 1)[1])


def _delay(half, segment):
    if segment is None:
        return 0.001
    return CLIENT_DELAY[_host(segment.flow[0])] if half == CLIENT else SERVER_DELAY[_host(segment.flow[2])]


def _round_trip(key):
    client = next(_host(address) for address in (key[0], key[2]) if _host(address) in CLIENT_DELAY)
    return 2 * (CLIENT_DELAY[client] + SERVER_DELAY[2])


def _by_lot(seed, share):
    chance = random.Random(seed)
    return lambda segment: chance.random() < share


def _rules(share, copied=0.25):
    """Every packet in every place: lost by this share, held back by half of it, copied by a quarter."""
    places = [(sender, at) for sender in (CLIENT, SERVER) for at in (BEFORE, BEHIND)]
    return [
        rule
        for seed, (sender, at) in enumerate(places)
        for rule in (
            drop(sender, _by_lot(seed, share), at, times=1 << 30),
            hold(sender, _by_lot(seed + 10, share / 2), 0.02, at, times=1 << 30),
            copy(sender, _by_lot(seed + 20, share * copied), 0.015, at, times=1 << 30),
        )
    ]


_FAR = {"delays": _delay, "round_trip": _round_trip, "client_hosts": tuple(CLIENT_DELAY), "rules": _rules(0.02)}
_NEAR = {"delays": (0.0003, 0.0003), "client_hosts": tuple(CLIENT_DELAY), "rules": _rules(0.02)}


@case("crowd", versions=(4, 6), seconds=22, **_FAR)
def crowd(lab):
    """150 connections of four clients in nine seconds; every packet may be lost, held back or copied, and the closers are drawn by lot."""
    _come(lab, COUNT)


@case("crowd-small", versions=(4, 6), seconds=15, **_FAR)
@case("crowd-lossy", versions=(4,), seconds=25, **{**_FAR, "rules": _rules(0.06)})
@case("crowd-at-once", versions=(4,), seconds=15, **{**_NEAR, "delays": AT_ONCE})
@case("crowd-near", versions=(6,), seconds=15, **_NEAR)
def crowd_small(lab):
    """The same with 40 connections; in one name three times the losses, in another all hosts side by side."""
    _come(lab, FEW)


# Without an IP id and without timestamps a copy that the network makes is not to be told from a repeat: none in IPv6.
@case("crowd-plain", versions=(4,), seconds=15, **_FAR)
@case("crowd-plain", versions=(6,), seconds=15, **{**_FAR, "rules": _rules(0.02, copied=0)})
def crowd_plain(lab):
    """The same with 40 connections without timestamps and without SACK."""
    for host in (lab.client, lab.server):
        host.sysctl("ipv4/tcp_timestamps", 0)
        host.sysctl("ipv4/tcp_sack", 0)
    _come(lab, FEW)


def _come(lab, count):
    listeners = {port: lab.listen(port, 64) for port in TO}
    asyncio.run(_crowd(lab, listeners, _plan(lab.client.version + count, count)))


async def _crowd(lab, listeners, plan):
    loop = asyncio.get_running_loop()
    visitors = {(one.host, one.port): one for one in plan}
    serving = [asyncio.create_task(_accept(lab, listener, visitors)) for listener in listeners.values()]
    start = loop.time()
    await asyncio.gather(*(_visit(lab, one, start + one.at) for one in plan))
    await asyncio.sleep(3)
    for task in serving:
        task.cancel()


async def _accept(lab, listener, visitors):
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    tasks = set()
    while True:
        sock, peer = await loop.sock_accept(listener)
        sock.setblocking(False)
        lab.kept.append(sock)
        tasks.add(asyncio.create_task(_end(sock, visitors[_host(peer[0]), peer[1]], "server")))


async def _visit(lab, one, when):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(when - loop.time())
    sock = lab.client.bound(one.port, host=one.host)
    sock.setblocking(False)
    lab.kept.append(sock)
    try:
        await asyncio.wait_for(loop.sock_connect(sock, (lab.server.address(), one.to)), 8)
    except OSError:
        sock.close()
        return
    await _end(sock, one, "client")


async def _end(sock, one, side):
    """One end's part of a visit: the client asks, the server answers; then both end it as agreed."""
    loop = asyncio.get_running_loop()
    try:
        for _ in range(one.rounds):
            if side == "client":
                await loop.sock_sendall(sock, b"?" * 60)
                await _read(loop, sock, one.size)
            else:
                await _read(loop, sock, 60)
                await asyncio.sleep(one.think)
                await loop.sock_sendall(sock, b"." * one.size)
        await asyncio.sleep(0.03 if side == "client" else 0.045)
        who, _, how = one.ending.partition(" ")
        if who == side and how == "resets":
            return close_with_reset(sock)
        if who in (side, "together"):
            if how in ("half", "rude"):  # The rude one closes over the last words that it has not read.
                sock.shutdown(1)
                await _read(loop, sock, 11 if how == "half" else 1)
            sock.close()
            return
        await _read(loop, sock, 1)  # The other side's end.
        await asyncio.sleep(one.think)
        if how in ("half", "rude"):
            await loop.sock_sendall(sock, b"last words")
        sock.close()
    except OSError:
        sock.close()


async def _read(loop, sock, count):
    while count:
        got = await asyncio.wait_for(loop.sock_recv(sock, count), 12)
        if not got:
            return
        count -= len(got)
