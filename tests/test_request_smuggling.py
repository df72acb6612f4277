# SPDX-License-Identifier: Apache-2.0
"""HTTP requests that two parsers could read in two ways, and bytes that are no HTTP request.

Each case is a legal upgrade request with a valid payload and one fault, so that a parser that accepts the
fault would open a console. A second request follows, which proxxy must never answer: a proxy in front may
take it for the first request's body, or for another client's request. A refusal is one answer and the end
of the connection; an upgrade is one 101, and the bytes after it are frames.

A case's section begins with its RFC: 9110 (semantics), 9112 (HTTP/1.1), 9113 (HTTP/2), 3986 (URIs), 6455.
lib/smuggling_fields.py and lib/smuggling_lines.py have the cases.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from typing import Any, Iterator, NamedTuple

import pytest
from conftest import console
from lib.activator import Activator
from lib.certs import Cert
from lib.payload import seal, target
from lib.smuggling import SECOND, Case, request
from lib.smuggling_fields import bodies, fields, hosts, twice
from lib.smuggling_lines import limits, line_ends, request_lines, strangers, targets, upgrades
from lib.upstream import Connection, Upstream
from lib.wire import Client, close_payload


class Front(NamedTuple):
    port: int
    target: bytes
    upstream: Upstream  # counts the consoles that were opened


def serve(console_end: Connection) -> None:
    console_end.accept_upgrade()
    console_end.close_code()


@pytest.fixture(scope="module")
def front(settings: dict[str, Any], cert: Cert, key: str) -> Iterator[Front]:
    """Only under Activator: parsing does not depend on what spawned the session."""
    with Activator(settings) as proxxy, Upstream(cert, serve) as upstream:
        yield Front(proxxy.port, target(seal(console(upstream.port), key)).encode(), upstream)


def filled(raw: bytes, front: Front) -> bytes:
    raw = raw.replace(b"TARGET", front.target).replace(b"QUERY", front.target[1:])
    if size := re.search(rb"FILL([0-9]+)", raw):
        raw = raw.replace(size[0], b"x" * (int(size[1]) - len(raw) + len(size[0])))
    return raw


def check_only_answer(raw: bytes, status: int, head_alone: bool) -> None:
    """Checks that raw, all bytes received, is exactly one answer: a refusal with its body, or a 101 and a Close
    1002 (the second request is no frame). head_alone: it answers a HEAD, so it has no body."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} "), raw
    values = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    assert len(values) == len(lines) - 1, raw
    if status == 101:
        assert rest[:1] == b"\x88" and rest[1] == len(rest) - 2 and rest[2:4] == close_payload(1002), raw
        return
    assert "close" in values["connection"].lower().replace(" ", "").split(","), raw
    if status == 204:
        assert "content-length" not in values and "content-type" not in values and rest == b"", raw
    elif head_alone:
        assert int(values["content-length"]) > 0 and rest == b"", raw
    else:
        assert int(values["content-length"]) == len(rest) > 0, raw


EVERY = [
    *twice(),
    *line_ends(),
    *bodies(),
    *fields(),
    *hosts(),
    *targets(),
    *request_lines(),
    *limits(),
    *strangers(),
    *upgrades(),
]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_one_answer_and_no_second(front: Front, case: Case) -> None:
    opened = front.upstream.connections
    with Client.connect(front.port, raw=filled(case.sent, front) + SECOND) as client:
        check_only_answer(client.read_all(), case.expected, case.sent.startswith(b"HEAD "))
    assert front.upstream.connections - opened == (case.expected == 101)


PIPELINED = {
    "two-Hosts",
    "Content-Length-is-41",
    "Transfer-Encoding-is-chunked",
    "method-POST",
    "no-upgrade",
    "version-1337",
    "head-of-65537-bytes",
    "bad-payload",
    "status",
}
REFUSED = [case for case in EVERY if case.name in PIPELINED]


@pytest.mark.parametrize("case", REFUSED, ids=str)
@pytest.mark.parametrize("when", ["in-the-next-segment", "behind-the-answer", "ten-times"])
def test_pipelined_request_is_never_answered(front: Front, case: Case, when: str) -> None:
    """RFC 9112 section 9.6: a server that said "close" processes nothing further from that connection."""
    with Client.connect(front.port, raw=filled(case.sent, front)) as client:
        if when == "behind-the-answer":
            head = client.read_head()
            answer = head.raw + client.read_body(head)
            client.send(SECOND)
            assert client.at_end()
        else:
            client.send(SECOND * (10 if when == "ten-times" else 1))
            answer = client.read_all()
        check_only_answer(answer, case.expected, False)


CUT = {
    "nothing": b"",
    "method": b"GET",
    "target": b"GET /?payload=",
    "request-line": b"GET / HTTP/1.1\r\n",
    "field": b"GET / HTTP/1.1\r\nHost: a",
    "head-less-a-line": request()[:-2],
    "head-less-a-byte": request()[:-1],
    "empty-line": b"\r\n",
    "CR": b"\r",
}


@pytest.mark.parametrize("raw", CUT.values(), ids=[f"9112-8-{name}" for name in CUT])
def test_request_that_is_cut_is_not_served(front: Front, raw: bytes) -> None:
    """proxxy does not act on half a request, and does not answer it: the client has left."""
    opened = front.upstream.connections
    with Client.connect(front.port, raw=filled(raw, front)) as client:
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all() == b""
    assert front.upstream.connections == opened


def test_no_two_cases_share_a_name() -> None:
    names = Counter(map(str, EVERY))
    assert [name for name, count in names.items() if count > 1] == []
