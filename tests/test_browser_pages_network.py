# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium notice a network that is gone, although no connection ends."""

from __future__ import annotations

import time

import pytest
from selenium import webdriver

from lib.console_pages import BUILD, MESSAGE, PAGE_SECONDS, part, shows, wait_sentence, wait_text
from lib.late_proxxy import PROMPT, keys, typed
from lib.live_pages import LONG_PAUSE, Live, press, state, wait_sessions, wait_state
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages")

PAGES = ["novnc", "xterm"]
NOTICED_SECONDS = 10.0
OFFLINE_SECONDS = 6.0  # after the browser said it
DIMMED = "return getComputedStyle(arguments[0]).filter"
OFFLINE = ".notice[data-notice='notice.offline']"


def say(browser: webdriver.Remote, event: str) -> None:
    """As the browser says it. The debugger's own way would end the connections, too."""
    script = """
        const [event] = arguments;
        Object.defineProperty(navigator, "onLine", { value: event === "online", configurable: true });
        dispatchEvent(new Event(event));
    """
    browser.execute_script(script, event)


def received(live: Live, name: str) -> str:
    """What came to the guest, on the last connection."""
    return (keys if name == "novnc" else typed)(live.proxxy.sessions[-1])


def opened(browser: webdriver.Remote, live: Live, name: str) -> None:
    browser.get(live.link(name))
    wait_state(browser, "connected")
    press(browser, "before")
    wait_for(lambda: received(live, name) == "before", PAGE_SECONDS, lambda: received(live, name))
    time.sleep(1.0)  # until the picture is drawn


@pytest.mark.parametrize("keys_pressed", [True, False])
@pytest.mark.parametrize("name", PAGES)
def test_dead_network_is_noticed(browser: webdriver.Remote, live: Live, name: str, keys_pressed: bool) -> None:
    opened(browser, live, name)
    assert browser.execute_script(DIMMED, part(browser, ".screen")) == "none"
    live.cable.hang()
    if keys_pressed:
        press(browser, "lost")
    wait_for(lambda: state(browser) == "reconnecting", NOTICED_SECONDS, lambda: f"still {state(browser)}")
    assert "The connection was lost. Reconnecting" in wait_sentence(browser)
    # The picture stays, dimmed.
    dimmed = lambda: browser.execute_script(DIMMED, part(browser, ".screen"))  # noqa: E731
    wait_for(lambda: "brightness(" in dimmed(), PAGE_SECONDS, lambda: dimmed())
    assert shows(browser, "canvas" if name == "novnc" else ".xterm")
    browser.save_screenshot(str(BUILD / f"{name}-dead-network.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    assert not shows(browser, MESSAGE)
    press(browser, "after")
    # What was typed into the dead network is not typed later.
    wait_for(lambda: received(live, name) == "after", PAGE_SECONDS, lambda: received(live, name))
    if name == "xterm":
        wait_text(browser, f"{PROMPT.decode()}before\n{PROMPT.decode()}after")


@pytest.mark.parametrize("name", PAGES)
def test_quiet_guest_is_not_a_dead_network(browser: webdriver.Remote, live: Live, name: str) -> None:
    opened(browser, live, name)
    end = time.monotonic() + NOTICED_SECONDS + 2
    while time.monotonic() < end:
        assert state(browser) == "connected"
        time.sleep(0.5)
    assert live.sessions == 1


@pytest.mark.parametrize("name", PAGES)
def test_attempts_on_a_dead_network(browser: webdriver.Remote, live: Live, name: str) -> None:
    """The network is back while an attempt hangs: the next one opens the console."""
    opened(browser, live, name)
    live.cable.hang()
    wait_for(lambda: state(browser) == "reconnecting", NOTICED_SECONDS, lambda: f"still {state(browser)}")
    time.sleep(3)
    live.cable.plug()
    wait_sessions(live, 2)
    wait_state(browser, "connected")


# --- what the browser says --------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_browser_that_is_offline(browser: webdriver.Remote, live: Live, name: str) -> None:
    opened(browser, live, name)
    browser.execute_script(LONG_PAUSE)
    live.cable.hang()
    say(browser, "offline")
    wait_for(lambda: shows(browser, OFFLINE), PAGE_SECONDS, "no notice")
    assert part(browser, f"{OFFLINE} .notice-text").text == "This device is offline."
    wait_for(lambda: state(browser) == "reconnecting", OFFLINE_SECONDS, lambda: f"still {state(browser)}")
    browser.save_screenshot(str(BUILD / f"{name}-offline.png"))
    live.cable.plug()
    say(browser, "online")  # ends the pause
    wait_state(browser, "connected")
    assert not shows(browser, OFFLINE)


def test_connection_that_outlives_what_the_browser_says(browser: webdriver.Remote, live: Live) -> None:
    """As one to the computer itself, or through a network that comes in another's place."""
    opened(browser, live, "xterm")
    say(browser, "offline")
    wait_for(lambda: shows(browser, OFFLINE), PAGE_SECONDS, "no notice")
    press(browser, "more")
    wait_text(browser, "beforemore")
    time.sleep(OFFLINE_SECONDS)
    assert state(browser) == "connected"
    say(browser, "online")
    wait_for(lambda: not shows(browser, OFFLINE), PAGE_SECONDS, "the notice stays")
    assert live.sessions == 1
