# SPDX-License-Identifier: Apache-2.0
"""Chromium shows a real VNC desktop through proxxy, and text typed into the page arrives there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lib.activator import TREE
from lib.browser import chromium
from lib.console_pages import choose_entry, part, press_tool
from lib.desktop import BACKGROUND, TERMINAL_BACKGROUND
from lib.process import wait_for
from lib.stage import Stage

SCREENSHOT = TREE / "build" / "browser.png"
DRAW_SECONDS = 30.0
KEY_SECONDS = 10.0
CLOSE_SECONDS = 5.0
TYPED = "Typed in the browser, read in the guest: 100% #1"

# Pixels of the desktop (1024x768) whose colour is known. No control of the page covers them.
BACKGROUND_POINTS = [(60, 60), (512, 60), (1000, 60), (60, 400), (1000, 400), (60, 700), (1000, 700)]
TERMINAL_POINTS = [(300, 300), (500, 400), (700, 350)]
SIZES = """
    const [canvas, screen] = arguments;
    return [[canvas.width, canvas.height], [screen.clientWidth, screen.clientHeight]];
"""


@pytest.mark.timeout(120)
def test_a_browser_shows_the_desktop_and_types_into_it(tmp_path: Path) -> None:
    arrived = tmp_path / "arrived"
    terminal = ["/bin/sh", "-c", 'exec cat > "$1"', "sh", str(arrived)]
    with Stage(terminal=terminal) as stage:
        with chromium(1100, 900) as browser:
            browser.get(stage.panel.url)
            wait_for(
                lambda: browser.execute_script("return document.documentElement.classList.contains('connected')"),
                DRAW_SECONDS,
                lambda: f"not connected:\n{stage.activator.log()}",
            )
            wait_for(lambda: is_drawn(browser), DRAW_SECONDS, f"the desktop is not drawn: see {SCREENSHOT}")

            type_into_terminal(browser, TYPED)
            wait_for(
                lambda: arrived.read_text() == f"{TYPED}\n",
                KEY_SECONDS,
                lambda: f"{arrived.read_text()!r} arrived",
            )
            wait_for(lambda: is_drawn(browser), DRAW_SECONDS, f"the desktop is gone: see {SCREENSHOT}")
            assert len(stage.activator.sessions()) == 1

            # The desktop takes the window's size.
            press_tool(browser, "scaling")
            choose_entry(browser, "remote")
            shown = (part(browser, "canvas"), part(browser, ".screen"))
            sizes = lambda: browser.execute_script(SIZES, *shown)  # noqa: E731
            wait_for(lambda: sizes()[0] == sizes()[1], DRAW_SECONDS, lambda: f"the desktop is {sizes()}")

            # Leaving the page ends its console, although Chromium keeps the page in its back/forward cache.
            browser.get("about:blank")
            log = stage.activator.wait_log("Session ended")
            stage.activator.wait_sessions(0)
            wait_for(lambda: stage.standin.closes, CLOSE_SECONDS, "Proxmox got no Close")
    assert "outcome=client-closed" in log
    assert stage.standin.closes == [(1000, "")]
    assert stage.standin.violations == []


def is_drawn(browser: webdriver.Remote) -> bool:
    """Whether a screenshot shows the known colours at the known pixels. The screenshot
    stays in build/ for a person to look at."""
    SCREENSHOT.parent.mkdir(exist_ok=True)
    SCREENSHOT.write_bytes(png := browser.get_screenshot_as_png())
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    canvas, scale = canvas_geometry(browser)

    def colour(point: tuple[int, int]) -> tuple[int, ...]:
        return picture.getpixel((int(canvas["x"] + point[0] * scale), int(canvas["y"] + point[1] * scale)))

    return all(colour(point) == BACKGROUND for point in BACKGROUND_POINTS) and all(
        colour(point) == TERMINAL_BACKGROUND for point in TERMINAL_POINTS
    )


def canvas_geometry(browser: webdriver.Remote) -> tuple[dict[str, float], float]:
    """The place of the canvas in the page, and the page's pixels for one pixel of the desktop."""
    canvas = part(browser, "canvas")
    return canvas.rect, canvas.rect["width"] / canvas.get_property("width")


def type_into_terminal(browser: webdriver.Remote, line: str) -> None:
    """Clicks into the terminal first, so that mouse events pass through proxxy too."""
    canvas = part(browser, "canvas")
    rect, scale = canvas_geometry(browser)
    # Selenium's offsets begin at the element's centre.
    x = TERMINAL_POINTS[0][0] * scale - rect["width"] / 2
    y = TERMINAL_POINTS[0][1] * scale - rect["height"] / 2
    ActionChains(browser).move_to_element_with_offset(canvas, int(x), int(y)).click().perform()
    ActionChains(browser).send_keys(line, Keys.ENTER).perform()
