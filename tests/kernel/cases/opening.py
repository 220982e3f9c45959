"""How connections begin: losses, fallbacks, refusals. In: a laboratory; out: handshakes of every form."""

from bridge import BEFORE, BEHIND, CLIENT, SERVER, copy, data, drop, hold, syn, syn_ack
from lab import PATIENCE

from cases.case import CLOSE, MIDDLE, NEAR_CLIENT, NEAR_SERVER, case
from cases.steps import APP, HTTP, PORT, REQUEST, accept, bare_ack, close_in_turn, close_with_reset, connect_quietly, contextlib
from cases.steps import exchange, opened, plain, read_exactly, read_to_end, reset, settle, socket, time

MSG_FASTOPEN, TCP_FASTOPEN, TCP_DEFER_ACCEPT = 0x20000000, 23, 9


@case("syn-lost-before", MIDDLE, (4,), 2, rules=[drop(CLIENT, syn, at=BEFORE)])
@case("syn-lost-thrice", NEAR_SERVER, (4, 6), 5, rules=[drop(CLIENT, syn, times=3)])
@case("syn-ack-lost-before", NEAR_CLIENT, (4, 6), 3, rules=[drop(SERVER, syn_ack, at=BEFORE)])
@case("syn-ack-lost-twice", MIDDLE, (6,), 5, rules=[drop(SERVER, syn_ack, times=2)])
@case("syn-and-syn-ack-lost", CLOSE, (4,), 5, rules=[drop(CLIENT, syn), drop(SERVER, syn_ack, at=BEFORE)])
@case("syn-ack-late", MIDDLE, (4, 6), 4, rules=[hold(SERVER, syn_ack, 1.3)])
@case("syn-copied", NEAR_SERVER, (4, 6), rules=[copy(CLIENT, syn, 0.05)])
@case("syn-copied-late", MIDDLE, (4,), rules=[copy(CLIENT, syn, 0.6)])
@case("syn-ack-copied", MIDDLE, (4, 6), rules=[copy(SERVER, syn_ack, 0.05)])
@case("final-ack-copied", NEAR_CLIENT, (6,), rules=[copy(CLIENT, bare_ack, 0.04, at=BEHIND)])
def with_losses(lab):
    """An ordinary connection; what happens to its SYN or SYN-ACK is in the name."""
    plain(lab)


@case("syn-cookies", NEAR_SERVER, (4, 6))
def syn_cookies(lab):
    """The server answers with a SYN cookie (tcp_syncookies=2) and keeps nothing until the final ACK."""
    lab.server.sysctl("ipv4/tcp_syncookies", 2)
    plain(lab)


@case("final-ack-lost", NEAR_CLIENT, (4, 6), 3, rules=[drop(CLIENT, bare_ack)])
@case("final-ack-lost-before", MIDDLE, (4, 6), 3, rules=[drop(CLIENT, bare_ack, at=BEFORE)])
def final_ack_lost(lab):
    """The final ACK is lost and the server is to speak first: it stays in SYN_RECEIVED until its repeated SYN-ACK is acknowledged."""
    listener = lab.listen(APP)
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), APP))
    server = accept(listener)
    server.sendall(b"220 hello\r\n")
    read_exactly(client, 11)
    close_in_turn(client, server, pause=0.02)


@case("final-ack-lost-data-follows", NEAR_SERVER, (4, 6), rules=[drop(CLIENT, bare_ack)])
@case("final-ack-lost-before-data-follows", MIDDLE, (4,), rules=[drop(CLIENT, bare_ack, at=BEFORE)])
def final_ack_lost_data_follows(lab):
    """The final ACK is lost, the client's request makes up for it 50 ms later."""
    listener = lab.listen(HTTP)
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), HTTP))
    time.sleep(0.05)
    client.sendall(REQUEST)
    server = accept(listener)
    read_exactly(server, len(REQUEST))
    close_in_turn(server, client, pause=0.02)


@case("syn-cookies-ack-lost", MIDDLE, (4, 6), 3, rules=[drop(CLIENT, bare_ack)])
def syn_cookies_ack_lost(lab):
    """SYN cookies, and the final ACK is lost: the request that follows it carries the cookie as well."""
    lab.server.sysctl("ipv4/tcp_syncookies", 2)
    final_ack_lost_data_follows(lab)


