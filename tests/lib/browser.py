# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that a test drives, with a fresh profile and nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from selenium import webdriver

from .process import spawn, stop_tree, wait_for

READY_SECONDS = 20.0
STARTS = 5
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses to run as root without this; it only loads our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm has only 64 MiB in containers
    # Chromium must connect to nothing but the page.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _start_driver(home: str) -> tuple[subprocess.Popen, str]:
    """Starts chromedriver, because newer versions of selenium would try to download one. Returns it and its port. It
    chooses a port that is free for IPv6, and ends if that port is in use for IPv4: then it is started again."""
    log = Path(home, "chromedriver.log")
    for _ in range(STARTS):
        with log.open("wb") as out:
            command = ["/usr/bin/chromedriver", "--port=0"]
            driver = spawn(command, stdout=out, stderr=out, env={**os.environ, "HOME": home})
        started = lambda: re.search(r"started successfully on port (\d+)", log.read_text())  # noqa: E731
        wait_for(
            lambda: started() or driver.poll() is not None, READY_SECONDS, lambda: f"chromedriver: {log.read_text()}"
        )
        if found := started():
            return driver, found[1]
    raise AssertionError(f"chromedriver: {log.read_text()}")


@contextmanager
def chromium(width: int, height: int, *, phone: bool = False, storage: bool = True) -> Iterator[webdriver.Remote]:
    """Starts Chromium. phone: with touch and a phone's pixel ratio. storage: whether pages may keep anything."""
    with tempfile.TemporaryDirectory(prefix="proxxy-browser-", ignore_cleanup_errors=True) as home:
        driver, port = _start_driver(home)
        try:
            options = webdriver.ChromeOptions()
            options.binary_location = "/usr/bin/chromium"
            for flag in (*FLAGS, f"--user-data-dir={home}/profile", f"--window-size={width},{height}"):
                options.add_argument(flag)
            if phone:
                metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}
                options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
            if not storage:
                options.add_experimental_option("prefs", {"profile.default_content_setting_values.cookies": 2})
            options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
            with webdriver.Remote(f"http://127.0.0.1:{port}", options=options) as session:
                yield session
        finally:
            stop_tree(driver)
