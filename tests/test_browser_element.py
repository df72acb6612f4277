# SPDX-License-Identifier: Apache-2.0
"""<proxxy-console> in a panel's own page, in Chromium: the npm package, as a page without a bundler imports it."""

from __future__ import annotations

import base64
import json
import struct
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lib.browser import chromium
from lib.element_site import ElementSite, pack, unpack
from lib.late_proxxy import HEIGHT, SEALED, WIDTH, LateProxxy, Session, keys, messages, screen, terminal, typed
from lib.process import wait_for
from lib.web import SITE

SECONDS = 30.0
SHORT = 1.0  # for what must not happen
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Panel</title>
<link rel="icon" href="data:,">
<style>
html, body { height: 100%; margin: 0; }
proxxy-console { height: 400px; }
</style>
<input id="field">
"""
ELEMENT = '<proxxy-console id="one" websocket="/console/ws" lang="en"></proxxy-console>'
IMPORT = '<script type="module">import "/proxxy/index.js"; window.ready = true;</script>'
WATCH = """
    window.told = [];
    const names = ["state", "connected", "reconnecting", "closed", "again", "leave"];
    for (const name of [...names, "clipboard", "bell", "latency", "consoletitle"]) {
        one.addEventListener(name, ({ detail }) => told.push([name, detail]));
        document.addEventListener(name, () => told.push([name, "bubbles"]));
    }
"""
FRAME = """
    window.heard = [];
    addEventListener("message", ({ data }) => heard.push(data));
    const frame = document.createElement("iframe");
    frame.id = "frame";
    frame.src = arguments[0];
    document.body.append(frame);
"""
COMMAND = "document.querySelector('#frame').contentWindow.postMessage(arguments[0], '*')"


class Panel:
    """The panel's page in the browser, and what is behind it. Scripts have the element with the id "one" in "one"."""

    def __init__(self, browser: webdriver.Remote, site: ElementSite, proxxy: LateProxxy) -> None:
        self.browser, self.site, self.proxxy = browser, site, proxxy

    def open(self, body: str = ELEMENT + IMPORT, host: str = "127.0.0.1") -> None:
        self.site.pages["/panel"] = PAGE + body
        self.browser.get(f"http://{host}:{self.site.port}/panel")
        wait_for(lambda: self.browser.execute_script("return window.ready"), SECONDS, "no module")

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(script, *values)

    def wait(self, condition: str) -> None:
        wait_for(lambda: self.run(f"return {condition}"), SECONDS, f"not {condition}")

    def connect(self, **properties: Any) -> Session:
        """Opens a console, and returns its session."""
        script = "Object.assign(one, { payload: arguments[0], ...arguments[1] })"
        self.run(script, SEALED + str(len(self.proxxy.sessions)), properties)
        self.wait("one.state === 'connected'")
        return self.proxxy.sessions[-1]

    def told(self, *names: str) -> list[Any]:
        """What events of these names had, after WATCH."""
        return [detail for name, detail in self.run("return told") if name in names]

    def part(self, selector: str) -> Any:
        return self.run("return one.shadowRoot.querySelector(arguments[0])", selector)

    def press(self, *pressed: str) -> None:
        ActionChains(self.browser).send_keys(*pressed).perform()


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's modules."""
    place = tmp_path_factory.mktemp("package")
    return unpack(pack(place), place) / "dist" / "npm"


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Remote]:
    with chromium(1000, 900) as window:
        yield window


@pytest.fixture
def panel(window: webdriver.Remote, npm: Path) -> Iterator[Panel]:
    folders = {"/proxxy/": npm, "/console/": Path(SITE)}
    with LateProxxy() as proxxy, ElementSite(proxxy.port, folders) as site:
        window.get_log("browser")
        yield Panel(window, site, proxxy)
        window.get("about:blank")
    said = [entry["message"] for entry in window.get_log("browser") if entry["source"] != "console-api"]
    assert [message for message in said if "/console/ws" not in message] == []


def wait_typed(session: Session, text: str) -> None:
    wait_for(lambda: keys(session) == text, SECONDS, lambda: f"{keys(session)!r}, not {text!r}")


