# SPDX-License-Identifier: Apache-2.0
"""The npm package of console/: what is in it, its types, and the panels in console/examples, which are built with it
and opened in Chromium."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from lib.browser import chromium
from lib.element_site import CONSOLE, ElementSite, pack, run, unpack
from lib.late_proxxy import LateProxxy
from lib.process import wait_for
from lib.sdk import NPM

EXAMPLES = ("html", "react", "vue")
SECONDS = 30.0
STATE = "return document.querySelector('proxxy-console')?.state"
TYPESCRIPT = """\
import { ProxxyConsole, type ConsoleEvents, type Key, type Scaling, type State, type Typing } from "@proxxy/console";

const element: ProxxyConsole = document.querySelector("proxxy-console") ?? new ProxxyConsole();
const keys: Key[] = ["Control", "c"];
const typing: Typing = { layout: "de", progress: (done: number, all: number) => console.log(done, all) };
const scaling: Scaling = "remote";
const state: State = element.state;
element.addEventListener("closed", ({ detail }) => console.log(detail.code, detail.reason, detail.live));
element.addEventListener("again", (event: ConsoleEvents["again"]) => event.preventDefault());
element.type = "term";
Object.assign(element, { scaling });
element.payload = "x";
element.password = undefined;
await element.type("ls", typing);
element.sendKeys(keys);
const picture: Blob = await element.screenshot();
console.log(picture.size, state, element.latency?.toFixed());
// @ts-expect-error: there is no such scaling
element.scaling = "big";
// @ts-expect-error: it cannot be read
console.log(element.adopt);
// @ts-expect-error: it is a number
element.addEventListener("latency", ({ detail }) => detail.milliseconds.trim());
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Remote]:
    with chromium(900, 700) as browser:
        yield browser


def test_package_has_what_is_built_and_the_licences(package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        file = archive.extractfile("package/package.json")
        assert file
        about = json.load(file)
    built = {name for name in names if name.startswith("dist/npm/")}
    assert names - built == {"package.json", "README.md", "LICENSE"}
    assert {"dist/npm/index.js", "dist/npm/index.d.ts", "dist/npm/NOTICE.txt"} <= built
    assert {name.rpartition(".")[2] for name in built} == {"js", "ts", "txt"}
    assert "dependencies" not in about


def test_types_in_strict_mode(package: Path, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    run([*NPM, "install", str(package), "typescript@5"], tmp_path)
    (tmp_path / "use.ts").write_text(TYPESCRIPT)
    for module in (["nodenext"], ["esnext", "--moduleResolution", "bundler"]):
        options = ["--strict", "--noEmit", "--target", "es2022", "--module", *module]
        run(["npx", "--no-install", "tsc", *options, "use.ts"], tmp_path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_shows_a_console_again(package: Path, tmp_path: Path, browser: webdriver.Remote, name: str) -> None:
    unpack(package, tmp_path).rename(tmp_path / "console")
    example = tmp_path / "console" / "examples" / name
    leave = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(CONSOLE / "examples" / name, example, ignore=leave)
    run([*NPM, "ci"], example)
    run(["npm", "run", "--silent", "build"], example)
    with LateProxxy() as proxxy, ElementSite(proxxy.port, {"/": example / "dist"}) as site:
        browser.get(f"{site.url}/index.html")
        wait_for(lambda: browser.execute_script(STATE) == "ended", SECONDS, "no element")
        browser.find_element(By.TAG_NAME, "button").click()
        wait_for(lambda: browser.execute_script(STATE) == "connected", SECONDS, "not connected")
        assert site.asked == ["/console-link/100"]
        proxxy.sessions[0].end(1008, "Payload has expired: exp was 61 s ago")
        wait_for(lambda: browser.execute_script(STATE) == "ended", SECONDS, "not ended")
        script = "return document.querySelector('proxxy-console').shadowRoot.querySelector('[data-choice=panel]')"
        browser.execute_script(script).click()
        wait_for(lambda: browser.execute_script(STATE) == "connected", SECONDS, "not connected again")
        assert len(site.asked) == len(proxxy.sessions) == 2
        browser.get("about:blank")
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_lock_file_names_no_registry(name: str) -> None:
    packages = json.loads((CONSOLE / "examples" / name / "package-lock.json").read_text())["packages"]
    assert [path for path, about in packages.items() if "://" in about.get("resolved", "")] == []
