# SPDX-License-Identifier: Apache-2.0
"""Access control of the stand-in for Proxmox VE: logins, API tokens, tickets, and who may open which console.

What is marked "Proxmox:" was read from pve-access-control and pve-http-server or seen on a running
pveproxy. Signatures here are keyed hashes of the length that Proxmox's RSA signatures have.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from typing import Mapping
from urllib.parse import unquote

SIGNATURE_BYTES = 256  # RSA-2048's
TICKET_SECONDS = 2 * 60 * 60
CLOCK_SKEW_SECONDS = 20  # Proxmox: a vncticket is valid from -20 s to 40 s
VNC_TICKET_SECONDS = 40
VNC_TICKET_MAX = 512  # characters, Proxmox's schema
PASSWORD_LENGTH = 8

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
NEEDS_ENCODING = " %&+#=/;"


class Refused(Exception):
    """An error answer; Proxmox sends the text as the reason phrase."""

    def __init__(self, code: int, reason: str, body: bytes | None = None) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
        self.body = body


class Access:
    """Users with passwords, API tokens ("user@realm!name": secret), and the tickets made for them."""

    def __init__(self, users: Mapping[str, str], tokens: Mapping[str, str], without_console: frozenset[str]) -> None:
        self._users = users
        self._tokens = tokens
        self._without_console = without_console
        self._key = os.urandom(32)

    def login(self, user: str, password: str) -> dict[str, str]:
        """POST …/access/ticket."""
        if not hmac.compare_digest(self._users.get(user, "").encode(), password.encode()) or not password:
            raise Refused(401, "authentication failure")
        return {
            "username": user,
            "ticket": self.cookie(user),
            "CSRFPreventionToken": self._csrf_token(user),
        }

    def cookie(self, user: str) -> str:
        """A PVEAuthCookie."""
        stamp = f"{int(time.time()):08X}"
        return f"PVE:{user}:{stamp}::{self._sign('PVE', user, stamp)}"

    def token(self, user: str) -> str:
        """The Authorization header's value for an API token of the user."""
        identity = next(name for name in self._tokens if name.startswith(f"{user}!"))
        return f"PVEAPIToken={identity}={self._tokens[identity]}"

    def identify(self, headers: Mapping[str, str]) -> tuple[str, bool]:
        """Returns a request's identity, and whether it is proved by a ticket (not by an API token).

        Proxmox looks in this order: cookie PVEAuthCookie, Authorization: PVEAuthCookie=,
        Authorization: PVEAPIToken=; values are URI-unescaped.
        """
        authorization = headers.get("authorization", "")
        ticket = _value(headers.get("cookie", ""), "PVEAuthCookie")
        ticket = ticket or _value(authorization, "PVEAuthCookie")
        if ticket:
            return self._cookie_user(ticket), True
        token = _value(authorization, "PVEAPIToken")
        if not token:
            raise Refused(401, "No ticket")
        identity, _, secret = token.partition("=")
        if not secret or not hmac.compare_digest(self._tokens.get(identity, "").encode(), secret.encode()):
            raise Refused(401, "Authentication failed!")
        return identity, False

    def check_csrf(self, user: str, headers: Mapping[str, str]) -> None:
        """Checks the CSRF token: a browser sends the ticket's cookie by itself, even in a forged POST."""
        if not hmac.compare_digest(headers.get("csrfpreventiontoken", ""), self._csrf_token(user)):
            raise Refused(401, "Permission denied - invalid csrf token")

    def check_console(self, identity: str, path: str) -> None:
        if identity.partition("!")[0] in self._without_console:
            raise Refused(403, f"Permission check failed ({path}, VM.Console)")

    def vnc_ticket(self, identity: str, path: str, port: int, at: float | None = None) -> str:
        """Makes a vncticket. Proxmox signs user, path and port; since 9.2 the ticket starts with an
        8-character password of arbitrary printable characters and a colon. Here one character always
        needs percent-encoding, so that a client that does not encode fails in every test."""
        stamp = f"{int(time.time() if at is None else at):08X}"
        password = [secrets.choice(PRINTABLE) for _ in range(PASSWORD_LENGTH)]
        password[secrets.randbelow(PASSWORD_LENGTH)] = secrets.choice(NEEDS_ENCODING)
        start = f"{''.join(password)}:PVEVNC:{stamp}"
        return f"{start}::{self._sign(start, identity, path, str(port))}"

    def check_vnc_ticket(self, ticket: str, identity: str, path: str, port: int) -> None:
        """Proxmox: only the identity that requested a ticket may use it."""
        start, _, signature = ticket.rpartition("::")
        stamp = re.fullmatch(r".{8}:PVEVNC:([0-9A-F]{8})", start)
        if stamp and hmac.compare_digest(signature.encode(), self._sign(start, identity, path, str(port)).encode()):
            age = time.time() - int(stamp[1], 16)
            if -CLOCK_SKEW_SECONDS < age < VNC_TICKET_SECONDS:
                return
        raise Refused(401, "permission denied - invalid PVEVNC ticket")

    def _cookie_user(self, ticket: str) -> str:
        match = re.fullmatch(r"PVE:([^:]+):([0-9A-F]{8})::(.+)", ticket)
        if match and hmac.compare_digest(match[3].encode(), self._sign("PVE", match[1], match[2]).encode()):
            if time.time() - int(match[2], 16) < TICKET_SECONDS:
                return match[1]
        raise Refused(401, "Authentication failed!")

    def _csrf_token(self, user: str) -> str:
        return self._sign("CSRF", user)

    def _sign(self, *parts: str) -> str:
        message = self._key + "\0".join(parts).encode()
        return base64.b64encode(hashlib.shake_256(message).digest(SIGNATURE_BYTES)).decode()


def _value(header: str, name: str) -> str:
    """Returns the value as Proxmox extracts it: up to the next semicolon, URI-unescaped."""
    match = re.search(rf"(?:^|\s){name}[= ]([^;]*)", header)
    return unquote(match[1]) if match else ""
