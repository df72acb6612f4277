# SPDX-License-Identifier: Apache-2.0
"""proxxy-url --open in Chromium: the private file leads to the page, and the page gets the link's fragment."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator
from urllib.parse import urlsplit

import pytest
from lib.browser import FLAGS
from lib.process import wait_for
from lib.url_command import UrlCommand, fragment

PAGE = b"<title>Page</title><script>document.title = location.href</script>"
PAGE_SECONDS = 30.0


class Pages(BaseHTTPRequestHandler):
    """Answers every request with a page whose title becomes its URL."""

    asked: list[tuple[str, str | None]] = []  # paths and Referer fields

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Referer"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/console/"
        server.shutdown()


def test_browser_goes_to_the_page_with_the_whole_link(page: str, key: str, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    browser = tmp_path / "browser"
    flags = " ".join(f"'{flag}'" for flag in FLAGS)
    chromium = f"/usr/bin/chromium {flags} --user-data-dir={tmp_path}/profile --dump-dom"
    browser.write_text(f'#!/bin/sh\nHOME={tmp_path} {chromium} "$1" >{shown} 2>/dev/null\n')
    browser.chmod(0o700)
    command = UrlCommand(tmp_path, {"PROXXY_PAGE": page}, key=key)
    link = ("--vmid", 100, "--cluster", "main", "--title", 'Web & "mail" – 100%')
    assert command.ok(*link, "--open", BROWSER=browser, XDG_RUNTIME_DIR=tmp_path) == ""
    wait_for(lambda: "</html>" in shown.read_text(), PAGE_SECONDS, "no page was shown")
    title = shown.read_text().partition("<title>")[2].partition("</title>")[0].replace("&amp;", "&")
    assert urlsplit(title)._replace(fragment="").geturl() == f"{page}novnc.html"
    assert fragment(title)["payload"].startswith("ey") and fragment(title)["title"] == 'Web & "mail" – 100%'
    assert ("/console/novnc.html", None) in Pages.asked and not any("payload" in path for path, _ in Pages.asked)
