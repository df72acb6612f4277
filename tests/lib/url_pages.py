# SPDX-License-Identifier: Apache-2.0
"""Runs proxxy-url against the stand-in Proxmox, and opens the URLs that it makes through proxxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from .activator import Activator
from .certs import Cert
from .payload import target
from .standin import StandIn
from .url_command import UrlCommand, fragment
from .wire import Client

PAGE = "https://panel.example.com/console"
ORIGIN = {"Origin": "https://panel.example.com"}
NAMED_KEY = "2026-11"
EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = 64, 65, 69, 76, 77, 78
GUEST = ("--node", "pve01", "--vmid")


@pytest.fixture
def command(tmp_path: Path, standin: StandIn, cert: Cert, key: str) -> UrlCommand:
    settings = {"PROXMOX_HOST": f"127.0.0.1:{standin.port}", "PROXXY_CA_FILE": cert.ca, "PROXXY_PAGE": PAGE}
    return UrlCommand(tmp_path, settings, standin.access.token("root@pam"), key)


def open_page(relay: Activator, url: str, headers: dict[str, str] = ORIGIN) -> Client:
    return Client.upgraded(relay.port, target(fragment(url)["payload"]), headers)
