# SPDX-License-Identifier: Apache-2.0
"""The attacks of bench/attack. Each attack runs in a process of its own, until its deadline."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import random
import secrets
import select
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Callable, NamedTuple

from lib.certs import Cert
from lib.payload import console, seal, seal_jwe, target
from lib.upstream import Connection, Upstream
from lib.wire import BINARY, PING, Client, encode_frame, upgrade_request

HELD = 1000  # connections
PATIENCE = 10.0  # seconds for proxxy's answer
IP_BIND_ADDRESS_NO_PORT = 24  # socket has it since Python 3.12


class Goal(NamedTuple):
    """The parameter of an attack, which returns a text that says what it did."""

    port: int
    key: str
    cert: Cert
    sources: list[str]
    deadline: float

    def goes_on(self) -> bool:
        return time.monotonic() < self.deadline

    def wait(self) -> None:
        time.sleep(max(0.0, self.deadline - time.monotonic()))

    def connect(self) -> socket.socket:
        sock = socket.socket()
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((random.choice(self.sources), 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def request(self, upstream: Upstream) -> bytes:
        return upgrade_request(self.port, target(seal(console(upstream.port), self.key)), {})

    def upgraded(self, upstream: Upstream) -> Client:
        client = Client(self.connect())
        client.send(self.request(upstream))
        assert client.read_head(PATIENCE).status == 101
        return client


def in_parallel(goal: Goal, threads: int, act: Callable[[], str]) -> str:
    """Repeat act in threads until the deadline; returns how often it had each result."""
    ends: Counter[str] = Counter()

    def run() -> None:
        while goal.goes_on():
            try:
                ends[act()] += 1
            except (OSError, EOFError, AssertionError):
                ends["refused"] += 1

    for _ in range(threads):
        threading.Thread(target=run, daemon=True).start()
    goal.wait()
    return ", ".join(f"{count:,} {end}" for end, count in ends.most_common())


def hold(goal: Goal, first: bytes, more: bytes) -> str:
    """1,000 connections send first, and then more once a second. A connection that ends is replaced."""

    def is_held(sock: socket.socket) -> bool:
        try:
            sock.send(more)
            sock.recv(4096)  # an answer or the end: the connection is over
        except BlockingIOError:
            return True
        except OSError:
            pass
        sock.close()
        return False

    held: list[socket.socket] = []
    made = 0
    while goal.goes_on():
        sweep = time.monotonic()
        held = [sock for sock in held if is_held(sock)]
        while len(held) < HELD and goal.goes_on():
            try:
                sock = goal.connect()
                sock.send(first)
            except OSError:
                break
            sock.setblocking(False)
            held.append(sock)
            made += 1
        time.sleep(max(0.0, sweep + 1 - time.monotonic()))
    return f"{made:,} made"


def resets(goal: Goal) -> str:
    frame = masked(BINARY, os.urandom(5000))

    def act() -> str:
        client = Client(goal.connect())
        request = goal.request(upstream)
        stage = random.choice(["in the request", "in the upgrade", "in a frame"])
        if stage == "in the request":
            client.send(request[: random.randrange(len(request))])
        else:
            client.send(request)
            time.sleep(random.uniform(0, 0.02))
        if stage == "in a frame":
            client.read_head(PATIENCE)
            client.send((frame * 6)[: random.randrange(6 * len(frame))])
        client.reset()
        return stage

    upstream = serve(goal, swallow)
    return in_parallel(goal, 8, act)


def bad_payloads(goal: Goal) -> str:
    stranger = secrets.token_hex(32)
    makers = [
        lambda: os.urandom(300).hex(),
        lambda: seal(console(1), stranger),
        lambda: seal_jwe(console(1), stranger),
        lambda: "ab" * 8192,
    ]

    def act() -> str:
        with Client(goal.connect()) as client:
            client.send(upgrade_request(goal.port, target(random.choice(makers)()), {}))
            return f"HTTP {client.read_head(PATIENCE).status}"

    return in_parallel(goal, 16, act)


sent: Counter[object] = Counter()  # bytes, by sender


def send_without_end(connection: Connection) -> None:
    frame = encode_frame(BINARY, os.urandom(65536))
    connection.accept_upgrade()
    connection.sock.settimeout(None)
    while True:
        connection.sock.sendall(frame)
        sent[connection] += len(frame)


def swallow(connection: Connection) -> None:
    connection.accept_upgrade()
    connection.sock.settimeout(None)
    while connection.sock.recv(65536):
        pass


def read_nothing(connection: Connection) -> None:
    connection.accept_upgrade()
    connection.hang()


def serve(goal: Goal, script: Callable[[Connection], None]) -> Upstream:
    """A Proxmox that the attacker controls. It ends only with the attacker's process."""
    return Upstream(goal.cert, script).__enter__()


