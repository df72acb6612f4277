# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium, served by nginx and Caddy with the shipped configurations, through proxxy to a
stand-in Proxmox: what a customer sees, types and reads."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import TERMINAL
from lib.activator import TREE, Activator
from lib.browser import chromium
from lib.certs import Cert
from lib.consoles import handler_console
from lib.panel import Backend, page
from lib.process import wait_for
from lib.rfb import Recorder
from lib.standin import StandIn
from lib.web import Caddy, Nginx

SCREEN, BROKEN = 110, 111  # vmids
PAGE_SECONDS = 30.0
PHONE = (390, 844)
BUILD = TREE / "build"
TAB, ENTER, BACKSPACE, CONTROL, ALT, DELETE, SHIFT = 0xFF09, 0xFF0D, 0xFF08, 0xFFE3, 0xFFE9, 0xFFFF, 0xFFE1


@dataclass
class Site:
    """What a customer's browser reaches, and what is behind it."""

    url: str
    backend: Backend
    relay: Activator
    web: Nginx
    standin: StandIn
    guest: Recorder

    def desktop(self, **claims: Any) -> str:
        return self.url + self.backend.desktop("qemu", SCREEN, **claims)

    def terminal(self) -> str:
        return self.url + self.backend.terminal("lxc", TERMINAL)

    def sessions(self) -> int:
        """How many there were, refused ones aside."""
        return self.relay.log().count("Session began")


def make_site(web: Nginx, relay: Activator, standin: StandIn, guest: Recorder, cert: Cert, key: str) -> Site:
    standin.add("qemu", SCREEN, handler_console(guest.serve))
    token = standin.access.token("root@pam")
    backend = Backend(f"127.0.0.1:{standin.port}", str(cert.ca), standin.node, token, key, relay.port)
    return Site(web.url, backend, relay, web, standin, guest)


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=["nginx", "caddy"])
def web(request: pytest.FixtureRequest, relay: Activator) -> Iterator[Nginx]:
    with request.param(relay.port) as web:
        yield web
        # Whatever a test did: who reads the logs gets no payload.
        assert "eyJhbGciOi" not in web.logs() and "payload=e" not in web.logs()


@pytest.fixture
def site(web: Nginx, relay: Activator, standin: StandIn, cert: Cert, key: str) -> Site:
    return make_site(web, relay, standin, Recorder(), cert, key)


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Remote]:
    with chromium(1100, 800) as window:
        yield window


@pytest.fixture(scope="module")
def phone() -> Iterator[webdriver.Remote]:
    with chromium(*PHONE, phone=True) as phone:
        yield phone


@pytest.fixture
def browser(window: webdriver.Remote) -> Iterator[webdriver.Remote]:
    yield from looked_at(window)


@pytest.fixture
def touch(phone: webdriver.Remote) -> Iterator[webdriver.Remote]:
    yield from looked_at(phone)


def looked_at(browser: webdriver.Remote) -> Iterator[webdriver.Remote]:
    """With nothing on its console afterwards: no error, and nothing that the Content-Security-Policy forbids."""
    browser.get("about:blank")
    browser.get_log("browser")
    yield browser
    entries = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    # noVNC's own words about a connection that failed, and what is refused on purpose: the WebSocket, and asking why.
    others = [entry["message"] for entry in entries if entry["source"] != "console-api"]
    said = [message for message in others if "/console/ws" not in message]
    browser.get("about:blank")
    assert said == []


def shows(browser: webdriver.Remote, selector: str) -> bool:
    return browser.find_element(By.CSS_SELECTOR, selector).is_displayed()


def wait_connected(browser: webdriver.Remote, site: Site) -> None:
    wait_for(
        lambda: browser.execute_script("return document.documentElement.classList.contains('connected')"),
        PAGE_SECONDS,
        lambda: f"not connected: {browser.find_element(By.TAG_NAME, 'body').text}\n"
        f"{site.relay.log()}\n{site.web.logs()}",
    )


def wait_sentence(browser: webdriver.Remote) -> str:
    """What the page says when it is over."""
    wait_for(lambda: shows(browser, "#message"), PAGE_SECONDS, "nothing is said")
    return browser.find_element(By.ID, "sentence").text


