"""A minute and a half in the life of three servers: the capture `mixed`. In: a fixed plan of visits; out: some three hundred connections.

Four clients, near and far, visit a web server that closes first (10.77.N.2:80), an application whose clients close first (10.77.N.2:8080)
and a database (10.77.N.3:5432). The network loses chosen packets, the application stops accepting for a while and forgets to close
some connections, and now and then somebody knocks where nobody answers.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from bridge import BEFORE, CLIENT, SERVER, ack_of_fin, copy, data, drop, fin, syn, syn_ack
from lab import accept, read_exactly
from scenarios import close_with_reset, scenario

WEB, APPLICATION, DATABASE = (2, 80), (2, 8080), (3, 5432)
NOBODY, SILENCE = (2, 8443), (3, 25)
CLIENT_DELAY = {11: 0.0004, 12: 0.002, 13: 0.009, 14: 0.025}
SERVER_DELAY = {2: 0.0005, 3: 0.0012}

BUSY, END = 28.0, 94.0  # seconds: most visits come before the first, the last before the second
STALL = (14.0, 16.5)  # the application accepts nobody between these
BACKLOG = 6


@dataclass(frozen=True)
class Visit:
    """One connection to be made, `at` seconds after the start; `fate` names what is special about it."""

    at: float
    host: int  # of the client
    port: int  # of the client
    to: tuple
    fate: str = ""
    think: float = 0.01  # seconds before each answer
    size: int = 200  # bytes of each answer
    rounds: int = 1  # requests
    linger: float = 0.0  # seconds that the server sits in CLOSE_WAIT


def _plan():
    chance = random.Random(9293)
    ports = Counter()

    def visit(at, to, fate="", host=None, **more):
        host = host or chance.choice((11, 11, 11, 12, 12, 13, 13, 14))
        ports[host] += 1
        think = min(0.4, chance.lognormvariate(-4.2, 0.9))
        rest = {"think": think, "size": chance.choice((90, 240, 700, 1400, 3000)), **more}
        return Visit(at, host, 40000 + host * 1000 + ports[host], to, fate, **rest)

    def any_time(count, to, fate="", **more):
        return [visit(chance.uniform(0.5, BUSY), to, fate, **more) for _ in range(count)]

    plan = any_time(104, WEB) + any_time(28, DATABASE, rounds=4) + any_time(26, APPLICATION)
    for fate, count in (("lost SYN", 7), ("lost SYN-ACK", 4), ("lost FIN", 7), ("lost last ACK", 9), ("lost data", 6), ("late copy of FIN", 2)):
        plan += any_time(count, WEB, fate) + any_time(count // 3, DATABASE, fate, rounds=2)
    plan += any_time(7, NOBODY, "refused") + any_time(5, SILENCE, "no answer")
    plan += any_time(5, APPLICATION, "reset by client") + any_time(3, WEB, "reset by server")
    plan += any_time(2, WEB, "gives up", host=14)
    plan += any_time(9, APPLICATION, "slow to close", linger=chance.uniform(3, 9)) + any_time(4, APPLICATION, "never closed", linger=2 * END)
    plan += [visit(STALL[0] + 0.2 + 0.03 * n, APPLICATION, "fills the queue", host=12) for n in range(BACKLOG)]
    plan += [visit(STALL[0] + 0.8, APPLICATION, "half-open", host=14) for _ in range(5)]
    plan += [visit(STALL[0] + 1.1 + 0.1 * n, APPLICATION, "SYN dropped", host=13) for n in range(3)]
    # The web server holds TIME_WAIT for these when they come again from the same port.
    first = any_time(5, WEB, host=11)
    plan += first + [Visit(one.at + chance.uniform(6, 20), one.host, one.port, WEB, "same port again") for one in first]
    at = BUSY
    while (at := at + chance.uniform(1.5, 5)) < END:
        plan.append(visit(at, chance.choice((WEB, DATABASE, DATABASE))))
    return sorted(plan, key=lambda one: one.at)


PLAN = _plan()
_FATE = {}
for _visit in PLAN:
    _FATE.setdefault((_visit.host, _visit.port), _visit.fate)


def _host(address):
    return int(address.rsplit(".", 1)[1])


def _only(fate, match):
    return lambda segment: match(segment) and _FATE.get((_host(segment.flow[0]), segment.client_port)) == fate


def _silence(segment):
    return segment.flow[3] == SILENCE[1]


RULES = [
    drop(CLIENT, _silence, times=99),
    drop(CLIENT, _only("lost SYN", syn)),
    drop(SERVER, _only("lost SYN-ACK", syn_ack)),
    drop(CLIENT, _only("lost FIN", fin)),
    drop(SERVER, _only("lost FIN", fin)),
    drop(CLIENT, _only("lost last ACK", ack_of_fin)),
    drop(SERVER, _only("lost last ACK", ack_of_fin)),
    drop(CLIENT, _only("lost data", data)),
    drop(SERVER, _only("lost data", data), at=BEFORE),
    copy(CLIENT, _only("late copy of FIN", fin), 0.15),
]


def _delay(half, segment):
    if segment is None:
        return 0.001
    return CLIENT_DELAY[_host(segment.flow[0])] if half == CLIENT else SERVER_DELAY[_host(segment.flow[2])]


def _flows(frames):
    flows = {}
    for frame in frames:
        flows.setdefault((_host(frame.flow[0]), frame.flow[1]), []).append(frame.text)
    return flows


def _expected(frames):
    """What differs from the plan: every fate must show in its connection's packets."""
    flows = _flows(frames)
    fins = ("> FIN,ACK", "< FIN,ACK")
    seen = {
        "lost SYN": lambda texts: texts.count("> SYN") >= 2,
        "lost SYN-ACK": lambda texts: texts.count("< SYN,ACK") >= 2,
        "lost FIN": lambda texts: any(texts.count(one) >= 2 for one in fins),
        "lost last ACK": lambda texts: any(texts.count(one) >= 2 for one in fins),
        "late copy of FIN": lambda texts: texts.count("> FIN,ACK") == 2,
        "refused": lambda texts: texts == ["> SYN", "< RST,ACK"],
        "no answer": lambda texts: set(texts) == {"> SYN"} and len(texts) >= 3,
        "reset by client": lambda texts: any(text.startswith("> RST") for text in texts),
        "reset by server": lambda texts: any(text.startswith("< RST") for text in texts),
        "gives up": lambda texts: texts == ["> SYN", "< SYN,ACK", "> RST"],
        "never closed": lambda texts: "> FIN,ACK" in texts and "< FIN,ACK" not in texts,
        "half-open": lambda texts: texts.count("> SYN") == 1,
        "SYN dropped": lambda texts: texts.count("> SYN") >= 2,
    }
    wrong = [f"{one.fate} ({one.host}:{one.port})" for one in PLAN if one.fate in seen and not seen[one.fate](flows.get((one.host, one.port), []))]
    repeated = sum(flows[one.host, one.port].count("< SYN,ACK") > 1 for one in PLAN if one.fate == "half-open")
    if repeated < 3:
        wrong.append(f"accept queue full for {repeated} connections")
    if missing := [one for one in PLAN if (one.host, one.port) not in flows]:
        wrong.append(f"{len(missing)} visits without a packet")
    return "; ".join(wrong) or None


