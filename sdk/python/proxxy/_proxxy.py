# SPDX-License-Identifier: Apache-2.0
"""Makes links that open a guest's console."""

from __future__ import annotations

import json
import os
from typing import Any, Literal, Sequence

from . import _jwe
from ._claims import Claims, check_claims, is_line
from ._json import parse_claims
from ._key import Key
from ._options import Given, GuestType, Protocol, claims_of, given
from ._page import check_page, page_parameters
from ._proxmox import Proxmox, request_console
from .errors import InvalidOption, ProxmoxError

PAYLOAD_MAX = 15 * 1024  # bytes: proxxy accepts requests of 16 KiB


class Proxxy:
    """Makes links and payloads with one key, for the console pages at one URL."""

    def __init__(
        self,
        *,
        page: str,
        key: Key | str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        kid: str | None = None,
    ) -> None:
        """page: the URL of the console pages, with a slash at its end: https://panel.example.com/console/
        key or key_file: the key that is shared with proxxy, as a Key, as text, or as a file with this text.
        kid: the name of the key that seals, if the text has several and it is not the first."""
        if (key is None) == (key_file is None):
            raise InvalidOption("key", "or key_file is needed")
        check_page(page)
        if isinstance(key, Key):
            self._key = key
        elif key_file is not None:
            self._key = Key.from_file(key_file, kid)
        else:
            self._key = Key(str(key), kid)
        self._page = page

    def link(
        self,
        *,
        vmid: int,
        type: GuestType,
        protocol: Protocol | None = None,
        cluster: str | None = None,
        host: str | None = None,
        node: str | None = None,
        ticket: str | None = None,
        csrf: str | None = None,
        ca: str | None = None,
        fingerprint: str | None = None,
        vncticket: str | None = None,
        port: int | str | None = None,
        password: str | None = None,
        user: str | None = None,
        expires_in: int = 300,
        not_before: int | None = None,
        sub: str | int | None = None,
        jti: Literal[True] | str | None = None,
        origin: str | None = None,
        client: str | None = None,
        session_max: int | None = None,
        title: str | None = None,
        again: str | None = None,
        panel: Sequence[str] = (),
        lang: str | None = None,
        layout: str | None = None,
        view_only: bool = False,
        bar: Literal["none"] | None = None,
    ) -> str:
        """Return the address of a page that opens the console. Before, check that the user may open it.

        Which guest: vmid and type; protocol "term" is a terminal. cluster is the name of a cluster file of proxxy; or
        host is a machine with Proxmox's API. Without node, proxxy asks Proxmox for it.
        Limits: expires_in in seconds (proxxy's default allows 300), not_before in seconds since 1970, jti=True for one
        console only, origin and client from where, session_max in seconds for how long. sub names the user in the log.
        Another identity than proxxy's own token: ticket (PVEAPIToken=… or PVE:…), csrf for a user's ticket, and ca or
        fingerprint of Proxmox's certificate. vncticket, port, password and user: what Proxmox has answered.
        The page is told, not encrypted: its title, again (a path that leads to another link), panel (origins whose
        windows may send it messages), lang, layout (of the guest's keyboard), view_only, bar="none".
        """
        options = given(locals())
        parameters = page_parameters(options)
        return self._address(options, self._seal(claims_of(options)), parameters)

    def payload(
        self,
        *,
        vmid: int,
        type: GuestType,
        protocol: Protocol | None = None,
        cluster: str | None = None,
        host: str | None = None,
        node: str | None = None,
        ticket: str | None = None,
        csrf: str | None = None,
        ca: str | None = None,
        fingerprint: str | None = None,
        vncticket: str | None = None,
        port: int | str | None = None,
        password: str | None = None,
        user: str | None = None,
        expires_in: int = 300,
        not_before: int | None = None,
        sub: str | int | None = None,
        jti: Literal[True] | str | None = None,
        origin: str | None = None,
        client: str | None = None,
        session_max: int | None = None,
    ) -> str:
        """Return only the payload, for a page of the panel's own. The options are those of link()."""
        return self._seal(claims_of(given(locals())))

    def open(self, payload: str) -> Claims:
        """Decrypt a payload and return its claims, for tests. Raises InvalidOption if proxxy would refuse the payload,
        whatever the time and the clusters that it knows."""
        if not is_line(payload):
            raise InvalidOption("payload", "is not a JWE")
        claims = parse_claims(_jwe.unseal(payload, self._key))
        try:
            check_claims(claims)
        except InvalidOption as error:
            raise InvalidOption("payload", f"is refused: {error}") from None
        return claims

    def open_console(
        self,
        *,
        proxmox: Proxmox,
        node: str,
        vmid: int,
        type: GuestType,
        protocol: Protocol | None = None,
        expires_in: int = 60,
        not_before: int | None = None,
        sub: str | int | None = None,
        jti: Literal[True] | str = True,
        origin: str | None = None,
        client: str | None = None,
        session_max: int | None = None,
        title: str | None = None,
        again: str | None = None,
        panel: Sequence[str] = (),
        lang: str | None = None,
        layout: str | None = None,
        view_only: bool = False,
        bar: Literal["none"] | None = None,
    ) -> str:
        """Request the console from Proxmox, for a proxxy that has no token of its own, and return the address of a
        page. It must be opened within 10 seconds, and opens one console. The options are those of link().
        Raises ProxmoxError."""
        options = given(locals())
        del options["proxmox"]
        if not isinstance(proxmox, Proxmox):
            raise InvalidOption("proxmox", "is not a Proxmox")
        parameters = page_parameters(options)
        trust = given({"ca": proxmox.ca, "fingerprint": proxmox.fingerprint})
        own: dict[str, Any] = {**options, **trust, "host": proxmox.host, "ticket": proxmox.identity}
        claims_of({**own, "vncticket": "checked before Proxmox is asked", "port": 1})

        grant = request_console(proxmox, node, type, vmid, protocol or "vnc")
        # With these, proxxy logs in to the console, and the browser needs neither.
        login = {"user": grant.user} if protocol == "term" else {"password": grant.password or grant.ticket}
        try:
            claims = claims_of({**own, **given(login), "vncticket": grant.ticket, "port": grant.port})
        except InvalidOption as error:
            raise ProxmoxError(200, "other", f"Proxmox: the answer cannot be used: {error}") from None
        return self._address(options, self._seal(claims), parameters)

    def _seal(self, claims: Claims) -> str:
        payload = _jwe.seal(json.dumps(claims, ensure_ascii=False, separators=(",", ":")), self._key)
        if len(payload) > PAYLOAD_MAX:
            raise InvalidOption("payload", f"is longer than {PAYLOAD_MAX} bytes: ca, ticket or sub is too long")
        return payload

    def _address(self, options: Given, payload: str, parameters: str) -> str:
        page = "xterm" if options.get("protocol") == "term" else "novnc"
        return f"{self._page}{page}.html#payload={payload}{parameters}"
