# SPDX-License-Identifier: Apache-2.0
"""The console page's part for a guest's screen in Chromium, with real VNC servers: TigerVNC's and QEMU's."""

from __future__ import annotations

import base64
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lib.browser import chromium
from lib.console_pages import PHONE
from lib.desktop import Desktop
from lib.process import wait_for
from lib.qemu_guest import QemuGuest
from lib.vnc_bridge import Bridge

PASSWORD = "vncvnc12"
SECONDS = 20.0
SHORT = 0.4  # for what must not happen
ONE_PIXEL = bytes((3, 0, 0, 0, 0, 0, 0, 1, 0, 1))
CONTROL, SHIFT, ALT, DELETE = "0xffe3", "0xffe1", "0xffe9", "0xffff"
SCREEN_SIZE = bytes((0xFF, 0xFF, 0xFE, 0xCC))  # the pseudo-encoding ExtendedDesktopSize
CONSOLE = "const console_ = document.querySelector('proxxy-console');"
TEXT = "Größe: 5 € 😀\nzwei\n"
WIDTH, HEIGHT = 1600, 1200

TERMINAL = (300, 300)  # a point of the terminal in the desktop
READS = ["/bin/sh", "-c", 'stty -echo; exec cat > "$1"', "sh"]


class Page:
    """The page, connected to a VNC server."""

    def __init__(self, browser: webdriver.Remote, bridge: Bridge, password: str | None = PASSWORD) -> None:
        self.browser, self.bridge = browser, bridge
        browser.command_executor._commands["cdp"] = ("POST", "/session/$sessionId/goog/cdp/execute")
        browser.get("about:blank")
        browser.get(bridge.link(password=password) if password else bridge.link())
        self.wait_connected()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(CONSOLE + script, *arguments)

    def devtools(self, command: str, **parameters: Any) -> None:
        self.browser.execute("cdp", {"cmd": command, "params": parameters})

    def wait_connected(self) -> None:
        wait_for(lambda: self.run("return console_?.state") == "connected", SECONDS, lambda: "not connected")
        wait_for(lambda: self.canvas()["pixels"], SECONDS, "no picture")

    def canvas(self) -> dict[str, float]:
        """Where the picture is, and its width in the guest's pixels."""
        script = """
            const canvas = console_.shadowRoot.querySelector("canvas");
            const { x, y, width, height } = canvas.getBoundingClientRect();
            return { x, y, width, height, pixels: canvas.width };
        """
        return self.run(script)

    def scale(self) -> float:
        at = self.canvas()
        return at["width"] / at["pixels"]

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """The guest's pixel at a place of the window."""
        at = self.canvas()
        return int((x - at["x"]) / self.scale()), int((y - at["y"]) / self.scale())

    def middle(self) -> tuple[float, float]:
        at = self.canvas()
        return at["x"] + at["width"] / 2, at["y"] + at["height"] / 2

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the window."""
        pointer = ActionChains(self.browser)
        pointer.w3c_actions.pointer_action.move_to_location(int(x), int(y)).click()
        pointer.perform()

    def focus(self) -> None:
        self.run("console_.focus()")

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def touch(self, *steps: tuple[tuple[float, float], ...]) -> None:
        """Puts fingers down, moves them, and takes them away; each step has a place for each of them."""
        for number, places in enumerate(steps):
            points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
            kind = "touchMove" if number else "touchStart"
            self.devtools("Input.dispatchTouchEvent", type=kind, touchPoints=points)
            time.sleep(0.02)
        self.devtools("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def two_fingers(self, start: tuple[float, float, float], end: tuple[float, float, float]) -> None:
        """Each is the middle between the fingers, and half of their distance."""
        steps = []
        for tenth in range(11):
            x, y, half = (a + (b - a) * tenth / 10 for a, b in zip(start, end))
            steps.append(((x - half, y), (x + half, y)))
        self.touch(*steps)
        time.sleep(SHORT)


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Remote]:
    with chromium(1100, 800) as window:
        yield window


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What arrived in the desktop's terminal."""
    return tmp_path_factory.mktemp("desktop") / "typed"


