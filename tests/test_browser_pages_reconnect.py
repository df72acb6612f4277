# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium after a lost connection: they reconnect with growing pauses, until the link is
refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
from selenium import webdriver

from lib.console_pages import (
    BUILD,
    MESSAGE,
    PAGE_SECONDS,
    choice,
    choices,
    part,
    parts,
    shows,
    terminal_text,
    wait_sentence,
    wait_text,
)
from lib.late_proxxy import PROMPT, keys, typed
from lib.live_pages import (
    TOO_OLD,
    USED,
    EXPIRED,
    LONG_PAUSE,
    FRAME,
    Live,
    wait_state,
    wait_sessions,
    kept,
    press,
    lose,
    no_secret_in_sight,
)
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages")


def test_screen_comes_back_after_the_network_was_cut(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    time.sleep(0.5)  # until the picture is drawn
    lose(browser, live)
    assert "The connection was lost. Reconnecting" in wait_sentence(browser)
    # The last picture stays.
    pixel = "return [...arguments[0].getContext('2d').getImageData(9, 9, 1, 1).data]"
    assert browser.execute_script(pixel, part(browser, "canvas")) not in ([0, 0, 0, 0], [0, 0, 0, 255])
    assert shows(browser, "canvas")
    press(browser, "lost")
    browser.execute_script("document.querySelector('proxxy-console').ctrlAltDel()")
    wait_for(lambda: live.cable.refused >= 2, PAGE_SECONDS, "no second attempt")
    browser.save_screenshot(str(BUILD / "novnc-reconnecting.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    assert not shows(browser, MESSAGE)
    # The earlier picture stays until there is another one.
    wait_for(lambda: len(parts(browser, "canvas")) == 1, PAGE_SECONDS, "more than one picture")
    press(browser, "found")
    wait_for(lambda: keys(live.proxxy.sessions[-1]) == "found", PAGE_SECONDS, lambda: keys(live.proxxy.sessions[-1]))
    no_secret_in_sight(browser, live, "novnc")


LOST_INPUT = """
    const element = document.querySelector("proxxy-console");
    element.paste("lost");
    element.sendKeys(["x"]);
    element.type("lost").catch(() => {});
    element.focus();
"""


def test_terminal_comes_back_after_the_network_was_cut(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link("xterm"))
    wait_state(browser, "connected")
    press(browser, "before")
    wait_text(browser, "before")
    lose(browser, live)
    press(browser, "lost")
    browser.execute_script(LOST_INPUT)
    press(browser, "lost")
    browser.save_screenshot(str(BUILD / "xterm-reconnecting.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    press(browser, "after")
    prompt = PROMPT.decode()
    wait_text(browser, f"{prompt}after")
    # What was there before is still there.
    assert terminal_text(browser) == f"{prompt}before\n{prompt}after"
    assert typed(live.proxxy.sessions[-1]) == "after"


ENDS = {
    "Proxmox is lost": (1011, "Proxmox: connection lost", True),
    "the client was silent": (1001, "Client did not answer a Ping", True),
    "a proxy restarts": (1001, "", True),
    "a gateway restarts": (1012, "", True),
    "the operator": (1001, "Session was ended by the operator", False),
    "idle": (1001, "Session was idle too long", False),
    "time is over": (1001, "Session reached its maximum length", False),
    "the console": (1000, "Console closed", False),
    "a protocol error": (1002, "Client violated the WebSocket protocol", False),
    "Proxmox's frames": (1011, "Proxmox violated the WebSocket protocol", False),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_after_which_the_page_reconnects(browser: webdriver.Remote, live: Live, end: str) -> None:
    code, reason, reconnects = ENDS[end]
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(code, reason)
    if reconnects:
        wait_sessions(live, 2)
        wait_state(browser, "connected")
        return
    wait_state(browser, "ended")
    time.sleep(1.5)
    assert live.sessions == 1
    # The link still opens a console: one button does, without the panel.
    assert choice(browser, "again").text == "Connect again"
    choice(browser, "again").click()
    wait_state(browser, "connected")
    assert live.sessions == 2 and not shows(browser, MESSAGE)


@pytest.mark.parametrize("refusal, sentence", [(EXPIRED, TOO_OLD), ((1008, "Payload was used already"), USED)])
def test_reconnecting_ends_when_the_link_is_refused(
    browser: webdriver.Remote, live: Live, refusal: tuple[int, str], sentence: str
) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    time.sleep(0.5)
    lose(browser, live)
    live.proxxy.refusal = refusal
    live.cable.plug()
    wait_state(browser, "ended")
    assert wait_sentence(browser) == f"The connection was lost. {sentence}"
    assert choices(browser) == ["close"]
    browser.save_screenshot(str(BUILD / "novnc-given-up.png"))
    assert kept(browser) == []
    time.sleep(1.5)
    assert live.sessions == 2


PASSING = ["Proxmox: cannot connect", "Proxmox: no answer in time: it does not answer at all"]


@pytest.mark.parametrize("reason", PASSING)
def test_reconnecting_goes_on_while_proxmox_is_away(browser: webdriver.Remote, live: Live, reason: str) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.refusal = (1011, reason)
    live.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    wait_sessions(live, 3)
    live.proxxy.refusal = None
    wait_state(browser, "connected")


def test_attempt_that_is_not_answered_ends(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script("const set = setTimeout; setTimeout = (f, ms) => set(f, ms === 30_000 ? 300 : ms)")
    lose(browser, live)
    live.proxxy.silent = True
    live.cable.plug()
    wait_sessions(live, 3)
    live.proxxy.silent = False
    wait_state(browser, "connected")


def test_buttons_while_it_reconnects(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script(LONG_PAUSE)
    lose(browser, live)
    assert wait_sentence(browser) == "The connection was lost. Reconnecting in 30 s…"
    live.cable.plug()
    choice(browser, "now").click()
    wait_state(browser, "connected")
    lose(browser, live)
    choice(browser, "stop").click()
    wait_state(browser, "ended")
    live.cable.plug()
    assert wait_sentence(browser) == "The connection was lost."
    choice(browser, "again").click()
    wait_state(browser, "connected")
    assert live.sessions == 3


EVENTS = ["dispatchEvent(new Event('online'))", "document.dispatchEvent(new Event('visibilitychange'))"]


@pytest.mark.parametrize("event", EVENTS)
def test_network_or_tab_that_is_back_ends_the_pause(browser: webdriver.Remote, live: Live, event: str) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script(LONG_PAUSE)
    lose(browser, live)
    live.cable.plug()
    browser.execute_script(event)
    wait_state(browser, "connected")


def test_panel_hears_of_it(browser: webdriver.Remote, live: Live) -> None:
    """The pauses grow. A link that is refused comes back as the panel's matter."""
    browser.get(f"{live.url}/panel")
    browser.execute_script(FRAME, live.link())

    def heard() -> list[dict[str, Any]]:
        """What is about the connection: the screen's title comes, too."""
        return browser.execute_script("return heard.filter(({ type }) => type !== 'proxxy:title')")

    def types() -> list[str]:
        return [message["type"].removeprefix("proxxy:") for message in heard()]

    wait_for(lambda: types() == ["connected"], PAGE_SECONDS, lambda: f"{heard()}")
    live.cable.unplug()
    wait_for(lambda: len(heard()) == 4, PAGE_SECONDS, lambda: f"{heard()}")
    assert types()[1:] == ["reconnecting"] * 3
    for seconds, message in zip((1, 2, 4), heard()[1:]):
        assert (message["code"], message["reason"]) == (1006, "")
        assert seconds * 500 <= message["milliseconds"] <= seconds * 1000
    live.cable.plug()
    wait_for(lambda: types()[4:] == ["connected"], PAGE_SECONDS, lambda: f"{heard()}")
    live.proxxy.refusal = EXPIRED
    live.cable.unplug()
    live.cable.plug()
    wait_for(lambda: types()[-1] == "closed", PAGE_SECONDS, lambda: f"{heard()}")
    assert heard()[-1] == {"type": "proxxy:closed", "code": EXPIRED[0], "reason": EXPIRED[1]}
    browser.switch_to.frame("frame")
    assert wait_sentence(browser) == f"The connection was lost. {TOO_OLD}"
    choice(browser, "panel").click()
    browser.switch_to.default_content()
    wait_for(lambda: types()[-1] == "again", PAGE_SECONDS, lambda: f"{heard()}")
    live.proxxy.refusal = None
    browser.execute_script("document.getElementById('frame').src = arguments[0]", live.link() + "2")
    wait_for(lambda: types()[-1] == "connected", PAGE_SECONDS, lambda: f"{heard()}")


# --- on a phone -------------------------------------------------------------------------------


def test_lost_connection_on_a_phone(touch: webdriver.Remote, live: Live) -> None:
    for name in ("novnc", "xterm"):
        touch.get(live.link(name))
        wait_state(touch, "connected")
        time.sleep(0.5)
        touch.execute_script(LONG_PAUSE)
        lose(touch, live)
        assert touch.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        for id in ("now", "stop"):
            assert min(choice(touch, id).size["width"], choice(touch, id).size["height"]) >= 44
        touch.save_screenshot(str(BUILD / f"{name}-reconnecting-phone.png"))
        live.cable.plug()
        live.proxxy.refusal = EXPIRED
        choice(touch, "now").click()
        wait_state(touch, "ended")
        touch.save_screenshot(str(BUILD / f"{name}-given-up-phone.png"))
        live.proxxy.refusal = None
        touch.get("about:blank")
