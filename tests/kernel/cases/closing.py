"""How connections end by FIN: losses, crossings, waits. In: a laboratory; out: closes of every form."""

from bridge import BEFORE, BEHIND, CLIENT, SERVER, ack_of_fin, copy, data, drop, fin, hold

from cases.case import AT_ONCE, CLOSE, FAR, MIDDLE, NEAR_CLIENT, NEAR_SERVER, case
from cases.steps import APP, HTTP, PORT, REQUEST, Switch, close_in_turn, close_with_reset, exchange, opened, plain, read_exactly, read_to_end
from cases.steps import settle, socket, time


@case("fin-lost-before", MIDDLE, (4, 6), rules=[drop(CLIENT, fin, at=BEFORE)])
@case("fin-lost-before-thrice", NEAR_CLIENT, (4,), 4, rules=[drop(CLIENT, fin, at=BEFORE, times=3)])
@case("fin-lost-thrice", NEAR_SERVER, (4, 6), 4, rules=[drop(CLIENT, fin, times=3)])
@case("far", FAR, (4, 6), 5)
@case("far-fin-lost", FAR, (4,), 6, rules=[drop(CLIENT, fin)])
@case("far-last-ack-lost", FAR, (6,), 6, rules=[drop(CLIENT, ack_of_fin, at=BEFORE)])
@case("at-once", AT_ONCE, (4, 6))
@case("at-once-fin-lost", AT_ONCE, (4, 6), rules=[drop(CLIENT, fin, at=BEFORE), drop(SERVER, fin)])
@case("fin-lost-before-then-behind", MIDDLE, (6,), 4, rules=[drop(CLIENT, fin, at=BEFORE), drop(CLIENT, fin)])
@case("ack-of-fin-lost-twice", NEAR_SERVER, (4,), 4, rules=[drop(SERVER, ack_of_fin, times=2)])
@case("ack-of-fin-lost-before-twice", MIDDLE, (6,), 4, rules=[drop(SERVER, ack_of_fin, at=BEFORE, times=2)])
@case("last-ack-lost-before", NEAR_SERVER, (4, 6), rules=[drop(CLIENT, ack_of_fin, at=BEFORE)])
@case("last-ack-lost-before-twice", MIDDLE, (4,), 4, rules=[drop(CLIENT, ack_of_fin, at=BEFORE, times=2)])
@case("both-fins-lost", NEAR_CLIENT, (4, 6), 4, rules=[drop(CLIENT, fin), drop(SERVER, fin)])
@case("both-fins-lost-before", MIDDLE, (4,), 4, rules=[drop(CLIENT, fin, at=BEFORE), drop(SERVER, fin, at=BEFORE)])
@case("second-fin-lost-before", NEAR_CLIENT, (6,), rules=[drop(SERVER, fin, at=BEFORE)])
@case("second-fin-lost", MIDDLE, (4,), rules=[drop(SERVER, fin)])
@case("fin-copied", NEAR_SERVER, (4, 6), rules=[copy(CLIENT, fin, 0.02)])
@case("second-fin-copied-behind", MIDDLE, (4, 6), rules=[copy(SERVER, fin, 0.03, at=BEHIND)])
@case("last-ack-copied", MIDDLE, (4, 6), rules=[copy(CLIENT, ack_of_fin, 0.05)])
@case("ack-of-fin-late", NEAR_CLIENT, (4, 6), rules=[hold(SERVER, ack_of_fin, 0.12)])
@case("last-ack-late", MIDDLE, (6,), rules=[hold(CLIENT, ack_of_fin, 0.4)])
@case("request-copied-late", NEAR_SERVER, (4,), rules=[copy(CLIENT, data, 0.5)])
@case("answer-copied-late", MIDDLE, (6,), rules=[copy(SERVER, data, 0.5)])
def with_losses(lab):
    """The client closes, the server 50 ms later; what is lost, late or copied is in the name."""
    plain(lab)
    settle(0.8)


@case("merged-close-fin-lost", NEAR_CLIENT, (4, 6), rules=[drop(SERVER, fin)])
@case("merged-close-fin-lost-before", MIDDLE, (4,), rules=[drop(SERVER, fin, at=BEFORE)])
@case("merged-close", CLOSE, (6,))
def merged_close(lab):
    """The server closes at once, its FIN acknowledges the client's; in the names with a loss it comes again."""
    plain(lab, pause=0)
    settle(0.5)


