# SPDX-License-Identifier: Apache-2.0
"""The benchmark's programs measure what bench/run reports: small loads, directly and through proxxy."""

from __future__ import annotations

import json
import runpy
import subprocess
from typing import Any, Iterator

import pytest
from conftest import console
from lib.activator import TREE, Activator
from lib.certs import Cert
from lib.make import make
from lib.payload import seal, target
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


@pytest.fixture(scope="module")
def upstream(cert: Cert) -> Iterator[int]:
    make("bench-programs")
    port = free_port()
    process = spawn([PROGRAMS / "upstream", f"127.0.0.1:{port}", cert.cert, cert.key])
    wait_for(lambda: listens(port), 5, "the upstream does not listen")
    yield port
    stop(process)


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


def test_load_that_is_refused_fails(settings: dict[str, Any], upstream: int) -> None:
    with Activator(settings) as proxxy:
        done = load(f"127.0.0.1:{proxxy.port}", "/?payload=x", "connect", 1, 1)
        assert done.returncode == 1 and done.stderr.startswith("refused: HTTP/1.1 400")


def test_program_that_is_not_installed_stops_no_benchmark() -> None:
    version = runpy.run_path(str(TREE / "bench" / "run"))["version"]
    assert version(["no-such-program"]) == "not installed" and version(["openssl", "version"])[0].isdigit()
