# SPDX-License-Identifier: Apache-2.0
"""A backend of the original works unchanged: proxxy accepts its payload, sealed with WebCrypto's AES-CBC, at every URL
that it may use. The settings in MIGRATING.md work."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import NAMED
from lib.activator import ANYWHERE, TREE, Activator, binary
from lib.certs import Cert
from lib.process import free_port, spawn, stop_tree, wait_for
from lib.standin import StandIn
from lib.wire import Client

MIGRATING = (TREE / "MIGRATING.md").read_text()

# The original's backends seal like this. WebCrypto is imported, because it is not a global in Node 18.
RECIPE = """
import { webcrypto } from "node:crypto";
const { subtle } = webcrypto;
const { SIGNATURE_KEY, DETAILS } = process.env;
const iv = webcrypto.getRandomValues(new Uint8Array(16));
const key = await subtle.importKey("raw", Buffer.from(SIGNATURE_KEY, "hex"), \
{ name: "AES-CBC", length: 256 }, true, ["encrypt"]);
const { vmid, type, host, node, ticket, vncticket, port } = JSON.parse(DETAILS);
const text = JSON.stringify({ vmid, type, host, node, ticket, vncticket, port });
const sealed = await subtle.encrypt({ name: "AES-CBC", iv }, key, new TextEncoder().encode(text));
process.stdout.write(`${Buffer.from(iv).toString("hex")}:${Buffer.from(sealed).toString("hex")}`);
"""


def recipe(details: dict[str, Any], key: str) -> str:
    environment = {**os.environ, "SIGNATURE_KEY": key, "DETAILS": json.dumps(details)}
    command = ["node", "--input-type=module", "-e", RECIPE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_console(port: int, url: str) -> None:
    with Client.upgraded(port, url) as client:
        assert client.read_data(11) == b"this is 101"


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any]) -> Iterator[Activator]:
    with Activator(settings) as proxxy:
        yield proxxy


@pytest.mark.parametrize("path", ["/", "", "/websockify", "/any/path/at.all"])
@pytest.mark.parametrize("encoded", [False, True], ids=["colon", "%3A"])
def test_recipe_works_at_any_url(proxxy: Activator, standin: StandIn, key: str, path: str, encoded: bool) -> None:
    payload = recipe(standin.console("qemu", NAMED), key)
    # noVNC builds the URL from its setting "path". If this is only "?payload=…", the URL's path is "/".
    assert_console(proxxy.port, f"{path or '/'}?payload={payload.replace(':', '%3A') if encoded else payload}")


def test_recipe_works_with_what_else_a_url_has(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = recipe(standin.console("qemu", NAMED), key)
    assert_console(proxxy.port, f"/?token=x&payload={payload}&reconnect=1")


@pytest.mark.parametrize("cookie", [False, True], ids=["API token", "a user's ticket"])
def test_recipe_works_with_each_identity(proxxy: Activator, standin: StandIn, key: str, cookie: bool) -> None:
    details = standin.console("qemu", NAMED, cookie=cookie)
    assert_console(proxxy.port, f"/?payload={recipe({**details, 'port': int(details['port'])}, key)}")


def test_the_originals_example_misses_the_ticket(proxxy: Activator, standin: StandIn, key: str) -> None:
    """The original's example reads a field that Proxmox's answer does not have. Its payload has no vncticket, and is
    refused."""
    details = standin.console("qemu", NAMED)
    del details["vncticket"]
    with Client.connect(proxxy.port, f"/?payload={recipe(details, key)}") as client:
        assert client.read_head().status == 400
    proxxy.wait_log("vncticket is not a string")


def dotenv() -> dict[str, str]:
    (block,) = re.findall(r"^```env\n(.*?)^```", MIGRATING, re.M | re.S)
    return dict(line.split("=", 1) for line in block.splitlines() if line and line[0] != "#")


def test_settings_of_the_page(tmp_path: Path, key: str, cert: Cert, standin: StandIn) -> None:
    """MIGRATING.md's .env works with this test's values. The payload's host has no port, as in payloads of the
    original."""
    port = free_port()
    mine = {"PORT": port, "SIGNATURE_KEY": key, "PROXXY_UPSTREAM_PORT": standin.port, "PROXXY_CA_FILE": cert.ca}
    page = dotenv()
    assert sorted(page) == sorted(mine)
    quoted = {name: f'"{value}"' if page[name].startswith('"') else value for name, value in mine.items()}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in quoted.items()))
    # Only this test needs PROXXY_ALLOWED_HOSTS, because the stand-in listens on loopback.
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "PROXXY_ALLOWED_HOSTS": ANYWHERE}
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            details = {**standin.console("qemu", NAMED), "host": "127.0.0.1"}
            assert_console(port, f"/?payload={recipe(details, key)}")
        finally:
            stop_tree(process)


def test_settings_of_the_page_beside_the_original(tmp_path: Path, key: str) -> None:
    """PORT in the environment overrides the .env that proxxy and the original share."""
    port = free_port()
    (tmp_path / ".env").write_text(f'PORT="8443"\nSIGNATURE_KEY="{key}"\n')
    environment = {"PATH": os.environ["PATH"], "PROXXY_CONN": str(binary()), "PORT": str(port)}
    with (tmp_path / "log").open("w+") as log:
        process = spawn([TREE / "deploy" / "proxxy"], cwd=tmp_path, env=environment, stderr=log)
        try:
            wait_for(lambda: "Listening on" in (tmp_path / "log").read_text(), 5, "not listening")
            with Client.connect(port, "/api/status") as client:
                assert client.read_head().status == 200
        finally:
            stop_tree(process)


def test_commands_of_the_page_name_what_there_is() -> None:
    for path in re.findall(r"\]\(([\w./-]+)\)", MIGRATING):
        assert (TREE / path).exists(), path
    known = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    for name in re.findall(r"PROXXY_[A-Z_]+", MIGRATING):
        assert f"#{name}=" in known or name in ("PROXXY_CONN", "PROXXY_CONFIG", "PROXXY_FORMAT"), name
