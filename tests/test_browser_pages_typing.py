# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium, on a computer and on a phone: what a customer sees, types and reads."""

from __future__ import annotations

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import TERMINAL
from lib.console_pages import (
    BUILD,
    PAGE_SECONDS,
    SCREEN,
    Site,
    paste,
    terminal_text,
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
    assert browser.title == f"VM {SCREEN}" == browser.find_element(By.ID, "title").text
    browser.switch_to.active_element.send_keys("Hello", Keys.ENTER)
    wait_keys(site, "Hello")
    wait_for(lambda: site.guest.keys[-1] == ENTER, PAGE_SECONDS, lambda: f"{site.guest.keys} came")
    browser.save_screenshot(str(BUILD / "novnc-recorder.png"))


def test_ctrl_alt_del(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    browser.find_element(By.ID, "ctrl-alt-del").click()
    wait_for(lambda: site.guest.keys == [CONTROL, ALT, DELETE], PAGE_SECONDS, lambda: f"{site.guest.keys} came")


TEXT = 'pass Word: "$1|2" é€\n\tend'


def test_text_is_typed(browser: webdriver.Remote, site: Site) -> None:
    """The page sends text as keys, because a login has no clipboard. It holds Shift where a US keyboard needs it."""
    browser.get(site.desktop())
    wait_connected(browser, site)
    paste(browser, TEXT, "type")
    wait_keys(site, TEXT.replace("\n", "").replace("\t", ""))
    keys = [key for key in site.guest.keys if key < 0x1000000]
    assert keys.count(SHIFT) == sum(character in 'W:"$|"' for character in TEXT)
    assert ENTER in keys and TAB in keys
    assert browser.find_element(By.ID, "text").get_property("value") == ""


def test_text_goes_to_the_clipboard(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    paste(browser, "for the clipboard", "clipboard")
    wait_for(lambda: site.guest.cut_text == ["for the clipboard"], PAGE_SECONDS, lambda: f"{site.guest.cut_text}")
    assert site.guest.keys == []


def test_fit_asks_for_the_windows_size(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    fit = browser.find_element(By.ID, "fit")
    assert fit.get_attribute("aria-pressed") == "false"
    fit.click()
    assert fit.get_attribute("aria-pressed") == "true"


def test_full_screen(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    button = browser.find_element(By.ID, "full-screen")
    for wanted in (True, False):
        button.click()
        wait_for(
            lambda: browser.execute_script("return document.fullscreenElement !== null") == wanted,
            PAGE_SECONDS,
            str(wanted),
        )


# --- xterm.js ---------------------------------------------------------------------------------


def test_a_command_is_typed_and_its_output_read(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    assert browser.title == f"Container {TERMINAL}"
    keyboard = browser.switch_to.active_element
    keyboard.send_keys("echo $((6 * 7)); printf 'caf\\303\\251 \\342\\202\\254\\n'", Keys.ENTER)
    wait_text(browser, "\n42\n")
    wait_text(browser, "\ncafé €\n")
    keyboard.send_keys("stty size", Keys.ENTER)
    wait_text(browser, "\n{} {}\n".format(*browser.execute_script("return [terminal.rows, terminal.cols]")))
    browser.save_screenshot(str(BUILD / "xterm-desktop.png"))


def test_terminal_takes_the_windows_size(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    before = browser.execute_script("return terminal.cols")
    browser.set_window_size(700, 600)
    try:
        wait_for(lambda: browser.execute_script("return terminal.cols") < before, PAGE_SECONDS, "the same size")
        browser.switch_to.active_element.send_keys("stty size", Keys.ENTER)
        wait_text(browser, "\n{} {}\n".format(*browser.execute_script("return [terminal.rows, terminal.cols]")))
    finally:
        browser.set_window_size(1100, 800)


def test_text_is_pasted_into_the_terminal(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    paste(browser, "echo größer$((1))\necho zwei$((2))", "type")
    wait_text(browser, "echo zwei")  # by then the terminal has the focus again
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_text(browser, "größer1\n")
    wait_text(browser, "zwei2\n")


def test_arrows_are_of_the_kind_that_the_program_asks_for(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.terminal())
    wait_prompt(touch, site)
    up = touch.find_element(By.CSS_SELECTOR, "[aria-label='Up']")
    touch.switch_to.active_element.send_keys("cat -v", Keys.ENTER)
    wait_text(touch, "cat -v")
    up.click()
    touch.switch_to.active_element.send_keys(Keys.ENTER)
    wait_text(touch, "\n^[[A\n")
    touch.switch_to.active_element.send_keys(Keys.CONTROL, "c")
    touch.switch_to.active_element.send_keys("printf '\\033[?1h'; cat -v", Keys.ENTER)
    asked = "return terminal.modes.applicationCursorKeysMode"
    wait_for(lambda: touch.execute_script(asked), PAGE_SECONDS, "not asked for")
    up.click()
    touch.switch_to.active_element.send_keys(Keys.ENTER)
    wait_text(touch, "\n^[OA\n")


def test_shell_that_ends(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    browser.switch_to.active_element.send_keys("exit", Keys.ENTER)
    assert wait_sentence(browser) == "The console was closed."


# --- on a phone -------------------------------------------------------------------------------


def no_overflow(browser: webdriver.Remote) -> bool:
    return browser.execute_script("return document.documentElement.scrollWidth <= innerWidth && scrollX === 0")


def big_enough(browser: webdriver.Remote) -> list[str]:
    """The buttons that are too small for a finger."""
    buttons = [button for button in browser.find_elements(By.TAG_NAME, "button") if button.is_displayed()]
    return [button.text for button in buttons if min(button.size["width"], button.size["height"]) < 44]


def test_screen_on_a_phone(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.desktop())
    wait_connected(touch, site)
    assert no_overflow(touch) and big_enough(touch) == []
    # A phone's keyboard changes the text of the field and sends no key events.
    keyboard = touch.find_element(By.ID, "keyboard")
    for wanted in ("true", "false", "true"):
        keyboard.click()
        wait_for(lambda: keyboard.get_attribute("aria-pressed") == wanted, PAGE_SECONDS, f"not {wanted}")
    # A tap on the guest's screen does not hide the keyboard.
    touch.find_element(By.TAG_NAME, "canvas").click()
    assert touch.switch_to.active_element.get_attribute("id") == "keys"
    changes = {
        "Ab": "field.value += 'Ab'",
        "": "field.value = field.value.slice(0, -1)",
        "c\n": "field.value += 'c\\n'",
    }
    for text, change in changes.items():
        touch.execute_script(
            f"const field = document.getElementById('keys'); {change}; field.dispatchEvent(new Event('input'))"
        )
    wait_for(
        lambda: [key for key in site.guest.keys if key != SHIFT] == [ord("A"), ord("b"), BACKSPACE, ord("c"), ENTER],
        PAGE_SECONDS,
        lambda: f"{site.guest.keys}",
    )
    touch.save_screenshot(str(BUILD / "novnc-phone.png"))


def test_terminal_on_a_phone(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.terminal())
    wait_prompt(touch, site)
    assert no_overflow(touch) and big_enough(touch) == []
    touch.switch_to.active_element.send_keys("cat", Keys.ENTER)
    wait_text(touch, "cat")
    touch.find_element(By.ID, "ctrl").click()
    assert touch.find_element(By.ID, "ctrl").get_attribute("aria-pressed") == "true"
    touch.switch_to.active_element.send_keys("c")
    wait_text(touch, "^C")
    touch.switch_to.active_element.send_keys("echo on$((2))", Keys.ENTER)
    wait_text(touch, "\non2\n")
    touch.find_element(By.CSS_SELECTOR, "[aria-label='Up']").click()
    wait_for(
        lambda: terminal_text(touch).count("echo on") == 2 or "^[[A" in terminal_text(touch),
        PAGE_SECONDS,
        lambda: terminal_text(touch),
    )
    touch.save_screenshot(str(BUILD / "xterm-phone.png"))


def test_keyboard_that_covers_the_page(touch: webdriver.Remote, site: Site) -> None:
    """The page shrinks with the visual viewport. On iOS the keyboard makes only this viewport smaller."""
    touch.get(site.terminal())
    wait_connected(touch, site)
    before = touch.execute_script("return terminal.rows")
    touch.execute_script(
        """
        Object.defineProperty(visualViewport, "height", { value: 400, configurable: true });
        visualViewport.dispatchEvent(new Event("resize"));
    """
    )
    assert touch.execute_script("return document.querySelector('main').getBoundingClientRect().bottom") <= 400
    wait_for(lambda: touch.execute_script("return terminal.rows") < before, PAGE_SECONDS, "the same rows")