def stays(condition: Callable[[], bool], seconds: float = SHORT) -> bool:
    """Whether it holds for that long."""
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


# --- an element's life ------------------------------------------------------------------------


def test_two_elements_have_a_session_each(panel: Panel) -> None:
    panel.open(ELEMENT + ELEMENT.replace("one", "two") + IMPORT)
    first = panel.connect()
    panel.run("two.payload = arguments[0]", SEALED)
    panel.wait("two.state === 'connected'")
    second = panel.proxxy.sessions[1]
    panel.run("one.type('first'); two.type('second')")
    wait_typed(first, "first")
    wait_typed(second, "second")
    panel.run("two.remove()")
    wait_for(lambda: second.ended, SECONDS, "the session goes on")
    assert panel.run("return one.state") == "connected" and not first.ended
    panel.run("one.payload = ''")
    wait_for(lambda: first.ended, SECONDS, "the session goes on")
    assert len(panel.proxxy.sessions) == 2


def test_element_that_is_moved_opens_its_console_again(panel: Panel) -> None:
    panel.open()
    first = panel.connect()
    panel.run("document.body.append(one)")
    wait_for(lambda: first.ended and len(panel.proxxy.sessions) == 2, SECONDS, "no other session")
    panel.wait("one.state === 'connected'")


def test_properties_from_before_the_definition(panel: Panel) -> None:
    early = f"<script>Object.assign(one, {{ payload: {SEALED!r}, viewOnly: true, label: 'VM 7' }})</script>"
    panel.open(ELEMENT + early + IMPORT)
    panel.wait("one.state === 'connected'")
    assert panel.run("return Object.keys(one)") == []
    assert panel.run("return one.viewOnly && one.getAttribute('label')") == "VM 7"
    assert SEALED not in panel.run("return document.body.querySelector('proxxy-console').outerHTML")
    assert len(panel.proxxy.sessions) == 1


def test_page_that_is_left_ends_the_session_and_back_opens_it(panel: Panel) -> None:
    panel.open()
    session = panel.connect()
    panel.site.pages["/other"] = PAGE
    panel.browser.get(f"{panel.site.url}/other")
    wait_for(lambda: session.ended, SECONDS, "the session goes on")
    panel.browser.back()
    if panel.run("return window.ready && one.payload !== ''"):  # else the browser did not keep the page
        panel.wait("one.state === 'connected'")
        assert len(panel.proxxy.sessions) == 2


def test_focus_is_not_taken_from_the_panel(panel: Panel) -> None:
    panel.open()
    panel.run("field.focus()")
    panel.connect()
    panel.press("abc")
    assert panel.run("return document.activeElement.id + field.value") == "fieldabc"
    panel.run("one.focus()")
    panel.press("d")
    wait_typed(panel.proxxy.sessions[0], "d")
    panel.run("one.blur(); one.payload = ''")
    panel.connect()
    panel.wait("document.activeElement === one")


def test_leaving_asks_after_input_into_a_terminal(panel: Panel) -> None:
    """Only in the window itself: a frame's panel knows better."""
    asks = "const event = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(event)"
    panel.proxxy.guest = terminal
    panel.open()
    panel.connect(type="term")
    assert not panel.run(asks)
    panel.run("one.focus()")
    panel.press("x")
    assert panel.run(asks)
    panel.run("one.disconnect()")
    panel.wait("one.state === 'ended'")
    assert not panel.run(asks)
    panel.proxxy.guest = screen
    panel.connect(type="vnc")
    panel.run("one.focus()")
    panel.press("x")
    assert not panel.run(asks)


