# SPDX-License-Identifier: Apache-2.0
"""Random sessions over real sockets through the real program; the test plays both ends. The same seed makes the same
session.

Checked: all data in both directions, the order of Pongs, the codes of each kind of ending, the record in the log, that
no process is left, and that the number of descriptors and the CPU time stay within limits.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import signal
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from .activator import Activator
from .certs import Cert
from .payload import seal, target
from .process import wait_for
from .random_peer import Pace, Peer
from .upstream import WEBSOCKET_GUID
from .wire import BINARY, CLOSE, PING, encode_frame, upgrade_request

SESSION_SECONDS = 60.0
CPU_SECONDS = 2.0  # for one session; the sanitizers use most of it
DESCRIPTORS = 8
ENDINGS = [
    "client close", "client empty close", "client fin", "client reset", "client violation",
    "upstream notify", "upstream fin", "upstream reset", "upstream close", "upstream violation",
    "upstream cut", "sigterm",
]  # fmt: skip


class Failed(AssertionError):
    pass


class Runner:
    """Runs sessions one after another, through its own activator."""

    def __init__(self, settings: dict[str, Any], cert: Cert, key: str) -> None:
        self._key = key
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert.cert, cert.key)
        self.proxxy = Activator(settings)

    def __enter__(self) -> Runner:
        self.proxxy.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.proxxy.__exit__(*error)

    def run(self, seed: int) -> str:
        """Runs one session. Returns its ending; raises Failed."""
        session = Session(self, random.Random(seed))
        try:
            session.run()
            return session.ending
        except (AssertionError, OSError) as error:
            raise Failed(f"seed {seed}, {session.ending}: {error}\n{session.describe()}") from error
        finally:
            session.close()


class Session:
    def __init__(self, runner: Runner, rng: random.Random) -> None:
        self._runner, self._rng = runner, rng
        self.ending = rng.choice(ENDINGS)
        self._cpu = self._cpu_of_children()
        self._log_at = len(runner.proxxy.log())
        self._sockets: list[socket.socket] = []
        self._open()
        self._plan()

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def describe(self) -> str:
        lines = []
        for name, peer, sent in (("client", self.client, self._up), ("upstream", self.upstream, self._down)):
            lines.append(
                f"{name}: sends {len(sent)} bytes, {peer.writes}, reads {peer.reads}; got {len(peer.data)} bytes, "
                f"closes {peer.closes}, ended {peer.ended!r}, inside a frame {peer.inside_frame()}, {peer.errors}, "
                f"{len(peer.items)} left to send"
            )
        return "\n".join([*lines, self._runner.proxxy.log()[self._log_at :]])

    # --- opening

    def _open(self) -> None:
        rng, listener = self._rng, socket.create_server(("127.0.0.1", 0))
        client = socket.socket()
        self._sockets += [listener, client]
        if rng.random() < 0.3:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        if rng.random() < 0.3:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(("127.0.0.1", self._runner.proxxy.port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        console = {
            "vmid": 100, "type": "qemu", "host": f"127.0.0.1:{listener.getsockname()[1]}", "node": "pve01",
            "ticket": "PVEAPIToken=root@pam!proxxy=secret", "vncticket": "PVEVNC:ticket", "port": "5900",
        }  # fmt: skip
        client.sendall(upgrade_request(self._runner.proxxy.port, target(seal(console, self._runner._key)), {}))
        head = b""
        client.settimeout(10)
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        listener.settimeout(10)
        upstream, _ = listener.accept()
        self._sockets.append(upstream)
        upstream.settimeout(10)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = self._runner._tls.wrap_socket(upstream, server_side=True, suppress_ragged_eofs=False)
        self._sockets.append(upstream)
        request = b""
        while b"\r\n\r\n" not in request:
            request += upstream.recv(65536)
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)[1].decode()
        accept = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()
        upstream.sendall(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        if self.ending.startswith("client"):  # if the client left before relaying began, Proxmox would get no Close
            upstream.sendall(encode_frame(PING, b"go"))
            assert upstream.recv(100), "no Pong"
        for sock in (client, upstream):
            sock.setblocking(False)
        self.client = Peer(client, True, rng, Pace.draw(rng), Pace.draw(rng))
        self.upstream = Peer(upstream, False, rng, Pace.draw(rng), Pace.draw(rng))

    # --- what will happen

    def _size(self, peer: Peer, other: Peer) -> int:
        return self._at_most(self._rng.choice([0, 1, 500, 20_000, 100_000, 400_000, 1_500_000]), peer, other)

    @staticmethod
    def _at_most(size: int, peer: Peer, other: Peer) -> int:
        """Limits the size to what the two paces transfer in a few seconds."""
        for pace in (peer.writes, other.reads):
            if pace.delay:
                size = min(size, int(2 * pace.size / max(pace.delay, 0.002)))
            elif pace.size < 100:
                size = min(size, pace.size * 10_000)
        return size

    def _plan(self) -> None:
        rng, client, upstream = self._rng, self.client, self.upstream
        self._up = client.plan(self._size(client, upstream))
        self._down = upstream.plan(self._size(upstream, client))
        self._code = rng.choice([1000, 1000, 1001, 1003, 1011, 3000, 4999])
        self._kill_at = time.monotonic() + rng.random()
        client.silent = rng.random() < 0.03
        self._cut = 0
        who, _, what = self.ending.partition(" ")
        peer = client if who == "client" else upstream
        if what == "close":
            peer.close(self._code)
        elif what == "empty close":
            peer.close(None)
        elif what == "violation":
            peer.items.append(self._violation(peer))
        elif what == "cut":
            frame = encode_frame(BINARY, rng.randbytes(max(200, self._at_most(5000, peer, client))))
            self._cut = rng.randrange(1, len(frame))
            peer.items.append(frame[: self._cut])
            peer.items.append("notify")
            self._down += frame[4 : self._cut]
        elif what:
            peer.items.append(what)

    def _violation(self, peer: Peer) -> bytes:
        options: list[bytes] = [
            peer.frame(BINARY, b"reserved", rsv=1),
            peer.frame(5, b"opcode"),
            peer.frame(9, b"x" * 126),
            peer.frame(BINARY, b"long", length_bytes=2),
            encode_frame(BINARY, b"masked or not", mask=None if peer.masks else b"abcd"),
            peer.frame(CLOSE, b"x"),
            peer.frame(CLOSE, b"\x03\xed"),
        ]
        return self._rng.choice(options)

    # --- the run

    def run(self) -> None:
        deadline = time.monotonic() + SESSION_SECONDS
        descriptors = 0
        killed = False
        while not (self.client.ended and self.upstream.ended):
            now = time.monotonic()
            assert now < deadline, "it does not end"
            if self.ending == "sigterm" and not killed and now >= self._kill_at:
                for pid in self._runner.proxxy.sessions():
                    descriptors = max(descriptors, len(os.listdir(f"/proc/{pid}/fd")))
                    os.kill(pid, signal.SIGTERM)
                killed, self._killed_at = True, now
            for peer in (self.client, self.upstream):
                for _ in range(16):
                    peer.turn(now)
            wait = min(self.client.due(), self.upstream.due()) - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, 0.002))
        self._check(descriptors)

    def _check(self, descriptors: int) -> None:
        proxxy, client, upstream = self._runner.proxxy, self.client, self.upstream
        self.close()
        wait_for(lambda: not proxxy.sessions(), 12, "the process is still there")
        assert descriptors <= DESCRIPTORS, f"{descriptors} descriptors"
        cpu = self._cpu_of_children() - self._cpu
        assert cpu < CPU_SECONDS, f"{cpu:.2f} s of CPU"
        assert not client.errors and not upstream.errors, "frames"
        assert self._down.startswith(bytes(client.data)), f"downward, from {self._differs(self._down, client.data)}"
        assert self._up.startswith(bytes(upstream.data)), f"upward, from {self._differs(self._up, upstream.data)}"
        for name, peer in (("client", client), ("upstream", upstream)):
            pings = iter(peer.pings)
            # A peer that has left may miss Pongs for which there is no room (RFC 6455 section 5.5.3 allows gaps).
            left = self.ending in [f"{name} {what}" for what in ("fin", "reset", "notify", "cut")]
            in_order = (
                all(pong in pings for pong in peer.pongs) if left else peer.pongs == peer.pings[: len(peer.pongs)]
            )
            assert in_order, f"Pongs in disorder, the {name}'s"
        self._check_ending()
        self._check_record()

    @staticmethod
    def _differs(sent: bytes, got: bytearray) -> int:
        return next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))

    def _check_ending(self) -> None:
        client, upstream, code = self.client, self.upstream, self._code
        told, heard = client.closes[:1], upstream.closes[:1]
        up_whole, down_whole = bytes(upstream.data) == self._up, bytes(client.data) == self._down
        expected: dict[str, tuple[list, list, bool, bool]] = {
            # Close to the client, Close to Proxmox, whether all of the client's and of Proxmox's data arrived
            "client close": ([code], [1000 if code == 1000 else 1001], True, False),
            "client empty close": ([1000], [1000], True, False),
            "client fin": ([1001], [1001], True, False),
            "client violation": ([1002], [1001], True, False),
            "upstream notify": ([1000], [], False, True),
            "upstream fin": ([1011], [], False, True),
            "upstream close": ([code], [code], False, True),
            "upstream violation": ([1011], [1002], False, True),
        }
        if self.ending in expected:
            want_told, want_heard, up, down = expected[self.ending]
            assert told == want_told, f"the client was told {told}"
            assert not want_heard or heard == want_heard, f"Proxmox heard {heard}"
            assert up_whole or not up, "bytes of the client's are missing"
            assert down_whole or not down, "bytes of Proxmox's are missing"
        elif self.ending == "client reset":
            assert heard in ([1001], []), f"Proxmox heard {heard}"
        elif self.ending == "upstream reset":
            assert told in ([1011], []), f"the client was told {told}"
        elif self.ending == "upstream cut":
            assert told == ([] if client.inside_frame() else [1011]) and down_whole, f"the client was told {told}"
        elif self.ending == "sigterm":
            slow = any(pace.delay for peer in (client, upstream) for pace in (peer.reads, peer.writes))
            assert told == [1001] or slow, f"the client was told {told}"
            assert heard == [1001] or slow, f"Proxmox heard {heard}"

    def _check_record(self) -> None:
        def record() -> str:
            return next((x for x in self._runner.proxxy.log()[self._log_at :].splitlines() if "Session ended" in x), "")

        facts = dict(re.findall(r"(\w+)=(\S+)", wait_for(record, 5, "no record")))
        told = self.client.closes[:1]
        if self.client.ended == "eof":
            code = facts.get("close_code")
            assert code == (str(told[0]) if told else None) or (
                not code and self.client.reads.delay
            ), f"logged {facts}, told {told}"
            logged, slow = int(facts["bytes_down"]), bool(self.client.reads.delay)
            assert logged == len(self.client.data) or (slow and logged < len(self.client.data)), f"logged {facts}"
        if self.upstream.ended == "eof":
            # A slow reader may have received more by the end than its kernel had acknowledged when proxxy ended.
            logged, exact = int(facts["bytes_up"]), self.upstream.closes and not self.upstream.reads.delay
            assert logged == len(self.upstream.data) or (
                not exact and logged < len(self.upstream.data)
            ), f"logged {facts}"

    def _cpu_of_children(self) -> float:
        fields = Path(f"/proc/{self._runner.proxxy.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")  # cutime, cstime
