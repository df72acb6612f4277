# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium: each end offers what helps, and controls that do nothing are off."""

from __future__ import annotations

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from lib.console_pages import (
    BUILD,
    PAGE_SECONDS,
    TYPE,
    choice,
    choices,
    part,
    parts,
    press_tool,
    shows,
    wait_sentence,
    write,
)
from lib.framed_pages import Framed, told, wait_told
from lib.late_proxxy import keys, messages, typed
from lib.live_pages import EXPIRED, NO_LINK, Live, wait_sessions, wait_state
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.framed_pages")

PAGES = ["novnc", "xterm"]
PASSWORD = {"password": "x"}  # the link opens one console
AGAIN = {"again": "/panel"}

# How a console ends (None: it is refused at once), what the link has besides, and what is offered.
ENDS: dict[str, tuple[tuple[int, str], dict[str, str], list[str]]] = {
    "idle": ((1001, "Session was idle too long"), {}, ["again", "close"]),
    "idle, from a panel": ((1001, "Session was idle too long"), AGAIN, ["again", "panel", "close"]),
    "operator": ((1001, "Session was ended by the operator"), {}, ["again", "close"]),
    "closed": ((1000, "Console closed"), {}, ["again", "close"]),
    "withdrawn": ((1008, "Payload was withdrawn"), {}, ["close"]),
    "withdrawn, from a panel": ((1008, "Payload was withdrawn"), AGAIN, ["panel", "close"]),
    "one console": ((1000, "Console closed"), PASSWORD, ["close"]),
    "one console, from a panel": ((1000, "Console closed"), {**PASSWORD, **AGAIN}, ["panel", "close"]),
    "one console, lost": ((1011, "Proxmox: connection lost"), PASSWORD, ["close"]),
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("end", ENDS)
def test_what_an_end_offers(browser: webdriver.Remote, live: Live, name: str, end: str) -> None:
    (code, reason), more, offered = ENDS[end]
    browser.get(live.link(name, **more))
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(code, reason)
    wait_sentence(browser)
    assert choices(browser) == offered
    assert all(choice(browser, each).get_attribute("aria-disabled") == "false" for each in offered)
    assert "main" in choice(browser, offered[0]).get_attribute("class").split()


@pytest.mark.parametrize("more, offered", [({}, ["close"]), (AGAIN, ["panel", "close"])])
def test_what_a_refusal_offers(
    browser: webdriver.Remote, live: Live, more: dict[str, str], offered: list[str]
) -> None:
    live.proxxy.refusal = EXPIRED
    browser.get(live.link(**more))
    wait_sentence(browser)
    assert choices(browser) == offered


def test_what_a_page_without_a_link_offers(browser: webdriver.Remote, live: Live) -> None:
    browser.get(f"{live.url}/console/novnc.html")
    assert wait_sentence(browser) == NO_LINK
    assert choices(browser) == ["close"]


# --- what the choices do ----------------------------------------------------------------------


def test_address_that_gives_another_link(browser: webdriver.Remote, live: Live) -> None:
    live.proxxy.refusal = EXPIRED
    browser.get(live.link(again="/panel?vm=100&console=1"))
    wait_sentence(browser)
    choice(browser, "panel").click()
    wait_for(lambda: browser.current_url == f"{live.url}/panel?vm=100&console=1", PAGE_SECONDS, "not the panel")


@pytest.mark.parametrize("again", ["https://example.com/", "//example.com/", "javascript:alert(1)", "data:,x"])
def test_address_of_another_origin_is_not_offered(browser: webdriver.Remote, live: Live, again: str) -> None:
    live.proxxy.refusal = EXPIRED
    browser.get(live.link(again=again))
    wait_sentence(browser)
    assert choices(browser) == ["close"]


def test_window_that_a_panel_opened_is_closed(browser: webdriver.Remote, live: Live) -> None:
    browser.get(f"{live.url}/panel")
    panel = browser.current_window_handle
    live.proxxy.refusal = EXPIRED
    for features in ("", "noopener"):
        browser.execute_script("open(arguments[0], '_blank', arguments[1])", live.link(), features)
        wait_for(lambda: len(browser.window_handles) == 2, PAGE_SECONDS, "no window")
        browser.switch_to.window(next(handle for handle in browser.window_handles if handle != panel))
        wait_sentence(browser)
        # Its opener hears that the user wants another link; a panel that has not opened it does not.
        assert choices(browser) == (["close"] if features else ["panel", "close"])
        choice(browser, "close").click()
        wait_for(lambda: browser.window_handles == [panel], PAGE_SECONDS, "the window stays")
        browser.switch_to.window(panel)


def test_window_that_came_from_the_panel_goes_back(browser: webdriver.Remote, live: Live) -> None:
    """A browser does not let a page close such a window."""
    browser.get(f"{live.url}/panel")
    live.proxxy.refusal = EXPIRED
    browser.execute_script("location.href = arguments[0]", live.link())
    wait_sentence(browser)
    choice(browser, "close").click()
    wait_for(lambda: browser.current_url == f"{live.url}/panel", PAGE_SECONDS, "not the panel")


def test_opener_is_asked_for_another_link(browser: webdriver.Remote, live: Live) -> None:
    browser.get(f"{live.url}/panel")
    panel = browser.current_window_handle
    live.proxxy.refusal = EXPIRED
    browser.execute_script("window.heard = []; addEventListener('message', ({ data }) => heard.push(data.type))")
    browser.execute_script("window.shown = open(arguments[0])", live.link(**AGAIN))
    wait_for(lambda: len(browser.window_handles) == 2, PAGE_SECONDS, "no window")
    browser.switch_to.window(next(handle for handle in browser.window_handles if handle != panel))
    wait_sentence(browser)
    choice(browser, "panel").click()
    browser.switch_to.window(panel)
    heard = lambda: browser.execute_script("return heard")  # noqa: E731
    wait_for(lambda: heard() == ["proxxy:closed", "proxxy:again"], PAGE_SECONDS, lambda: f"{heard()}")
    # The panel's answer, in the window that it opened: the page has not gone to the address.
    live.proxxy.refusal = None
    browser.execute_script("shown.location.href = arguments[0]", live.link())
    wait_for(lambda: heard()[-1] == "proxxy:connected", PAGE_SECONDS, lambda: f"{heard()}")
    browser.execute_script("shown.close()")


@pytest.mark.parametrize("origin", ["own", "other"])
def test_frame_leaves_the_rest_to_its_panel(browser: webdriver.Remote, framed: Framed, origin: str) -> None:
    framed.proxxy.refusal = EXPIRED
    framed.open(browser, getattr(framed, origin), framed.link(**AGAIN))
    wait_told(browser, "closed")
    browser.switch_to.frame("frame")
    wait_sentence(browser)
    assert choices(browser) == ["panel"]
    choice(browser, "panel").click()
    browser.switch_to.default_content()
    wait_told(browser, "again")
    browser.switch_to.frame("frame")
    assert browser.find_elements(By.TAG_NAME, "proxxy-console"), "the frame went to the address"
    browser.switch_to.default_content()
    assert len(told(browser, "again")) == 1


# --- controls ---------------------------------------------------------------------------------

USABLE = ["fold", "fullScreen", "help", "more"]  # at each time


def usable(browser: webdriver.Remote) -> list[str]:
    """The controls that can be used, in the bar and in its menu."""
    tools = [tool for tool in parts(browser, ".tool") if tool.get_attribute("aria-disabled") != "true"]
    return sorted(tool.get_attribute("data-item") for tool in tools)


def try_everything(browser: webdriver.Remote) -> None:
    """Presses each control that is off, and asks for the same by the element's methods."""
    for tool in parts(browser, ".tool[aria-disabled='true']"):
        browser.execute_script("arguments[0].click()", tool)
    browser.execute_script(
        """
        const element = document.querySelector("proxxy-console");
        element.ctrlAltDel();
        element.sendKeys(["Enter"]);
        element.paste("text");
        element.type("text").catch(() => {});
    """
    )


@pytest.mark.parametrize("name", PAGES)
def test_controls_after_an_end(browser: webdriver.Remote, live: Live, name: str) -> None:
    browser.get(live.link(name))
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(1001, "Session was ended by the operator")
    wait_sentence(browser)
    assert usable(browser) == USABLE
    try_everything(browser)
    assert not parts(browser, "dialog[open]") and not shows(browser, ".menu") and not shows(browser, ".search")
    browser.save_screenshot(str(BUILD / f"{name}-ended.png"))
    choice(browser, "again").click()
    wait_state(browser, "connected")
    assert len(usable(browser)) > len(USABLE)
    nothing_came(live, name)


def nothing_came(live: Live, name: str) -> None:
    session = live.proxxy.sessions[-1]
    if name == "xterm":
        assert typed(session) == ""
    else:
        assert not {b"\x04", b"\x06"} & set(messages(session))  # KeyEvent, ClientCutText


@pytest.mark.parametrize("name", PAGES)
def test_controls_before_the_guest_answers(browser: webdriver.Remote, live: Live, name: str) -> None:
    live.proxxy.silent = True
    browser.get(live.link(name))
    wait_sessions(live, 1)
    wait_for(lambda: parts(browser, ".tool"), PAGE_SECONDS, "no bar")
    assert not {"keys", "type", "clipboard", "quality", "screenshot", "search"} & set(usable(browser))
    try_everything(browser)
    assert not parts(browser, "dialog[open]")


def test_controls_while_it_reconnects(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    press_tool(browser, "type")
    write(browser, "#type-text", "text")
    live.cable.unplug()
    wait_state(browser, "reconnecting")
    assert not {"keys", "type", "clipboard", "quality"} & set(usable(browser))
    part(browser, f"{TYPE} .foot .main").click()
    assert shows(browser, TYPE)
    browser.save_screenshot(str(BUILD / "novnc-reconnecting-dialog.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    # What was being written is still there, and can be typed now.
    part(browser, f"{TYPE} .foot .main").click()
    wait_for(lambda: keys(live.proxxy.sessions[-1]) == "text", PAGE_SECONDS, "no text came")
