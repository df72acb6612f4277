# SPDX-License-Identifier: Apache-2.0
"""Firefox and WebKitGTK, headless or on an X server that nobody sees, each with a fresh profile. Selenium drives both
as it drives Chromium."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from selenium import webdriver
from selenium.webdriver.remote.command import Command
from selenium.webdriver.webkitgtk.options import Options as WebKitOptions

from .desktop import Desktop
from .process import free_port, listens, spawn, stop_tree, wait_for

READY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
SIZE = (1100, 800)

# The commands of Marionette, Firefox's own protocol. Debian has no geckodriver, which translates WebDriver to it.
MARIONETTE = {
    Command.GET: "WebDriver:Navigate",
    Command.GO_BACK: "WebDriver:Back",
    Command.REFRESH: "WebDriver:Refresh",
    Command.GET_CURRENT_URL: "WebDriver:GetCurrentURL",
    Command.GET_TITLE: "WebDriver:GetTitle",
    Command.W3C_EXECUTE_SCRIPT: "WebDriver:ExecuteScript",
    Command.FIND_ELEMENT: "WebDriver:FindElement",
    Command.FIND_ELEMENTS: "WebDriver:FindElements",
    Command.CLICK_ELEMENT: "WebDriver:ElementClick",
    Command.GET_ELEMENT_TEXT: "WebDriver:GetElementText",
    Command.W3C_ACTIONS: "WebDriver:PerformActions",
    Command.SCREENSHOT: "WebDriver:TakeScreenshot",
}


class _Marionette:
    """What Selenium calls to send a command."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        self._answers = self._socket.makefile("rb")
        self._number = 0
        self._read()  # what it is

    def execute(self, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if command == Command.NEW_SESSION:
            return {"value": self._call("WebDriver:NewSession", {})[1]}
        if command == Command.QUIT:
            self._call("Marionette:Quit", {"flags": ["eForceQuit"]})
            return {}
        error, value = self._call(MARIONETTE[command], parameters)
        if error:
            return {"status": 500, "value": json.dumps({"value": error})}
        if isinstance(value, dict) and set(value) == {"value"}:
            value = value["value"]
        return {"value": value}

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _call(self, name: str, parameters: dict[str, Any]) -> tuple[Any, Any]:
        self._number += 1
        message = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:" % len(message) + message)
        _, number, error, value = self._read()
        assert number == self._number
        return error, value

    def _read(self) -> Any:
        length = b""
        while (byte := self._answers.read(1)) != b":":
            assert byte, "Firefox has ended"
            length += byte
        return json.loads(self._answers.read(int(length)))


@contextmanager
def firefox() -> Iterator[webdriver.Remote]:
    with tempfile.TemporaryDirectory(prefix="proxxy-firefox-", ignore_cleanup_errors=True) as home:
        port = free_port()
        preferences = {
            "marionette.port": port,
            # Firefox must connect to nothing but the page.
            "app.update.enabled": False,
            "browser.safebrowsing.update.enabled": False,
            "datareporting.policy.dataSubmissionEnabled": False,
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "services.settings.server": "data:,#remote-settings-dummy/v1",
        }
        lines = (f'user_pref("{name}", {json.dumps(value)});\n' for name, value in preferences.items())
        Path(home, "user.js").write_text("".join(lines))
        command = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", home]
        command += [f"--width={SIZE[0]}", f"--height={SIZE[1]}"]
        with Path(home, "log").open("wb") as out:
            browser = spawn(command, stdout=out, stderr=out, env={**os.environ, "HOME": home})
        try:
            wait_for(lambda: listens(port), READY_SECONDS, lambda: f"firefox: {Path(home, 'log').read_text()}")
            marionette = _Marionette(port)
            with webdriver.Remote(command_executor=marionette, options=webdriver.FirefoxOptions()) as session:
                yield session
        finally:
            stop_tree(browser)


@contextmanager
def webkit() -> Iterator[webdriver.Remote]:
    [program] = Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")
    with Desktop(["/bin/sleep", "1000"], width=SIZE[0], height=SIZE[1]) as screen:
        port = free_port()
        log = screen.directory / "webkit.log"
        environment = {**screen.environment(), "LIBGL_ALWAYS_SOFTWARE": "1"}
        with log.open("wb") as out:
            driver = spawn(["WebKitWebDriver", f"--port={port}"], stdout=out, stderr=out, env=environment)
        try:
            wait_for(lambda: listens(port), READY_SECONDS, lambda: f"WebKitWebDriver: {log.read_text()}")
            options = WebKitOptions()
            options.binary_location = str(program)
            options.add_argument("--automation")
            options._caps.pop("platform", None)  # Selenium's own, which WebDriver does not know
            with webdriver.Remote(f"http://127.0.0.1:{port}", options=options) as session:
                yield session
        finally:
            stop_tree(driver)
