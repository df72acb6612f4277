# SPDX-License-Identifier: Apache-2.0
"""Which origins a browser may come from: the payload's own and PROXXY_ALLOWED_ORIGINS."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import ask, echoes, refusal, told_in_close
from lib.payload import seal, seal_jwe
from lib.standin import StandIn


@pytest.fixture(scope="module")
def proxxy(relay: Activator) -> Activator:
    """Only under the Activator: what starts the session has no effect on origins."""
    return relay


def test_origin_in_the_payload(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, origin="https://panel.example.com")
    assert echoes(proxxy, payload, {"Origin": "https://panel.example.com"})
    assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")
    for other in ("null", "http://panel.example.com", "https://panel.example.com:444", "https://evil.example"):
        expected = (1008, "Origin not allowed: the payload is for another origin")
        assert told_in_close(proxxy, payload, {"Origin": other}) == expected


def test_allowed_origins(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    allowed = "https://panel.example.com, https://*.customers.example:8443, http://[::1]"
    with Activator(settings | {"PROXXY_ALLOWED_ORIGINS": allowed}) as proxxy:
        for origin in ("https://panel.example.com", "https://a.b.customers.example:8443", "http://[::1]"):
            assert echoes(proxxy, seal(standin.console("qemu", ECHO), key), {"Origin": origin})
        payload = seal(console(8006), key)
        assert refusal(proxxy, payload)[:2] == (403, "Origin not allowed")
        for origin in (
            "null",
            "https://customers.example:8443",
            "https://a.customers.example",
            "https://x@panel.example.com",
        ):
            assert told_in_close(proxxy, payload, {"Origin": origin}) == (1008, "Origin not allowed")
            # A request without an upgrade is refused too.
            assert refusal(proxxy, payload, {"Upgrade": "", "Origin": origin})[:2] == (403, "Origin not allowed")
        assert ask(proxxy, payload, {"Upgrade": ""})[0] == 426
        assert "outcome=origin" in proxxy.wait_log("PROXXY_ALLOWED_ORIGINS")
