# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium: what a link asks for besides its console."""

from __future__ import annotations

import json
import time

import pytest
from selenium import webdriver

from lib.activator import TREE
from lib.console_pages import (
    BUILD,
    MESSAGE,
    PAGE_SECONDS,
    TYPE,
    choice,
    part,
    press_tool,
    shows,
    type_text,
    wait_sentence,
)
from lib.framed_pages import Framed, wait_told
from lib.late_proxxy import keys, typed
from lib.live_pages import EXPIRED, Live, press, wait_state
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.framed_pages")

PAGES = ["novnc", "xterm"]
TIME_LEFT = ".notice[data-notice='notice.time_left']"
LANGUAGES = {path.stem: json.loads(path.read_text()) for path in (TREE / "console/languages").glob("*.json")}


def wait_bar(browser: webdriver.Remote, text: str) -> None:
    """Waits until the bar says that in its language, which is loaded when the page is there."""
    said = lambda: part(browser, "#tool-keys .text").get_property("textContent")  # noqa: E731
    wait_for(lambda: said() == text, PAGE_SECONDS, lambda: f"{said()!r}, not {text!r}")


# --- the end of a session ---------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("minutes", [1, 5])
def test_time_that_is_left_is_said(browser: webdriver.Remote, live: Live, name: str, minutes: int) -> None:
    browser.get(live.link(name, session_max=str(minutes * 60 + 2)))
    wait_state(browser, "connected")
    assert not shows(browser, TIME_LEFT)
    wait_for(lambda: shows(browser, TIME_LEFT), PAGE_SECONDS, "no notice")
    plural = "s" if minutes > 1 else ""
    assert part(browser, f"{TIME_LEFT} .notice-text").text == f"This console ends in {minutes} minute{plural}."
    browser.save_screenshot(str(BUILD / f"{name}-time-left.png"))
    # It takes neither the keys nor the place for long.
    press(browser, "typed")
    came = lambda: (keys if name == "novnc" else typed)(live.proxxy.sessions[0])  # noqa: E731
    wait_for(lambda: came() == "typed", PAGE_SECONDS, came)
    part(browser, f"{TIME_LEFT} button.quiet.bare").click()
    assert not shows(browser, TIME_LEFT)


def test_time_begins_again_with_each_connection(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link(session_max="62"))
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    wait_state(browser, "reconnecting")
    wait_state(browser, "connected")
    wait_for(lambda: shows(browser, TIME_LEFT), PAGE_SECONDS, "no notice")
    live.proxxy.sessions[1].end(1001, "Session reached its maximum length")
    assert wait_sentence(browser) == "The time for this console is over."
    assert not shows(browser, TIME_LEFT)


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_language_of_the_link(browser: webdriver.Remote, live: Live, lang: str) -> None:
    words = LANGUAGES[lang]
    browser.get(live.link(lang=lang))
    wait_state(browser, "connected")
    wait_bar(browser, words["bar.keys"])
    assert browser.execute_script("return document.documentElement.lang") == lang
    view = part(browser, ".view")
    assert (view.get_attribute("lang"), view.get_attribute("dir")) == (lang, "rtl" if lang == "ar" else "ltr")
    live.proxxy.refusal = EXPIRED
    live.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    wait_state(browser, "ended")
    assert wait_sentence(browser) == f"{words['end.lost']} {words['end.link_old']}"
    assert choice(browser, "close").text == words["choice.close"]
    browser.save_screenshot(str(BUILD / f"novnc-ended-{lang}.png"))


def test_arabic_goes_from_right_to_left(browser: webdriver.Remote, live: Live) -> None:
    """The guest's screen does not."""
    browser.get(live.link("xterm", lang="ar"))
    wait_state(browser, "connected")
    wait_bar(browser, LANGUAGES["ar"]["bar.keys"])
    assert part(browser, ".bar .label").rect["x"] > part(browser, "#tool-keys").rect["x"] > 0
    direction = "return getComputedStyle(arguments[0]).direction"
    assert browser.execute_script(direction, part(browser, ".screen")) == "ltr"
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.save_screenshot(str(BUILD / "xterm-arabic.png"))


CHOSEN = [("de-AT", "de"), ("PT-br", "pt"), ("zh-Hant-TW", "zh"), ("xx", "en"), ("", "en")]