@pytest.fixture(scope="module")
def desktop(typed: Path) -> Iterator[Desktop]:
    with Desktop([*READS, str(typed)], width=WIDTH, height=HEIGHT) as desktop:
        desktop.set_password(PASSWORD)
        wait_for(typed.exists, SECONDS, "no terminal")
        yield desktop


@pytest.fixture
def bridge(desktop: Desktop) -> Iterator[Bridge]:
    with Bridge(desktop.rfb_port) as bridge:
        yield bridge


@pytest.fixture
def page(window: webdriver.Remote, bridge: Bridge) -> Page:
    return Page(window, bridge)


@pytest.fixture
def touch(bridge: Bridge) -> Iterator[Page]:
    """A phone's browser, another one for each test: after its first page Chromium makes a mouse of the fingers."""
    with chromium(*PHONE, phone=True) as phone:
        yield Page(phone, bridge)


# --- the network --------------------------------------------------------------------------------


def assert_answers(page: Page) -> None:
    """The user is active, and nothing changes on the screen."""
    page.focus()
    page.bridge.sent.clear()
    page.bridge.received.clear()
    wait_for(lambda: page.bridge.messages(3).count(ONE_PIXEL) >= 3, SECONDS, "the server is not asked")

    def answers() -> int:
        return sum(data.count(SCREEN_SIZE) for _, data in page.bridge.received)

    wait_for(lambda: answers() >= 3, SECONDS, lambda: f"{answers()} answers")
    assert page.run("return console_.state") == "connected"
    assert page.run("return console_.latency") > 0


def test_tigervnc_answers_for_a_pixel(page: Page) -> None:
    """With continuous updates, which noVNC asks for."""
    assert page.bridge.messages(150)
    assert_answers(page)


def test_qemu_answers_for_a_pixel(window: webdriver.Remote, tmp_path: Path) -> None:
    with QemuGuest(tmp_path / "guest") as guest, Bridge(guest.vnc) as bridge:
        assert_answers(Page(window, bridge, password=None))


def test_a_dead_network_is_told_within_ten_seconds(window: webdriver.Remote, tmp_path: Path) -> None:
    with QemuGuest(tmp_path / "guest") as guest, Bridge(guest.vnc) as bridge:
        page = Page(window, bridge, password=None)
        page.focus()
        pixels = page.canvas()["pixels"]
        bridge.dead = True
        start = time.monotonic()
        page.press("x")
        wait_for(lambda: page.run("return console_.state") == "reconnecting", SECONDS, "still connected")
        assert time.monotonic() - start < 10
        # The last picture stays, and takes no keys.
        assert page.canvas()["pixels"] == pixels
        bridge.sent.clear()
        page.press("y")
        bridge.dead = False
        page.wait_connected()
        page.run("console_.sendKeys(['z'])")
        wait_for(lambda: bridge.keys() == "z+ z-", SECONDS, lambda: bridge.keys())
        pictures = "return console_.shadowRoot.querySelectorAll('.screen canvas').length"
        wait_for(lambda: page.run(pictures) == 1, SECONDS, "the last picture is still there")


# --- keys ---------------------------------------------------------------------------------------


def test_combination(page: Page) -> None:
    page.bridge.sent.clear()
    page.run("console_.ctrlAltDel()")
    expected = f"{CONTROL}+ {ALT}+ {DELETE}+ {DELETE}- {ALT}- {CONTROL}-"
    wait_for(lambda: page.bridge.keys() == expected, SECONDS, lambda: page.bridge.keys())


def test_keys_are_up_when_the_focus_leaves(page: Page) -> None:
    page.focus()
    page.bridge.sent.clear()
    ActionChains(page.browser).key_down(Keys.CONTROL).perform()
    page.run("console_.blur()")
    wait_for(lambda: page.bridge.keys() == f"{CONTROL}+ {CONTROL}-", SECONDS, lambda: page.bridge.keys())
    ActionChains(page.browser).key_up(Keys.CONTROL).perform()


