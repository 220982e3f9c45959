"""A laboratory for TCP. In: delays, rules, kernel settings; out: two hosts with real sockets, and captures taken at up to three places.

    client's namespace ══ veth ══ bridge's namespace (the wire, with the tap in its middle) ══ veth ══ server's namespace

The namespaces have no name and no process lives in them: they are open file descriptors, so they vanish with this process however it ends.
A socket stays in the namespace in which it was made, so nothing but its making happens there. Needs root, `ip` and `tcpdump`.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections import namedtuple

from bridge import CLIENT, Bridge

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_SIOCETHTOOL = 0x8946
# Transmit checksums, scatter-gather, and the three that merge or split segments: off, so that a frame looks as it would on a wire.
_ETHTOOL_OFF = (0x17, 0x19, 0x1F, 0x24, 0x2C)
_libc = ctypes.CDLL(None, use_errno=True)

PATIENCE = 20.0  # seconds that any one socket call may take before its scenario has failed


class LabError(Exception):
    """The laboratory could not do what was asked: what it was, and what the system said."""


def missing():
    """What stands in the way of a laboratory on this machine, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root: run it as root, for example with sudo"
    for tool in ("ip", "tcpdump"):
        if shutil.which(tool) is None:
            return f"the program {tool} is missing (packages iproute2 and tcpdump)"
    return None


def die_with_parent():
    """Have the kernel end this process when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _here():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """A network namespace that lives as long as this object's descriptor."""

    def __init__(self):
        home = _here()
        try:
            if _libc.unshare(_CLONE_NEWNET) != 0:
                raise LabError(f"unshare: {os.strerror(ctypes.get_errno())}")
            self._descriptor = _here()
            _enter(home)
        finally:
            os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self.ip("link set lo up")

    @contextlib.contextmanager
    def entered(self):
        """This thread is inside for the length of the block; so is every process it starts there."""
        home = _here()
        _enter(self._descriptor)
        try:
            yield
        finally:
            _enter(home)
            os.close(home)

    def ip(self, *commands):
        """Run `ip` commands inside."""
        with self.entered():
            done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True)
        if done.returncode != 0:
            raise LabError(f"ip {'; '.join(commands)}: {done.stderr.strip()}")

    def sysctl(self, name, value):
        """Set a kernel parameter below /proc/sys/net, such as `ipv4/tcp_syncookies`."""
        with self.entered(), open(f"/proc/sys/net/{name}", "w") as file:
            file.write(str(value))

    def counters(self, names):
        """Counters of /proc/net/netstat by name."""
        with self.entered(), open("/proc/thread-self/net/netstat") as file:
            lines = [line.split() for line in file]
        known = {name: int(value) for keys, values in zip(lines[::2], lines[1::2]) for name, value in zip(keys[1:], values[1:])}
        return {name: known[name] for name in names}

    def offloads_off(self, interface):
        """Switch off what would make captured frames differ from those on a wire."""
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for command in _ETHTOOL_OFF:
                value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
                request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
                with contextlib.suppress(OSError):  # An interface without the feature has nothing to switch off.
                    fcntl.ioctl(sock, _SIOCETHTOOL, request)

    def close(self):
        """Let go of the namespace; the kernel removes it once its last socket is gone."""
        os.close(self._descriptor)


class Host(Namespace):
    """One end: a namespace with the interface `eth0`, one or more addresses and neighbours that need no asking."""

    def __init__(self, net, hosts, mac, version=4):
        super().__init__()
        self.hosts, self.mac, self.version = hosts, mac, version
        self.connects = []  # `Connect` of every connect() that was waited for
        self.addresses = {host: (f"10.{77 + (net >> 8)}.{net & 255}.{host}", f"fd77:0:0:{net:x}::{host:x}") for host in hosts}
        self.sysctl("ipv4/tcp_no_metrics_save", 1)  # What one connection learnt must not shape the next.
        self.sysctl("ipv6/conf/default/accept_dad", 0)
        self.sysctl("ipv6/conf/default/router_solicitations", 0)

    def address(self, version=None, host=None):
        """The address of a host number, by default the first, in the laboratory's IP version."""
        return self.addresses[self.hosts[0] if host is None else host][(version or self.version) == 6]

    def configure(self, peer):
        """Addresses up, the other end's hardware address known: no ARP, no neighbour discovery."""
        self.offloads_off("eth0")
        own = [a for v4, v6 in self.addresses.values() for a in (f"addr add {v4}/24 dev eth0", f"addr add {v6}/64 dev eth0 nodad")]
        near = [f"neigh add {a} lladdr {peer.mac} dev eth0 nud permanent" for pair in peer.addresses.values() for a in pair]
        self.ip(f"link set eth0 address {self.mac} up", *own, *near)

    def socket(self, version=None):
        """A TCP socket in this host, with a time limit on every call and no wait for an old port to be free."""
        with self.entered():
            sock = TimedSocket(socket.AF_INET6 if (version or self.version) == 6 else socket.AF_INET, socket.SOCK_STREAM)
        sock.connects = self.connects
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(PATIENCE)
        return sock

    def bound(self, port, version=None, host=None):
        """A TCP socket bound to one of this host's addresses."""
        sock = self.socket(version)
        sock.bind((self.address(version, host), port))
        return sock


Connect = namedtuple("Connect", "here there start ns error")
Connect.__doc__ = """One connect(): both ends as (address, port), when it was called (wall clock, ns), how long it took (None if it failed) and why."""


