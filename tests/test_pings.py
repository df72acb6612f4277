# SPDX-License-Identifier: Apache-2.0
"""Pings that proxxy sends to the client, and its answers to Pings from the client and from Proxmox."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from conftest import Open
from lib.activator import Activator
from lib.process import wait_for
from lib.upstream import Connection, silent_console
from lib.wire import BINARY, CLOSE, PING, PONG, close_payload, encode_frame


@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(125))])
def test_client_ping_is_answered_locally(scripted: Open, body: bytes) -> None:
    frames: list[Any] = []

    def listen(c: Connection) -> None:
        c.accept_upgrade()
        while not frames or frames[-1].opcode != CLOSE:
            frames.append(c.read_frame())

    client = scripted(listen)
    client.send_frame(PING, body)
    assert client.read_frame()[2:] == (PONG, body)
    client.send_frame(PONG, b"unasked")
    client.send_frame(CLOSE, close_payload(1000))
    assert client.close_code() == (1000, "")
    assert client.at_end()
    wait_for(lambda: frames, 5, "Proxmox heard nothing")
    assert [frame.opcode for frame in frames] == [CLOSE]


def test_many_pings_are_all_answered_in_order(opened: Open) -> None:
    client = opened()
    bodies = [b"%d" % n for n in range(500)]
    client.send(b"".join(encode_frame(PING, body, mask=b"abcd") for body in bodies))
    assert [client.read_frame().payload for _ in bodies] == bodies


def test_idle_session_is_kept_alive_by_pings(settings: dict[str, Any], scripted: Open) -> None:
    def quiet(c: Connection) -> None:
        c.accept_upgrade()
        c.read_frame(30)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(quiet, proxxy)
        started = time.monotonic()
        for _ in range(4):
            assert client.read_frame(3)[2:] == (PING, b"")
            client.send_frame(PONG)
        assert time.monotonic() - started > 3.5  # one Ping per interval, not one after each Pong
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")


def test_client_that_does_not_answer_a_ping_is_ended(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(silent_console, proxxy)
        started = time.monotonic()
        assert client.read_frame(3).opcode == PING
        assert client.close_code() == (1001, "Client did not answer a Ping")
        assert 1.8 < time.monotonic() - started < 4
        client.sock.close()
        assert "outcome=client-silent" in proxxy.wait_log("Session ended")


def test_pong_that_waits_is_no_ping(settings: dict[str, Any], scripted: Open) -> None:
    """Proxmox halts inside a frame, so the Pong to the client still waits when proxxy's Ping is due. The client does
    not answer a Pong: proxxy must send a Ping before it treats the client as silent."""
    interval = 1
    frame = encode_frame(BINARY, b"y" * 4000)
    begun = threading.Event()

    def halting(c: Connection) -> None:
        c.accept_upgrade()
        c.send(frame[:1000])
        begun.set()
        time.sleep(1.8 * interval)
        c.send(frame[1000:])
        c.hang()

    with Activator(settings | {"PROXXY_PING_INTERVAL": interval}) as proxxy:
        client = scripted(halting, proxxy)
        begun.wait(5)
        time.sleep(0.2)
        client.send_frame(PING, b"mine")
        assert [client.read_frame(3 * interval).opcode for _ in range(2)] == [BINARY, PONG]
        for _ in range(2):
            assert client.read_frame(3 * interval).opcode == PING
            client.send_frame(PONG)


def test_pings_can_be_switched_off(settings: dict[str, Any], scripted: Open) -> None:
    with Activator(settings | {"PROXXY_PING_INTERVAL": 0}) as proxxy:
        client = scripted(silent_console, proxxy)
        with pytest.raises(TimeoutError):
            client.read_frame(2.5)


def test_ping_comes_when_only_one_way_is_quiet(settings: dict[str, Any], scripted: Open) -> None:
    """A proxy in front may have a timeout for each direction. The client first only sends, then only receives."""

    def sink_then_source(c: Connection) -> None:
        c.accept_upgrade()
        c.read_data(8, 10)
        for _ in range(12):
            c.send_frame(BINARY, b"x")
            time.sleep(0.25)
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(sink_then_source, proxxy)
        for _ in range(8):
            client.send_frame(BINARY, b"x")
            time.sleep(0.25)
        assert client.read_frame().opcode == PING
        client.send_frame(PONG)
        seen = [client.read_frame().opcode for _ in range(9)]
        assert PING in seen
        client.send_frame(PONG)


def test_ping_waits_for_the_end_of_a_frame(settings: dict[str, Any], scripted: Open) -> None:
    frame = encode_frame(BINARY, b"y" * 4000)

    def halting(c: Connection) -> None:
        c.accept_upgrade()
        c.send(frame[:1000])
        time.sleep(2.5)
        c.send(frame[1000:])
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(halting, proxxy)
        assert client.read_frame().payload == b"y" * 4000
        assert client.read_frame().opcode == PING


def test_pings_do_not_pile_up_behind_a_frame_that_halts(settings: dict[str, Any], scripted: Open) -> None:
    """The client's data still passes, and at most one Ping is queued."""
    frame = encode_frame(BINARY, b"y" * 4000)
    got: list[bytes] = []

    def halting(c: Connection) -> None:
        c.accept_upgrade()
        c.send(frame[:1000])
        got.append(c.read_data(900, 20))
        c.send(frame[1000:])
        c.close_code(10)

    with Activator(settings | {"PROXXY_PING_INTERVAL": 1}) as proxxy:
        client = scripted(halting, proxxy)
        time.sleep(1.5)
        for _ in range(900):
            client.send_frame(BINARY, b"k")
            time.sleep(0.001)
        assert client.read_frame().payload == b"y" * 4000
        assert client.read_frame().opcode == PING
        client.send_frame(PONG)
        client.send_frame(CLOSE, close_payload(1000))
        assert client.close_code() == (1000, "")
    assert got == [b"k" * 900]


def test_upstream_ping_is_answered_and_its_pong_swallowed(scripted: Open) -> None:
    pongs: list[bytes] = []

    def pinging(c: Connection) -> None:
        c.accept_upgrade()
        for n in range(30):
            c.send_frame(PING, b"%d" % n)
        c.send_frame(PONG, b"unasked")
        while len(pongs) < 30:
            frame = c.read_frame()
            assert frame.opcode == PONG
            pongs.append(frame.payload)
        c.send_frame(BINARY, b"done")
        c.close_code()

    client = scripted(pinging)
    assert client.read_frame() == (1, 0, BINARY, b"done")
    assert pongs == [b"%d" % n for n in range(30)]
