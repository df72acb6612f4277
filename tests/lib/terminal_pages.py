# SPDX-License-Identifier: Apache-2.0
"""What tests read of the terminal's page, in any browser: the element, its events and its shadow root."""

from __future__ import annotations

from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.keys import Keys

from .console_pages import PAGE_SECONDS
from .process import wait_for

WATCH = """
    window.told = [];
    for (const name of ["bell", "clipboard", "consoletitle", "latency"])
        element.addEventListener(name, ({ detail }) => told.push([name, detail]));
"""
ROWS = """
    const rows = document.querySelector("proxxy-console").shadowRoot.querySelectorAll(".xterm-rows > div");
    return [...rows].map((row) => row.textContent.replace(/\\u00a0/g, " ").trimEnd()).join("\\n").trimEnd();
"""
BOX = """
    const { left, top, width, height } =
        document.querySelector("proxxy-console").shadowRoot.querySelector(".xterm-screen").getBoundingClientRect();
    return [left, top, width, height];
"""


class Page:
    """A browser that shows a terminal."""

    def __init__(self, browser: webdriver.Remote) -> None:
        self.browser = browser

    def element(self, script: str, *values: Any) -> Any:
        """Runs a script that has the element, its shadow root, and the values in `values`."""
        first = "const element = document.querySelector('proxxy-console'), values = arguments;"
        return self.browser.execute_script(f"{first} const root = element.shadowRoot; {script}", *values)

    def rows(self) -> str:
        return self.browser.execute_script(ROWS)

    def wait_shown(self, text: str) -> None:
        wait_for(lambda: text in self.rows(), PAGE_SECONDS, lambda: f"{text!r} is not in\n{self.rows()}")

    def press(self, *keys: str) -> None:
        """Presses modifiers, then the other keys."""
        chain = ActionChains(self.browser)
        modifiers = [key for key in keys if key in (Keys.CONTROL, Keys.SHIFT, Keys.ALT)]
        for key in modifiers:
            chain.key_down(key)
        chain.send_keys(*[key for key in keys if key not in modifiers])
        for key in reversed(modifiers):
            chain.key_up(key)
        chain.perform()

    def click(self, column: int, row: int, size: tuple[int, int], *, times: int = 1, key: str = "") -> None:
        """Clicks a character, while a key is down."""
        left, top, width, height = self.browser.execute_script(BOX)
        x, y = left + (column + 0.5) * width / size[0], top + (row + 0.5) * height / size[1]
        for offset in (3, 0):  # a link is looked for when the mouse moves
            actions = ActionBuilder(self.browser)
            actions.pointer_action.move_to_location(int(x) + offset, int(y)).pause(0.2)
            actions.perform()
        actions = ActionBuilder(self.browser)
        if key:
            actions.key_action.key_down(key)
            actions.pointer_action.pause(0.1).pause(0.1)
        for _ in range(times):
            actions.pointer_action.pointer_down().pointer_up()
        actions.perform()
        if key:
            actions = ActionBuilder(self.browser)
            actions.key_action.key_up(key)
            actions.perform()
