"""What is captured. Each function provokes one case on a laboratory; its docstring says what the capture shows.

`expect` is the capture itself, packet by packet, as `savefile.Frame.text` writes it: a run in which the packets come otherwise is made again,
so frame numbers in ../README.md hold for every remake. What a function does before a `yield` happens before the capture starts.
"""

import contextlib
import socket
import struct
import time
from collections import namedtuple

from bridge import BEFORE, CLIENT, SERVER, ack_of_fin, copy, data, drop, fin, hold, syn, syn_ack
from lab import PATIENCE, accept, read_exactly, read_to_end, settle

Scenario = namedtuple("Scenario", "name run net lab capture expect seconds pcapng")
Scenario.__doc__ = """A capture to make: `lab` and `capture` are the options of `Lab` and `Lab.capture`; `expect` a list of lines, or a
function that returns what is wrong with a list of frames; `seconds` is how long it takes, roughly."""

SCENARIOS = []
HTTP, APP = 80, 8080
REQUEST = b"GET /status HTTP/1.1\r\nHost: app.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + b"all is well\r\n" * 6 + b"and stays so"

HANDSHAKE = ["> SYN", "< SYN,ACK", "> ACK"]
EXCHANGE = [f"> ACK {len(REQUEST)}", "< ACK", f"< ACK {len(ANSWER)}", "> ACK"]


def scenario(name, expect, seconds=1, capture=None, pcapng=False, **lab):
    """Register a function as the maker of the capture `name`; the rest are options of `Lab`."""

    def register(run):
        SCENARIOS.append(Scenario(name, run, len(SCENARIOS) + 1, lab, capture or {}, expect, seconds, pcapng))
        return run

    return register


def exchange(client, server):
    """A request and its answer, the server thinking for 20 ms."""
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    time.sleep(0.02)
    server.sendall(ANSWER)
    read_exactly(client, len(ANSWER))
    time.sleep(0.02)


def close_with_reset(sock):
    """Close so that the other side gets a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def close_in_turn(first, second, pause=0.1):
    """One side closes; the other reads its end and closes `pause` seconds later."""
    first.close()
    read_to_end(second)
    time.sleep(pause)
    second.close()
    settle()


@scenario("close-by-client", HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< ACK", "< FIN,ACK", "> ACK"])
def close_by_client(lab):
    """The client closes first and holds TIME_WAIT; the server's application takes 100 ms to close, in CLOSE_WAIT."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server)


