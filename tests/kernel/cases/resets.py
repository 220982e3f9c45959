"""RSTs, true and forged, and what only looks like trouble: challenge ACKs, keep-alives, window probes. In: a laboratory; out: the same."""

import struct

from bridge import BEFORE, BEHIND, CLIENT, SERVER, data, drop, fin

from cases.case import CLOSE, MIDDLE, NEAR_CLIENT, NEAR_SERVER, case
from cases.steps import APP, PORT, Switch, close_in_turn, close_with_reset, connect_quietly, contextlib, exchange, forge, opened, read_exactly
from cases.steps import accept, read_to_end, reset, settle, socket, time

TCP_USER_TIMEOUT = 18


@case("reset-by-server", NEAR_SERVER, (4, 6))
@case("reset-lost", MIDDLE, (4,), rules=[drop(SERVER, reset)])
@case("reset-lost-before", NEAR_CLIENT, (6,), rules=[drop(SERVER, reset, at=BEFORE)])
def reset_by_server(lab):
    """The server aborts; the client's next request draws another RST if the first was lost."""
    client, server = opened(lab)
    close_with_reset(server)
    time.sleep(0.2)
    with contextlib.suppress(ConnectionError):
        client.sendall(b"still there?")
        time.sleep(0.3)
        client.sendall(b"hello?")
    settle()
    client.close()
    settle()


@case("reset-before-accept", MIDDLE, (4, 6))
def reset_before_accept(lab):
    """The client connects and aborts at once, before anybody accepts."""
    listener = lab.listen(APP)
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), APP))
    close_with_reset(client)
    settle()
    with contextlib.suppress(OSError):
        accept(listener).close()


@case("reset-after-fin", NEAR_CLIENT, (4, 6))
def reset_after_fin(lab):
    """The client sends its FIN, waits, and aborts from FIN_WAIT_2."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    close_with_reset(client)
    settle()
    server.close()
    settle()


@case("reset-right-after-fin", NEAR_SERVER, (4, 6))
def reset_right_after_fin(lab):
    """FIN and RST leave in the same breath: the client aborts from FIN_WAIT_1."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    close_with_reset(client)
    settle()
    server.close()
    settle()


@case("reset-from-close-wait", MIDDLE, (4, 6))
def reset_from_close_wait(lab):
    """The client closes, the server aborts from CLOSE_WAIT."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    read_to_end(server)
    time.sleep(0.1)
    close_with_reset(server)
    settle()
    client.close()
    settle()


@case("resets-cross", (0.02, 0.02), (4, 6))
def resets_cross(lab):
    """Both abort within a few milliseconds."""
    client, server = opened(lab)
    settle(0.15)
    close_with_reset(client)
    time.sleep(0.004)
    close_with_reset(server)
    settle()


@case("reset-crosses-fin", (0.02, 0.02), (4, 6))
def reset_crosses_fin(lab):
    """The client closes while the server's RST is on the way."""
    client, server = opened(lab)
    settle(0.15)
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.004)
    close_with_reset(server)
    settle()
    client.close()
    settle()


@case("data-after-close", NEAR_CLIENT, (4, 6))
def data_after_close(lab):
    """The client closes for good; what the server sends into its FIN_WAIT_2 draws a RST."""
    client, server = opened(lab, to=APP)
    client.close()
    read_to_end(server)
    time.sleep(0.1)
    server.sendall(b"x" * 300)
    settle()
    server.close()
    settle()


@case("close-with-unread-data", MIDDLE, (4, 6))
def close_with_unread_data(lab):
    """The client closes without having read the answer: a RST instead of a FIN."""
    client, server = opened(lab, to=APP)
    server.sendall(b"x" * 300)
    time.sleep(0.1)
    client.close()
    settle()
    server.close()
    settle()


@case("rst-out-of-window", MIDDLE, (4, 6))
def rst_out_of_window(lab):
    """A forged RST far outside the window changes nothing."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x04, seq_ahead=1 << 28), SERVER)
    settle(0.2)
    exchange(client, server)
    close_in_turn(client, server)


@case("rst-in-window", NEAR_SERVER, (4, 6))
def rst_in_window(lab):
    """A forged RST inside the window, but not exact, draws a challenge ACK."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x04, seq_ahead=2000), SERVER)
    settle(0.2)
    exchange(client, server)
    close_in_turn(client, server)


