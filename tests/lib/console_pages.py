# SPDX-License-Identifier: Apache-2.0
"""Fixtures and helpers for tests of the console pages in Chromium. nginx or Caddy serves the pages with the shipped
configuration; proxxy connects them to a stand-in Proxmox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator

import pytest
from conftest import TERMINAL
from selenium import webdriver
from selenium.webdriver.common.by import By

from .activator import TREE, Activator
from .backend import Backend
from .browser import chromium
from .certs import Cert
from .consoles import handler_console
from .process import wait_for
from .rfb import Recorder
from .standin import StandIn
from .web import Caddy, Nginx

SCREEN = 110  # vmid
PAGE_SECONDS = 30.0
PHONE = (390, 844)
BUILD = TREE / "build"


@dataclass
class Site:
    """The site that a customer's browser opens, and the servers behind it."""

    url: str
    backend: Backend
    relay: Activator
    web: Nginx
    standin: StandIn
    guest: Recorder

    def desktop(self, **claims: Any) -> str:
        return self.url + self.backend.desktop("qemu", SCREEN, **claims)

    def terminal(self) -> str:
        return self.url + self.backend.terminal("lxc", TERMINAL)

    def sessions(self) -> int:
        """Returns how many sessions began; refused ones are not counted."""
        return self.relay.log().count("Session began")


def make_site(web: Nginx, relay: Activator, standin: StandIn, guest: Recorder, cert: Cert, key: str) -> Site:
    standin.add("qemu", SCREEN, handler_console(guest.serve))
    token = standin.access.token("root@pam")
    backend = Backend(f"127.0.0.1:{standin.port}", str(cert.ca), standin.node, token, key, relay.port)
    return Site(web.url, backend, relay, web, standin, guest)


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def web(request: pytest.FixtureRequest, relay: Activator) -> Iterator[Nginx]:
    with request.param(relay.port) as web:
        yield web
        # Whatever the tests did, the web server's logs contain no payload.
        assert "eyJhbGciOi" not in web.logs() and "payload=e" not in web.logs()


@pytest.fixture
def site(web: Nginx, relay: Activator, standin: StandIn, cert: Cert, key: str) -> Site:
    return make_site(web, relay, standin, Recorder(), cert, key)


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Remote]:
    with chromium(1100, 800) as window:
        yield window


@pytest.fixture(scope="module")
def phone() -> Iterator[webdriver.Remote]:
    with chromium(*PHONE, phone=True) as phone:
        yield phone


@pytest.fixture
def browser(window: webdriver.Remote) -> Iterator[webdriver.Remote]:
    yield from looked_at(window)


@pytest.fixture
def touch(phone: webdriver.Remote) -> Iterator[webdriver.Remote]:
    yield from looked_at(phone)


def looked_at(browser: webdriver.Remote) -> Iterator[webdriver.Remote]:
    """Lends the browser to a test, then checks its console: no errors, no violations of Content-Security-Policy."""
    browser.get("about:blank")
    browser.get_log("browser")
    yield browser
    entries = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    # Ignored: noVNC's messages about failed connections, and requests to /console/ws, which tests let fail on purpose.
    others = [entry["message"] for entry in entries if entry["source"] != "console-api"]
    said = [message for message in others if "/console/ws" not in message]
    browser.get("about:blank")
    assert said == []


INSIDE = "return [...(document.querySelector('proxxy-console')?.shadowRoot?.querySelectorAll(arguments[0]) ?? [])]"
MESSAGE = ".over:not(.calm)"  # in the element: how a console ended, or that it reconnects


def inside_all(browser: webdriver.Remote, selector: str) -> list[Any]:
    return browser.execute_script(INSIDE, selector)


def inside(browser: webdriver.Remote, selector: str) -> Any:
    """What is inside the page's element, behind its shadow root."""
    [found] = inside_all(browser, selector)
    return found


def shows(browser: webdriver.Remote, selector: str) -> bool:
    """Whether the element shows it."""
    return any(found.is_displayed() for found in inside_all(browser, selector))


def choice(browser: webdriver.Remote, name: str) -> Any:
    """A button of the message: now, stop, again, panel or close."""
    return inside(browser, f"[data-choice={name}]")


def choices(browser: webdriver.Remote) -> list[str]:
    return [button.get_attribute("data-choice") for button in inside_all(browser, "[data-choice]")]


def support(browser: webdriver.Remote) -> str:
    """Unfolds the details for the panel's developer, and returns the reason."""
    inside(browser, "details").click()
    return inside(browser, "details code").text


def wait_connected(browser: webdriver.Remote, site: Site) -> None:
    wait_for(
        lambda: browser.execute_script("return document.documentElement.classList.contains('connected')"),
        PAGE_SECONDS,
        lambda: f"not connected: {browser.find_element(By.TAG_NAME, 'body').text}\n"
        f"{site.relay.log()}\n{site.web.logs()}",
    )


def wait_sentence(browser: webdriver.Remote) -> str:
    """Waits for the message that the page shows when the console has ended; returns it."""
    wait_for(lambda: shows(browser, MESSAGE), PAGE_SECONDS, "nothing is said")
    return inside(browser, "#sentence").text


def wait_keys(site: Site, text: str) -> None:
    wait_for(lambda: site.guest.typed() == text, PAGE_SECONDS, lambda: f"{site.guest.typed()!r} was typed")


def rows(browser: webdriver.Remote) -> list[str]:
    """The lines that a terminal shows."""
    script = f"{INSIDE.replace('return', 'const rows =')}; return rows.map((row) => row.textContent)"
    return [row.replace("\xa0", " ").rstrip() for row in browser.execute_script(script, ".xterm-rows > div")]


def terminal_text(browser: webdriver.Remote) -> str:
    return "\n".join(rows(browser)).rstrip()


def wait_prompt(browser: webdriver.Remote, site: Site) -> None:
    """Waits for the shell's prompt: input sent earlier would appear before it."""
    wait_connected(browser, site)
    prompt = ("#", "$")
    wait_for(
        lambda: terminal_text(browser)[-1:] in prompt, PAGE_SECONDS, lambda: f"no prompt: {terminal_text(browser)!r}"
    )


def wait_text(browser: webdriver.Remote, text: str) -> None:
    wait_for(
        lambda: text in terminal_text(browser), PAGE_SECONDS, lambda: f"{text!r} is not in\n{terminal_text(browser)}"
    )
