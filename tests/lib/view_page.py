# SPDX-License-Identifier: Apache-2.0
"""The view of the console (console/src/view) with a picture in place of a guest: builds console/test/view, serves it
and opens it in Chromium. In tests/, "python3 -m lib.view_page FOLDER" writes pictures of every state, at four sizes,
light and dark."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlencode

from selenium import webdriver

from .browser import chromium
from .console_packages import CONSOLE, tool
from .process import wait_for

HARNESS = CONSOLE / "test" / "view"
READY_SECONDS = 15.0
SIZES = {"wide": (1440, 900), "medium": (1024, 768), "tablet": (768, 1024), "phone": (390, 844)}
TOUCH = ("tablet", "phone")
PICTURES = {
    **{name: {"show": name} for name in ("connecting", "connected", "reconnecting", "ended", "refused")},
    **{name: {"show": name} for name in ("keys", "scaling", "type", "clipboard", "notice", "help")},
    "terminal": {"kind": "term", "latency": "140"},
    "search": {"kind": "term", "show": "search"},
    "german": {"lang": "de"},
    "arabic": {"lang": "ar", "show": "scaling"},
}
TOUCH_PICTURES = {name: {"show": name} for name in ("more", "extra", "fold")}
SETTLED_SECONDS = 0.4  # after what moves


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


def take_pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        wanted = {**PICTURES, **(TOUCH_PICTURES if size == "phone" else {})}
        with serve() as address, chromium(width, height, phone=size in TOUCH) as browser:
            if size not in TOUCH:  # the window has a frame
                frame = height - int(browser.execute_script("return innerHeight"))
                browser.set_window_size(width, height + frame)
            for theme in ("light", "dark"):
                for name, what in wanted.items():
                    show(browser, address, theme=theme, **what)
                    time.sleep(SETTLED_SECONDS)
                    browser.save_screenshot(str(folder / f"{name}-{size}-{theme}.png"))


if __name__ == "__main__":
    take_pictures(Path(sys.argv[1]))
