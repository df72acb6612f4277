# SPDX-License-Identifier: Apache-2.0
"""The npm package of console/, and a panel's site whose pages have its element: files, an endpoint for payloads, and
the WebSocket, which is passed on to a stand-in for proxxy."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from .activator import TREE
from .late_proxxy import SEALED
from .panel import WEBSOCKET
from .sdk import NPM
from .splice import splice

CONSOLE = TREE / "console"
BUILD_SECONDS = 300


def run(command: list[str], place: Path) -> str:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


def pack(place: Path) -> Path:
    """Returns the package, as "npm pack" makes it of a copy of console/."""
    if not (CONSOLE / "node_modules").is_dir():
        run([*NPM, "ci"], CONSOLE)
    copy = place / "console"
    shutil.copytree(CONSOLE, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "examples"))
    (copy / "node_modules").symlink_to(CONSOLE / "node_modules")
    (place / "LICENSE").write_bytes((TREE / "LICENSE").read_bytes())
    run(["npm", "pack", "--silent", "--pack-destination", str(place)], copy)
    [file] = place.glob("*.tgz")
    return file


def unpack(package: Path, place: Path) -> Path:
    """Returns the folder of the package's files."""
    with tarfile.open(package) as archive:
        archive.extractall(place)
    return place / "package"


class ElementSite:
    """Serves for as long as the with block lasts. folders: what is below which path, the longest path first. pages:
    others, by their names."""

    def __init__(self, proxxy_port: int, folders: dict[str, Path]) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []  # for payloads
        self.heads: list[str] = []  # paths of HEAD requests
        site = self

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.site, self.proxxy_port, self.folders = site, proxxy_port, folders
                super().__init__(*arguments)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="site", daemon=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ElementSite:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()


class _Handler(SimpleHTTPRequestHandler):
    site: ElementSite
    proxxy_port: int
    folders: dict[str, Path]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == WEBSOCKET:
            self._pass_on()
        elif path in self.site.pages:
            self._answer("text/html; charset=utf-8", self.site.pages[path])
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.site.heads.append(self.path)
        super().do_HEAD()

    def do_POST(self) -> None:
        self.site.asked.append(self.path)
        if re.fullmatch("/console-link/[0-9]+", self.path):
            self._answer("application/json", json.dumps({"payload": f"{SEALED}{len(self.site.asked)}"}))
        else:
            self.send_error(404)

    def translate_path(self, path: str) -> str:
        for prefix, folder in self.folders.items():
            if path.startswith(prefix):
                self.directory = str(folder)
                return super().translate_path("/" + path.removeprefix(prefix))
        return os.devnull + "/nothing"

    def _answer(self, content: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self) -> None:
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        with socket.create_connection(("127.0.0.1", self.proxxy_port)) as proxxy:
            self.connection.setblocking(False)
            early = cast(io.BufferedReader, self.rfile).peek()
            splice(self.connection, proxxy, "\r\n".join(lines).encode("latin-1") + early)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Logs nothing."""
