# SPDX-License-Identifier: Apache-2.0
"""Requests a guest's console from Proxmox's API."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator, NamedTuple

from ._claims import is_line, is_text
from ._host import Host, parse_host
from .errors import InvalidOption, ProxmoxError, ProxmoxReason

PORT = 8006
ANSWER_SECONDS = 10.0  # for all of an answer; Proxmox answers a wrong token after 3 s
ANSWER_MAX = 1 << 20  # bytes; Proxmox's answer has about 3 KiB
WORDS_MAX = 200  # characters of a server's words
TOKEN_MAX = 4000  # bytes
TICKET_MAX = 4096  # bytes
CSRF_MAX = 256  # bytes
_TOKEN = re.compile(r"[^\s!=:]+@[^\s!=:]+![^\s!=:]+=[\x21-\x7e]+")
_TICKET = re.compile(r"PVE(?::|%3[Aa])[\x21-\x7e]+")
_VISIBLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Proxmox:
    """Proxmox's API, and how it is trusted. Without ca and fingerprint: by the system's CAs.

    host: a name or an address, with :port unless that is 8006; [address]:port for IPv6.
    token: an API token, USER@REALM!NAME=SECRET, with the privilege VM.Console on the guest. Or, in place of it,
    ticket: a user's ticket, PVE:…, and csrf: its CSRFPreventionToken.
    ca: the CA of Proxmox's certificate, in PEM. fingerprint: the certificate's SHA-256 fingerprint.
    """

    host: str
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    fingerprint: str | None = None
    ticket: str | None = field(default=None, repr=False)
    csrf: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.ticket is None:
            if not (is_line(self.token, TOKEN_MAX) and _TOKEN.fullmatch(self.token or "")):
                raise InvalidOption("token", "is not an API token, USER@REALM!NAME=SECRET")
            if self.csrf is not None:
                raise InvalidOption("csrf", "belongs to a user's ticket, which is missing")
            return
        if self.token is not None:
            raise InvalidOption("token", "and ticket cannot be combined")
        if not (is_line(self.ticket, TICKET_MAX) and _TICKET.fullmatch(self.ticket)):
            raise InvalidOption("ticket", "is not a user's ticket, which begins with PVE:")
        if not (is_line(self.csrf, CSRF_MAX) and _VISIBLE.fullmatch(self.csrf or "")):
            raise InvalidOption("csrf", "is missing: a user's ticket needs its CSRFPreventionToken")

    @property
    def identity(self) -> str:
        """As a payload's ticket."""
        return f"PVEAPIToken={self.token}" if self.ticket is None else self.ticket


class Grant(NamedTuple):
    ticket: str
    port: int | str
    user: str | None
    password: str | None


class _Answer(NamedTuple):
    status: int
    words: str
    body: str


def _tls(proxmox: Proxmox) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=proxmox.ca)
    # As proxxy does: ca may be an intermediate CA's certificate, or Proxmox's own.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    # Python's default since 3.13. The certificates that Proxmox makes do not have all extensions that it wants.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if proxmox.fingerprint is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # _connect() compares the fingerprint
    return context


def _cut(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # SSLSocket's own is not for another thread
    except OSError:
        pass  # it has ended


@contextmanager
def _connect(proxmox: Proxmox, host: Host) -> Iterator[http.client.HTTPSConnection]:
    """Connects, and checks the certificate before anything is sent. Cuts the connection after ANSWER_SECONDS."""
    context = _tls(proxmox)
    connection = http.client.HTTPSConnection(host.name, host.port or PORT, context=context)
    plain = socket.create_connection((connection.host, connection.port), ANSWER_SECONDS)
    with context.wrap_socket(plain, server_hostname=host.name, do_handshake_on_connect=False) as tls:
        # A socket's timeout begins again with each byte.
        timer = threading.Timer(ANSWER_SECONDS, _cut, [tls])
        timer.daemon = True
        timer.start()
        try:
            tls.do_handshake()
            if proxmox.fingerprint is not None:
                digits = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
                if not hmac.compare_digest(digits, proxmox.fingerprint.replace(":", "").lower()):
                    raise ssl.SSLError("its certificate has another fingerprint")
            connection.sock = tls
            yield connection
        finally:
            timer.cancel()


def _post(proxmox: Proxmox, path: str, form: str) -> _Answer:
    host = parse_host(proxmox.host)
    assert host
    fields = {"Authorization": proxmox.identity, "Content-Type": "application/x-www-form-urlencoded"}
    if proxmox.csrf is not None:
        fields |= {"Authorization": f"PVEAuthCookie={proxmox.identity}", "CSRFPreventionToken": proxmox.csrf}
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        with _connect(proxmox, host) as connection:
            connection.request("POST", path, form, fields)
            response = connection.getresponse()
            body = response.read(ANSWER_MAX)
        if time.monotonic() >= deadline:
            raise TimeoutError
    except (OSError, http.client.HTTPException) as error:
        words = "no answer in time" if time.monotonic() >= deadline else _words(error)
        why = _plain(f"Proxmox at {host.authority(PORT)} cannot be reached: {words}", proxmox)
        raise ProxmoxError(0, "unreachable", why) from None
    return _Answer(response.status, _plain(response.reason, proxmox), body.decode(errors="replace"))


def _plain(words: str, proxmox: Proxmox) -> str:
    """Makes words for one line of a log. A server may repeat what it was sent."""
    secrets = proxmox.ticket, proxmox.csrf, (proxmox.token or "").partition("=")[2]
    for secret in filter(None, secrets):
        words = words.replace(secret, "...")
    return re.sub(r"[^\x20-\x7e]", "?", words)[:WORDS_MAX]


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


def _refusal(answer: _Answer) -> ProxmoxError:
    reason: ProxmoxReason = "other"
    if answer.status in (401, 403):
        reason = "refused"
    elif answer.status == 500 and re.match("Configuration file .* does not exist", answer.words):
        reason = "no_guest"
    return ProxmoxError(answer.status, reason, f"Proxmox: {answer.status} {answer.words}")


def _read_grant(answer: _Answer) -> Grant:
    try:
        data = json.loads(answer.body)["data"]
        ticket, port, user, password = data["ticket"], data["port"], data.get("user"), data.get("password")
        if is_text(ticket) and ticket and 1 <= int(port) <= 65535 and _optional(user) and _optional(password):
            return Grant(ticket, port, user or None, password or None)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        pass
    raise ProxmoxError(answer.status, "other", "Proxmox: the answer has no console ticket")


def _optional(value: Any) -> bool:
    return value is None or is_text(value)


def request_console(proxmox: Proxmox, node: str, type: str, vmid: int, protocol: str) -> Grant:
    """Requests a console. node and type are valid: they are parts of a path."""
    path = f"/api2/json/nodes/{node}/{type}/{vmid}/{'termproxy' if protocol == 'term' else 'vncproxy'}"
    is_screen = protocol != "term"
    has_password = is_screen and type == "qemu"  # a container's vncproxy refuses the parameter
    form = ("websocket=1" + ("&generate-password=1" if has_password else "")) if is_screen else ""
    answer = _post(proxmox, path, form)
    # Since 9.2 Proxmox always sends a VM's password, and plans to remove the parameter.
    if has_password and answer.status == 400 and "generate-password" in answer.body:
        answer = _post(proxmox, path, "websocket=1")
    if answer.status != 200:
        raise _refusal(answer)
    return _read_grant(answer)
