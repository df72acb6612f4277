# SPDX-License-Identifier: Apache-2.0
"""JWE between proxxy and the libraries that backends use: each seals what proxxy opens, and opens what proxxy seals."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import ECHO, echo
from lib.activator import TREE, Activator
from lib.late import echoes, shake_hands
from lib.payload import target
from lib.standin import StandIn
from lib.vnc_console import VncConsole
from lib.wire import BINARY, Client

HERE = TREE / "tests" / "interop"
LIBRARIES: dict[str, list[str | Path]] = {
    "npm-jose": ["node", HERE / "jose.mjs"],
    "python-jwcrypto": ["/usr/bin/python3", HERE / "jwcrypto.py"],
    "c-jose": [HERE / "jose.sh"],
    "ruby-json-jwt": ["ruby", HERE / "json_jwt.rb"],
}
KID = "2026-11"
LINKED = 110


@pytest.fixture(scope="module")
def proxxy(settings: dict[str, Any], key: str) -> Iterator[Activator]:
    named = f"old:{'00' * 32}, {KID}:{key}"
    with Activator(settings | {"SIGNATURE_KEY": named, "PROXXY_PAYLOADS": "jwe"}) as proxxy:
        yield proxxy


@pytest.fixture(scope="module")
def seal_ours(key: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict], str]:
    build = tmp_path_factory.mktemp("seal")
    subprocess.run(["make", "-s", "-C", TREE, f"BUILD={build}", build / "seal"], check=True)

    def seal(claims: dict) -> str:
        return run([build / "seal"], json.dumps(claims, ensure_ascii=False), f"{KID}:{key}")

    return seal


def run(command: list[str | Path], text: str, key: str) -> str:
    environment = {**os.environ, "SIGNATURE_KEY": key}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("library", LIBRARIES)
def test_theirs_seals_ours_opens(proxxy: Activator, standin: StandIn, key: str, library: str) -> None:
    now = int(time.time())
    claims = {
        **standin.console("qemu", ECHO),
        "exp": now + 60,
        "nbf": now,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "client": "127.0.0.0/8",
        "session_max": 3600,
    }
    payload = run([*LIBRARIES[library], "seal", KID], json.dumps(claims), key)
    with Client.upgraded(proxxy.port, target(payload)) as client:
        client.send_frame(BINARY, b"sealed by " + library.encode())
        assert client.read_data(10 + len(library)).endswith(library.encode())
    assert f"kid={KID}" in proxxy.wait_log("Session ended")


@pytest.mark.parametrize("library", LIBRARIES)
def test_theirs_makes_a_link(
    settings: dict[str, Any], standin: StandIn, key: str, library: str, tmp_path: Path
) -> None:
    """A link, which is what a backend in five lines seals."""
    standin.add("qemu", LINKED, VncConsole(echo).connect)
    (tmp_path / "main.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={standin.access.token('root@pam')}\n")
    now = int(time.time())
    claims = {"vmid": LINKED, "type": "qemu", "cluster": "main", "sub": "é", "iat": now, "exp": now + 300}
    payload = run([*LIBRARIES[library], "seal", KID], json.dumps(claims), key)
    named = {"SIGNATURE_KEY": f"{KID}:{key}", "PROXXY_CLUSTER_DIRECTORY": str(tmp_path)}
    with Activator({**settings, **named}) as proxxy, Client.upgraded(proxxy.port, target(payload)) as client:
        shake_hands(client)
        echoes(client)


@pytest.mark.parametrize("library", LIBRARIES)
def test_ours_seals_theirs_opens(seal_ours: Callable[[dict], str], key: str, library: str) -> None:
    claims = {"exp": int(time.time()) + 60, "vmid": 100, "ticket": "PVE:root@pam!ä€😀", "ca": "a\nb"}
    assert json.loads(run([*LIBRARIES[library], "open", KID], seal_ours(claims), key)) == claims


@pytest.mark.parametrize("library", LIBRARIES)
def test_theirs_finds_ours_changed(seal_ours: Callable[[dict], str], key: str, library: str) -> None:
    """The libraries reject a changed payload, so the test above shows that they verify it."""
    sealed = seal_ours({"exp": int(time.time()) + 60})
    changed = sealed[:-1] + ("A" if sealed[-1] != "A" else "Q")
    environment = {**os.environ, "SIGNATURE_KEY": key}
    done = subprocess.run(
        [*LIBRARIES[library], "open", KID], input=changed, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode != 0