@scenario("close-by-server", HANDSHAKE + EXCHANGE + ["< FIN,ACK", "> ACK", "> FIN,ACK", "< ACK"], capture={"precision": "micro"})
def close_by_server(lab):
    """The server answers and closes, as HTTP/1.0 does: the server holds TIME_WAIT."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(server, client)


@scenario("close-by-client-ipv6", HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"])
def close_by_client_ipv6(lab):
    """IPv6; the server closes at once, so its FIN carries the ACK of the client's: FIN_WAIT_1 to TIME_WAIT by one segment."""
    client, server = lab.connection(lab.listen(HTTP, version=6), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "server-any",
    HANDSHAKE + EXCHANGE + ["< FIN,ACK", "> ACK", "> FIN,ACK", "< ACK"] + ["> SYN", "< RST,ACK"],
    capture={"where": "server", "interface": "any"},
)
def server_any(lab):
    """Taken on the server with `-i any` (Linux cooked v2): a connection that the server closes, then a refused one."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(server, client)
    with contextlib.suppress(ConnectionRefusedError):
        lab.client.bound(50002).connect((lab.server.address(), HTTP + 1))
    settle()


@scenario("lost-syn", ["> SYN"] + HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"], rules=[drop(CLIENT, syn)], seconds=2)
def lost_syn(lab):
    """The first SYN is lost behind the tap: connect() waits one second for the second."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "lost-syn-ack",
    ["> SYN", "< SYN,ACK"] + HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"],
    # Both sides repeat after one second. The first SYN is slow on its way (as where a router asks for an address first), so that
    # the client is the first to do so; its SYN draws the SYN-ACK again and puts the server's own timer off.
    rules=[hold(CLIENT, syn, 0.15), drop(SERVER, syn_ack)],
    seconds=2,
)
def lost_syn_ack(lab):
    """The SYN-ACK is lost behind the tap: after a second the client repeats its SYN, which draws the SYN-ACK again."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario("lost-fin", HANDSHAKE + EXCHANGE + ["> FIN,ACK", "> FIN,ACK", "< FIN,ACK", "> ACK"], rules=[drop(CLIENT, fin)], seconds=2)
def lost_fin(lab):
    """The client's FIN is lost behind the tap and comes again: the server was not in CLOSE_WAIT before the second."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "lost-fin-with-data",
    HANDSHAKE + [f"> ACK {len(REQUEST)}", "< ACK"] + [f"< FIN,ACK {len(ANSWER)}"] * 2 + ["> FIN,ACK", "< ACK"],
    rules=[drop(SERVER, fin)],
    seconds=2,
)
def lost_fin_with_data(lab):
    """The server's answer and its FIN are one segment, which is lost behind the tap and comes again."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    time.sleep(0.02)
    server.send(ANSWER, socket.MSG_MORE)
    close_in_turn(server, client, pause=0)


@scenario(
    "lost-last-ack",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK", "< FIN,ACK", "> ACK"],
    rules=[drop(CLIENT, ack_of_fin)],
    seconds=2,
)
def lost_last_ack(lab):
    """The last ACK is lost behind the tap: the server's FIN comes again and restarts the client's TIME_WAIT."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "lost-last-ack-thrice",
    HANDSHAKE + EXCHANGE + ["< FIN,ACK", "> FIN,ACK"] + ["< ACK", "> FIN,ACK"] * 3 + ["< ACK"],
    rules=[drop(SERVER, ack_of_fin, times=3)],
    seconds=5,
)
def lost_last_ack_thrice(lab):
    """The server closes first; its last ACK is lost three times behind the tap: the client's FIN backs off, TIME_WAIT restarts thrice."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(server, client, pause=0)
    settle(3.2)


@scenario(
    "ack-of-fin-unseen",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "> FIN,ACK", "< ACK", "< FIN,ACK", "> ACK"],
    rules=[drop(SERVER, ack_of_fin, at=BEFORE)],
    seconds=2,
)
def ack_of_fin_unseen(lab):
    """Like a lost FIN at first sight, but the server did get it: its ACK died before the tap. The next ACK's D-SACK says so."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0.6)


@scenario(
    "simultaneous-close",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "< ACK", "> ACK"],
    delays=(0.03, 0.03),
)
def simultaneous_close(lab):
    """Both close within 20 ms on a path of 60 ms one way: the FINs cross, both go through CLOSING, both hold TIME_WAIT."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    settle(0.2)
    client.close()
    time.sleep(0.02)
    server.close()
    settle()


@scenario(
    "half-close",
    HANDSHAKE + [f"> ACK {len(REQUEST)}", "< ACK", "> FIN,ACK", "< ACK"] + ["< ACK 300", "> ACK"] * 5 + ["< FIN,ACK", "> ACK"],
)
def half_close(lab):
    """The client shuts down its writing side; the server goes on to send 1,500 bytes from CLOSE_WAIT into FIN_WAIT_2, then closes."""
    client, server = lab.connection(lab.listen(APP), 50001)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    time.sleep(0.05)
    client.shutdown(socket.SHUT_WR)
    read_to_end(server)
    for _ in range(5):
        time.sleep(0.1)
        server.sendall(b"x" * 300)
    time.sleep(0.1)
    server.close()
    read_to_end(client)
    client.close()
    settle()


@scenario("refused", ["> SYN", "< RST,ACK"])
def refused(lab):
    """Nobody listens: a RST answers the SYN."""
    with contextlib.suppress(ConnectionRefusedError):
        lab.client.bound(50001).connect((lab.server.address(), 81))
    settle()


@scenario("no-answer", ["> SYN"] * 4, rules=[drop(CLIENT, syn, times=9)], seconds=4)
def no_answer(lab):
    """Nothing answers: the SYN comes again after 1, 2 and 3 s, and the client gives up."""
    client = lab.client.bound(50001)
    client.settimeout(3.7)
    with contextlib.suppress(TimeoutError):
        client.connect((lab.server.address(), HTTP))
    client.close()
    settle()


@scenario("unreachable", ["> SYN", "protocol 1"], capture={"bpf": "tcp or icmp"})
def unreachable(lab):
    """The server is the router to a host that it cannot reach: an ICMP error answers the SYN."""
    lab.server.sysctl("ipv4/ip_forward", 1)
    lab.server.ip("route add unreachable 192.0.2.0/24")
    lab.client.ip(f"route add 192.0.2.0/24 via {lab.server.address()}")
    with contextlib.suppress(OSError):
        lab.client.bound(50001).connect(("192.0.2.80", HTTP))
    settle()


@scenario("abort-in-handshake", ["> SYN", "< SYN,ACK", "> RST"], delays=(0.02, 0.02))
def abort_in_handshake(lab):
    """The client gives up while its SYN is on the way: the SYN-ACK meets no socket and draws a RST."""
    listener = lab.listen(HTTP)
    client = lab.client.bound(50001)
    client.setblocking(False)
    client.connect_ex((lab.server.address(), HTTP))
    time.sleep(0.01)
    client.close()
    settle()
    listener.close()


@scenario("reset-by-client", HANDSHAKE + EXCHANGE + ["> RST,ACK"])
def reset_by_client(lab):
    """The client aborts (SO_LINGER 0): a RST, no FIN, no TIME_WAIT."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_with_reset(client)
    settle()