class TimedSocket(socket.socket):
    """A socket that writes down how long its connect() took."""

    connects = ()

    def connect(self, address):
        """As the parent's, on a watch."""
        start, before = time.time_ns(), time.monotonic_ns()
        try:
            super().connect(address)
        except BlockingIOError:
            raise  # Begun, and not waited for.
        except OSError as error:
            self.connects.append(Connect(self.getsockname()[:2], address[:2], start, None, type(error).__name__))
            raise
        self.connects.append(Connect(self.getsockname()[:2], address[:2], start, time.monotonic_ns() - before, None))


class Capture:
    """One running tcpdump."""

    def __init__(self, namespace, interface, path, precision="nano", snaplen=262144, link_type=None, bpf="tcp"):
        command = ["tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-Z", "root", "-s", str(snaplen)]
        command += [f"--time-stamp-precision={precision}", "-w", str(path)]
        command += ["-y", link_type] if link_type else []
        with namespace.entered():
            self._process = subprocess.Popen(command + [bpf], stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self._said = ""
        while "listening on" not in self._said:
            line = self._process.stderr.readline()
            if not line:
                raise LabError(f"tcpdump: {self._said.strip()}")
            self._said += line

    def stop(self):
        """End it; returns (packets received by the filter, packets dropped by the kernel)."""
        self._process.send_signal(signal.SIGINT)
        said = self._said + self._process.communicate(timeout=PATIENCE)[1]
        numbers = [re.search(rf"(\d+) packets? {what}", said) for what in ("received by filter", "dropped by kernel")]
        if self._process.returncode != 0 or None in numbers:
            raise LabError(f"tcpdump: {said.strip()}")
        return tuple(int(number[1]) for number in numbers)

    def kill(self):
        """End it without ceremony."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Lab:
    """Two hosts and the wire between them: 10.77.`net`.0/24 (from 256 on the next 10.78.0.0/16) and fd77:0:0:`net`::/64.

    `delays` are the one-way delays in seconds of the client's and the server's half, or a function as `Bridge` takes it;
    `version` is the IP version where none is asked for.
    """

    def __init__(self, net, delays=(0.0011, 0.0016), rules=(), client_hosts=(1,), server_hosts=(2,), version=4):
        self.net = net
        self.kept = []  # Sockets to stay open until the captures have ended, whatever their scenario forgets.
        self._captures = []
        self._closing = contextlib.ExitStack()
        with self._closing:
            self.client = self._own(Host(net, client_hosts, "02:77:00:00:00:01", version))
            self.server = self._own(Host(net, server_hosts, "02:77:00:00:00:02", version))
            self.wire = self._own(Namespace())
            self.wire.sysctl("ipv6/conf/default/disable_ipv6", 1)  # The wire itself says nothing.
            self.wire.ip(
                f"link add to-client type veth peer name eth0 netns {self.client.path}",
                f"link add to-server type veth peer name eth0 netns {self.server.path}",
                "link add tap-w type veth peer name tap-e",
            )
            for interface in ("to-client", "tap-w", "tap-e", "to-server"):
                self.wire.offloads_off(interface)
                self.wire.ip(f"link set {interface} up")
            self.client.configure(self.server)
            self.server.configure(self.client)
            delay = delays if callable(delays) else lambda half, _: delays[half != CLIENT]
            self.bridge = Bridge(self._packet_socket, delay, rules)
            self._closing.callback(self.bridge.stop)
            self._closing = self._closing.pop_all()

    def _own(self, namespace):
        self._closing.callback(namespace.close)
        return namespace

    def _packet_socket(self):
        with self.wire.entered():
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Captures, wire and hosts, in that order."""
        for capture in self._captures:
            capture.kill()
        for sock in self.kept:
            sock.close()
        self._closing.close()

    def capture(self, path, where="tap", **options):
        """Start tcpdump at `client`, `tap` or `server` (their `eth0`, or `any` with `interface="any"`)."""
        namespace = {"client": self.client, "tap": self.wire, "server": self.server}[where]
        interface = options.pop("interface", "tap-e" if where == "tap" else "eth0")
        self._captures.append(Capture(namespace, interface, path, **options))
        return self._captures[-1]

    def listen(self, port, backlog=16, version=None, host=None):
        """A listening socket on the server."""
        sock = self.server.bound(port, version, host)
        sock.listen(backlog)
        return sock

    def connection(self, listener, port):
        """An established connection from the client's `port`: the client's socket and the server's."""
        version = 6 if listener.family == socket.AF_INET6 else 4
        client = self.client.bound(port, version)
        client.connect(listener.getsockname()[:2])
        return client, accept(listener)

    def check(self):
        """Raise what went wrong on the wire, if anything did."""
        if self.bridge.error is not None:
            raise LabError(f"the bridge failed: {self.bridge.error!r}")


def accept(listener):
    """The next connection of a listener, with a time limit on every call."""
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    return sock


def read_exactly(sock, count):
    """Read `count` bytes, or raise LabError where the stream ends before."""
    left = count
    while left:
        got = sock.recv(left)
        if not got:
            raise LabError(f"the stream ended {left} bytes early")
        left -= len(got)


def read_to_end(sock):
    """Read until the other side has closed; returns how many bytes came."""
    total = 0
    while got := sock.recv(65536):
        total += len(got)
    return total


def settle(seconds=0.3):
    """Let what is still on its way arrive."""
    time.sleep(seconds)
