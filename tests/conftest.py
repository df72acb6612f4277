# SPDX-License-Identifier: Apache-2.0
"""Fixtures that most tests need: certificates, a stand-in Proxmox with a few guests, and proxxy in front."""

from __future__ import annotations

import secrets
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from _pytest.terminal import TerminalReporter

sys.path.insert(0, str(Path(__file__).parent))
# Failed assertions in these modules show their values, as in a test file.
pytest.register_assert_rewrite(
    "lib.console_pages",
    "lib.element_page",
    "lib.framed_pages",
    "lib.live_pages",
    "lib.rfc6455",
    "lib.url_pages",
    "lib.shared_store",
)

from lib.activator import Activator, Xinetd  # noqa: E402
from lib.certs import Authority, Cert  # noqa: E402
from lib.consoles import ECHO, NAMED, TERMINAL, echo, handler_console, named  # noqa: E402
from lib.payload import console, seal, target  # noqa: E402
from lib.pid1 import Machine  # noqa: E402
from lib.schedule import KINDS, choose  # noqa: E402
from lib.second_try import OPTIONS, keep, write  # noqa: E402
from lib.standin import StandIn  # noqa: E402
from lib.termproxy import termproxy_console  # noqa: E402
from lib.upstream import Connection, Upstream  # noqa: E402
from lib.wire import Client  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kind", choices=KINDS, help="only the tests of that kind (lib/schedule.py)")
    for option, meaning in OPTIONS.items():
        parser.addoption(option, type=Path, metavar="FILE", help=meaning)


def pytest_configure(config: pytest.Config) -> None:
    """What the tests start inherits ignored signals. Under nohup(1) or in the background, nothing would end by them."""
    if hasattr(config, "workerinput"):  # pytest-xdist: it inherits them too, from a process that has done this
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    keep(config, items)
    choose(config, items)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    write(config, terminalreporter)


@pytest.fixture(scope="session")
def key() -> str:
    return secrets.token_hex(32)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def cert(authority: Authority) -> Cert:
    return authority.leaf()


@pytest.fixture(scope="session")
def settings(key: str, cert: Cert) -> dict[str, Any]:
    return {"SIGNATURE_KEY": key, "PROXXY_CA_FILE": cert.ca}


@pytest.fixture(scope="module")
def standin(cert: Cert) -> Iterator[StandIn]:
    with StandIn(cert) as standin:
        standin.add("qemu", ECHO, handler_console(echo))
        standin.add("lxc", ECHO, handler_console(echo))
        standin.add("qemu", NAMED, handler_console(named))
        standin.add("lxc", TERMINAL, termproxy_console())
        yield standin
        # Whatever the tests did, the stand-in received no frame that Proxmox does not accept.
        assert standin.violations == []


@pytest.fixture(scope="module")
def proxmox(machine: Machine, cert: Cert) -> Iterator[StandIn]:
    """A stand-in inside the machine that the module boots, with a guest that echoes."""
    with StandIn(cert) as proxmox:
        proxmox.add("qemu", ECHO, handler_console(echo))
        yield proxmox


@pytest.fixture(scope="module", params=[Activator, Xinetd], ids=["activate", "xinetd"])
def proxxy(request: pytest.FixtureRequest, settings: dict[str, Any]) -> Iterator[Activator]:
    """proxxy under each activator: sessions must not differ. Under xinetd a test cannot read proxxy's log."""
    with request.param(settings) as proxxy:
        yield proxxy


@pytest.fixture(scope="module")
def relay(settings: dict[str, Any]) -> Iterator[Activator]:
    """proxxy under Activator only, for tests that do not depend on what spawns sessions."""
    with Activator(settings) as relay:
        yield relay


Open = Callable[..., Client]


@pytest.fixture
def opened(proxxy: Activator, standin: StandIn, key: str) -> Iterator[Open]:
    """opened(vmid=…) returns a client with an open console on the stand-in."""
    clients: list[Client] = []

    def open_console(vmid: int = ECHO, type: str = "qemu", **options: Any) -> Client:
        payload = seal(standin.console(type, vmid, **options), key)
        clients.append(Client.upgraded(proxxy.port, target(payload)))
        return clients[-1]

    yield open_console
    for client in clients:
        client.sock.close()


@pytest.fixture
def scripted(proxxy: Activator, cert: Cert, key: str) -> Iterator[Open]:
    """scripted(script) returns a client in a session whose Proxmox is that script."""
    upstreams: list[Upstream] = []
    clients: list[Client] = []

    def open_console(script: Callable[[Connection], None], activator: Activator | None = None) -> Client:
        upstreams.append(Upstream(cert, script))
        upstreams[-1].__enter__()
        payload = seal(console(upstreams[-1].port), key)
        clients.append(Client.upgraded((activator or proxxy).port, target(payload)))
        return clients[-1]

    yield open_console
    for client in clients:
        client.sock.close()
    for upstream in upstreams:
        upstream.__exit__()
