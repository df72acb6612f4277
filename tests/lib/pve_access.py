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
from typing import Any, Callable, Mapping
from urllib.parse import unquote

from .pve_http import Refused, refused_call

SIGNATURE_BYTES = 256  # RSA-2048's
TICKET_SECONDS = 2 * 60 * 60
CLOCK_SKEW_SECONDS = 20  # Proxmox: a vncticket is valid from -20 s to 40 s
VNC_TICKET_SECONDS = 40
VNC_TICKET_MAX = 512  # characters, Proxmox's schema
PASSWORD_LENGTH = 8

PRINTABLE = [chr(code) for code in range(0x21, 0x7F)]  # Proxmox: '!' to '~'
NEEDS_ENCODING = "%&+#=/;"
ROOT = "root@pam"
ALL = frozenset({"VM.Audit", "VM.Console"})  # the privileges that a console needs


class Access:
    """Users with passwords, API tokens ("user@realm!name": secret), the tickets made for them, and what they may do.

    root@pam may do everything, another user at first too, or only look if it is one of without_console. A token may
    do what its user may, unless it is separated (Proxmox's privsep): then only what allow() says, and of that only
    what its user may.
    """

    def __init__(self, users: Mapping[str, str], tokens: Mapping[str, str], without_console: frozenset[str]) -> None:
        # Users that have a second factor, and the one-time code of each; "" if it is another kind.
        self.second_factor: dict[str, str] = {}
        self._challenges: dict[str, str] = {}
        self._users = dict(users)
        self._tokens = dict(tokens)
        self._separated: set[str] = set()
        self._privileges: dict[str, dict[str, frozenset[str]]] = {}  # by identity, then by path
        for user in self._users | dict.fromkeys(token.partition("!")[0] for token in tokens):
            self.allow(user, "/", *(ALL - {"VM.Console"} if user in without_console else ALL))
        self._key = os.urandom(32)
        self._started = time.time()

    def add_token(self, identity: str, secret: str, *, separated: bool = False) -> str:
        """Adds an API token; returns the Authorization header's value."""
        self._tokens[identity] = secret
        self._separated.discard(identity)
        if separated:
            self._separated.add(identity)
        return f"PVEAPIToken={identity}={secret}"

    def remove_token(self, identity: str) -> None:
        """The token was deleted, or has expired."""
        del self._tokens[identity]

    def allow(self, identity: str, path: str, *privileges: str) -> None:
        """Says what a user or a separated token may do on a path ("/", "/vms", "/vms/100") and below. Proxmox: what
        is said of a longer path counts alone; no privileges: none (the role NoAccess)."""
        self._privileges.setdefault(identity, {})[path] = frozenset(privileges)

    def forget(self, identity: str) -> None:
        """Takes back everything that allow() said of a user or token."""
        self._privileges.pop(identity, None)

    def keep_tokens(self, kept: Callable[[str], bool]) -> None:
        """Removes the tokens for which it returns False."""
        self._tokens = {identity: secret for identity, secret in self._tokens.items() if kept(identity)}

    def may(self, identity: str, path: str, privilege: str) -> bool:
        user, _, token = identity.partition("!")
        if token and identity in self._separated:
            return privilege in self._said(identity, path) and self.may(user, path, privilege)
        return user == ROOT or privilege in self._said(user, path)

    def _said(self, identity: str, path: str) -> frozenset[str]:
        said = self._privileges.get(identity, {})
        above = [prefix for prefix in said if prefix == "/" or f"{path}/".startswith(f"{prefix}/")]
        return said[max(above, key=len)] if above else frozenset()

    def login(self, user: str, password: str, challenge: str = "") -> dict[str, Any]:
        """POST …/access/ticket. challenge: what the user answers in place of the password."""
        if challenge:
            factor, _, answer = password.partition(":")
            right = hmac.compare_digest(challenge.encode(), self._challenges.pop(user, "").encode())
            if not right or (factor, answer) != ("totp", self.second_factor.get(user)):
                raise refused_call(401, "authentication failure")
        elif not hmac.compare_digest(self._users.get(user, "").encode(), password.encode()) or not password:
            raise refused_call(401, "authentication failure")
        elif user in self.second_factor:
            # Proxmox: the ticket is good for one thing only, to answer the challenge in it, a JSON object in which
            # colons are percent-encoded (proxmox-tfa's TfaChallenge: what the user does not have is left out).
            kinds = '"totp"%3Atrue,' if self.second_factor[user] else ""
            start = f'PVE:!tfa!{{{kinds}"recovery"%3A[]}}:{int(time.time()):08X}'
            ticket = self._challenges[user] = f"{start}::{self._sign(start, user)}"
            return {"username": user, "ticket": ticket, "CSRFPreventionToken": self.csrf_token(user), "NeedTFA": 1}
        return {
            "username": user,
            "ticket": self.cookie(user),
            "CSRFPreventionToken": self.csrf_token(user),
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
        if not hmac.compare_digest(headers.get("csrfpreventiontoken", ""), self.csrf_token(user)):
            raise Refused(401, "Permission denied - invalid csrf token")

    def check_console(self, identity: str, path: str) -> None:
        if not self.may(identity, path, "VM.Console"):
            raise refused_call(403, f"Permission check failed ({path}, VM.Console)")

    def vnc_ticket(self, identity: str, path: str, port: int, at: float | None = None) -> str:
        """Makes a vncticket. Proxmox signs user, path and port."""
        start = f"PVEVNC:{int(time.time() if at is None else at):08X}"
        return f"{start}::{self._sign(start, identity, path, str(port))}"

    def check_vnc_ticket(self, ticket: str, identity: str, path: str, port: int) -> None:
        """Proxmox: only the identity that requested a ticket may use it. A password in front of it is ignored."""
        start, _, signature = re.sub(r"^.{8}:(?=PVEVNC:)", "", ticket).rpartition("::")
        stamp = re.fullmatch(r"PVEVNC:([0-9A-F]{8})", start)
        if stamp and hmac.compare_digest(signature.encode(), self._sign(start, identity, path, str(port)).encode()):
            age = time.time() - int(stamp[1], 16)
            if -CLOCK_SKEW_SECONDS < age < VNC_TICKET_SECONDS:
                return
        raise refused_call(401, "permission denied - invalid PVEVNC ticket")

    def _cookie_user(self, ticket: str) -> str:
        match = re.fullmatch(r"PVE:([^:]+):([0-9A-F]{8})::(.+)", ticket)
        if match and hmac.compare_digest(match[3].encode(), self._sign("PVE", match[1], match[2]).encode()):
            if time.time() - int(match[2], 16) < TICKET_SECONDS:
                return match[1]
        raise Refused(401, "Authentication failed!")

    def csrf_token(self, user: str) -> str:
        """The CSRFPreventionToken that a user's requests other than GET need beside the ticket. Proxmox: a time, and an
        HMAC-SHA256 in base64 without padding: 52 characters."""
        digest = hmac.digest(self._key, f"CSRF:{user}".encode(), "sha256")
        return f"{int(self._started):08X}:{base64.b64encode(digest).decode().rstrip('=')}"

    def _sign(self, *parts: str) -> str:
        message = self._key + "\0".join(parts).encode()
        return base64.b64encode(hashlib.shake_256(message).digest(SIGNATURE_BYTES)).decode()


def vnc_password() -> str:
    """Makes a VNC password. Here one character always needs percent-encoding where the password is a part of the
    ticket, so that a client that does not encode fails in every test."""
    password = [secrets.choice(PRINTABLE) for _ in range(PASSWORD_LENGTH)]
    password[secrets.randbelow(PASSWORD_LENGTH)] = secrets.choice(NEEDS_ENCODING)
    return "".join(password)


def _value(header: str, name: str) -> str:
    """Returns the value as Proxmox extracts it: up to the next semicolon, URI-unescaped."""
    match = re.search(rf"(?:^|\s){name}[= ]([^;]*)", header)
    return unquote(match[1]) if match else ""
