# SPDX-License-Identifier: Apache-2.0
"""Other WebSocket implementations as clients: Python's websockets and Node's ws, and the protocol that xterm.js speaks
with Proxmox's termproxy."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
import websockets
from conftest import ECHO, TERMINAL
from lib.activator import Activator
from lib.payload import protocols, seal, seal_jwe, url
from lib.standin import StandIn

PEER = Path(__file__).with_name("peer.mjs")


PLACES = ["query", "subprotocol"]


def offer(proxxy: Activator, standin: StandIn, key: str, place: str) -> tuple[str, list[str]]:
    """A URL and subprotocols that have the payload of an echoing console."""
    if place == "query":
        return url(proxxy.port, seal(standin.console("qemu", ECHO), key)), ["base64", "binary"]
    payload = seal_jwe(standin.console("qemu", ECHO), key)
    return f"ws://127.0.0.1:{proxxy.port}/ws", protocols(payload).split(", ")


@pytest.mark.parametrize("place", PLACES)
def test_websockets(proxxy: Activator, standin: StandIn, key: str, place: str) -> None:
    data = os.urandom(1 << 20)
    address, offered = offer(proxxy, standin, key, place)

    async def session() -> None:
        async with websockets.connect(address, subprotocols=offered, max_size=None) as client:
            assert client.subprotocol == "binary"
            await asyncio.wait_for(await client.ping(b"are you there"), 5)
            await client.send([data[:100], data[100:200000], data[200000:]])  # three fragments
            got = bytearray()
            while len(got) < len(data):
                got += await asyncio.wait_for(client.recv(), 10)
            assert bytes(got) == data
            await client.send("quit")
            try:
                await asyncio.wait_for(client.recv(), 5)
                raise AssertionError("no Close came")
            except websockets.ConnectionClosedOK as closed:
                assert (closed.rcvd.code, closed.rcvd.reason) == (1000, "Console closed")

    asyncio.run(session())


def test_websockets_closes_first(proxxy: Activator, standin: StandIn, key: str) -> None:
    async def session() -> None:
        client = await websockets.connect(url(proxxy.port, seal(standin.console("qemu", ECHO), key)))
        await client.send(b"x")
        assert await asyncio.wait_for(client.recv(), 5) == b"x"
        await asyncio.wait_for(client.close(4000, "done"), 5)
        try:
            await client.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 4000 and closed.sent.code == 4000 and not closed.rcvd_then_sent

    asyncio.run(session())


@pytest.mark.parametrize("place", PLACES)
def test_node_ws(proxxy: Activator, standin: StandIn, key: str, place: str) -> None:
    address, offered = offer(proxxy, standin, key, place)
    more = [name for name in offered if name.startswith("proxxy.")]
    run = subprocess.run(["node", PEER, address, str(3_000_000), *more], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "protocol": "binary",
        "pong": "are you there",
        "echoed": True,
        "code": 1000,
        "reason": "Console closed",
    }


def test_xterm_session(proxxy: Activator, standin: StandIn, key: str) -> None:
    """The client first sends user:ticket, then 1:COLS:ROWS:, 0:LEN:MSG and 2 (a ping). The terminal's output
    arrives unchanged."""
    members = standin.console("lxc", TERMINAL)
    user = members["ticket"].split("=")[1]

    async def session() -> None:
        address = url(proxxy.port, seal(members, key))
        async with websockets.connect(address, subprotocols=["binary"]) as client:
            await client.send(f"{user}:{members['vncticket']}\n")
            seen = b""

            async def until(words: bytes) -> None:
                nonlocal seen
                while words not in seen:
                    seen += await asyncio.wait_for(client.recv(), 10)

            await until(b"OK")
            await client.send("1:123:45:")
            await client.send("2")
            for command in ("stty size; echo $((6 * 7))-ok\n", "exit\n"):
                await client.send(f"0:{len(command)}:{command}")
                if "stty" in command:
                    await until(b"45 123")
                    await until(b"42-ok")
            try:
                while True:
                    await asyncio.wait_for(client.recv(), 10)
            except websockets.ConnectionClosedOK as closed:
                assert closed.rcvd.reason == "Console closed"

    asyncio.run(session())
    assert standin.violations == []