@scenario(
    "mixed",
    _expected,
    seconds=100,
    capture={"snaplen": 128},
    pcapng=True,
    delays=_delay,
    rules=RULES,
    client_hosts=tuple(CLIENT_DELAY),
    server_hosts=tuple(SERVER_DELAY),
)
def mixed(lab):
    """Some three hundred connections of four clients to three servers in a minute and a half, with all that goes wrong; 128 bytes a packet."""
    lab.server.sysctl("ipv4/tcp_syncookies", 0)
    listeners = {to: lab.listen(to[1], BACKLOG if to == APPLICATION else 64, host=to[0]) for to in (WEB, APPLICATION, DATABASE)}
    early = []
    for port in (50001, 50002, 50003):
        client = lab.client.bound(port, host=12)
        client.connect((lab.server.address(host=DATABASE[0]), DATABASE[1]))
        early.append((client, accept(listeners[DATABASE])))
    yield
    asyncio.run(_day(lab, listeners, early))


async def _day(lab, listeners, early):
    loop = asyncio.get_running_loop()
    start = loop.time()
    serving = {asyncio.create_task(_serve(listener, to, start, lab)) for to, listener in listeners.items()}
    for number, (client, server) in enumerate(early):
        client.setblocking(False)
        server.setblocking(False)
        serving.add(asyncio.create_task(_handle(server, DATABASE)))
        serving.add(asyncio.create_task(_pool_member(client, start + 2 + 9 * number)))
    visits = [asyncio.create_task(_visit_at(lab, one, start + one.at)) for one in PLAN]
    results = await asyncio.gather(*visits, return_exceptions=True)
    await asyncio.sleep(max(0.0, start + END + 1 - loop.time()))
    for task in serving:
        task.cancel()
    for one, result in zip(PLAN, results):
        if isinstance(result, BaseException):
            raise OSError(f"visit {one}: {result!r}")


