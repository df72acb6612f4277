# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium: who has the keyboard. In a frame, the console takes it from nobody; after each
control, the guest has it again."""

from __future__ import annotations

from typing import Callable

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lib.console_pages import (
    CLIPBOARD,
    MESSAGE,
    PAGE_SECONDS,
    TYPE,
    has_focus,
    part,
    press,
    shows,
    terminal_text,
    type_text,
    wait_sentence,
)
from lib.framed_pages import FIELD, Framed, told, wait_told
from lib.late_proxxy import key_events, keys, typed
from lib.live_pages import Live, wait_sessions, wait_state
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.framed_pages")

PAGES = ["novnc", "xterm"]
ORIGINS = ["own", "other"]


# --- in a frame of the panel ------------------------------------------------------------------


def in_field(browser: webdriver.Remote) -> str:
    """What stands in the panel's field, which has the focus."""
    assert browser.execute_script("return document.activeElement.id") == "field"
    return str(browser.find_element(By.ID, "field").get_property("value"))


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", PAGES)
def test_typing_in_the_panel_goes_on_while_the_console_opens(
    browser: webdriver.Remote, framed: Framed, name: str, origin: str
) -> None:
    framed.open(browser, getattr(framed, origin), framed.link(name), FIELD)
    text = ""

    def type_until(done: Callable[[], bool]) -> None:
        nonlocal text
        letters = iter("typing in the panel " * 100)
        while not done():
            press(browser, letter := next(letters))
            text += letter
        press(browser, "end")
        text += "end"
        assert in_field(browser) == text

    type_until(lambda: bool(told(browser, "connected")))
    # The same when it has lost its connection, has another one, and ends.
    framed.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    type_until(lambda: bool(told(browser, "reconnecting")))
    type_until(lambda: len(told(browser, "connected")) == 2)
    framed.proxxy.sessions[1].end(1000, "Console closed")
    type_until(lambda: bool(told(browser, "closed")))
    assert received(framed, name) == ""


def received(live: Live, name: str) -> str:
    """What came to the guest, on the last connection."""
    return (keys if name == "novnc" else typed)(live.proxxy.sessions[-1])


def wait_received(live: Live, name: str, text: str) -> None:
    wait_for(lambda: received(live, name) == text, PAGE_SECONDS, lambda: f"{received(live, name)!r}, not {text!r}")


@pytest.mark.parametrize("name", PAGES)
def test_a_frame_of_a_panel_that_nobody_types_in_takes_the_keys(
    browser: webdriver.Remote, framed: Framed, name: str
) -> None:
    framed.open(browser, framed.own, framed.link(name))
    wait_told(browser, "connected")
    press(browser, "hello")
    wait_received(framed, name, "hello")


@pytest.mark.parametrize("name", PAGES)
def test_a_click_takes_the_keys(browser: webdriver.Remote, framed: Framed, name: str) -> None:
    framed.open(browser, framed.other, framed.link(name), FIELD)
    wait_told(browser, "connected")
    browser.switch_to.frame("frame")
    wait_state(browser, "connected")
    assert not has_focus(browser)
    part(browser, ".screen").click()
    assert has_focus(browser)
    press(browser, "hello")
    wait_received(framed, name, "hello")
    browser.switch_to.default_content()
    assert browser.execute_script("return document.activeElement.id") == "frame"


def test_a_field_of_the_page_around_the_element_keeps_the_keys(browser: webdriver.Remote, live: Live) -> None:
    """The panel's field is beside the element, without a frame. What the element shows takes no focus from it."""
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script(FIELD)
    live.proxxy.sessions[0].end(1000, "Console closed")
    wait_sentence(browser)
    press(browser, "ended ")
    browser.execute_script("document.querySelector('proxxy-console').connect()")
    wait_state(browser, "connected")
    press(browser, "again")
    assert in_field(browser) == "ended again"


def test_an_end_does_not_take_what_is_typed_for_a_button(browser: webdriver.Remote, live: Live) -> None:
    """The message has the focus, for those who hear the page; Enter and Space, meant for the guest, press nothing."""
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(1000, "Console closed")
    wait_sentence(browser)
    press(browser, "text ", Keys.ENTER)
    assert shows(browser, MESSAGE) and live.sessions == 1
    press(browser, Keys.TAB, Keys.ENTER)  # the first button
    wait_sessions(live, 2)
    wait_state(browser, "connected")
    wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the guest has not the focus")


# --- after each control -----------------------------------------------------------------------


def by_mouse(button: WebElement) -> None:
    button.click()


def by_keyboard(button: WebElement) -> None:
    button.send_keys(Keys.ENTER)


Press = Callable[[WebElement], None]


def open_tool(browser: webdriver.Remote, press_it: Press, name: str) -> None:
    """As press_tool(), also without a mouse."""
    if shows(browser, f"#tool-{name}"):
        press_it(part(browser, f"#tool-{name}"))
        return
    press_it(part(browser, "#tool-more"))
    wait_for(lambda: shows(browser, f"[data-entry='{name}']"), PAGE_SECONDS, f"no entry {name}")
    press_it(part(browser, f"[data-entry='{name}']"))


# A control, then an entry of its menu, or a part that is pressed next, or a key.
VNC_CONTROLS = [
    *[("keys", "ctrl-alt-del"), ("keys", "ctrl-alt-f2"), ("keys", Keys.ESCAPE)],
    *[("scaling", "actual"), ("scaling", "fit"), ("quality", "low"), ("quality", "auto")],
    *[("type", Keys.ESCAPE), ("type", f"{TYPE} .head button"), ("clipboard", Keys.ESCAPE)],
    *[("clipboard", f"{CLIPBOARD} .head button"), ("help", Keys.ESCAPE), ("screenshot", "")],
    *[("fold", ".handle"), ("fullScreen", ""), ("fullScreen", "")],
]
TERMINAL_CONTROLS = [
    *[("keys", "tab"), ("keys", Keys.ESCAPE), ("smaller", ""), ("larger", ""), ("search", Keys.ESCAPE)],
    *[("search", ".search button:last-child"), ("clipboard", Keys.ESCAPE), ("screenReader", ""), ("screenReader", "")],
    *[("help", Keys.ESCAPE), ("screenshot", ""), ("fold", ".handle"), ("fullScreen", ""), ("fullScreen", "")],
]


