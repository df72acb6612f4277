# SPDX-License-Identifier: Apache-2.0
"""A scriptable TLS server for behaviour that the strict stand-in does not have: wrong answers,
wrong frames and every way to end a connection."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Callable, cast

from .certs import Cert
from .wire import TIMEOUT, Head, Peer

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
POLL_SECONDS = 0.1
ALERT_SECONDS = 0.3  # time for the peer to read an alert: the close that follows resets the connection


class Connection(Peer):
    """The connection that a script gets. TCP is closed when the script returns; methods offer other ends.

    To send half a frame: send(encode_frame(…)[:n]), or a length= larger than the payload.
    """

    def __init__(self, sock: socket.socket, ending: threading.Event) -> None:
        super().__init__(sock)
        self._ending = ending

    def read_request(self, timeout: float = TIMEOUT) -> Head:
        return self.read_head(timeout)

    def accept_upgrade(self, headers: dict[str, str] | None = None, delay: float = 0) -> Head:
        """Read the upgrade request and answer 101 after `delay` seconds; returns the request. headers are
        added to the answer; an empty value removes a header."""
        request = self.read_request()
        time.sleep(delay)
        self.upgrade(request, headers)
        return request

    def upgrade(self, request: Head, headers: dict[str, str] | None = None) -> None:
        """Answer 101 to a request that was read, as accept_upgrade() does."""
        key = request.headers["sec-websocket-key"] + WEBSOCKET_GUID
        sent = {
            "Upgrade": "websocket",
            "Connection": "upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
            **(headers or {}),
        }
        self.respond(101, "Switching Protocols", {name: value for name, value in sent.items() if value})

    def respond(self, code: int, reason: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {code} {reason}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def close_notify(self) -> None:
        """End TLS with a close_notify, then TCP, without waiting for the peer's answer."""
        self.sock.setblocking(False)
        try:
            cast(ssl.SSLSocket, self.sock).unwrap()
        except OSError:  # "want read": the peer's close_notify has not arrived yet
            pass
        self.sock.close()

    def end(self) -> None:
        """End TCP without a close_notify."""
        self.sock.shutdown(socket.SHUT_WR)

    def hang(self) -> None:
        """Send and read nothing until the test is over."""
        self._ending.wait()


class Upstream:
    """Serves each connection with script(connection) in a thread, for as long as the with block lasts.

    Without a certificate it speaks plain TCP, as a server without TLS. Exceptions of a script are
    raised at the end of the block, except those of a connection that the peer ended or refused:
    these are kept in `refusals`.
    """

    def __init__(
        self,
        cert: Cert | None,
        script: Callable[[Connection], object],
        *,
        address: str = "127.0.0.1",
        maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ) -> None:
        self._script = script
        self._tls = None
        if cert:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.maximum_version = maximum_version
            self._tls.load_cert_chain(cert.cert, cert.key)
            self._tls.sni_callback = lambda _sock, name, _context: self.server_names.append(name)
        self.server_names: list[str | None] = []  # received SNI of each connection, None without one
        self.connections = 0
        self.refusals: list[OSError | EOFError] = []
        self._errors: list[BaseException] = []
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self._listener.settimeout(POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]

    def demand_certificate(self, ca: Path) -> None:
        """Require a certificate of that CA from each later client."""
        assert self._tls
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._tls.load_verify_locations(ca)

    def __enter__(self) -> Upstream:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if self._errors:
            raise self._errors[0]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="upstream")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self._start(self._serve, sock)

    @staticmethod
    def _shake_hands(sock: ssl.SSLSocket) -> None:
        try:
            sock.do_handshake()
        except ssl.SSLError:
            time.sleep(ALERT_SECONDS)
            raise

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.settimeout(TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._shake_hands(sock)
            with Connection(sock, self._ending) as connection:
                self._script(connection)
        except (OSError, EOFError) as refusal:
            self.refusals.append(refusal)
        except BaseException as error:  # such as a failed assertion in the script: raised in the test
            self._errors.append(error)
        finally:
            sock.close()


def silent_console(c: Connection) -> None:
    """A console that sends nothing and ends when the client sends a Close."""
    c.accept_upgrade()
    c.close_code(60)