def wait_keys(site: Site, text: str) -> None:
    wait_for(lambda: site.guest.typed() == text, PAGE_SECONDS, lambda: f"{site.guest.typed()!r} was typed")


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
    """At a login there is no clipboard. Shift is held where a US keyboard needs it."""
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


def paste(browser: webdriver.Remote, text: str, button: str) -> None:
    browser.find_element(By.ID, "paste").click()
    wait_for(lambda: shows(browser, "#paste-dialog"), PAGE_SECONDS, "no dialog")
    # Characters that chromedriver's keyboard has none for, too.
    browser.execute_script("document.getElementById('text').value = arguments[0]", text)
    browser.find_element(By.ID, button).click()


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

SCREEN_TEXT = """
    const buffer = terminal.buffer.active;
    let text = "";
    for (let i = 0; i < buffer.length; i++) text += buffer.getLine(i).translateToString(true) + "\\n";
    return text.trimEnd();
"""


def terminal_text(browser: webdriver.Remote) -> str:
    return browser.execute_script(SCREEN_TEXT)


def wait_prompt(browser: webdriver.Remote, site: Site) -> None:
    """What is typed before would be in front of it."""
    wait_connected(browser, site)
    prompt = ("#", "$")
    wait_for(
        lambda: terminal_text(browser)[-1:] in prompt, PAGE_SECONDS, lambda: f"no prompt: {terminal_text(browser)!r}"
    )


def wait_text(browser: webdriver.Remote, text: str) -> None:
    wait_for(
        lambda: text in terminal_text(browser), PAGE_SECONDS, lambda: f"{text!r} is not in\n{terminal_text(browser)}"
    )


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
    wait_text(browser, "echo zwei")  # with it the terminal has the focus again
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


# --- how it ends ------------------------------------------------------------------------------