def use(browser: webdriver.Remote, press_it: Press, name: str, then: str) -> None:
    open_tool(browser, press_it, name)
    if then == Keys.ESCAPE:
        press(browser, then)
        if name == "keys" and press_it is by_keyboard:
            press(browser, then)  # out of the bar, where the menu was opened
    elif then.startswith((".", "dialog")):
        wait_for(lambda: shows(browser, then), PAGE_SECONDS, f"no {then}")
        press_it(part(browser, then))
    elif then:
        wait_for(lambda: shows(browser, f"[data-entry='{then}']"), PAGE_SECONDS, f"no entry {then}")
        press_it(part(browser, f"[data-entry='{then}']"))


@pytest.mark.parametrize("press_it", [by_mouse, by_keyboard])
@pytest.mark.parametrize("name, controls", [("novnc", VNC_CONTROLS), ("xterm", TERMINAL_CONTROLS)], ids=PAGES)
def test_guest_has_the_keys_after_each_control(
    browser: webdriver.Remote, live: Live, name: str, controls: list[tuple[str, str]], press_it: Press
) -> None:
    browser.get(live.link(name))
    wait_state(browser, "connected")
    for number, (tool, then) in enumerate(controls, 1):
        use(browser, press_it, tool, then)
        wait_for(lambda: has_focus(browser), PAGE_SECONDS, f"the guest has not the focus after {tool} {then!r}")
        press(browser, "k", Keys.ENTER)  # Enter must press no control again
        came = lambda: received(live, name).count("k")  # noqa: E731
        wait_for(lambda: came() == number, PAGE_SECONDS, f"no key came after {tool} {then!r}")
        assert has_focus(browser), (tool, then)


@pytest.mark.parametrize("press_it", [by_mouse, by_keyboard])
@pytest.mark.parametrize("name", PAGES)
def test_view_only(browser: webdriver.Remote, live: Live, name: str, press_it: Press) -> None:
    browser.get(live.link(name))
    wait_state(browser, "connected")
    open_tool(browser, press_it, "viewOnly")
    press(browser, "no")
    open_tool(browser, press_it, "viewOnly")
    wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the guest has not the focus")
    press(browser, "yes")
    wait_received(live, name, "yes")


def test_view_only_holds_at_once(browser: webdriver.Remote, live: Live) -> None:
    """A key event that waits already when it is switched on. What was down goes up."""
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_async_script(
        """
        const console = document.querySelector("proxxy-console");
        const canvas = console.shadowRoot.querySelector("canvas");
        const send = (type, key) => canvas.dispatchEvent(
            new KeyboardEvent(type, { key, code: `Key${key.toUpperCase()}`, bubbles: true, cancelable: true }));
        const next = new MessageChannel();
        next.port1.onmessage = () => {
          send("keydown", "n");
          console.viewOnly = false;
          send("keydown", "y");
          send("keyup", "y");
          arguments[0]();
        };
        send("keydown", "d");
        next.port2.postMessage(null);
        console.viewOnly = true;
        """
    )
    wait_received(live, "novnc", "dy")
    assert key_events(live.proxxy.sessions[-1]) == ["+d", "-d", "+y", "-y"]


def test_guest_has_the_keys_after_typed_text_was_cancelled(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    type_text(browser, "x" * 2000)
    cancel = ".notice[data-notice='notice.typing'] button.quiet:not([hidden]):not(.bare)"
    wait_for(lambda: shows(browser, cancel), PAGE_SECONDS, "no Cancel")
    part(browser, cancel).click()
    wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the guest has not the focus")
    wait_for(lambda: not shows(browser, ".notice"), PAGE_SECONDS, "the notice stays")
    press(browser, "k")
    wait_for(lambda: received(live, "novnc").endswith("k"), PAGE_SECONDS, "no key came")
    assert received(live, "novnc").count("x") < 2000


@pytest.mark.parametrize("name", PAGES)
def test_way_out_of_the_screen_and_back(browser: webdriver.Remote, live: Live, name: str) -> None:
    """Ctrl, Alt and Shift together lead to the bar, Escape back. The guest gets none of what is pressed in the bar."""
    browser.get(live.link(name))
    wait_state(browser, "connected")
    focused = lambda: browser.execute_script("return document.activeElement.shadowRoot.activeElement.id")  # noqa: E731
    press(browser, "a")
    leave(browser)
    wait_for(lambda: focused().startswith("tool-"), PAGE_SECONDS, "the bar has not the focus")
    first = focused()
    press(browser, Keys.ARROW_RIGHT)
    assert focused().startswith("tool-") and focused() != first
    press(browser, Keys.ESCAPE)
    assert has_focus(browser)
    press(browser, "b")
    wait_received(live, name, "ab")
    if name == "xterm":
        wait_for(lambda: terminal_text(browser).endswith("ab"), PAGE_SECONDS, lambda: terminal_text(browser))


def leave(browser: webdriver.Remote) -> None:
    chain = webdriver.ActionChains(browser)
    for key in (Keys.CONTROL, Keys.ALT, Keys.SHIFT):
        chain.key_down(key)
    for key in (Keys.SHIFT, Keys.ALT, Keys.CONTROL):
        chain.key_up(key)
    chain.perform()
