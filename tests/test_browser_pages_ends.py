# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium: what they say when a console ends, is refused or does not begin."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
from typing import Any, Callable

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from lib.console_pages import BUILD, PAGE_SECONDS, Site, support, wait_connected, wait_sentence
from lib.consoles import handler_console
from lib.late_proxxy import LateProxxy
from lib.live_pages import FRAME, wait_state
from lib.panel import page
from lib.process import wait_for
from lib.web import SITE, Nginx

pytest_plugins = "lib.console_pages"

BROKEN = 111  # vmid


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
    # The page does not reconnect by itself.
    time.sleep(2)
    assert site.sessions() == before
    assert support(browser) == "1001 Session was ended by the operator"
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
        "This link is too old. Please open the console from your panel again.",
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
        "This link is too old. Please open the console from your panel again.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_is_said_in_a_sentence(browser: webdriver.Remote, site: Site, case: str) -> None:
    make, sentence = REFUSALS[case]
    browser.get(make(site))
    assert wait_sentence(browser) == sentence


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
    """They come in the Close. The page sends no second request for them."""
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
    """After 15 minutes without data the page names Proxmox's limit. If a key was pressed meanwhile, it does not."""
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
        time.sleep(0.5)  # until noVNC has sent its first messages
        browser.execute_script("const now = Date.now; Date.now = () => now() + 900_000")
        if key_pressed:
            browser.switch_to.active_element.send_keys("x")
            wait_for(lambda: site.guest.typed().endswith("x"), PAGE_SECONDS, "no key came")
        ended.set()
        assert wait_sentence(browser) == sentence
        if not key_pressed:
            browser.save_screenshot(str(BUILD / "console-quiet.png"))


def test_upgrade_that_a_proxy_does_not_pass_on(window: webdriver.Remote, site: Site) -> None:
    """The link is valid and stays unused, so the page blames the connection."""
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
    assert wait_sentence(browser) == (
        "This link was used already. It opens a console once. Please open the console from your panel again."
    )
    assert support(browser) == "1008 Payload was used already"


NOT_BEGUN = "The console closed before it began. Please check that the machine is running, and open it again."


def test_console_that_closes_before_it_begins(browser: webdriver.Remote, site: Site) -> None:
    """As the console of a VM that does not run."""

    async def closes(reader: Any, writer: Any) -> None:
        pass

    site.standin.add("qemu", BROKEN, handler_console(closes))
    browser.get(site.url + site.backend.desktop("qemu", BROKEN))
    assert wait_sentence(browser) == NOT_BEGUN


def test_termproxy_that_closes_at_a_wrong_ticket(browser: webdriver.Remote, site: Site) -> None:
    """Like the real termproxy, it closes without an answer."""
    browser.get(site.terminal().replace("&ticket=", "&ticket=x"))
    assert wait_sentence(browser) == NOT_BEGUN


def test_page_without_its_parts(window: webdriver.Remote, site: Site) -> None:
    """If the page's script is not there, the page says so. It still removes the link from the address, and ends the
    console, which had begun before the script was missed."""
    with Bare(site.relay.port) as bare:
        for link, name in ((site.desktop(), "vnc"), (site.terminal(), "term")):
            window.get(bare.url + link.removeprefix(site.url))
            assert wait_words(window).startswith(INCOMPLETE)
            assert re.fullmatch(f"Cannot load .*/console/page-{name}.[0-9A-Z]+.js", find(window, "code").text)
            assert "#" not in window.current_url
            site.relay.wait_sessions(0)


def test_page_whose_script_comes_later(window: webdriver.Remote) -> None:
    with LateProxxy() as proxxy, Bare(proxxy.port) as bare:
        window.get(f"{bare.url}/panel")
        window.execute_script(FRAME, bare.url + proxxy.link())
        script = "return heard.filter(({ type }) => type !== 'proxxy:title')"
        heard = lambda: window.execute_script(script)  # noqa: E731
        wait_for(lambda: len(heard()) == 1, PAGE_SECONDS, "nothing was told")
        assert (heard()[0]["type"], heard()[0]["code"]) == ("proxxy:closed", 4000)
        assert heard()[0]["reason"].startswith("Cannot load ")
        window.switch_to.frame("frame")
        assert wait_words(window).startswith(INCOMPLETE)
        window.save_screenshot(str(BUILD / "novnc-incomplete.png"))
        bare.missing.unlink()
        find(window, "button").click()
        wait_state(window, "connected")


INCOMPLETE = "The console cannot be shown: a part of this page is missing."


def find(browser: webdriver.Remote, tag: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, f"proxxy-console {tag}")


def wait_words(browser: webdriver.Remote) -> str:
    """Waits for what the page says without its script."""
    wait_state(browser, "ended")
    return browser.find_element(By.TAG_NAME, "proxxy-console").text


class Bare(Nginx):
    """Has not the pages' scripts, as long as the file `missing` is there."""

    def shipped(self, name: str) -> str:
        self.missing = self.directory / "missing"
        self.missing.touch()
        scripts = f"alias {SITE}/page-; if (-f {self.missing}) {{ return 404; }}"
        return f"location ^~ /console/page- {{ {scripts} }}\n{super().shipped(name)}"


def test_wrong_password_ends_it(browser: webdriver.Remote, site: Site) -> None:
    """The VNC server rejects the password. noVNC alone would ask for another one; the page ends the console."""

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
    assert wait_sentence(browser) == "The console refused the password. Please open the console from your panel again."


def test_termproxy_that_does_not_take_the_ticket(browser: webdriver.Remote, site: Site) -> None:
    async def refuses(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\n")
        writer.write(b"NO")
        await reader.read()

    site.standin.add("lxc", BROKEN, handler_console(refuses))
    browser.get(site.url + site.backend.terminal("lxc", BROKEN))
    assert wait_sentence(browser) == "This link is too old. Please open the console from your panel again."