@case("rst-exact", NEAR_CLIENT, (4, 6))
def rst_exact(lab):
    """A forged RST with the exact number kills the server's end; the client's next request draws a RST."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x04), SERVER)
    settle(0.2)
    client.sendall(b"still there?")
    settle()
    client.close()
    server.close()
    settle()


@case("blind-syn", MIDDLE, (4, 6))
@case("blind-syn-near-server", NEAR_SERVER, (4,))
def blind_syn(lab):
    """A forged SYN inside the connection draws a challenge ACK, which the client ignores."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x02, seq_ahead=123_456_789), SERVER)
    settle(0.2)
    exchange(client, server)
    close_in_turn(client, server)


@case("blind-syn-ack", NEAR_CLIENT, (4,))
def blind_syn_ack(lab):
    """A forged SYN-ACK reaches the established client: a challenge ACK, nothing more."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, SERVER, 0x12, seq_ahead=77_777), CLIENT)
    settle(0.2)
    exchange(client, server)
    close_in_turn(client, server)


@case("forged-fin", MIDDLE, (4,))
def forged_fin(lab):
    """A forged FIN outside the window is acknowledged as it deserves, and changes nothing."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x11, seq_ahead=1 << 27), SERVER)
    settle(0.2)
    exchange(client, server)
    close_in_turn(client, server)


@case("forged-data", NEAR_SERVER, (6,))
def forged_data(lab):
    """Forged old data, before the window, is acknowledged again."""
    client, server = opened(lab)
    lab.bridge.inject(forge(lab, CLIENT, 0x18, seq_ahead=-30, payload=b"GET /other"), SERVER)
    settle(0.2)
    exchange(client, server)
    close_in_turn(server, client)


def _keep_alive(sock, count=3):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, count)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


@case("keep-alive", MIDDLE, (4, 6), 4)
def keep_alive(lab):
    """The client asks twice whether the server is still there; it is."""
    client, server = opened(lab)
    _keep_alive(client)
    time.sleep(2.3)
    close_in_turn(client, server)


GONE = Switch()


@case("keep-alive-unanswered", NEAR_CLIENT, (4, 6), 6, rules=[drop(SERVER, GONE, at=BEFORE, times=999)])
@case("keep-alive-unanswered-behind", MIDDLE, (4,), 6, rules=[drop(CLIENT, GONE, at=BEHIND, times=999)])
def keep_alive_unanswered(lab):
    """The server's answers no longer come; after two keep-alives the client's kernel resets."""
    client, server = opened(lab)
    _keep_alive(client, count=2)
    GONE.on = True
    time.sleep(4.2)
    lab.kept.append(server)


@case("keep-alive-half-closed", NEAR_SERVER, (4,), 4)
def keep_alive_half_closed(lab):
    """Keep-alives from FIN_WAIT_2: one byte before the FIN, which is no FIN again."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_WR)
    _keep_alive(client)
    read_to_end(server)
    time.sleep(2.3)
    server.close()
    read_to_end(client)
    client.close()
    settle()


@case("data-unanswered", MIDDLE, (4, 6), 5, rules=[drop(CLIENT, GONE, times=999)])
def data_unanswered(lab):
    """Nothing reaches the server any more; the client's kernel gives up after 1.5 s (TCP_USER_TIMEOUT), without a packet."""
    client, server = opened(lab)
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 1500)
    GONE.on = True
    client.sendall(b"is anybody there?")
    time.sleep(3.5)
    lab.kept.append(server)


