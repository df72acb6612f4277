# SPDX-License-Identifier: Apache-2.0
"""Which hosts a payload may name: checked before DNS, and again against the address that DNS returned."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import INVALID, ask, echoes, outcome, refusal, serve
from lib.certs import Cert
from lib.payload import seal, seal_jwe
from lib.standin import StandIn
from lib.upstream import Upstream


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "100.100.100.200",
    ],
)
def test_addresses_that_need_to_be_allowed(settings: dict[str, Any], key: str, host: str) -> None:
    """Loopback, link-local and metadata addresses are refused. An unauthenticated payload gets no reason."""
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": ""}) as proxxy:
        assert ask(proxxy, seal(console(8006) | {"host": f"{host}:8006"}, key)) == (400, INVALID)
        expected = (
            403,
            "Proxmox: connecting to its address is not allowed",
            "host is loopback, link-local or metadata and not in PROXXY_ALLOWED_HOSTS",
        )
        assert refusal(proxxy, seal_jwe(console(8006) | {"host": f"{host}:8006"}, key)) == expected


@pytest.mark.parametrize("allowed", ["", "192.0.2.0/24, 2001:db8::/32"])
def test_name_that_resolves_to_loopback_is_not_dialled(
    settings: dict[str, Any], cert: Cert, key: str, allowed: str
) -> None:
    """proxxy checks the address that DNS returned, and does not connect if it is not allowed."""
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": allowed}) as proxxy, Upstream(cert, serve) as upstream:
        payload = seal_jwe(console(upstream.port, "localhost"), key)
        assert (
            outcome(proxxy, payload) == "Proxmox: connecting to its address is not allowed: not in PROXXY_ALLOWED_HOSTS"
        )
        assert "outcome=host-forbidden" in proxxy.wait_log("Session ended")
        assert upstream.connections == 0


@pytest.mark.parametrize("allowed", ["127.0.0.0/8", "localhost", "pve.example.com, 127.0.0.1, ::1"])
def test_hosts_that_are_allowed(settings: dict[str, Any], standin: StandIn, key: str, allowed: str) -> None:
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": allowed}) as proxxy:
        assert echoes(proxxy, seal(standin.console("qemu", ECHO), key))
        refused = console(8006) | {"host": "192.0.2.1"}
        assert ask(proxxy, seal(refused, key)) == (400, INVALID)
        assert refusal(proxxy, seal_jwe(refused, key))[2] == "host is not in PROXXY_ALLOWED_HOSTS"
