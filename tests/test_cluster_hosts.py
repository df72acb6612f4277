# SPDX-License-Identifier: Apache-2.0
"""The hosts of a cluster file: tried in order until one accepts, and which certificates they must have."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from lib.activator import Activator
from lib.certs import Authority, Cert
from lib.late import TOKEN, answer, end_of, open_link, read_call
from lib.process import free_port
from lib.upstream import Connection, Upstream
from lib.wire import BINARY
from test_proxmox_connect import WithNames

OWN = "root@pam!own=5ecc1e70-0000-4000-8000-000000000001"
LINK: dict[str, Any] = {"vmid": 100, "type": "lxc", "node": "pve01"}  # one request
EMPTY = (1000, "Console closed before it sent anything: the guest or its node is off")


class Node:
    """A machine of the cluster; it grants one console after the other, each of which ends at once."""

    def __init__(self, cert: Cert) -> None:
        self.tokens: list[str] = []
        self.hosts: list[str] = []
        self.upstream = Upstream(cert, self.serve)

    def serve(self, c: Connection) -> None:
        head, _ = read_call(c)
        self.tokens.append(head.headers["authorization"])
        self.hosts.append(head.headers["host"])
        answer(c, {"ticket": "PVEVNC:1::x", "port": 5900})
        c.accept_upgrade()
        c.close_notify()


@contextmanager
def node(cert: Cert) -> Iterator[Node]:
    machine = Node(cert)
    with machine.upstream:
        yield machine


@contextmanager
def full() -> Iterator[int]:
    """A port whose connections are neither accepted nor refused: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def clusters(tmp_path: Path) -> Path:
    return tmp_path


def write(clusters: Path, *hosts: object, **more: object) -> None:
    lines = [f"HOSTS={','.join(map(str, hosts))}", f"TOKEN={OWN}", *(f"{key}={value}" for key, value in more.items())]
    (clusters / "dc1.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture
def proxxy(settings: dict[str, Any], clusters: Path) -> Iterator[Activator]:
    """PROXXY_ALLOWED_HOSTS does not contain this machine: it does not apply to a cluster's hosts."""
    with Activator(
        {**settings, "PROXXY_CLUSTER_DIRECTORY": clusters, "PROXXY_ALLOWED_HOSTS": "pve.example.com"}
    ) as proxxy:
        yield proxxy


def opened(proxxy: Activator, key: str, **members: Any) -> tuple[int | None, str]:
    return end_of(open_link(proxxy, key, {**LINK, "cluster": "dc1", **members}), 10)


def at(port: int) -> str:
    return f"127.0.0.1:{port}"


def test_first_host_that_accepts(proxxy: Activator, clusters: Path, cert: Cert, key: str) -> None:
    with node(cert) as first, node(cert) as second:
        write(clusters, at(free_port()), at(first.upstream.port), at(second.upstream.port))
        assert opened(proxxy, key) == EMPTY
        assert (first.tokens, second.tokens) == ([f"PVEAPIToken={OWN}"], [])
        assert first.hosts == [at(first.upstream.port)]


def test_only_the_payloads_host_counts(proxxy: Activator, clusters: Path, cert: Cert, key: str) -> None:
    """A payload with host uses the token of the cluster that lists it, but not the cluster's other hosts."""
    with node(cert) as first, node(cert) as second:
        closed = at(free_port())
        write(clusters, at(first.upstream.port), at(second.upstream.port), closed)
        link = {**LINK, "host": at(second.upstream.port)}
        assert end_of(open_link(proxxy, key, link)) == EMPTY
        assert (first.tokens, second.tokens) == ([], [f"PVEAPIToken={OWN}"])
        said = end_of(open_link(proxxy, key, {**LINK, "host": closed}))
        assert said == (1011, "Proxmox: cannot connect: Connection refused") and not first.tokens


def test_host_that_does_not_answer_leaves_time(settings: dict[str, Any], clusters: Path, cert: Cert, key: str) -> None:
    with full() as silent, node(cert) as second:
        write(clusters, at(silent), at(second.upstream.port))
        with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters, "PROXXY_CONNECT_TIMEOUT": 4}) as proxxy:
            began = time.monotonic()
            assert opened(proxxy, key) == EMPTY
            assert 1.9 < time.monotonic() - began < 3.5  # half of the time


def test_name_that_is_never_resolved_leaves_time(
    settings: dict[str, Any], clusters: Path, cert: Cert, key: str
) -> None:
    """The lookup goes on in its thread, into the sandbox, where it cannot send again. The session does not notice."""

    def script(c: Connection) -> None:
        read_call(c)
        answer(c, {"ticket": "PVEVNC:1::x", "port": 5900, "user": "u@pve"})
        c.accept_upgrade()
        c.send_frame(BINARY, b"OK")
        time.sleep(6)  # the resolver sends again after 5 s
        c.send_frame(BINARY, b"still here")
        c.close_code()

    with socket.socket(type=socket.SOCK_DGRAM) as silent, Upstream(cert, script) as upstream:
        silent.bind(("127.0.0.78", 53))
        write(clusters, "pve.test", at(upstream.port))
        all_settings = {**settings, "PROXXY_CLUSTER_DIRECTORY": clusters, "PROXXY_CONNECT_TIMEOUT": 2}
        with WithNames(all_settings, "", "127.0.0.78") as proxxy:
            with open_link(proxxy, key, {**LINK, "cluster": "dc1", "protocol": "term"}) as client:
                assert client.read_frame(10).payload == b"still here"