@scenario("reset-unread-data", HANDSHAKE + [f"> ACK {len(REQUEST)}", "< ACK", "< RST,ACK"])
def reset_unread_data(lab):
    """The server closes without having read the request: close() with unread data sends a RST."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    client.sendall(REQUEST)
    time.sleep(0.1)
    server.close()
    settle()


@scenario("slow-close-wait", HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< ACK", "< FIN,ACK", "> ACK"], seconds=4)
def slow_close_wait(lab):
    """The server's application leaves the connection in CLOSE_WAIT for 2.5 s; the client waits in FIN_WAIT_2 as long."""
    client, server = lab.connection(lab.listen(APP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=2.5)


@scenario(
    "fin-wait-2-timeout",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< ACK", "< ACK 300", "> RST"],
    seconds=5,
)
def fin_wait_2_timeout(lab):
    """The client's kernel gives FIN_WAIT_2 up after tcp_fin_timeout (2 s here), without a packet: what the server sends later draws a RST."""
    lab.client.sysctl("ipv4/tcp_fin_timeout", 2)
    client, server = lab.connection(lab.listen(APP), 50001)
    exchange(client, server)
    client.close()
    read_to_end(server)
    time.sleep(4.5)
    server.sendall(b"x" * 300)
    settle()


@scenario(
    "fin-before-data",
    HANDSHAKE + [f"> ACK {len(REQUEST)}", "< ACK", "< FIN,ACK", "< ACK 300", "> ACK", "> ACK", "> FIN,ACK", "< ACK"],
    delays=(0.02, 0.02),
    rules=[hold(SERVER, data, 0.01, at=BEFORE)],
)
def fin_before_data(lab):
    """The server's FIN overtakes its last data by 10 ms: no CLOSE_WAIT until the gap is filled."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    time.sleep(0.02)
    server.sendall(b"x" * 300)
    close_in_turn(server, client)


@scenario(
    "time-wait-killed",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK", "< FIN,ACK", "> ACK", "< RST"],
    rules=[copy(SERVER, fin, 0.1)],
)
def time_wait_killed(lab):
    """The network delivers the server's FIN twice: TIME_WAIT acknowledges the late copy, the closed server answers with a RST that ends it."""
    client, server = lab.connection(lab.listen(HTTP), 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "reuse-time-wait",
    (HANDSHAKE + EXCHANGE + ["< FIN,ACK", "> FIN,ACK", "< ACK"]) * 2,
    seconds=3,
)
def reuse_time_wait(lab):
    """The server holds TIME_WAIT; 1.5 s later the client comes again from the same port, and its later timestamp opens a new connection."""
    listener = lab.listen(HTTP)
    for pause in (1.2, 0):
        client, server = lab.connection(listener, 50001)
        exchange(client, server)
        close_in_turn(server, client, pause=0)
        time.sleep(pause)


@scenario(
    "simultaneous-open",
    ["> SYN", "< SYN", "< SYN,ACK", "> SYN,ACK", "> ACK", "< ACK"] + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"],
    delays=(0.03, 0.03),
)
def simultaneous_open(lab):
    """Both connect to each other within 20 ms on a path of 60 ms one way: the SYNs cross, both go through SYN_RECEIVED."""
    client, server = lab.client.bound(50001), lab.server.bound(50002)
    for sock, target in ((client, (lab.server.address(), 50002)), (server, (lab.client.address(), 50001))):
        sock.setblocking(False)
        sock.connect_ex(target)
        sock.settimeout(PATIENCE)
        time.sleep(0.02)
    settle()
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@scenario(
    "reuse-by-holder",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"] + HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"],
    seconds=3,
)
def reuse_by_holder(lab):
    """The client holds TIME_WAIT and, 1.5 s later, connects from the same port itself (tcp_tw_reuse)."""
    lab.client.sysctl("ipv4/tcp_tw_reuse", 1)
    listener = lab.listen(HTTP)
    for pause in (1.2, 0):
        client, server = lab.connection(listener, 50001)
        exchange(client, server)
        close_in_turn(client, server, pause=0)
        time.sleep(pause)