@case("half-open", MIDDLE, (4, 6), 8, rules=[drop(CLIENT, lambda segment: not syn(segment), at=BEFORE, times=99)])
@case("half-open-behind", NEAR_CLIENT, (4,), 8, rules=[drop(CLIENT, lambda segment: not syn(segment), times=99)])
def half_open(lab):
    """Nothing of the client's passes after its SYN: the server repeats its SYN-ACK once, then forgets; the client believes to be connected."""
    lab.server.sysctl("ipv4/tcp_synack_retries", 1)
    lab.server.sysctl("ipv4/tcp_syncookies", 0)
    lab.kept.append(lab.listen(APP))
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), APP))
    time.sleep(4)
    lab.kept.append(client)


@case("syn-ack-never-passes", NEAR_SERVER, (4, 6), 4, rules=[drop(SERVER, syn_ack, at=BEFORE, times=99)])
@case("syn-ack-never-arrives", MIDDLE, (4,), 4, rules=[drop(SERVER, syn_ack, times=99)])
def syn_ack_never_arrives(lab):
    """The server's SYN-ACKs are all lost; the client gives up after 2.5 s."""
    listener = lab.listen(HTTP)
    client = lab.client.bound(PORT)
    client.settimeout(2.5)
    with contextlib.suppress(TimeoutError):
        client.connect((lab.server.address(), HTTP))
    client.close()
    settle()
    listener.close()


@case("connect-times-out", MIDDLE, (6,), 4, rules=[drop(CLIENT, syn, at=BEFORE, skip=1, times=99), drop(CLIENT, syn, times=99)])
def connect_times_out(lab):
    """The first SYN dies behind the tap, the second before it; the kernel itself gives up after one repeat (tcp_syn_retries=1)."""
    lab.client.sysctl("ipv4/tcp_syn_retries", 1)
    with contextlib.suppress(OSError):
        lab.client.bound(PORT).connect((lab.server.address(), HTTP))
    settle()


@case("refused-after-loss", NEAR_CLIENT, (4,), 3, rules=[drop(SERVER, reset)])
@case("refused-after-loss-before", MIDDLE, (6,), 3, rules=[drop(SERVER, reset, at=BEFORE)])
def refused_after_loss(lab):
    """The RST that refuses is lost; the repeated SYN draws another."""
    with contextlib.suppress(ConnectionRefusedError):
        lab.client.bound(PORT).connect((lab.server.address(), 81))
    settle()


@case("abort-after-syn-ack-lost", MIDDLE, (4, 6), 3, rules=[drop(SERVER, syn_ack)])
def abort_after_syn_ack_lost(lab):
    """The SYN-ACK is lost, the client gives up half a second later, and the repeated SYN-ACK draws a RST that ends the request."""
    lab.kept.append(lab.listen(HTTP))
    client = connect_quietly(lab)
    time.sleep(0.5)
    client.close()
    time.sleep(1.2)


@case("stale-server", MIDDLE, (4, 6), 4, rules=[drop(CLIENT, reset, at=BEFORE)])
@case("stale-server-behind", NEAR_SERVER, (4,), 4, rules=[drop(CLIENT, reset)])
def stale_server(lab):
    """The client's RST is lost, so the server stays ESTABLISHED; the next SYN from that port draws a challenge ACK, that a RST, and the SYN comes again."""
    listener = lab.listen(HTTP)
    client, server = lab.connection(listener, PORT)
    exchange(client, server)
    close_with_reset(client)
    time.sleep(0.3)
    lab.kept.append(server)
    client, server = lab.connection(listener, PORT)
    exchange(client, server)
    close_in_turn(client, server, pause=0.02)


@case("same-port-new-isn", MIDDLE, (4,), 3, rules=[drop(CLIENT, syn)])
def same_port_new_isn(lab):
    """The first SYN is lost, its socket is closed, and another connects from the same port 0.4 s later with a SYN of its own."""
    listener = lab.listen(HTTP)
    connect_quietly(lab).close()
    time.sleep(0.4)
    client, server = lab.connection(listener, PORT)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@case("unreachable", MIDDLE, (6,))
def unreachable(lab):
    """An ICMPv6 error answers the SYN: the server is the router to a network that it cannot reach."""
    lab.server.sysctl("ipv6/conf/all/forwarding", 1)
    lab.server.ip("route add unreachable 2001:db8:99::/48")
    lab.client.ip(f"route add 2001:db8:99::/48 via {lab.server.address()}")
    with contextlib.suppress(OSError):
        lab.client.bound(PORT).connect(("2001:db8:99::80", HTTP))
    settle()