def test_no_host_accepts(settings: dict[str, Any], clusters: Path, key: str) -> None:
    """The log names each host and why it failed, the client gets no name."""
    closed = at(free_port())
    with full() as silent:
        write(clusters, closed, at(silent), "no-such-host.invalid")
        with Activator({**settings, "PROXXY_CLUSTER_DIRECTORY": clusters, "PROXXY_CONNECT_TIMEOUT": 2}) as proxxy:
            code, reason = opened(proxxy, key)
            log = proxxy.wait_log("Session ended")
    assert code == 1011 and reason.endswith(": none of the cluster's 3 hosts can be reached")
    assert "127.0.0.1: Connection refused; 127.0.0.1: it does not answer at all; no-such-host.invalid: " in log


def test_one_host_has_its_own_words(proxxy: Activator, clusters: Path, key: str) -> None:
    write(clusters, at(free_port()))
    assert opened(proxxy, key) == (1011, "Proxmox: cannot connect: Connection refused")


def test_host_outside_of_the_file_is_not_allowed(proxxy: Activator, clusters: Path, cert: Cert, key: str) -> None:
    with node(cert) as first:
        write(clusters, at(first.upstream.port))
        with node(cert) as other:
            link = {**LINK, "host": at(other.upstream.port), "ticket": TOKEN}
            with pytest.raises(AssertionError, match="403 Forbidden"):
                open_link(proxxy, key, link)
            assert not other.tokens


# --- certificates ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["FINGERPRINTS", "CA_FILE", "both"])
def test_clusters_own_certificates(
    settings: dict[str, Any], clusters: Path, authority: Authority, key: str, where: str, tmp_path_factory: Any
) -> None:
    """They count instead of the settings, even with PROXXY_TLS_VERIFY=off."""
    other = Authority(tmp_path_factory.mktemp("other"))
    right, wrong = other.leaf("right"), authority.leaf("wrong")
    more: dict[str, Any] = {}
    if where != "CA_FILE":
        more["FINGERPRINTS"] = right.fingerprint if where == "FINGERPRINTS" else "ab" * 32
    if where != "FINGERPRINTS":
        more["CA_FILE"] = right.ca
    common = {**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}
    settings_of_all: list[dict[str, Any]] = [
        {},
        {"PROXXY_TLS_VERIFY": "off"},
        {"PROXXY_FINGERPRINTS": wrong.fingerprint},
    ]
    for setting in settings_of_all:
        with Activator({**common, **setting}) as proxxy:
            with node(right) as machine:
                write(clusters, at(machine.upstream.port), **more)
                assert opened(proxxy, key) == EMPTY
            with node(wrong) as machine:
                write(clusters, at(machine.upstream.port), **more)
                code, reason = opened(proxxy, key)
                why = "its fingerprint is not in the cluster file" if where == "FINGERPRINTS" else "its CA is not known"
                assert (code, reason) == (1011, f"Proxmox: certificate is not trusted: {why}")
                assert machine.tokens == []


def test_without_certificates_of_its_own_the_settings_count(
    settings: dict[str, Any], clusters: Path, cert: Cert, authority: Authority, key: str
) -> None:
    with node(authority.self_signed()) as machine:
        write(clusters, at(machine.upstream.port))
        common = {**settings, "PROXXY_CLUSTER_DIRECTORY": clusters}
        with Activator(common) as proxxy:
            assert opened(proxxy, key) == (1011, "Proxmox: certificate is not trusted: it is self-signed")
        with Activator({**common, "PROXXY_TLS_VERIFY": "off"}) as proxxy:
            assert opened(proxxy, key) == EMPTY


def test_payloads_certificate_counts_with_its_own_ticket(
    proxxy: Activator, clusters: Path, cert: Cert, authority: Authority, key: str
) -> None:
    signed = authority.self_signed()
    with node(signed) as machine:
        write(clusters, at(machine.upstream.port), FINGERPRINTS=cert.fingerprint)
        assert opened(proxxy, key, ticket=TOKEN, fingerprint=signed.fingerprint.replace(":", "")) == EMPTY
        assert machine.tokens == [TOKEN]
        said = opened(proxxy, key, ticket=TOKEN, fingerprint="ab" * 32)
        assert said[1].endswith("it is not the one whose fingerprint the payload has")
        assert opened(proxxy, key, ticket=TOKEN)[1].endswith("its fingerprint is not in the cluster file")
        assert len(machine.tokens) == 1


def test_ca_file_that_cannot_be_read(proxxy: Activator, clusters: Path, key: str) -> None:
    write(clusters, "127.0.0.1", CA_FILE=clusters / "missing.pem")
    with pytest.raises(AssertionError, match="500 Internal Server Error"):
        open_link(proxxy, key, {**LINK, "cluster": "dc1"})
    proxxy.wait_log(f"cluster file dc1: CA_FILE {clusters}/missing.pem: no certificate can be read from it")