def test_keys_follow_what_is_typed(page: Page) -> None:
    page.focus()
    page.bridge.sent.clear()
    page.run("console_.type('Abc')")
    page.press("x")
    expected = f"{SHIFT}+ A+ A- {SHIFT}- b+ b- c+ c- x+ x-"
    wait_for(lambda: page.bridge.keys() == expected, SECONDS, lambda: page.bridge.keys())


def test_view_only_stops_the_typing_and_sends_nothing(page: Page) -> None:
    page.run("window.how = 0; console_.type('ABC'.repeat(100)).catch((error) => (how = error.name))")
    wait_for(lambda: page.bridge.keys().count("+") > 3, SECONDS, "nothing is typed")
    page.run("console_.viewOnly = true")
    wait_for(lambda: page.run("return how") == "AbortError", SECONDS, "still typing")
    keys = page.bridge.keys()
    assert all(keys.count(f"{key}+") == keys.count(f"{key}-") for key in ("A", "B", "C", SHIFT))
    page.bridge.sent.clear()
    page.focus()
    page.press("x")
    page.click(*page.middle())
    time.sleep(SHORT)
    assert not page.bridge.messages(4, 5, 255)


# --- the clipboard ------------------------------------------------------------------------------


def test_from_the_browser_to_the_guest(page: Page, typed: Path) -> None:
    page.run("console_.paste(arguments[0])", TEXT)
    at = page.canvas()
    page.click(*(at[axis] + place * page.scale() for axis, place in zip("xy", TERMINAL)))
    page.run("console_.sendKeys(['Shift', 'Insert'])")
    wait_for(lambda: typed.read_text().endswith(TEXT), SECONDS, lambda: typed.read_text())


def test_from_the_guest_to_the_browser(page: Page, desktop: Desktop) -> None:
    """xterm copies what a program tells it to copy (OSC 52)."""
    page.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.run("console_.addEventListener('clipboard', ({ detail }) => (window.copied = detail.text))")
    page.focus()
    command = f"printf '\\033]52;c;{base64.b64encode(TEXT.encode()).decode()}\\007'; exec sleep 60"
    allowed = ["-xrm", "*disallowedWindowOps:"]
    terminal = subprocess.Popen(["xterm", *allowed, "-e", "sh", "-c", command], env=desktop.environment())
    try:
        wait_for(lambda: page.run("return window.copied") == TEXT, SECONDS, lambda: page.run("return window.copied"))
    finally:
        terminal.terminate()
        terminal.wait()
    read = "navigator.clipboard.readText().then(arguments[0], ({ message }) => arguments[0](message))"
    assert page.browser.execute_async_script(read) == TEXT


# --- the picture's size -------------------------------------------------------------------------


def scroll(page: Page, x: int, y: int) -> None:
    page.run("console_.shadowRoot.querySelector('canvas').closest('.screen > div').scrollTo(...arguments)", x, y)


def test_one_pixel_is_one_pixel(page: Page) -> None:
    page.run("console_.scaling = 'actual'")
    wait_for(lambda: page.scale() == 1, SECONDS, lambda: f"scale {page.scale()}")
    scroll(page, 300, 200)
    assert page.canvas()["x"] == -300
    page.bridge.sent.clear()
    page.click(400, 300)
    wait_for(lambda: len(page.bridge.pointers()) > 2, SECONDS, "no click")
    assert (1, *page.pixel(400, 300)) in page.bridge.pointers()
    page.run("console_.scaling = 'fit'")
    wait_for(lambda: page.scale() < 1, SECONDS, lambda: f"scale {page.scale()}")


# --- fingers ------------------------------------------------------------------------------------


