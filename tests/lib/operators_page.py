# SPDX-License-Identifier: Apache-2.0
"""The page for operators as proxxy-status sends it, with a list of sessions that a test writes. In tests/,
"python3 -m lib.operators_page FOLDER" writes pictures of its states, and that of docs/."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from selenium import webdriver

from .activator import TREE
from .contact_sheet import DOCS, read, save
from .pictures import devtools, window
from .process import wait_for

STATUS = TREE / "build" / "proxxy-status"
PREFIX = "/proxxy-sessions/"
PAGE_SECONDS = 30.0
SETTLED_SECONDS = 0.3
PICTURE_HEIGHT = 540
NAME = b"proxxy-01.example.net"
Session = dict[str, Any]


def fetch_page() -> tuple[dict[str, str], bytes]:
    """Asks proxxy-status for the page, as if over its UNIX socket. Returns the header fields and the page."""
    ours, theirs = socket.socketpair()
    with ours, subprocess.Popen([STATUS], stdin=theirs.fileno(), stdout=theirs.fileno()) as process:
        theirs.close()
        ours.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ours.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: ours.recv(65536), b""))
        process.wait()
    head, _, page = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    return dict(line.split(": ", 1) for line in lines[1:]), page


def session(number: int, type: str = "qemu", vmid: int = 100, age: int = 60, **more: Any) -> Session:
    """Returns a session as the list has it. None removes a member."""
    made: Session = {
        "unit": f"proxxy@{number}-192.0.2.1:8443-203.0.113.7:{50000 + number}.service",
        "pid": 4000 + number,
        "since": int(time.time()) - age,
        "status": f"{type} {vmid} on pve01 for 203.0.113.7",
        "type": type,
        "vmid": vmid,
        "place": "pve01",
        "client": "203.0.113.7",
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


class Operators:
    """Serves the page and answers its requests for as long as the with block lasts."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.failure: tuple[int, str] | None = None  # of the list: status and words
        self.refusal: tuple[int, str] | None = None  # to end a session
        self.ended: list[tuple[str, dict[str, str]]] = []  # units, and the requests' fields
        self.asked = 0  # how often for the list
        self._fields, page = fetch_page()
        self._page = re.sub(rb'(class="host">)[^<]*', rb"\1" + NAME, page)

    def __enter__(self) -> Self:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == PREFIX:
                    self._send(200, site._page, site._fields)
                elif self.path == f"{PREFIX}api/sessions":
                    site.asked += 1
                    self._send_json(site.failure, site.sessions)
                else:
                    self._send_json((404, "Not found"), None)

            def do_POST(self) -> None:
                found = re.fullmatch(rf"{PREFIX}api/sessions/([^/]+)/end", self.path)
                assert found
                unit = unquote(found[1])
                site.ended.append((unit, dict(self.headers)))
                if not site.refusal:
                    site.sessions = [kept for kept in site.sessions if kept["unit"] != unit]
                self._send_json(site.refusal, {"unit": unit, "ended": True})

            def _send_json(self, failure: tuple[int, str] | None, body: Any) -> None:
                status, value = (failure[0], {"error": failure[1]}) if failure else (200, body)
                self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

            def _send(self, status: int, body: bytes, fields: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in fields.items():
                    if name not in ("Content-Length", "Connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}"
        threading.Thread(target=self._server.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# --- pictures ---------------------------------------------------------------------------------

GUESTS = (
    ("qemu", 100, "pve01", "203.0.113.7", "alice@example.net", "0d0f2c5e-9c1b-4f6f-8d52-2f7b1b3a9e11", 47),
    ("lxc", 2104, "pve02", "198.51.100.23", "bob", "7a4b", 754),
    ("qemu", 311, "pve01", "2001:db8:4:1:78ec:91f2:3c5d:7", "customer-8812", "e1c7a0d2", 3905),
    ("qemu", 118, "pve03", "203.0.113.91", "Grüne Wiese GmbH", "c04d", 7312),
    ("lxc", 905, "pve02", "192.0.2.44", None, None, 29400),
    ("qemu", 4021, "cluster-berlin", "198.51.100.7", "dora@example.net", "b51f", 102345),
)


def example() -> list[Session]:
    found = []
    for number, (type, vmid, place, client, sub, jti, age) in enumerate(GUESTS):
        names = {"place": place, "client": client, "sub": sub, "jti": jti, "kid": "main"}
        found.append(session(number, type, vmid, age, **names))
    begun = {name: None for name in ("type", "vmid", "place", "client")}
    return [*found, session(9, age=1, status="", **begun)]


def open_page(browser: webdriver.Remote, site: Operators, theme: str = "light") -> None:
    devtools(browser, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    asked = site.asked
    browser.get(site.url)
    shown = "return document.getElementById('count').textContent || !document.getElementById('problem').hidden"
    wait_for(lambda: site.asked > asked and browser.execute_script(shown), PAGE_SECONDS, "no list is shown")


def press_end(browser: webdriver.Remote, row: int = 0) -> None:
    browser.execute_script("document.querySelectorAll('td.action button')[arguments[0]].click()", row)


def take_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Operators() as site:
        for name, size, touch in (
            ("desk", (1280, 720), False),
            ("tablet", (820, 1100), False),
            ("phone", (390, 844), True),
        ):
            with window(*size, touch=touch) as browser:
                for theme in ("light", "dark"):

                    def take(state: str) -> bytes:
                        time.sleep(SETTLED_SECONDS)
                        png: bytes = browser.get_screenshot_as_png()
                        (folder / f"{name}-{theme}-{state}.png").write_bytes(png)
                        return png

                    site.failure, site.sessions = None, example()
                    open_page(browser, site, theme)
                    png = take("list")
                    if (name, theme) == ("desk", "light"):
                        save(read(png).crop((0, 0, 1280, PICTURE_HEIGHT)), DOCS / "operators.png")
                    press_end(browser, 1)
                    take("ask")
                    site.sessions = []
                    open_page(browser, site, theme)
                    take("empty")
                    site.failure = (503, "systemd cannot be queried")
                    open_page(browser, site, theme)
                    take("failed")


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))