@scenario("midstream", [f"> ACK {len(REQUEST)}", f"< ACK {len(ANSWER)}", "> ACK"] * 2 + ["> FIN,ACK", "< FIN,ACK", "> ACK"])
def midstream(lab):
    """The capture starts when the connection is already open."""
    client, server = lab.connection(lab.listen(APP), 50001)
    exchange(client, server)
    settle()
    yield
    exchange(client, server)
    time.sleep(0.05)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


def _queue_full(frames):
    """What differs from six connections: two with the SYN-ACK again after their final ACK, one with the SYN again, all closed by FIN."""
    flows = {}
    for frame in frames:
        flows.setdefault(frame.flow, []).append(frame.text)
    repeated = sum(texts.count("< SYN,ACK") > 1 and texts[:3] == HANDSHAKE for texts in flows.values())
    closed = sum(texts.count("> FIN,ACK") == 1 and texts.count("< FIN,ACK") == 1 for texts in flows.values())
    syn_again = sum(texts.count("> SYN") > 1 for texts in flows.values())
    if (len(flows), repeated, syn_again, closed) != (6, 2, 1, 6):
        return f"{len(flows)} connections, {repeated} with the SYN-ACK again, {syn_again} with the SYN again, {closed} closed"
    return None


@scenario("accept-queue-full", _queue_full, seconds=10, delays=(0.02, 0.02))
def accept_queue_full(lab):
    """A backlog of 2 (so room for three) and an application that accepts nobody for 2 s. Two clients get in, then three come at once.

    One of the three takes the last place. Two believe that they are connected while the server, in SYN_RECEIVED, drops their ACK and repeats
    its SYN-ACK. The SYN of a sixth client, half a second later, is dropped and comes again.
    """
    lab.server.sysctl("ipv4/tcp_syncookies", 0)  # With cookies the server would keep no state and repeat nothing.
    listener = lab.listen(APP, backlog=2)
    clients = []
    for port, pause in ((50001, 0), (50002, 0.3), (50003, 0), (50004, 0), (50005, 0.5), (50006, 1.2)):
        clients.append(lab.client.bound(port))
        clients[-1].setblocking(False)
        clients[-1].connect_ex((lab.server.address(), APP))
        clients[-1].settimeout(PATIENCE)
        time.sleep(pause)
    for _ in clients:
        with accept(listener) as server:
            server.sendall(b"220 at last\r\n")
    for client in clients:
        read_exactly(client, 13)
        client.close()
    settle()


@scenario(
    "time-wait-runs-out",
    HANDSHAKE + EXCHANGE + ["> FIN,ACK", "< FIN,ACK", "> ACK"] + HANDSHAKE + EXCHANGE + ["< FIN,ACK", "> FIN,ACK", "< ACK"],
    seconds=66,
)
def time_wait_runs_out(lab):
    """The client's TIME_WAIT ends after its 60 s inside the capture, before a second connection 64 s later, which the server closes."""
    listener = lab.listen(HTTP)
    client, server = lab.connection(listener, 50001)
    exchange(client, server)
    close_in_turn(client, server, pause=0)
    time.sleep(64)
    client, server = lab.connection(listener, 50002)
    exchange(client, server)
    close_in_turn(server, client, pause=0)
