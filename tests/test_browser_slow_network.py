# SPDX-License-Identifier: Apache-2.0
"""The console pages over a slow network, in Chromium: 400 kbit/s, and 2 s from a request to its answer."""

from __future__ import annotations

import time

import pytest
from selenium import webdriver

from lib.console_pages import Site, wait_connected
from lib.slow_cable import SlowCable
from lib.web import Nginx

pytest_plugins = "lib.console_pages"

RATE = 50_000  # bytes per second
ROUND_TRIP = 2.0
TICKET_SECONDS = 10.0  # Proxmox waits so long for the connection of a console that it was asked for


@pytest.mark.parametrize("web", [Nginx], indirect=True)
@pytest.mark.parametrize("kind", ["desktop", "terminal"])
def test_console_opens_in_time(browser: webdriver.Remote, site: Site, kind: str) -> None:
    """The WebSocket does not wait for the page's files. The stand-in keeps to Proxmox's limit for a ticket."""
    with SlowCable(site.web.port, RATE, ROUND_TRIP) as cable:
        browser.get("about:blank")
        link = site.desktop() if kind == "desktop" else site.terminal()
        cable.start()
        began = time.monotonic()
        browser.execute_script("location.href = arguments[0]", link.replace(site.url, f"http://127.0.0.1:{cable.port}"))
        time.sleep(TICKET_SECONDS)
        wait_connected(browser, site)
        print(f"{kind}: connected after {time.monotonic() - began:.1f} s, requests: {cable.requests}")
        browser.get("about:blank")  # before the network ends, which the page would report
    asked = [at for at, path in cable.requests if path.endswith("/ws")]
    assert len(asked) == 1 and asked[0] < TICKET_SECONDS - ROUND_TRIP
    assert len(cable.requests) <= 4, cable.requests