async def _serve(listener, to, start, lab):
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    handlers = set()
    while True:
        if to == APPLICATION and STALL[0] <= loop.time() - start < STALL[1]:
            await asyncio.sleep(start + STALL[1] - loop.time())
        sock, _ = await loop.sock_accept(listener)
        if to == APPLICATION and STALL[0] <= loop.time() - start < STALL[1]:
            await asyncio.sleep(start + STALL[1] - loop.time())
        sock.setblocking(False)
        lab.kept.append(sock)
        handlers.add(asyncio.create_task(_handle(sock, to)))


async def _handle(sock, to):
    """Answer requests (`bytes think linger reset`), then close: the web server after the first, the others when the client has closed."""
    loop = asyncio.get_running_loop()
    linger = 0.0
    try:
        while request := await loop.sock_recv(sock, 64):  # A request is one segment, and the next waits for the answer.
            size, think, linger, reset = request.decode().split()
            linger = float(linger)
            await asyncio.sleep(float(think))
            await loop.sock_sendall(sock, b"." * int(size))
            if reset == "1":
                return close_with_reset(sock)
            if to == WEB:
                break
        else:
            await asyncio.sleep(linger)
        sock.close()
    except ConnectionError:
        sock.close()


def _request(one):
    return f"{one.size:5} {one.think:6.4f} {one.linger:8.3f} {int(one.fate == 'reset by server')}".encode()


async def _ask(sock, one):
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, _request(one))
    left = one.size
    while left:
        got = await loop.sock_recv(sock, left)
        if not got:
            raise OSError("the answer is cut")
        left -= len(got)


async def _visit_at(lab, one, when):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(when - loop.time())
    sock = lab.client.bound(one.port, host=one.host)
    sock.setblocking(False)
    patience = {"no answer": 4.5, "gives up": 0.012}.get(one.fate, 30)
    try:
        await asyncio.wait_for(loop.sock_connect(sock, (lab.server.address(host=one.to[0]), one.to[1])), patience)
        for _ in range(one.rounds):
            await _ask(sock, one)
            await asyncio.sleep(one.think)
        if one.fate == "reset by client":
            return close_with_reset(sock)
        if one.to == WEB:
            await loop.sock_recv(sock, 1)
    except (ConnectionError, TimeoutError):
        if one.fate not in ("refused", "no answer", "gives up", "reset by server"):
            raise
    sock.close()


async def _pool_member(sock, when):
    """A connection that was there before the capture: asks every few seconds, the last one until the end."""
    loop = asyncio.get_running_loop()
    one = Visit(0, 12, 0, DATABASE)
    await asyncio.sleep(when - loop.time())
    for _ in range(5):
        await _ask(sock, one)
        await asyncio.sleep(2.5)
    sock.close()