@case("zero-window", NEAR_CLIENT, (4, 6), 4)
def zero_window(lab):
    """The client stops reading, the server probes the closed window; the client reads on and both close."""
    listener = lab.listen(APP)
    client = lab.client.bound(PORT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect((lab.server.address(), APP))
    server = accept(listener)
    server.sendall(b"x" * 40_000)
    time.sleep(1.5)
    read_exactly(client, 40_000)
    close_in_turn(server, client, pause=0.05)


@case("pieces", CLOSE, (4,))
@case("pieces-late", MIDDLE, (6,), rules=[drop(CLIENT, data, skip=2, at=BEFORE)])
def pieces(lab):
    """Ten small pieces each way, then the client closes."""
    client, server = lab.connection(lab.listen(APP), PORT)
    for _ in range(10):
        client.sendall(b"ping")
        read_exactly(server, 4)
        server.sendall(b"pong!")
        read_exactly(client, 5)
    close_in_turn(client, server, pause=0.03)


@case("abort-in-syn-sent", MIDDLE, (4,), rules=[drop(CLIENT, lambda one: one.has(0x02), times=9)])
def abort_in_syn_sent(lab):
    """The client closes its socket before anything answers: SYN_SENT to CLOSED without a packet."""
    client = connect_quietly(lab, to=APP)
    time.sleep(0.3)
    client.close()
    settle()


@case("reset-then-same-port", NEAR_CLIENT, (4, 6), 3)
def reset_then_same_port(lab):
    """The client aborts and connects again from the same port at once, three times."""
    listener = lab.listen(APP)
    for _ in range(3):
        client, server = lab.connection(listener, PORT)
        exchange(client, server)
        close_with_reset(client)
        time.sleep(0.15)
        server.close()
    settle()


@case("stale-last-ack", MIDDLE, (4, 6), 4, rules=[drop(CLIENT, reset, at=BEFORE), drop(SERVER, fin, times=2)])
@case("stale-last-ack-behind", NEAR_SERVER, (4,), 4, rules=[drop(CLIENT, reset), drop(SERVER, fin, times=2)])
def stale_last_ack(lab):
    """The client shuts down and aborts, and its RST is lost; the server, in LAST_ACK, meets a new SYN from that port."""
    listener = lab.listen(APP)
    client, server = lab.connection(listener, PORT)
    exchange(client, server)
    client.shutdown(socket.SHUT_WR)
    read_to_end(server)
    close_with_reset(client)
    server.close()
    time.sleep(0.15)
    client = connect_quietly(lab, to=APP)
    server = accept(listener)
    exchange(client, server)
    close_in_turn(client, server)


@case("stale-fin-wait-2", MIDDLE, (4, 6), 4, rules=[drop(CLIENT, reset, at=BEFORE)])
def stale_fin_wait_2(lab):
    """The server has closed and waits in FIN_WAIT_2; the client aborts, its RST is lost, and it comes again from the same port."""
    listener = lab.listen(APP)
    client, server = lab.connection(listener, PORT)
    exchange(client, server)
    server.close()
    read_to_end(client)
    time.sleep(0.1)
    close_with_reset(client)
    time.sleep(0.2)
    client = connect_quietly(lab, to=APP)
    server = accept(listener)
    exchange(client, server)
    close_in_turn(client, server)


@case("shutdown-both", MIDDLE, (6,))
def shutdown_both(lab):
    """The client shuts both directions and keeps its socket; the server's later data draws nothing or a RST, as its kernel likes."""
    client, server = opened(lab, to=APP)
    client.shutdown(socket.SHUT_RDWR)
    read_to_end(server)
    time.sleep(0.1)
    server.sendall(b"x" * 100)
    settle(0.2)
    server.close()
    settle()
    client.close()
    settle()


@case("lingering-close", NEAR_CLIENT, (4,), rules=[drop(CLIENT, fin)])
def lingering_close(lab):
    """SO_LINGER with a time: close() returns when the FIN, lost once, is acknowledged."""
    client, server = opened(lab)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    close_in_turn(client, server)


@case("ecn", MIDDLE, (4,))
def ecn(lab):
    """Both hosts negotiate ECN: flags that no older tool expects on a SYN."""
    lab.client.sysctl("ipv4/tcp_ecn", 1)
    lab.server.sysctl("ipv4/tcp_ecn", 1)
    client, server = opened(lab)
    close_in_turn(client, server)


@case("no-sack", NEAR_SERVER, (4,), 3, rules=[drop(SERVER, data, skip=1), drop(CLIENT, fin)])
def no_sack(lab):
    """Neither SACK nor timestamps nor window scaling; the answer and a FIN are lost."""
    for host in (lab.client, lab.server):
        for name in ("sack", "timestamps", "window_scaling"):
            host.sysctl(f"ipv4/tcp_{name}", 0)
    client, server = opened(lab)
    server.sendall(b"x" * 2000)
    read_exactly(client, 2000)
    close_in_turn(client, server)
