# SPDX-License-Identifier: Apache-2.0
"""A panel's own page with two <proxxy-console> elements and a field, made of the package as a panel's bundler does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from selenium import webdriver

from .activator import TREE
from .cable import Cable
from .late_proxxy import SEALED, LateProxxy
from .live_pages import Live
from .web import Nginx

CONSOLE = TREE / "console"
ESBUILD = CONSOLE / "node_modules/.bin/esbuild"
PAGE = """<!DOCTYPE html>
<title>Panel</title>
<link rel="icon" href="data:,">
<style>
proxxy-console { display: block; width: 1000px; height: 300px; }
</style>
<input id="field">
<proxxy-console id="first" websocket="/console/ws"></proxxy-console>
<proxxy-console id="second" websocket="/console/ws" type="term"></proxxy-console>
<script type="module" src="index.js"></script>
<script>
window.told = [];
for (const element of document.querySelectorAll("proxxy-console"))
    for (const name of ["state", "connected", "reconnecting", "closed"])
        element.addEventListener(name, ({ detail, currentTarget: { id } }) => told.push([id, name, detail]));
</script>
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, and the package's modules."""
    place = tmp_path_factory.mktemp("element")
    command = [str(ESBUILD), "src/index.ts", "--bundle", "--format=esm", "--splitting", f"--outdir={place}"]
    command += ["--loader:.css=text", "--loader:.svg=text", "--log-level=warning"]
    command += ["--alias:@novnc/novnc/core=./node_modules/@novnc/novnc/core"]
    subprocess.run(command, cwd=CONSOLE, check=True)
    (place / "page.html").write_text(PAGE)
    return place


class Elements(Nginx):
    def __init__(self, proxxy_port: int, built: Path) -> None:
        self._built = built
        super().__init__(proxxy_port)

    def shipped(self, name: str) -> str:
        return f"location ^~ /element/ {{ alias {self._built}/; }}\n{super().shipped(name)}"


@pytest.fixture
def elements(built: Path) -> Iterator[Live]:
    with LateProxxy() as proxxy, Elements(proxxy.port, built) as web, Cable(web.port) as cable:
        yield Live(proxxy, cable)
        assert SEALED not in web.logs()


def element(browser: webdriver.Remote, id: str, script: str, *values: Any) -> Any:
    """Runs a script that has the element, and its shadow root."""
    first = "const [id, ...values] = arguments, element = document.getElementById(id), root = element.shadowRoot;"
    return browser.execute_script(f"{first} {script}", id, *values)
