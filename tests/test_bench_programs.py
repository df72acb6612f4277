# SPDX-License-Identifier: Apache-2.0
"""The benchmark's programs measure what bench/run reports: small loads, directly and through proxxy."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, Iterator

import pytest
from conftest import console
from lib.activator import TREE, Activator
from lib.certs import Cert
from lib.make import make
from lib.payload import seal, seal_jwe, target
from lib.process import free_port, listens, spawn, stop, wait_for

PROGRAMS = TREE / "build" / "bench"
KIB = 1024
LOADS: list[tuple[str, tuple[int, ...], int]] = [  # the load, its numbers, and how many times it measures
    ("connect", (6, 2), 6),
    ("echo", (2, 0, 50), 100),
    ("echo", (3, 100, 5), 15),
    ("down", (1, KIB, 300 * KIB + 1), 0),
    ("down", (2, 128 * KIB, 1000 * KIB), 0),
    ("up", (1, KIB, 300 * KIB + 1), 0),
    ("up", (2, 128 * KIB, 1000 * KIB), 0),
    ("idle", (5,), 0),
]


VNC_PORT = 5901  # the console whose client has a VNC handshake
DELAY_MS = 30


@contextmanager
def started(cert: Cert, *words: str) -> Iterator[int]:
    make("bench-programs")
    port = free_port()
    process = spawn([PROGRAMS / "upstream", f"127.0.0.1:{port}", cert.cert, cert.key, *words])
    wait_for(lambda: listens(port), 5, "the upstream does not listen")
    yield port
    stop(process)


@pytest.fixture(scope="module")
def upstream(cert: Cert) -> Iterator[int]:
    with started(cert) as port:
        yield port


@pytest.fixture(scope="module")
def far_upstream(cert: Cert) -> Iterator[int]:
    with started(cert, "delay", str(DELAY_MS)) as port:
        yield port


def load(*words: object) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "load"), *map(str, words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("what, numbers, times", LOADS, ids=lambda value: str(value))
def test_load(
    settings: dict[str, Any], upstream: int, key: str, what: str, numbers: tuple[int, ...], times: int
) -> None:
    with Activator(settings) as proxxy:
        path = target(seal(console(upstream), key))
        for way in (["tls", f"127.0.0.1:{upstream}", "/"], [f"127.0.0.1:{proxxy.port}", path]):
            done = load(*way, what, *numbers)
            assert done.returncode == 0, done.stderr
            result = json.loads(done.stdout.splitlines()[-1])
            assert result["n"] == times and (times == 0) == (result["p50"] == 0)


def test_staged_load_begins_and_ends_when_told(settings: dict[str, Any], upstream: int, key: str) -> None:
    with Activator(settings) as proxxy:
        way = ["staged", f"127.0.0.1:{proxxy.port}", target(seal(console(upstream), key))]
        command = [str(PROGRAMS / "load"), *way, "echo", "3", "100", "5"]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as typing:
            assert typing.stdin and typing.stdout and typing.stdout.readline() == "open\n"
            assert len(proxxy.sessions()) == 3
            typing.stdin.write("\n")
            typing.stdin.flush()
            assert json.loads(typing.stdout.readline())["n"] == 15
            assert len(proxxy.sessions()) == 3, "they are held"
            typing.stdin.close()
            assert typing.wait() == 0


def test_least_relay_serves_the_connection_on_its_standard_input(upstream: int) -> None:
    environment = {"UPSTREAM": f"127.0.0.1:{upstream}"}
    with Activator({}, program=PROGRAMS / "floor", environment=environment) as relay:
        assert json.loads(load(f"127.0.0.1:{relay.port}", "/", "echo", 2, 100, 5).stdout)["n"] == 10


def payload_for(kind: str, upstream: int, key: str) -> str:
    """A path with a console ticket, or with a link, of which bench/run makes the same kinds."""
    members = console(upstream, port=str(VNC_PORT))
    if kind != "vnc":
        del members["vncticket"], members["port"]
    if kind == "link without node":
        del members["node"]
    return target(seal_jwe(members, key))


KINDS = ["vnc", "link", "link without node"]
ROUND_TRIPS = {"vnc": 6, "link": 8, "link without node": 9}  # until ServerInit, without that of TCP


@pytest.mark.parametrize("kind", KINDS)
def test_load_with_vnc_handshake(settings: dict[str, Any], upstream: int, key: str, kind: str) -> None:
    with Activator(settings) as proxxy:
        way = ["vnc" if kind == "vnc" else "none", f"127.0.0.1:{proxxy.port}", payload_for(kind, upstream, key)]
        for what, *numbers in (("connect", 3, 1), ("echo", 2, 0, 20), ("down", 1, KIB, 300 * KIB + 1), ("idle", 2)):
            done = load(*way, what, *numbers)
            assert done.returncode == 0, done.stderr
        wrong = load("none" if kind == "vnc" else "vnc", *way[1:], "connect", 1, 1)
        assert wrong.returncode == 1 and "data that was not awaited" in wrong.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_delay_counts_round_trips(
    settings: dict[str, Any], upstream: int, far_upstream: int, key: str, kind: str
) -> None:
    least = []
    with Activator(settings) as proxxy:
        for port in upstream, far_upstream:
            login = "vnc" if kind == "vnc" else "none"
            done = load(login, f"127.0.0.1:{proxxy.port}", payload_for(kind, port, key), "connect", 5, 1)
            least.append(json.loads(done.stdout)["p50"] / 1000)
    assert round((least[1] - least[0]) / DELAY_MS) == ROUND_TRIPS[kind], least


def test_peak_is_the_most_that_a_program_ever_had(tmp_path: Path) -> None:
    make("bench-programs")
    program = tmp_path / "program"
    program.write_text("#!/usr/bin/python3\nimport sys\nlarge = bytearray(b'x') * (64 << 20)\ndel large\nsys.exit(3)\n")
    program.chmod(0o755)
    done = subprocess.run([PROGRAMS / "peak", program], capture_output=True, text=True)
    found = re.fullmatch(r"peak: (\d+) KiB\n", done.stderr)
    assert done.returncode == 3 and found and 64 * KIB <= int(found[1]) < 96 * KIB, done.stderr


def test_session_for_valgrind_has_no_sandbox(settings: dict[str, Any], upstream: int, key: str) -> None:
    with Activator(settings, program=PROGRAMS / "unconfined") as proxxy:
        way = ["none", f"127.0.0.1:{proxxy.port}", payload_for("link", upstream, key)]
        holder = subprocess.Popen([PROGRAMS / "load", *way, "idle", "1"], stdin=PIPE, stdout=PIPE)
        assert holder.stdout and holder.stdout.readline() == b"ready\n"
        (pid,) = proxxy.sessions()
        assert "\nSeccomp:\t0\n" in Path(f"/proc/{pid}/status").read_text()
        holder.communicate()


def test_load_that_is_refused_fails(settings: dict[str, Any], upstream: int) -> None:
    with Activator(settings) as proxxy:
        done = load(f"127.0.0.1:{proxxy.port}", "/?payload=x", "connect", 1, 1)
        assert done.returncode == 1 and done.stderr.startswith("refused: HTTP/1.1 400")


def test_program_that_is_not_installed_stops_no_benchmark() -> None:
    version = runpy.run_path(str(TREE / "bench" / "record.py"))["version"]
    assert version(["no-such-program"]) == "not installed" and version(["openssl", "version"])[0].isdigit()
