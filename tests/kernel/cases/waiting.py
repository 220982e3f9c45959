"""TIME_WAIT and the queues of a listener. In: a laboratory; out: stays reused, killed, answered; backlogs full and flooded."""

import scenarios
from bridge import BEFORE, CLIENT, SERVER, ack_of_fin, copy, drop, fin, hold, syn, syn_ack

from cases.case import MIDDLE, NEAR_CLIENT, NEAR_SERVER, case
from cases.steps import APP, HTTP, PORT, REQUEST, accept, close_in_turn, connect_quietly, contextlib, exchange, forge, opened, plain, read_exactly
from cases.steps import settle, socket, time


def _twice(lab, pause, by_server):
    listener = lab.listen(HTTP)
    for rest in (pause, 0):
        client, server = lab.connection(listener, PORT)
        exchange(client, server)
        close_in_turn(*((server, client) if by_server else (client, server)), pause=0)
        time.sleep(rest)


@case("reuse-higher-isn", MIDDLE, (4, 6), 4)
def reuse_higher_isn(lab):
    """The server holds TIME_WAIT without timestamps; the client's next SYN from that port has a higher number and is let in."""
    for host in (lab.client, lab.server):
        host.sysctl("ipv4/tcp_timestamps", 0)
    _twice(lab, 1.1, by_server=True)


@case("reuse-syn-lost", NEAR_SERVER, (4,), 5, rules=[drop(CLIENT, syn, skip=1)])
@case("reuse-syn-ack-lost", NEAR_CLIENT, (6,), 5, rules=[drop(SERVER, syn_ack, skip=1)])
@case("reuse-quickly", MIDDLE, (4, 6), 3)
def reuse(lab):
    """The server holds TIME_WAIT; the client comes again from the same port, in two names with a loss."""
    _twice(lab, 1.1, by_server=True)


@case("reuse-by-holder-near", NEAR_CLIENT, (4, 6), 4)
def reuse_by_holder(lab):
    """The client holds TIME_WAIT and connects from the same port itself (tcp_tw_reuse)."""
    lab.client.sysctl("ipv4/tcp_tw_reuse", 1)
    _twice(lab, 1.2, by_server=False)


@case("reuse-chain", MIDDLE, (4, 6), 6)
@case("reuse-chain-lossy", NEAR_CLIENT, (4, 6), 8, rules=[drop(CLIENT, fin, skip=1), drop(SERVER, ack_of_fin, skip=2), drop(SERVER, syn_ack, skip=3, at=BEFORE)])
def reuse_chain(lab):
    """Four connections from one port, one after the other: the server closes, both do, the server with its answer, the server again."""
    listener = lab.listen(HTTP)
    for number in range(4):
        client, server = lab.connection(listener, PORT)
        if number == 2:
            client.sendall(REQUEST)
            read_exactly(server, len(REQUEST))
            server.send(b"x" * 300, socket.MSG_MORE)
        else:
            exchange(client, server)
        server.close()
        time.sleep(0.05 * (number % 2))
        client.close()
        time.sleep(1.2)


@case("time-wait-reset", MIDDLE, (4, 6))
@case("time-wait-reset-near-server", NEAR_SERVER, (4,))
def time_wait_reset(lab):
    """A RST with the exact number reaches the client's TIME_WAIT and kills it."""
    plain(lab)
    lab.bridge.inject(forge(lab, SERVER, 0x04), CLIENT)
    settle()


@case("time-wait-late-data", NEAR_SERVER, (4,))
def time_wait_late_data(lab):
    """Old data reaches TIME_WAIT: it acknowledges, and the closed server answers that with a RST."""
    plain(lab)
    lab.bridge.inject(forge(lab, SERVER, 0x18, seq_ahead=-40, payload=b"late"), CLIENT)
    settle()


@case("time-wait-late-syn", MIDDLE, (4, 6))
def time_wait_late_syn(lab):
    """An old SYN, with a lower number, reaches the server's TIME_WAIT: it answers with an ACK, the client with a RST."""
    client, server = opened(lab)
    close_in_turn(server, client, pause=0.02)
    lab.bridge.inject(forge(lab, CLIENT, 0x02, seq_ahead=-500_000), SERVER)
    settle()


@case("time-wait-restarted", NEAR_CLIENT, (4, 6), 6, rules=[drop(CLIENT, ack_of_fin, times=3)])
@case("time-wait-restarted-before", NEAR_SERVER, (4,), 6, rules=[drop(CLIENT, ack_of_fin, at=BEFORE, times=3)])
@case("time-wait-after-lost-fins", MIDDLE, (6,), 6, rules=[drop(SERVER, fin, times=2), drop(CLIENT, ack_of_fin, times=1)])
def time_wait_restarted(lab):
    """The last ACK is lost three times (or the server's FIN twice before it): the server's FIN comes again into TIME_WAIT."""
    plain(lab)
    settle(3)


@case("time-wait-both", (0.02, 0.02), (4, 6), 3, rules=[copy(SERVER, fin, 0.1)])
def time_wait_both(lab):
    """The FINs cross, both hold TIME_WAIT, and a late copy of the server's FIN is acknowledged by one and ignored by the other."""
    client, server = opened(lab)
    settle(0.15)
    client.close()
    time.sleep(0.004)
    server.close()
    settle(0.5)


@case("no-time-wait", MIDDLE, (4, 6))
def no_time_wait(lab):
    """No room for TIME_WAIT (tcp_max_tw_buckets=0): FIN_WAIT_2 goes to CLOSED, and the server's FIN draws a RST."""
    lab.client.sysctl("ipv4/tcp_max_tw_buckets", 0)
    plain(lab, pause=0.1)