@case("server-closes-fin-lost", NEAR_CLIENT, (4,), rules=[drop(SERVER, fin)])
@case("server-closes-fin-lost-before", NEAR_SERVER, (6,), rules=[drop(SERVER, fin, at=BEFORE)])
@case("server-closes-both-lost", MIDDLE, (6,), 4, rules=[drop(SERVER, fin, times=2), drop(CLIENT, fin, at=BEFORE)])
def server_closes(lab):
    """The server closes first, the client 80 ms later."""
    client, server = opened(lab)
    close_in_turn(server, client, pause=0.08)
    settle(0.8)


@case("fin-with-data-lost", NEAR_SERVER, (6,), rules=[drop(SERVER, fin)])
@case("fin-with-data-lost-before", MIDDLE, (4,), rules=[drop(SERVER, fin, at=BEFORE)])
@case("fin-with-data-lost-twice", NEAR_CLIENT, (4,), 4, rules=[drop(SERVER, fin, times=2)])
def fin_with_data(lab):
    """The server's last 500 bytes and its FIN are one segment."""
    client, server = lab.connection(lab.listen(HTTP), PORT)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    time.sleep(0.02)
    server.send(b"x" * 500, socket.MSG_MORE)
    close_in_turn(server, client, pause=0.02)
    settle(0.5)


@case("fin-coalesced", NEAR_CLIENT, (4, 6), 3, rules=[drop(SERVER, lambda one: data(one) or fin(one), skip=1, times=3)])
@case("fin-coalesced-before", MIDDLE, (4,), 3, rules=[drop(SERVER, lambda one: data(one) or fin(one), skip=1, times=3, at=BEFORE)])
@case("tail-lost", NEAR_SERVER, (4, 6), 3, rules=[drop(SERVER, fin)])
@case("tail-lost-before", MIDDLE, (6,), 3, rules=[drop(SERVER, fin, at=BEFORE)])
def fin_after_data(lab):
    """The server sends an answer, two more pieces and its FIN, each a segment; what is lost comes again in other segments (or as a tail loss probe)."""
    client, server = lab.connection(lab.listen(APP), PORT)
    exchange(client, server)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.sendall(b"y" * 200)
    server.sendall(b"z" * 300)
    close_in_turn(server, client, pause=0.02)
    settle(0.8)