def _fast_open(lab, client_mode, server_mode):
    lab.client.sysctl("ipv4/tcp_fastopen", client_mode)
    lab.server.sysctl("ipv4/tcp_fastopen", server_mode)
    listener = lab.listen(HTTP)
    if server_mode:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
    return listener


def _fast_visit(lab, listener, port):
    client = lab.client.bound(port)
    client.settimeout(None)  # Without a cookie sendto() connects first, and would not wait for that.
    client.sendto(REQUEST, MSG_FASTOPEN, (lab.server.address(), HTTP))
    server = accept(listener)
    client.settimeout(PATIENCE)
    read_exactly(server, len(REQUEST))
    time.sleep(0.02)
    server.sendall(b"x" * 300)
    read_exactly(client, 300)
    close_in_turn(client, server, pause=0.02)


@case("fast-open", NEAR_SERVER, (4, 6))
@case("fast-open-syn-lost", MIDDLE, (4,), 3, rules=[drop(CLIENT, syn)])
@case("fast-open-syn-ack-lost", NEAR_CLIENT, (6,), 3, rules=[drop(SERVER, syn_ack)])
@case("fast-open-final-ack-lost", MIDDLE, (6,), 3, rules=[drop(CLIENT, lambda segment: not syn(segment))])
def fast_open(lab):
    """The SYN carries the request without a cookie and the server accepts it: a socket in SYN_RECEIVED that already reads."""
    _fast_visit(lab, _fast_open(lab, 0x5, 0x202), PORT)


@case("fast-open-ignored", NEAR_CLIENT, (4, 6))
def fast_open_ignored(lab):
    """The SYN carries the request, the server knows no fast open and acknowledges the SYN alone."""
    _fast_visit(lab, _fast_open(lab, 0x5, 0), PORT)


@case("fast-open-cookie", MIDDLE, (4,), 3)
def fast_open_cookie(lab):
    """The first connection fetches a cookie, the second brings it with its request in the SYN."""
    listener = _fast_open(lab, 0x1, 0x2)
    _fast_visit(lab, listener, PORT)
    _fast_visit(lab, listener, PORT + 1)


@case("server-first", NEAR_CLIENT, (4,))
def server_first(lab):
    """The server speaks as soon as it has accepted, and closes first."""
    listener = lab.listen(APP)
    client, server = lab.connection(listener, PORT)
    server.sendall(b"220 hello\r\n")
    server.close()
    read_to_end(client)
    time.sleep(0.05)
    client.close()
    settle()


@case("client-data-at-once", NEAR_SERVER, (6,))
def client_data_at_once(lab):
    """The client sends and shuts down in the same breath as it connects."""
    listener = lab.listen(APP)
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), APP))
    client.sendall(REQUEST)
    client.shutdown(socket.SHUT_WR)
    server = accept(listener)
    read_to_end(server)
    server.sendall(b"x" * 500)
    server.close()
    read_to_end(client)
    client.close()
    settle()


@case("simultaneous-open-syn-lost", (0.02, 0.02), (4,), 3, rules=[drop(SERVER, syn)])
def simultaneous_open_syn_lost(lab):
    """Both connect at once; the server's SYN is lost, so the client's is answered by a SYN-ACK and all goes on from there."""
    client, server = lab.client.bound(50001), lab.server.bound(50002)
    for sock, target in ((client, (lab.server.address(), 50002)), (server, (lab.client.address(), 50001))):
        sock.setblocking(False)
        sock.connect_ex(target)
        sock.settimeout(20)
    time.sleep(0.5)
    exchange(client, server)
    close_in_turn(client, server, pause=0)


@case("defer-accept", MIDDLE, (4, 6), 3)
def defer_accept(lab):
    """TCP_DEFER_ACCEPT: the server ignores the bare final ACK and makes the socket when the request comes, 0.4 s later."""
    listener = lab.listen(APP)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 3)
    client = lab.client.bound(PORT)
    client.connect((lab.server.address(), APP))
    time.sleep(0.4)
    client.sendall(REQUEST)
    server = accept(listener)
    read_exactly(server, len(REQUEST))
    close_in_turn(client, server, pause=0.02)


@case("request-lost", NEAR_SERVER, (4, 6), rules=[drop(CLIENT, data)])
@case("request-lost-before", MIDDLE, (4,), rules=[drop(CLIENT, data, at=BEFORE)])
@case("answer-lost", CLOSE, (6,), rules=[drop(SERVER, data)])
def lost_data(lab):
    """Data is lost and comes again; the states do not care."""
    client, server = opened(lab)
    close_in_turn(server, client, pause=0.02)