@case("fin-wait-2-then-fin", NEAR_SERVER, (4, 6), 5)
def fin_wait_2_then_fin(lab):
    """The client's kernel gives FIN_WAIT_2 up after 1 s; the server's FIN comes later and draws a RST: no TIME_WAIT at all."""
    lab.client.sysctl("ipv4/tcp_fin_timeout", 1)
    client, server = opened(lab, to=APP)
    close_in_turn(client, server, pause=3)


@case("reordered-last-fin", MIDDLE, (4, 6), rules=[hold(SERVER, fin, 0.15)])
def reordered_last_fin(lab):
    """The server's FIN takes 150 ms longer than the ACK of the client's."""
    plain(lab, pause=0)


case("time-wait-runs-out", MIDDLE, (4,), 70)(scenarios.time_wait_runs_out)


def _crowd(lab, count, pause=0.0, first_port=PORT, say=b""):
    clients = []
    for port in range(first_port, first_port + count):
        clients.append(connect_quietly(lab, port, APP))
        time.sleep(pause)
    settle(0.2)
    for client in clients if say else ():
        client.settimeout(0.1)  # One whose SYN is dropped cannot send yet.
        with contextlib.suppress(OSError):
            client.sendall(say)
    return clients


def _serve_late(listener, clients, seconds, count):
    time.sleep(seconds)
    listener.settimeout(1.5)
    for _ in range(count):
        try:
            with accept(listener) as server:
                server.sendall(b"220 at last\r\n")
                time.sleep(0.02)
        except TimeoutError:
            break
    for client in clients:
        client.settimeout(0.2)
        with contextlib.suppress(OSError):
            read_exactly(client, 13)
        client.close()
    settle()


@case("accept-queue-data", MIDDLE, (4, 6), 9)
@case("accept-queue-data-near-server", NEAR_SERVER, (4,), 9)
def accept_queue_data(lab):
    """A full accept queue without SYN cookies: the clients send their requests into it, the server drops them and repeats its SYN-ACKs."""
    lab.server.sysctl("ipv4/tcp_syncookies", 0)
    listener = lab.listen(APP, backlog=1)
    clients = _crowd(lab, 1)
    settle(0.2)
    clients += _crowd(lab, 4, first_port=PORT + 1, say=REQUEST)
    _serve_late(listener, clients, 2.2, 5)


@case("accept-queue-cookies", NEAR_CLIENT, (4, 6), 9)
def accept_queue_cookies(lab):
    """A full accept queue with SYN cookies: the server drops the final ACKs and keeps no state; the requests that follow open what they can."""
    lab.server.sysctl("ipv4/tcp_syncookies", 1)
    listener = lab.listen(APP, backlog=1)
    clients = _crowd(lab, 1)
    settle(0.2)
    clients += _crowd(lab, 4, first_port=PORT + 1, say=REQUEST)
    _serve_late(listener, clients, 1.5, 5)


@case("listener-closes", MIDDLE, (4, 6), 3)
def listener_closes(lab):
    """Three clients are connected but not accepted, and one of them has sent its request, when the listener is closed: RSTs to all."""
    listener = lab.listen(APP, backlog=8)
    clients = _crowd(lab, 3, pause=0.05)
    clients[0].sendall(REQUEST)
    settle(0.2)
    listener.close()
    settle(0.2)
    for client in clients:
        client.close()
    settle()


@case("accept-queue-reset", MIDDLE, (4,), 5)
def accept_queue_reset(lab):
    """A full accept queue with tcp_abort_on_overflow: the server answers the final ACK with a RST."""
    lab.server.sysctl("ipv4/tcp_syncookies", 0)
    lab.server.sysctl("ipv4/tcp_abort_on_overflow", 1)
    listener = lab.listen(APP, backlog=1)
    clients = _crowd(lab, 1)
    settle(0.2)
    clients += _crowd(lab, 3, first_port=PORT + 1)
    _serve_late(listener, clients, 0.5, 2)


@case("syn-flood", MIDDLE, (4, 6), 6)
def syn_flood(lab):
    """Forty SYNs from addresses that answer nothing fill a small SYN queue; two real clients come in between."""
    lab.server.sysctl("ipv4/tcp_syncookies", 0)
    lab.server.sysctl("ipv4/tcp_max_syn_backlog", 16)
    lab.server.sysctl("ipv4/tcp_synack_retries", 1)
    listener = lab.listen(APP, backlog=16)
    version6 = lab.client.version == 6
    prefix = lab.client.address().rsplit(":" if version6 else ".", 1)[0]
    ghosts = [f"{prefix}:{number:x}" if version6 else f"{prefix}.{number}" for number in range(100, 140)]
    lab.server.ip(*(f"neigh add {ghost} lladdr {lab.client.mac} dev eth0 nud permanent" for ghost in ghosts))
    with lab.client.entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind(("eth0", 0))
    client, server = lab.connection(listener, PORT)
    for number, ghost in enumerate(ghosts):
        raw.send(forge(lab, CLIENT, 0x02, seq_ahead=number * 1000, port=40_000 + number, to=APP, own_address=ghost))
        time.sleep(0.01)
    late = connect_quietly(lab, PORT + 1, APP)
    exchange(client, server)
    close_in_turn(client, server, pause=0.05)
    raw.close()
    time.sleep(3.5)
    late.close()
    settle()