@case("fin-waits-for-window", NEAR_CLIENT, (4, 6), 4)
def fin_waits_for_window(lab):
    """The server closes with 200 kB still to send to a client that reads nothing for 1.2 s: FIN_WAIT_1 long before the FIN."""
    listener = lab.listen(APP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    client = lab.client.bound(PORT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.connect((lab.server.address(), APP))
    server, _ = listener.accept()
    server.sendall(b"x" * 200_000)
    server.close()
    time.sleep(1.2)
    read_to_end(client)
    client.close()
    settle()


@case("fin-never-leaves", MIDDLE, (4, 6), 4)
def fin_never_leaves(lab):
    """As before, but the client resets instead of reading: the server's FIN_WAIT_1 ends with its FIN unsent."""
    listener = lab.listen(APP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    client = lab.client.bound(PORT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.connect((lab.server.address(), APP))
    server, _ = listener.accept()
    server.sendall(b"x" * 200_000)
    server.close()
    time.sleep(0.8)
    close_with_reset(client)
    settle()


@case("fin-behind-lost-data", NEAR_SERVER, (4, 6), 3, rules=[drop(SERVER, data, times=3)])
def fin_behind_lost_data(lab):
    """The answer is lost three times; the FIN that came behind it waits at the client: no CLOSE_WAIT until the gap is filled."""
    client, server = lab.connection(lab.listen(HTTP), PORT)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.sendall(b"x" * 600)
    close_in_turn(server, client, pause=0.02)
    settle(0.5)


@case("crossing", (0.02, 0.01), (4, 6))
@case("crossing-client-fin-lost-before", (0.02, 0.02), (4, 6), rules=[drop(CLIENT, fin, at=BEFORE)])
@case("crossing-client-fin-lost", (0.02, 0.02), (4,), rules=[drop(CLIENT, fin)])
@case("crossing-server-fin-lost", (0.02, 0.02), (6,), rules=[drop(SERVER, fin)])
@case("crossing-both-lost", (0.02, 0.02), (4, 6), 3, rules=[drop(CLIENT, fin), drop(SERVER, fin)])
@case("crossing-both-lost-before", (0.02, 0.02), (4,), 3, rules=[drop(CLIENT, fin, at=BEFORE), drop(SERVER, fin, at=BEFORE)])
@case("crossing-ack-lost", (0.02, 0.02), (4, 6), 3, rules=[drop(SERVER, ack_of_fin)])
@case("crossing-near-client", (0.0004, 0.03), (6,))
@case("crossing-near-server", (0.03, 0.0004), (4,))
def crossing(lab):
    """Both close within a few milliseconds, so the FINs cross; what is lost is in the name."""
    client, server = opened(lab)
    settle(0.15)
    client.close()
    time.sleep(0.004)
    server.close()
    settle(1.0)


@case("half-close-both-ways", NEAR_SERVER, (4, 6))
def half_close_both_ways(lab):
    """The server shuts its writing side first and goes on reading; the client sends 1,200 bytes from CLOSE_WAIT."""
    client, server = opened(lab, to=APP)
    server.shutdown(socket.SHUT_WR)
    read_to_end(client)
    for _ in range(4):
        time.sleep(0.05)
        client.sendall(b"x" * 300)
    read_exactly(server, 1200)
    client.close()
    read_to_end(server)
    server.close()
    settle()


@case("half-close-lossy", MIDDLE, (4, 6), 3, rules=[drop(SERVER, data, skip=2, times=2), drop(CLIENT, fin)])
def half_close_lossy(lab):
    """The client shuts its writing side and its FIN is lost; the server's data after it is lost too."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    for _ in range(4):
        time.sleep(0.05)
        server.sendall(b"x" * 300)
    read_to_end(server)
    server.close()
    read_to_end(client)
    client.close()
    settle(0.5)


@case("data-crosses-fin", (0.02, 0.02), (4, 6))
def data_crosses_fin(lab):
    """The client shuts down while the server's data is on the way; the server closes when it reads the end."""
    client, server = opened(lab, to=APP)
    server.sendall(b"x" * 900)
    client.shutdown(socket.SHUT_WR)
    read_to_end(server)
    server.close()
    read_to_end(client)
    client.close()
    settle()


VANISHED = Switch()


@case("fin-unanswered", MIDDLE, (4, 6), 6, rules=[drop(SERVER, VANISHED, at=BEFORE, times=999), drop(CLIENT, VANISHED, times=999)])
def fin_unanswered(lab):
    """The server vanishes; the client closes, repeats its FIN and is dropped by its kernel after two repeats (tcp_orphan_retries=2)."""
    lab.client.sysctl("ipv4/tcp_orphan_retries", 2)
    client, server = opened(lab)
    VANISHED.on = True
    client.close()
    time.sleep(3)
    lab.kept.append(server)


@case("last-ack-unanswered", NEAR_CLIENT, (4, 6), 6, rules=[drop(CLIENT, VANISHED, at=BEFORE, times=999), drop(SERVER, VANISHED, times=999)])
def last_ack_unanswered(lab):
    """The client closes and vanishes; the server's FIN goes unanswered and its kernel gives LAST_ACK up."""
    lab.server.sysctl("ipv4/tcp_orphan_retries", 2)
    client, server = opened(lab)
    client.close()
    read_to_end(server)
    time.sleep(0.1)
    VANISHED.on = True
    server.close()
    time.sleep(3)


@case("close-without-timestamps", NEAR_SERVER, (4, 6), rules=[drop(CLIENT, ack_of_fin)])
@case("fin-lost-without-timestamps", MIDDLE, (4, 6), rules=[drop(CLIENT, fin)])
@case("ack-of-fin-lost-without-timestamps", NEAR_CLIENT, (4,), rules=[drop(SERVER, ack_of_fin, at=BEFORE)])
@case("syn-ack-lost-without-timestamps", MIDDLE, (6,), 3, rules=[drop(SERVER, lambda one: one.has(0x12))])
def without_timestamps(lab):
    """Neither host uses TCP timestamps; the client closes, the server at once; what is lost is in the name."""
    lab.client.sysctl("ipv4/tcp_timestamps", 0)
    lab.server.sysctl("ipv4/tcp_timestamps", 0)
    plain(lab, pause=0)
    settle(0.5)


@case("close-wait-data-lost", MIDDLE, (6,), 3, rules=[drop(SERVER, data, skip=1)])
def close_wait_data_lost(lab):
    """The server answers from CLOSE_WAIT and closes; the last data is lost and comes again with the FIN."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    read_to_end(server)
    server.sendall(b"x" * 700)
    server.close()
    read_to_end(client)
    client.close()
    settle(0.5)


@case("bulk", NEAR_CLIENT, (4,))
@case("bulk-lossy", NEAR_SERVER, (4, 6), 3, rules=[drop(SERVER, data, skip=20, times=3), drop(SERVER, data, skip=60, times=1, at=BEFORE)])
def bulk(lab):
    """150 kB to the client at full speed; the server closes behind it, the FIN with or behind the last data."""
    listener = lab.listen(HTTP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    client, server = lab.connection(listener, PORT)
    client.sendall(REQUEST)
    read_exactly(server, len(REQUEST))
    server.sendall(b"x" * 150_000)
    server.close()
    read_to_end(client)
    time.sleep(0.02)
    client.close()
    settle()
