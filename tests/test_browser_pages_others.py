# SPDX-License-Identifier: Apache-2.0
"""The console pages in Firefox and in WebKit, through proxxy: what depends on the browser."""

from __future__ import annotations

import time
from typing import Iterator

import pytest
from conftest import TERMINAL
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from lib.activator import Activator
from lib.console_pages import (
    BUILD,
    PAGE_SECONDS,
    choice,
    columns,
    rows,
    terminal_text,
    wait_connected,
    wait_keys,
    wait_prompt,
    wait_sentence,
    wait_text,
)
from lib.framed_pages import FIELD, Framed, told
from lib.late_proxxy import keys, typed
from lib.live_pages import MACHINE, NO_LINK, OFF, USED, Live, Real, kept, press, state, wait_state
from lib.other_browsers import firefox, webkit
from lib.process import wait_for
from lib.pve_cluster import RUNNING, STOPPED
from lib.web import Nginx

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.framed_pages")

NOTICED_SECONDS = 10.0


@pytest.fixture(scope="module", params=[firefox, webkit], ids=["firefox", "webkit"])
def other(request: pytest.FixtureRequest) -> Iterator[webdriver.Remote]:
    with request.param() as browser:
        yield browser


@pytest.fixture(scope="module")
def web(relay: Activator) -> Iterator[Nginx]:
    """One web server is enough here."""
    with Nginx(relay.port) as nginx:
        yield nginx


@pytest.fixture
def browser(other: webdriver.Remote) -> Iterator[webdriver.Remote]:
    other.get("about:blank")
    yield other
    other.get("about:blank")


def sentence(browser: webdriver.Remote) -> str:
    wait_state(browser, "ended")
    return wait_sentence(browser)


def secrets(browser: webdriver.Remote) -> bool:
    """Whether address or history show the link."""
    seen = browser.current_url + browser.execute_script("return location.href + JSON.stringify(history.state)")
    return "eyJhbGciOi" in seen or "#" in seen


def test_screen_with_a_password(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.site.desktop())
    wait_connected(browser, real.site)
    press(browser, "Hello")
    wait_keys(real.site, "Hello")
    assert not secrets(browser) and kept(browser) == []
    browser.refresh()
    assert sentence(browser) == NO_LINK


def test_terminal_with_a_login(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.site.terminal())
    wait_prompt(browser, real.site)
    assert browser.title == f"Container {TERMINAL}"
    press(browser, f"echo on$((1)){Keys.ENTER}")
    wait_text(browser, "\non1\n")


def test_screen_of_a_link(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("novnc"))
    wait_connected(browser, real.site)
    press(browser, "one")
    wait_for(lambda: real.guest.typed() == "one", PAGE_SECONDS, real.guest.typed)
    assert not secrets(browser)
    browser.refresh()
    wait_connected(browser, real.site)
    assert not secrets(browser) and len(kept(browser)) == 1
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    press(browser, "lost")
    browser.save_screenshot(str(BUILD / f"novnc-reconnecting-{browser.name.lower()}.png"))
    real.cable.plug()
    wait_connected(browser, real.site)
    press(browser, "two")
    wait_for(lambda: real.guest.typed() == "onetwo", PAGE_SECONDS, real.guest.typed)
    browser.get("about:blank")
    browser.back()
    wait_connected(browser, real.site)
    assert real.requested() == 4


def test_terminal_of_a_link(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("xterm"))
    wait_prompt(browser, real.site)
    press(browser, f"stty size; printf '%300s\\n' e | tr ' ' l; echo on$((1)){Keys.ENTER}")
    wait_text(browser, "\non1\n")
    wait_text(browser, f"\n{rows(browser)} {columns(browser)}\n")
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    browser.save_screenshot(str(BUILD / f"xterm-reconnecting-{browser.name.lower()}.png"))
    real.cable.plug()
    wait_prompt(browser, real.site)
    press(browser, f"echo on$((2)){Keys.ENTER}")
    wait_text(browser, "\non2\n")
    assert "stty size" in terminal_text(browser)


def test_link_for_one_use(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("novnc", jti=f"once-{browser.name}"))
    wait_connected(browser, real.site)
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    real.cable.plug()
    assert sentence(browser) == f"The connection was lost. {USED}"
    assert kept(browser) == []


def test_guest_that_is_started(browser: webdriver.Remote, real: Real) -> None:
    guest = real.site.standin.guest("qemu", MACHINE)
    guest.status = STOPPED
    browser.get(real.link("novnc"))
    assert sentence(browser) == OFF
    guest.status = RUNNING
    choice(browser, "again").click()
    wait_connected(browser, real.site)


@pytest.mark.parametrize("name", ["novnc", "xterm"])
def test_typing_in_a_panel_goes_on_while_the_console_opens(
    browser: webdriver.Remote, framed: Framed, name: str
) -> None:
    framed.open(browser, framed.own, framed.link(name), FIELD)
    text = ""
    while len(told(browser, "connected")) < 2:
        press(browser, "a")
        text += "a"
        if len(told(browser, "connected")) == framed.sessions == 1:
            framed.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    press(browser, "end")
    assert browser.execute_script("return document.getElementById('field').value") == f"{text}end"
    # The console has the keys as soon as the panel gives them to it.
    browser.execute_script("frame.contentWindow.postMessage({ type: 'proxxy:command', command: 'focus' }, '*')")
    wait_for(lambda: browser.execute_script("return document.activeElement.id") == "frame", PAGE_SECONDS, "no focus")
    press(browser, "guest")
    came = lambda: (keys if name == "novnc" else typed)(framed.proxxy.sessions[1])  # noqa: E731
    wait_for(lambda: came() == "guest", PAGE_SECONDS, came)


@pytest.mark.parametrize("name", ["novnc", "xterm"])
def test_dead_network_is_noticed(browser: webdriver.Remote, live: Live, name: str) -> None:
    browser.get(live.link(name))
    wait_state(browser, "connected")
    press(browser, "before")
    time.sleep(1.0)  # until the picture is drawn
    live.cable.hang()
    press(browser, "lost")
    wait_for(lambda: state(browser) == "reconnecting", NOTICED_SECONDS, lambda: f"still {state(browser)}")
    live.cable.plug()
    wait_state(browser, "connected")
    press(browser, "after")
    came = lambda: (keys if name == "novnc" else typed)(live.proxxy.sessions[-1])  # noqa: E731
    wait_for(lambda: came() == "after", PAGE_SECONDS, came)
