# SPDX-License-Identifier: Apache-2.0
"""The console pages in Chromium: in a frame of the panel, and what their web server serves and logs."""

from __future__ import annotations

import os
import signal
from typing import Any
from urllib.parse import quote

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lib.activator import Activator
from lib.certs import Cert
from lib.console_pages import (
    MESSAGE,
    PAGE_SECONDS,
    Site,
    choice,
    make_site,
    shows,
    wait_prompt,
    wait_sentence,
    wait_text,
)
from lib.process import wait_for
from lib.rfb import Recorder
from lib.standin import StandIn
from lib.web import Caddy, Nginx

pytest_plugins = "lib.console_pages"

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
    """The page tells the panel when the console opens, when it closes, and when the user wants it again. The panel may
    then load another link."""
    browser.get(f"{site.url}/panel")
    browser.execute_script(FRAME, site.desktop())
    # Of the connection: the screen's title comes, too.
    heard = lambda: browser.execute_script("return heard.filter(({ type }) => type !== 'proxxy:title')")  # noqa: E731
    wait_for(lambda: heard() == [{"type": "proxxy:connected"}], PAGE_SECONDS, lambda: f"{heard()}")
    for pid in site.relay.sessions():
        os.kill(pid, signal.SIGTERM)
    closed = {"type": "proxxy:closed", "code": 1001, "reason": "Session was ended by the operator"}
    wait_for(lambda: heard()[1:] == [closed], PAGE_SECONDS, lambda: f"{heard()}")
    frame = browser.find_element(By.ID, "console")
    browser.switch_to.frame(frame)
    choice(browser, "panel").click()
    browser.switch_to.default_content()
    wait_for(lambda: heard()[2:] == [{"type": "proxxy:again"}], PAGE_SECONDS, lambda: f"{heard()}")
    browser.execute_script("arguments[0].src = arguments[1]", frame, site.desktop())
    wait_for(lambda: heard()[3:] == [{"type": "proxxy:connected"}], PAGE_SECONDS, lambda: f"{heard()}")
    browser.switch_to.frame(frame)
    assert not shows(browser, MESSAGE)
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


# --- the web server ---------------------------------------------------------------------------


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
