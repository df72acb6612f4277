# SPDX-License-Identifier: Apache-2.0
"""Requests a guest's console from Proxmox's API."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._claims import is_line, is_text
from ._host import Host, parse_host
from .errors import InvalidOption, ProxmoxError, ProxmoxReason

PORT = 8006
ANSWER_SECONDS = 10.0  # Proxmox answers a wrong token after 3 s
ANSWER_MAX = 1 << 20  # bytes; Proxmox's answer has about 3 KiB
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


def _connect(proxmox: Proxmox, host: Host) -> http.client.HTTPSConnection:
    """Connects, and checks the certificate before anything is sent."""
    port = host.port or PORT
    connection = http.client.HTTPSConnection(host.name, port, timeout=ANSWER_SECONDS, context=_tls(proxmox))
    try:
        connection.connect()
        if proxmox.fingerprint is not None:
            certificate = connection.sock.getpeercert(binary_form=True)
            digits = hashlib.sha256(certificate or b"").hexdigest()
            if not hmac.compare_digest(digits, proxmox.fingerprint.replace(":", "").lower()):
                raise ssl.SSLError("its certificate has another fingerprint")
    except BaseException:
        connection.close()
        raise
    return connection


def _post(proxmox: Proxmox, path: str, form: str) -> _Answer:
    host = parse_host(proxmox.host)
    assert host
    fields = {"Authorization": proxmox.identity, "Content-Type": "application/x-www-form-urlencoded"}
    if proxmox.csrf is not None:
        fields |= {"Authorization": f"PVEAuthCookie={proxmox.identity}", "CSRFPreventionToken": proxmox.csrf}
    try:
        connection = _connect(proxmox, host)
        try:
            connection.request("POST", path, form, fields)
            response = connection.getresponse()
            body = response.read(ANSWER_MAX)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        why = f"Proxmox at {host.authority(PORT)} cannot be reached: {_words(error)}"
        raise ProxmoxError(0, "unreachable", why) from None
    return _Answer(response.status, response.reason[:200], body.decode(errors="replace"))


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
    except (ValueError, TypeError, LookupError, AttributeError):
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
