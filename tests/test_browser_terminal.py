# SPDX-License-Identifier: Apache-2.0
"""The terminal in Chromium and Firefox, with a guest that shows what a test says and keeps what it gets."""

from __future__ import annotations

import base64
import ctypes
import locale
import os
import re
import signal
import time
from contextlib import contextmanager
from typing import Any, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from lib.activator import Activator
from lib.browser import chromium
from lib.console_pages import PAGE_SECONDS, Site
from lib.other_browsers import firefox
from lib.process import wait_for
from lib.scripted_terminal import ScriptedTerminal
from lib.terminal_pages import WATCH, Page
from lib.web import Nginx

pytest_plugins = "lib.console_pages"

SCRIPTED = 112  # vmid
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def web(relay: Activator) -> Iterator[Nginx]:
    """One web server is enough here."""
    with Nginx(relay.port) as nginx:
        yield nginx


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def window(request: pytest.FixtureRequest) -> Iterator[webdriver.Remote]:
    with chromium(1100, 800) if request.param == "chromium" else firefox() as window:
        yield window


@pytest.fixture
def terminal(site: Site) -> ScriptedTerminal:
    terminal = ScriptedTerminal()
    site.standin.add("lxc", SCRIPTED, terminal.connect)
    return terminal


@pytest.fixture
def page(window: webdriver.Remote, site: Site, terminal: ScriptedTerminal) -> Iterator[Page]:
    yield from opened(window, site, terminal)


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Remote]:
    with chromium(1100, 800) as window:
        yield window


@pytest.fixture
def chrome_page(chrome: webdriver.Remote, site: Site, terminal: ScriptedTerminal) -> Iterator[Page]:
    yield from opened(chrome, site, terminal)


def opened(browser: webdriver.Remote, site: Site, terminal: ScriptedTerminal) -> Iterator[Page]:
    browser.get("about:blank")
    browser.get(site.url + site.backend.terminal("lxc", SCRIPTED))
    terminal.say("ready\r\n")
    page = Page(browser)
    page.wait_shown("ready")
    wait_for(lambda: terminal.sizes, PAGE_SECONDS, "no size")
    page.element("element.focus()")
    yield page
    browser.get("about:blank")


def told(page: Page, name: str) -> list[Any]:
    return page.browser.execute_script("return told.filter(([each]) => each === arguments[0])", name)


def test_characters_and_keys(page: Page, terminal: ScriptedTerminal) -> None:
    assert terminal.sizes and terminal.sizes[0][0] > 80
    terminal.say(b"caf\xc3")
    terminal.say(b"\xa9 \xe2\x94\x80\r\n")
    page.wait_shown("café ─")
    page.press("a", "é", Keys.ENTER, Keys.ARROW_UP, Keys.F5)
    terminal.wait_heard("aé\r\x1b[A\x1b[15~")
    page.press(Keys.CONTROL, "c")
    terminal.wait_heard("\x03")


def test_keys_by_their_names(page: Page, terminal: ScriptedTerminal) -> None:
    page.element("element.sendKeys(['ArrowUp']); element.sendKeys(['Control', 'Alt', 'Delete'])")
    terminal.wait_heard("\x1b[A\x1b[3;7~")
    terminal.say("\x1b[?1hasked")
    page.wait_shown("asked")
    page.element("element.sendKeys(['ArrowUp']); element.sendKeys(['Control', 'd'])")
    terminal.wait_heard("\x1bOA\x04")


def test_copy_and_paste_with_the_usual_keys(page: Page, terminal: ScriptedTerminal) -> None:
    terminal.say("alpha beta gamma\x1b[?2004h\r\n")
    page.wait_shown("gamma")
    page.click(8, 1, terminal.sizes[-1], times=2)
    page.press(Keys.CONTROL, Keys.SHIFT, "c")
    page.press(Keys.CONTROL, Keys.SHIFT, "v")
    terminal.wait_heard("\x1b[200~beta\x1b[201~")


def test_nothing_is_copied_by_selecting(page: Page, terminal: ScriptedTerminal) -> None:
    terminal.say("alpha beta\r\n")
    page.wait_shown("beta")
    page.click(2, 1, terminal.sizes[-1], times=2)
    page.press(Keys.CONTROL, Keys.SHIFT, "c")
    page.click(8, 1, terminal.sizes[-1], times=2)
    page.press(Keys.CONTROL, Keys.SHIFT, "v")
    terminal.wait_heard("alpha")


