# SPDX-License-Identifier: Apache-2.0
"""Fixtures and helpers for tests of the console pages in Chromium. nginx or Caddy serves the pages with the shipped
configuration; proxxy connects them to a stand-in Proxmox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator

import pytest
from conftest import TERMINAL
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
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
PROBES = re.compile("/console/(ws|favicon.svg)")
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
    # Ignored: noVNC's messages about failed connections; requests to /console/ws, which tests let fail on purpose, and
    # those by which a terminal asks whether its network is still there.
    others = [entry["message"] for entry in entries if entry["source"] != "console-api"]
    said = [message for message in others if not PROBES.search(message)]
    browser.get("about:blank")
    assert said == []


# --- the page's parts, which are inside the element's shadow root ------------------------------

PART = "return document.querySelector('proxxy-console')?.shadowRoot?.querySelector(arguments[0])"
PARTS = "return [...(document.querySelector('proxxy-console')?.shadowRoot?.querySelectorAll(arguments[0]) ?? [])]"
MESSAGE = ".box[role=alertdialog]"
CLIPBOARD, TYPE = "dialog.clipboard", "dialog.type"
GUEST = ".screen canvas, .screen textarea"  # what has the focus when keys go to the guest


def part(browser: webdriver.Remote, selector: str) -> Any:
    """Returns the first part, or None."""
    return browser.execute_script(PART, selector)


def parts(browser: webdriver.Remote, selector: str) -> list[Any]:
    return browser.execute_script(PARTS, selector)


def shows(browser: webdriver.Remote, selector: str) -> bool:
    found = part(browser, selector)
    return found is not None and found.is_displayed()


def press_tool(browser: webdriver.Remote, name: str) -> None:
    """Presses a control of the bar, or its entry in the menu More."""
    if shows(browser, f"#tool-{name}"):
        part(browser, f"#tool-{name}").click()
        return
    part(browser, "#tool-more").click()
    choose_entry(browser, name)


def choose_entry(browser: webdriver.Remote, name: str) -> None:
    """Chooses an entry of the menu that is open."""
    wait_for(lambda: shows(browser, f"[data-entry='{name}']"), PAGE_SECONDS, f"no entry {name}")
    part(browser, f"[data-entry='{name}']").click()


def choice(browser: webdriver.Remote, name: str) -> Any:
    """Returns that button of the box that says how the console ended, or None."""
    return part(browser, f"[data-choice='{name}']")


def choices(browser: webdriver.Remote) -> list[str]:
    return [button.get_attribute("data-choice") for button in parts(browser, "[data-choice]")]


def support(browser: webdriver.Remote) -> str:
    """Unfolds the details for the panel's developer, and returns the code and the reason."""
    part(browser, f"{MESSAGE} summary").click()
    return part(browser, f"{MESSAGE} code").text


def has_focus(browser: webdriver.Remote) -> bool:
    """Whether keys go to the guest."""
    focus = "return document.querySelector('proxxy-console').shadowRoot.activeElement?.matches(arguments[0]) ?? false"
    return browser.execute_script(focus, GUEST)


def press(browser: webdriver.Remote, *keys: str) -> None:
    """Types at whatever has the focus."""
    ActionChains(browser).send_keys(*keys).perform()


# --- waiting ----------------------------------------------------------------------------------


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
    return part(browser, "#sentence").text


def wait_keys(site: Site, text: str) -> None:
    wait_for(lambda: site.guest.typed() == text, PAGE_SECONDS, lambda: f"{site.guest.typed()!r} was typed")


def write(browser: webdriver.Remote, selector: str, text: str) -> None:
    """Writes into a field by a script, because chromedriver cannot type every character."""
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    browser.execute_script(script, part(browser, selector), text)


def type_text(browser: webdriver.Remote, text: str) -> None:
    press_tool(browser, "type")
    wait_for(lambda: shows(browser, TYPE), PAGE_SECONDS, "no dialog")
    write(browser, "#type-text", text)
    part(browser, f"{TYPE} .foot .main").click()


def send_clipboard(browser: webdriver.Remote, text: str) -> None:
    press_tool(browser, "clipboard")
    wait_for(lambda: shows(browser, CLIPBOARD), PAGE_SECONDS, "no clipboard")
    write(browser, "#clipboard-to", text)
    part(browser, f"{CLIPBOARD} .foot .main").click()


def terminal_text(browser: webdriver.Remote) -> str:
    return browser.execute_script("return document.querySelector('proxxy-console').text().trimEnd()")


def rows(browser: webdriver.Remote) -> int:
    """How many lines a terminal shows. Where WebGL draws them, they are counted in the text for screen readers."""
    found = len(parts(browser, ".xterm-rows > div"))
    if found:
        return found
    browser.execute_script("document.querySelector('proxxy-console').screenReader = true")
    return len(parts(browser, ".xterm-accessibility-tree > div"))


def columns(browser: webdriver.Remote) -> int:
    """How many characters fit into a line, of a terminal that has a text that is longer than one line."""
    return max(map(len, terminal_text(browser).split("\n")))


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