def taps(page: Page, x: float, y: float) -> None:
    """A tap is a click on the guest's pixel below the finger."""
    page.bridge.sent.clear()
    page.touch(((x, y),))
    wait_for(lambda: len(page.bridge.pointers()) >= 3, SECONDS, "no click")
    (_, px, py), expected = page.bridge.pointers()[-1], page.pixel(x, y)
    assert [buttons for buttons, _, _ in page.bridge.pointers()] == [0, 1, 0]
    assert abs(px - expected[0]) <= 1 and abs(py - expected[1]) <= 1
    time.sleep(1)  # noVNC takes another tap nearby for a double click in the same place


def test_pinch_and_pan(touch: Page) -> None:
    x, y = touch.middle()
    fits = touch.scale()
    taps(touch, x, y)
    touch.bridge.sent.clear()
    touch.two_fingers((x, y, 40), (x, y, 150))
    assert 2 < touch.scale() / fits < 4
    assert touch.pixel(x, y)[0] == pytest.approx(WIDTH / 2, abs=WIDTH / 50)  # it stays between the fingers
    before = touch.canvas()
    touch.two_fingers((x, y, 40), (x - 80, y, 40))
    after = touch.canvas()
    assert after["width"] == before["width"]
    assert -80 <= after["x"] - before["x"] <= -60
    assert not touch.bridge.pointers()  # the guest knows nothing of it
    taps(touch, x + 50, y)
    touch.two_fingers((x, y, 150), (x, y, 20))
    assert touch.scale() == fits


def test_two_fingers_turn_the_wheel_of_a_picture_that_fits(touch: Page) -> None:
    x, y = touch.middle()
    touch.bridge.sent.clear()
    touch.two_fingers((x, y + 100, 40), (x, y - 100, 40))
    assert 16 in [buttons for buttons, _, _ in touch.bridge.pointers()]


def test_a_long_press_is_a_right_click(touch: Page) -> None:
    x, y = touch.middle()
    touch.bridge.sent.clear()
    touch.devtools("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    wait_for(lambda: 4 in [buttons for buttons, _, _ in touch.bridge.pointers()], SECONDS, "no right click")
    touch.devtools("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    wait_for(lambda: touch.bridge.pointers()[-1][0] == 0, SECONDS, "the button is not up")
    touch.press(Keys.ESCAPE)


def test_view_only_pans_with_one_finger(touch: Page) -> None:
    x, y = touch.middle()
    touch.run("console_.viewOnly = true")
    touch.two_fingers((x, y, 40), (x, y, 150))
    touch.bridge.sent.clear()
    before = touch.canvas()["x"]
    touch.touch(*(((x - 10 * step, y),) for step in range(8)))
    time.sleep(SHORT)
    assert touch.canvas()["x"] < before - 40
    assert not touch.bridge.pointers()


def test_screen_keyboard(touch: Page) -> None:
    """What it types, and the keys of a keyboard that is connected to the phone."""
    show = "console_.shadowRoot.querySelector('.screen textarea').focus()"
    touch.run(show)
    touch.bridge.sent.clear()
    for text in ("a", "B"):
        touch.devtools("Input.insertText", text=text)
    wait_for(lambda: touch.bridge.keys() == f"a+ a- {SHIFT}+ B+ B- {SHIFT}-", SECONDS, lambda: touch.bridge.keys())
    touch.bridge.sent.clear()
    touch.press(Keys.BACKSPACE, Keys.ENTER, Keys.ARROW_UP)
    ActionChains(touch.browser).key_down(Keys.CONTROL).send_keys("c").key_up(Keys.CONTROL).perform()
    keys = [*(f"{key}+ {key}-" for key in ("0xff08", "0xff0d", "0xff52")), f"{CONTROL}+ c+ c- {CONTROL}-"]
    wait_for(lambda: touch.bridge.keys() == " ".join(keys), SECONDS, lambda: touch.bridge.keys())
    # A tap does not put the keyboard away.
    touch.touch((touch.middle(),))
    time.sleep(SHORT)
    assert touch.run("return console_.shadowRoot.activeElement?.tagName") == "TEXTAREA"