def test_a_program_pastes_in_brackets(page: Page, terminal: ScriptedTerminal) -> None:
    page.element("element.paste('a\\nb')")
    terminal.wait_heard("a\rb")
    terminal.say("\x1b[?2004hasked")
    page.wait_shown("asked")
    page.element("element.paste('a\\nb')")
    terminal.wait_heard("\x1b[200~a\rb\x1b[201~")


def test_pasted_text_cannot_end_the_paste(page: Page, terminal: ScriptedTerminal) -> None:
    """A web page can hide such a sequence in what a user copies from it; the shell would run what follows."""
    terminal.say("\x1b[?2004hasked")
    page.wait_shown("asked")
    page.element("element.paste('a\\u001b[201~b\\n')")
    terminal.wait_heard("\x1b[200~a[201~b\r\x1b[201~")


TEXTS = ["aé", "e\u0301", "中文", "한글", "ｱＡ", "─█", "ที่", "नमस्ते", "שָׁלוֹם"]
TEXTS += ["😀", "🥲", "✅", "👍🏽", "👨‍👩‍👧", "🇩🇪", "❤\ufe0f"]


def test_widths_are_those_of_the_guests_programs(page: Page, terminal: ScriptedTerminal) -> None:
    """wcwidth() of the C library is what shells and editors use."""
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    library = ctypes.CDLL(None)
    for text in TEXTS:
        terminal.say(f"\r\x1b[K{text}\x1b[6n")
        wait_for(lambda: "R" in "".join(terminal.inputs), PAGE_SECONDS, text)
        found = re.search(r"\x1b\[\d+;(\d+)R", terminal.heard())
        assert found and int(found[1]) - 1 == library.wcswidth(ctypes.c_wchar_p(text), len(text)), text


def test_view_only_sends_nothing(page: Page, terminal: ScriptedTerminal) -> None:
    page.element("element.viewOnly = true; element.paste('b'); element.sendKeys(['c'])")
    page.press("a")
    page.element("element.viewOnly = false; element.focus()")
    page.press("d")
    terminal.wait_heard("d")


def test_colours_are_the_pages(page: Page, terminal: ScriptedTerminal) -> None:
    page.element("element.style.setProperty('--proxxy-terminal-background', 'hsl(210 65% 20%)')")
    colour = "return getComputedStyle(root.querySelector(values[0])).backgroundColor"
    for part in (".terminal-frame", ".xterm-scrollable-element"):
        wait_for(lambda: page.element(colour, part) == "rgb(18, 51, 84)", PAGE_SECONDS, page.element(colour, part))


def test_font_size_changes_the_number_of_columns(page: Page, terminal: ScriptedTerminal) -> None:
    before = terminal.sizes[-1]
    page.element("element.fontSize = 30")
    wait_for(lambda: terminal.sizes[-1][0] < before[0] * 0.6, PAGE_SECONDS, lambda: f"{terminal.sizes}")
    page.element("element.style.display = 'none'")
    page.element("element.fontSize = 15; element.style.display = 'block'")
    wait_for(lambda: terminal.sizes[-1] == before, PAGE_SECONDS, lambda: f"{terminal.sizes}")


def test_screen_reader(page: Page, terminal: ScriptedTerminal) -> None:
    tree = "return root.querySelector('.xterm-accessibility-tree')?.textContent.replace(/\\u00a0/g, ' ') ?? ''"
    assert page.element(tree) == ""
    assert page.element("return root.querySelector('textarea').getAttribute('aria-label')") == "Terminal"
    page.element("element.screenReader = true")
    terminal.say("for your ears\r\n")
    wait_for(lambda: "for your ears" in page.element(tree), PAGE_SECONDS, lambda: page.element(tree))
    page.element("element.screenReader = false")
    assert page.element(tree) == ""


# --- in Chromium, which lets a test listen to the page's events -------------------------------------


