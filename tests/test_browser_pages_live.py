# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium with links that have nothing but the payload: nobody logs in, a reload keeps the
console, and the page reconnects after a lost network, until the link is refused."""

from __future__ import annotations

import json
import time
from typing import Any, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lib.browser import chromium
from lib.cable import Cable
from lib.console_pages import BUILD, PAGE_SECONDS, shows, terminal_text, wait_sentence, wait_text
from lib.live_links import PROMPT, SEALED, LateProxxy, keys, typed
from lib.process import wait_for
from lib.web import Nginx

pytest_plugins = "lib.console_pages"

NO_LINK = "Please open the console from your panel again."
TOO_OLD = f"This link is too old. {NO_LINK}"
USED = f"This link was used already. It opens a console once. {NO_LINK}"
OFF = "The machine is switched off or just starting."
EXPIRED = (1008, "Payload has expired: exp was 61 s ago")
LONG_PAUSE = "Math.random = () => 59"  # 30 s in place of the first one


class Live:
    """A page's site: nginx, proxxy's part behind it, and the network before it."""

    def __init__(self, proxxy: LateProxxy, cable: Cable) -> None:
        self.proxxy, self.cable = proxxy, cable
        self.url = f"http://127.0.0.1:{cable.port}"

    def link(self, name: str = "novnc", **more: str) -> str:
        return self.url + self.proxxy.link(name, **more)

    @property
    def sessions(self) -> int:
        return len(self.proxxy.sessions)


@pytest.fixture
def live() -> Iterator[Live]:
    with LateProxxy() as proxxy, Nginx(proxxy.port) as web, Cable(web.port) as cable:
        yield Live(proxxy, cable)
        assert SEALED not in web.logs()


def state(browser: webdriver.Remote) -> str:
    return browser.execute_script("return document.documentElement.className")


def wait_state(browser: webdriver.Remote, wanted: str) -> None:
    wait_for(lambda: state(browser) == wanted, PAGE_SECONDS, lambda: f"{state(browser)}, not {wanted}")


def wait_sessions(live: Live, count: int) -> None:
    wait_for(lambda: live.sessions == count, PAGE_SECONDS, lambda: f"{live.sessions} sessions, not {count}")


def kept(browser: webdriver.Remote) -> list[str]:
    """The links in the tab's storage."""
    return list(json.loads(browser.execute_script("return JSON.stringify(sessionStorage)")).values())


def press(browser: webdriver.Remote, text: str) -> None:
    """Types at whatever has the focus."""
    ActionChains(browser).send_keys(text).perform()


def button(browser: webdriver.Remote, id: str) -> Any:
    return browser.find_element(By.ID, id)


def lose(browser: webdriver.Remote, live: Live) -> None:
    live.cable.unplug()
    wait_state(browser, "reconnecting")


def no_secret_in_sight(browser: webdriver.Remote, live: Live, name: str) -> None:
    assert browser.current_url == f"{live.url}/console/{name}.html"
    seen = browser.execute_script("return document.documentElement.outerHTML + JSON.stringify(history.state)")
    assert SEALED not in seen
    assert SEALED not in browser.execute_script("return document.referrer + document.cookie")


# --- a link alone -----------------------------------------------------------------------------


