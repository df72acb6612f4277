# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium, in a panel's frame: what the panel is told, and what it may ask for. Origins that are
not allowed hear that a console opens and ends, and no more."""

from __future__ import annotations

import base64
import itertools
import json
import struct
import time
from typing import Any

import pytest
from selenium import webdriver

from lib.console_pages import PAGE_SECONDS, has_focus
from lib.framed_pages import FIELD, Framed, heard, told, wait_told
from lib.late_proxxy import SEALED, Session, keys, messages, typed
from lib.live_pages import wait_state
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.framed_pages")

PAGES = ["novnc", "xterm"]
SECRET = "a password that was copied"
CONTROL, ALT, DELETE = 0xFFE3, 0xFFE9, 0xFFFF
numbers = itertools.count(1)


def happen(session: Session, name: str) -> None:
    """The guest rings, copies a text, and changes its title."""
    if name == "novnc":
        text = SECRET.encode()
        session.send(b"\x02")  # Bell
        session.send(struct.pack(">BxxxI", 3, len(text)) + text)  # ServerCutText
    else:
        session.send(b"\x07\x1b]52;c;" + base64.b64encode(SECRET.encode()) + b"\x07\x1b]0;top\x07")


def panels(framed: Framed, who: str) -> tuple[str, dict[str, str]]:
    """Returns the origin of a panel, and what its link has for it."""
    more = {"named": {"panel": framed.other}, "another is named": {"panel": "https://panel.example.com"}}
    return framed.own if who == "own" else framed.other, more.get(who, {})


ALLOWED = ["own", "named"]
NOT_ALLOWED = ["not named", "another is named"]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("who", ALLOWED)
def test_what_an_allowed_panel_hears(browser: webdriver.Remote, framed: Framed, name: str, who: str) -> None:
    origin, more = panels(framed, who)
    framed.open(browser, origin, framed.link(name, **more))
    wait_told(browser, "connected")
    happen(framed.proxxy.sessions[0], name)
    wait_told(browser, "bell")
    assert wait_told(browser, "clipboard")["text"] == SECRET
    assert wait_told(browser, "title")["title"] == ("top" if name == "xterm" else "recorder")
    assert 0 <= wait_told(browser, "latency")["milliseconds"] < PAGE_SECONDS * 1000
    framed.proxxy.sessions[0].end(1000, "Console closed")
    assert wait_told(browser, "closed") == {"type": "proxxy:closed", "code": 1000, "reason": "Console closed"}
    assert SEALED not in json.dumps(heard(browser))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("who", NOT_ALLOWED)
def test_what_another_panel_hears(browser: webdriver.Remote, framed: Framed, name: str, who: str) -> None:
    origin, more = panels(framed, who)
    framed.open(browser, origin, framed.link(name, **more))
    wait_told(browser, "connected")
    happen(framed.proxxy.sessions[0], name)
    time.sleep(6)  # a latency is measured, too
    framed.proxxy.sessions[0].end(1000, "Console closed")
    wait_told(browser, "closed")
    assert [message["type"] for message in heard(browser)] == ["proxxy:connected", "proxxy:closed"]


# --- commands ---------------------------------------------------------------------------------


def send(browser: webdriver.Remote, **message: Any) -> None:
    script = "document.getElementById('frame').contentWindow.postMessage(arguments[0], '*')"
    browser.execute_script(script, {"type": "proxxy:command", **message})


def command(browser: webdriver.Remote, name: str, **more: Any) -> dict[str, Any]:
    """Sends a command, and returns its result."""
    id = next(numbers)
    send(browser, command=name, id=id, **more)
    results = lambda: [result for result in told(browser, "result") if result["id"] == id]  # noqa: E731
    return wait_for(results, PAGE_SECONDS, lambda: f"no result: {heard(browser)}")[0]


def keysyms(session: Session) -> list[int]:
    pressed = [struct.unpack(">xBxxI", message) for message in messages(session).get(b"\x04", [])]
    return [keysym for down, keysym in pressed if down]


@pytest.mark.parametrize("who", ALLOWED)
def test_commands_to_a_screen(browser: webdriver.Remote, framed: Framed, who: str) -> None:
    origin, more = panels(framed, who)
    framed.open(browser, origin, framed.link(**more))
    wait_told(browser, "connected")
    session = framed.proxxy.sessions[0]
    assert "error" not in command(browser, "type", text="ls -l")
    wait_for(lambda: keys(session) == "ls -l", PAGE_SECONDS, "no keys came")
    command(browser, "sendKeys", keys=["Control", "c"])
    command(browser, "ctrlAltDel")
    wait_for(lambda: keysyms(session)[5:] == [CONTROL, ord("c"), CONTROL, ALT, DELETE], PAGE_SECONDS, "no keys came")
    command(browser, "paste", text="copied")
    cut_text = lambda: b"".join(messages(session).get(b"\x06", []))  # noqa: E731
    wait_for(lambda: cut_text().endswith(b"copied"), PAGE_SECONDS, "no text came")
    command(browser, "screenshot")
    size = "return heard.find(({ command }) => command === 'screenshot').value.size"
    assert browser.execute_script(size) > 1000
    options = {"scaling": "actual", "label": "Mail", "bar": "none", "lang": "de", "theme": "light"}
    command(browser, "set", options=options)
    command(browser, "disconnect")
    assert wait_told(browser, "closed")["code"] == 1000
    assert command(browser, "connect")["value"] is True
    wait_told(browser, "connected", 2)
    browser.switch_to.frame("frame")
    attributes = "return arguments[0].map((name) => document.querySelector('proxxy-console').getAttribute(name))"
    assert browser.execute_script(attributes, list(options)) == list(options.values())
    browser.switch_to.default_content()
    command(browser, "fit")
    browser.switch_to.frame("frame")
    assert browser.execute_script(attributes, ["scaling"]) == ["fit"]


@pytest.mark.parametrize("who", ALLOWED)
def test_commands_to_a_terminal(browser: webdriver.Remote, framed: Framed, who: str) -> None:
    origin, more = panels(framed, who)
    framed.open(browser, origin, framed.link("xterm", **more))
    wait_told(browser, "connected")
    command(browser, "paste", text="a")
    command(browser, "type", text="b\n")
    command(browser, "sendKeys", keys=["Control", "c"])
    wait_for(lambda: typed(framed.proxxy.sessions[0]) == "ab\r\x03", PAGE_SECONDS, "no text came")
    command(browser, "set", options={"fontSize": 20})
    browser.switch_to.frame("frame")
    assert browser.execute_script("return document.querySelector('proxxy-console').fontSize") == 20


def test_panel_gives_the_console_the_keys(browser: webdriver.Remote, framed: Framed) -> None:
    """Although a field of the panel has them, from which the console alone takes nothing."""
    framed.open(browser, framed.own, framed.link(), FIELD)
    wait_told(browser, "connected")
    assert browser.execute_script("return document.activeElement.id") == "field"
    command(browser, "focus")
    assert browser.execute_script("return document.activeElement.id") == "frame"
    browser.switch_to.frame("frame")
    assert has_focus(browser)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"command": "reload"}, "There is no command reload"),
    "of every object": ({"command": "constructor"}, "There is no command constructor"),
    "without a text": ({"command": "type"}, "The command has no text"),
    "with another text": ({"command": "paste", "text": {"toString": 1}}, "The command has no text"),
    "with other keys": ({"command": "sendKeys", "keys": "Enter"}, "The command has no keys"),
    "for a secret": ({"command": "set", "options": {"payload": "another"}}, "There is no setting payload"),
    "for another server": ({"command": "set", "options": {"websocket": "https://example.com"}},
                           "There is no setting websocket"),
    "for another address": ({"command": "set", "options": {"again": "https://example.com"}},
                            "There is no setting again"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_commands(browser: webdriver.Remote, framed: Framed, wrong: str) -> None:
    message, error = WRONG[wrong]
    framed.open(browser, framed.own, framed.link())
    wait_told(browser, "connected")
    send(browser, **message, id="wrong")
    assert wait_told(browser, "result")["error"] == error
    assert framed.sessions == 1


PLAIN = ("ctrlAltDel", "fit", "fullScreen", "screenshot", "focus", "connect", "disconnect")
COMMANDS: list[dict[str, Any]] = [
    {"command": "type", "text": "rm -rf /"},
    {"command": "paste", "text": "text"},
    {"command": "sendKeys", "keys": ["Enter"]},
    *({"command": name} for name in PLAIN),
    {"command": "set", "options": {"label": "Mail", "viewOnly": True}},
]


@pytest.mark.parametrize("who", NOT_ALLOWED)
def test_commands_of_another_panel(browser: webdriver.Remote, framed: Framed, who: str) -> None:
    """Nothing is done, nothing is answered."""
    origin, more = panels(framed, who)
    framed.open(browser, origin, framed.link(**more), FIELD)
    wait_told(browser, "connected")
    for id, each in enumerate(COMMANDS):
        send(browser, **each, id=id)
    time.sleep(1.0)
    assert [message["type"] for message in heard(browser)] == ["proxxy:connected"]
    assert browser.execute_script("return document.activeElement.id") == "field"
    assert not {b"\x04", b"\x06"} & set(messages(framed.proxxy.sessions[0]))  # KeyEvent, ClientCutText
    browser.switch_to.frame("frame")
    wait_state(browser, "connected")
    element = "const element = document.querySelector('proxxy-console'); return [element.label, element.viewOnly]"
    assert browser.execute_script(element) == ["VM 100", False]


def test_link_takes_the_permission_back(browser: webdriver.Remote, framed: Framed) -> None:
    """The next link of the same page names no panel."""
    framed.open(browser, framed.other, framed.link(panel=framed.other))
    wait_told(browser, "connected")
    assert "error" not in command(browser, "fit")
    browser.execute_script("document.getElementById('frame').src = arguments[0]", framed.link())
    wait_told(browser, "connected", 2)
    before = len(told(browser, "result"))
    send(browser, command="fit", id="late")
    time.sleep(0.5)
    assert len(told(browser, "result")) == before


def test_window_that_a_panel_opened(browser: webdriver.Remote, framed: Framed) -> None:
    browser.get(f"{framed.own}/panel")
    browser.execute_script("window.heard = []; addEventListener('message', ({ data }) => heard.push(data))")
    browser.execute_script("window.shown = open(arguments[0])", framed.link())
    wait_told(browser, "connected")
    browser.execute_script("shown.postMessage({ type: 'proxxy:command', command: 'type', text: 'hi', id: 1 }, '*')")
    wait_told(browser, "result")
    wait_for(lambda: keys(framed.proxxy.sessions[0]) == "hi", PAGE_SECONDS, "no keys came")
    browser.execute_script("shown.close()")
    wait_for(lambda: len(browser.window_handles) == 1, PAGE_SECONDS, "the window stays")
