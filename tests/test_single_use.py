# SPDX-License-Identifier: Apache-2.0
"""A payload with a jti opens one console only."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, console
from lib.activator import Activator
from lib.answers import ask, echoes, refusal, told_in_close
from lib.payload import seal_jwe
from lib.standin import StandIn


@pytest.fixture(scope="module")
def proxxy(relay: Activator) -> Activator:
    """Only under Activator: a payload's meaning does not depend on what spawned the session."""
    return relay


def test_jti_opens_once(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="once")
    assert echoes(proxxy, payload)
    assert refusal(proxxy, payload)[:2] == (403, "Payload was used already")
    # Another payload with the same jti is also refused.
    again = seal_jwe(standin.console("qemu", ECHO), key, jti="once", exp=int(time.time()) + 200)
    assert refusal(proxxy, again)[:2] == (403, "Payload was used already")
    proxxy.wait_log("outcome=payload-used")


def test_one_of_many_at_once_gets_the_console(proxxy: Activator, standin: StandIn, key: str) -> None:
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="race")
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: ask(proxxy, payload)[0], range(24)))
    assert sorted(answers) == [101] + [403] * 23


def test_request_that_could_not_be_upgraded_does_not_use_it_up(proxxy: Activator, standin: StandIn, key: str) -> None:
    """A link still works after a chat program has fetched it for a preview."""
    payload = seal_jwe(standin.console("qemu", ECHO), key, jti="preview", origin="https://panel.example.com")
    origin = {"Origin": "https://panel.example.com"}
    assert ask(proxxy, payload, {**origin, "Upgrade": ""})[0] == 426
    assert ask(proxxy, payload, {**origin, "Sec-WebSocket-Key": ""})[0] == 400
    assert told_in_close(proxxy, payload, {"Origin": "https://evil.example"})[0] == 1008
    assert ask(proxxy, payload)[0] == 403
    assert echoes(proxxy, payload, origin)


def test_used_jti_are_kept_as_hashes_until_they_expire(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings) as proxxy:
        old = [proxxy.used / f"00{digit:x}{'0' * 61}" for digit in range(16)]
        others = [proxxy.used / "README", proxxy.used / ("g" * 64)]
        for path in (*old, *others):
            path.touch()
            os.utime(path, (0, 0))
        for n in range(200):  # 1 in 16 requests deletes expired files, looking at 1/16 of the files
            assert ask(proxxy, seal_jwe(standin.console("qemu", ECHO), key, jti=f"customer-{n}"))[0] == 101
            if not all(path.exists() for path in old):
                break
        assert sum(path.exists() for path in old) == 15 and all(path.exists() for path in others)
        others += [proxxy.used / "limits", proxxy.used / "counters"]
        names = [path.name for path in proxxy.used.iterdir() if path not in (*old, *others)]
        names = [name for name in names if name not in ("limits", "counters")]
        assert len(names) == n + 1 and all(len(name) == 64 for name in names)


def test_state_directory_that_cannot_be_written_fails_closed(
    settings: dict[str, Any], standin: StandIn, key: str, tmp_path: Path
) -> None:
    with Activator(settings | {"PROXXY_STATE_DIRECTORY": tmp_path / "none"}) as proxxy:
        assert ask(proxxy, seal_jwe(console(8006), key, jti="x"))[0] == 500
        assert str(tmp_path)[:40] in proxxy.wait_log("PROXXY_STATE_DIRECTORY")
        assert echoes(proxxy, seal_jwe(standin.console("qemu", ECHO), key))
