# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium with links that have nothing but the payload: nobody logs in, and a reload keeps the
console."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from lib.browser import chromium
from lib.console_pages import (
    BUILD,
    PAGE_SECONDS,
    choice,
    choices,
    columns,
    rows,
    support,
    terminal_text,
    wait_connected,
    wait_prompt,
    wait_sentence,
    wait_text,
)
from lib.late_proxxy import PROMPT, keys, typed
from lib.live_pages import (
    EXPIRED,
    FRAME,
    MACHINE,
    NO_LINK,
    OFF,
    TOO_OLD,
    USED,
    Live,
    Real,
    kept,
    lose,
    no_secret_in_sight,
    press,
    wait_sessions,
    wait_state,
)
from lib.payload import seal_jwe, target
from lib.process import wait_for
from lib.pve_cluster import RUNNING
from lib.wire import Client

pytest_plugins = ("lib.console_pages", "lib.live_pages")

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
    size = re.fullmatch("1:([0-9]+):([0-9]+):", live.proxxy.sessions[0].received.decode())
    assert size and int(size[1]) > 80 and int(size[2]) == rows(browser)
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
        browser.switch_to.frame(f"frame{index}")
        browser.execute_script("location.reload()")
        wait_sessions(live, 3 + index)
        wait_state(browser, "connected")
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


# --- a guest that does not answer --------------------------------------------------------------


@pytest.mark.parametrize("name", ["novnc", "xterm"])
def test_guest_that_is_off(browser: webdriver.Remote, live: Live, name: str) -> None:
    live.proxxy.refusal = (1000, "Console closed before it sent anything")
    browser.get(live.link(name))
    assert wait_sentence(browser) == OFF
    browser.save_screenshot(str(BUILD / f"{name}-guest-off.png"))
    assert choice(browser, "again").text == "Connect again"
    choice(browser, "again").click()
    wait_sessions(live, 2)
    assert wait_sentence(browser) == OFF
    live.proxxy.refusal = None
    choice(browser, "again").send_keys(Keys.ENTER)
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
    (1011, "Proxmox: 595 the guest's node does not answer"): "The machine's host cannot be reached.",
    (1000, "Console closed before it sent anything: the guest is off"): OFF,
    (1000, "Console closed before it sent anything: the guest or its node is off"): OFF,
    (1000, "Console closed before it sent anything: the guest's node is off, or does not report to the cluster"): (
        "The machine's host is switched off, or cannot be reached."
    ),
    (1011, "Proxmox: 500 the guest has no serial port"): (
        "This machine has no serial port, which a terminal needs. Please open its screen instead."
    ),
    (1011, "Proxmox: the guest is a template"): "The panel made a wrong link. Please tell the panel's support.",
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
    assert ("again" in choices(browser)) == (not REFUSALS[refusal].endswith(NO_LINK))


# --- through proxxy ---------------------------------------------------------------------------


def test_screen_of_a_link_through_proxxy(browser: webdriver.Remote, real: Real) -> None:
    """Opened, reloaded, and reconnected after the network was cut: each time with a console of its own."""
    browser.get(real.link("novnc"))
    wait_connected(browser, real.site)
    press(browser, "one")
    wait_for(lambda: real.guest.typed() == "one", PAGE_SECONDS, real.guest.typed)
    browser.refresh()
    wait_connected(browser, real.site)
    press(browser, "two")
    wait_for(lambda: real.guest.typed() == "onetwo", PAGE_SECONDS, real.guest.typed)
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    press(browser, "lost")
    real.cable.plug()
    wait_connected(browser, real.site)
    press(browser, "three")
    wait_for(lambda: real.guest.typed() == "onetwothree", PAGE_SECONDS, real.guest.typed)
    assert real.requested() == real.guest.connections == 3


