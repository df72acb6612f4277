# SPDX-License-Identifier: Apache-2.0
"""Several machines with proxxy that share a store, and consoles on them; with the fixtures of their tests."""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from typing import Any, Iterator

import pytest

from .activator import Activator
from .certs import Authority
from .payload import seal_jwe, target
from .process import free_port
from .redis_server import RedisServer, installed
from .standin import StandIn
from .wire import BINARY, Client

GUEST = 100  # the vmid of a guest that echoes
USED = (403, "Payload was used already", "")
FAILED = (503, "The store of used payloads does not answer", "")


class Machines:
    """Several proxxys, each with a state directory of its own, that share a store."""

    def __init__(self, settings: dict[str, Any], standin: StandIn, key: str) -> None:
        self.settings, self.standin, self.key = settings, standin, key
        self.stack = ExitStack()

    def add(self, url: str, **settings: object) -> Activator:
        return self.stack.enter_context(Activator(self.settings | {"PROXXY_REPLAY_STORE": url} | settings))

    def payload(self, jti: str, **claims: Any) -> str:
        return seal_jwe(self.standin.console("qemu", GUEST), self.key, jti=jti, **claims)


@pytest.fixture(scope="module", params=installed() or ["redis-server"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(program=request.param) as store:
        yield store


@pytest.fixture
def machines(settings: dict[str, Any], standin: StandIn, key: str) -> Iterator[Machines]:
    machines = Machines(settings, standin, key)
    with machines.stack:
        yield machines


def secure(authority: Authority, *options: str) -> RedisServer:
    """A server with TLS, which requires a client certificate unless the options say otherwise."""
    cert = authority.leaf("store")
    files = [f"tls-cert-file {cert.cert}", f"tls-key-file {cert.key}", f"tls-ca-cert-file {cert.ca}"]
    return RedisServer(*files, *(options or ("tls-auth-clients no",)), tls_port=free_port())


def entry_of_alice() -> str:
    """The store's key of the sessions of the sub alice."""
    return "proxxy:sub:" + hashlib.sha256(b":alice").hexdigest()


class Consoles:
    """Opens consoles of the sub alice, and keeps them open."""

    def __init__(self, machines: Machines) -> None:
        self.machines, self.count = machines, 0

    def payload(self, **claims: Any) -> str:
        self.count += 1
        return self.machines.payload(f"console {self.count} {time.monotonic()}", **{"sub": "alice", **claims})

    def open(self, proxxy: Activator, **claims: Any) -> Client:
        client = Client.upgraded(proxxy.port, target(self.payload(**claims)))
        self.machines.stack.callback(client.sock.close)
        client.send_frame(BINARY, b"x")
        assert client.read_data(1) == b"x"
        return client