@pytest.mark.parametrize("lang, shown", CHOSEN)
def test_language_that_is_chosen(browser: webdriver.Remote, live: Live, lang: str, shown: str) -> None:
    """xx: there is none, so it is the browser's, which is English here."""
    browser.get(live.link(lang=lang))
    wait_state(browser, "connected")
    wait_bar(browser, LANGUAGES[shown]["bar.keys"])
    assert browser.execute_script("return document.documentElement.lang") == shown


def test_language_that_the_panel_changes(browser: webdriver.Remote, framed: Framed) -> None:
    framed.open(browser, framed.own, framed.link(lang="de"))
    wait_told(browser, "connected")
    for lang in ("fr", "ja"):
        script = "document.getElementById('frame').contentWindow.postMessage(arguments[0], '*')"
        browser.execute_script(script, {"type": "proxxy:command", "command": "set", "options": {"lang": lang}})
        browser.switch_to.frame("frame")
        wait_bar(browser, LANGUAGES[lang]["bar.keys"])
        browser.switch_to.default_content()


# --- the others -------------------------------------------------------------------------------


def test_title(browser: webdriver.Remote, live: Live) -> None:
    markup = "<b>Mail</b> & 'web'"
    link = live.link().replace("VM%20100", "%3Cb%3EMail%3C%2Fb%3E%20%26%20'web'")
    browser.get(link)
    wait_state(browser, "connected")
    assert browser.title == markup == part(browser, ".bar .label").text


@pytest.mark.parametrize("name", PAGES)
def test_view_only(browser: webdriver.Remote, live: Live, name: str) -> None:
    """From the beginning. The user may switch it off."""
    browser.get(live.link(name, view_only="1"))
    wait_state(browser, "connected")
    came = lambda: (keys if name == "novnc" else typed)(live.proxxy.sessions[0])  # noqa: E731
    part(browser, ".screen").click()
    press(browser, "no")
    for tool in ("keys", *(["type"] if name == "novnc" else [])):
        assert part(browser, f"#tool-{tool}").get_attribute("aria-disabled") == "true"
    time.sleep(0.5)
    press_tool(browser, "viewOnly")
    press(browser, "yes")
    wait_for(lambda: came() == "yes", PAGE_SECONDS, came)


def test_no_bar(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link(bar="none"))
    wait_state(browser, "connected")
    assert not shows(browser, ".bar") and not shows(browser, ".handle")
    inner = browser.execute_script("return [innerWidth, innerHeight]")
    assert [part(browser, ".stage").size["width"], part(browser, ".stage").size["height"]] == inner
    press(browser, "typed")
    wait_for(lambda: keys(live.proxxy.sessions[0]) == "typed", PAGE_SECONDS, "no key came")
    live.proxxy.sessions[0].end(1000, "Console closed")
    wait_sentence(browser)
    assert shows(browser, MESSAGE) and choice(browser, "again").is_displayed()


def test_layout(browser: webdriver.Remote, live: Live) -> None:
    """For typed text: z and y have changed places on a German keyboard."""
    browser.get(live.link(layout="de"))
    wait_state(browser, "connected")
    type_text(browser, "zöy")
    wait_for(lambda: len(keys(live.proxxy.sessions[0])) >= 3, PAGE_SECONDS, "no keys came")
    assert keys(live.proxxy.sessions[0]) == "zöy"
    press_tool(browser, "type")
    wait_for(lambda: shows(browser, TYPE), PAGE_SECONDS, "no dialog")
    assert part(browser, "#type-layout").get_property("value") == "de"


def test_next_link_begins_anew(browser: webdriver.Remote, live: Live) -> None:
    """Nothing of what the first one asked for stays."""
    browser.get(live.link(lang="de", bar="none", view_only="1", layout="fr", session_max="62", again="/panel"))
    wait_state(browser, "connected")
    browser.execute_script("location.hash = arguments[0]", live.link().partition("#")[2])
    wait_for(lambda: live.sessions == 2, PAGE_SECONDS, "no other session")
    wait_state(browser, "connected")
    wait_bar(browser, LANGUAGES["en"]["bar.keys"])
    assert shows(browser, ".bar")
    press(browser, "typed")
    wait_for(lambda: keys(live.proxxy.sessions[1]) == "typed", PAGE_SECONDS, "no key came")
    press_tool(browser, "type")
    assert part(browser, "#type-layout").get_property("value") == "us"
    time.sleep(2.5)
    assert not shows(browser, TIME_LEFT)
    live.proxxy.sessions[1].end(1001, "Session was idle too long")
    wait_sentence(browser)
    assert not shows(browser, "[data-choice='panel']")
