# SPDX-License-Identifier: Apache-2.0
"""The panel of each backend example, in Chromium: it shows the console in a frame, and gets another link when the
console asks for one; other pages cannot ask."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from lib.browser import chromium
from lib.process import free_port, listens, spawn, stop, wait_for
from lib.sdk import LANGUAGES, Built

SECONDS = 20.0
# Stands for the console page: takes each link that its address gets, as the page does.
PAGE = b"""<!doctype html><title>console</title>
<script>let link = location.hash; onhashchange = () => { link = location.hash; };</script>"""


@pytest.fixture(scope="module")
def page_port() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Remote]:
    with chromium(1200, 900) as session:
        yield session


@pytest.fixture(params=[name for name, language in LANGUAGES.items() if language.server])
def panel(request: pytest.FixtureRequest, page_port: int, key: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an example that runs."""
    (tmp_path / "key").write_text(key)
    port = free_port()
    settings = {
        "PROXXY_KEY_FILE": str(tmp_path / "key"),
        "PROXXY_PAGE": f"http://127.0.0.1:{page_port}/console/",
        "PROXXY_CLUSTER": "main",
        "GUESTS": "qemu/100 qemu/99",
        "PORT": str(port),
    }
    built = Built(request.param, tmp_path)
    command = [word.replace("{port}", str(port)) for word in built.server()]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = spawn(command, stdout=out, stderr=out, env=built.environment(settings))
    try:
        wait_for(lambda: listens(port), SECONDS, log.read_text)
        yield f"http://127.0.0.1:{port}/"
    finally:
        stop(process)


def link_of(browser: webdriver.Remote, frame: str = "iframe") -> str:
    """The fragment that the page in the frame has, or "" while it loads."""
    browser.switch_to.frame(browser.find_element(By.CSS_SELECTOR, frame))
    link = browser.execute_script("return typeof link === 'string' ? link : ''")
    browser.switch_to.default_content()
    return link


def another(browser: webdriver.Remote, than: str) -> Callable[[], str]:
    return lambda: link_of(browser) if link_of(browser) != than else ""


AGAIN = "parent.postMessage({type: 'proxxy:again'}, '*')"


def test_panel_shows_the_console_and_gets_another_link(browser: webdriver.Remote, panel: str, page_port: int) -> None:
    browser.get(panel)
    button, wrong = browser.find_elements(By.TAG_NAME, "button")
    button.click()
    first = wait_for(another(browser, ""), SECONDS, "no console")
    assert first.startswith("#payload=ey")

    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    browser.execute_script(AGAIN)
    browser.switch_to.default_content()
    second = wait_for(another(browser, first), SECONDS, "no other link")
    assert second.startswith("#payload=ey")

    # A frame of the page's origin that is not the console, and the panel itself, which has another origin.
    add = "const frame = document.createElement('iframe'); frame.id = 'other'; frame.src = arguments[0];"
    browser.execute_script(f"{add} document.body.append(frame)", f"http://127.0.0.1:{page_port}/#x")
    wait_for(lambda: link_of(browser, "#other") == "#x", SECONDS, "no other frame")
    browser.switch_to.frame(browser.find_element(By.ID, "other"))
    browser.execute_script(AGAIN)
    browser.switch_to.default_content()
    browser.execute_script("postMessage({type: 'proxxy:again'}, '*')")
    asked = "return performance.getEntriesByType('resource').filter(({name}) => name.includes('/console-link/')).length"
    wrong.click()  # its answer comes after one to these messages
    error = browser.find_element(By.ID, "error")
    wait_for(lambda: error.text.lower().startswith("vmid"), SECONDS, lambda: f"error: {error.text}")
    assert link_of(browser) == second and browser.execute_script(asked) == 3