def test_title_bell_and_clipboard(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    page = chrome_page
    page.element(WATCH)
    copied = base64.b64encode("größer".encode()).decode()
    terminal.say(f"\x1b]0;a title\x07\x07\x07\x1b]52;c;{copied}\x07\x1b]52;c;?\x07\x1b]52;c;!\x07done")
    page.wait_shown("done")
    assert told(page, "consoletitle") == [["consoletitle", {"title": "a title"}]]
    assert told(page, "clipboard") == [["clipboard", {"text": "größer"}]]
    assert told(page, "bell") == [["bell", None]]
    page.press("x")
    terminal.wait_heard("x")  # and no answer to the question for our clipboard


def test_text_that_the_browser_pastes_cannot_end_the_paste(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    terminal.say("\x1b[?2004hasked")
    chrome_page.wait_shown("asked")
    chrome_page.element(
        "const clipboardData = new DataTransfer(); clipboardData.setData('text/plain', 'c\\u001b[201~d\\n');"
        "root.querySelector('.xterm-helper-textarea').dispatchEvent("
        "new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true, composed: true }))"
    )
    terminal.wait_heard("\x1b[200~c[201~d\r\x1b[201~")


def test_flood_of_titles_and_copies_does_not_reach_the_panel(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    """The first one comes at once, then the last one."""
    page = chrome_page
    page.element(WATCH)
    copied = [base64.b64encode(f"text {number}".encode()).decode() for number in range(1000)]
    flood = "".join(f"\x1b]0;title {number}\x07\x1b]52;c;{text}\x07" for number, text in enumerate(copied))
    terminal.say(f"{flood}\x1b]0;{'x' * 300}\x07done")
    page.wait_shown("done")
    wait_for(lambda: told(page, "consoletitle")[-1][1] == {"title": "x" * 200}, PAGE_SECONDS, "the last one is missing")
    wait_for(lambda: told(page, "clipboard")[-1][1] == {"text": "text 999"}, PAGE_SECONDS, "the last one is missing")
    assert len(told(page, "consoletitle")) < 10 and len(told(page, "clipboard")) < 10


def test_links(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    page = chrome_page
    page.browser.execute_script("window.opened = []; window.open = (...values) => void opened.push(values)")
    bad = "\x1b]8;;javascript:alert(1)\x1b\\bad\x1b]8;;\x1b\\"
    good = "\x1b]8;;http://good.test/\x1b\\good\x1b]8;;\x1b\\"
    terminal.say(f"https://a.test/b {bad} {good}\r\n")
    page.wait_shown("good")
    size = terminal.sizes[-1]
    page.click(5, 1, size)
    for column in (5, 18, 22):
        page.click(column, 1, size, key=Keys.CONTROL)
    features = ["_blank", "noopener,noreferrer"]
    wanted = [["https://a.test/b", *features], ["http://good.test/", *features]]
    wait_for(lambda: len(page.browser.execute_script("return opened")) >= 2, PAGE_SECONDS, "not opened")
    assert page.browser.execute_script("return opened") == wanted
    assert page.element("return root.querySelector('.terminal-frame').title") == "http://good.test/"


TEXT = "".join(chr(33 + i % 90) for i in range(2000)) + "\nsecond line\n"


def test_a_long_text_is_typed_behind_its_echo(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    terminal.echo = True
    script = """
        window.seen = [];
        element.type(values[0], { progress: (done) => seen.push(done) }).then(() => seen.push("end"));
    """
    chrome_page.element(script, TEXT)
    wait_for(lambda: chrome_page.browser.execute_script("return seen.at(-1)") == "end", PAGE_SECONDS, "not typed")
    assert max(map(len, terminal.inputs)) == 256
    terminal.wait_heard(TEXT.replace("\n", "\r"))
    seen = chrome_page.browser.execute_script("return seen")
    assert seen[0] == 0 and seen[-2] == len(TEXT) and len(seen) > 8


def test_typing_can_be_stopped(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    script = """
        const stop = new AbortController();
        const progress = (done) => done > 300 && stop.abort();
        element.type(values[0], { progress, signal: stop.signal }).catch((error) => (window.stopped = error.name));
    """
    chrome_page.element(script, TEXT)
    wait_for(lambda: chrome_page.browser.execute_script("return window.stopped") == "AbortError", PAGE_SECONDS, "")
    assert terminal.heard() == TEXT[:512]
    chrome_page.press("x")
    terminal.wait_heard("x")


def test_picture(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    terminal.say("\x1b[41m red \x1b[0m 中 \x1b[38;5;208morange\x1b[0m end\r\n")
    chrome_page.wait_shown("end")
    script = """
        element.screenshot().then((blob) => {
            const reader = new FileReader();
            reader.onload = () => (window.picture = reader.result);
            reader.readAsDataURL(blob);
        });
    """
    chrome_page.element(script)
    wait_for(lambda: chrome_page.browser.execute_script("return window.picture"), PAGE_SECONDS, "no picture")
    data = base64.b64decode(chrome_page.browser.execute_script("return picture").partition(",")[2])
    assert data.startswith(PNG)
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 600 and height > 300 and len(data) > 1000


def emulate_motion(browser: webdriver.Remote, value: str) -> None:
    browser.command_executor._commands["cdp"] = ("POST", "/session/$sessionId/goog/cdp/execute")
    features = [{"name": "prefers-reduced-motion", "value": value}]
    browser.execute("cdp", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})


def test_cursor_is_still_for_who_wants_no_motion(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    blinks = "return root.querySelector('.xterm-cursor-blink') !== null"
    wait_for(lambda: chrome_page.element(blinks), PAGE_SECONDS, "no blinking")
    emulate_motion(chrome_page.browser, "reduce")
    wait_for(lambda: not chrome_page.element(blinks), PAGE_SECONDS, "blinking")
    emulate_motion(chrome_page.browser, "")


def test_zoom_is_the_browsers(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    terminal.say("line\r\n" * 200 + "end")
    chrome_page.wait_shown("end")
    script = """
        const wheel = (ctrlKey) => {
            const wheel = { deltaY: -200, wheelDeltaY: 400, ctrlKey, bubbles: true, cancelable: true, composed: true };
            const event = new WheelEvent("wheel", wheel);
            root.querySelector(".xterm-screen").dispatchEvent(event);
            return event.defaultPrevented;
        };
        return [wheel(true), wheel(false)];
    """
    assert chrome_page.element(script) == [False, True]


PHONES_KEY = """
    const field = root.querySelector("textarea");
    const seen = { bubbles: true, composed: true };
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Unidentified", keyCode: 229, ...seen }));
    field.value += "c";
    field.dispatchEvent(new InputEvent("input", { data: "c", inputType: "insertText", ...seen }));
"""


def test_modifier_of_the_extra_keys_with_a_phones_keyboard(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    """A phone's keyboard tells of a key, but not of which; xterm.js looks later for what it changed."""
    chrome_page.element("root.querySelector('.extra [data-key=Control]').click()")
    chrome_page.element(PHONES_KEY)
    terminal.wait_heard("\x03")
    chrome_page.press("d")
    terminal.wait_heard("d")


CARD = """
    const real = WebGL2RenderingContext.prototype.getParameter;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
        return name === 0x9246 || name === 0x1f01 ? "A graphics card" : real.call(this, name);
    };
    element.screenReader = true;
    element.screenReader = false;
"""
LOSE = """
    const context = [...root.querySelectorAll("canvas")].map((each) => each.getContext("webgl2")).find(Boolean);
    context.getExtension("WEBGL_lose_context").loseContext();
"""


def test_a_graphics_card_that_is_lost(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    count = "return root.querySelectorAll('.xterm canvas').length"
    assert chrome_page.element(count) == 0  # WebGL is computed here, which is slower than HTML
    chrome_page.element(CARD)
    wait_for(lambda: chrome_page.element(count) > 0, PAGE_SECONDS, "no WebGL")
    chrome_page.element(LOSE)
    wait_for(lambda: chrome_page.element(count) == 0, PAGE_SECONDS, "still WebGL")
    terminal.say("as before\r\n")
    chrome_page.wait_shown("as before")


def test_latency_is_measured(chrome_page: Page, terminal: ScriptedTerminal) -> None:
    chrome_page.element(WATCH)
    chrome_page.press("a")
    wait_for(lambda: told(chrome_page, "latency"), PAGE_SECONDS, "no latency")
    assert 0 <= told(chrome_page, "latency")[0][1]["milliseconds"] < 4000


@contextmanager
def silent(web: Nginx) -> Iterator[None]:
    """The web server answers nothing and closes nothing, as a network that is gone."""
    group = os.getpgid(web._process.pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def test_a_network_that_is_gone_is_noticed(chrome_page: Page, terminal: ScriptedTerminal, web: Nginx) -> None:
    chrome_page.element(WATCH)
    chrome_page.press("a")
    wait_for(lambda: told(chrome_page, "latency"), PAGE_SECONDS, "no latency")
    assert chrome_page.element("return element.state") == "connected"
    with silent(web):
        began = time.monotonic()
        chrome_page.press("b")
        wait_for(lambda: chrome_page.element("return element.state") != "connected", PAGE_SECONDS, "still connected")
        assert time.monotonic() - began < 10
        chrome_page.press("c")
    wait_for(lambda: "b" in "".join(terminal.inputs), PAGE_SECONDS, "b was on its way")
    time.sleep(1)
    assert terminal.heard() == "ab"
