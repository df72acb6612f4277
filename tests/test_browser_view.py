# SPDX-License-Identifier: Apache-2.0
"""The bar, menus, dialogs and messages around a guest's screen, in Chromium, with a picture in place of a guest."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from lib.browser import chromium
from lib.process import wait_for
from lib.view_page import serve, show
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PHONE = (390, 844)
FOCUS_SECONDS = 10.0
LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "nl", "pl", "tr", "ja", "zh", "ar")
# Of the buttons that are seen: their names and sizes.
TARGETS = """return [...root.querySelectorAll("button, summary, select")].filter((button) => button.offsetWidth)
  .map((button) => [button.textContent || button.ariaLabel, button.offsetWidth, button.offsetHeight])"""
FOCUSED = "const at = root.activeElement; return at && (at.dataset.item || at.dataset.entry || at.id || at.className)"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve() as found:
        yield found


@pytest.fixture(scope="module")
def desk() -> Iterator[webdriver.Remote]:
    with chromium(1440, 900) as browser:
        yield browser


@pytest.fixture(scope="module")
def phone() -> Iterator[webdriver.Remote]:
    with chromium(*PHONE, phone=True) as browser:
        yield browser


def find(browser: webdriver.Remote, selector: str) -> Any:
    return browser.execute_script("return root.querySelector(arguments[0])", selector)


def press(browser: webdriver.Remote, item: str) -> None:
    find(browser, f'[data-item="{item}"]').click()


def focused(browser: webdriver.Remote) -> str:
    return str(browser.execute_script(FOCUSED))


def calls(browser: webdriver.Remote) -> list[list[Any]]:
    """Returns what the view asked of its element since the last call."""
    found: list[list[Any]] = browser.execute_script("return calls.splice(0)")
    return found


def keys(browser: webdriver.Remote, *names: str) -> None:
    ActionChains(browser).send_keys(*names).perform()


def test_after_each_control_the_guest_has_the_focus(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    for item, call in (("screenshot", ["screenshot"]), ("fullScreen", ["fullScreen"])):
        press(desk, item)
        assert (calls(desk), focused(desk)) == ([call], "guest")
    press(desk, "viewOnly")
    assert (calls(desk), focused(desk)) == ([["set", {"viewOnly": True}]], "guest")
    assert find(desk, '[data-item="viewOnly"]').get_attribute("aria-pressed") == "true"
    press(desk, "viewOnly")
    press(desk, "scaling")
    find(desk, '[data-entry="actual"]').click()
    assert (calls(desk)[-1], focused(desk)) == (["set", {"scaling": "actual"}], "guest")


def test_the_toolbar_is_one_stop_and_arrow_keys_move_in_it(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    ActionChains(desk).key_down(Keys.CONTROL).key_down(Keys.ALT).key_down(Keys.SHIFT).key_up(Keys.SHIFT).key_up(
        Keys.ALT
    ).key_up(Keys.CONTROL).perform()
    wait_for(lambda: focused(desk) == "keys", FOCUS_SECONDS, lambda: f"{focused(desk)} has the focus")
    keys(desk, Keys.ARROW_RIGHT)
    assert focused(desk) == "type"
    keys(desk, Keys.END)
    assert focused(desk) == "fold"
    keys(desk, Keys.ARROW_RIGHT)
    assert focused(desk) == "keys"
    assert desk.execute_script("return root.querySelectorAll('.tool[tabindex=\"0\"]').length") == 1
    keys(desk, Keys.ESCAPE)
    assert focused(desk) == "guest"


def test_a_menu_is_used_by_keyboard(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    desk.execute_script("view.focusBar()")
    keys(desk, Keys.ARROW_DOWN)
    assert focused(desk) == "ctrl-alt-del"
    keys(desk, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert focused(desk) == "win"
    keys(desk, Keys.END)
    assert focused(desk) == "sysrq-t"
    keys(desk, Keys.ARROW_UP)
    assert focused(desk) == "sysrq-o"
    keys(desk, Keys.ARROW_LEFT)
    assert focused(desk) == "sysrq-b"
    keys(desk, Keys.ESCAPE)
    assert focused(desk) == "keys"
    keys(desk, Keys.ENTER)
    keys(desk, Keys.ENTER)
    assert (calls(desk), focused(desk)) == ([["sendKeys", ["Control", "Alt", "Delete"]]], "guest")


def test_a_click_beside_a_menu_closes_it(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    press(desk, "keys")
    assert find(desk, ".menu").get_attribute("role") == "menu"
    ActionChains(desk).move_to_element_with_offset(find(desk, ".guest"), -300, 100).click().perform()
    assert find(desk, ".menu") is None
    assert focused(desk) == "guest"


def test_what_the_guest_cannot_do_is_disabled(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, cannot="keys,screenshot")
    for item, disabled in (("keys", "true"), ("screenshot", "true"), ("type", "false")):
        assert find(desk, f'[data-item="{item}"]').get_attribute("aria-disabled") == disabled, item
    press(desk, "keys")
    assert find(desk, ".menu") is None
    show(desk, address, show="ended")
    usable = "return [...root.querySelectorAll('.tool:not([aria-disabled=\"true\"])')]"
    assert desk.execute_script(f"{usable}.map((tool) => tool.dataset.item)") == ["fullScreen", "help", "more", "fold"]


def test_the_dialog_says_what_cannot_be_typed_and_types(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    press(desk, "type")
    assert focused(desk) == "type-text"
    keys(desk, "a\u0416b")
    assert "\u0416" in find(desk, "#type-warning").text
    find(desk, '#type-layout option[value="de"]').click()
    find(desk, ".type .main").click()
    assert (calls(desk), focused(desk)) == ([["type", "a\u0416b", "de"]], "guest")
    assert find(desk, "#type-text").get_property("value") == ""  # it may have been a password


def test_the_clipboard_has_both_directions(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, show="clipboard")
    assert "ssh-ed25519" in find(desk, "#clipboard-from").get_property("value")
    keys(desk, "for the guest")
    find(desk, ".clipboard .main").click()
    assert (calls(desk), focused(desk)) == ([["paste", "for the guest"]], "guest")
    press(desk, "clipboard")
    assert find(desk, '[data-item="clipboard"]').get_attribute("aria-pressed") == "true"
    keys(desk, Keys.ESCAPE)
    assert (find(desk, ".clipboard").is_displayed(), focused(desk)) == (False, "guest")
    assert find(desk, '[data-item="clipboard"]').get_attribute("aria-pressed") == "false"


def test_a_search_says_that_nothing_was_found_and_ends(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, kind="term")
    press(desk, "search")
    keys(desk, "nothing of it")
    assert find(desk, ".search .result").text == "Not found"
    keys(desk, Keys.ESCAPE)
    assert (find(desk, ".search").is_displayed(), focused(desk)) == (False, "guest")


def test_a_message_keeps_its_buttons_while_its_sentence_changes(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, show="reconnecting")
    assert find(desk, ".box").get_attribute("role") == "alertdialog"
    find(desk, '[data-choice="stop"]').click()
    assert calls(desk) == [["choose", "stop"]]
    desk.execute_script("root.querySelector('[data-choice=\"now\"]').focus()")
    words = {"word": "lost.reconnecting_in", "values": {"seconds": 3}}
    message = {"sentence": [words], "choices": ["now", "stop"], "disabled": ["now"]}
    desk.execute_script("view.setMessage(arguments[0])", message)
    assert "in 3 s" in find(desk, ".sentence").text
    assert desk.execute_script("return root.activeElement.dataset.choice") == "now"
    find(desk, '[data-choice="now"]').click()
    assert calls(desk) == []


def test_a_progress_goes_on_in_its_line(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    desk.execute_script(
        """window.notice = (done) => view.notify({ words: { word: "notice.typing", values: { done, all: 10 } },
           progress: done / 10, cancel: () => calls.push(["cancel"]) });
           const remove = notice(1); root.querySelector(".notice button:not([hidden])").focus(); remove(); notice(5);"""
    )
    assert len(desk.execute_script("return [...root.querySelectorAll('.notice')]")) == 1
    assert find(desk, '[role="progressbar"]').get_attribute("aria-valuenow") == "50"
    desk.execute_script("root.activeElement.click()")
    assert (calls(desk), find(desk, ".notice"), focused(desk)) == ([["cancel"]], None, "guest")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fits_a_phone(phone: webdriver.Remote, address: str, language: str) -> None:
    for what in ("connected", "refused", "type", "clipboard", "keys", "more"):
        show(phone, address, lang=language, show=what, label="a-very-long-name-of-a-guest.example.net")
        wide = """return [...root.querySelectorAll(".view, .bar, .stage, .box, .menu, dialog[open]")]
          .filter((part) => part.offsetWidth && part.scrollWidth > part.clientWidth).map((part) => part.className)"""
        assert phone.execute_script(wide) == [], what
        assert phone.execute_script("return root.querySelector('.bar').offsetHeight") <= 60
        assert phone.execute_script("return root.querySelector('.label').offsetWidth") >= 110


def test_targets_on_a_phone_have_a_fingers_size(phone: webdriver.Remote, address: str) -> None:
    for what in ("connected", "ended", "type", "clipboard", "keys", "notice", "extra"):
        show(phone, address, show=what)
        for name, width, height in phone.execute_script(TARGETS):
            assert height >= 44 and width >= 43, (what, name, width, height)  # nine keys share the 390 pixels of a row


def test_a_modifier_of_the_extra_keys_holds_for_a_key(phone: webdriver.Remote, address: str) -> None:
    show(phone, address)
    find(phone, '[data-key="Control"]').click()
    find(phone, '[data-key="ArrowLeft"]').click()
    assert calls(phone) == [["hold", "Control", True], ["sendKeys", ["ArrowLeft"]], ["hold", "Control", False]]
    press(phone, "keyboard")
    assert find(phone, '[data-item="keyboard"]').get_attribute("aria-pressed") == "true"
    find(phone, '[data-key="Alt"]').click()
    keys(phone, "x")
    phone.execute_async_script("setTimeout(arguments[0], 50)")
    assert calls(phone)[1:3] == [["hold", "Alt", True], ["hold", "Alt", False]]
    assert find(phone, '[data-item="keyboard"]').get_attribute("aria-pressed") == "true"


def test_who_only_looks_has_no_extra_keys(phone: webdriver.Remote, address: str) -> None:
    show(phone, address)
    press(phone, "more")
    find(phone, '[data-entry="viewOnly"]').click()
    assert not find(phone, ".extra").is_displayed()


def test_the_help_is_for_the_device(phone: webdriver.Remote, desk: webdriver.Remote, address: str) -> None:
    show(phone, address, show="help")
    assert "pinch" in find(phone, "dialog.help").text
    show(desk, address, show="help", kind="term")
    assert "Ctrl+Shift+C" in find(desk, "dialog.help").text and "pinch" not in find(desk, "dialog.help").text


def test_no_english_is_shown_before_another_language(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    before, after = desk.execute_async_script(
        """const done = arguments[0], shadow = document.createElement("div").attachShadow({ mode: "open" });
           document.body.append(shadow.host);
           const controls = { can: () => true, options: () => ({}), focus() {} };
           const other = new view.constructor(shadow, "vnc", controls);
           const seen = () => ["tools", "sentence"].map((name) => {
             const part = shadow.querySelector("." + name);
             return getComputedStyle(part).visibility === "visible" ? part.textContent : "";
           });
           const loading = other.setLanguage("fr"), before = seen();
           loading.then(() => done([before, seen()]));"""
    )
    assert before == ["", ""]
    assert "Presse-papiers" in after[0] and after[1].startswith("Connexion")


def test_the_bar_folds_away_and_comes_back(phone: webdriver.Remote, address: str) -> None:
    show(phone, address, show="fold")
    assert not find(phone, ".bar").is_displayed()
    assert not find(phone, ".extra").is_displayed()
    find(phone, ".handle").click()
    assert find(phone, ".bar").is_displayed() and find(phone, ".extra").is_displayed()


def test_arabic_goes_from_right_to_left(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, lang="ar")
    places = "return ['.label', '[data-item=\"keys\"]', '[data-item=\"fold\"]'].map((at) => root.querySelector(at)"
    label, first, last = desk.execute_script(f"{places}.getBoundingClientRect().right)")
    assert label > first > last
    assert desk.execute_script("return getComputedStyle(root.querySelector('.screen')).direction") == "ltr"
    desk.execute_script("view.focusBar()")
    keys(desk, Keys.ARROW_LEFT)
    assert focused(desk) == "type"


def test_a_spinner_stands_still_where_motion_is_unwanted(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, show="connecting")
    animation = "return getComputedStyle(root.querySelector('.spinner')).animationName"
    assert desk.execute_script(animation) == "turn"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    # A remote session of selenium lacks this command of Chromium's.
    desk.command_executor._commands["cdp"] = ("POST", "/session/$sessionId/goog/cdp/execute")
    desk.execute("cdp", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})
    assert desk.execute_script(animation) == "none"
    assert desk.find_element(By.ID, "host").is_displayed()


def test_a_screen_has_a_name_for_screen_readers(desk: webdriver.Remote, address: str) -> None:
    show(desk, address)
    guest = find(desk, ".guest")
    assert guest.get_attribute("role") == "application"
    assert guest.accessible_name == "Screen of web-01.example.net"


def test_the_clipboard_is_closed_when_the_console_ends(desk: webdriver.Remote, address: str) -> None:
    show(desk, address, show="clipboard")
    desk.execute_script("view.setState('ended')")
    assert not find(desk, ".clipboard").is_displayed()