def test_terminal_of_a_link_through_proxxy(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("xterm"))
    wait_prompt(browser, real.site)
    press(browser, f"stty size; printf '%300s\\n' e | tr ' ' l; echo on$((1)){Keys.ENTER}")
    wait_text(browser, "\non1\n")
    wait_text(browser, f"\n{rows(browser)} {columns(browser)}\n")
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    real.cable.plug()
    wait_prompt(browser, real.site)
    press(browser, f"echo on$((2)){Keys.ENTER}")
    wait_text(browser, "\non2\n")
    assert "\non1\n" in terminal_text(browser)
    browser.refresh()
    wait_prompt(browser, real.site)
    assert real.requested() == 3


def test_session_that_is_killed_comes_back(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("novnc"))
    wait_connected(browser, real.site)
    for pid in real.site.relay.sessions():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: real.guest.connections == 2, PAGE_SECONDS, lambda: f"{real.guest.connections}")
    wait_connected(browser, real.site)


def test_link_that_expires_while_it_reconnects(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("novnc", exp=int(time.time()) + 1))  # proxxy adds 5 s for clocks that differ
    wait_connected(browser, real.site)
    browser.execute_script("Math.random = () => 15")  # 8 s in place of the first pause
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    real.cable.plug()
    wait_state(browser, "ended")
    assert wait_sentence(browser) == f"The connection was lost. {TOO_OLD}"
    assert real.requested() == 1


def test_link_for_one_use(browser: webdriver.Remote, real: Real) -> None:
    browser.get(real.link("novnc", jti=f"once-{time.time()}"))
    wait_connected(browser, real.site)
    real.cable.unplug()
    wait_state(browser, "reconnecting")
    real.cable.plug()
    wait_state(browser, "ended")
    assert wait_sentence(browser) == f"The connection was lost. {USED}"
    browser.refresh()
    assert wait_sentence(browser) == NO_LINK
    assert real.requested() == 1


def test_limit_of_consoles(browser: webdriver.Remote, real: Real) -> None:
    """The page learns of it in the answer to a second request. The user can try again when proxxy says so, also with
    a link for one use."""
    drop_in = real.site.relay.config.with_name("proxxy.conf.d") / "limit.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("PROXXY_TRUSTED_PROXIES=unix\nPROXXY_MAX_PER_CLIENT=1\n")
    try:
        other = real.site.standin.console("qemu", MACHINE)
        with Client.upgraded(real.site.relay.port, target(seal_jwe(other, real.key))):
            browser.get(real.link("novnc", jti=f"limit-{time.time()}"))
            said = wait_sentence(browser)
            assert re.fullmatch(re.escape(LIMIT) + r" You can try again in [1-5] s\.", said), said
            assert choice(browser, "again").get_attribute("aria-disabled") == "true"
            browser.save_screenshot(str(BUILD / "console-limit.png"))
            assert support(browser) == "1006 Too many consoles are open from this address"
            wait_for(lambda: wait_sentence(browser) == LIMIT, PAGE_SECONDS, lambda: wait_sentence(browser))
        real.site.relay.wait_sessions(0)
        choice(browser, "again").click()
        wait_connected(browser, real.site)
    finally:
        drop_in.unlink()
        drop_in.parent.rmdir()


LIMIT = "Too many consoles are open from your network. Please close one, or try again later."


def test_guest_that_is_started_through_proxxy(browser: webdriver.Remote, real: Real) -> None:
    guest = real.site.standin.guest("qemu", MACHINE)
    guest.status = "stopped"
    browser.get(real.link("novnc"))
    assert wait_sentence(browser) == OFF
    guest.status = RUNNING
    choice(browser, "again").click()
    wait_connected(browser, real.site)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such guest": ({"vmid": 999}, f"This machine does not exist, or it was moved. {NO_LINK}"),
    "other node": ({"node": "pve99"}, f"This machine does not exist, or it was moved. {NO_LINK}"),
    "the other type": ({"type": "lxc"}, "The panel made a wrong link. Please tell the panel's support."),
    "wrong token": ({"ticket": "PVEAPIToken=root@pam!gone=1"}, "The panel is not allowed to open this console. "
                    "Please tell the panel's support."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_proxmox_refuses(browser: webdriver.Remote, real: Real, case: str) -> None:
    members, sentence = REFUSED[case]
    browser.get(real.link("novnc", **members))
    assert wait_sentence(browser) == sentence
