# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium, on a computer and on a phone: what a customer sees, types and reads."""

from __future__ import annotations

import re
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from conftest import TERMINAL
from lib.console_pages import (
    BUILD,
    PAGE_SECONDS,
    SCREEN,
    Site,
    choose_entry,
    has_focus,
    part,
    parts,
    press,
    press_tool,
    send_clipboard,
    terminal_text,
    type_text,
    wait_connected,
    wait_keys,
    wait_prompt,
    wait_sentence,
    wait_text,
)
from lib.process import wait_for

pytest_plugins = "lib.console_pages"

TAB, ENTER, BACKSPACE, CONTROL, ALT, DELETE, SHIFT = 0xFF09, 0xFF0D, 0xFF08, 0xFFE3, 0xFFE9, 0xFFFF, 0xFFE1


# --- noVNC ------------------------------------------------------------------------------------


def test_keys_reach_the_guest(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    assert browser.title == f"VM {SCREEN}" == part(browser, ".bar .label").text
    press(browser, "Hello", Keys.ENTER)
    wait_keys(site, "Hello")
    wait_for(lambda: site.guest.keys[-1] == ENTER, PAGE_SECONDS, lambda: f"{site.guest.keys} came")
    browser.save_screenshot(str(BUILD / "novnc-recorder.png"))


def test_ctrl_alt_del(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    press_tool(browser, "keys")
    choose_entry(browser, "ctrl-alt-del")
    wait_for(lambda: site.guest.keys == [CONTROL, ALT, DELETE], PAGE_SECONDS, lambda: f"{site.guest.keys} came")
    assert has_focus(browser)


TEXT = 'pass Word: "$1|2"\n\tend'


def test_text_is_typed(browser: webdriver.Remote, site: Site) -> None:
    """The page sends text as keys, because a login has no clipboard. It holds Shift where a US keyboard needs it."""
    browser.get(site.desktop())
    wait_connected(browser, site)
    type_text(browser, TEXT)
    wait_keys(site, TEXT.replace("\n", "").replace("\t", ""))
    keys = [key for key in site.guest.keys if key < 0x1000000]
    assert keys.count(SHIFT) == 5  # one for each run of characters that need it
    assert ENTER in keys and TAB in keys
    assert part(browser, "#type-text").get_property("value") == ""
    wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the guest has not the focus")


def test_text_goes_to_the_clipboard(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    send_clipboard(browser, "for the clipboard")
    wait_for(lambda: site.guest.cut_text == ["for the clipboard"], PAGE_SECONDS, lambda: f"{site.guest.cut_text}")
    assert site.guest.keys == []


def test_scaling_is_chosen(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    for name in ("actual", "fit"):
        press_tool(browser, "scaling")
        choose_entry(browser, name)
        assert has_focus(browser)
        press_tool(browser, "scaling")
        assert part(browser, f"[data-entry='{name}']").get_attribute("aria-checked") == "true"
        press(browser, Keys.ESCAPE)
    press(browser, "k", Keys.ENTER)  # Enter must not press a button again
    wait_for(lambda: site.guest.keys[-2:] == [ord("k"), ENTER], PAGE_SECONDS, lambda: f"{site.guest.keys}")


def test_full_screen(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    for wanted in (True, False):
        press_tool(browser, "fullScreen")
        wait_for(
            lambda: browser.execute_script("return document.fullscreenElement !== null") == wanted,
            PAGE_SECONDS,
            str(wanted),
        )
        wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the guest has not the focus")
        press(browser, "x", Keys.ENTER)
    wait_for(lambda: site.guest.keys == [ord("x"), ENTER] * 2, PAGE_SECONDS, lambda: f"{site.guest.keys}")


# --- xterm.js ---------------------------------------------------------------------------------


def test_a_command_is_typed_and_its_output_read(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    assert browser.title == f"Container {TERMINAL}"
    press(browser, "echo $((6 * 7)); printf 'caf\\303\\251 \\342\\202\\254\\n'", Keys.ENTER)
    wait_text(browser, "\n42\n")
    wait_text(browser, "\ncafé €\n")
    browser.save_screenshot(str(BUILD / "xterm-desktop.png"))


def size(browser: webdriver.Remote) -> tuple[int, int]:
    """Asks the shell for the terminal's rows and columns."""
    press(browser, "clear; stty size", Keys.ENTER)
    answer = lambda: re.search(r"^(\d+) (\d+)$", terminal_text(browser), re.MULTILINE)  # noqa: E731
    found = wait_for(answer, PAGE_SECONDS, lambda: terminal_text(browser))
    return int(found[1]), int(found[2])


def test_terminal_takes_the_windows_size(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    rows, columns = size(browser)
    browser.set_window_size(700, 600)
    try:
        wait_for(lambda: (now := size(browser))[0] < rows and now[1] < columns, PAGE_SECONDS, "the same size")
    finally:
        browser.set_window_size(1100, 800)


def test_text_is_pasted_into_the_terminal(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    send_clipboard(browser, "echo größer$((1))\necho zwei$((2))")
    wait_text(browser, "echo zwei")
    wait_for(lambda: has_focus(browser), PAGE_SECONDS, "the terminal has not the focus")
    press(browser, Keys.ENTER)
    wait_text(browser, "größer1\n")
    wait_text(browser, "zwei2\n")


def extra_key(touch: webdriver.Remote, name: str) -> None:
    part(touch, f".extra [data-key='{name}']").click()


def test_arrows_are_of_the_kind_that_the_program_asks_for(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.terminal())
    wait_prompt(touch, site)
    press(touch, "cat -v", Keys.ENTER)
    wait_text(touch, "cat -v")
    extra_key(touch, "ArrowUp")
    press(touch, Keys.ENTER)
    wait_text(touch, "\n^[[A\n")
    ActionChains(touch).key_down(Keys.CONTROL).send_keys("c").key_up(Keys.CONTROL).perform()
    wait_text(touch, "^C\n#")  # what is typed before that is lost
    press(touch, "printf '\\033[?1h'; cat -v", Keys.ENTER)
    wait_text(touch, "; cat -v")
    time.sleep(0.5)  # until the shell has run it
    extra_key(touch, "ArrowUp")
    press(touch, Keys.ENTER)
    wait_text(touch, "\n^[OA\n")


def test_shell_that_ends(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    press(browser, "exit", Keys.ENTER)
    assert wait_sentence(browser) == "The console was closed."


# --- on a phone -------------------------------------------------------------------------------


def no_overflow(browser: webdriver.Remote) -> bool:
    return browser.execute_script("return document.documentElement.scrollWidth <= innerWidth && scrollX === 0")


def big_enough(browser: webdriver.Remote) -> list[str]:
    """The buttons that are too small for a finger. The extra keys are as wide as those of a phone's keyboard."""
    small = []
    for button in (button for button in parts(browser, "button") if button.is_displayed()):
        is_key = "key" in button.get_attribute("class").split()
        if button.size["width"] < (36 if is_key else 44) or button.size["height"] < 44:
            small.append(button.text or button.get_attribute("aria-label"))
    return small


def test_screen_on_a_phone(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.desktop())
    wait_connected(touch, site)
    assert no_overflow(touch)
    assert big_enough(touch) == []
    # A phone's keyboard changes the text of the field and sends no key events.
    for wanted in ("true", "false", "true"):
        part(touch, "#tool-keyboard").click()
        pressed = lambda: part(touch, "#tool-keyboard").get_attribute("aria-pressed")  # noqa: E731
        wait_for(lambda: pressed() == wanted, PAGE_SECONDS, f"not {wanted}")
    # A tap on the guest's screen does not hide the keyboard.
    part(touch, "canvas").click()
    field = part(touch, ".screen textarea")
    assert has_focus(touch) and pressed() == "true"
    changes = ("field.value += 'Ab'", "field.value = field.value.slice(0, -1)", "field.value += 'c\\n'")
    for change in changes:
        touch.execute_script(f"const [field] = arguments; {change}; field.dispatchEvent(new Event('input'))", field)
    wait_for(
        lambda: [key for key in site.guest.keys if key != SHIFT] == [ord("A"), ord("b"), BACKSPACE, ord("c"), ENTER],
        PAGE_SECONDS,
        lambda: f"{site.guest.keys}",
    )
    touch.save_screenshot(str(BUILD / "novnc-phone.png"))


def test_terminal_on_a_phone(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.terminal())
    wait_prompt(touch, site)
    assert no_overflow(touch)
    assert big_enough(touch) == []
    press(touch, "cat", Keys.ENTER)
    wait_text(touch, "cat")
    extra_key(touch, "Control")
    assert part(touch, ".extra [data-key='Control']").get_attribute("aria-pressed") == "true"
    press(touch, "c")
    wait_text(touch, "^C")
    press(touch, "echo on$((2))", Keys.ENTER)
    wait_text(touch, "\non2\n")
    extra_key(touch, "ArrowUp")
    wait_for(
        lambda: terminal_text(touch).count("echo on") == 2 or "^[[A" in terminal_text(touch),
        PAGE_SECONDS,
        lambda: terminal_text(touch),
    )
    touch.save_screenshot(str(BUILD / "xterm-phone.png"))


def test_keyboard_that_covers_the_page(touch: webdriver.Remote, site: Site) -> None:
    """The page shrinks with the visual viewport. On iOS the keyboard makes only this viewport smaller."""
    touch.get(site.terminal())
    wait_prompt(touch, site)
    before, _ = size(touch)
    touch.execute_script(
        """
        Object.defineProperty(visualViewport, "height", { value: 400, configurable: true });
        visualViewport.dispatchEvent(new Event("resize"));
    """
    )
    assert part(touch, ".stage").rect["y"] + part(touch, ".stage").size["height"] <= 400
    wait_for(lambda: size(touch)[0] < before, PAGE_SECONDS, "the same rows")