def flood(goal: Goal, block: bytes, script: Callable[[Connection], None] = swallow, readers: int = 8) -> str:
    """8 sessions send block without end. So many as readers of them read what they get."""

    def repeat(act: Callable[[socket.socket], int | bytes], sock: socket.socket) -> None:
        with suppress(OSError):
            while act(sock):
                pass

    def pour(sock: socket.socket) -> int:
        sock.sendall(block)
        sent[sock] += len(block)
        return len(block)

    upstream = serve(goal, script)
    socks = [goal.upgraded(upstream).sock for _ in range(8)]
    ended = select.poll()
    for number, sock in enumerate(socks):
        sock.settimeout(None)
        ended.register(sock, select.POLLRDHUP)
        for act in [pour] * bool(block) + [lambda sock: sock.recv(65536)] * (number < readers):
            threading.Thread(target=repeat, args=(act, sock), daemon=True).start()
    goal.wait()
    return f"{sent.total() >> 20:,} MiB sent, {len(ended.poll(0))} cut off"


# The attacker uses addresses that no host has. A TUN device receives the servers' packets to them, and the attacker
# writes the packets from them.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NOWHERE = ipaddress.ip_network("198.18.0.0/15")  # RFC 2544: benchmarking, routed nowhere
SYN, ACK = 0x02, 0x10


def open_tun() -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"nowhere", IFF_TUN | IFF_NO_PI))
    for command in (f"address add {NOWHERE[1]}/{NOWHERE.prefixlen} dev nowhere", "link set nowhere up"):
        subprocess.run(["ip", *command.split()], check=True)
    # Without this, packets from another device cannot reach the servers, which listen on loopback addresses.
    Path("/proc/sys/net/ipv4/conf/nowhere/route_localnet").write_text("1")
    return tun


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(source: bytes, ports: tuple[int, int], seq: int, ack: int, flags: int, data: bytes = b"") -> bytes:
    """An IPv4 packet with TCP to 127.0.0.1."""
    addresses = source + bytes([127, 0, 0, 1])

    def tcp(check: int) -> bytes:
        return struct.pack(">HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 65535, check, 0) + data

    def ip(check: int) -> bytes:
        return struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, check) + addresses

    pseudo = addresses + struct.pack(">HH", 6, 20 + len(data))
    return ip(checksum(ip(0))) + tcp(checksum(pseudo + tcp(0)))


def from_nowhere(goal: Goal, a_second: int, answer: bytes) -> str:
    """So many SYNs a second. With an answer, it completes each handshake, sends the answer, and then no more."""
    tun = open_tun()
    begun, sent, answered = time.monotonic(), 0, 0
    while goal.goes_on():
        while sent < (time.monotonic() - begun) * a_second:
            source = NOWHERE[random.randrange(2, NOWHERE.num_addresses - 1)].packed
            os.write(tun, packet(source, (random.randrange(1024, 65536), goal.port), sent, 0, SYN))
            sent += 1
        try:
            while reply := os.read(tun, 2048):
                if answer and reply[0] == 0x45 and reply[33] == SYN | ACK:
                    server, client, seq, ack = struct.unpack(">HHII", reply[20:32])
                    os.write(tun, packet(reply[16:20], (client, server), ack, seq + 1, ACK, answer))
                    answered += 1
        except BlockingIOError:
            time.sleep(0.005)
    return f"{answered:,} of {sent:,} handshakes completed" if answer else f"{sent:,} SYNs"


class Attack(NamedTuple):
    name: str
    act: Callable[[Goal], str]
    seconds: float = 0  # minimum duration; below, the one under systemd
    systemd_seconds: float = 0


def masked(opcode: int, payload: bytes) -> bytes:
    return encode_frame(opcode, payload, mask=os.urandom(4))


REQUEST = b"GET /?payload="
ATTACKS = [
    Attack("1,000 slow request heads, one byte per second", lambda goal: hold(goal, REQUEST, b"0")),
    # Longer than proxxy.socket's DeferAcceptSec=30: until then the connections cost nothing.
    Attack("1,000 connections that send nothing", lambda goal: hold(goal, b"", b""), systemd_seconds=45),
    Attack("resets in request, upgrade and frames, 8 at a time", resets, seconds=30, systemd_seconds=30),
    Attack("bad payloads: random, made with another key, 16 KiB long; 16 at a time", bad_payloads),
    Attack(
        "8 clients that never read, consoles that send without end",
        lambda goal: flood(goal, b"", send_without_end, readers=0),
    ),
    Attack(
        "8 clients that send without end, a Proxmox that never reads",
        lambda goal: flood(goal, masked(BINARY, os.urandom(60000)), read_nothing),
    ),
    Attack(
        "Ping floods from 8 clients, 4 of which do not read the Pongs",
        lambda goal: flood(goal, masked(PING, bytes(125)) * 500, readers=4),
    ),
    Attack(
        "floods of frames with 0 and 1 bytes from 8 clients",
        lambda goal: flood(goal, (masked(BINARY, b"") + masked(BINARY, b"x")) * 4000),
    ),
    # After these, the kernel keeps connections for a minute or more.
    Attack(
        "clients that vanish during the request, without a FIN, 20 per second",
        lambda goal: from_nowhere(goal, 20, REQUEST),
    ),
    Attack(
        "half-open connections: SYNs that are never completed, 1,000 per second",
        lambda goal: from_nowhere(goal, 1000, b""),
    ),
]
