# SPDX-License-Identifier: Apache-2.0
"""A session's time limits: PROXXY_IDLE_TIMEOUT, PROXXY_SESSION_MAX and the payload's session_max."""

from __future__ import annotations

import time
from typing import Any

from conftest import ECHO, Open
from lib.activator import Activator
from lib.payload import seal, seal_jwe, target
from lib.standin import StandIn
from lib.upstream import Connection, silent_console
from lib.wire import BINARY, CLOSE, PING, PONG, Client, close_payload


def test_idle_limit(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_IDLE_TIMEOUT": 2}) as proxxy:
        client = scripted(silent_console, proxxy)
        started = time.monotonic()
        time.sleep(1)
        client.send_frame(BINARY, b"not idle")
        for _ in range(5):  # Pings and Pongs do not count as activity, or no client would ever be idle
            client.send_frame(PONG)
            client.send_frame(PING)
            time.sleep(0.3)
        assert client.close_code() == (1001, "Session was idle too long")
        assert 2.8 < time.monotonic() - started < 5


def test_time_to_connect_is_not_idle(settings: dict[str, Any], scripted: Open) -> None:
    def slow(c: Connection) -> None:
        time.sleep(1.5)
        c.accept_upgrade()
        time.sleep(0.2)
        c.send_frame(BINARY, b"here")
        c.close_code(10)

    with Activator(settings | {"PROXXY_IDLE_TIMEOUT": 1}) as proxxy:
        assert scripted(slow, proxxy).read_data(4) == b"here"


def test_session_max(settings: dict[str, Any], standin: StandIn, key: str) -> None:
    with Activator(settings | {"PROXXY_SESSION_MAX": 2}) as proxxy:
        started = time.monotonic()
        with Client.upgraded(proxxy.port, target(seal(standin.console("qemu", ECHO), key))) as client:
            while True:  # a busy session ends too
                client.send_frame(BINARY, b"busy")
                frame = client.read_frame()
                if frame.opcode == CLOSE:
                    break
                time.sleep(0.01)
        assert frame.payload == close_payload(1001, "Session reached its maximum length")
        assert 1.8 < time.monotonic() - started < 4


def test_session_max_of_the_payload_counts_when_it_is_shorter(
    settings: dict[str, Any], standin: StandIn, key: str
) -> None:
    for setting, claim in ((3600, 1), (1, 3600), (0, 1)):
        with Activator(settings | {"PROXXY_SESSION_MAX": setting}) as proxxy:
            payload = seal_jwe(standin.console("qemu", ECHO), key, session_max=claim)
            started = time.monotonic()
            with Client.upgraded(proxxy.port, target(payload)) as client:
                assert client.close_code() == (1001, "Session reached its maximum length")
            assert 0.5 < time.monotonic() - started < 3