def test_leaving_does_not_ask_in_a_frame(panel: Panel) -> None:
    panel.proxxy.guest = terminal
    panel.open(IMPORT)
    panel.site.pages["/inner"] = PAGE + ELEMENT + IMPORT
    panel.run(FRAME, "/inner")
    panel.browser.switch_to.frame("frame")
    wait_for(lambda: panel.run("return window.ready"), SECONDS, "no module")
    panel.connect(type="term")
    panel.run("one.type('x')")
    wait_for(lambda: typed(panel.proxxy.sessions[0]) == "x", SECONDS, "nothing typed")
    assert panel.run("return dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    panel.browser.switch_to.default_content()


# --- attributes, methods, events --------------------------------------------------------------


def test_attributes_change_while_a_console_is_shown(panel: Panel) -> None:
    panel.open()
    session = panel.connect()
    panel.run("one.setAttribute('view-only', ''); one.focus()")
    panel.press("a")
    assert stays(lambda: keys(session) == "")
    panel.run("one.viewOnly = false")
    panel.press("b")
    wait_typed(session, "b")
    panel.run("one.style.height = '200px'; one.bar = 'none'")
    assert not panel.part(".bar").is_displayed()
    wait_for(lambda: panel.part("canvas").size["height"] <= 200, SECONDS, "the picture is too high")
    panel.run("one.scaling = 'actual'")
    wait_for(lambda: panel.part("canvas").size["height"] == HEIGHT, SECONDS, "the picture is still scaled")
    panel.run("one.fit()")
    wait_for(lambda: panel.part("canvas").size["height"] <= 200, SECONDS, "the picture is not scaled")
    assert panel.run("return one.getAttribute('scaling')") == "fit"
    panel.run("Object.assign(one, { bar: 'full', lang: 'de', label: 'Mail', theme: 'dark' })")
    panel.wait("one.shadowRoot.querySelector('.screen').ariaLabel === 'Bildschirm von Mail'")
    assert panel.part(".bar").is_displayed()
    dark = panel.part(".bar").value_of_css_property("background-color")
    panel.run("one.theme = 'light'")
    assert panel.part(".bar").value_of_css_property("background-color") != dark
    assert len(panel.proxxy.sessions) == 1 and not session.ended


def test_another_type_is_another_console(panel: Panel) -> None:
    panel.open()
    first = panel.connect()
    panel.proxxy.guest = terminal
    panel.run("one.setAttribute('type', 'term')")
    wait_for(lambda: first.ended and len(panel.proxxy.sessions) == 2, SECONDS, "no other session")
    panel.wait("one.text().includes('root@guest')")
    assert panel.run("return one.kind") == "term"


def test_methods(panel: Panel) -> None:
    panel.open()
    session = panel.connect()
    panel.browser.execute_async_script("one.type('ab c').then(arguments[0])")
    wait_typed(session, "ab c")
    wait_for(lambda: len(messages(session)[b"\x04"]) == 8, SECONDS, "a key is down")
    session.received.clear()
    panel.run("one.sendKeys(['Control', 'x']); one.ctrlAltDel(); one.paste('pasted')")
    wait_for(lambda: messages(session).get(b"\x06"), SECONDS, "nothing pasted")
    assert messages(session)[b"\x06"][0].endswith(b"pasted")
    pressed = [struct.unpack(">xBxxI", message) for message in messages(session)[b"\x04"]]
    assert [key for down, key in pressed if down] == [0xFFE3, ord("x"), 0xFFE3, 0xFFE9, 0xFFFF]
    assert [key for down, key in pressed if not down] == [ord("x"), 0xFFE3, 0xFFFF, 0xFFE9, 0xFFE3]
    script = """
        const [done] = arguments, reader = new FileReader();
        reader.onload = () => done(reader.result);
        one.screenshot().then((blob) => reader.readAsDataURL(blob));
    """
    kind, _, data = panel.browser.execute_async_script(script).partition(",")
    picture = base64.b64decode(data)
    assert kind == "data:image/png;base64" and struct.unpack(">II", picture[16:24]) == (WIDTH, HEIGHT)
    assert panel.run("return one.text()") == ""
    panel.run("one.disconnect()")
    panel.wait("one.state === 'ended'")
    rejected = "one.type('x').catch((error) => arguments[0](error.name))"
    assert panel.browser.execute_async_script(rejected) == "AbortError"
    assert panel.run("return one.connect()")
    panel.wait("one.state === 'connected'")
    assert len(panel.proxxy.sessions) == 2


def test_full_screen_follows_a_click(panel: Panel) -> None:
    panel.open(ELEMENT + "<button onclick='one.fullScreen()'>Full screen</button>" + IMPORT)
    panel.connect()
    button = panel.browser.find_element(By.TAG_NAME, "button")
    button.click()
    panel.wait("document.fullscreenElement === one")
    panel.run("one.fullScreen()")
    panel.wait("document.fullscreenElement === null")


def test_terminal_is_typed_and_read(panel: Panel) -> None:
    panel.proxxy.guest = terminal
    panel.open()
    session = panel.connect(type="term")
    panel.browser.execute_async_script("one.type('echo\\n').then(arguments[0])")
    panel.run("one.paste('more')")
    wait_for(lambda: typed(session) == "echo\rmore", SECONDS, lambda: typed(session))
    panel.wait("one.text().includes('more')")
    panel.run(WATCH)
    session.send(b"\x07\x1b]0;a title\x07")
    wait_for(lambda: panel.told("consoletitle"), SECONDS, "no title")
    assert panel.told("consoletitle") == [{"title": "a title"}] and panel.told("bell") == [None]
    panel.run("one.remove()")  # else it asks before the page is left


def test_modifier_of_the_extra_keys_can_be_locked(panel: Panel) -> None:
    """For a screen it goes up when it is let go; a terminal's keys are control characters until then."""
    panel.open()
    press = "for (const key of arguments) one.shadowRoot.querySelector(`[data-key=${key}]`).click()"
    session = panel.connect()
    panel.run("one.focus()")
    panel.run(press, "Control", "Control")
    panel.press("ab")
    panel.run(press, "Control")
    panel.press("c")
    down, up = [(1, 0xFFE3)], [(0, 0xFFE3)]
    stroke = lambda letter: [(1, ord(letter)), (0, ord(letter))]  # noqa: E731
    expected = down + stroke("a") + stroke("b") + up + stroke("c")
    sent = lambda: [struct.unpack(">xBxxI", message) for message in messages(session).get(b"\x04", [])]  # noqa: E731
    wait_for(lambda: sent() == expected, SECONDS, lambda: f"{sent()}")
    panel.proxxy.guest = terminal
    session = panel.connect(type="term")
    panel.run("one.focus()")
    panel.run(press, "Control", "Control")
    panel.press("ab")
    panel.browser.execute_async_script("one.type('c').then(arguments[0])")
    panel.press("d")
    panel.run(press, "Control")
    panel.press("e")
    wait_for(lambda: typed(session) == "\x01\x02c\x04e", SECONDS, lambda: repr(typed(session)))


def test_terminal_asks_beside_proxxys_address_whether_the_network_is_there(panel: Panel) -> None:
    panel.proxxy.guest = terminal
    panel.open()
    panel.connect(type="term")
    panel.run(WATCH)
    wait_for(lambda: panel.told("latency"), SECONDS, "no latency")
    assert set(panel.site.heads) == {"/console/favicon.svg"}


def test_events(panel: Panel) -> None:
    panel.open()
    panel.run(WATCH)
    session = panel.connect()
    session.send(b"\x02")
    session.send(b"\x03\0\0\0" + struct.pack(">I", 6) + b"copied")
    wait_for(lambda: panel.told("clipboard") and panel.told("latency"), SECONDS, "no clipboard, no latency")
    assert panel.told("clipboard") == [{"text": "copied"}] and panel.told("bell") == [None]
    assert panel.told("latency")[0].keys() == {"milliseconds"}
    session.end(1011, "")
    wait_for(lambda: panel.told("connected") == [None, None], SECONDS, "not connected again")
    [lost] = panel.told("reconnecting")
    assert (lost["code"], lost["reason"]) == (1011, "") and 500 <= lost["milliseconds"] <= 1000
    panel.proxxy.sessions[1].end(1008, "Payload has expired: exp was 61 s ago")
    wait_for(lambda: panel.told("closed"), SECONDS, "not closed")
    closed = {"code": 1008, "reason": "Payload has expired: exp was 61 s ago", "live": False}
    assert panel.told("closed") == [closed]
    panel.part("[data-choice=panel]").click()
    panel.part("[data-choice=close]").click()
    assert panel.told("again") == panel.told("leave") == [None]
    states = [detail["state"] for detail in panel.told("state")]
    assert states[-5:] == ["connecting", "connected", "reconnecting", "connected", "ended"]
    assert "bubbles" not in json.dumps(panel.run("return told"))


def test_again_goes_to_its_address_unless_prevented(panel: Panel) -> None:
    panel.open()
    panel.connect(again="/panel?again")
    panel.run("window.prevent = (event) => event.preventDefault(); one.addEventListener('again', prevent)")
    panel.proxxy.sessions[0].end(1008, "Payload has expired: exp was 61 s ago")
    panel.wait("one.state === 'ended'")
    panel.part("[data-choice=panel]").click()
    assert stays(lambda: "?" not in panel.browser.current_url)
    panel.run("one.removeEventListener('again', prevent)")
    panel.part("[data-choice=panel]").click()
    wait_for(lambda: panel.browser.current_url.endswith("/panel?again"), SECONDS, "nothing happens")


def test_again_runs_no_script(panel: Panel) -> None:
    panel.open()
    panel.connect(again="javascript:document.title = 'taken'")
    panel.proxxy.sessions[0].end(1008, "Payload has expired: exp was 61 s ago")
    panel.wait("one.state === 'ended'")
    panel.part("[data-choice=panel]").click()
    assert stays(lambda: panel.browser.title != "taken")


# --- without a bar ----------------------------------------------------------------------------


def test_way_out_of_the_screen_without_a_bar(panel: Panel) -> None:
    panel.open(ELEMENT + "<button>Next</button>" + IMPORT)
    panel.connect(bar="none")
    panel.run("one.focus()")
    chain = ActionChains(panel.browser)
    for key in (Keys.CONTROL, Keys.ALT, Keys.SHIFT):
        chain.key_down(key)
    for key in (Keys.CONTROL, Keys.ALT, Keys.SHIFT):
        chain.key_up(key)
    chain.perform()
    panel.wait("document.activeElement !== one")
    panel.press(Keys.TAB)
    panel.wait("document.activeElement.textContent === 'Next'")


# --- commands of a panel that has the page in a frame -----------------------------------------


@pytest.mark.parametrize("allowed", [True, False])
def test_commands_from_another_origin(panel: Panel, allowed: bool) -> None:
    """Only an origin that the link names may command, and is told what the guest copied."""
    panel.open(IMPORT, host="localhost")
    origin = f"http://localhost:{panel.site.port}" if allowed else "https://other.example"
    panel.run(FRAME, panel.site.url + panel.proxxy.link(panel=origin))
    heard = lambda kind: [one for one in panel.run("return heard") if one["type"] == f"proxxy:{kind}"]  # noqa: E731
    wait_for(lambda: heard("connected"), SECONDS, "not connected")
    [session] = panel.proxxy.sessions
    session.send(b"\x03\0\0\0" + struct.pack(">I", 6) + b"copied")
    panel.run(COMMAND, {"type": "proxxy:command", "command": "type", "text": "typed", "id": 7})
    if not allowed:
        assert stays(lambda: not keys(session) and not heard("clipboard") and not heard("result"), 2 * SHORT)
        return
    wait_typed(session, "typed")
    wait_for(lambda: heard("result"), SECONDS, "no result")
    assert heard("result") == [{"type": "proxxy:result", "command": "type", "id": 7, "value": None}]
    assert heard("clipboard") == [{"type": "proxxy:clipboard", "text": "copied"}]
    panel.run(COMMAND, {"type": "proxxy:command", "command": "set", "options": {"payload": "x"}, "id": 8})
    wait_for(lambda: heard("result")[1:], SECONDS, "no result")
    assert heard("result")[1]["error"] == "There is no setting payload"
    panel.run(COMMAND, {"type": "proxxy:command", "command": "disconnect"})
    wait_for(lambda: heard("closed"), SECONDS, "not closed")
