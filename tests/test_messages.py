# SPDX-License-Identifier: Apache-2.0
"""Messages for clients and logs have no doubled punctuation, and no message to a client names a machine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import console
from lib.activator import TREE, Activator
from lib.payload import seal, seal_jwe, target
from lib.upstream import Upstream
from lib.wire import Client

SOURCES = sorted(path for place in (".", "lib", "session", "url", "status") for path in (TREE / place).glob("*.c"))
DOUBLED = re.compile(r"[.!?,;:][.!?,;:](?!\.)|[.!?] ?\. ")


def texts(source: str) -> list[str]:
    """The strings of a C file, with adjacent strings joined."""
    joined = re.sub(r'"\s*\n\s*"', "", re.sub(r"/\*.*?\*/", "", source, flags=re.S))
    return re.findall(r'"((?:[^"\\]|\\.)*)"', joined)


def test_no_outcome_ends_in_punctuation() -> None:
    """Text that is added to an outcome begins with its own punctuation."""
    table = (TREE / "lib" / "error.c").read_text().partition("table[] = {")[2]
    words = [text for text in texts(table) if " " in text or text[0].isupper()]
    assert len(words) > 35
    assert [text for text in words if text[-1] in ".!?,;: "] == []


def test_no_sentence_has_doubled_punctuation() -> None:
    assert len(SOURCES) > 40
    found = [text for path in SOURCES for text in texts(path.read_text()) if re.search(r"[a-z][.!?,;:]{2,}( |$)", text)]
    assert [text for text in found if " " in text and "…" not in text and "..." not in text] == []


HOST = "pve-secret-name.invalid"
PHRASES = [
    "Authentication failed!",
    "Parameter verification failed.",
    f"hostname lookup '{HOST}' failed",
    "no such node!.",
]


@pytest.mark.parametrize("phrase", PHRASES)
def test_close_names_no_machine(settings: dict[str, Any], cert: Any, key: str, phrase: str) -> None:
    with Activator(settings) as proxxy, Upstream(
        cert, lambda c: (c.read_request(), c.respond(500, phrase))
    ) as upstream:
        with Client.upgraded(proxxy.port, target(seal(console(upstream.port), key))) as client:
            _, reason = client.close_code()
    assert HOST not in reason and "127.0.0.1" not in reason and not DOUBLED.search(reason + " ")


@pytest.mark.parametrize("members", [{"host": f"{HOST}:8006"}, {"host": "127.0.0.1:1"}, {"host": "[::1]:1"}])
def test_failures_name_no_machine(settings: dict[str, Any], key: str, members: dict[str, str]) -> None:
    with Activator(settings) as proxxy:
        with Client.upgraded(proxxy.port, target(seal(console(8006) | members, key))) as client:
            _, reason = client.close_code()
    assert reason.startswith("Proxmox: ") and members["host"].rpartition(":")[0].strip("[]") not in reason
    assert not DOUBLED.search(reason + " ")


def test_refusal_names_no_machine(settings: dict[str, Any], key: str) -> None:
    """The host is left out even though the payload names it."""
    with Activator(settings | {"PROXXY_ALLOWED_HOSTS": "pve1.example.com"}) as proxxy:
        with Client.connect(proxxy.port, target(seal_jwe(console(8006, host=HOST), key))) as client:
            head = client.read_head()
            body = client.read_body(head).decode()
    assert head.status == 403 and HOST not in body and "pve1.example.com" not in body