def test_screen_without_a_password(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    assert browser.title == "VM 100"
    press(browser, "Hello")
    wait_for(lambda: keys(live.proxxy.sessions[0]) == "Hello", PAGE_SECONDS, lambda: keys(live.proxxy.sessions[0]))
    no_secret_in_sight(browser, live, "novnc")


def test_terminal_without_a_login(browser: webdriver.Remote, live: Live) -> None:
    """The first that comes is the window's size; all that is sent back is shown."""
    browser.get(live.link("xterm"))
    wait_state(browser, "connected")
    size = browser.execute_script("return `1:${terminal.cols}:${terminal.rows}:`")
    assert live.proxxy.sessions[0].received.decode() == size
    press(browser, "uptime")
    wait_text(browser, f"{PROMPT.decode()}uptime")
    assert typed(live.proxxy.sessions[0]) == "uptime"
    no_secret_in_sight(browser, live, "xterm")


# --- reload -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["novnc", "xterm"])
def test_reload_keeps_the_console(browser: webdriver.Remote, live: Live, name: str) -> None:
    browser.get(live.link(name))
    for count in (1, 2, 3):
        wait_state(browser, "connected")
        assert live.sessions == count and browser.title == "VM 100"
        no_secret_in_sight(browser, live, name)
        browser.refresh()
    wait_state(browser, "connected")
    # Leaving the page ends the console; coming back opens it.
    browser.get("about:blank")
    browser.back()
    wait_sessions(live, 5)
    wait_state(browser, "connected")


def test_link_with_a_ticket_is_not_kept(browser: webdriver.Remote, live: Live) -> None:
    for secret in ({"password": "x"}, {"user": "root@pam", "ticket": "x"}):
        browser.get(live.link(**secret))
        wait_state(browser, "connected")
        assert kept(browser) == []
        live.proxxy.sessions[-1].connection.sock.close()
        assert wait_sentence(browser) == "The connection was lost."
        browser.get("about:blank")


def test_only_the_last_link_is_kept(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script("location.hash = 'payload=another'")
    wait_sessions(live, 2)
    assert kept(browser) == ["payload=another"]
    browser.refresh()
    wait_sessions(live, 3)
    assert kept(browser) == ["payload=another"]


def test_two_frames_keep_a_link_each(browser: webdriver.Remote, live: Live) -> None:
    browser.get(f"{live.url}/panel")
    links = [live.link(), live.link().replace("VM%20100", "VM%20200")]
    for index, link in enumerate(links):
        browser.execute_script(FRAME, link, f"frame{index}")
        wait_sessions(live, index + 1)
    for index, title in enumerate(("VM 100", "VM 200")):
        browser.switch_to.frame(button(browser, f"frame{index}"))
        browser.execute_script("location.reload()")
        wait_sessions(live, 3 + index)
        wait_for(lambda: browser.title is not None and state(browser) == "connected", PAGE_SECONDS, "not connected")
        assert browser.execute_script("return document.title") == title
        browser.switch_to.default_content()


@pytest.mark.parametrize("refusal", [EXPIRED, (1008, "Payload was used already"), (1008, "Client address not allowed")])
def test_dead_link_is_forgotten(browser: webdriver.Remote, live: Live, refusal: tuple[int, str]) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.refusal = refusal
    browser.refresh()
    wait_sessions(live, 2)
    wait_sentence(browser)
    assert kept(browser) == []
    browser.refresh()
    assert wait_sentence(browser) == NO_LINK
    assert live.sessions == 2


def test_browser_without_storage(live: Live) -> None:
    """A reload asks for another link. The page still reconnects."""
    with chromium(1100, 800, storage=False) as browser:
        browser.get(live.link())
        wait_state(browser, "connected")
        lose(browser, live)
        live.cable.plug()
        wait_state(browser, "connected")
        browser.refresh()
        assert wait_sentence(browser) == NO_LINK


# --- reconnecting -----------------------------------------------------------------------------


def test_screen_comes_back_after_the_network_was_cut(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    time.sleep(0.5)  # until the picture is drawn
    lose(browser, live)
    assert "The connection was lost. Reconnecting" in wait_sentence(browser)
    # The last picture stays.
    assert browser.execute_script("return document.querySelector('canvas').getContext('2d').getImageData(9, 9, 1, 1)")[
        "data"
    ]
    assert shows(browser, "canvas")
    press(browser, "lost")
    button(browser, "ctrl-alt-del").click()
    wait_for(lambda: live.cable.refused >= 2, PAGE_SECONDS, "no second attempt")
    browser.save_screenshot(str(BUILD / "novnc-reconnecting.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    assert not shows(browser, "#message") and len(browser.find_elements(By.TAG_NAME, "canvas")) == 1
    press(browser, "found")
    wait_for(lambda: keys(live.proxxy.sessions[-1]) == "found", PAGE_SECONDS, lambda: keys(live.proxxy.sessions[-1]))
    no_secret_in_sight(browser, live, "novnc")


def test_terminal_comes_back_after_the_network_was_cut(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link("xterm"))
    wait_state(browser, "connected")
    press(browser, "before")
    wait_text(browser, "before")
    lose(browser, live)
    press(browser, "lost")
    browser.execute_script("terminal.input('lost')")
    browser.save_screenshot(str(BUILD / "xterm-reconnecting.png"))
    live.cable.plug()
    wait_state(browser, "connected")
    press(browser, "after")
    prompt = PROMPT.decode()
    wait_text(browser, f"{prompt}after")
    # What was there before is still there.
    assert terminal_text(browser) == f"{prompt}before\n{prompt}after"
    assert typed(live.proxxy.sessions[-1]) == "after"


ENDS = {
    "Proxmox is lost": (1011, "Proxmox: connection lost", True),
    "the client was silent": (1001, "Client did not answer a Ping", True),
    "a proxy restarts": (1001, "", True),
    "a gateway restarts": (1012, "", True),
    "the operator": (1001, "Session was ended by the operator", False),
    "idle": (1001, "Session was idle too long", False),
    "time is over": (1001, "Session reached its maximum length", False),
    "the console": (1000, "Console closed", False),
    "a protocol error": (1002, "Client violated the WebSocket protocol", False),
    "Proxmox's frames": (1011, "Proxmox violated the WebSocket protocol", False),
}


@pytest.mark.parametrize("end", ENDS)
def test_ends_after_which_the_page_reconnects(browser: webdriver.Remote, live: Live, end: str) -> None:
    code, reason, reconnects = ENDS[end]
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.sessions[0].end(code, reason)
    if reconnects:
        wait_sessions(live, 2)
        wait_state(browser, "connected")
        return
    wait_state(browser, "ended")
    time.sleep(1.5)
    assert live.sessions == 1
    # The link still opens a console: one button does, without the panel.
    assert button(browser, "again").text == "Open again"
    button(browser, "again").click()
    wait_state(browser, "connected")
    assert live.sessions == 2 and not shows(browser, "#message")


@pytest.mark.parametrize("refusal, sentence", [(EXPIRED, TOO_OLD), ((1008, "Payload was used already"), USED)])
def test_reconnecting_ends_when_the_link_is_refused(
    browser: webdriver.Remote, live: Live, refusal: tuple[int, str], sentence: str
) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    time.sleep(0.5)
    lose(browser, live)
    live.proxxy.refusal = refusal
    live.cable.plug()
    wait_state(browser, "ended")
    assert wait_sentence(browser) == f"The connection was lost. {sentence}"
    assert not any(shows(browser, f"#{id}") for id in ("now", "stop", "again"))
    browser.save_screenshot(str(BUILD / "novnc-given-up.png"))
    assert kept(browser) == []
    time.sleep(1.5)
    assert live.sessions == 2


PASSING = ["Proxmox: cannot connect", "Proxmox: no answer in time: it does not answer at all"]


@pytest.mark.parametrize("reason", PASSING)
def test_reconnecting_goes_on_while_proxmox_is_away(browser: webdriver.Remote, live: Live, reason: str) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    live.proxxy.refusal = (1011, reason)
    live.proxxy.sessions[0].end(1011, "Proxmox: connection lost")
    wait_sessions(live, 3)
    live.proxxy.refusal = None
    wait_state(browser, "connected")


def test_attempt_that_is_not_answered_ends(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script("const set = setTimeout; setTimeout = (f, ms) => set(f, ms === 30_000 ? 300 : ms)")
    lose(browser, live)
    live.proxxy.silent = True
    live.cable.plug()
    wait_sessions(live, 3)
    live.proxxy.silent = False
    wait_state(browser, "connected")


def test_buttons_while_it_reconnects(browser: webdriver.Remote, live: Live) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script(LONG_PAUSE)
    lose(browser, live)
    assert wait_sentence(browser) == "The connection was lost. Reconnecting in 30 s…"
    live.cable.plug()
    button(browser, "now").click()
    wait_state(browser, "connected")
    lose(browser, live)
    button(browser, "stop").click()
    wait_state(browser, "ended")
    live.cable.plug()
    assert wait_sentence(browser) == "The connection was lost."
    button(browser, "again").click()
    wait_state(browser, "connected")
    assert live.sessions == 3


EVENTS = ["dispatchEvent(new Event('online'))", "document.dispatchEvent(new Event('visibilitychange'))"]


@pytest.mark.parametrize("event", EVENTS)
def test_network_or_tab_that_is_back_ends_the_pause(browser: webdriver.Remote, live: Live, event: str) -> None:
    browser.get(live.link())
    wait_state(browser, "connected")
    browser.execute_script(LONG_PAUSE)
    lose(browser, live)
    live.cable.plug()
    browser.execute_script(event)
    wait_state(browser, "connected")


FRAME = """
    window.heard = [];
    addEventListener("message", (event) => heard.push(event.data));
    const frame = document.createElement("iframe");
    frame.id = arguments[1] ?? "frame";
    frame.width = 600;
    frame.height = 400;
    frame.src = arguments[0];
    document.body.append(frame);
"""


def test_panel_hears_of_it(browser: webdriver.Remote, live: Live) -> None:
    """The pauses grow. A link that is refused comes back as the panel's matter."""
    browser.get(f"{live.url}/panel")
    browser.execute_script(FRAME, live.link())

    def heard() -> list[dict[str, Any]]:
        return browser.execute_script("return heard")

    def types() -> list[str]:
        return [message["type"].removeprefix("proxxy:") for message in heard()]

    wait_for(lambda: types() == ["connected"], PAGE_SECONDS, lambda: f"{heard()}")
    live.cable.unplug()
    wait_for(lambda: len(heard()) == 4, PAGE_SECONDS, lambda: f"{heard()}")
    assert types()[1:] == ["reconnecting"] * 3
    for seconds, message in zip((1, 2, 4), heard()[1:]):
        assert (message["code"], message["reason"]) == (1006, "")
        assert seconds * 500 <= message["milliseconds"] <= seconds * 1000
    live.cable.plug()
    wait_for(lambda: types()[4:] == ["connected"], PAGE_SECONDS, lambda: f"{heard()}")
    live.proxxy.refusal = EXPIRED
    live.cable.unplug()
    live.cable.plug()
    wait_for(lambda: types()[-1] == "closed", PAGE_SECONDS, lambda: f"{heard()}")
    assert heard()[-1] == {"type": "proxxy:closed", "code": EXPIRED[0], "reason": EXPIRED[1]}
    browser.switch_to.frame(button(browser, "frame"))
    assert wait_sentence(browser) == f"The connection was lost. {TOO_OLD}"
    button(browser, "again").click()
    browser.switch_to.default_content()
    wait_for(lambda: types()[-1] == "again", PAGE_SECONDS, lambda: f"{heard()}")
    live.proxxy.refusal = None
    browser.execute_script("document.getElementById('frame').src = arguments[0]", live.link() + "2")
    wait_for(lambda: types()[-1] == "connected", PAGE_SECONDS, lambda: f"{heard()}")


# --- a guest that does not answer --------------------------------------------------------------


@pytest.mark.parametrize("name", ["novnc", "xterm"])
def test_guest_that_is_off(browser: webdriver.Remote, live: Live, name: str) -> None:
    live.proxxy.refusal = (1000, "Console closed before it sent anything")
    browser.get(live.link(name))
    assert wait_sentence(browser) == OFF
    browser.save_screenshot(str(BUILD / f"{name}-guest-off.png"))
    assert button(browser, "again").text == "Try again"
    button(browser, "again").click()
    wait_sessions(live, 2)
    assert wait_sentence(browser) == OFF
    live.proxxy.refusal = None
    button(browser, "again").send_keys(Keys.ENTER)
    wait_state(browser, "connected")


REFUSALS = {
    (1008, "Payload was withdrawn"): f"This link is no longer valid. {NO_LINK}",
    (1008, "Console refused the VNC password"): f"The console refused the password. {NO_LINK}",
    (1008, "Console refused the terminal's login"): f"The console refused the login. {NO_LINK}",
    (1011, "Proxmox: 403 permission denied"): "The panel is not allowed to open this console. "
    "Please tell the panel's support.",
    (1011, "Proxmox: 500 no such guest"): f"This machine does not exist, or it was moved. {NO_LINK}",
    (1011, "Proxmox: 500 the guest is locked"): "The machine is locked by a task, such as a backup. "
    "Please try again later.",
    (1011, "Proxmox: 595 the guest's node does not answer"): "The machine's host does not answer. "
    "Please try again later.",
    (1011, "Proxmox: no answer in time: it does not answer at all"): "The machine's host cannot be reached.",
    (1011, "Proxmox: its console did not do the login"): "The console does not begin as it should. "
    "Please tell the panel's support.",
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal[1].removeprefix("Proxmox: "))
def test_refusals_of_such_links(browser: webdriver.Remote, live: Live, refusal: tuple[int, str]) -> None:
    live.proxxy.refusal = refusal
    browser.get(live.link())
    assert wait_sentence(browser) == REFUSALS[refusal]
    time.sleep(1.2)
    assert live.sessions == 1
    assert shows(browser, "#again") == (not REFUSALS[refusal].endswith(NO_LINK))


# --- on a phone -------------------------------------------------------------------------------


def test_lost_connection_on_a_phone(touch: webdriver.Remote, live: Live) -> None:
    for name in ("novnc", "xterm"):
        touch.get(live.link(name))
        wait_state(touch, "connected")
        time.sleep(0.5)
        touch.execute_script(LONG_PAUSE)
        lose(touch, live)
        wide = "return document.documentElement.scrollWidth <= innerWhat && innerWhat > 0".replace("What", "Width")
        assert touch.execute_script(wide)
        for id in ("now", "stop"):
            assert min(button(touch, id).size["width"], button(touch, id).size["height"]) >= 44
        touch.save_screenshot(str(BUILD / f"{name}-reconnecting-phone.png"))
        live.cable.plug()
        live.proxxy.refusal = EXPIRED
        button(touch, "now").click()
        wait_state(touch, "ended")
        touch.save_screenshot(str(BUILD / f"{name}-given-up-phone.png"))
        live.proxxy.refusal = None
        touch.get("about:blank")
