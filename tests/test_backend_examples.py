# SPDX-License-Identifier: Apache-2.0
"""Each example of a panel's backend checks the customer's right, answers a link that opens the console through proxxy,
and its panel gets another link when the console asks for one."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple
from urllib.parse import parse_qsl

import pytest
from conftest import echo
from lib.activator import Activator
from lib.certs import Cert
from lib.late import echoes, shake_hands
from lib.payload import target, unseal_jwe
from lib.process import free_port, spawn, stop, wait_for
from lib.sdk import LANGUAGES, Built
from lib.standin import StandIn
from lib.vnc_console import VncConsole
from lib.wire import Client

ORIGIN = "https://panel.example.com"
PAGE = f"{ORIGIN}/console/"
GUEST = 104
TOKEN = "root@pam!proxxy=6f1c5bd0-3c8f-4a3e-9d51-7c0d6b0f4a11"
WITH_EXAMPLE = [name for name, language in LANGUAGES.items() if language.server]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.headers["content-type"].partition(";")[0] == "application/json"
        return json.loads(self.text)


class Server(NamedTuple):
    """An example that runs."""

    port: int
    log: Path

    def request(self, method: str, path: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())
        finally:
            connection.close()

    def link(self, guest: str = f"qemu/{GUEST}") -> dict[str, str]:
        """Returns the parameters of the page."""
        answer = self.request("POST", f"/console-link/{guest}")
        assert answer.status == 200 and set(answer.json) == {"link"}, answer
        assert "no-store" in answer.headers["cache-control"]
        url, _, fragment = answer.json["link"].partition("#")
        assert url == f"{PAGE}novnc.html"
        return dict(parse_qsl(fragment, strict_parsing=True))


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    directory = tmp_path_factory.mktemp("examples")
    ready: dict[str, Built] = {}

    def build(name: str) -> Built:
        if name not in ready:
            ready[name] = Built(name, directory)
        return ready[name]

    return build


@pytest.fixture(scope="module", params=WITH_EXAMPLE)
def server(
    request: pytest.FixtureRequest, builds: Callable[[str], Built], key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    (directory / "key").write_text(f"{key}\n")
    running = Server(free_port(), directory / "log")
    settings = {
        "PROXXY_KEY_FILE": str(directory / "key"),
        "PROXXY_PAGE": PAGE,
        "PROXXY_CLUSTER": "main",
        "GUESTS": f"qemu/{GUEST} lxc/{GUEST} qemu/99",
        "PORT": str(running.port),
    }
    built = builds(request.param)
    command = [word.replace("{port}", str(running.port)) for word in built.server()]
    with running.log.open("wb") as log:
        process = spawn(command, stdout=log, stderr=log, env=built.environment(settings))
    try:
        wait_for(lambda: listens(running.port), 20, lambda: f"it does not listen: {running.log.read_text()}")
        yield running
        assert key not in running.log.read_text()
    finally:
        stop(process)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("type", ["qemu", "lxc"])
def test_a_customer_gets_a_link(server: Server, key: str, type: str) -> None:
    parameters = server.link(f"{type}/{GUEST}")
    claims = json.loads(unseal_jwe(parameters.pop("payload"), key)[1])
    assert parameters == {"title": f"{type} {GUEST}"}
    assert claims["exp"] == claims.pop("iat") + 300
    del claims["exp"]
    assert claims == {"vmid": GUEST, "type": type, "cluster": "main", "sub": "alice", "origin": ORIGIN}


def test_other_customers_get_none(server: Server) -> None:
    answer = server.request("POST", "/console-link/qemu/105")
    assert answer.status == 403 and set(answer.json) == {"error"}


def test_wrong_guest_is_an_error_at_the_backend(server: Server) -> None:
    """Proxmox has no guest 99: the library says so before a customer has a link."""
    answer = server.request("POST", "/console-link/qemu/99")
    assert answer.status == 400 and answer.json["error"].lower().startswith("vmid ")


@pytest.mark.parametrize("path", [
    "/console-link/vm/104", "/console-link/qemu/x", "/console-link/qemu/104/x", "/other", "/console-link/"])
def test_other_addresses(server: Server, path: str) -> None:
    assert server.request("POST", path).status == 404


def test_a_link_is_made_by_post_alone(server: Server) -> None:
    """Neither an image nor a link on another site makes a link."""
    answer = server.request("GET", f"/console-link/qemu/{GUEST}")
    assert answer.status in (404, 405) and "payload" not in answer.text


def test_panel_has_the_guests(server: Server) -> None:
    answer = server.request("GET", "/")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")
    assert f'value="qemu/{GUEST}"' in answer.text and "proxxy:again" in answer.text
    assert json.dumps(ORIGIN) in answer.text.replace("\\/", "/")  # the only origin whose messages it accepts


def test_link_opens_the_console(
    server: Server, key: str, cert: Cert, standin: StandIn, tmp_path: Path
) -> None:
    standin.add("qemu", GUEST, VncConsole(echo).connect)
    (tmp_path / "main.conf").write_text(f"HOSTS=127.0.0.1:{standin.port}\nTOKEN={TOKEN}\nCA_FILE={cert.ca}\n")
    with Activator({"SIGNATURE_KEY": key, "PROXXY_CLUSTER_DIRECTORY": str(tmp_path)}) as proxxy:
        with Client.upgraded(proxxy.port, target(server.link()["payload"]), {"Origin": ORIGIN}) as client:
            shake_hands(client)
            echoes(client)
        assert " sub=alice" in proxxy.wait_log("Session ended")