def test_link_is_gone_from_the_address(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    assert browser.current_url == f"{site.url}/console/novnc.html"
    source = browser.execute_script("return document.documentElement.outerHTML + JSON.stringify(history.state)")
    assert "eyJhbGciOi" not in source
    before = site.sessions()
    browser.refresh()
    assert wait_sentence(browser) == "Please open the console from your panel again."
    time.sleep(1)
    assert site.sessions() == before


def test_left_page_ends_its_session(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    browser.get("about:blank")
    site.relay.wait_sessions(0)
    browser.back()
    assert wait_sentence(browser) == "Please open the console from your panel again."


def test_operator_ends_it(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    before = site.sessions()
    for pid in site.relay.sessions():
        os.kill(pid, signal.SIGTERM)
    assert wait_sentence(browser) == "This console was ended by the operator."
    # It does not come back by itself.
    time.sleep(2)
    assert site.sessions() == before
    details = browser.find_element(By.ID, "details")
    details.click()
    assert "1001 Session was ended by the operator" in details.text
    browser.save_screenshot(str(BUILD / "console-ended.png"))


def connection_lost(site: Site) -> None:
    for pid in site.relay.sessions():
        os.kill(pid, signal.SIGKILL)


def test_connection_that_is_lost(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.desktop())
    wait_connected(browser, site)
    connection_lost(site)
    assert wait_sentence(browser) == "The connection was lost."


REFUSALS: dict[str, tuple[Callable[[Site], str], str]] = {
    "expired": (
        lambda site: site.desktop(exp=int(time.time()) - 60),
        "This link is too old. A console must be opened within a few seconds.",
    ),
    "early": (
        lambda site: site.desktop(nbf=int(time.time()) + 600, exp=int(time.time()) + 250),
        "This link is not valid yet, or a clock is wrong.",
    ),
    "other origin": (
        lambda site: site.desktop(origin="https://elsewhere.example"),
        "This link was made for another page.",
    ),
    "other computer": (
        lambda site: site.desktop(client="192.0.2.1"),
        "This link was made for another computer or network.",
    ),
    "clock ahead": (
        lambda site: site.desktop(exp=int(time.time()) + 900),
        "This link is valid for too long, or a clock is wrong. Please tell the panel's support.",
    ),
    "made wrong": (
        lambda site: site.desktop(fingerprint="AB:CD"),
        "The panel made a wrong link. Please tell the panel's support.",
    ),
    "wrong key": (
        lambda site: site.url + page("novnc", payload="a.b.c.d.e", password="x"),
        "This link is not complete, or was not made for this console.",
    ),
    "no such host": (lambda site: site.desktop(host="no-such-host.invalid"), "The machine's host cannot be reached."),
    "ticket refused": (
        lambda site: site.desktop(vncticket="x:PVEVNC:65A1B2C3::bad"),
        "This link is too old. A console must be opened within a few seconds.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_is_said_in_a_sentence(browser: webdriver.Remote, site: Site, case: str) -> None:
    make, sentence = REFUSALS[case]
    browser.get(make(site))
    assert wait_sentence(browser) == sentence


def support(browser: webdriver.Remote) -> str:
    """What is folded, for the panel's developer."""
    browser.find_element(By.ID, "details").click()
    return browser.find_element(By.ID, "reason").text


DETAILS: dict[str, tuple[dict[str, Any], str]] = {
    "clock ahead": ({"exp": 900}, r"1008 Invalid payload: exp is (899|900) s ahead, more than PROXXY_PAYLOAD_LIFETIME"),
    "made wrong": (
        {"fingerprint": "AB:CD"},
        r"1008 Invalid payload: fingerprint is not a SHA-256 fingerprint, 64 hex digits",
    ),
    "other origin": (
        {"origin": "https://elsewhere.example", "jti": "o"},
        r"1008 Origin not allowed: the payload is for another origin",
    ),
    "expired": ({"exp": -60}, r"1008 Payload has expired: exp was 6[01] s ago"),
}  # fmt: skip


@pytest.mark.parametrize("case", DETAILS)
def test_details_are_there_for_the_panels_developer(browser: webdriver.Remote, site: Site, case: str) -> None:
    """In the Close, without another request."""
    claims, pattern = DETAILS[case]
    before = site.relay.log().count("Request refused")
    browser.get(site.desktop(**{n: int(time.time()) + v if n == "exp" else v for n, v in claims.items()}))
    wait_sentence(browser)
    said = support(browser)
    assert re.fullmatch(pattern, said), said
    wait_for(lambda: site.relay.log().count("Request refused") > before, PAGE_SECONDS, site.relay.log)
    assert site.relay.log().count("Request refused") == before + 1
    browser.save_screenshot(str(BUILD / f"refused-{case.replace(' ', '-')}.png"))


def test_console_that_was_quiet_for_too_long(browser: webdriver.Remote, site: Site) -> None:
    """Proxmox's own 15 minutes, in which nothing comes or goes; with a key pressed meanwhile it is another end."""
    for key_pressed, sentence in (
        (
            False,
            "The console was closed. Proxmox closes a VM's console after 15 minutes without activity. "
            "Please open it again.",
        ),
        (True, "The console was closed."),
    ):
        ended = threading.Event()

        async def quiet(reader: Any, writer: Any) -> None:
            guest = asyncio.ensure_future(site.guest.serve(reader, writer))
            while not ended.is_set():
                await asyncio.sleep(0.05)
            guest.cancel()

        site.standin.add("qemu", BROKEN, handler_console(quiet))
        browser.get(site.url + site.backend.desktop("qemu", BROKEN))
        wait_connected(browser, site)
        time.sleep(0.5)  # for noVNC to have said what it says at the beginning
        browser.execute_script("const now = Date.now; Date.now = () => now() + 900_000")
        if key_pressed:
            browser.switch_to.active_element.send_keys("x")
            wait_for(lambda: site.guest.typed().endswith("x"), PAGE_SECONDS, "no key came")
        ended.set()
        assert wait_sentence(browser) == sentence
        if not key_pressed:
            browser.save_screenshot(str(BUILD / "console-quiet.png"))


def test_upgrade_that_a_proxy_does_not_pass_on(window: webdriver.Remote, site: Site) -> None:
    """The link is good, and still is."""
    with Deaf(site.relay.port) as deaf:
        window.get(deaf.url + site.desktop(jti=f"deaf-{time.time()}").removeprefix(site.url))
        assert wait_sentence(window) == "The connection was cut, or a proxy or firewall blocks consoles."


class Deaf(Nginx):
    def shipped(self, name: str) -> str:
        return super().shipped(name).replace("proxy_set_header Upgrade", "#")


def test_used_link(browser: webdriver.Remote, site: Site) -> None:
    link = site.desktop(jti=f"once-{time.time()}")
    browser.get(link)
    wait_connected(browser, site)
    browser.get("about:blank")
    browser.get(link)
    assert wait_sentence(browser) == "This link was used already. Each one opens a console once."
    assert support(browser) == "1008 Payload was used already"


NOT_BEGUN = "The console closed before it began. Please check that the machine is running, and open it again."


def test_console_that_closes_before_it_begins(browser: webdriver.Remote, site: Site) -> None:
    """That of a VM that does not run."""

    async def closes(reader: Any, writer: Any) -> None:
        pass

    site.standin.add("qemu", BROKEN, handler_console(closes))
    browser.get(site.url + site.backend.desktop("qemu", BROKEN))
    assert wait_sentence(browser) == NOT_BEGUN


def test_termproxy_that_closes_at_a_wrong_ticket(browser: webdriver.Remote, site: Site) -> None:
    """As the real one does, without a word."""
    browser.get(site.terminal().replace("&ticket=", "&ticket=x"))
    assert wait_sentence(browser) == NOT_BEGUN


def test_page_without_its_parts(window: webdriver.Remote, site: Site) -> None:
    """When novnc is not installed, or npm was not run: that is said, the link is gone all the same, and not used up."""
    with Bare(site.relay.port) as bare:
        for link in (site.desktop(), site.terminal()):
            before = site.sessions()
            window.get(bare.url + link.removeprefix(site.url))
            assert wait_sentence(window) == "The console cannot be shown: a part of this page is missing."
            assert "#" not in window.current_url
            assert site.sessions() == before
            window.find_element(By.ID, "details").click()
            assert "imported module" in window.find_element(By.ID, "reason").text


class Bare(Nginx):
    def shipped(self, name: str) -> str:
        text = super().shipped(name).replace("/usr/share/novnc/", f"{self.directory}/nothing/")
        return f"location ^~ /console/xterm/ {{ return 404; }}\n{text}"


def test_wrong_password_ends_it(browser: webdriver.Remote, site: Site) -> None:
    """A server that wants VNC's own authentication and does not take the password: noVNC would ask for another."""

    async def refuses(reader: Any, writer: Any) -> None:
        writer.write(b"RFB 003.008\n")
        await reader.readexactly(12)
        writer.write(b"\x01\x02")
        await reader.readexactly(1)
        writer.write(bytes(16))
        await reader.readexactly(16)
        writer.write(b"\0\0\0\x01\0\0\0\x04nope")
        await reader.read()

    site.standin.add("qemu", BROKEN, handler_console(refuses))
    browser.get(site.url + site.backend.desktop("qemu", BROKEN))
    assert wait_sentence(browser) == "The console refused this link's password."


def test_termproxy_that_does_not_take_the_ticket(browser: webdriver.Remote, site: Site) -> None:
    async def refuses(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\n")
        writer.write(b"NO")
        await reader.read()

    site.standin.add("lxc", BROKEN, handler_console(refuses))
    browser.get(site.url + site.backend.terminal("lxc", BROKEN))
    assert wait_sentence(browser) == "This link is too old. A console must be opened within a few seconds."


# --- in a panel -------------------------------------------------------------------------------

FRAME = """
    window.heard = [];
    addEventListener("message", (event) => heard.push(event.data));
    const frame = document.createElement("iframe");
    frame.id = "console";
    frame.style.cssText = "position:fixed;inset:0;width:100%;height:100%;z-index:99";
    frame.allow = "fullscreen";
    frame.src = arguments[0];
    document.body.append(frame);
"""


def test_in_a_frame_of_the_panel(browser: webdriver.Remote, site: Site) -> None:
    """Which hears how it goes, may put another link in, and hears that someone wants one."""
    browser.get(f"{site.url}/panel")
    browser.execute_script(FRAME, site.desktop())
    heard = lambda: browser.execute_script("return heard")  # noqa: E731
    wait_for(lambda: heard() == [{"type": "proxxy:connected"}], PAGE_SECONDS, lambda: f"{heard()}")
    for pid in site.relay.sessions():
        os.kill(pid, signal.SIGTERM)
    closed = {"type": "proxxy:closed", "code": 1001, "reason": "Session was ended by the operator"}
    wait_for(lambda: heard()[1:] == [closed], PAGE_SECONDS, lambda: f"{heard()}")
    frame = browser.find_element(By.ID, "console")
    browser.switch_to.frame(frame)
    browser.find_element(By.ID, "again").click()
    browser.switch_to.default_content()
    wait_for(lambda: heard()[2:] == [{"type": "proxxy:again"}], PAGE_SECONDS, lambda: f"{heard()}")
    browser.execute_script("arguments[0].src = arguments[1]", frame, site.desktop())
    wait_for(lambda: heard()[3:] == [{"type": "proxxy:connected"}], PAGE_SECONDS, lambda: f"{heard()}")
    browser.switch_to.frame(frame)
    assert not shows(browser, "#message")
    browser.switch_to.default_content()
    assert site.guest.connections == 2


def test_another_link_takes_the_place_of_the_first(browser: webdriver.Remote, site: Site) -> None:
    browser.get(site.terminal())
    wait_prompt(browser, site)
    browser.execute_script("location.hash = arguments[0]", site.terminal().partition("#")[2])
    wait_for(lambda: site.relay.log().count("Client closed") >= 1, PAGE_SECONDS, site.relay.log)
    wait_prompt(browser, site)
    assert len(site.relay.sessions()) == 1
    browser.switch_to.active_element.send_keys("echo again$((1))", Keys.ENTER)
    wait_text(browser, "\nagain1\n")


# --- on a phone -------------------------------------------------------------------------------


def no_overflow(browser: webdriver.Remote) -> bool:
    return browser.execute_script("return document.documentElement.scrollWidth <= innerWidth && scrollX === 0")


def big_enough(browser: webdriver.Remote) -> list[str]:
    """The buttons that a finger would miss."""
    buttons = [button for button in browser.find_elements(By.TAG_NAME, "button") if button.is_displayed()]
    return [button.text for button in buttons if min(button.size["width"], button.size["height"]) < 44]


def test_screen_on_a_phone(touch: webdriver.Remote, site: Site) -> None:
    touch.get(site.desktop())
    wait_connected(touch, site)
    assert no_overflow(touch) and big_enough(touch) == []
    # As its keyboard does it: the text changes, no key comes.
    keyboard = touch.find_element(By.ID, "keyboard")
    for wanted in ("true", "false", "true"):
        keyboard.click()
        wait_for(lambda: keyboard.get_attribute("aria-pressed") == wanted, PAGE_SECONDS, f"not {wanted}")
    # To tap on the guest's screen does not put the keyboard away.
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
    """iOS: only the visual viewport gets smaller."""
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


# --- what serves them -------------------------------------------------------------------------


def test_logs_hold_no_payload_when_proxxy_is_down(
    browser: webdriver.Remote, standin: StandIn, cert: Cert, key: str, settings: dict[str, Any]
) -> None:
    for kind in (Nginx, Caddy):
        with Activator(settings) as gone, kind(gone.port) as web:
            site = make_site(web, gone, standin, Recorder(), cert, key)
            link = site.desktop()
            gone.__exit__()
            browser.get(link)
            assert wait_sentence(browser) == "The console cannot be reached at the moment."
            logs = web.logs()
            gone.__enter__()
        assert "payload=e" not in logs and "eyJhbGciOi" not in logs and quote("eyJ") not in logs


def test_novncs_own_page_is_not_served(site: Site) -> None:
    """In its link stands which server it talks to: anybody's, and it would look like the panel's."""
    hidden = ("vnc.html", "vnc_lite.html", "core/../vnc.html", "core/%2e%2e/vnc.html")
    for file, code in (("core/rfb.js", 200), *((name, 404) for name in hidden)):
        try:
            with urllib.request.urlopen(f"{site.url}/console/novnc/{file}") as answer:
                assert (file, answer.status) == (file, code)
        except urllib.error.HTTPError as error:
            assert (file, error.code) == (file, code)


def test_every_shipped_file_is_there() -> None:
    files = {path.name for path in (TREE / "console").iterdir()} - {"xterm"}
    assert files == {
        *("README.md", "console.css", "console.js", "novnc.html", "novnc.js", "xterm.html", "xterm.js"),
        *("package.json", "package-lock.json"),
    }


def test_pages_hold_no_script_or_style_of_their_own() -> None:
    for file in Path(TREE / "console").glob("*.html"):
        text = file.read_text()
        assert "style=" not in text and "<style" not in text and "onclick" not in text
        assert all(" src=" in tag for tag in text.split("<script")[1:])
