# SPDX-License-Identifier: Apache-2.0
"""<proxxy-console> in a panel's own page, in Chromium: two of them, each with a session, a state and a focus of its
own."""

from __future__ import annotations

from typing import Any

import pytest
from selenium import webdriver

from lib.console_pages import PAGE_SECONDS
from lib.element_page import element
from lib.late_proxxy import SEALED, keys, screen, terminal, typed
from lib.live_pages import Live, press, wait_sessions
from lib.process import wait_for

pytest_plugins = ("lib.console_pages", "lib.live_pages", "lib.element_page")


def told(browser: webdriver.Remote, id: str, name: str) -> list[Any]:
    """The details of an element's events."""
    events = browser.execute_script("return told")
    return [detail for who, event, detail in events if (who, event) == (id, name)]


def wait_state(browser: webdriver.Remote, id: str, wanted: str) -> None:
    state = lambda: element(browser, id, "return element.state")  # noqa: E731
    wait_for(lambda: state() == wanted, PAGE_SECONDS, lambda: f"{id} is {state()}, not {wanted}")


def open_both(browser: webdriver.Remote, live: Live) -> None:
    browser.get(f"{live.url}/element/page.html")
    wait_for(lambda: browser.execute_script("return Boolean(customElements.get('proxxy-console'))"), PAGE_SECONDS, "")
    for count, (id, guest) in enumerate((("first", screen), ("second", terminal)), 1):
        live.proxxy.guest = guest
        element(browser, id, "element.payload = values[0]", SEALED)
        wait_state(browser, id, "connected")
        wait_sessions(live, count)


def take_keys(browser: webdriver.Remote, id: str) -> None:
    element(browser, id, "return root.querySelector('.screen')").click()


def wait_came(live: Live, first: str, second: str) -> None:
    came = lambda: (keys(live.proxxy.sessions[0]), typed(live.proxxy.sessions[1]))  # noqa: E731
    wait_for(lambda: came() == (first, second), PAGE_SECONDS, lambda: f"{came()}, not {(first, second)}")


def test_each_has_a_session_and_keys_of_its_own(browser: webdriver.Remote, elements: Live) -> None:
    open_both(browser, elements)
    take_keys(browser, "first")
    press(browser, "one")
    wait_came(elements, "one", "")
    take_keys(browser, "second")
    press(browser, "two")
    wait_came(elements, "one", "two")
    element(browser, "first", "element.focus()")
    press(browser, "three")
    wait_came(elements, "onethree", "two")
    element(browser, "second", "element.sendKeys(['Control', 'c'])")
    wait_came(elements, "onethree", "two\x03")


def test_the_second_takes_no_keys_from_the_first(browser: webdriver.Remote, elements: Live) -> None:
    """Nor from a field, while it opens."""
    browser.get(f"{elements.url}/element/page.html")
    elements.link()
    element(browser, "first", "element.payload = values[0]", SEALED)
    wait_state(browser, "first", "connected")
    elements.link("xterm")
    element(browser, "second", "element.payload = values[0]", SEALED)
    wait_state(browser, "second", "connected")
    press(browser, "one")
    wait_came(elements, "one", "")
    browser.execute_script("document.getElementById('field').focus()")
    elements.proxxy.sessions[1].end(1011, "Proxmox: connection lost")
    wait_sessions(elements, 3)
    wait_state(browser, "second", "connected")
    press(browser, "field")
    assert browser.execute_script("return document.getElementById('field').value") == "field"


def test_the_end_of_one_is_not_the_others(browser: webdriver.Remote, elements: Live) -> None:
    open_both(browser, elements)
    elements.proxxy.sessions[0].end(1001, "Session was ended by the operator")
    wait_state(browser, "first", "ended")
    closed = {"code": 1001, "reason": "Session was ended by the operator", "live": True}
    assert told(browser, "first", "closed") == [closed] and told(browser, "second", "closed") == []
    assert element(browser, "second", "return element.state") == "connected"
    assert element(browser, "first", "return element.latency") is None
    # Nobody answers a request for another link here, and no window is the element's to close.
    choices = "return [...root.querySelectorAll('[data-choice]')].map(({ dataset }) => dataset.choice)"
    assert element(browser, "first", choices) == ["again"]
    elements.proxxy.guest = screen
    element(browser, "first", "root.querySelector('[data-choice=again]').click()")
    wait_state(browser, "first", "connected")
    assert len(told(browser, "first", "connected")) == 2 and len(told(browser, "second", "connected")) == 1


def test_options_of_one_are_not_the_others(browser: webdriver.Remote, elements: Live) -> None:
    open_both(browser, elements)
    element(browser, "first", "Object.assign(element, { lang: 'de', theme: 'light', viewOnly: true, label: 'Mail' })")
    element(browser, "second", "Object.assign(element, { lang: 'ar', theme: 'dark', label: 'Web' })")
    said = "return root.querySelector('#tool-clipboard .text').textContent"
    wait_for(lambda: element(browser, "first", said) == "Zwischenablage", PAGE_SECONDS, "not in German")
    wait_for(lambda: element(browser, "second", said) == "الحافظة", PAGE_SECONDS, "not in Arabic")
    shown = "return [root.querySelector('.view').dir, root.querySelector('.bar .label').textContent]"
    assert element(browser, "first", shown) == ["ltr", "Mail"] and element(browser, "second", shown) == ["rtl", "Web"]
    colour = "return getComputedStyle(root.querySelector('.bar')).backgroundColor"
    assert element(browser, "first", colour) != element(browser, "second", colour)
    take_keys(browser, "first")
    press(browser, "no")
    take_keys(browser, "second")
    press(browser, "yes")
    wait_came(elements, "", "yes")


@pytest.mark.parametrize("way", ["element.remove()", "element.payload = ''"])
def test_session_ends_with_its_element(browser: webdriver.Remote, elements: Live, way: str) -> None:
    open_both(browser, elements)
    browser.execute_script("window.kept = document.getElementById('first')")
    element(browser, "first", way)
    wait_for(lambda: elements.proxxy.sessions[0].ended, PAGE_SECONDS, "the session goes on")
    assert element(browser, "second", "return element.state") == "connected"
    take_keys(browser, "second")
    press(browser, "two")
    wait_for(lambda: typed(elements.proxxy.sessions[1]) == "two", PAGE_SECONDS, "no text came")
    elements.proxxy.guest = screen
    browser.execute_script("document.body.append(kept); kept.payload = arguments[0]", SEALED)
    wait_sessions(elements, 3)
    wait_state(browser, "first", "connected")


def test_payload_is_in_no_attribute(browser: webdriver.Remote, elements: Live) -> None:
    open_both(browser, elements)
    html = "return document.documentElement.outerHTML + element.outerHTML + root.innerHTML"
    assert SEALED not in element(browser, "first", html)
    assert SEALED not in browser.execute_script("return JSON.stringify([told, { ...sessionStorage, ...localStorage }])")
