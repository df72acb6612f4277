# SPDX-License-Identifier: Apache-2.0
"""The view of the console (console/src/view) with a picture in place of a guest: builds console/test/view, serves it
and opens it in Chromium."""

from __future__ import annotations

import functools
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlencode

from selenium import webdriver

from .console_packages import CONSOLE, tool
from .process import wait_for

HARNESS = CONSOLE / "test" / "view"
READY_SECONDS = 15.0


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def serve() -> Iterator[str]:
    """Builds the harness and yields its address."""
    with tempfile.TemporaryDirectory(prefix="proxxy-view-") as place:
        command = [str(tool("esbuild")), str(HARNESS / "harness.ts"), "--bundle", "--format=esm", "--splitting"]
        command += ["--loader:.css=text", "--log-level=warning", f"--outdir={place}"]
        subprocess.run(command, cwd=CONSOLE, check=True)
        Path(place, "harness.html").write_bytes((HARNESS / "harness.html").read_bytes())
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=place))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/harness.html"
        finally:
            server.shutdown()
            server.server_close()


def show(browser: webdriver.Remote, address: str, **what: str) -> None:
    """Opens the view; what: the parameters of console/test/view/harness.ts."""
    browser.get(f"{address}?{urlencode(what)}")
    wait_for(lambda: browser.execute_script("return window.ready === true"), READY_SECONDS, lambda: f"no view: {what}")
