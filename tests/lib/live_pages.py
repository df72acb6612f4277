# SPDX-License-Identifier: Apache-2.0
"""Fixtures and helpers for tests of the console pages with links that have nothing but the payload."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

from .cable import Cable
from .console_pages import PAGE_SECONDS, Site
from .late_proxxy import SEALED, LateProxxy
from .panel import page
from .payload import seal_jwe
from .process import wait_for
from .rfb import Recorder
from .termproxy import termproxy_console
from .vnc_console import VncConsole
from .web import Nginx

MACHINE = 120  # vmid
NO_LINK = "Please open the console from your panel again."
TOO_OLD = f"This link is too old. {NO_LINK}"
USED = f"This link was used already. It opens a console once. {NO_LINK}"
OFF = "The machine is switched off or just starting."
EXPIRED = (1008, "Payload has expired: exp was 61 s ago")
LONG_PAUSE = "Math.random = () => 59"  # 30 s in place of the first one
FRAME = """
    window.heard = [];
    addEventListener("message", (event) => heard.push(event.data));
    const frame = document.createElement("iframe");
    frame.id = arguments[1] ?? "frame";
    frame.width = 600;
    frame.height = 400;
    frame.src = arguments[0];
    document.body.append(frame);
"""


class Live:
    """A page's site: nginx, proxxy's part behind it, and the network before it."""

    def __init__(self, proxxy: LateProxxy, cable: Cable) -> None:
        self.proxxy, self.cable = proxxy, cable
        self.url = f"http://127.0.0.1:{cable.port}"

    def link(self, name: str = "novnc", **more: str) -> str:
        return self.url + self.proxxy.link(name, **more)

    @property
    def sessions(self) -> int:
        return len(self.proxxy.sessions)


@pytest.fixture
def live() -> Iterator[Live]:
    with LateProxxy() as proxxy, Nginx(proxxy.port) as web, Cable(web.port) as cable:
        yield Live(proxxy, cable)
        assert SEALED not in web.logs()


def state(browser: webdriver.Remote) -> str:
    return browser.execute_script("return document.documentElement.className")


def wait_state(browser: webdriver.Remote, wanted: str) -> None:
    wait_for(lambda: state(browser) == wanted, PAGE_SECONDS, lambda: f"{state(browser)}, not {wanted}")


def wait_sessions(live: Live, count: int) -> None:
    wait_for(lambda: live.sessions == count, PAGE_SECONDS, lambda: f"{live.sessions} sessions, not {count}")


def kept(browser: webdriver.Remote) -> list[str]:
    """The links in the tab's storage."""
    return list(json.loads(browser.execute_script("return JSON.stringify(sessionStorage)")).values())


def press(browser: webdriver.Remote, text: str) -> None:
    """Types at whatever has the focus."""
    ActionChains(browser).send_keys(text).perform()


def lose(browser: webdriver.Remote, live: Live) -> None:
    live.cable.unplug()
    wait_state(browser, "reconnecting")


def no_secret_in_sight(browser: webdriver.Remote, live: Live, name: str) -> None:
    assert browser.current_url == f"{live.url}/console/{name}.html"
    seen = browser.execute_script("return document.documentElement.outerHTML + JSON.stringify(history.state)")
    assert SEALED not in seen
    assert SEALED not in browser.execute_script("return document.referrer + document.cookie")


@dataclass
class Real:
    """proxxy, and the stand-in for Proxmox, behind nginx or Caddy and a network that can be cut."""

    site: Site
    cable: Cable
    guest: Recorder
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.cable.port}"

    def link(self, name: str, **claims: Any) -> str:
        console = {
            "vmid": MACHINE,
            "type": "qemu",
            "host": self.site.backend.proxmox,
            "ticket": self.site.backend.token,
        }
        protocol = {"protocol": "term"} if name == "xterm" else {}
        return self.url + page(name, payload=seal_jwe({**console, **protocol}, self.key, **claims), title="VM 120")

    def requested(self) -> int:
        """How many consoles proxxy requested from Proxmox."""
        return sum(request.method == "POST" for request in self.site.standin.requests)


@pytest.fixture
def real(site: Site, key: str) -> Iterator[Real]:
    guest = Recorder()
    site.standin.add("qemu", MACHINE, VncConsole(guest.session).connect, terminal=termproxy_console())
    site.standin.requests.clear()
    with Cable(site.web.port) as cable:
        yield Real(site, cable, guest, key)
